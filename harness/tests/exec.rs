//! Targets behind the protocol: as good as in process, and whatever an adapter does wrong is said and survived.
#![cfg(target_os = "linux")]

use std::path::Path;
use std::time::Duration;

use tcp_harness::adapter::{Found, examine};
use tcp_harness::fuzz::{Case, Fuzzer};
use tcp_harness::protocol;
use tcp_harness::run::{self, Done, Settings};
use tcp_harness::select::{Filter, all};
use tcp_harness::target::{Target, TargetError};
use tcp_harness::targets::exec::Exec;
use tcp_reference::api::{Call, CallResult, Family};
use tcp_reference::finding::{Class, Finding};

const HARNESS: &str = env!("CARGO_BIN_EXE_harness");
const PATIENCE: Duration = Duration::from_secs(20);

fn settings(target: &str) -> Settings {
    Settings { target: target.to_owned(), jobs: None, seed: 0, timeout: PATIENCE, profile: None }
}

/// What came out, without what took how long.
fn told(done: &[Done]) -> Vec<String> {
    let one = |d: &Done| {
        let findings: Vec<String> = d.outcome.findings.iter().map(Finding::fingerprint).collect();
        format!("{} {} {findings:?} {:?}", d.item, d.outcome.class, d.outcome.trace.events)
    };
    done.iter().map(one).collect()
}

#[test]
fn every_vector_gives_the_same_trace_as_in_process() {
    let vectors = all().unwrap_or_else(|e| panic!("{e}"));
    let items = Filter::default().items(&vectors);
    for name in ["reference", "smoltcp"] {
        let run = |target: &str| {
            let settings = settings(target);
            let mut capabilities = run::capabilities(&settings).unwrap_or_else(|e| panic!("{target}: {e:?}"));
            run::run(&items, &settings, &mut capabilities, |_| ()).unwrap_or_else(|e| panic!("{target}: {e:?}"))
        };
        let (within, behind) = (told(&run(name)), told(&run(&format!("exec:{HARNESS} serve {name}"))));
        for (a, b) in within.iter().zip(&behind) {
            assert_eq!(a, b);
        }
        assert_eq!(within.len(), behind.len());
    }
}

/// What no vector does and the fuzzer does: to write and to read nothing at all.
#[test]
fn a_call_that_moves_nothing_gives_the_same_as_in_process() {
    let script = "0 socket(..., SOCK_STREAM, IPPROTO_TCP)\n+0 listen(3, 8)\n+0 < S 0:0(0) win 65535\n+0 < . 1:1(0) ack 1 win 65535\n\
        +0 accept(3, ..., ...)\n+0 write(4, ..., 0)\n+0 < P. 1:11(10) ack 1 win 65535\n+0 read(4, ..., 0)\n+0 read(4, ..., 10)\n";
    let script = tcp_vectors::parse::vector("nothing", "nothing", script).unwrap_or_else(|e| panic!("{e}")).script();
    for name in ["reference", "smoltcp"] {
        let run = |target: &str| {
            let mut fuzzer = Fuzzer::new(target).unwrap_or_else(|e| panic!("{target}: {e:?}"));
            let outcome = fuzzer.outcome(&Case::new(script.clone(), 0));
            (outcome.class, outcome.reason, outcome.trace)
        };
        assert_eq!(run(name), run(&format!("exec:{HARNESS} serve {name}")));
    }
}

/// A shell script as an adapter; it has read hello and answered it.
fn adapter(rest: &str) -> String {
    let hello = r#"{"protocol":1,"name":"odd","version":"1","clock":"virtual","families":[4],"calls":["listen","recv"]}"#;
    format!("exec:sh -c 'read -r line; echo '\\''{hello}'\\''; read -r line; echo \"{{}}\"; {rest}'")
}

fn open(command: &str, limit: Duration) -> Exec {
    Exec::new(command.strip_prefix("exec:").unwrap_or(command), limit).unwrap_or_else(|e| panic!("{command}: {e:?}"))
}

const LISTEN: Call = Call::Listen { port: 80, family: Family::V4, backlog: 1 };

