//! The command from outside: exit codes, what JSON holds, and bad input, which must never end in a panic.

#[cfg(target_os = "linux")]
#[path = "common/kernel.rs"]
mod kernel;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::{env, fs};

use serde_json::Value;

fn harness(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_harness")).args(args).env("NO_COLOR", "1").output().expect("the command starts")
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs the command and compares its exit code and a piece of what it says to standard error.
#[track_caller]
fn check(args: &[&str], code: i32, says: &str) -> Output {
    let output = harness(args);
    let (out, err) = (out(&output), err(&output));
    assert_eq!(output.status.code(), Some(code), "{args:?}\n{out}\n{err}");
    assert!(err.contains(says), "{args:?} does not say {says:?}:\n{err}");
    assert!(!err.contains("panicked"), "{args:?} panicked:\n{err}");
    output
}

fn file(name: &str, text: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, text).expect("a file is written");
    path
}

const OPEN: &str = "0    socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0   bind(3, ..., ...) = 0
+0   listen(3, 1) = 0
+0   < S 0:0(0) win 65535 <mss 1460>
";

fn replay(name: &str, steps: &str, args: &[&str], code: i32, says: &str) -> Output {
    let text = format!("//@ title: a test\n//@ rules: RFC9293:3.10.7.2/LISTEN/syn\n//@ level: must\n//@ source: a test\n{steps}");
    let path = file(name, &text);
    let mut all = vec!["replay", path.to_str().expect("a path in UTF-8")];
    all.extend(args);
    check(&all, code, says)
}

#[test]
fn a_conforming_vector_is_0() {
    let output = check(&["handshake/passive-open"], 0, "");
    let text = out(&output);
    assert!(text.contains("conforms IPv4 handshake/passive-open\n"), "{text}");
    assert!(text.contains("2 results: 2 conforms"), "{text}");
    assert!(text.contains("RFC 9293 section 3.10.7.2"), "{text}");
    assert!(!text.contains('\x1b'), "escapes without a terminal: {text:?}");
}

#[test]
fn a_failed_assertion_is_1_and_says_all() {
    let output = replay("fails.pkt", &format!("{OPEN}+0   > S. 0:0(0) ack 7 <...>\n"), &["--family", "4", "--seed", "3"], 1, "");
    let text = out(&output);
    for needed in [
        "violates RFC9293:3.10.7.2/LISTEN/syn",
        "RFC 9293 section 3.10.7.2",
        "seen:    the stack sent S. 0:0(0) ack 1",
        "allowed: S. 0:0(0) ack 7",
        "◄◄ here",
        "--family 4 --seed 3",
        "again: harness replay",
    ] {
        assert!(text.contains(needed), "{needed:?} is not in:\n{text}");
    }
}

#[test]
fn silence_that_is_asserted_against_is_1() {
    let output =
        replay("silence.pkt", &format!("{OPEN}+0   > S. 0:0(0) ack 1 <...>\n+0   > F. 1:1(0) ack 1 <...>\n"), &["--family", "6"], 1, "");
    assert!(out(&output).contains("seen:    nothing was sent"), "{}", out(&output));
}

#[test]
fn an_unexpected_result_of_a_call_is_1() {
    let output = replay("call.pkt", &format!("{OPEN}+0   accept(3, ..., ...) = 4\n"), &["--family", "4"], 1, "");
    assert!(out(&output).contains("accept(3) returned the error would-block"), "{}", out(&output));
}

