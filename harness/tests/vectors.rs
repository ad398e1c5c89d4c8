//! Each vector × IP version × target is one named test: no finding that is not expected, and the exchange as its snapshot has it.
//!
//! Snapshots stand in `vectors/snapshots/<target>/`; the kernel's by series. Where both IP versions give the same text, which is the rule,
//! one file serves both; else `-ipv6` holds the other. `cargo insta review` accepts a change.

#[path = "common/kernel.rs"]
mod kernel;

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use std::{env, fs};

use libtest_mimic::{Arguments, Failed, Trial};
use tcp_harness::expectations::Expectations;
use tcp_harness::report::ladder::ladder;
use tcp_harness::run::{self, Settings, Strictness, weigh};
use tcp_harness::select::{self, Filter, Item};
use tcp_harness::snapshot;
use tcp_harness::target::{Capabilities, TargetError};
use tcp_harness::targets::{TargetOptions, open};
use tcp_reference::api::Family;
use tcp_reference::finding::Class;

const TARGETS: [&str; 3] = ["smoltcp", "reference", "linux-kernel"];

fn main() {
    // Before there is a second thread, as in the command.
    #[cfg(target_os = "linux")]
    let _refused = tcp_harness::targets::linux::enter_user_namespace_if_needed();
    let arguments = Arguments::from_args();
    let items = match select::all() {
        Ok(vectors) => Filter::default().items(&vectors),
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(101);
        }
    };
    let trials = TARGETS.iter().flat_map(|target| of_target(target, &items, &arguments)).collect();
    libtest_mimic::run(&arguments, trials).exit();
}

/// A target's tests. All its vectors that are asked for run together, when the first of the tests is.
fn of_target(target: &'static str, items: &[Item], arguments: &Arguments) -> Vec<Trial> {
    let missing = match open(target, &TargetOptions::default()) {
        Ok(_) => None,
        Err(TargetError::Unavailable(why)) => Some(why),
        Err(error) => Some(format!("{error:?}")),
    };
    let may_miss = target == "linux-kernel" && !kernel::required();
    if let Some(why) = &missing {
        eprintln!("\n!!! {target} IS NOT TESTED: {why}\n!!! `cargo run -- doctor` says more; REQUIRE_KERNEL=1 makes this a failure\n");
    }
    let wanted: Vec<Item> = items.iter().filter(|item| selected(target, item, arguments)).cloned().collect();
    let whole = wanted.len() == items.len();
    let results = Arc::new(OnceLock::new());
    let mut trials = Vec::with_capacity(items.len() + 1);
    for item in items {
        let (item, wanted, results, why) = (item.clone(), wanted.clone(), Arc::clone(&results), missing.clone());
        let name = test_name(target, &item);
        let trial = Trial::test(name, move || match why {
            Some(why) => Err(Failed::from(why)),
            None => check(&item, results.get_or_init(|| Results::of(target, &wanted))),
        });
        trials.push(trial.with_ignored_flag(missing.is_some() && may_miss));
    }
    if whole && missing.is_none() {
        let name = format!("{target}::files-and-vectors-match");
        trials.push(Trial::test(name, move || files_match(results.get_or_init(|| Results::of(target, &wanted)))));
    }
    trials
}

fn test_name(target: &str, item: &Item) -> String {
    format!("{target}::{}::ipv{}", item.id(), item.family)
}

/// Whether a test of this vector is asked for, over either IP version: the one's snapshot is the other's too.
fn selected(target: &str, item: &Item, arguments: &Arguments) -> bool {
    [Family::V4, Family::V6].into_iter().any(|family| {
        let name = test_name(target, &Item { family, ..item.clone() });
        let fits = |filter: &String| if arguments.exact { name == *filter } else { name.contains(filter.as_str()) };
        arguments.filter.as_ref().is_none_or(fits) && !arguments.skip.iter().any(fits)
    })
}

/// What a target's vectors gave.
enum Results {
    Ran { folder: Option<PathBuf>, each: HashMap<(String, Family), One> },
    Failed(String),
}

struct One {
    snapshot: String,
    /// What fails beside the snapshot, with the ladder.
    fails: Option<String>,
}

impl Results {
    fn of(target: &'static str, items: &[Item]) -> Results {
        Results::run(target, items).unwrap_or_else(Results::Failed)
    }