#[test]
fn an_adapter_that_dies_is_a_crash_with_its_last_words_and_is_started_again() {
    let mut target = open(&adapter("read -r line; echo first line >&2; echo assertion failed: seq >&2; exit 3"), PATIENCE);
    for _ in 0..2 {
        let Err(TargetError::Crash(text)) = target.call(&LISTEN) else { panic!("it lives") };
        for needed in ["exit status: 3", "first line\nassertion failed: seq", r#"asked: {"op":"listen","port":80"#] {
            assert!(text.contains(needed), "{text}");
        }
        assert!(matches!(target.call(&LISTEN), Err(TargetError::Crash(_))), "dead until it is reset");
        target.reset(1).unwrap_or_else(|e| panic!("{e:?}"));
    }
}

/// Linux counts what a process holds with some delay and in pages: the bounds are wide.
#[test]
fn growth_is_that_of_the_process_since_its_first_reset() {
    // Eight million octets with the second reset.
    let grows = "x=; while read -r line; do test -n \"$x\" || x=$(head -c 8000000 /dev/zero | tr \"\\0\" a); echo \"{}\"; done";
    let mut exec = open(&adapter(grows), PATIENCE);
    assert!(exec.growth().is_some_and(|n| n < 1_000_000), "{:?}", exec.growth());
    exec.reset(1).unwrap_or_else(|e| panic!("{e:?}"));
    assert!(exec.growth().is_some_and(|n| (7_000_000..80_000_000).contains(&n)), "{:?}", exec.growth());
    exec.renew();
    assert_eq!(exec.growth(), None);
    exec.reset(1).unwrap_or_else(|e| panic!("{e:?}"));
    assert!(exec.growth().is_some_and(|n| n < 1_000_000), "{:?}", exec.growth());
}

#[test]
fn a_signal_is_named() {
    let mut target = open(&adapter("read -r line; kill -SEGV $$"), PATIENCE);
    let Err(TargetError::Crash(text)) = target.call(&LISTEN) else { panic!("it lives") };
    assert!(text.contains("SIGSEGV"), "{text}");
}

#[test]
fn an_adapter_that_does_not_answer_hangs_and_so_does_one_that_does_not_read() {
    let mut target = open(&adapter("read -r line; echo stuck >&2; exec sleep 1000"), Duration::from_millis(300));
    let Err(TargetError::Hang(text)) = target.call(&LISTEN) else { panic!("it answered") };
    assert!(text.contains("no answer within 0.3 s") && text.contains("stuck"), "{text}");
    target.reset(1).unwrap_or_else(|e| panic!("{e:?}"));
    // More than a pipe holds.
    let Err(TargetError::Hang(_)) = target.deliver(&vec![vec![0; 60_000]; 4]) else { panic!("it answered") };
}

#[test]
fn a_line_that_is_no_response_is_a_crash_and_says_why() {
    for (line, why) in [
        ("hello there", "expected value"),
        ("{\"socket\":\"three\"}", "invalid type: string"),
        ("{}", "it has no \"socket\""),
        ("{\"error\":\"oops\"}", "say \"other: oops\""),
        ("{\"packets\":[{\"us\":1,\"ip\":\"4\"}]}", "Odd number of digits"),
    ] {
        let mut target = open(&adapter(&format!("read -r line; echo '\\''{line}'\\''; read -r line")), PATIENCE);
        let Err(TargetError::Crash(text)) = target.call(&LISTEN) else { panic!("{line} was taken") };
        assert!(text.contains(why), "{text}");
    }
}

#[test]
fn a_flood_is_one() {
    let mut target = open(&adapter("while read -r line; do echo '\\''{\"flood\":true}'\\''; done"), PATIENCE);
    assert!(matches!(target.deliver(&[]), Err(TargetError::Flood(_))));
    // The answer to a call that did not end has no value.
    assert!(matches!(target.call(&LISTEN), Err(TargetError::Flood(_))));
}

#[test]
fn what_the_stack_lacks_is_unsupported_and_not_even_asked() {
    let mut target = open(&adapter("read -r line; exit 1"), PATIENCE);
    let call = Call::Connect { port: 1, remote_port: 2, family: Family::V4 };
    assert_eq!(target.call(&call).map(|r| r.value), Ok(CallResult::Unsupported));
}

