//! `fuzz` and `minimise` from outside: what they leave on disk, that it repeats, and that it goes on where it ended.

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
    let output = command(args).output().expect("the command starts");
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

#[test]
fn a_finding_is_a_folder_whose_script_fails_now_and_passes_on_a_mended_stack() {
    let into = folder("fuzz-finding");
    check(&fuzz(MUTANT, "20000", &into), 1, "new: RFC9293:");
    let found: Vec<PathBuf> =
        fs::read_dir(&into).expect("the folder").map(|e| e.expect("an entry").path()).filter(|p| p.join("script.pkt").is_file()).collect();
    assert!(!found.is_empty());
    for path in found {
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
    let output = check(&["minimise", golden], 1, "RFC5681:3-2@ESTABLISHED#congestion-window: 7 of ");
    let small = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("small.pkt");
    fs::write(&small, &output.stdout).expect("is written");
    let small = small.to_str().expect("a path in UTF-8");
    check(&["replay", small, "--expectations", "/dev/null"], 1, "RFC5681:3-2");
    check(&["minimise", golden, "--target", "reference"], 4, "breaks no rule on reference");
    check(&["minimise", golden, "--target", "nonesuch"], 2, "no target is called");
    check(&["minimise", concat!(env!("CARGO_MANIFEST_DIR"), "/../vectors/reset/abort.pkt.tmpl")], 2, "wants one");
}
