//! The oracle against stacks that are known: the reference in every policy gives no finding, every mutant gives one that names its rule.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::LazyLock;

use tcp_harness::select;
use tcp_harness::session::{self, Options, Outcome};
use tcp_harness::target::{Clock, Target};
use tcp_harness::targets::reference::Reference;
use tcp_reference::api::Family;
use tcp_reference::catalogue;
use tcp_reference::finding::Class;
use tcp_reference::judged::{Judged, judged};
use tcp_reference::profile::Profile;
use tcp_reference::rules::PERMISSIONS;
use tcp_reference::stack::{HELD_OUT, MUTANTS, Mutant, Policy};
use tcp_reference::trace::{Trace, What};
use tcp_vectors::model::Vector;

static VECTORS: LazyLock<Vec<Vector>> = LazyLock::new(|| select::all().unwrap_or_else(|e| panic!("{e}")));

fn run(target: &mut dyn Target, policy: &Policy, vector: &Vector, family: Family, seed: u64) -> Outcome {
    let options = Options::new(family, seed, policy.profile(), Clock::Virtual);
    session::run_vector(target, vector, &options)
}

fn families(vector: &Vector) -> Vec<Family> {
    if vector.header.families.is_empty() { vec![Family::V4, Family::V6] } else { vector.header.families.clone() }
}

fn ladder(trace: &Trace) -> String {
    let mut text = String::new();
    for (i, e) in trace.events.iter().enumerate() {
        let line = match &e.what {
            What::Quiet | What::Stall => continue,
            What::Arrive { arrival, .. } => format!("< {arrival:?}"),
            What::Emit { segment, .. } => format!("> {segment}"),
            What::Call { call, result } => format!("{call:?} = {result:?}"),
        };
        let line: String = line.chars().take(160).collect();
        let _ = writeln!(text, "{i:5} {:>12} {line}", e.at);
    }
    text
}

#[test]
fn the_reference_gives_no_finding_in_any_policy() {
    let mut failures = String::new();
    let mut judged = 0;
    for (name, policy) in Policy::permitted() {
        let mut target = Reference::new(policy.clone(), None);
        for vector in VECTORS.iter() {
            for family in families(vector) {
                let outcome = run(&mut target, &policy, vector, family, 7);
                judged += outcome.stats.judged;
                let bad: Vec<_> = outcome
                    .findings
                    .iter()
                    .filter(|f| f.class == Class::Violates || (f.class == Class::Departs && !policy.departs()))
                    .collect();
                let unperformed =
                    matches!(outcome.class, Class::Inconclusive | Class::NotPerformed | Class::Crash | Class::Hang | Class::Flood);
                if !bad.is_empty() || unperformed || outcome.stats.unjudged > 0 {
                    let _ = writeln!(failures, "\n=== {} over IPv{family}, {name}: {} {:?}", vector.id, outcome.class, outcome.reason);
                    for f in &bad {
                        let _ = writeln!(
                            failures,
                            "  {} at event {} {}: {}; allowed {:?}",
                            f.fingerprint(),
                            f.event,
                            f.class,
                            f.seen,
                            f.allowed
                        );
                    }
                    if family == Family::V4 {
                        failures += &ladder(&outcome.trace);
                    }
                }
            }
        }
    }
    assert!(failures.is_empty(), "{} cases:{failures}", failures.matches("===").count());
    assert!(judged > 10_000, "only {judged} segments were judged");
}

/// Mutants that are found out, but under the name of another rule first.
const MISNAMED: &[&str] = &[
    // What follows from it shows first.
    "listen-syn-establishes-at-once",
    "time-out-leaves-the-congestion-window",
    "fast-retransmit-at-second-duplicate",
    "window-update-ignored",
];

/// Mutants that the oracle finds out in no vector, and why.
const NOT_BY_A_VECTOR: &[&str] = &[
    // It does what a right stack may do (`survivors.toml`).
    "abort-in-closing-resets",
    // A vector's own assertion finds it: that the error was not told before, the oracle cannot know.
    "refusal-kept-from-the-user",
];

/// Rules that findings name, but that no mutant has them name first yet.
const UNTRIED: &[&str] = &[];

