//! What acknowledgments do to the reference stack's windows and timers (RFC 5681 section 3, RFC 6298).

use crate::api::Micros;
use crate::profile::SECOND;
use crate::rules;
use crate::segment::{Flags, Segment};
use crate::stack::endpoint::Endpoint;
use crate::stack::mutant::Fault;
use crate::tcb::Conn;

impl Endpoint {
    /// What an acknowledgment does to buffers and timers (RFC 6298 section 5, RFC 5681 section 3).
    pub(crate) fn take_ack(&mut self, before: &Conn, segment: &Segment, acceptable: bool, now: Micros) {
        let Conn::Open(tcb) = self.conn.clone() else { return };
        if tcb.snd_wnd == 0 && before.tcb().is_some_and(|b| b.snd_wnd > 0) {
            // The window closed: its probe counts from here, whatever ran before.
            self.timers.persist = None;
        }
        let old_una = match before {
            Conn::Absent => tcb.snd_una,
            Conn::SynSent(c) => c.iss,
            Conn::Open(t) => t.snd_una,
        };
        let mss = u32::from(tcb.believed_mss());
        if tcb.snd_una == old_una {
            // RFC 5681 section 2: a duplicate comes while data is outstanding (a probe of a closed window is none), has no text and offers the same window.
            let data = tcb.snd_una != tcb.snd_nxt && tcb.snd_una != tcb.iss && tcb.snd_wnd > 0;
            let same = before.tcb().is_some_and(|b| b.snd_right() == tcb.snd_right()) && segment.is_empty();
            let counts = same || self.mutated(Fault::Departs, rules::DUPLICATE_ACK);
            if segment.is_ack() && acceptable && segment.ack == tcb.snd_una && counts && data {
                self.timers.duplicate_acks += 1;
                let more = self.timers.recover.is_none() && self.timers.duplicate_acks <= 2;
                let segments = if self.mutated(Fault::LimitedDoubled, rules::LIMITED_TRANSMIT) { 2 } else { 1 };
                self.timers.limited_transmit = if more && !self.mutated(Fault::Departs, rules::LIMITED_TRANSMIT) { segments } else { 0 };
                if self.timers.fast_recovery && self.mutated(Fault::InflatesFourfold, rules::FAST_RECOVERY) {
                    self.timers.cwnd += 4 * mss;
                }
            }
            if segment.is_ack() && tcb.snd_una != tcb.snd_nxt && self.mutated(Fault::DuplicatesRestartTimer, rules::TIMER_RESTARTS) {
                self.arm_retransmit(now);
            }
            let rule = if tcb.snd_wnd == 0 { rules::PROBED_FOR_EVER } else { rules::SHRUNK_NO_TIMEOUT };
            if (tcb.snd_wnd == 0 || tcb.snd_right().lt(tcb.snd_nxt)) && !self.mutated(Fault::GivesUpAtOnce, rule) {
                // A probe was answered: the connection stays (RFC 9293 MUST-37).
                self.timers.first_unanswered = now;
            }
            return;
        }
        self.reduced_until = self.reduced_until.filter(|until| tcb.snd_una.le(*until));
        let reduced = self.reduced_until.is_some() || self.timers.recover.is_some();
        if self.ecn && segment.flags.has(Flags::ECE) && !reduced && self.timers.cwnd > 0 {
            // RFC 3168 section 6.1.2: as after a loss, once for "a series of dropped and/or CE packets from a single window of data".
            if !self.mutated(Fault::NoCongestionWindow, rules::ECE_ANSWERED) {
                self.timers.ssthresh = (tcb.snd_nxt.since(old_una) / 2).max(2 * mss);
                self.timers.cwnd = self.timers.ssthresh;
            }
            self.reduced_until = Some(tcb.snd_nxt);
            self.cwr = !self.mutated(Fault::Departs, rules::ECE_ANSWERED);
        }
        let acked = tcb.snd_una.offset_from(self.unacked_at).max(0).cast_unsigned() as usize;
        let text = acked.min(self.unacked.len());
        self.unacked.drain(..text);
        self.unacked_at += u32::try_from(text).unwrap_or(0);
        if let Some((_, sent)) = self.timers.timing.filter(|(n, _)| tcb.snd_una.ge(*n)) {
            self.timers.timing = None;
            self.measured(now - sent);
        }
        if self.timers.cwnd == 0 {
            // RFC 6928 section 2: one segment after more than one time-out of the SYN. RFC 6298 (5.7): 3 s after any.
            let unbounded = |rule| self.mutated(Fault::NoCongestionWindow, rule);
            self.timers.cwnd = match self.timers.timeouts > 1 {
                true if !unbounded(rules::INITIAL_WINDOW_LOST_SYN) => mss,
                _ if unbounded(rules::INITIAL_WINDOW) => 40 * mss,
                _ => self.initial_window(mss),
            };
            if self.timers.timeouts > 0 && self.timers.srtt.is_none() && !self.mutated(Fault::Departs, rules::RTO_AFTER_LOST_SYN) {
                self.timers.rto = 3 * SECOND;
            }
        } else if std::mem::take(&mut self.timers.fast_recovery) {
            // "Set cwnd to ssthresh": what the duplicates let out is taken back.
            if !self.mutated(Fault::NoDeflation, rules::FAST_RECOVERY) {
                self.timers.cwnd = self.timers.ssthresh;
            }
        } else if self.timers.cwnd < self.timers.ssthresh || self.mutated(Fault::NoAvoidance, rules::CONGESTION_CONTROL) {
            let many = self.mutated(Fault::NoCongestionWindow, rules::CONGESTION_CONTROL);
            let divided = self.mutated(Fault::NoCongestionWindow, rules::ACK_DIVISION);
            self.timers.cwnd += match (many, divided) {
                (true, _) => 20 * mss,
                (_, true) => mss,
                _ if self.mutated(Fault::SlowStartTwice, rules::ACK_DIVISION) => 2 * mss.min(tcb.snd_una.since(old_una)),
                _ => mss.min(tcb.snd_una.since(old_una)),
            };
        } else {
            let times = if self.mutated(Fault::GrowsFourfold, rules::AVOIDANCE) { 4 } else { 1 };
            self.timers.cwnd += times * (mss * mss / self.timers.cwnd).max(1);
        }
        if self.timers.timeouts > 0 && self.mutated(Fault::Departs, rules::KARN) {
            self.timers.rto = SECOND;
        }
        self.timers.timeouts = 0;
        self.timers.duplicate_acks = 0;
        self.timers.limited_transmit = 0;
        self.timers.first_unanswered = now;
        let (una, nxt) = (tcb.snd_una, tcb.snd_nxt);
        if una == nxt {
            self.timers.retransmit = self.timers.retransmit.filter(|_| self.outlives_flight());
        } else if !self.mutated(Fault::Departs, rules::TIMER_RESTARTS) {
            self.arm_retransmit(now);
        }
        self.timers.recover = self.timers.recover.filter(|r| una.lt(*r));
        self.timers.partial_ack = self.timers.recover.is_some();
    }

