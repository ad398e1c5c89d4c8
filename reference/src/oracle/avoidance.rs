//! What a loss leaves of the congestion window (RFC 5681 sections 3.1 and 4.3): how much may leave in each
//! round trip until it is repaired, and how the window grows from there, one segment in each round trip.
//!
//! The growth is Reno's: RFC 9293 MAY-18 allows other controls (RFC 9438's CUBIC grows faster), so it is judged only where a profile says that the
//! stack has Reno.

use crate::catalogue::{Level, RuleId};
use crate::oracle::congestion::CONGESTION_WINDOW;
use crate::oracle::emission::{BREAKS, CLOCK, Misfit, Sent};
use crate::oracle::hypothesis::Hypothesis;
use crate::rules;
use crate::seq::Seq;

/// What the last loss left.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct AfterLoss {
    /// Half of what the congestion window can have been at most; nothing is bounded where it is 0.
    half: u32,
    /// Octets in flight when the loss showed.
    flight: u32,
    /// SND.NXT then: until it is acknowledged the loss is not repaired.
    recover: Seq,
    /// Octets that duplicate acknowledgments have reported as received since.
    reported: u32,
    /// Octets that have left since the last acknowledgment of something new.
    spent: u32,
    /// What the congestion window can have grown to.
    window: u32,
    /// SND.NXT when the round trip began, and what the congestion window can have been at most then.
    round: (Seq, u32),
    /// The retransmission timer showed the loss.
    by_timer: bool,
    /// The next acknowledgment of something new sets the congestion window to the half, and adds nothing (section 3.2, step 6).
    deflates: bool,
}

impl AfterLoss {
    /// The third duplicate acknowledgment has come; the congestion window was at most `window`.
    pub(crate) fn new(window: u32, una: Seq, nxt: Seq, mss: u32) -> AfterLoss {
        let window = if window == u32::MAX { 0 } else { (window / 2).max(2 * mss) };
        let (flight, round) = (nxt.since(una), (nxt, window));
        AfterLoss { half: window, flight, recover: nxt, reported: 3 * mss, spent: 0, window, round, by_timer: false, deflates: true }
    }

    /// The retransmission timer has expired; the congestion window, or what was in flight, was at most `window`. Slow start goes up to half of it.
    pub(crate) fn timed_out(window: u32, una: Seq, nxt: Seq, mss: u32) -> AfterLoss {
        AfterLoss { recover: una, by_timer: true, deflates: false, ..AfterLoss::new(window, una, nxt, mss) }
    }

    /// What the congestion window can be at most, where that is known.
    pub(crate) fn window(&self) -> Option<u32> {
        (self.half > 0).then_some(self.window)
    }

    /// Octets in flight that a sender reaches until the loss is repaired where it does not wait for half of the flight to leave the network, but sends
    /// a share for each duplicate from the first on (RFC 6937). "These enhanced algorithms are implicitly allowed, as long as they follow the
    /// general principles" (section 4.3), of which [`Hypothesis::within_half`] holds it to the rate.
    pub(crate) fn spread(&self, una: Seq, mss: u32) -> u32 {
        let repairing = self.half > 0 && una.lt(self.recover);
        let share = self.reported.saturating_sub(2 * mss) / 10 * 7;
        if repairing { self.recover.since(una).saturating_add(share + mss) } else { 0 }
    }

    /// One more duplicate acknowledgment.
    pub(crate) fn duplicate(&mut self, mss: u32) {
        self.reported = self.reported.saturating_add(mss);
    }

    /// Something new was acknowledged.
    pub(crate) fn acknowledged(&mut self, una: Seq, nxt: Seq, mss: u32) {
        self.spent = 0;
        if std::mem::take(&mut self.deflates) {
            self.round = if una.ge(self.round.0) { (nxt, self.window) } else { self.round };
            return;
        }
        // "Another common formula that a TCP MAY use" is "executed on every incoming ACK that acknowledges new data", however little that is:
        // "cwnd += SMSS*SMSS/cwnd" (section 3.1, equation (3)).
        self.window = self.window.saturating_add((mss.saturating_mul(mss) / self.window.max(mss).max(1)).max(1));
        let (end, then) = self.round;
        if una.ge(end) {
            self.window = self.window.max(then.saturating_add(mss));
            self.round = (nxt, self.window);
        }
    }
}

impl Hypothesis {
    /// Whether the octets of this segment may leave by what the last loss left.
    pub(crate) fn within_half(&mut self, sent: &Sent<'_>, mss: u32) -> Result<(), Misfit> {
        let seg = sent.segment;
        let Some(tcb) = self.conn.tcb() else { return Ok(()) };
        let left = &mut self.clocks.after_loss;
        let misfit = |rule: RuleId| Err(Misfit { level: Level::Must, ..Misfit::new(rule, CONGESTION_WINDOW, BREAKS) });
        if left.half == 0 || self.clocks.timeouts > 0 {
            return Ok(());
        }
        if tcb.snd_una.lt(left.recover) {
            // "Until all lost segments in the window of data in question are repaired, the number of segments transmitted in each RTT MUST be no more
            // than half the number of outstanding segments when the loss was detected" (section 4.3). An acknowledgment of something new may be the
            // end of a round trip. More duplicates than segments were in flight let so many more leave (section 3.2, step 4).
            let by_timer = seg.seq.le(tcb.snd_una) && sent.at + CLOCK >= self.clocks.head_sent.0 + sent.profile.rto_min;
            if by_timer {
                return Ok(());
            }
            left.spent = left.spent.saturating_add(u32::try_from(seg.payload.len()).unwrap_or(u32::MAX));
            let more = left.reported.saturating_sub(left.flight);
            let most = left.half.saturating_add(3 * mss).saturating_add(more);
            return if left.spent > most { misfit(rules::HALF_UNTIL_REPAIRED) } else { Ok(()) };
        }
        // Timestamps may show that nothing was lost (RFC 3522), and then the window comes back; what SACK blocks take out of the flight is not counted.
        // F-RTO (RFC 5682) lets two new segments leave before it is decided whether the time-out was spurious.
        let known = sent.profile.reno && self.user.seen.is_none() && !self.clocks.sacked && !self.clocks.flight.recovers();
        let in_flight = seg.text_end().since(tcb.snd_una);
        if known && seg.end().gt(tcb.snd_nxt) && in_flight > left.window.saturating_add(SLACK * mss) {
            // "Set cwnd to ssthresh" at the end of the recovery (section 3.2, step 6): before it has grown, it was not reduced.
            let grown = left.window > left.half.saturating_add(mss);
            return misfit(if grown || left.by_timer { rules::AVOIDANCE } else { rules::FAST_RECOVERY });
        }
        Ok(())
    }
}

/// Segments by which congestion avoidance may be ahead of the round trips that are counted here: it may begin its own in the midst of one.
const SLACK: u32 = 2;
