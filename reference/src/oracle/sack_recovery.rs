//! A loss that selective acknowledgments show, and how much may leave until it is repaired (RFC 6675).

use crate::catalogue::Level;
use crate::oracle::arrival::At;
use crate::oracle::avoidance::AfterLoss;
use crate::oracle::congestion::CONGESTION_WINDOW;
use crate::oracle::emission::{BREAKS, Misfit};
use crate::oracle::hypothesis::Hypothesis;
use crate::rules;
use crate::scoreboard::DUP_THRESH;
use crate::segment::Segment;
use crate::seq::Seq;

/// What a sender that repairs a loss by selective acknowledgments may put on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Pipe {
    /// The congestion window at most; nothing is bounded where it is 0.
    window: u32,
    /// SND.UNA when the loss showed, and the octets behind it that were reported then.
    began: (Seq, u32),
    /// SND.NXT then: its acknowledgment ends the recovery.
    recovery_point: Seq,
    /// Octets that have left since.
    spent: u32,
}

impl Hypothesis {
    /// An acknowledgment of SND.UNA alone with SACK blocks: where they show that the segment there is lost, step (4) of RFC 6675 section 5 sends it
    /// again. Where so many duplicates have come as ask for it anyway, nothing is asked here.
    pub(crate) fn sack_shows_loss(&mut self, segment: &Segment, old_una: Seq, at: &At<'_>) {
        let Some(tcb) = self.conn.tcb() else { return };
        let acceptable = self.last.rule != rules::SEQ_UNACCEPTABLE.at(tcb.state);
        let again = segment.is_empty() && segment.ack == tcb.snd_una && old_una == tcb.snd_una && acceptable;
        let mss = u32::from(tcb.believed_mss());
        let in_window = (tcb.snd_una + mss).le(tcb.snd_right()) && tcb.snd_una != tcb.iss;
        if !again
            || !in_window
            || !self.sack.own
            || self.head_sacked()
            || self.repairs()
            || self.clocks.recovery_due.is_some_and(|d| d.of_head())
        {
            return;
        }
        let reported = self.sack.reported_behind(tcb.snd_una);
        if !reported.shows_loss(mss) {
            return;
        }
        let (una, nxt) = (tcb.snd_una, tcb.snd_nxt);
        let limit = self.clocks.flight.limit();
        self.loss_shown(rules::SACK_LOSS, at);
        // RFC 9438 leaves 0.7 of the congestion window where RFC 6675 leaves half.
        let window = if limit == u32::MAX { 0 } else { (limit / 10 * 7).max(2 * mss) };
        self.clocks.after_loss = AfterLoss::default();
        self.clocks.pipe = Pipe { window, began: (una, reported.octets), recovery_point: nxt, spent: 0 };
    }

    /// Whether octets may leave while a loss is repaired: section 5, step (C), sends while "cwnd - pipe" has room for a segment, and what leaves the pipe
    /// is what was acknowledged, what was reported and what was lost. All that was in flight may have been lost.
    pub(crate) fn within_pipe(&mut self, octets: u32, mss: u32) -> Result<(), Misfit> {
        let Some(tcb) = self.conn.tcb().filter(|_| self.clocks.pipe.window > 0) else { return Ok(()) };
        let (known, timed_out) = (self.sack.all_known(), self.clocks.timeouts > 0);
        let pipe = &mut self.clocks.pipe;
        if timed_out || !known || tcb.snd_una.ge(pipe.recovery_point) {
            *pipe = Pipe::default();
            return Ok(());
        }
        pipe.spent = pipe.spent.saturating_add(octets);
        let reported = self.sack.reported_behind(tcb.snd_una).octets;
        let delivered = (tcb.snd_una.since(pipe.began.0) + reported).saturating_sub(pipe.began.1);
        if pipe.spent > pipe.window.saturating_add(delivered).saturating_add(DUP_THRESH * mss) {
            return Err(Misfit { level: Level::Must, ..Misfit::new(rules::PIPE, CONGESTION_WINDOW, BREAKS) });
        }
        Ok(())
    }
}
