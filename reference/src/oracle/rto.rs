//! When octets may leave again: the retransmission timer (RFC 6298), fast retransmit and recovery (RFC 5681), and the round trips that
//! the timer is made from.

use crate::api::Micros;
use crate::catalogue::{Level, RuleId};
use crate::lenience::Lenience;
use crate::oracle::emission::{BREAKS, CLOCK, Licence, Misfit, Sent};
use crate::oracle::hypothesis::Hypothesis;
use crate::profile::SECOND;
use crate::rules;
use crate::seq::Seq;

/// The shortest retransmission time-out that the round trips seen allow, and the rule that says so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RtoFloor {
    pub(crate) least: Micros,
    pub(crate) rule: RuleId,
    /// It stands until something is acknowledged beyond this number.
    until: Seq,
}

impl Hypothesis {
    /// Octets that were sent before leave again: under the time-out's licence, that of three duplicate ACKs, or as part of a recovery.
    pub(crate) fn retransmission(&mut self, sent: &Sent<'_>) -> Result<Licence, Misfit> {
        let seg = sent.segment;
        let Some(tcb) = self.conn.tcb() else { return Err(self.nearest_to(seg)) };
        let (nxt, una) = (tcb.snd_nxt, tcb.snd_una);
        if seg.seq.le(tcb.snd_una) {
            self.clocks.recovery_due = self.clocks.recovery_due.filter(|due| !due.of_head());
        }
        if sent.profile.lets(Lenience::ResendsAtAnyTime) {
            self.resent_head(sent);
            return Ok(Licence { rule: rules::RETRANSMISSION_TIMEOUT, demanded: false });
        }
        self.skips_sacked(sent);
        self.resent_without_cwr(sent);
        if let Some((resent, below)) = self.clocks.resend_below
            && seg.seq.ge(resent)
            && seg.seq.lt(below)
        {
            self.clocks.resend_below = Some((seg.end(), below));
            self.resent_otherwise(sent);
            return Ok(Licence { rule: rules::RETRANSMISSION_TIMEOUT, demanded: false });
        }
        if (self.clocks.duplicate_acks >= 3 && !self.clocks.fast_resent) || self.clocks.sacked {
            self.clocks.resend_below = Some((seg.end(), nxt));
            self.clocks.fast_resent = true;
            self.resent_otherwise(sent);
            return Ok(Licence { rule: rules::RETRANSMISSION_TIMEOUT, demanded: false });
        }
        if self.clocks.duplicate_acks + self.clocks.not_duplicates >= 3
            && !self.clocks.fast_resent
            && sent.at.saturating_sub(self.clocks.head_sent.0) + CLOCK < sent.profile.rto_min
        {
            // What came is no duplicate: it has text, or another window.
            return Err(Misfit { level: Level::Spec, ..Misfit::new(rules::DUPLICATE_ACK, "early", BREAKS) });
        }
        if let Some(licence) = self.tail_probe(sent) {
            return Ok(licence);
        }
        if seg.seq.gt(una) {
            return Err(Misfit { level: Level::Spec, ..Misfit::new(rules::EARLIEST_FIRST, "not-earliest", BREAKS) });
        }
        let licence = self.timed_out(sent, 0)?;
        self.clocks.resend_below = Some((seg.end(), nxt));
        Ok(licence)
    }

    /// The retransmission timer fired: not too early, and backing off.
    pub(crate) fn timed_out(&mut self, sent: &Sent<'_>, linear: u8) -> Result<Licence, Misfit> {
        let gap_most = sent.at.saturating_sub(self.clocks.head_sent.0);
        let early = |rule, level| Misfit { level, ..Misfit::new(rule, "early", BREAKS) };
        if gap_most + CLOCK < sent.profile.rto_min {
            return Err(early(rules::RTO_TOO_EARLY, Level::Must));
        }
        if gap_most + CLOCK < self.clocks.rtt_min {
            // (2.3): RTO = SRTT + max (G, K*RTTVAR), and SRTT is not below the shortest round trip.
            return Err(early(rules::VARIANCE_ROUNDED, Level::Must));
        }
        if let Some(floor) = self.clocks.rto_floor.filter(|f| gap_most + CLOCK < f.least - f.least / 10) {
            return Err(early(floor.rule, Level::Must));
        }
        let ends = self.user.timeout.map(|t| self.clocks.unanswered_since + 2 * t + SECOND);
        if ends.is_some_and(|ends| sent.from > ends) {
            return Err(Misfit { level: Level::Must, ..Misfit::new(rules::USER_TIMEOUT, "sent-after-timeout", BREAKS) });
        }
        // RFC 6298 (2.5) allows a bound of 60 s.
        let doubled = (self.clocks.last_gap + self.clocks.last_gap / 2).min(55 * SECOND);
        let flat_allowed = self.clocks.timeouts <= linear;
        if self.clocks.timeouts >= 1 && gap_most + CLOCK < doubled && !flat_allowed {
            return Err(early(rules::RTO_BACKOFF, Level::Must));
        }
        let handshake = self.conn.tcb().is_none_or(|t| t.snd_una == t.iss);
        if gap_most + CLOCK < SECOND {
            self.depart(if handshake { rules::RTO_INITIAL } else { rules::RTO_MINIMUM }, sent.event);
        } else if !handshake && sent.at.saturating_sub(self.clocks.acked_at) + CLOCK < sent.profile.rto_min && self.clocks.timeouts == 0 {
            // (5.3): the timer starts again when an acknowledgment comes.
            self.depart(rules::TIMER_RESTARTS, sent.event);
        }
        // The timer may have started again after the segment was sent (RFC 6298 (5.3)).
        self.clocks.last_gap = sent.at.saturating_sub(self.clocks.rto_since.max(self.clocks.head_sent.0));
        self.clocks.timeouts = self.clocks.timeouts.saturating_add(1);
        self.clocks.backoff = (self.clocks.backoff + 1).min(16);
        self.flight_lost(sent);
        self.forget_sacked();
        self.resent_head(sent);
        Ok(Licence { rule: rules::RETRANSMISSION_TIMEOUT, demanded: true })
    }

