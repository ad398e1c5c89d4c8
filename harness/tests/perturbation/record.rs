//! Traces recorded from every golden vector on a target, with what the oracle says of them.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use tcp_harness::select;
use tcp_harness::session::{self, Options, Outcome};
use tcp_harness::target::Target;
use tcp_reference::api::Family;
use tcp_reference::finding::{Class, Finding};
use tcp_reference::oracle::{Licence, Oracle};
use tcp_reference::profile::Profile;
use tcp_reference::trace::{Trace, What};
use tcp_vectors::model::Vector;

/// Every golden vector.
pub(crate) static VECTORS: LazyLock<Vec<Vector>> = LazyLock::new(|| select::all().unwrap_or_else(|e| panic!("{e}")));

/// A run of a vector.
pub(crate) struct Recording {
    pub(crate) vector: String,
    pub(crate) target: String,
    pub(crate) profile: Profile,
    pub(crate) outcome: Outcome,
}

/// What a fresh oracle says of a trace.
pub(crate) struct Judgement {
    pub(crate) findings: Vec<Finding>,
    pub(crate) licences: Vec<Option<Licence>>,
    pub(crate) inconclusive: bool,
}

impl Recording {
    /// Runs a vector.
    pub(crate) fn make(target: &mut dyn Target, vector: &Vector, family: Family, profile: &Profile) -> Recording {
        let capabilities = target.capabilities();
        let (name, clock) = (capabilities.name.clone(), capabilities.clock);
        let outcome = session::run_vector(target, vector, &Options::new(family, 7, profile.clone(), clock));
        Recording { vector: vector.id.clone(), target: name, profile: profile.clone(), outcome }
    }

    /// The trace.
    pub(crate) fn trace(&self) -> &Trace {
        &self.outcome.trace
    }
}

/// Judges a whole trace afresh.
pub(crate) fn judge(trace: &Trace, profile: &Profile) -> Judgement {
    let mut oracle = Oracle::new(profile.clone());
    oracle.read(trace);
    oracle.finish();
    Judgement {
        findings: oracle.findings().to_vec(),
        licences: (0..trace.events.len()).map(|i| oracle.licence(i)).collect(),
        inconclusive: oracle.inconclusive().is_some(),
    }
}

/// The findings that count against a stack, each by its rule, its kind and the event of the recorded trace that showed it.
pub(crate) fn charges(findings: &[Finding], origin: impl Fn(usize) -> usize) -> BTreeSet<(&'static str, &'static str, usize)> {
    let counts = |f: &&Finding| matches!(f.class, Class::Violates | Class::Departs);
    findings.iter().filter(counts).map(|f| (f.rule.0, f.kind, origin(f.event))).collect()
}

/// The trace as lines, for a report.
pub(crate) fn lines(trace: &Trace, around: usize) -> String {
    let mut text = String::new();
    for (i, e) in trace.events.iter().enumerate().filter(|(i, _)| i.abs_diff(around) < 14) {
        let line = match &e.what {
            What::Quiet => continue,
            What::Stall => "stall".to_owned(),
            What::Arrive { arrival, .. } => format!("< {arrival:?}"),
            What::Emit { segment, .. } => format!("> {segment}"),
            What::Call { call, result } => format!("{call:?} = {result:?}"),
        };
        let line: String = line.chars().take(120).collect();
        text += &format!("{}{i:5} {:>12} {line}\n", if i == around { '*' } else { ' ' }, e.at);
    }
    text
}
