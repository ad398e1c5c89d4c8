//! Bugs of old releases that the harness must find, each by one vector (`harness/known_bugs.toml`): on every release that has it, and no more on
//! the release that mended it. A release whose adapter is not built is ignored; `--include-ignored` makes that a failure.

use std::collections::BTreeSet;
use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};
use serde::Deserialize;
use tcp_harness::run::{self, Settings};
use tcp_harness::select::{self, Filter, Item};
use tcp_harness::session::Outcome;
#[cfg(target_os = "linux")]
use tcp_harness::targets::adapters::program;
use tcp_reference::finding::Class;

/// Adapters run on Linux alone.
#[cfg(not(target_os = "linux"))]
fn program(_: &str) -> std::path::PathBuf {
    std::path::PathBuf::new()
}

/// `harness/known_bugs.toml`.
#[derive(Deserialize)]
struct File {
    bug: Vec<Bug>,
}

/// A bug as far as one finding shows it.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bug {
    name: String,
    what: String,
    has: BTreeSet<String>,
    mended: String,
    vector: String,
    /// The first rule that a finding names, or `crash` or `flood`.
    finding: String,
    /// Of a crash, a part of the stack's last words.
    says: Option<String>,
}

fn main() {
    let arguments = Arguments::from_args();
    let trials = trials().unwrap_or_else(|why| {
        eprintln!("{why}");
        std::process::exit(101);
    });
    libtest_mimic::run(&arguments, trials).exit();
}

fn trials() -> Result<Vec<Trial>, String> {
    let file: File = toml::from_str(include_str!("../known_bugs.toml")).map_err(|e| format!("harness/known_bugs.toml: {e}"))?;
    let vectors = select::all().map_err(|e| e.to_string())?;
    let mut trials = Vec::new();
    for bug in file.bug {
        let items = Filter { words: vec![bug.vector.clone()], ..Filter::default() }.items(&vectors);
        if items.is_empty() {
            return Err(format!("harness/known_bugs.toml: {}: no vector is called {}", bug.name, bug.vector));
        }
        for (release, bugged) in bug.has.iter().map(|r| (r.clone(), true)).chain([(bug.mended.clone(), false)]) {
            let name = format!("{}::{}::{release}", bug.name, if bugged { "found-on" } else { "gone-from" });
            let built = program(&format!("smoltcp-{release}")).exists();
            let (bug, items) = (bug.clone(), items.clone());
            trials.push(Trial::test(name, move || check(&bug, &items, &release, bugged)).with_ignored_flag(!built));
        }
    }
    Ok(trials)
}

fn check(bug: &Bug, items: &[Item], release: &str, bugged: bool) -> Result<(), Failed> {
    let program = program(&format!("smoltcp-{release}"));
    if !program.exists() {
        return Err(format!("{} is not there; build it with harness/adapters/build smoltcp-releases", program.display()).into());
    }
    let target = format!("exec:'{}'", program.display());
    let settings = Settings { target, jobs: Some(1), seed: 0, timeout: Duration::from_secs(20), profile: None };
    let mut capabilities = run::capabilities(&settings).map_err(|e| e.why().to_owned())?;
    let done = run::run(items, &settings, &mut capabilities, |_| ()).map_err(|e| e.why().to_owned())?;
    for one in done {
        let (family, outcome) = (items[one.item].family, &one.outcome);
        let all = findings(outcome);
        let performed = matches!(outcome.class, Class::Conforms | Class::Variant | Class::Departs | Class::Violates);
        let right =
            if bugged { all.first().is_some_and(|first| shows(bug, first)) } else { performed && !all.iter().any(|f| shows(bug, f)) };
        if !right {
            let wanted = if bugged { "first" } else { "not" };
            let got = format!("{} with {all:?}", outcome.class);
            return Err(format!("{} ({}), {family:?}: wanted {wanted} {:?}, got {got}", bug.name, bug.what, bug.finding).into());
        }
        if bugged {
            eprintln!("{}: smoltcp {release}, {family:?}: {} names {} after {:?}", bug.name, bug.vector, bug.finding, outcome.took);
        }
    }
    Ok(())
}

/// What a run found, the stack's end before all else: what it did until then is of no weight beside it.
fn findings(outcome: &Outcome) -> Vec<String> {
    let end = match outcome.class {
        Class::Crash | Class::Flood | Class::Hang => Some(format!("{}: {}", outcome.class, outcome.reason.as_deref().unwrap_or_default())),
        _ => None,
    };
    end.into_iter().chain(outcome.findings.iter().map(|f| f.rule.to_string())).collect()
}

/// Whether this is the bug's finding.
fn shows(bug: &Bug, found: &str) -> bool {
    let dies = ["crash", "flood"].contains(&bug.finding.as_str());
    if dies {
        found.starts_with(&format!("{}: ", bug.finding)) && bug.says.as_ref().is_none_or(|s| found.contains(s))
    } else {
        found == bug.finding
    }
}