#[test]
fn a_command_that_is_none_is_said() {
    for (command, why) in
        [("/nowhere/adapter", "cannot be started"), ("sh -c 'exit 4'", "exit status: 4"), ("sh -c 'unclosed", "no command")]
    {
        match Exec::new(command, PATIENCE) {
            Err(TargetError::Unavailable(text)) => assert!(text.contains(why), "{text}"),
            Err(other) => panic!("{command}: {other:?}"),
            Ok(_) => panic!("{command} was started"),
        }
    }
}

fn words(script: &str) -> Vec<String> {
    ["sh", "-c", script].map(str::to_owned).to_vec()
}

/// Which checks of `target-check` find something wrong.
fn wrong(script: &str) -> Vec<&'static str> {
    let (_, checks) = examine(&words(script), Duration::from_secs(5));
    checks.into_iter().filter(|c| matches!(c.found, Found::Wrong(_))).map(|c| c.what).collect()
}

#[test]
fn the_check_of_adapters_finds_nothing_wrong_with_right_ones() {
    for target in ["reference", "smoltcp"] {
        let (identity, checks) = examine(&words(&format!("exec {HARNESS} serve {target}")), PATIENCE);
        let bad: Vec<_> = checks.iter().filter(|c| c.found != Found::Right).collect();
        assert!(bad.is_empty() && identity.is_some_and(|i| i.name == target), "{bad:?}");
    }
}

