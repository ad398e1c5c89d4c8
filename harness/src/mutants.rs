//! Who catches a broken stack: mutants of the reference against the vectors, and then against the fuzzer from fixed seeds.
//!
//! ```text
//! Mutant ─► every vector until one has a finding ─► else fuzz up to a budget of steps ─► Trial (killed by what, which rules were named)
//! ```

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde::Deserialize;
use tcp_reference::api::Family;
use tcp_reference::catalogue::RuleId;
use tcp_reference::finding::{Class, Finding};
use tcp_reference::stack::Mutant;
use tcp_vectors::model::Vector;

use crate::fuzz::{Departures, Discovery, Fuzzer, Generator, Reached, Verdict};
use crate::session::{self, Options};
use crate::target::Clock;
use crate::targets::reference::Reference;

/// How hard is tried.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Decides the peer's ISNs and the fuzzer's scripts.
    pub seed: u64,
    /// Fuzz steps after which a mutant counts as a survivor.
    pub steps: u64,
    /// Mutants side by side.
    pub jobs: usize,
    /// What the fuzzer's scripts are made from.
    pub scripts: Scripts,
}

/// Mutants that no script can show: the first takes 24 days of idleness, the second does what a right stack may do, and of the third only a vector
/// knows that the error was not told before.
pub const BEYOND_A_SCRIPT: [&str; 3] = ["timestamps-never-lapse", "abort-in-closing-resets", "refusal-kept-from-the-user"];

/// What the fuzzer's scripts are made from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scripts {
    /// The vectors' stimuli, changed.
    Vectors,
    /// The grammar of stimuli alone.
    Grammar,
    /// The grammar, and what reached something new before.
    Guided,
}

/// What became of a mutant.
#[derive(Clone, Debug)]
pub struct Trial {
    /// The mutant.
    pub mutant: &'static Mutant,
    /// What found it out.
    pub killed: Killed,
    /// The rules that the run named, each once: of each finding its rule, then the other suspects that it names.
    pub named: Vec<RuleId>,
}

/// What found a mutant out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Killed {
    /// The vector with this id, the first in the order of their ids.
    By(String),
    /// The fuzzer, after so many steps.
    After(u64),
    /// Nothing.
    Not,
}

impl Trial {
    /// The place at which a rule that the mutant breaks was named: 0 for first; `None` where none was.
    #[must_use]
    pub fn blame(&self) -> Option<usize> {
        self.named.iter().position(|r| self.mutant.breaks.contains(r))
    }
}

/// Tries each mutant; the trials stand in the mutants' order.
#[must_use]
pub fn trials(mutants: &[&'static Mutant], vectors: &[Vector], budget: Budget) -> Vec<Trial> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..budget.jobs.clamp(1, mutants.len().max(1)) {
            scope.spawn(|| {
                while let Some(&mutant) = mutants.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let trial = trial(mutant, vectors, budget);
                    done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(trial);
                }
            });
        }
    });
    let mut trials = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    trials.sort_by_key(|t| mutants.iter().position(|m| m.name == t.mutant.name));
    trials
}

/// Tries one mutant.
#[must_use]
pub fn trial(mutant: &'static Mutant, vectors: &[Vector], budget: Budget) -> Trial {
    let policy = (mutant.policy)();
    let mut target = Reference::new(policy.clone(), Some(mutant));
    for vector in vectors {
        let family = vector.header.families.first().copied().unwrap_or(Family::V4);
        let outcome = session::run_vector(&mut target, vector, &Options::new(family, budget.seed, policy.profile(), Clock::Virtual));
        if outcome.findings.iter().any(breaks) || matches!(outcome.class, Class::Crash | Class::Hang | Class::Flood) {
            return Trial { mutant, killed: Killed::By(vector.id.clone()), named: named(&outcome.findings) };
        }
    }
    let Fuzzed { discovery, steps, .. } = fuzz(mutant, budget);
    match discovery {
        Some(discovery) => Trial { mutant, killed: Killed::After(steps), named: named(&discovery.outcome.findings) },
        None => Trial { mutant, killed: Killed::Not, named: Vec::new() },
    }
}

/// What fuzzing a mutant gave.
#[derive(Clone, Debug)]
pub struct Fuzzed {
    /// The first finding that the unbroken stack does not give; `None` within the budget.
    pub discovery: Option<Box<Discovery>>,
    /// Steps until then.
    pub steps: u64,
    /// Findings that the unbroken stack gave too: the oracle's faults, or the reference's.
    pub false_alarms: Vec<Box<Discovery>>,
}

/// Fuzzes a mutant within the budget.
#[must_use]
pub fn fuzz(mutant: &'static Mutant, budget: Budget) -> Fuzzed {
    let (mut broken, mut unbroken) = (fuzzer(mutant, Some(mutant)), fuzzer(mutant, None));
    let mut generator = match budget.scripts {
        Scripts::Vectors => Generator::new(budget.seed),
        Scripts::Grammar | Scripts::Guided => Generator::without_vectors(budget.seed),
    };
    let mut reached = Reached::default();
    let mut false_alarms = Vec::new();
    while broken.tally().steps < budget.steps {
        let case = generator.case();
        let mut more = false;
        let verdict = broken.judge_counted(&case, |trace| more = budget.scripts == Scripts::Guided && reached.more(trace));
        if let Verdict::New(discovery) = verdict {
            match unbroken.judge(&case) {
                Verdict::New(alarm) if alarm.fingerprint == discovery.fingerprint => false_alarms.push(alarm),
                _ => return Fuzzed { discovery: Some(discovery), steps: broken.tally().steps, false_alarms },
            }
        }
        if more {
            generator.keep(case.script);
        }
    }
    Fuzzed { discovery: None, steps: broken.tally().steps, false_alarms }
}

/// A fuzzer of the reference stack in the mutant's policy, with its fault or without.
#[must_use]
pub fn fuzzer(mutant: &Mutant, fault: Option<&'static Mutant>) -> Fuzzer {
    let policy = (mutant.policy)();
    let profile = policy.profile();
    Fuzzer::with(Box::new(Reference::new(policy, fault)), profile).counting(Departures::Count)
}

fn breaks(finding: &Finding) -> bool {
    matches!(finding.class, Class::Violates | Class::Departs)
}

fn named(findings: &[Finding]) -> Vec<RuleId> {
    let mut named = Vec::new();
    for finding in findings.iter().filter(|f| breaks(f)) {
        for rule in std::iter::once(finding.rule).chain(finding.suspects.iter().copied()) {
            if !named.contains(&rule) {
                named.push(rule);
            }
        }
    }
    named
}

/// A mutant that lives, with the reason why it may.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Survivor {
    /// The mutant's name.
    pub mutant: String,
    /// What kind of reason it is.
    pub class: Excuse,
    /// The reason, for people.
    pub reason: String,
}

/// Why a mutant may live.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Excuse {
    /// It does what a right stack may do.
    Equivalent,
    /// It stays within a tolerance that the oracle declares.
    WithinTolerance,
    /// Nothing that a target shows tells it from a right stack.
    Unobservable,
}

/// The survivors that are classed (`harness/survivors.toml`).
///
/// # Errors
/// The file is not of its form; the text says where.
pub fn classed() -> Result<Vec<Survivor>, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        #[serde(default)]
        survivor: Vec<Survivor>,
    }
    toml::from_str::<File>(include_str!("../survivors.toml")).map(|f| f.survivor).map_err(|e| format!("harness/survivors.toml: {e}"))
}
