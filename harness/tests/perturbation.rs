//! The oracle against the opposite fault: what a right stack would never send must be rejected.
//!
//! Traces recorded from the golden vectors are changed in one thing at a time and judged again. A perturbation that a right stack could make
//! is exempt by a named [`freedom::Freedom`]; of the rest at least 99 of 100 must be rejected.

#[path = "perturbation/freedom.rs"]
mod freedom;
#[path = "perturbation/kinds.rs"]
mod kinds;
#[cfg(target_os = "linux")]
#[path = "common/kernel.rs"]
mod missing;
#[path = "perturbation/record.rs"]
mod record;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use freedom::{Freedom, Place};
use kinds::{Kind, perturb};
use record::{Recording, VECTORS, charges, judge, lines};
use tcp_harness::profile::profile_for;
use tcp_harness::target::Target;
use tcp_harness::targets::reference::Reference;
use tcp_harness::targets::smoltcp::SmolTcp;
use tcp_reference::api::Family;
use tcp_reference::finding::{Class, Finding};
use tcp_reference::linter::lint;
use tcp_reference::profile::SECOND;
use tcp_reference::stack::Policy;
use tcp_reference::trace::What;
use tcp_vectors::model::Vector;

/// How many of a kind were tried.
#[derive(Default)]
struct Row {
    total: usize,
    rejected: usize,
    exempt: BTreeMap<Freedom, (usize, usize)>,
}

#[derive(Default)]
struct Table {
    rows: BTreeMap<Kind, Row>,
    /// What was accepted without a freedom.
    accepted: String,
    /// Findings of the recorded traces that a fresh oracle gives and the session's did not.
    unsteady: String,
    /// What the oracle accepted and the linter did not.
    unseen: String,
    traces: usize,
}

impl Table {
    fn add(&mut self, recording: &Recording) {
        let (trace, profile) = (recording.trace(), &recording.profile);
        let base = judge(trace, profile);
        let known = charges(&base.findings, |e| e);
        let live = charges(&recording.outcome.findings, |e| e);
        for charge in known.difference(&live) {
            let _ = writeln!(self.unsteady, "{} {}: {charge:?}", recording.target, recording.vector);
        }
        if base.inconclusive {
            return;
        }
        self.traces += 1;
        let linted = lint(trace).len();
        for (event, e) in trace.events.iter().enumerate() {
            // What is a fault already says nothing about the change of it.
            let Some(licence) = base.licences[event].filter(|_| matches!(e.what, What::Emit { .. })) else { continue };
            if known.iter().any(|(_, _, at)| *at == event) {
                continue;
            }
            let place = Place { trace, event, profile, licence };
            for kind in Kind::ALL {
                let Some(perturbed) = perturb(trace, event, kind, profile) else { continue };
                let judged = judge(&perturbed.trace, profile);
                let new = charges(&judged.findings, |e| perturbed.origin(e));
                let rejected = new.difference(&known).next().is_some();
                if !rejected && lint(&perturbed.trace).len() > linted {
                    let what: Vec<String> = lint(&perturbed.trace).iter().map(Finding::fingerprint).collect();
                    let _ = writeln!(self.unseen, "{} {}: {kind:?} at {event}: {what:?}", recording.target, recording.vector);
                    self.unseen += &lines(&perturbed.trace, event);
                }
                let row = self.rows.entry(kind).or_default();
                if let Some(freedom) = place.freedom(kind) {
                    let counts = row.exempt.entry(freedom).or_default();
                    counts.0 += 1;
                    counts.1 += usize::from(rejected);
                    continue;
                }
                row.total += 1;
                row.rejected += usize::from(rejected);
                if !rejected {
                    let licence = format!("{} demanded {}", licence.rule, licence.demanded);
                    let _ =
                        writeln!(self.accepted, "## {kind:?} {} {} event {event}, licence {licence}", recording.target, recording.vector);
                    self.accepted += &lines(trace, event);
                }
            }
        }
    }

    fn of(&self) -> (usize, usize) {
        self.rows.values().fold((0, 0), |(r, t), row| (r + row.rejected, t + row.total))
    }

    /// The table by kind, and the share that was rejected.
    fn print(&self, target: &str) -> f64 {
        println!(
            "\n{target}: {} traces\n{:<12} {:>8} {:>8}  exempt by freedom (of these rejected all the same)",
            self.traces, "kind", "rejected", "of"
        );
        for (kind, row) in &self.rows {
            let exempt: Vec<String> = row.exempt.iter().map(|(f, (n, r))| format!("{f:?} {n} ({r})")).collect();
            println!("{:<12} {:>8} {:>8}  {}", format!("{kind:?}"), row.rejected, row.total, exempt.join(", "));
        }
        let (rejected, total) = self.of();
        let share = 100.0 * rejected as f64 / total.max(1) as f64;
        println!("{:<12} {rejected:>8} {total:>8}  {share:.2} %", "all");
        share
    }

    fn check(&self, target: &str) {
        let share = self.print(target);
        if let Ok(path) = std::env::var("PERTURBATION_REPORT") {
            std::fs::write(format!("{path}.{target}"), &self.accepted).expect("the report can be written");
        }
        assert!(self.unsteady.is_empty(), "a recorded trace read again gives findings that the session did not have:\n{}", self.unsteady);
        assert!(self.unseen.is_empty(), "{target}: the oracle accepts what the linter does not:\n{}", self.unseen);
        assert!(share >= 99.0, "{target}: the oracle accepts too much; PERTURBATION_REPORT=FILE lists it");
    }
}