#[test]
fn json_has_the_fixed_shape() {
    let output = check(&["handshake/passive-open", "--format", "json"], 0, "");
    let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(document["target"]["name"], "smoltcp");
    assert!(document["target"]["version"].is_string());
    assert!(document["summary"].is_object());
    let results = document["results"].as_array().expect("results");
    assert_eq!(results.len(), 2);
    assert_eq!(results[0]["id"], "handshake/passive-open");
    assert_eq!((&results[0]["family"], &results[1]["family"]), (&Value::from(4), &Value::from(6)));
    assert_eq!(results[0]["class"], "conforms");
    assert!(results[0]["seconds"].is_f64() && results[0]["segments_judged"].as_u64() > Some(0));

    let output = replay("json.pkt", &format!("{OPEN}+0   > S. 0:0(0) ack 7 <...>\n"), &["--format", "json"], 1, "");
    let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let finding = &document["results"][0]["findings"][0];
    assert_eq!(finding["rule"], "RFC9293:3.10.7.2/LISTEN/syn");
    assert_eq!(finding["expected"], false);
    for field in ["level", "state", "fingerprint"] {
        assert!(finding[field].is_string(), "{field}: {finding}");
    }
}

#[test]
fn parts_share_the_vectors() {
    let ids = |args: &[&str]| {
        let args = [&["checksum/*", "--target", "reference", "--format", "json"], args].concat();
        let document: Value = serde_json::from_slice(&check(&args, 0, "").stdout).expect("JSON");
        let results = document["results"].as_array().expect("results").clone();
        results.iter().map(|r| format!("{} {}", r["id"], r["family"])).collect::<BTreeSet<String>>()
    };
    let (whole, first, second) = (ids(&[]), ids(&["--partition", "1/2"]), ids(&["--partition", "2/2"]));
    assert!(first.is_disjoint(&second) && !first.is_empty() && !second.is_empty());
    assert_eq!(first.union(&second).cloned().collect::<BTreeSet<_>>(), whole);
}

#[test]
fn a_permitted_way_is_told_and_fails_a_run_only_where_that_is_asked_for() {
    let way = "RFC5961:3-1@ESTABLISHED#reset-by-rfc793";
    for level in ["must", "should", "may"] {
        let output = check(&["reset/rst-in-window@ESTABLISHED,1", "--family", "4", "--level", level], u8::from(level == "may").into(), "");
        let text = out(&output);
        assert!(text.contains(&format!("variant IPv4 reset/rst-in-window@ESTABLISHED,1: {way}")), "{text}");
        assert!(text.contains("1 results: 1 variant"), "{text}");
        assert_eq!(text.contains("the stack took: reset-by-rfc793"), level == "may", "{text}");
    }
}

#[test]
fn stacks_side_by_side_differ_in_what_is_known_of_them() {
    let of = ["matrix", "reference", "smoltcp", "mutant:last-ack-ignores-rst", "--vector", "reset"];
    let differing = check(&[&of[..], &["--differing"]].concat(), 0, "");
    let text = out(&differing);
    let row = |name: &str| text.lines().find(|l| l.starts_with(name)).unwrap_or_else(|| panic!("no row {name}: {text}")).to_owned();
    let cells = |name: &str| row(name).split("  ").map(str::trim).filter(|c| !c.is_empty()).skip(1).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(cells("RFC9293:3.10.7.4/LAST-ACK/rst-exact"), ["conforms", "conforms", "violates"]);
    assert_eq!(cells("RFC9293:3.10.7.1/CLOSED/no-ack"), ["conforms", "violates", "conforms"]);
    assert_eq!(cells("RFC5961:3-1"), ["variant: challenge-ack", "variant: reset-by-rfc793", "variant: challenge-ack"]);
    assert!(!text.contains("RFC9293:3.10.7.4/CLOSING/rst-exact"), "the stacks do not differ in it: {text}");

    let one = check(&[&of[..], &["--rule", "*LAST-ACK/rst-exact", "--format", "markdown"]].concat(), 0, "");
    assert!(out(&one).contains("| RFC9293:3.10.7.4/LAST-ACK/rst-exact (must) | conforms | conforms | violates |"), "{}", out(&one));
    let json = check(&[&of[..], &["--format", "json"]].concat(), 0, "");
    let document: serde_json::Value = serde_json::from_str(&out(&json)).expect("is JSON");
    assert_eq!(document["stacks"][1]["name"], "smoltcp");
    assert!(document["areas"][0]["stacks"][0]["conforms"].as_u64().is_some_and(|n| n > 100), "{document}");

    check(&["matrix"], 2, "required");
    check(&["matrix", "reference", "nonesuch"], 2, "no target is called");
    check(&["matrix", "reference", "--vector", "nonesuch"], 4, "no vector is selected");
    check(&["matrix", "reference", "exec:/nowhere/adapter"], 77, "cannot be started");
}