#[test]
fn every_mutant_is_caught_by_a_vector_that_names_its_rule() {
    let mut table = String::new();
    let mut failed = Vec::new();
    let mut named = BTreeSet::new();
    let (mut named_first, mut found) = (0, 0);
    for mutant in MUTANTS {
        let mut rules: BTreeMap<String, (usize, String)> = BTreeMap::new();
        let mut first_in: Option<&str> = None;
        let policy = (mutant.policy)();
        let mut target = Reference::new(policy.clone(), Some(mutant));
        for vector in VECTORS.iter() {
            let outcome = run(&mut target, &policy, vector, Family::V4, 7);
            let Some(first) =
                outcome.findings.iter().find(|f| f.class <= Class::Violates && f.kind != "expectation" && !f.kind.ends_with("-result"))
            else {
                continue;
            };
            let entry = rules.entry(first.rule.to_string()).or_insert((0, vector.id.clone()));
            entry.0 += 1;
            found += 1;
            if mutant.breaks.contains(&first.rule) {
                named_first += 1;
                named.insert(first.rule);
                first_in = first_in.or(Some(&vector.id));
            }
        }
        if std::env::var("MUTANT").is_ok_and(|m| m == mutant.name) {
            for vector in VECTORS.iter().filter(|v| rules.values().any(|r| r.1 == v.id)) {
                let outcome = run(&mut target, &policy, vector, Family::V4, 7);
                println!("{}\n{}{:#?}", vector.id, ladder(&outcome.trace), outcome.findings);
            }
        }
        let _ = writeln!(table, "{:42} {}", mutant.name, first_in.unwrap_or("SURVIVES"));
        let expected = match mutant.name {
            name if NOT_BY_A_VECTOR.contains(&name) => rules.is_empty(),
            name => first_in.is_some() != MISNAMED.contains(&name) && !rules.is_empty(),
        };
        if !expected {
            failed.push((mutant, rules));
        }
    }
    println!("{table}{} mutants; of {found} findings on them {named_first} name the broken rule first", MUTANTS.len());
    let text: Vec<String> = failed.iter().map(|(m, r)| format!("{}: breaks {:?}, found {r:?}", m.name, m.breaks)).collect();
    // Every other rule that findings can name is named first in a run of a mutant that breaks it.
    let nameable = catalogue::rules().iter().filter(|r| judged(r.id) == Some(Judged::Named));
    let never: Vec<_> = nameable.map(|r| r.id).filter(|id| !named.contains(id)).map(|id| id.0).collect();
    assert!(failed.is_empty(), "{} of {} mutants are not caught by name:\n{}", failed.len(), MUTANTS.len(), text.join("\n"));
    assert_eq!(never, UNTRIED, "named first in no run of a mutant that breaks it");
}

/// The numbers that the documents give.
#[test]
fn the_documents_count_right() {
    let read = |file: &str| std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file)).unwrap();
    let rules = catalogue::rules().len();
    let named = catalogue::rules().iter().filter(|r| judged(r.id) == Some(Judged::Named)).count();
    let expected = [
        ("README.md", format!("Every one of {} mutants", MUTANTS.len())),
        ("README.md", format!("Each of the catalogue's {rules} rules is judged or excepted with a reason: {named} are named by findings")),
        ("README.md", format!("{} of them are named first on no mutant", UNTRIED.len())),
        ("README.md", format!("all {rules} rules")),
        (
            "CHANGELOG.md",
            format!("{} mutants of it that break one rule each, and {} more that are held out", MUTANTS.len(), HELD_OUT.len()),
        ),
        ("CHANGELOG.md", format!("Each of the catalogue's {rules} rules")),
        ("CHANGELOG.md", format!("- {} golden vectors", VECTORS.len())),
    ];
    for (file, text) in expected {
        assert!(read(file).contains(&text), "{file} should say \"{text}\"");
    }
}

#[test]
fn mutants_have_names_of_their_own_and_at_most_two_rules() {
    for (i, m) in MUTANTS.iter().enumerate() {
        assert!((1..=2).contains(&m.breaks.len()), "{}", m.name);
        assert!(m.breaks.iter().chain(m.strikes).all(|r| r.entry().is_some()), "{}: not in the catalogue", m.name);
        assert!(MUTANTS[..i].iter().chain(HELD_OUT).all(|n| n.name != m.name), "{} stands twice", m.name);
        assert!(Mutant::by_name(m.name).is_some());
    }
}

