//! What happened in a run as counters, which guide a fuzzer where the stack's own code cannot be watched: a kernel, say.

use std::collections::HashMap;

use tcp_reference::api::{Call, CallError, CallResult};
use tcp_reference::segment::{Segment, Tuple};
use tcp_reference::seq::Seq;
use tcp_reference::trace::{Arrival, Trace, What};
use tcp_vectors::model::{Base, Num};

use super::random::mixed;
use crate::session::View;

/// How many counters there are.
pub const COUNTERS: usize = 8192;

/// Counts each outcome together with the state in which it came about, the event and the event's position: where a segment's numbers lay in the
/// windows as its sender knew them. The state is the one that the stack told last; where it tells none, what it had sent before stands for it.
pub fn count(trace: &Trace, counters: &mut [u8]) {
    let mut views: HashMap<Tuple, View> = HashMap::new();
    let mut now = Moment::default();
    for event in &trace.events {
        match &event.what {
            What::Arrive { tuple, arrival } => {
                now.ends(counters);
                now.event = match arrival {
                    Arrival::Segment(segment) => {
                        let view = views.entry(*tuple).or_insert_with(|| View::new(segment.seq));
                        let place = position(view, segment);
                        view.sent(segment);
                        1 << 20 | place << 32 | kind(segment)
                    }
                    Arrival::Discarded(why) => 2 << 20 | *why as u64,
                    Arrival::Icmp(icmp) => 4 << 20 | icmp.error as u64,
                };
            }
            What::Call { call: Call::State { .. }, result } => {
                if let CallResult::State(state) = result {
                    now.told = 1 + *state as u64;
                }
                now.ends(counters);
            }
            What::Call { call, result } => {
                now.ends(counters);
                now.event = 3 << 20 | discriminant(call) << 4 | answer(result);
            }
            What::Emit { tuple, segment, .. } => {
                if let Some(view) = views.get_mut(tuple) {
                    view.received(segment);
                }
                now.emits(kind(segment), counters);
            }
            What::Quiet | What::Stall => {}
        }
    }
    now.ends(counters);
}

/// What the stack did since an event.
#[derive(Default)]
struct Moment {
    /// The event, with its position; 0 once its end was counted.
    event: u64,
    /// The state before it: what was told, or else what was sent last.
    before: u64,
    /// The state that was told since.
    told: u64,
    /// What was sent last.
    last: u64,
}

impl Moment {
    /// A segment was sent.
    fn emits(&mut self, kind: u64, counters: &mut [u8]) {
        hit(counters, mixed(self.event ^ mixed(self.before << 32 | self.last)) ^ kind);
        self.last = kind;
    }

    /// What came of the event is known.
    fn ends(&mut self, counters: &mut [u8]) {
        let after = if self.told == 0 { self.last } else { self.told };
        if self.event != 0 {
            hit(counters, mixed(self.event ^ mixed(self.before << 32)) ^ after << 8);
        }
        (self.event, self.before) = (0, after);
    }
}

fn hit(counters: &mut [u8], number: u64) {
    let place = mixed(number) % u64::try_from(counters.len().max(1)).unwrap_or(1);
    if let Some(counter) = usize::try_from(place).ok().and_then(|place| counters.get_mut(place)) {
        *counter = counter.saturating_add(1);
    }
}

/// A segment's control bits, whether it has text, and which options it has.
fn kind(segment: &Segment) -> u64 {
    let options = segment.options.iter().filter_map(tcp_reference::segment::TcpOption::kind).fold(0, |all, kind| all | 1 << (kind % 8));
    u64::from(segment.flags.0) | u64::from(segment.payload.is_empty()) << 9 | options << 10
}

/// Where SEG.SEQ, SEG.ACK and SEG.WND lie.
fn position(view: &View, segment: &Segment) -> u64 {
    let at = |base| view.resolve(Num { base, offset: 0 });
    let among = |number: Seq, low: Seq, high: Seq| match () {
        () if number == low => 0,
        () if number.lt(low) => 1,
        () if number == high => 2,
        () if number.gt(high) => 3,
        () => 4,
    };
    let seq = among(segment.seq, at(Base::RcvNxt), at(Base::RcvRight));
    let end = among(segment.end(), at(Base::RcvNxt), at(Base::RcvRight));
    let ack = if segment.is_ack() { among(segment.ack, at(Base::SndUna), at(Base::SndNxt)) } else { 5 };
    let window = match segment.window {
        0 => 0,
        1..1000 => 1,
        _ => 2,
    };
    seq | end << 4 | ack << 8 | window << 12
}

fn answer(result: &CallResult) -> u64 {
    match result {
        CallResult::Data(_) => 1,
        CallResult::Eof => 2,
        CallResult::Error(CallError::WouldBlock) => 3,
        CallResult::Error(CallError::Reset) => 4,
        CallResult::Error(_) => 5,
        _ => 0,
    }
}

/// What the runs of a fuzzer reached so far.
#[derive(Clone, Debug)]
pub struct Reached {
    most: Vec<u8>,
    counters: Vec<u8>,
}

impl Default for Reached {
    fn default() -> Reached {
        Reached { most: vec![0; COUNTERS], counters: vec![0; COUNTERS] }
    }
}

impl Reached {
    /// Counts a run; whether it met an answer more often than any before it, counted in powers of two.
    pub fn more(&mut self, trace: &Trace) -> bool {
        self.counters.fill(0);
        count(trace, &mut self.counters);
        self.note()
    }

    fn note(&mut self) -> bool {
        let mut more = false;
        for (most, times) in self.most.iter_mut().zip(&self.counters) {
            let magnitude = u8::try_from(8 - times.leading_zeros()).unwrap_or(0);
            if magnitude > *most {
                *most = magnitude;
                more = true;
            }
        }
        more
    }

    /// Takes over what another one counted in its last run; whether that is more than any before.
    pub fn joins(&mut self, other: &Reached) -> bool {
        self.counters.copy_from_slice(&other.counters);
        self.note()
    }

    /// How many kinds of answers were met.
    #[must_use]
    pub fn kinds(&self) -> usize {
        self.most.iter().filter(|n| **n > 0).count()
    }
}

fn discriminant(call: &Call) -> u64 {
    match call {
        Call::Listen { .. } => 0,
        Call::Accept { .. } => 1,
        Call::Connect { .. } => 2,
        Call::Send { .. } => 3,
        Call::Recv { .. } => 4,
        Call::Shutdown { .. } => 5,
        Call::Close { .. } => 6,
        Call::Abort { .. } => 7,
        Call::Set { .. } => 8,
        Call::State { .. } => 9,
    }
}
