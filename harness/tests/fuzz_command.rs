//! `fuzz`, `adopt` and `minimise` from outside: what they leave on disk, that it repeats, and that it goes on where it ended.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const MUTANT: &str = "mutant:established-out-of-order-ack-off";

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_harness"));
    command.args(args).env("NO_COLOR", "1");
    command
}

#[track_caller]
fn check(args: &[&str], code: i32, says: &str) -> Output {
    check_in(Path::new("."), args, code, says)
}

#[track_caller]
fn check_in(place: &Path, args: &[&str], code: i32, says: &str) -> Output {
    let output = command(args).current_dir(place).output().expect("the command starts");
    let all = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{args:?}\n{all}");
    assert!(all.contains(says) && !all.contains("panicked"), "{args:?} does not say {says:?}:\n{all}");
    output
}

/// A folder that is not there yet.
fn folder(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    if path.exists() {
        fs::remove_dir_all(&path).expect("an old folder goes");
    }
    path
}

fn fuzz<'a>(target: &'a str, steps: &'a str, into: &'a Path) -> Vec<&'a str> {
    let into = into.to_str().expect("a path in UTF-8");
    vec!["fuzz", "--target", target, "--steps", steps, "--jobs", "1", "--level", "should", "--findings", into]
}

/// Every file below a folder with its octets; of pages the folder's own name is left out.
fn files(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let octets = fs::read(&path).expect("a file");
            let text = String::from_utf8_lossy(&octets).replace(&root.display().to_string(), "ROOT");
            let octets = if path.extension().is_some_and(|e| e == "md") { text.into_bytes() } else { octets };
            all.insert(path.strip_prefix(root).expect("below it").to_owned(), octets);
        }
    }
    all
}

/// The folders of what is found on the mutant.
fn found(into: &Path) -> Vec<PathBuf> {
    check(&fuzz(MUTANT, "20000", into), 1, "new: RFC9293:");
    let mut found: Vec<PathBuf> =
        fs::read_dir(into).expect("the folder").map(|e| e.expect("an entry").path()).filter(|p| p.join("script.pkt").is_file()).collect();
    found.sort();
    assert!(!found.is_empty());
    found
}

#[test]
fn a_finding_is_a_folder_whose_script_fails_now_and_passes_on_a_mended_stack() {
    let into = folder("fuzz-finding");
    for path in found(&into) {
        let page = fs::read_to_string(path.join("report.md")).expect("a page");
        let (_, again) = page.split_once("```sh\nharness ").expect("a command");
        let line = again.lines().next().unwrap_or_default();
        let mut words = shell_words::split(line).expect("words");
        words.extend(["--level".to_owned(), "should".to_owned()]);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        check(&words, 1, "RFC");
        let mended: Vec<&str> = words.iter().map(|w| if *w == MUTANT { "reference" } else { w }).collect();
        check(&mended, 0, "0 findings known");
        let capture = fs::read(path.join("trace.pcapng")).expect("a capture");
        assert!(capture.len() > 100 && capture.starts_with(&[0x0a, 0x0d, 0x0d, 0x0a]), "{}", capture.len());
    }
}

#[test]
fn one_job_with_a_number_of_steps_gives_the_same_files_and_a_second_run_goes_on() {
    let (a, b) = (folder("fuzz-a"), folder("fuzz-b"));
    check(&fuzz(MUTANT, "6000", &a), 1, "of 0 earlier runs");
    check(&fuzz(MUTANT, "6000", &b), 1, "of 0 earlier runs");
    let once = files(&a);
    assert!(once == files(&b) && once.len() > 20, "{:?}", once.keys());
    let cases = |root: &Path| fs::read_to_string(root.join("campaign.toml")).expect("a campaign");
    assert!(cases(&a).contains("runs = 1\n"));
    command(&fuzz(MUTANT, "6000", &a)).output().expect("runs");
    assert!(cases(&a).contains("runs = 2\n") && files(&a).len() > once.len(), "{}", cases(&a));
    check(&fuzz("reference", "100", &a), 2, "another one with --findings");
    fs::write(a.join("campaign.toml"), "runs = false").expect("is written");
    check(&fuzz(MUTANT, "100", &a), 2, "campaign.toml");
}

#[test]
fn a_right_stack_gives_nothing() {
    check(&fuzz("reference", "20000", &folder("fuzz-right")), 0, "0 new");
}

