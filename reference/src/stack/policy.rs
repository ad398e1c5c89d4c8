//! Which of the permitted ways a [`Stack`](super::Stack) takes.

use crate::api::Micros;
use crate::profile::{MILLISECOND, Profile, SECOND};
use crate::relation::{Habit, Habits, Outcome};

/// The choices that RFC 9293 leaves to a stack, made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Policy {
    /// RFC 5961 section 3 for an in-window RST, or RFC 793.
    pub challenges_rst: bool,
    /// RFC 5961 section 4 for a SYN, or RFC 793.
    pub challenges_syn: bool,
    /// RFC 5961 section 5 for an old ACK.
    pub checks_ack_range: bool,
    /// Out-of-order text is held (SHLD-31).
    pub holds_out_of_order: bool,
    /// How long an ACK is delayed; 0 for not at all.
    pub ack_delay: Micros,
    /// Nagle's algorithm.
    pub nagle: bool,
    /// How long TIME-WAIT lasts (2MSL).
    pub time_wait: Micros,
    /// Receive buffer, octets.
    pub buffer: u32,
    /// Window scale offered.
    pub window_scale: Option<u8>,
    /// MSS offered, octets.
    pub mss: u16,
    /// Timestamps are offered and taken up (RFC 7323).
    pub timestamps: bool,
    /// With timestamps: PAWS (RFC 7323 section 5).
    pub paws: bool,
    /// With timestamps: a RST with a TSecr that is not the newest TSval is ignored (RFC 7323 section 5.2).
    pub checks_reset_echo: bool,
    /// SACK is offered and taken up (RFC 2018), and duplicates are reported (RFC 2883).
    pub sack: bool,
    /// An ECN-setup SYN is answered with an ECN-setup SYN-ACK (RFC 3168).
    pub ecn: bool,
    /// With ECN: every segment has ECT, as in an experiment (RFC 8311 section 4.3).
    pub ect_everywhere: bool,
    /// A hard ICMP error aborts a synchronized connection too (RFC 9293 SHLD-26; RFC 5461 section 2).
    pub hard_errors_abort: bool,
    /// A soft ICMP error ends an opening (RFC 5461 section 4).
    pub soft_errors_end_opening: bool,
    /// Whoever resets a connection keeps it in TIME-WAIT (RFC 9293 section 3.5.2).
    pub lingers_after_reset: bool,
    /// A retransmitted FIN starts 2MSL again.
    pub restarts_time_wait: bool,
    /// Challenge ACKs in five seconds at most (RFC 5961 section 7); `None` for no throttle, so that nothing is counted.
    pub challenge_acks: Option<u32>,
    /// The shortest time-out that its profile declares; what it does is 1 s.
    pub declared_rto_min: Micros,
    /// ISNs follow the clock (RFC 9293 MUST-8). A model whose times are relative switches it off: then each connection's is so far beyond that of
    /// the one before, whenever it begins.
    pub isn_clock: bool,
    /// Where several permitted outcomes remain, the one at this place is taken, counted round.
    pub variant: usize,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            challenges_rst: true,
            challenges_syn: true,
            checks_ack_range: false,
            holds_out_of_order: true,
            ack_delay: 200 * MILLISECOND,
            nagle: true,
            time_wait: 60 * SECOND,
            buffer: 65_535,
            window_scale: None,
            mss: 1460,
            timestamps: false,
            paws: false,
            checks_reset_echo: false,
            sack: false,
            ecn: false,
            ect_everywhere: false,
            hard_errors_abort: false,
            soft_errors_end_opening: false,
            lingers_after_reset: false,
            restarts_time_wait: true,
            challenge_acks: Some(10),
            declared_rto_min: SECOND,
            isn_clock: true,
            variant: 0,
        }
    }
}

impl Policy {
    /// RFC 5961 section 5 for an old ACK.
    #[must_use]
    pub fn with_ack_range() -> Policy {
        Policy { checks_ack_range: true, ..Policy::default() }
    }

    /// Timestamps.
    #[must_use]
    pub fn with_timestamps() -> Policy {
        Policy { timestamps: true, ..Policy::default() }
    }

    /// SACK.
    #[must_use]
    pub fn with_sack() -> Policy {
        Policy { sack: true, ..Policy::default() }
    }

    /// ECN.
    #[must_use]
    pub fn with_ecn() -> Policy {
        Policy { ecn: true, ..Policy::default() }
    }

    /// A profile that takes shorter time-outs for granted.
    #[must_use]
    pub fn with_short_timeouts() -> Policy {
        Policy { declared_rto_min: 200 * MILLISECOND, ..Policy::default() }
    }