/// The README's table of areas, as far as this build has the stacks. The others' columns were made in the same run of the command.
#[test]
fn the_readmes_matrix_is_what_the_command_prints() {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).expect("the README");
    let table = out(&check(&["matrix", "reference", "smoltcp", "--format", "markdown"], 0, ""));
    let cells = |line: &str| line.split('|').skip(1).take(3).map(|c| c.trim().to_owned()).collect::<Vec<_>>();
    let areas = |text: &str| {
        text.lines().skip_while(|l| !l.starts_with("| area |")).take_while(|l| l.starts_with('|')).map(cells).collect::<Vec<_>>()
    };
    let (stated, made) = (areas(&readme), areas(&table));
    assert!(made.len() > 20, "{table}");
    assert_eq!(stated, made, "make the README's table anew with the command above it");
}

#[test]
fn usage_is_2() {
    check(&["--family", "5"], 2, "an IP version is 4 or 6");
    check(&["--target", "smoltpc"], 2, "is it \"smoltcp\"?");
    check(&["--target", "mutant:no-such"], 2, "harness list --mutants");
    check(&["--jobs", "0"], 2, "--jobs");
    check(&["--partition", "3/2"], 2, "the K-th of N");
    check(&["--level", "maybe"], 2, "possible values: must, should, may");
    check(&["--timeout", "x"], 2, "--timeout");
    check(&["show", "handshake/pasive-open"], 2, "handshake/passive-open");
    check(&["explain", "RFC9293:MUST-999"], 2, "near it are");
    check(&["replay", "/nowhere/at-all.pkt"], 2, "/nowhere/at-all.pkt");
    check(&["--expectations", "/nowhere/at-all.toml"], 2, "/nowhere/at-all.toml");
}

#[test]
fn nothing_selected_is_4() {
    check(&["no-such-area/*"], 4, "no vector is selected");
    check(&["handshake/*", "--rule", "RFC9293:MUST-13"], 4, "no vector is selected");
    check(&["list", "--mutants", "no-such-*"], 4, "no mutant is selected");
    check(&["--rule", "RFC9293:NO-*"], 4, "harness list");
    check(&["list", "no-such-area"], 4, "no vector is selected");
    check(&["handshake/passive-open", "--partition", "2/2"], 4, "no vector is selected in part 2/2");
}

#[test]
fn broken_files_name_their_place_and_remedy() {
    let output = replay("broken.pkt", "0    socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0   < Q 0:0(0) win 5\n", &[], 2, "broken.pkt:6");
    assert!(err(&output).contains("help"), "{}", err(&output));
    let not_text = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("octets.pkt");
    fs::write(&not_text, [0xff, 0xfe, 0]).expect("a file is written");
    check(&["replay", not_text.to_str().expect("a path in UTF-8")], 2, "UTF-8");
    let empty = file("empty.pkt", "");
    check(&["replay", empty.to_str().expect("a path in UTF-8")], 2, "there are no steps");

    for (name, text, says) in [
        ("not.toml", "[[expect\n", "not.toml:1"),
        ("lacks.toml", "\n[[expect]]\nvector = \"*\"\n", "missing field"),
        ("unknown.toml", "[[expect]]\nvectors = \"*\"\n", "unknown field"),
        (
            "no-rule.toml",
            "[[expect]]\nvector = \"*\"\nrule = \"RFC1:NONE\"\nversions = [\"*\"]\nreason = \"r\"\nclause = \"c\"\ncitation = \"\"\n",
            "no rule is called",
        ),
    ] {
        let path = file(name, text);
        let output = check(&["handshake/passive-open", "--expectations", path.to_str().expect("a path in UTF-8")], 2, says);
        assert!(err(&output).contains("help"), "{}", err(&output));
    }
}

