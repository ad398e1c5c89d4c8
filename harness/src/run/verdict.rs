//! Outcomes weighed against what is known of the target.

use std::collections::BTreeMap;

use tcp_reference::api::Family;
use tcp_reference::catalogue::Level;
use tcp_reference::finding::{Class, Finding};

use super::Done;
use crate::expectations::Expectations;
use crate::select::Item;

/// From which level on a broken rule counts as a failure.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
pub enum Strictness {
    /// MUST and the processing rules.
    #[default]
    Must,
    /// SHOULD too.
    Should,
    /// A MAY that was taken too.
    May,
}

impl Strictness {
    /// Whether a finding of this class is a failure.
    #[must_use]
    pub fn fails(self, class: Class) -> bool {
        match class {
            Class::Violates | Class::Crash | Class::Hang | Class::Flood => true,
            Class::Departs => matches!(self, Strictness::Should | Strictness::May),
            Class::Variant => self == Strictness::May,
            Class::Conforms | Class::Inconclusive | Class::Unsupported | Class::NotPerformed => false,
        }
    }

    /// The word as after `--level`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Strictness::Must => "must",
            Strictness::Should => "should",
            Strictness::May => "may",
        }
    }
}

/// A finding with what is known of it.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The finding.
    pub finding: Finding,
    /// Whether it stands in the expectations.
    pub expected: bool,
    /// The place of the entry there.
    pub entry: Option<usize>,
}

/// A stack that died, hung or flooded, with what is known of that.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Death {
    /// Whether it stands in the expectations.
    pub expected: bool,
    /// The place of the entry there.
    pub entry: Option<usize>,
}

/// An outcome, weighed.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The outcome with the item's place.
    pub done: Done,
    /// Its findings.
    pub findings: Vec<Judged>,
    /// Where the stack died, hung or flooded.
    pub death: Option<Death>,
    /// Whether the run fails by it.
    pub fails: bool,
}

/// An expectation that no longer happens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stale {
    /// The entry's place among the expectations.
    pub entry: usize,
    /// The vector that did not show it.
    pub id: String,
    /// Over which IP version.
    pub family: Family,
}

/// An entry of the expectations that happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Happened {
    /// How often.
    pub times: usize,
    /// The first item that showed it.
    pub item: usize,
}

/// The run as a whole.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Results by class.
    pub classes: BTreeMap<Class, usize>,
    /// Segments of the stack that were judged.
    pub judged: u64,
    /// Segments that could not be judged.
    pub unjudged: u64,
    /// Findings that stand in the expectations, and deaths.
    pub expected: usize,
    /// The entries that happened, by their places.
    pub known: BTreeMap<usize, Happened>,
    /// Findings that do not, and fail the run, and deaths.
    pub unexpected: usize,
    /// Results by section of the RFC of the vector's first rule: how many, and how many failed or departed by class.
    pub sections: BTreeMap<String, BTreeMap<Class, usize>>,
    /// Segments judged by section.
    pub section_segments: BTreeMap<String, u64>,
}

/// Weighs outcomes: which findings are known, which known ones no longer happen, and the sums.
#[must_use]
pub fn weigh(
    items: &[Item],
    done: Vec<Done>,
    expectations: &Expectations,
    version: &str,
    strictness: Strictness,
) -> (Vec<Verdict>, Vec<Stale>, Summary) {
    let mut stale = Vec::new();
    let mut summary = Summary::default();
    let mut verdicts = Vec::with_capacity(done.len());
    for one in done {
        let Some(item) = items.get(one.item) else { continue };
        let verdict = judge(item, one, expectations, version, strictness);
        add(&mut summary, item, &verdict, strictness);
        stale.extend(missing(item, &verdict, expectations, version));
        verdicts.push(verdict);
    }
    (verdicts, stale, summary)
}

fn judge(item: &Item, done: Done, expectations: &Expectations, version: &str, strictness: Strictness) -> Verdict {
    let (id, family) = (item.id(), item.family);
    let judged = |f: &Finding| {
        let entry = expectations.entry_of(id, family, version, f);
        Judged { expected: entry.is_some(), entry, finding: f.clone() }
    };
    let mut findings: Vec<Judged> = done.outcome.findings.iter().map(judged).collect();
    let all_known = |of: &[usize]| of.iter().all(|&i| findings.get(i).is_some_and(|f| f.expected));
    let audible: Vec<Judged> = done.outcome.echoes.iter().filter(|e| !e.same && all_known(&e.of)).map(|e| judged(&e.finding)).collect();
    findings.extend(audible);
    findings.extend(done.outcome.variants.iter().map(judged));
    findings.sort_by_key(|f| f.finding.event);
    let class = done.outcome.class;
    let death = matches!(class, Class::Crash | Class::Hang | Class::Flood).then(|| {
        let entry = expectations.entry_of_class(id, family, version, class.name());
        Death { expected: entry.is_some(), entry }
    });
    let fails = death.is_some_and(|d| !d.expected) || findings.iter().any(|f| !f.expected && strictness.fails(f.finding.class));
    Verdict { done, findings, death, fails }
}

/// The entries that speak of this vector and did not happen. Only a vector that was performed can tell.
fn missing<'a>(item: &'a Item, verdict: &'a Verdict, expectations: &'a Expectations, version: &'a str) -> impl Iterator<Item = Stale> + 'a {
    let class = verdict.done.outcome.class;
    let performed = !matches!(class, Class::Unsupported | Class::NotPerformed | Class::Inconclusive);
    let (id, family) = (item.id(), item.family);
    expectations.entries.iter().enumerate().filter(move |_| performed).filter_map(move |(entry, e)| {
        let happens = match e.rule.class() {
            Some(word) => word == class.name(),
            None => verdict.findings.iter().any(|f| e.is(&f.finding)),
        };
        (e.must_happen(id, family, version) && !happens).then(|| Stale { entry, id: id.to_owned(), family })
    })
}

fn add(summary: &mut Summary, item: &Item, verdict: &Verdict, strictness: Strictness) {
    let outcome = &verdict.done.outcome;
    *summary.classes.entry(outcome.class).or_default() += 1;
    summary.judged += outcome.stats.judged;
    summary.unjudged += outcome.stats.unjudged;
    summary.expected += verdict.findings.iter().filter(|f| f.expected).count();
    summary.unexpected += verdict.findings.iter().filter(|f| !f.expected && strictness.fails(f.finding.class)).count();
    if let Some(death) = verdict.death {
        let count = if death.expected { &mut summary.expected } else { &mut summary.unexpected };
        *count += 1;
    }
    let entries = verdict.findings.iter().filter_map(|f| f.entry).chain(verdict.death.and_then(|d| d.entry));
    for entry in entries {
        let happened = summary.known.entry(entry).or_insert_with(|| Happened { times: 0, item: verdict.done.item });
        happened.times += 1;
    }
    let section = section_of(item);
    *summary.sections.entry(section.clone()).or_default().entry(outcome.class).or_default() += 1;
    *summary.section_segments.entry(section).or_default() += outcome.stats.judged;
}

/// The section of the vector's first rule that the catalogue knows and that binds.
fn section_of(item: &Item) -> String {
    let rules = || item.vector.header.rules.iter().filter_map(|id| tcp_reference::catalogue::rule(id));
    let rule = rules().find(|r| r.level != Level::Explains).or_else(|| rules().next());
    rule.map_or_else(|| "no section".to_owned(), |r| format!("RFC {} section {}", r.rfc, r.section))
}
