//! What happened to a stack under test, in order: the only thing that the oracle reads.

use crate::api::{Call, CallResult, Micros};
use crate::icmp::Icmp;
use crate::segment::{Segment, Tuple};

/// A run's events in order, with times that never fall.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Trace {
    /// The events, oldest first.
    pub events: Vec<Event>,
}

impl Trace {
    /// Appends an event that happened at one known instant.
    pub fn push(&mut self, at: Micros, what: What) {
        self.events.push(Event { from: at, at, what });
    }

    /// Appends an event that happened at some time in `from..=at`.
    pub fn push_between(&mut self, from: Micros, at: Micros, what: What) {
        self.events.push(Event { from, at, what });
    }
}

/// One event. An observation's time is the interval from the last moment at which it was known not to have happened yet to the moment
/// at which it was seen; a stimulus has `from == at`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// Earliest time at which it can have happened.
    pub from: Micros,
    /// Latest time at which it can have happened.
    pub at: Micros,
    /// What happened.
    pub what: What,
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum What {
    /// A datagram was delivered to the stack.
    Arrive {
        /// The ends it names; for an ICMP error, those of the segment that it quotes, the stack's own as `local`.
        tuple: Tuple,
        /// What it held.
        arrival: Arrival,
    },
    /// The stack sent a segment.
    Emit {
        /// The ends it names, the stack's own as `local`.
        tuple: Tuple,
        /// The segment.
        segment: Segment,
        /// What is wrong with its octets.
        defects: Vec<WireDefect>,
    },
    /// The user called and the stack answered.
    Call {
        /// The call.
        call: Call,
        /// Its result.
        result: CallResult,
    },
    /// Everything that the stack sent until `at` has been seen: whatever is not recorded before this event did not happen before `at`.
    Quiet,
    /// The harness failed to watch the stack from `from` to `at`: deadlines within prove nothing.
    Stall,
}

/// What a delivered datagram held.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Arrival {
    /// A well-formed segment.
    Segment(Segment),
    /// A datagram that TCP must not act on, and why.
    Discarded(Malformed),
    /// An ICMP error about a segment of the stack.
    Icmp(Icmp),
}

/// Why a delivered datagram must have no effect.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Malformed {
    /// The checksum does not match (RFC 9293 MUST-3).
    BadChecksum,
    /// The data offset is below 5 or points past the segment's end (RFC 9293 section 3.1).
    DataOffset,
    /// The datagram ends within the fixed header.
    Truncated,
    /// A fragment whose rest never comes.
    Fragment,
}

/// What is wrong with the octets of a segment that the stack sent.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum WireDefect {
    /// The checksum does not match (RFC 9293 MUST-2).
    BadChecksum,
    /// A reserved bit is set (RFC 9293 section 3.1).
    ReservedBits,
    /// An option without a legal length (RFC 9293 MUST-68).
    OptionLength,
    /// Octets after the end of the option list that are not zero (RFC 9293 MUST-69).
    OptionPadding,
}
