//! The fuzzer's engine: its seeds are the vectors, the reference runs clean, every mutant is found, and every run repeats.
//!
//! `FUZZ_STEPS=5000000 cargo test --release -p tcp-harness --test fuzz` runs longer; `FUZZ_SEEDS=write` writes the seeds anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use tcp_harness::fuzz::{Case, Departures, Fuzzer, Generator, Known, Verdict, seeds, stimuli};
use tcp_harness::mutants::{BEYOND_A_SCRIPT, Budget, Killed, Scripts, Trial, fuzz, fuzzer, trials};
use tcp_harness::profile::profile_for;
use tcp_harness::run::processors;
use tcp_harness::session::{self, Options};
use tcp_harness::target::Clock;
use tcp_harness::targets::reference::Reference;
use tcp_reference::api::{Call, CallError, CallResult, Family};
use tcp_reference::finding::{Class, Finding};
use tcp_reference::oracle::Oracle;
use tcp_reference::segment::{Flags, Segment, TcpOption, Tuple};
use tcp_reference::seq::Seq;
use tcp_reference::stack::{MUTANTS, Mutant, Policy};
use tcp_reference::trace::{Arrival, Trace, What};

/// The seeds' directory.
fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/segments")
}

/// The octets of every seed by its file's name: of a template the first cell. Which manner it runs in follows from its name.
fn expected_seeds() -> BTreeMap<String, Vec<u8>> {
    let mut cells: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for seed in seeds() {
        let name = seed.id.split('@').next().unwrap_or_default().replace('/', "-");
        let manner = name.bytes().map(usize::from).sum::<usize>() % 4;
        cells.entry(name).or_insert_with(|| Case::new(seed.script, manner).encode());
    }
    cells
}

/// Whether libFuzzer chose the name: a hash.
fn is_the_fuzzers(name: &str) -> bool {
    name.len() == 40 && name.bytes().all(|b| b.is_ascii_hexdigit())
}

#[test]
fn the_seeds_are_the_vectors() {
    let expected = expected_seeds();
    let directory = corpus();
    if env::var("FUZZ_SEEDS").is_ok_and(|v| v == "write") {
        fs::create_dir_all(&directory).expect("the corpus can be made");
        for entry in fs::read_dir(&directory).expect("the corpus can be read") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if !is_the_fuzzers(&name) {
                fs::remove_file(path).expect("an old seed can be removed");
            }
        }
        for (name, octets) in &expected {
            fs::write(directory.join(name), octets).expect("a seed can be written");
        }
    }
    let mut wrong = Vec::new();
    for (name, octets) in &expected {
        if fs::read(directory.join(name)).ok().as_ref() != Some(octets) {
            wrong.push(format!("{name} is missing or differs"));
        }
    }
    for entry in fs::read_dir(&directory).expect("fuzz/corpus/segments is there") {
        let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
        if !is_the_fuzzers(&name) && !expected.contains_key(&name) {
            wrong.push(format!("{name} belongs to no vector"));
        }
    }
    assert!(wrong.is_empty(), "write the seeds anew with FUZZ_SEEDS=write cargo test -p tcp-harness --test fuzz:\n{}", wrong.join("\n"));
}

/// Steps of a test: so many, or what `FUZZ_STEPS` says.
fn steps(usual: u64) -> u64 {
    env::var("FUZZ_STEPS").ok().and_then(|n| n.parse().ok()).unwrap_or(usual)
}

#[test]
fn the_reference_runs_clean_in_every_policy() {
    let policies = Policy::permitted();
    let each = steps(200_000) / u64::try_from(policies.len()).unwrap_or(1);
    let mut failures = String::new();
    let (mut judged, mut unjudged) = (0, 0);
    for (seed, (name, policy)) in (1..).zip(policies) {
        let target = Reference::new(policy.clone(), None);
        let departures = if policy.departs() { Departures::PassOver } else { Departures::Count };
        let mut fuzzer = Fuzzer::with(Box::new(target), policy.profile()).knowing(Known::AfterTheFirst).counting(departures);
        let mut generator = Generator::new(seed);
        while fuzzer.tally().steps < each {
            match fuzzer.judge(&generator.case()) {
                Verdict::Nothing | Verdict::Known => {}
                Verdict::New(discovery) => {
                    let _ = writeln!(failures, "=== {name}\n{}", fuzzer.report(&discovery));
                }
                Verdict::NotPerformed(why) => {
                    let _ = writeln!(failures, "=== {name}: not performed: {why}");
                }
            }
        }
        println!("{name}: {}", fuzzer.tally());
        judged += fuzzer.tally().judged;
        unjudged += fuzzer.tally().unjudged;
    }
    assert!(failures.is_empty(), "{} findings on the reference:\n{failures}", failures.matches("===").count());
    assert!(unjudged * 1000 <= judged, "{unjudged} of {judged} segments were not judged");
}