fn recordings(target: &mut dyn Target) -> Vec<Recording> {
    let profile = profile_for(&target.capabilities().name);
    VECTORS.iter().map(|v| Recording::make(target, v, v.header.families.first().copied().unwrap_or(Family::V4), &profile)).collect()
}

#[test]
fn perturbed_traces_of_the_reference_are_rejected() {
    let mut table = Table::default();
    recordings(&mut Reference::new(Policy::default(), None)).iter().for_each(|r| table.add(r));
    table.check("reference");
}

#[test]
fn perturbed_traces_of_smoltcp_are_rejected() {
    let mut table = Table::default();
    recordings(&mut SmolTcp::new()).iter().for_each(|r| table.add(r));
    table.check("smoltcp");
}

/// The kernel's clock is real: vectors that wait for less than two seconds, side by side in namespaces of their own.
#[cfg(target_os = "linux")]
#[test]
fn perturbed_traces_of_the_kernel_are_rejected() {
    use std::sync::Mutex;
    use tcp_harness::targets::linux::{LinuxKernel, NAME};

    if let Err(why) = LinuxKernel::new() {
        return missing::is_missing(&format!("no trace of {NAME} was perturbed: {why:?}"));
    }
    let profile = profile_for(NAME);
    let waiting = |v: &&Vector| v.steps.iter().map(|s| s.after).sum::<u64>() >= 2 * SECOND;
    let queue = Mutex::new(VECTORS.iter().filter(|v| !waiting(v)));
    let recordings = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(|| {
                let mut target = LinuxKernel::new().expect("another namespace can be made");
                loop {
                    let Some(vector) = queue.lock().expect("no thread panicked").next() else { break };
                    let recording = Recording::make(&mut target, vector, Family::V4, &profile);
                    recordings.lock().expect("no thread panicked").push(recording);
                }
            });
        }
    });
    let mut table = Table::default();
    let mut disagreements = String::new();
    for recording in recordings.into_inner().expect("no thread panicked") {
        if !matches!(recording.outcome.class, Class::Inconclusive | Class::NotPerformed | Class::Unsupported) {
            table.add(&recording);
            disagreements += &only_by_the_linter(&recording);
        }
    }
    assert!(disagreements.is_empty(), "the linter alone finds:\n{disagreements}");
    println!("{} vectors that wait for two seconds or more were left out", VECTORS.iter().filter(waiting).count());
    table.check(NAME);
}

/// Kernels at a time: each only waits.
const SIDE_BY_SIDE: usize = 12;

/// The second judge: what it finds, the oracle must have found too.
#[test]
fn the_linter_finds_nothing_that_the_oracle_does_not() {
    let mut disagreements = String::new();
    let mut reference = Vec::new();
    let base = Policy::default();
    for policy in [
        base.clone(),
        Policy { challenges_rst: false, challenges_syn: false, ..base.clone() },
        Policy { checks_ack_range: true, ..base.clone() },
        Policy { holds_out_of_order: false, ..base.clone() },
        Policy { ack_delay: 0, ..base.clone() },
        Policy { variant: 1, ..base.clone() },
        Policy { variant: 2, ..base.clone() },
        Policy { variant: 3, ..base.clone() },
        Policy { window_scale: Some(4), ..base.clone() },
        Policy { buffer: 5000, ..base.clone() },
        Policy { nagle: false, ..base },
    ] {
        let mut target = Reference::new(policy.clone(), None);
        for vector in VECTORS.iter() {
            for family in [Family::V4, Family::V6] {
                reference.push(Recording::make(&mut target, vector, family, &policy.profile()));
            }
        }
    }
    for recording in &reference {
        for f in lint(recording.trace()) {
            let _ = writeln!(disagreements, "{} {}: {} at {}: {}", recording.target, recording.vector, f.fingerprint(), f.event, f.seen);
            disagreements += &lines(recording.trace(), f.event);
        }
    }
    for recording in recordings(&mut SmolTcp::new()) {
        let oracle = judge(recording.trace(), &recording.profile).findings;
        for f in lint(recording.trace()) {
            if !oracle.iter().any(|o| o.tuple == f.tuple && o.event <= f.event) {
                let _ =
                    writeln!(disagreements, "{} {}: {} at {}: {}", recording.target, recording.vector, f.fingerprint(), f.event, f.seen);
                disagreements += &lines(recording.trace(), f.event);
            }
        }
    }
    assert!(disagreements.is_empty(), "the linter alone finds:\n{disagreements}");
}

/// What the linter finds where the oracle has found nothing by then.
fn only_by_the_linter(recording: &Recording) -> String {
    let mut text = String::new();
    let oracle = judge(recording.trace(), &recording.profile).findings;
    for f in lint(recording.trace()) {
        if !oracle.iter().any(|o| o.tuple == f.tuple && o.event <= f.event) {
            let _ = writeln!(text, "{} {}: {} at {}: {}", recording.target, recording.vector, f.fingerprint(), f.event, f.seen);
            text += &lines(recording.trace(), f.event);
        }
    }
    text
}