#[test]
fn what_a_vector_asserts_stands_in_one_that_cites_the_rule() {
    for rule in catalogue::rules() {
        let Some(Judged::Asserted(ids)) = judged(rule.id) else { continue };
        for id in ids {
            let vector = VECTORS.iter().find(|v| v.id == *id).unwrap_or_else(|| panic!("{}: there is no vector {id}", rule.id));
            assert!(vector.header.rules.iter().any(|r| r == rule.id.0), "{id} does not cite {}", rule.id);
        }
    }
}

/// A permission that the oracle grants without need would hide faults: without each of them, some right stack is found at fault by a vector
/// that names it.
#[test]
fn every_permission_is_needed() {
    let mut needless = Vec::new();
    for permission in PERMISSIONS {
        let naming: Vec<&Vector> = VECTORS.iter().filter(|v| v.header.rules.iter().any(|r| r == permission.0)).collect();
        let alarm = Policy::permitted().into_iter().find_map(|(name, policy)| {
            let mut target = Reference::new(policy.clone(), None);
            let profile = Profile { denied: Some(*permission), ..policy.profile() };
            let found = |v: &&&Vector| {
                let options = Options::new(Family::V4, 7, profile.clone(), Clock::Virtual);
                session::run_vector(&mut target, v, &options).findings.iter().any(|f| f.class <= Class::Violates)
            };
            naming.iter().find(found).map(|v| format!("{} by a stack with {name}", v.id))
        });
        match alarm {
            Some(alarm) => println!("{permission:48} {alarm}"),
            None => needless.push(format!("{permission}, named by {} vectors", naming.len())),
        }
    }
    assert!(needless.is_empty(), "no right stack needs: {}", needless.join("; "));
}

/// What the RFC leaves to the stack is no fault, but it is told: the right stacks among them take every way that shows.
#[test]
fn every_way_that_a_stack_may_take_is_told() {
    let mut told: BTreeMap<(&str, &str), String> = BTreeMap::new();
    for (name, policy) in Policy::permitted() {
        let mut target = Reference::new(policy.clone(), None);
        for vector in VECTORS.iter() {
            let outcome = run(&mut target, &policy, vector, Family::V4, 7);
            let worse = outcome.findings.iter().any(|f| f.class != Class::Variant);
            assert_eq!(
                outcome.class == Class::Variant,
                !worse && !outcome.variants.is_empty() && outcome.reason.is_none(),
                "{}",
                vector.id
            );
            for variant in outcome.variants {
                told.entry((variant.rule.0, variant.kind)).or_insert_with(|| format!("{} by a stack with {name}", vector.id));
            }
        }
    }
    for ((rule, way), by) in &told {
        println!("{rule:48} {way:16} {by}");
    }
    let told: Vec<(&str, &str)> = told.into_keys().collect();
    assert_eq!(told, WAYS);
}

/// The rules that leave a choice, with each way that some right stack takes for certain.
const WAYS: &[(&str, &str)] = &[
    ("RFC1337:3-1", "permitted"),
    ("RFC5961:3-1", "challenge-ack"),
    ("RFC5961:3-1", "reset-by-rfc793"),
    ("RFC5961:4-1", "challenge-ack"),
    ("RFC5961:4-1", "reset-by-rfc793"),
    ("RFC5961:5-3", "permitted"),
    ("RFC6191:2-4", "permitted"),
    ("RFC7323:5-5", "permitted"),
    ("RFC9293:3.10.7.4/ANY/seq-spans-window", "permitted"),
    ("RFC9293:3.10.7.4/ANY/seq-validation-relaxed", "permitted"),
    ("RFC9293:3.10.7.4/SYN-RECEIVED/ack-future-vs-5961", "permitted"),
    ("RFC9293:3.10.7.4/SYN-RECEIVED/syn-active", "challenge-ack"),
    ("RFC9293:3.10.7.4/SYN-RECEIVED/syn-active", "reset"),
    ("RFC9293:3.10.7.4/SYN-RECEIVED/syn-passive", "challenge-ack"),
    ("RFC9293:3.10.7.4/SYN-RECEIVED/syn-passive", "reset"),
    ("RFC9293:3.10.7.4/SYN-RECEIVED/syn-passive", "syn-ack-again"),
    ("RFC9293:3.5.2/reset-sender-timewait", "permitted"),
    ("RFC9293:MAY-1", "permitted"),
    ("RFC9293:MAY-12", "permitted"),
    ("RFC9293:MAY-2", "permitted"),
    ("RFC9293:MAY-2", "returns-to-time-wait"),
];