    /// Octets left again under another licence than the timer's. It may have been the timer all the same, which then has backed off.
    fn resent_otherwise(&mut self, sent: &Sent<'_>) {
        if sent.at + CLOCK >= self.clocks.head_sent.0 + sent.profile.rto_min {
            self.clocks.backoff = (self.clocks.backoff + 1).min(16);
            self.clocks.last_gap = 0;
            self.clocks.backoff_until = self.conn.tcb().map_or(self.clocks.backoff_until, |t| t.snd_nxt);
            self.clocks.resend_below = self.conn.tcb().map(|t| (sent.segment.end(), t.snd_nxt));
        }
        self.resent_head(sent);
    }

    /// Octets left again; where they are the first that wait, the next time-out counts from now.
    fn resent_head(&mut self, sent: &Sent<'_>) {
        self.clocks.rto_since = sent.at;
        if self.conn.tcb().is_none_or(|t| sent.segment.seq.le(t.snd_una)) {
            self.clocks.head_sent = (sent.from, sent.at);
        }
    }

    /// The octet at SND.UNA left now.
    pub(crate) fn sent_head(&mut self, sent: &Sent<'_>) {
        self.clocks.head_sent = (sent.from, sent.at);
        self.clocks.rto_since = sent.at;
        self.clocks.unanswered_since = sent.from;
    }

    /// New octets were acknowledged at `now`; `old_una` was SND.UNA, `una` and `nxt` are SND.UNA and SND.NXT. To be called before the clocks
    /// forget the time-outs.
    pub(crate) fn round_trip(&mut self, now: Micros, old_una: Seq, una: Seq, nxt: Seq) {
        let iss = self.conn.tcb().map_or(old_una, |t| t.iss);
        let handshake = old_una == iss;
        let clocks = &mut self.clocks;
        if clocks.rto_floor.is_some_and(|f| una.gt(f.until)) {
            clocks.rto_floor = None;
        }
        // With timestamps a retransmission gives a sample too (RFC 6298 section 3).
        let ambiguous = clocks.timeouts > 0 && self.user.seen.is_none();
        // What was acknowledged had left by then at the latest. Of what left twice a stack need not take a sample, so none is counted on.
        let least = now.saturating_sub(clocks.sent_last);
        if clocks.sampled && !ambiguous {
            clocks.rtt_min = clocks.rtt_min.min(least);
        } else if clocks.timeouts == 0 && !clocks.fast_resent {
            (clocks.rtt_min, clocks.sampled) = (least, true);
        }
        clocks.rto_floor = if handshake && ambiguous {
            // (5.7): the time-out of data begins at 3 s where the SYN's timer expired.
            Some(RtoFloor { least: 3 * SECOND, rule: rules::RTO_AFTER_LOST_SYN, until: una })
        } else if handshake && clocks.timeouts == 0 {
            // (2.2): the first sample R gives SRTT = R and RTTVAR = R/2, so RTO = 3R.
            let least = 3 * now.saturating_sub(clocks.head_sent.1);
            Some(RtoFloor { least, rule: rules::RTO_FIRST_SAMPLE, until: una })
        } else if ambiguous {
            // Karn: no sample is taken of what was sent twice, so the time-out stands as it was doubled.
            Some(RtoFloor { least: (2 * clocks.last_gap).min(55 * SECOND), rule: rules::KARN, until: nxt })
        } else {
            clocks.rto_floor
        };
    }
}
