//! One thing changed in what a stack sent.

use tcp_reference::api::Micros;
use tcp_reference::profile::{MILLISECOND, Profile, SECOND};
use tcp_reference::segment::{Flags, Segment};
use tcp_reference::trace::{Event, Trace, What};

/// What is changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub(crate) enum Kind {
    FlipSyn,
    FlipFin,
    FlipRst,
    FlipAck,
    FlipPsh,
    FlipUrg,
    FlipEce,
    FlipCwr,
    SeqUp,
    SeqDown,
    AckUp,
    AckDown,
    WindowZero,
    WindowLess,
    WindowHalf,
    Payload,
    Dropped,
    Doubled,
    Delayed,
    Early,
}

impl Kind {
    pub(crate) const ALL: [Kind; 20] = [
        Kind::FlipSyn,
        Kind::FlipFin,
        Kind::FlipRst,
        Kind::FlipAck,
        Kind::FlipPsh,
        Kind::FlipUrg,
        Kind::FlipEce,
        Kind::FlipCwr,
        Kind::SeqUp,
        Kind::SeqDown,
        Kind::AckUp,
        Kind::AckDown,
        Kind::WindowZero,
        Kind::WindowLess,
        Kind::WindowHalf,
        Kind::Payload,
        Kind::Dropped,
        Kind::Doubled,
        Kind::Delayed,
        Kind::Early,
    ];
}

/// A perturbed trace, and for each of its events the event of the recorded one.
pub(crate) struct Perturbed {
    pub(crate) trace: Trace,
    origin: Vec<usize>,
}

impl Perturbed {
    /// The event of the recorded trace.
    pub(crate) fn origin(&self, event: usize) -> usize {
        self.origin.get(event).copied().unwrap_or(event)
    }

    fn whole(trace: &Trace) -> Perturbed {
        Perturbed { trace: trace.clone(), origin: (0..trace.events.len()).collect() }
    }

    fn remove(&mut self, at: usize) -> Event {
        self.origin.remove(at);
        self.trace.events.remove(at)
    }

    fn insert(&mut self, at: usize, event: Event, origin: usize) {
        self.trace.events.insert(at, event);
        self.origin.insert(at, origin);
    }
}

/// Changes one thing about the segment that the stack sent at `event`; `None` where there is nothing to change.
pub(crate) fn perturb(trace: &Trace, event: usize, kind: Kind, profile: &Profile) -> Option<Perturbed> {
    let mut p = Perturbed::whole(trace);
    match kind {
        Kind::Dropped => {
            p.remove(event);
        }
        Kind::Doubled => {
            let copy = trace.events[event].clone();
            p.insert(event + 1, Event { from: copy.at, ..copy }, event);
        }
        Kind::Delayed => {
            let old = p.remove(event);
            let at = old.at + delay(trace, event, profile);
            let place = p.trace.events.iter().position(|e| e.at > at)?;
            p.insert(place, Event { from: at, at, what: old.what }, event);
        }
        Kind::Early => {
            let first = earlier(trace, event)?;
            let at = trace.events[first].at + 10 * MILLISECOND;
            let others = |e: &Event| matches!(e.what, What::Arrive { .. } | What::Call { .. });
            let moved = trace.events[event].from.checked_sub(at).filter(|by| *by > 100 * MILLISECOND);
            if moved.is_none() || trace.events[first..event].iter().any(|e| others(e) && e.at > trace.events[first].at) {
                return None;
            }
            let old = p.remove(event);
            let place = p.trace.events.iter().position(|e| e.at > at)?;
            p.insert(place, Event { from: at, at, what: old.what }, event);
        }
        _ => {
            let What::Emit { segment, .. } = &mut p.trace.events[event].what else { return None };
            let before = segment.clone();
            change(segment, kind);
            if *segment == before {
                return None;
            }
        }
    }
    Some(p)
}

fn change(segment: &mut Segment, kind: Kind) {
    let flip = |s: &mut Segment, bit: Flags| s.flags = if s.flags.has(bit) { s.flags.without(bit) } else { s.flags | bit };
    match kind {
        Kind::FlipSyn => flip(segment, Flags::SYN),
        Kind::FlipFin => flip(segment, Flags::FIN),
        Kind::FlipRst => flip(segment, Flags::RST),
        Kind::FlipAck => flip(segment, Flags::ACK),
        Kind::FlipPsh => flip(segment, Flags::PSH),
        Kind::FlipUrg => flip(segment, Flags::URG),
        Kind::FlipEce => flip(segment, Flags::ECE),
        Kind::FlipCwr => flip(segment, Flags::CWR),
        Kind::SeqUp => segment.seq += 1,
        Kind::SeqDown => segment.seq = segment.seq - 1,
        Kind::AckUp if segment.is_ack() => segment.ack += 1,
        Kind::AckDown if segment.is_ack() => segment.ack = segment.ack - 1,
        Kind::WindowZero => segment.window = 0,
        Kind::WindowLess => segment.window = segment.window.saturating_sub(1),
        Kind::WindowHalf => segment.window /= 2,
        Kind::Payload => {
            let middle = segment.payload.len() / 2;
            if let Some(octet) = segment.payload.get_mut(middle) {
                *octet ^= 0x20;
            }
        }
        Kind::AckUp | Kind::AckDown | Kind::Dropped | Kind::Doubled | Kind::Delayed | Kind::Early => {}
    }
}

/// How much later than its deadline a segment comes when it is delayed.
pub(crate) fn delay(trace: &Trace, event: usize, profile: &Profile) -> Micros {
    let What::Emit { segment, .. } = &trace.events[event].what else { return 0 };
    if is_again(trace, event) {
        profile.rto_max * 3 / 2
    } else if segment.is_rst() || segment.is_empty() {
        profile.reply.max(profile.ack_delay) + 200 * MILLISECOND
    } else {
        SECOND + SECOND / 2
    }
}

/// Whether the segment occupies numbers that were sent before.
pub(crate) fn is_again(trace: &Trace, event: usize) -> bool {
    let What::Emit { tuple, segment, .. } = &trace.events[event].what else { return false };
    !segment.is_empty()
        && trace.events[..event].iter().rev().any(|e| match &e.what {
            What::Emit { tuple: t, segment: s, .. } => t == tuple && !s.is_empty() && s.seq.le(segment.seq) && s.end().gt(segment.seq),
            _ => false,
        })
}

/// The last emission before this one that occupied its first number.
fn earlier(trace: &Trace, event: usize) -> Option<usize> {
    let What::Emit { tuple, segment, .. } = &trace.events[event].what else { return None };
    if segment.is_empty() {
        return None;
    }
    trace.events[..event].iter().rposition(|e| match &e.what {
        What::Emit { tuple: t, segment: s, .. } => t == tuple && !s.is_empty() && s.seq.le(segment.seq) && s.end().gt(segment.seq),
        _ => false,
    })
}