#[test]
fn a_seed_repeats_to_the_octet() {
    for target in ["reference", "smoltcp"] {
        let run = || {
            let mut fuzzer = Fuzzer::new(target).unwrap_or_else(|e| panic!("{target}: {e:?}"));
            let mut generator = Generator::new(5);
            let mut traces = String::new();
            for _ in 0..200 {
                let outcome = fuzzer.outcome(&generator.case());
                let _ = write!(traces, "{:?}{:?}", outcome.trace, outcome.findings);
            }
            traces
        };
        assert!(run() == run(), "{target} gave another trace for the same seed");
    }
}

#[test]
fn less_than_a_thousandth_of_smoltcps_segments_is_not_judged() {
    let mut fuzzer = Fuzzer::new("smoltcp").unwrap_or_else(|e| panic!("{e:?}"));
    let mut generator = Generator::new(1);
    while fuzzer.tally().steps < steps(50_000) {
        if let Verdict::NotPerformed(why) = fuzzer.judge(&generator.case()) {
            panic!("not performed: {why}");
        }
    }
    let tally = fuzzer.tally();
    println!("{tally}");
    assert!(tally.unjudged * 1000 <= tally.judged, "{} of {} segments were not judged", tally.unjudged, tally.judged);
}

/// A false alarm that fuzzing met: what R2 ends is not owed any more.
#[test]
fn giving_up_is_no_missing_ack() {
    // RFC 9293 section 3.8.3: R2 closes the connection at 183 s, before the delayed ACK for the text falls due.
    let at_r2 = "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 bind(3, ..., ...) = 0\n+0 listen(3, 8) = 0\n+0 < S 0:0(0) win 65535\n\
        +0 < . 1:1(0) ack 1 win 65535\n+0 accept(3, ..., ...) = 4\n+0 write(4, ..., 100) = 100\n\
        +182.821983 < . 1:11(10) ack 0 win 65535\n";
    let vector = tcp_vectors::parse::vector("at-r2", "at-r2", at_r2).unwrap_or_else(|e| panic!("{e}"));
    let policy = Policy::default();
    let options = Options::new(Family::V4, 2, policy.profile(), Clock::Virtual);
    let outcome = session::run_vector(&mut Reference::new(policy, None), &vector, &options);
    assert!(outcome.findings.iter().all(|f| f.class > Class::Violates), "{:?}", outcome.findings);
}

/// What the oracle finds where Linux did this, an event every ten microseconds.
fn findings_on_linux(events: impl IntoIterator<Item = What>) -> Vec<Finding> {
    let mut trace = Trace::default();
    for (event, at) in events.into_iter().zip((10..).step_by(10)) {
        if !matches!(event, What::Emit { .. }) {
            trace.push(at, What::Quiet);
        }
        trace.push(at, event);
    }
    let mut oracle = Oracle::new(profile_for("linux-kernel"));
    oracle.read(&trace);
    oracle.finish();
    oracle.findings().to_vec()
}

/// The peer's segments count from 0, the stack's from 1000.
fn segment(flags: Flags, seq: u32, ack: u32, window: u16, text: &[u8]) -> Segment {
    Segment { seq: Seq(seq), ack: Seq(ack), flags, window, payload: text.to_vec(), ..Segment::default() }
}

fn ends() -> Tuple {
    Tuple { local: ([10, 0, 0, 1], 8080).into(), remote: ([10, 0, 0, 2], 40_000).into() }
}

fn arrives(flags: Flags, seq: u32, ack: u32, window: u16, text: &[u8]) -> What {
    What::Arrive { tuple: ends(), arrival: Arrival::Segment(segment(flags, seq, ack, window, text)) }
}

fn emits(flags: Flags, seq: u32, ack: u32, text: &[u8]) -> What {
    let segment = segment(flags, seq, ack, 64_240, text);
    let segment = if segment.is_syn() { segment.with_option(TcpOption::Mss(1460)) } else { segment };
    What::Emit { tuple: ends(), segment, defects: Vec::new() }
}

fn call(call: Call, result: CallResult) -> What {
    What::Call { call, result }
}

fn listens() -> What {
    call(Call::Listen { port: 8080, family: Family::V4, backlog: 8 }, CallResult::Socket(3))
}

fn accepts() -> What {
    call(Call::Accept { socket: 3 }, CallResult::Accepted { socket: 4, peer: Some(ends().remote) })
}

