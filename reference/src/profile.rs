//! What is not negotiated on the wire and that an oracle has to be told of a stack: bounds with documented defaults, each with its reason.

use std::ops::RangeInclusive;

use crate::api::Micros;
use crate::catalogue::RuleId;
use crate::lenience::Lenience;
use crate::tcb::LEAST_MSS;

/// One second in [`Micros`].
pub const SECOND: Micros = 1_000_000;
/// One millisecond in [`Micros`].
pub const MILLISECOND: Micros = 1_000;

/// The interval in which challenge ACKs are counted (RFC 5961 section 7).
pub const CHALLENGE_INTERVAL: Micros = 5 * SECOND;

/// A stack's local policies, as bounds. The defaults are the RFCs' own values.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Profile {
    /// How long TIME-WAIT lasts. RFC 9293 section 3.4.2 takes an MSL of 2 minutes and calls it an engineering choice, so the value is the
    /// stack's to state; MUST-13 then holds it to that.
    pub time_wait: RangeInclusive<Micros>,
    /// Longest delay of an ACK (RFC 9293 MUST-40).
    pub ack_delay: Micros,
    /// Longest time until a reply that nothing allows to be delayed. RFC 9293 states none; half a second tells a slow machine from silence.
    pub reply: Micros,
    /// Whether the stack has given every reply that nothing lets it delay once it has settled (nothing more comes without input or time).
    /// Then a reply that is missing when the next stimulus comes is missing for good.
    pub settles: bool,
    /// What a "should be sent at once" allows for before it counts as delayed.
    pub at_once: Micros,
    /// Shortest retransmission time-out. RFC 6298 (2.4) SHOULD: 1 s; a shorter one is reported as a departure, a still shorter one than this
    /// as a fault.
    pub rto_min: Micros,
    /// Longest first retransmission time-out while round trips are short. RFC 6298 (2.1) says 1 s and allows more.
    pub rto_first: Micros,
    /// Longest retransmission time-out at all. RFC 6298 (2.5) allows a bound of 60 s or more.
    pub rto_max: Micros,
    /// How many time-outs in a row a SYN may repeat at the first interval before the interval doubles (RFC 6298 (5.5) says none).
    pub linear_syn_timeouts: u8,
    /// Shortest time after which the stack may give up a connection whose segments go unanswered (RFC 9293 SHLD-11: 100 s).
    pub give_up: Micros,
    /// The same for a SYN (RFC 9293 MUST-23: 3 minutes).
    pub give_up_syn: Micros,
    /// The same for a connection after the sockets API's `close`.
    pub give_up_orphan: Micros,
    /// MTU of the stack's link, octets.
    pub mtu: u16,
    /// Whether the stack's IP layer puts fragments together again (RFC 9293 MUST-67: MMS_R).
    pub reassembles: bool,
    /// Whether the stack's congestion avoidance is RFC 5681's, one segment more in each round trip. RFC 9293 MAY-18 allows others, and RFC 9438's
    /// grows faster.
    pub reno: bool,
    /// Segments of the initial window: RFC 6928 allows 10.
    pub initial_window: u32,
    /// Least time between replies to unacceptable segments; the stack may stay silent within it (RFC 5961 section 7).
    pub reply_throttle: Option<Micros>,
    /// How many challenge ACKs the stack sends in five seconds: fewer are all owed, more show that it has no throttle (RFC 5961 section 7, which calls
    /// its own ten an example and the number tunable).
    pub challenge_acks: RangeInclusive<u32>,
    /// Whether the sockets API's `close` is half-duplex (RFC 9293 MAY-1): nobody reads any more, and what is unread or comes later is lost.
    pub half_duplex_close: bool,
    /// Whether `accept` also gives a connection that ended while it waited. RFC 9293 knows no `accept`.
    pub accepts_ended: bool,
    /// Whether the stack is prepared to scale windows (RFC 7323 section 2): then it should say so in its SYNs. The RFC is an extension.
    pub window_scale: bool,
    /// Whether the stack knows timestamps (RFC 7323 section 3), so that a reset in answer to a segment that has them should have them too.
    pub timestamps: bool,
    /// Whether TSvals come from the stack's user: then their offset is not the stack's to choose.
    pub user_stamps: bool,
    /// Whether the stack uses PAWS where timestamps are used: what RFC 7323 requires "that an implementation of PAWS include" (section 5.5) binds
    /// no other.
    pub paws: bool,
    /// Whether the stack takes part in an experiment that puts ECT on SYNs, pure ACKs, probes or what is sent again (RFC 8311 section 4.3; RFC 5562
    /// for the SYN-ACK). RFC 3168 itself forbids that.
    pub ecn_experiments: bool,
    /// Octets beyond the advertised window that a segment beginning within it may bring: a buffer that counts memory, not octets.
    pub overrun: u32,
    /// The least MSS that the stack believes a peer, octets. The default is what IPv4's smallest MTU of 68 octets leaves.
    pub least_mss: u16,
    /// A permission that is not granted: so tests show that it is needed ([`rules::PERMISSIONS`](crate::rules::PERMISSIONS)).
    pub denied: Option<RuleId>,
    /// A permission that no RFC gives and that is granted all the same: so tests show that it would hide faults.
    pub granted: Option<Lenience>,
    /// Each value that is not the default, with its reason; reports print it.
    pub reasons: Vec<String>,
}

impl Default for Profile {
    fn default() -> Profile {
        Profile {
            time_wait: 240 * SECOND..=240 * SECOND,
            ack_delay: 500 * MILLISECOND,
            reply: 500 * MILLISECOND,
            settles: true,
            at_once: 20 * MILLISECOND,
            rto_min: SECOND,
            rto_first: 3 * SECOND,
            rto_max: 120 * SECOND,
            linear_syn_timeouts: 0,
            give_up: 100 * SECOND,
            give_up_syn: 180 * SECOND,
            give_up_orphan: 100 * SECOND,
            mtu: 1500,
            reassembles: true,
            reno: false,
            initial_window: 10,
            reply_throttle: None,
            challenge_acks: 10..=50,
            half_duplex_close: true,
            accepts_ended: false,
            window_scale: false,
            timestamps: false,
            user_stamps: false,
            paws: true,
            ecn_experiments: false,
            overrun: 0,
            least_mss: LEAST_MSS,
            denied: None,
            granted: None,
            reasons: Vec::new(),
        }
    }
}

impl Profile {
    /// Whether a permission is granted.
    pub(crate) fn grants(&self, permission: RuleId) -> bool {
        self.denied != Some(permission)
    }

    /// Whether this is allowed although no RFC does.
    pub(crate) fn lets(&self, lenience: Lenience) -> bool {
        self.granted == Some(lenience)
    }

    /// Whether TIME-WAIT can have ended after `elapsed`, for certain or at all. A fifth of the stated time is allowed for either way.
    #[must_use]
    pub fn time_wait_after(&self, elapsed_least: Micros, elapsed_most: Micros) -> TimeWait {
        let early = self.time_wait.start() - self.time_wait.start() / 10;
        let late = self.time_wait.end() + self.time_wait.end() / 10 + SECOND;
        if self.lets(Lenience::TimeWaitOfAnyLength) {
            TimeWait::Either
        } else if elapsed_most < early {
            TimeWait::Lasts
        } else if elapsed_least > late {
            TimeWait::Over
        } else {
            TimeWait::Either
        }
    }
}

/// Whether TIME-WAIT lasts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TimeWait {
    /// It cannot have ended.
    Lasts,
    /// It must have ended.
    Over,
    /// It may have.
    Either,
}