    fn run(target: &'static str, items: &[Item]) -> Result<Results, String> {
        let settings = Settings { target: target.to_owned(), jobs: None, seed: 0, timeout: Duration::from_secs(200), profile: None };
        let mut capabilities = run::capabilities(&settings).map_err(|error| format!("{error:?}"))?;
        let done = run::run(items, &settings, &mut capabilities, |_| ()).map_err(|error| format!("{error:?}"))?;
        let expectations = Expectations::of(target).map_err(|error| error.to_string())?;
        let (verdicts, stale, _) = weigh(items, done, &expectations, &capabilities.version, Strictness::Must);
        let mut each = HashMap::new();
        for verdict in verdicts {
            let item = &items[verdict.done.item];
            let outcome = &verdict.done.outcome;
            let mut fails = None;
            if verdict.fails || matches!(outcome.class, Class::NotPerformed | Class::Inconclusive) {
                let new: Vec<_> = verdict.findings.iter().filter(|f| !f.expected).map(|f| &f.finding).collect();
                let marks: Vec<usize> = new.iter().map(|f| f.event).collect();
                let words: Vec<String> = new.iter().map(|f| format!("{}: {}\n  {}", f.class, f.fingerprint(), f.seen)).collect();
                let reason = outcome.reason.clone().unwrap_or_default();
                fails = Some(format!("{} {reason}\n{}\n{}", outcome.class, words.join("\n"), ladder(outcome, &marks)));
            }
            let gone = stale.iter().find(|s| s.id == item.id() && s.family == item.family);
            if let Some(entry) = gone.and_then(|s| expectations.entries.get(s.entry)) {
                fails = Some(format!("{}:{}: {} was expected and did not happen", expectations.file, entry.line, entry.rule));
            }
            let snapshot = snapshot::text(&item.vector, outcome, capabilities.clock);
            each.insert((item.id().to_owned(), item.family), One { snapshot, fails });
        }
        Ok(Results::Ran { folder: folder(&capabilities), each })
    }
}

/// Where a target's snapshots stand; `None` for a kernel series that has none, unless they are being recorded.
fn folder(capabilities: &Capabilities) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors/snapshots").join(&capabilities.name);
    if capabilities.name != "linux-kernel" {
        return Some(root);
    }
    let folder = root.join(snapshot::series(&capabilities.version));
    let recording = env::var("INSTA_UPDATE").is_ok_and(|how| ["always", "new", "unseen", "force"].contains(&how.as_str()));
    if folder.is_dir() || recording {
        return Some(folder);
    }
    eprintln!(
        "\n!!! there are no snapshots of Linux {}: the oracle alone decides. To record them: INSTA_UPDATE=always cargo test --test vectors linux-kernel\n",
        snapshot::series(&capabilities.version)
    );
    None
}

/// The name of the file that holds an item's snapshot.
fn file_of(item_id: &str, family: Family, each: &HashMap<(String, Family), One>) -> Option<String> {
    let own = &each.get(&(item_id.to_owned(), family))?.snapshot;
    let other = each.get(&(item_id.to_owned(), Family::V4)).map(|o| &o.snapshot);
    let apart = family == Family::V6 && other.is_some_and(|o| o != own);
    Some(format!("{}{}", snapshot::name(item_id), if apart { "-ipv6" } else { "" }))
}

fn check(item: &Item, results: &Results) -> Result<(), Failed> {
    let (folder, each) = match results {
        Results::Ran { folder, each } => (folder, each),
        Results::Failed(why) => return Err(Failed::from(why)),
    };
    let one = each.get(&(item.id().to_owned(), item.family)).ok_or("it was not run")?;
    if let Some(folder) = folder {
        let name = file_of(item.id(), item.family, each).ok_or("it was not run")?;
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path(folder);
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.bind(|| insta::assert_snapshot!(name, one.snapshot));
    }
    match &one.fails {
        Some(why) => Err(Failed::from(why)),
        None => Ok(()),
    }
}

/// There is a snapshot for each vector, and none besides.
fn files_match(results: &Results) -> Result<(), Failed> {
    let (folder, each) = match results {
        Results::Ran { folder: Some(folder), each } => (folder, each),
        Results::Ran { folder: None, .. } => return Ok(()),
        Results::Failed(why) => return Err(Failed::from(why)),
    };
    let wanted: BTreeSet<String> = each.keys().filter_map(|(id, family)| file_of(id, *family, each)).map(|n| format!("{n}.snap")).collect();
    let there: BTreeSet<String> = fs::read_dir(folder)?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".snap"))
        .collect();
    let without_file: Vec<&String> = wanted.difference(&there).collect();
    let without_vector: Vec<&String> = there.difference(&wanted).collect();
    if without_file.is_empty() && without_vector.is_empty() {
        return Ok(());
    }
    Err(Failed::from(format!("in {}: missing {without_file:?}; of no vector {without_vector:?}", folder.display())))
}