/// An entry with this rule for the test vector, which fails under RFC9293:3.10.7.2/LISTEN/syn.
fn entry(rule: &str, versions: &str) -> String {
    format!(
        "[[expect]]\nvector = \"known\"\nrule = \"{rule}\"\nversions = [\"{versions}\"]\nreason = \"r\"\nclause = \"c\"\ncitation = \"\"\n"
    )
}

#[test]
fn a_known_finding_is_0_and_one_that_is_gone_is_1() {
    let failing = format!("{OPEN}+0   > S. 0:0(0) ack 7 <...>\n");
    let path = file("known.toml", &entry("RFC9293:3.10.7.2/LISTEN/syn", "0.14.*"));
    let path = path.to_str().expect("a path in UTF-8");
    let output = replay("known.pkt", &failing, &["--expectations", path], 0, "");
    assert!(out(&output).contains("2 findings known of this target (1 entries), 0 not known"), "{}", out(&output));

    let other = file("other-version.toml", &entry("RFC9293:3.10.7.2/LISTEN/syn", "0.15.*"));
    replay("known.pkt", &failing, &["--expectations", other.to_str().expect("a path in UTF-8")], 1, "");

    // Known where it happens, and missed only where someone has seen it.
    let broad =
        entry("RFC9293:MUST-14", "*").replace("versions", "verified = [\"0.13.*\"]\nversions") + &entry("RFC9293:3.10.7.2/LISTEN/syn", "*");
    let broad = file("broad.toml", &broad);
    replay("known.pkt", &failing, &["--expectations", broad.to_str().expect("a path in UTF-8")], 0, "");

    let idle = file("idle.toml", &entry("RFC9293:MUST-14", "*").replace("\"known\"", "\"handshake/pasive-open\""));
    let says = "idle.toml:1: warning: no vector is called \"handshake/pasive-open\" (is it \"handshake/passive-open\"?)";
    check(&["handshake/passive-open", "--expectations", idle.to_str().expect("a path in UTF-8")], 0, says);

    let gone = file("gone.toml", &(entry("RFC9293:3.10.7.2/LISTEN/syn", "*") + &entry("RFC9293:MUST-14", "*")));
    let output = replay("known.pkt", &failing, &["--expectations", gone.to_str().expect("a path in UTF-8")], 1, "");
    assert!(out(&output).contains("gone.toml:8: RFC9293:MUST-14 was expected"), "{}", out(&output));
}

#[test]
fn replay_lints_first_and_drops_no_assertion() {
    let path = |p: &PathBuf| p.to_str().expect("a path in UTF-8").to_owned();
    let failing = format!("{OPEN}+0   > S. 0:0(0) ack 7 <...>\n");
    let bare = file("no-header.pkt", &failing);
    let output = check(&["replay", &path(&bare), "--family", "4"], 1, "no-header.pkt:1: warning: the header names no `rules`");
    assert!(out(&output).contains("violates vector:assertion in SYN-RECEIVED"), "{}", out(&output));
    let known = file("assertion.toml", &entry("vector:assertion", "*").replace("\"known\"", "\"no-header\""));
    check(&["replay", &path(&bare), "--family", "4", "--expectations", &path(&known)], 0, "");

    let unknown = file("unknown-rule.pkt", &format!("//@ title: a test\n//@ rules: RFC9293:MUST-999\n{failing}"));
    check(&["replay", &path(&unknown)], 2, "unknown-rule.pkt:1: `RFC9293:MUST-999` is not in the catalogue");
    replay("nameless.pkt", &format!("{OPEN}+0   read(99, ..., 10) = 3\n"), &[], 2, "nameless.pkt:9: no call before gave the name 99");
    let ack = "+0   < . 1:1(0) ack 1 win 65535\n";
    replay("silent.pkt", &format!("{OPEN}{ack}{ack}"), &["--family", "4"], 0, "silent.pkt:10: warning: after the last segment");
}