    /// The initial window, or what a mutant takes for it.
    pub(super) fn initial_window(&self, mss: u32) -> u32 {
        match self.mutant.filter(|m| m.strikes(rules::INITIAL_WINDOW)).map(|m| m.fault) {
            Some(Fault::InitialSegments(segments)) => segments * mss,
            _ => initial_window(mss),
        }
    }

    /// A round trip was measured (RFC 6298 section 2).
    fn measured(&mut self, rtt: Micros) {
        if self.mutated(Fault::SampleUnused, rules::RTO_FIRST_SAMPLE) {
            return;
        }
        let coarse = self.mutated(Fault::CoarseClock, rules::VARIANCE_ROUNDED);
        let rtt = if coarse { rtt - rtt % (SECOND / 10) } else { rtt };
        let (srtt, var) = match self.timers.srtt {
            None if self.mutated(Fault::Departs, rules::RTO_FIRST_SAMPLE) => (rtt, 0),
            None => (rtt, rtt / 2),
            Some((srtt, var)) => (srtt - srtt / 8 + rtt / 8, var - var / 4 + srtt.abs_diff(rtt) / 4),
        };
        self.timers.srtt = Some((srtt, var));
        let floor = if self.mutated(Fault::NoFloor, rules::RTO_MINIMUM) { SECOND / 5 } else { SECOND };
        let granule = if coarse { 0 } else { 1000 };
        self.timers.rto = (srtt + (4 * var).max(granule)).clamp(floor, 60 * SECOND);
    }
}

/// RFC 6928 section 2.
pub(crate) fn initial_window(mss: u32) -> u32 {
    (10 * mss).min(14_600.max(2 * mss))
}