/// A false alarm that fuzzing met on Linux: where the peer shrank the window, the reset of an ABORT carries a number that is still in it, for
/// the peer would drop another one.
#[test]
fn an_abort_into_a_shrunken_window_may_carry_its_edge() {
    let reset_at = |seq| {
        findings_on_linux([
            listens(),
            arrives(Flags::SYN, 0, 0, 65_535, b""),
            emits(Flags::SYN | Flags::ACK, 1000, 1, b""),
            arrives(Flags::ACK, 1, 1001, 65_535, b""),
            accepts(),
            call(Call::Send { socket: 4, data: b"0123456789".to_vec(), urgent: false }, CallResult::Count(10)),
            emits(Flags::ACK | Flags::PSH, 1001, 1, b"0123456789"),
            arrives(Flags::ACK, 1, 1001, 4, b""),
            call(Call::Abort { socket: 4 }, CallResult::Done),
            emits(Flags::RST | Flags::ACK, seq, 1, b""),
        ])
    };
    // SND.UNA+SND.WND, SND.NXT, and between them.
    for seq in [1005, 1007, 1011] {
        assert!(reset_at(seq).iter().all(|f| f.class > Class::Violates), "{seq}: {:?}", reset_at(seq));
    }
    for seq in [1001, 1004, 1012] {
        assert!(reset_at(seq).iter().any(|f| f.class == Class::Violates), "{seq}");
    }
}

/// A false alarm that fuzzing met on Linux: `accept` gives the connection that was reset while it waited, before the next of its tuple.
#[test]
fn accept_gives_what_ended_while_it_waited() {
    let found = findings_on_linux([
        listens(),
        arrives(Flags::SYN, 0, 0, 65_535, b""),
        emits(Flags::SYN | Flags::ACK, 1000, 1, b""),
        arrives(Flags::ACK, 1, 1001, 65_535, b""),
        arrives(Flags::RST, 1, 0, 0, b""),
        arrives(Flags::SYN, 0, 0, 65_535, b""),
        emits(Flags::SYN | Flags::ACK, 5000, 1, b""),
        arrives(Flags::ACK, 1, 5001, 65_535, b""),
        accepts(),
        call(Call::Recv { socket: 4, max: 10 }, CallResult::Error(CallError::Reset)),
        call(Call::Accept { socket: 3 }, CallResult::Accepted { socket: 5, peer: Some(ends().remote) }),
        call(Call::Recv { socket: 5, max: 10 }, CallResult::Error(CallError::WouldBlock)),
    ]);
    assert!(found.iter().all(|f| f.class > Class::Violates), "{found:?}");
}

/// What is printed of a discovery can be given to `harness replay`.
#[test]
fn a_discovery_is_a_vector_that_replays() {
    let mutant = Mutant::by_name("last-ack-ignores-rst").expect("a mutant");
    let policy = (mutant.policy)();
    let mut fuzzer = Fuzzer::with(Box::new(Reference::new(policy.clone(), Some(mutant))), policy.profile());
    let mut generator = Generator::new(1);
    let discovery = loop {
        if let Verdict::New(discovery) = fuzzer.judge(&generator.case()) {
            break discovery;
        }
    };
    let told = fuzzer.report(&discovery);
    let vector = tcp_vectors::parse::vector("found", "found.pkt", &told.script()).unwrap_or_else(|e| panic!("{e}\n{told}"));
    let wrong: Vec<_> = tcp_vectors::lint::vector(&vector).into_iter().filter(|l| !l.kind.is_about_the_tree()).collect();
    assert!(wrong.is_empty(), "{wrong:?}\n{told}");
    let options = Options::new(discovery.case.family, discovery.case.seed, policy.profile(), Clock::Virtual);
    let outcome = session::run_vector(&mut Reference::new(policy, Some(mutant)), &vector, &options);
    assert_eq!(outcome.class, Class::Violates, "{:?}", outcome.reason);
}

/// What guided fuzzing once found on the reference: false alarms of the oracle, and faults of the reference.
#[test]
fn what_was_mended_stays_mended() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clean");
    let mut files: Vec<PathBuf> = fs::read_dir(directory).expect("the scripts").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    assert!(files.len() >= 5);
    for file in files {
        let name = file.display().to_string();
        let text = fs::read_to_string(&file).expect("a script can be read");
        let vector = tcp_vectors::parse::vector("clean", &name, &text).unwrap_or_else(|e| panic!("{e}"));
        for policy in [Policy::default(), Policy::with_ecn()] {
            let options = Options::new(vector.header.families[0], 0, policy.profile(), Clock::Virtual);
            let outcome = session::run_vector(&mut Reference::new(policy, None), &vector, &options);
            assert_eq!(outcome.class, Class::Conforms, "{name}: {:?} {:?}", outcome.reason, outcome.findings);
            assert_eq!(outcome.stats.unjudged, 0, "{name}");
        }
    }
}