#[test]
fn lint_tells_of_files_and_of_the_tree() {
    let text = out(&check(&["lint"], 0, ""));
    assert!(text.contains(" files: 0 errors, "), "{text}");
    assert!(text.contains("vectors/handshake/passive-open.pkt: packetdrill: runs as it is\n"), "{text}");
    let wrong = file("lint.pkt", &format!("//@ title: a test\n{OPEN}+0   < . {{rcv_nxt}}(0) ack 1 win 5\n+0   read(9, ..., 1) = 1\n"));
    let wrong = wrong.to_str().expect("a path in UTF-8");
    let text = out(&check(&["lint", wrong], 2, ""));
    for needed in
        ["lint.pkt:1: the header names no `rules`", "lint.pkt:7: no call before gave the name 9", "not as it is: an expression in braces"]
    {
        assert!(text.contains(needed), "{needed:?} is not in:\n{text}");
    }
    check(&["lint", "/nowhere/at-all.pkt"], 2, "/nowhere/at-all.pkt");
}

#[test]
fn files_are_read_with_a_bound() {
    let big = file("big.pkt", &"#".repeat((4 << 20) + 1));
    let big = big.to_str().expect("a path in UTF-8");
    check(&["replay", big], 2, "big.pkt: it is larger than 4 MiB");
    check(&["--expectations", big], 2, "big.pkt: it is larger than 4 MiB");
    check(&["replay", "/dev/zero"], 2, "larger than 4 MiB");
    let marked = file("bom.pkt", &format!("\u{feff}{OPEN}"));
    check(&["replay", marked.to_str().expect("a path in UTF-8")], 2, "byte order mark (EF BB BF): remove it");
}

#[test]
fn what_is_known_is_told_in_a_line_and_shown_on_demand() {
    let text = out(&check(&["reset/closed-port-*"], 0, ""));
    let line = "known, 6 times: RFC9293:3.10.7.1/CLOSED/no-ack (Non-RST without ACK: reply RST,ACK with SEQ=0…): Only a SYN without ACK is";
    assert!(text.contains(line), "{text}");
    assert!(!text.contains("seen:"), "{text}");
    let again = text.lines().find_map(|l| l.strip_prefix("one of these in full, with its clause in harness/expectations/smoltcp.toml: "));
    let again: Vec<&str> = again.unwrap_or_else(|| panic!("{text}")).split(' ').collect();
    assert_eq!(again[0], "harness");
    let text = out(&check(&again[1..], 0, ""));
    assert!(text.contains("RFC9293:3.10.7.1/CLOSED/no-ack in CLOSED (known of this target)") && text.contains("◄◄ here"), "{text}");
}

/// What would have been allowed: never nothing, a state where the state is wrong, and numbers as the ladder has them.
#[test]
fn what_was_allowed_fits_what_was_seen() {
    for (args, seen, allowed) in [
        (
            &["reset/closed-port-data"][..],
            "the stack sent <SEQ=0><CTL=R>",
            "<SEQ=0><ACK=IRS+10><CTL=RST,ACK> by RFC9293:3.10.7.1/CLOSED/no-ack",
        ),
        (&["teardown/close-syn-received"], "the state was FIN-WAIT-2", "the state FIN-WAIT-1"),
        (&["handshake/syn-received-syn-in-window@syn"], "nothing was sent", "what RFC9293:3.10.7.4/SYN-RECEIVED/syn-passive asks for: "),
        (
            &["timewait/syn-timestamp-lower", "--target", "mutant:listen-syn-ack-off-by-one"],
            "a segment arrived",
            "what RFC6191:2-4 asks for: ",
        ),
    ] {
        let mut all = args.to_vec();
        all.extend(["--family", "4", "--format", "json"]);
        let output = harness(&all);
        let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let findings = document["results"][0]["findings"].as_array().expect("findings");
        let is = |f: &&Value| {
            let lines = f["allowed"].as_array().expect("lines");
            f["seen"] == seen && lines.iter().any(|l| l.as_str().is_some_and(|l| l.starts_with(allowed)))
        };
        assert!(findings.iter().any(|f| is(&f)), "{args:?}: {findings:#?}");
        assert!(findings.iter().all(|f| f["allowed"] != Value::Array(Vec::new())), "{args:?}: {findings:#?}");
    }
}

