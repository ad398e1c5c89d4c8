//! The oracle with one permission too many: each lets something through that is found without it.
//!
//! That no permission of the RFCs is one too many shows in `mutants.rs` (`every_permission_is_needed`). This is the other half: what the oracle
//! forbids, some trace makes it forbid. A lenience that lets nothing through says what no mutant, vector or perturbation tries.

#[allow(dead_code, reason = "the other test uses the rest")]
#[path = "perturbation/kinds.rs"]
mod kinds;
#[allow(dead_code, reason = "the other test uses the rest")]
#[path = "perturbation/record.rs"]
mod record;

use std::borrow::Cow;

use kinds::{Kind, perturb};
use record::{Recording, VECTORS, charges, judge};
use tcp_harness::targets::reference::Reference;
use tcp_reference::api::Family;
use tcp_reference::lenience::Lenience;
use tcp_reference::profile::Profile;
use tcp_reference::rules;
use tcp_reference::stack::{Fault, MUTANTS, Mutant, Policy};
use tcp_reference::trace::{Trace, What};

/// A trace with something to find in it.
struct Case<'a> {
    name: String,
    trace: Cow<'a, Trace>,
    profile: &'a Profile,
}

impl<'a> Case<'a> {
    fn of(run: &'a Recording) -> Case<'a> {
        Case { name: format!("{} in {}", run.target, run.vector), trace: Cow::Borrowed(run.trace()), profile: &run.profile }
    }

    fn is_found(&self, granted: Option<Lenience>) -> bool {
        let judged = judge(&self.trace, &Profile { granted, ..self.profile.clone() });
        judged.inconclusive || !charges(&judged.findings, |e| e).is_empty()
    }
}

/// Faults that no mutant of the table has: their like is held out.
static PLANTED: [Mutant; 2] = [
    Mutant {
        name: "closed windows are not probed",
        strikes: &[rules::PROBE],
        state: None,
        fault: Fault::NoReply,
        policy: Policy::default,
        breaks: &[rules::PROBE],
    },
    Mutant {
        name: "text behind a gap is spoiled",
        strikes: &[rules::QUEUE_OOO],
        state: None,
        fault: Fault::CorruptsHeld,
        policy: Policy::default,
        breaks: &[rules::RECEIVE],
    },
];

/// A run of each mutant on each vector.
fn runs_of_mutants() -> Vec<Recording> {
    let mut runs = Vec::new();
    for mutant in MUTANTS.iter().chain(&PLANTED) {
        let policy = (mutant.policy)();
        let mut target = Reference::new(policy.clone(), Some(mutant));
        for vector in VECTORS.iter() {
            let run = Recording::make(&mut target, vector, Family::V4, &policy.profile());
            if !charges(&run.outcome.findings, |e| e).is_empty() {
                runs.push(Recording { target: mutant.name.to_owned(), ..run });
            }
        }
    }
    runs
}

/// One thing changed in what the reference sends, lazily: there are many.
fn perturbations(recordings: &[Recording]) -> impl Iterator<Item = Case<'_>> {
    let places = recordings.iter().flat_map(|r| (0..r.trace().events.len()).map(move |event| (r, event)));
    let sent = places.filter(|(r, event)| matches!(r.trace().events[*event].what, What::Emit { .. }));
    sent.flat_map(|(r, event)| Kind::ALL.into_iter().map(move |kind| (r, event, kind))).filter_map(|(r, event, kind)| {
        let trace = Cow::Owned(perturb(r.trace(), event, kind, &r.profile)?.trace);
        Some(Case { name: format!("{kind:?} at {event} of {}", r.vector), trace, profile: &r.profile })
    })
}

#[test]
fn every_added_permission_lets_something_through() {
    let runs = runs_of_mutants();
    let mut reference = Reference::new(Policy::default(), None);
    let profile = Policy::default().profile();
    let recordings: Vec<Recording> = VECTORS.iter().map(|v| Recording::make(&mut reference, v, Family::V4, &profile)).collect();
    let mut needless = Vec::new();
    for &lenience in Lenience::ALL {
        let through = |case: &Case<'_>| !case.is_found(Some(lenience)) && case.is_found(None);
        let passed = runs.iter().map(Case::of).find(through).or_else(|| perturbations(&recordings).find(through));
        match passed {
            Some(case) => println!("{:24} {}", format!("{lenience:?}"), case.name),
            None => needless.push(lenience),
        }
    }
    println!("{} traces of mutants with findings", runs.len());
    assert!(Lenience::ALL.len() >= 20);
    assert!(needless.is_empty(), "nothing that is tried needs the oracle to forbid: {needless:?}");
}