#[test]
fn an_interrupt_ends_it_with_a_summary() {
    let into = folder("fuzz-interrupted");
    let into = into.to_str().expect("a path in UTF-8");
    let mut child = command(&["fuzz", "--target", "reference", "--time", "1h", "--findings", into])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the command starts");
    let mut told = BufReader::new(child.stdout.take().expect("is piped"));
    let mut line = String::new();
    // The handler stands before the first case is kept.
    told.read_line(&mut line).expect("a line");
    while !Path::new(into).join("corpus").is_dir() {
        std::thread::yield_now();
    }
    kill(Pid::from_raw(i32::try_from(child.id()).expect("a pid")), Signal::SIGINT).expect("is sent");
    let mut rest = String::new();
    told.read_to_string(&mut rest).expect("the rest");
    assert_eq!(child.wait().expect("ends").code(), Some(0), "{line}{rest}");
    assert!(line.starts_with("fuzzing reference ") && rest.contains(" segments judged, "), "{line}{rest}");
}

#[test]
fn a_script_is_made_smaller_and_shows_the_same() {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../vectors/sack/pipe.pkt");
    let output = check(&["minimise", golden], 1, "RFC5681:3-2@ESTABLISHED#congestion-window: 4 of ");
    let small = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("small.pkt");
    fs::write(&small, &output.stdout).expect("is written");
    let small = small.to_str().expect("a path in UTF-8");
    check(&["replay", small, "--expectations", "/dev/null"], 1, "RFC5681:3-2");
    check(&["minimise", golden, "--target", "reference"], 4, "breaks no rule on reference");
    check(&["minimise", golden, "--target", "nonesuch"], 2, "no target is called");
    check(&["minimise", concat!(env!("CARGO_MANIFEST_DIR"), "/../vectors/reset/abort.pkt.tmpl")], 2, "wants one");
}

/// As much of a checkout as `adopt` writes to.
fn checkout(name: &str) -> PathBuf {
    let root = folder(name);
    for file in ["vectors/LANGUAGE.md", "harness/src/fuzz/known/smoltcp.toml", "harness/expectations/smoltcp.toml"] {
        let path = root.join(file);
        fs::create_dir_all(path.parent().expect("a folder")).expect("is made");
        fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file), path).expect("is copied");
    }
    fs::create_dir(root.join("vectors/reset")).expect("is made");
    root
}