    /// Timestamps and PAWS.
    #[must_use]
    pub fn with_paws() -> Policy {
        Policy { paws: true, ..Policy::with_timestamps() }
    }

    /// Windows are scaled.
    #[must_use]
    pub fn with_window_scale() -> Policy {
        Policy { window_scale: Some(4), ..Policy::default() }
    }

    /// Windows are scaled, and end between what a field can say.
    #[must_use]
    pub fn with_small_scaled_window() -> Policy {
        Policy { buffer: 9001, ..Policy::with_window_scale() }
    }

    /// Out-of-order text is dropped.
    #[must_use]
    pub fn without_reassembly() -> Policy {
        Policy { holds_out_of_order: false, ..Policy::default() }
    }

    /// Whether the way it takes breaks a SHOULD: it is permitted, and departs.
    #[must_use]
    pub fn departs(&self) -> bool {
        !self.holds_out_of_order || !self.nagle
    }

    /// The permitted ways that a stack can take, one policy each, with a name: no oracle may find fault with any of them.
    #[must_use]
    pub fn permitted() -> Vec<(&'static str, Policy)> {
        let base = Policy::default();
        vec![
            ("default", base.clone()),
            ("RFC 793 resets", Policy { challenges_rst: false, challenges_syn: false, ..base.clone() }),
            ("RFC 5961 ACK range", Policy::with_ack_range()),
            ("RFC 5961 ACK range with a hard-coded window", Policy { variant: 1, ..Policy::with_ack_range() }),
            ("timestamps", Policy::with_timestamps()),
            ("timestamps and PAWS", Policy::with_paws()),
            ("timestamps, PAWS and a check of a reset's TSecr", Policy { checks_reset_echo: true, ..Policy::with_paws() }),
            ("SACK", Policy::with_sack()),
            ("SACK and timestamps", Policy { sack: true, ..Policy::with_timestamps() }),
            ("ECN", Policy::with_ecn()),
            ("ECN with ECT on every segment", Policy { ect_everywhere: true, ..Policy::with_ecn() }),
            ("every ICMP error ends what it may", Policy { hard_errors_abort: true, soft_errors_end_opening: true, ..base.clone() }),
            ("lingers after a reset", Policy { lingers_after_reset: true, ..base.clone() }),
            ("2MSL counts from the first FIN", Policy { restarts_time_wait: false, ..base.clone() }),
            ("drops out-of-order text", Policy::without_reassembly()),
            ("acknowledges at once", Policy { ack_delay: 0, ..base.clone() }),
            ("delays ACKs by 450 ms", Policy { ack_delay: 450 * MILLISECOND, ..base.clone() }),
            ("second variant", Policy { variant: 1, ..base.clone() }),
            ("third variant", Policy { variant: 2, ..base.clone() }),
            ("fourth variant", Policy { variant: 3, ..base.clone() }),
            ("window scale", Policy::with_window_scale()),
            ("window scale and a small buffer", Policy::with_small_scaled_window()),
            ("window scale of 0", Policy { window_scale: Some(0), ..base.clone() }),
            ("small buffer", Policy { buffer: 9000, ..base.clone() }),
            ("a profile with short time-outs", Policy::with_short_timeouts()),
            ("Nagle off", Policy { nagle: false, ..base }),
        ]
    }

    /// The habits that this policy amounts to.
    #[must_use]
    pub fn habits(&self) -> Habits {
        Habits::default()
            .with(Habit::ChallengesRst, self.challenges_rst)
            .with(Habit::ChallengesSyn, self.challenges_syn)
            .with(Habit::ChecksAckRange, self.checks_ack_range)
            .with(Habit::HoldsOutOfOrder, self.holds_out_of_order)
            .with(Habit::Paws, self.paws)
            .with(Habit::ChecksResetEcho, self.checks_reset_echo)
    }

    /// What an oracle has to be told of a stack with this policy.
    #[must_use]
    pub fn profile(&self) -> Profile {
        Profile {
            time_wait: self.time_wait..=self.time_wait,
            rto_min: self.declared_rto_min,
            window_scale: self.window_scale.is_some(),
            timestamps: self.timestamps,
            ecn_experiments: self.ect_everywhere,
            reno: true,
            ..Profile::default()
        }
    }

    /// The outcome that is taken.
    #[must_use]
    pub fn pick(&self, outcomes: Vec<Outcome>) -> Option<Outcome> {
        let conforming = outcomes.iter().filter(|o| o.departs.is_none()).count();
        let candidates = if conforming > 0 { conforming } else { outcomes.len() };
        let place = self.variant % candidates.max(1);
        outcomes.into_iter().filter(|o| conforming == 0 || o.departs.is_none()).nth(place)
    }
}