/// A word that selects nothing is a mistake, also beside words that select something.
#[test]
fn a_word_that_selects_nothing_is_2() {
    check(&["explian", "RFC9293:MUST-13"], 2, "nothing is selected by \"explian\" (is it \"explain\"?)");
    check(&["doctr"], 2, "is it \"doctor\"?");
    check(&["handshake/passive-open", "resett"], 2, "is it \"reset\"?");
    check(&["handshake/pasive-open"], 2, "is it \"handshake/passive-open\"?");
    check(&["RFC9293:MSUT-13"], 2, "is it \"RFC9293:MUST-13\"?");
    check(&["handshake/passive-open", "no-such-*"], 2, "nothing is selected by \"no-such-*\"");
    check(&["list", "handshak"], 4, "is it \"handshake\"?");
}

#[test]
fn a_template_shows_its_vectors() {
    let text = out(&check(&["show", "reset/rst-exact"], 0, ""));
    assert!(text.contains("reset/rst-exact is a template") && text.contains("\n  reset/rst-exact@ESTABLISHED"), "{text}");
}

#[test]
fn mutants_are_listed_by_name_and_rule() {
    let text = out(&check(&["list", "--mutants", "last-ack-*"], 0, ""));
    assert!(!text.is_empty() && text.lines().all(|l| l.starts_with("last-ack-")), "{text}");
    let text = out(&check(&["list", "--mutants", "--rule", "RFC9293:MUST-13"], 0, ""));
    assert!(!text.is_empty() && text.lines().all(|l| l.contains("RFC9293:MUST-13")), "{text}");
}

/// Output that cannot be written is a fault; a reader that goes away is none.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_70() {
    let full = || fs::OpenOptions::new().write(true).open("/dev/full").expect("opens");
    for args in [&["list"][..], &["handshake/passive-open"], &["handshake/passive-open", "--format", "json"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_harness")).args(args).stdout(full()).output().expect("starts");
        assert_eq!(output.status.code(), Some(70), "{args:?}: {}", err(&output));
        assert_eq!(err(&output).matches("standard output cannot be written").count(), 1, "{args:?}: {}", err(&output));
    }
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let output = Command::new(env!("CARGO_BIN_EXE_harness")).arg("list").stdout(writer).output().expect("starts");
    assert_eq!((output.status.code(), err(&output).as_str()), (Some(0), ""));
}

#[test]
fn lists_shows_and_explains() {
    let text = out(&check(&["list", "handshake"], 0, ""));
    assert!(text.lines().all(|l| l.starts_with("handshake/")) && text.contains("handshake/passive-open "), "{text}");
    assert!(out(&check(&["list", "--rule", "RFC9293:MUST-13"], 0, "")).contains("timewait/"));

    let mutants = out(&check(&["list", "--mutants"], 0, ""));
    assert!(mutants.lines().count() >= 40 && mutants.contains("RFC9293:"), "{mutants}");

    let shown = out(&check(&["show", "handshake/passive-open"], 0, ""));
    assert!(shown.starts_with("//@ title: a passive open"), "{shown}");
    let filled = out(&check(&["show", "reset/rst-in-window@ESTABLISHED,1", "--target", "smoltcp"], 0, ""));
    assert!(filled.contains("< R 2:2(0) win 0") && !filled.contains("{rcv_nxt"), "{filled}");

    let explained = out(&check(&["explain", "RFC9293:MUST-13"], 0, ""));
    for needed in ["level: must (MUST)", "RFC 9293 section 3.6.1", "timewait/"] {
        assert!(explained.contains(needed), "{explained}");
    }
}

#[test]
fn two_runs_with_a_seed_say_the_same() {
    let run = || {
        let output = harness(&["http", "--format", "json", "--seed", "9", "--jobs", "1"]);
        let mut document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        for result in document["results"].as_array_mut().expect("results") {
            result["seconds"] = Value::Null;
        }
        document
    };
    assert_eq!(run(), run());
}