/// A finding on smoltcp, as `fuzz` writes it.
fn finding_on_smoltcp(name: &str) -> PathBuf {
    let path = folder(name);
    fs::create_dir(&path).expect("is made");
    let record = "fingerprint = 'RFC9293:MUST-13@TIME-WAIT#soon'\nname = 'smoltcp'\nversion = '9.9.9'\nseed = 2\nrule = 'RFC9293:MUST-13'\nkind = 'soon'\n";
    fs::write(path.join("finding.toml"), record).expect("is written");
    let script = "//@ title: one\n//@ rules: RFC9293:MUST-13\n//@ level: must\n\n0 < S 0:0(0) win 65535\n+0 < S 0:0(0) win 65535\n";
    fs::write(path.join("script.pkt"), script).expect("is written");
    path
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

#[test]
fn each_finding_becomes_a_vector_of_the_tree() {
    let tree = checkout("adopt-vectors");
    for (i, path) in found(&folder("adopt-found")).iter().enumerate() {
        let id = format!("reset/found-{i}");
        let record: toml::Table = fs::read_to_string(path.join("finding.toml")).expect("a record").parse().expect("TOML");
        let seed = record["seed"].to_string();
        let absolute = fs::read_to_string(path.join("script.pkt")).expect("a script").contains("{zero");
        let adopt = ["adopt", text(path), "--as", &id];
        let output = check_in(&tree, &adopt, 0, &format!("cargo insta test --review -p tcp-harness --test vectors -- {id}"));
        assert_eq!(String::from_utf8_lossy(&output.stderr).contains("--seed"), absolute, "{output:?}");
        assert!(!path.exists());
        let vector = tree.join(format!("vectors/{id}.pkt"));
        check(&["lint", text(&vector)], 0, "0 errors");
        check(&["replay", text(&vector), "--target", MUTANT, "--level", "should", "--seed", &seed], 1, "RFC");
        check(&["replay", text(&vector), "--target", "reference", "--level", "should", "--seed", &seed], 0, "");
        check_in(&tree, &adopt, 2, "finding.toml");
    }
}

#[test]
fn what_is_no_vector_of_the_tree_stays_where_it_is() {
    let tree = checkout("adopt-refused");
    let path = finding_on_smoltcp("adopt-refused-finding");
    let adopt = |at: &Path, id: &str, says: &str| check_in(at, &["adopt", text(&path), "--as", id], 2, says);
    adopt(&tree, "found", "AREA/NAME");
    adopt(&tree, "reset/../found", "AREA/NAME");
    adopt(&tree, "resets/found", "is it \"reset\"?");
    adopt(Path::new("/"), "reset/found", "in no checkout");
    fs::write(tree.join("vectors/reset/taken.pkt.tmpl"), "").expect("is written");
    adopt(&tree, "reset/taken", "is there already");
    let script = fs::read_to_string(path.join("script.pkt")).expect("a script");
    fs::write(path.join("script.pkt"), script.replace("must", "may")).expect("is written");
    adopt(&tree, "reset/found", "script.pkt:1: the level of the strongest rule is `must`");
    fs::write(path.join("script.pkt"), script.replace("< S", "< Q")).expect("is written");
    adopt(&tree, "reset/found", "script.pkt:5");
    check_in(&tree, &["adopt", text(&path)], 2, "--as");
    check_in(&tree, &["adopt", text(&path), "--expect", "smoltcp"], 2, "--because");
    check_in(&tree, &["adopt", text(&path), "--expect", "lwip", "--because", "x"], 2, "it was found on smoltcp");
    assert!(path.join("script.pkt").exists() && !tree.join("vectors/reset/found.pkt").exists());
}

#[test]
fn what_is_known_is_not_found_again() {
    let own = folder("adopt-known.toml");
    for path in found(&folder("adopt-known")) {
        check(&["adopt", text(&path), "--expect", MUTANT, "--because", "the mutant's fault"], 2, "--expectations FILE");
        let adopt = ["adopt", text(&path), "--expect", MUTANT, "--because", "the mutant's fault", "--expectations", text(&own)];
        check(&adopt, 0, "says that it is known");
        assert!(!path.exists());
    }
    let again = folder("adopt-known-again");
    let mut fuzz = fuzz(MUTANT, "20000", &again);
    fuzz.extend(["--expectations", text(&own)]);
    check(&fuzz, 0, "0 new");
    fs::remove_file(own).expect("was written");
}

#[test]
fn what_is_known_stands_in_the_tree_with_its_reason() {
    let tree = checkout("adopt-listed");
    let listed = tree.join("harness/src/fuzz/known/smoltcp.toml");
    let expected = tree.join("harness/expectations/smoltcp.toml");
    let (causes, entries) = (fs::read_to_string(&listed).expect("a list"), fs::read_to_string(&expected).expect("a list"));
    let because = ["--expect", "smoltcp", "--because", "it says \"no\""];
    let adopt =
        |path: &Path, more: &[&str]| check_in(&tree, &[&["adopt", text(path)], &because[..], more].concat(), 0, "known/smoltcp.toml");

    adopt(&finding_on_smoltcp("adopt-listed-finding"), &[]);
    let now = fs::read_to_string(&listed).expect("a list");
    let added: toml::Table = now.strip_prefix(&causes).expect("only more").parse().expect("TOML");
    assert_eq!(added["cause"][0]["what"].as_str(), Some("it says \"no\""));
    assert_eq!(added["cause"][0]["fingerprints"][0].as_str(), Some("RFC9293:MUST-13@TIME-WAIT#soon"));
    assert_eq!(added["cause"][0]["script"].as_str(), Some("0 < S 0:0(0) win 65535\n+0 < S 0:0(0) win 65535"));
    check(&["fuzz", "--steps", "1", "--findings", text(&folder("adopt-listed-fuzz")), "--expectations", text(&listed)], 0, "0 new");

    let path = finding_on_smoltcp("adopt-expected-finding");
    fs::write(path.join("notes"), "mine").expect("is written");
    let args = [&["adopt", text(&path), "--as", "reset/found"], &because[..]].concat();
    check_in(&tree, &args, 0, "the finding's folder stays");
    assert!(path.join("notes").exists() && !path.join("script.pkt").exists());
    let now = fs::read_to_string(&expected).expect("a list");
    let added: toml::Table = now.strip_prefix(&entries).expect("only more").parse().expect("TOML");
    let entry = &added["expect"][0];
    let words = ["vector", "rule", "kind", "reason"].map(|key| entry[key].as_str().unwrap_or_default());
    assert_eq!(words, ["reset/found", "RFC9293:MUST-13", "soon", "it says \"no\""]);
    check(&["reset/abort", "--expectations", text(&expected)], 0, "no vector is called \"reset/found\"");
}