/// Each check fails for the fault that it is there to find: the responses of a right adapter, or the requests to it, bent by a script.
#[test]
fn the_check_of_adapters_finds_planted_faults() {
    let serve = format!("{HARNESS} serve reference");
    let responses = |sed: &str| format!("{serve} | sed -uE '{sed}'");
    let cases = [
        ("exit 1".to_owned(), "it starts and answers hello"),
        (responses(r#"s/"name":"reference"/"name":"My Stack"/"#), "hello says what the target is"),
        (responses(r#"s/"unsupported":true//"#), "an operation that nobody knows is unsupported"),
        (responses(r#"s/"error":"invalid"//"#), "a line that is no request is invalid"),
        (
            format!("while IFS= read -r l; do case $l in *colour*) echo nonsense;; *) printf \"%s\\n\" \"$l\";; esac; done | {serve}"),
            "fields that nobody knows are ignored",
        ),
        (
            format!(
                "n=0; while IFS= read -r l; do case $l in *reset*) n=$((n+1)); [ $n -gt 1 ] && l=\"{{\\\"op\\\":\\\"deliver\\\",\\\"packets\\\":[]}}\";; esac; printf \"%s\\n\" \"$l\"; done | {serve}"
            ),
            "reset gives a fresh stack",
        ),
        (responses(r#"s/"LISTEN"/"OPEN"/"#), "a listener listens"),
        (responses(r#"s/"error":"invalid"/"error":"closed"/"#), "a socket id that was never given is invalid"),
        (
            responses(r#"s/"packets":\[\{"us":[0-9]*,"ip":"45[0-9a-f]*"\}\],?//"#),
            "a handshake over IPv4, and its answer in the same response",
        ),
        (
            responses(r#"s/"packets":\[\{"us":[0-9]*,"ip":"6[0-9a-f]*"\}\],?//"#),
            "a handshake over IPv6, and its answer in the same response",
        ),
        (responses(r#"s/"ip":"([0-9a-f]*)"/"ip":"\U\1"/g"#), "a handshake over IPv4, and its answer in the same response"),
        (responses(r#"s/"tick_us":1/"tick_us":18446744073709551615/"#), "hello says what the target is"),
        (responses(r#"s/"count":5/"count":4/"#), "octets go in and out as they are"),
        (responses(r#"s/"data":"(..)/"data":"00/"#), "octets go in and out as they are"),
        (responses(r#"s/"eof":true/"error":"would-block"/"#), "the end of the stream, and closing"),
        (responses(r#"s/"error":"refused"/"error":"would-block"/"#), "what a connection ended by is the answer of every later call"),
        (
            format!(
                "while IFS= read -r l; do case $l in *abort*) l=\"{{\\\"op\\\":\\\"deliver\\\",\\\"packets\\\":[]}}\";; esac; printf \"%s\\n\" \"$l\"; done | {serve}"
            ),
            "abort sends a reset, and close and abort can be called again",
        ),
        // What a SEND brings out comes with the next answer.
        (
            responses(
                r#"/"count":3000/{h; s/"packets":\[[^]]*\],?//; b}; x; /packets/!{x; b}; s/.*("packets":\[[^]]*\]).*/\1/; G; s/\n\{/,/; s/^/{/; h; s/.*//; x"#,
            ),
            "nothing comes without input or time",
        ),
        (responses(r#"s/"next_timer_us":[0-9]+/"next_timer_us":3900000/"#), "the clock, and the next timer"),
        (responses(r#"s/"us":[0-9]+/"us":77/"#), "the clock, and the next timer"),
        (
            format!(
                "n=0; while IFS= read -r l; do case $l in *\\\"seed\\\":99*) n=$((n+1)); l=$(echo \"$l\" | sed s/99/$n/);; esac; printf \"%s\\n\" \"$l\"; done | {serve}"
            ),
            "the same seed and requests give the same octets",
        ),
        (format!("{serve}; exit 3"), "the end of its input ends it"),
    ];
    for (script, check) in cases {
        let found = wrong(&script);
        assert!(found.contains(&check), "{check} finds nothing in {script}: {found:?}");
    }
}

#[test]
fn the_schema_is_the_protocols_and_every_line_fits_it() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target-protocol.schema.json");
    let text = format!("{:#}\n", protocol::schema());
    if std::env::var_os("SCHEMA").is_some_and(|v| v == "write") {
        std::fs::write(&path, &text).unwrap_or_else(|e| panic!("{e}"));
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(written, text, "run SCHEMA=write cargo test -p tcp-harness --test exec the_schema");
}

/// The example adapters do what `TARGETS.md` says, and every line that goes either way fits the schema.
#[test]
fn the_examples_are_right_adapters() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters/example");
    let compiled = Path::new(env!("CARGO_TARGET_TMPDIR")).join("example-adapter");
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let built = std::process::Command::new(&compiler)
        .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-O2", "-o"])
        .args([&compiled, &folder.join("adapter.c")])
        .status();
    assert!(built.is_ok_and(|s| s.success()), "{compiler} does not build adapter.c");
    let mut adapters = vec![(compiled.display().to_string(), "reset/closed-port-*", 10)];
    if std::process::Command::new("python3").arg("--version").output().is_ok() {
        adapters.push((format!("python3 {}", folder.join("adapter.py").display()), "handshake", 10));
    } else {
        eprintln!("!!! there is no python3: the example adapter in Python is not tested");
    }
    let schema = protocol::schema();
    let fits = |kind: &str| {
        let of = schema["$defs"][kind].clone();
        jsonschema::validator_for(&of).unwrap_or_else(|e| panic!("{kind}: {e}"))
    };
    let (request, hello, response) = (fits("request"), fits("hello"), fits("response"));
    let vectors = all().unwrap_or_else(|e| panic!("{e}"));
    for (command, filter, least) in adapters {
        let (_, checks) = examine(&shell_words::split(&command).unwrap_or_default(), PATIENCE);
        assert!(checks.iter().all(|c| !matches!(c.found, Found::Wrong(_))), "{command}: {checks:?}");

        // Through tee: what was asked and answered can be read afterwards.
        let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join("lines");
        let [asked, answered] = ["asked", "answered"].map(|name| log.with_extension(name).display().to_string());
        let listened = format!("exec:sh -c 'tee {asked} | {command} | tee {answered}'");
        let items = Filter { words: vec![filter.to_owned()], family: Some(Family::V4), ..Filter::default() }.items(&vectors);
        let settings = Settings { jobs: Some(1), ..settings(&listened) };
        let mut capabilities = run::capabilities(&settings).unwrap_or_else(|e| panic!("{e:?}"));
        let done = run::run(&items, &settings, &mut capabilities, |_| ()).unwrap_or_else(|e| panic!("{e:?}"));
        let good = done.iter().filter(|d| matches!(d.outcome.class, Class::Conforms | Class::Variant)).count();
        assert!(good >= least, "{command}: {good} of {}", done.len());
        for (file, first, others) in [(asked, &request, &request), (answered, &hello, &response)] {
            let text = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{file}: {e}"));
            assert!(text.lines().count() > 20, "{file}");
            for (i, line) in text.lines().enumerate() {
                let value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}"));
                let schema = if i == 0 { first } else { others };
                assert!(schema.is_valid(&value), "{line}: {:?}", schema.iter_errors(&value).map(|e| e.to_string()).collect::<Vec<_>>());
            }
        }
    }
}