/// The command under limits of its own; `None`, said loudly, where they cannot be set here.
#[cfg(target_os = "linux")]
fn limited(with: &[&str], args: &[&str]) -> Option<Output> {
    let mut words = with.to_vec();
    words.push(env!("CARGO_BIN_EXE_harness"));
    words.extend(args);
    let output = Command::new(words[0]).args(&words[1..]).output().ok()?;
    let started = !matches!(output.status.code(), Some(126 | 127)) && !err(&output).starts_with(with[0]);
    started.then_some(output)
}

/// Fewer workers where there is no room for all, and never a panic.
#[cfg(target_os = "linux")]
#[test]
fn few_threads_make_few_workers() {
    use std::os::unix::fs::PermissionsExt;
    // Only another user than root is held to the limit, and it has to reach the command.
    let copy = env::temp_dir().join(format!("harness-for-nobody-{}", std::process::id()));
    fs::copy(env!("CARGO_BIN_EXE_harness"), &copy).expect("copies");
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).expect("may be run");
    let nobody = ["--reuid=65533", "--regid=65533", "--clear-groups", "prlimit", "--nproc=20"];
    let ran = Command::new("setpriv").args(nobody).arg(&copy).args(["--jobs", "64", "reset/*"]).output();
    fs::remove_file(&copy).expect("removes");
    match ran {
        Ok(output) if !err(&output).starts_with("setpriv") => {
            assert_eq!(output.status.code(), Some(0), "{}", err(&output));
            assert!(out(&output).contains(" at a time, not 64, for want of room: no thread "), "{}", out(&output));
        }
        other => writeln!(std::io::stderr(), "SKIPPED: not another user here: {other:?}").expect("says so"),
    }
}

/// A low limit of descriptors is raised; where it is hard there are fewer workers, and the error says what to do.
#[cfg(target_os = "linux")]
#[test]
fn few_descriptors_make_few_workers() {
    let args = ["--target", "linux-kernel", "reset/closed*"];
    let Some(raised) = limited(&["prlimit", "--nofile=64:4096"], &args) else {
        return writeln!(std::io::stderr(), "SKIPPED: no prlimit here").expect("says so");
    };
    if raised.status.code() == Some(77) {
        return kernel::is_missing(&err(&raised));
    }
    assert_eq!(raised.status.code(), Some(0), "{}", err(&raised));
    assert!(!out(&raised).contains("for want of room"), "{}", out(&raised));
    let few = limited(&["prlimit", "--nofile=64:64"], &args).expect("it ran before");
    assert_eq!(few.status.code(), Some(0), "{}", err(&few));
    let text = out(&few);
    assert!(text.contains("for want of room") && text.contains("ulimit -n") && text.contains("fewer --jobs"), "{text}");
}

/// Where there is no /dev/net/tun there is none afterwards either, whoever runs it.
#[cfg(target_os = "linux")]
#[test]
fn a_missing_tun_node_is_not_made() {
    let script =
        "mount -t tmpfs none /dev/net || exit 99; \"$0\" --target linux-kernel reset/closed-port-syn; code=$?; ls /dev/net; exit $code";
    let harness = env!("CARGO_BIN_EXE_harness");
    // Root alone may make a node; another user is root of a namespace, and sees the message.
    let root = nix::unistd::geteuid().is_root();
    let ran = Command::new("unshare").args(["-r", "-m"].iter().skip(usize::from(root))).args(["sh", "-c", script, harness]).output();
    match ran {
        Ok(output) if err(&output).contains("cannot run here") => {
            assert_eq!(output.status.code(), Some(77), "{}", err(&output));
            assert!(err(&output).contains("/dev/net/tun") && err(&output).contains("modprobe tun"), "{}", err(&output));
            assert_eq!(out(&output), "", "a node was made");
        }
        Ok(output) if output.status.code() == Some(0) => panic!("it ran without a node: {}", out(&output)),
        other => writeln!(std::io::stderr(), "SKIPPED: no /dev without a node to be had here: {other:?}").expect("says so"),
    }
}
