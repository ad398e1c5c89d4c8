//! Makes a case smaller while it shows the same.

use tcp_reference::ip::Codepoint;
use tcp_reference::segment::Flags;
use tcp_vectors::model::{Base, CallStep, Num, Payload, Script, SegmentSpec, Step, StepKind, VectorCall};

use super::Case;

/// A case made smaller.
#[derive(Clone, Debug)]
pub struct Minimised {
    /// The case.
    pub case: Case,
    /// How many runs it took.
    pub runs: usize,
}

/// How many stimuli a script has: what reaches the stack, or lets time pass. `socket` and `bind` only give names.
#[must_use]
pub fn stimuli(script: &Script) -> usize {
    let names = |kind: &StepKind| matches!(kind, StepKind::Call(CallStep { call: VectorCall::Socket | VectorCall::Bind(_), .. }));
    script.steps.iter().filter(|s| !names(&s.kind)).count()
}

/// Removes steps, many at a time, then one by one and in twos, makes one of two, and the rest plainer, as long as the case `shows` what it did.
#[must_use]
pub fn minimise(case: &Case, mut shows: impl FnMut(&Case) -> bool) -> Minimised {
    let mut best = Minimised { case: case.clone(), runs: 0 };
    loop {
        let before = best.case.clone();
        shorten(&mut best, &mut shows);
        merge(&mut best, &mut shows);
        in_twos(&mut best, &mut shows);
        open_actively(&mut best, &mut shows);
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

/// Makes one step of two that stand side by side.
fn merge(best: &mut Minimised, shows: &mut impl FnMut(&Case) -> bool) {
    let mut at = 0;
    while at + 1 < best.case.script.steps.len() {
        let steps = &best.case.script.steps;
        let merged: Vec<Step> = MERGED.iter().filter_map(|one| one(&steps[at], &steps[at + 1])).collect();
        let kept = merged.into_iter().any(|step| attempt(best, shows, |case| drop(case.script.steps.splice(at..at + 2, [step]))));
        if !kept {
            at += 1;
        }
    }
}

/// Ways to make one step of two.
const MERGED: [fn(&Step, &Step) -> Option<Step>; 5] = [
    // The first goes, its time stays; or the second does.
    |one, two| Some(Step { after: one.after.saturating_add(two.after), ..two.clone() }),
    |one, two| Some(Step { after: one.after.saturating_add(two.after), ..one.clone() }).filter(|_| two.after > 0),
    |one, two| match (&one.kind, &two.kind) {
        (StepKind::Call(a), StepKind::Call(b)) => {
            let call = match (&a.call, &b.call) {
                (VectorCall::Write(s, x), VectorCall::Write(t, y)) if s == t => VectorCall::Write(*s, sum(x, y)?),
                (VectorCall::Read(s, x), VectorCall::Read(t, y)) if s == t => VectorCall::Read(*s, x.saturating_add(*y)),
                _ => return None,
            };
            Some(Step { kind: StepKind::Call(CallStep { call, result: None }), ..one.clone() })
        }
        _ => None,
    },
    // Text and what follows it in one segment.
    |one, two| match (&one.kind, &two.kind) {
        (StepKind::Inject(a), StepKind::Inject(b)) if a.flow == b.flow && (a.flags | b.flags).0 & Flags::RST.0 == 0 => {
            let mut both = a.clone();
            (both.flags, both.ack) = (a.flags | b.flags, b.ack.or(a.ack));
            (both.window, both.urgent) = (b.window, a.urgent.max(b.urgent));
            both.payload = sum(&a.payload, &b.payload).filter(|p| p.len() <= usize::from(FULL))?;
            Some(Step { after: one.after, kind: StepKind::Inject(both), ..two.clone() })
        }
        _ => None,
    },
    // Two acknowledgments of a part in one of both.
    |one, two| match (&one.kind, &two.kind) {
        (StepKind::Inject(a), StepKind::Inject(b)) if a.flow == b.flow && a.payload.is_empty() => {
            let (first, second) = (a.ack?, b.ack?);
            let both = Num { offset: first.offset.checked_add(second.offset)?, ..second };
            let parts = first.base == Base::SndUna && second.base == Base::SndUna && first.offset > 0 && second.offset > 0;
            let kind = StepKind::Inject(SegmentSpec { ack: Some(both).filter(|_| parts), ..b.clone() });
            Some(Step { after: one.after, kind, ..two.clone() }).filter(|_| parts)
        }
        _ => None,
    },
];

fn sum(one: &Payload, two: &Payload) -> Option<Payload> {
    match (one, two) {
        (Payload::Pattern(a), Payload::Pattern(b)) => a.checked_add(*b).map(Payload::Pattern),
        _ => None,
    }
}

/// Octets of text that any link carries in a segment.
const FULL: u16 = 1400;

/// Removes two steps that do not stand side by side: a call and what answers to it, say.
fn in_twos(best: &mut Minimised, shows: &mut impl FnMut(&Case) -> bool) {
    if best.case.script.steps.len() > FEW {
        return;
    }
    let mut first = 0;
    while first < best.case.script.steps.len() {
        let mut second = first + 1;
        let mut kept = false;
        while second < best.case.script.steps.len() && !kept {
            kept = attempt(best, shows, |case| {
                case.script.steps.remove(second);
                case.script.steps.remove(first);
            });
            second += 1;
        }
        if !kept {
            first += 1;
        }
    }
}

/// Steps among which it is worth while to try every two.
const FEW: usize = 24;

/// Where the peer opens and the user accepts, lets the user open: two steps fewer.
fn open_actively(best: &mut Minimised, shows: &mut impl FnMut(&Case) -> bool) {
    let steps = &best.case.script.steps;
    let call = |step: &Step| if let StepKind::Call(call) = &step.kind { Some(call.call.clone()) } else { None };
    let listens = steps.iter().position(|s| matches!(call(s), Some(VectorCall::Listen(..))));
    let syn = steps.iter().position(|s| matches!(&s.kind, StepKind::Inject(spec) if spec.flags.0 & 0x17 == Flags::SYN.0));
    let accepts = steps.iter().position(|s| matches!(call(s), Some(VectorCall::Accept(_))));
    let (Some(listens), Some(syn)) = (listens, syn) else { return };
    let Some(VectorCall::Listen(listener, _)) = call(&steps[listens]) else { return };
    let ack = steps.iter().skip(syn + 1).position(|s| matches!(&s.kind, StepKind::Inject(_))).map(|i| syn + 1 + i);
    let accepted = listener + 1;
    let window = ack.and_then(|at| if let StepKind::Inject(spec) = &steps[at].kind { Some(spec.window) } else { None });
    let plain = Flags(!(Flags::ECE | Flags::CWR).0);
    let agreed = Flags(!Flags::CWR.0);
    for (without, ecn) in [([accepts, ack], plain), ([accepts, ack], agreed), ([accepts, None], plain), ([accepts, None], agreed)] {
        attempt(best, shows, |case| {
            let mut place = 0..;
            case.script.steps.retain(|_| {
                let at = place.next();
                !without.contains(&at) || at.is_none()
            });
            for step in &mut case.script.steps {
                match &mut step.kind {
                    StepKind::Call(call) if matches!(call.call, VectorCall::Listen(..)) => call.call = VectorCall::Connect(listener),
                    StepKind::Call(call) => rename(&mut call.call, accepted, listener),
                    StepKind::Inject(spec) if spec.flags.0 & 0x17 == Flags::SYN.0 => {
                        spec.flags = Flags((spec.flags | Flags::ACK).0 & ecn.0);
                        spec.window = window.filter(|_| without[1].is_some()).unwrap_or(spec.window);
                        spec.ack = Some(Num { base: Base::SndNxt, offset: 0 });
                    }
                    _ => {}
                }
            }
        });
    }
}

/// The call on another socket.
fn rename(call: &mut VectorCall, from: u8, to: u8) {
    match call {
        VectorCall::Write(s, _)
        | VectorCall::SendUrgent(s, _)
        | VectorCall::Read(s, _)
        | VectorCall::Shutdown(s, _)
        | VectorCall::Close(s)
        | VectorCall::LingerZero(s)
        | VectorCall::Set(s, _)
            if *s == from =>
        {
            *s = to;
        }
        _ => {}
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
const PLAINER: [fn(&mut Step); 11] = [
    // A call that does nothing here may have been a wait alone.
    |step| step.kind = if matches!(step.kind, StepKind::Call(_)) { StepKind::Wait } else { step.kind.clone() },
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

fn inject(step: &mut Step, change: impl FnOnce(&mut SegmentSpec)) {
    if let StepKind::Inject(spec) = &mut step.kind {
        change(spec);
    }
}

/// Runs at most.
const MOST_RUNS: usize = 4_000;

#[cfg(test)]
mod tests {
    use super::{minimise, stimuli};
    use crate::fuzz::{Case, seeds};
    use tcp_reference::segment::Flags;
    use tcp_vectors::model::{Base, CallStep, Script, StepKind, VectorCall};

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
    #[test]
    fn two_steps_become_one() {
        let text = "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 bind(3, ..., ...) = 0\n+0 listen(3, 8) = 0\n+0 < S 0:0(0) win 1000\n\
            +1 < . 1:1(0) ack 1 win 65535\n+0 accept(3, ..., ...) = 4\n+0 write(4, ..., 100) = 100\n+0 write(4, ..., 50) = 50\n\
            +1 < . 1:1(0) ack {snd_una+100} win 100\n+0 < . 1:1(0) ack {snd_una+50} win 200\n+3 close(4) = 0\n";
        let vector = tcp_vectors::parse::vector("two", "two", text).unwrap_or_else(|e| panic!("{e}"));
        let shows = |case: &Case| {
            let sum = |of: fn(&StepKind) -> i64| case.script.steps.iter().map(|s| of(&s.kind)).sum::<i64>();
            let written = sum(|k| match k {
                StepKind::Call(CallStep { call: VectorCall::Write(_, data), .. }) => i64::try_from(data.len()).unwrap_or(0),
                _ => 0,
            });
            let acknowledged = sum(|k| match k {
                StepKind::Inject(spec) => spec.ack.filter(|a| a.base == Base::SndUna).map_or(0, |a| i64::from(a.offset)),
                _ => 0,
            });
            let opened = case.script.steps.iter().any(|s| matches!(&s.kind, StepKind::Inject(spec) if spec.flags.has(Flags::SYN)));
            written == 150 && acknowledged == 150 && opened && case.script.steps.iter().map(|s| s.after).sum::<u64>() >= 4_000_000
        };
        let case = Case::new(vector.script(), 0);
        assert!(shows(&case));
        let small = minimise(&case, shows);
        assert_eq!(stimuli(&small.case.script), 3, "{:?}", small.case.script);
    }
}
