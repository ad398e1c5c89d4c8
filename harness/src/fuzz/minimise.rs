//! Makes a case smaller while it shows the same.

use tcp_reference::ip::Codepoint;
use tcp_vectors::model::{Payload, Step, StepKind};

use super::Case;

/// A case made smaller.
#[derive(Clone, Debug)]
pub struct Minimised {
    /// The case.
    pub case: Case,
    /// How many runs it took.
    pub runs: usize,
}

/// Removes steps, many at a time and then one by one, then makes the rest plainer, as long as the case `shows` what it did.
#[must_use]
pub fn minimise(case: &Case, mut shows: impl FnMut(&Case) -> bool) -> Minimised {
    let mut best = Minimised { case: case.clone(), runs: 0 };
    loop {
        let before = best.case.clone();
        shorten(&mut best, &mut shows);
        simplify(&mut best, &mut shows);
        if best.case == before || best.runs >= MOST_RUNS {
            return best;
        }
    }
}

fn shorten(best: &mut Minimised, shows: &mut impl FnMut(&Case) -> bool) {
    let mut chunk = best.case.script.steps.len().div_ceil(2).max(1);
    loop {
        let mut at = 0;
        while at < best.case.script.steps.len() {
            let end = (at + chunk).min(best.case.script.steps.len());
            let kept = attempt(best, shows, |case| drop(case.script.steps.drain(at..end)));
            if !kept {
                at += chunk;
            }
        }
        if chunk == 1 {
            return;
        }
        chunk = chunk.div_ceil(2);
    }
}

fn simplify(best: &mut Minimised, shows: &mut impl FnMut(&Case) -> bool) {
    for i in 0..best.case.script.steps.len() {
        for plainer in PLAINER {
            attempt(best, shows, |case| {
                if let Some(step) = case.script.steps.get_mut(i) {
                    plainer(step);
                }
            });
        }
    }
}

/// Whether the changed case shows the same; then it is the best from now on.
fn attempt(best: &mut Minimised, shows: &mut impl FnMut(&Case) -> bool, change: impl FnOnce(&mut Case)) -> bool {
    let mut case = best.case.clone();
    change(&mut case);
    if case == best.case || best.runs >= MOST_RUNS {
        return false;
    }
    best.runs += 1;
    let kept = shows(&case);
    if kept {
        best.case = case;
    }
    kept
}

/// Ways to make a step plainer.
const PLAINER: [fn(&mut Step); 10] = [
    |step| step.after = 0,
    |step| step.after -= step.after % 1_000_000,
    |step| inject(step, |spec| spec.oddity = None),
    |step| inject(step, |spec| spec.options.clear()),
    |step| inject(step, |spec| spec.joined = false),
    |step| inject(step, |spec| spec.ecn = Codepoint::NotEct),
    |step| inject(step, |spec| spec.urgent = 0),
    |step| inject(step, |spec| spec.window = 65_535),
    |step| inject(step, |spec| spec.payload = Payload::Pattern(0)),
    |step| inject(step, |spec| spec.payload = Payload::Pattern(u16::try_from(spec.payload.len().min(10)).unwrap_or(0))),
];

fn inject(step: &mut Step, change: impl FnOnce(&mut tcp_vectors::model::SegmentSpec)) {
    if let StepKind::Inject(spec) = &mut step.kind {
        change(spec);
    }
}

/// Runs at most.
const MOST_RUNS: usize = 4_000;

#[cfg(test)]
mod tests {
    use super::minimise;
    use crate::fuzz::{Case, seeds};
    use tcp_vectors::model::{Script, StepKind};

    #[test]
    fn what_does_not_matter_goes() {
        let steps = seeds().into_iter().take(8).flat_map(|s| s.script.steps).take(40).collect();
        let case = Case::new(Script { steps }, 0);
        let waits = |case: &Case| case.script.steps.iter().filter(|s| matches!(s.kind, StepKind::Inject(_))).count() >= 2;
        assert!(waits(&case));
        let small = minimise(&case, waits);
        assert_eq!(small.case.script.steps.len(), 2);
        assert!(small.case.script.steps.iter().all(|s| s.after == 0));
    }
}