/// Mutants that show in so few scripts that not each seed leads to one within the budget.
const RARE: [&str; 4] =
    ["sacked-head-not-resent", "time-wait-a-fifth-too-short", "time-wait-a-fifth-too-long", "congestion-window-not-deflated"];

#[test]
fn every_mutant_is_found_from_each_seed() {
    let easy = |m: &&Mutant| !BEYOND_A_SCRIPT.contains(&m.name) && !RARE.contains(&m.name);
    let mutants: Vec<&'static Mutant> = MUTANTS.iter().filter(easy).collect();
    let tried: Vec<Vec<Trial>> = (1..=3)
        .map(|seed| trials(&mutants, &[], Budget { seed, steps: MOST_STEPS, jobs: processors(), scripts: Scripts::Vectors }))
        .collect();
    let mut table = String::new();
    let mut survivors = Vec::new();
    for (i, mutant) in mutants.iter().enumerate() {
        let took: Vec<String> = tried
            .iter()
            .zip(1..)
            .map(|(trials, seed)| match &trials[i].killed {
                Killed::After(steps) => steps.to_string(),
                Killed::By(_) | Killed::Not => {
                    survivors.push(format!("{} from seed {seed}", mutant.name));
                    "-".to_owned()
                }
            })
            .collect();
        let _ = writeln!(table, "{:42} {}", mutant.name, took.join(", "));
    }
    println!("steps until each mutant was found from seeds 1 to 3:\n{table}");
    assert!(survivors.is_empty(), "not found within {MOST_STEPS} steps: {}", survivors.join(", "));
}

/// Steps within which a mutant must be found.
const MOST_STEPS: u64 = 500_000;

/// Of every so-manieth mutant the finding is minimised.
const SAMPLED: usize = 6;

#[test]
fn findings_on_mutants_are_short() {
    let mut long = Vec::new();
    for mutant in MUTANTS.iter().filter(|m| !BEYOND_A_SCRIPT.contains(&m.name)).step_by(sampled()) {
        let budget = Budget { seed: 1, steps: MOST_STEPS, jobs: 1, scripts: Scripts::Grammar };
        let Some(discovery) = fuzz(mutant, budget).discovery else { continue };
        let minimised = fuzzer(mutant, Some(mutant)).minimised(&discovery);
        let stimuli = stimuli(&minimised.case.script);
        println!("{stimuli:3} {:48} {}", mutant.name, discovery.fingerprint);
        if stimuli > MOST_STIMULI && !LONG_BY_NATURE.contains(&mutant.name) {
            long.push(format!("{}: {stimuli}\n{}", mutant.name, fuzzer(mutant, Some(mutant)).report(&discovery)));
        }
    }
    assert!(long.is_empty(), "more than {MOST_STIMULI} stimuli:\n{}", long.join("\n"));
}

/// How many mutants are passed over between two whose findings are minimised; all are looked at with `MINIMISE_EVERY=1`.
fn sampled() -> usize {
    env::var("MINIMISE_EVERY").ok().and_then(|n| n.parse().ok()).filter(|n| *n > 0).unwrap_or(SAMPLED)
}

/// Stimuli of a minimised finding at most: what reaches the stack, or lets time pass.
const MOST_STIMULI: usize = 8;
/// Mutants whose fault needs more by its nature.
const LONG_BY_NATURE: [&str; 16] = [
    // The user does not read until the stack's window is full: 23 segments.
    "rst-at-zero-window-ignored",
    "ack-at-zero-window-not-honoured",
    "receiver-silly-window",
    "ce-on-probe-not-echoed",
    // A small window is filled by segments that any link carries.
    "only-the-last-window-honoured",
    // More challenges than any throttle lets through.
    "challenges-without-end",
    "challenges-end-for-ever",
    // A connection from end to end, and a FIN again.
    "time-wait-a-fifth-too-short",
    // An ECE, and more new text twice.
    "cwr-on-all-new-text",
    // A time-out, and acknowledgments until slow start is over.
    "threshold-survives-a-time-out",
    // Three duplicates, and what follows the fast retransmission.
    "congestion-window-not-deflated",
    "window-updates-count-as-duplicates",
    "slow-start-never-ends",
    "sacked-head-not-resent",
    // Three connections, one after another.
    "isn-at-random",
    "isn-clock-stands",
];
