//! Probes: of a closed window (RFC 9293 section 3.8.6.1) and of an idle peer (keep-alives, section 3.8.4). Both are an octet or none just below
//! what the peer expects.

use crate::api::Micros;
use crate::catalogue::Level;
use crate::lenience::Lenience;
use crate::oracle::emission::{BREAKS, CLOCK, Licence, Misfit, Sent};
use crate::oracle::hypothesis::Hypothesis;
use crate::profile::SECOND;
use crate::rules;
use crate::state::State;

impl Hypothesis {
    /// The licence of a probe; `None` where the segment is none.
    ///
    /// # Errors
    /// It is one that must not have been sent.
    pub(crate) fn probe(&mut self, sent: &Sent<'_>) -> Result<Option<Licence>, Misfit> {
        let seg = sent.segment;
        // A FIN may be the octet that probes, where it is the stack's own.
        let own_fin = self.user.closed.is_some() && seg.text_end() == self.stream_end();
        let Some(tcb) = self.conn.tcb().filter(|_| seg.len() <= 1 && (!seg.is_fin() || own_fin)) else { return Ok(None) };
        let queued = self.stream_end().gt(tcb.snd_nxt) || tcb.snd_una != tcb.snd_nxt;
        let probes_window = tcb.snd_wnd == 0 && queued && (seg.seq == tcb.snd_una - 1 || seg.seq == tcb.snd_una || seg.seq == tcb.snd_nxt);
        let keeps_alive = self.user.keepalive.is_some() && seg.seq == tcb.snd_nxt - 1 && tcb.snd_una == tcb.snd_nxt;
        if probes_window && keeps_alive {
            // It may be either; where it can be a keep-alive, nothing is asked of its time as a probe.
            let mut kept = self.clone();
            if let Ok(licence) = kept.keepalive(sent) {
                *self = kept;
                return Ok(Some(licence));
            }
        }
        if probes_window {
            return Ok(self.window_probe(sent));
        }
        if seg.seq == tcb.snd_nxt - 1 && !seg.is_fin() && (tcb.snd_una == tcb.snd_nxt || self.user.kept_alive) {
            return self.keepalive(sent).map(Some);
        }
        Ok(None)
    }

    fn window_probe(&mut self, sent: &Sent<'_>) -> Option<Licence> {
        // What is in flight when the window closes is repeated by a timer that runs already.
        let outstanding = self.outstanding();
        let clocks = &mut self.clocks;
        let first = clocks.probed_at == 0;
        let last = if first { clocks.held_since.max(clocks.closed_at).max(clocks.head_sent.0) } else { clocks.probed_at };
        let gap = sent.at.saturating_sub(last);
        let early = gap + CLOCK < sent.profile.rto_min && !(first && outstanding);
        // A probe that comes much too soon is no probe: what it is else will be said.
        if early && !(first && gap >= sent.profile.rto_min / 4) {
            return None;
        }
        let constant = 2 * (gap + CLOCK) < 3 * clocks.probe_gap.min(36 * SECOND);
        clocks.backoff = (clocks.backoff + 1).min(16);
        clocks.progress_since = sent.at;
        clocks.rto_since = sent.at;
        clocks.head_sent = (sent.from, sent.at);
        clocks.timeouts = clocks.timeouts.saturating_add(1);
        // The first two probes only show what the interval is.
        (clocks.probed_at, clocks.probe_gap) = (sent.at, if first { 0 } else { gap });
        if early {
            self.depart(rules::FIRST_PROBE, sent.event);
        }
        if constant {
            self.depart(rules::PROBE_BACKOFF, sent.event);
        }
        Some(Licence { rule: rules::PROBE, demanded: false })
    }

    /// "Keep-alive packets MUST only be sent when no sent data is outstanding, and no data or acknowledgment packets have been received for the
    /// connection within an interval" (MUST-26).
    fn keepalive(&mut self, sent: &Sent<'_>) -> Result<Licence, Misfit> {
        let misfit = |rule, kind| Err(Misfit { level: Level::Must, ..Misfit::new(rule, kind, BREAKS) });
        if sent.profile.lets(Lenience::KeepAlivesAtAnyTime) {
            return Ok(Licence { rule: rules::KEEPALIVE_OFF, demanded: false });
        }
        let Some(interval) = self.user.keepalive else {
            return misfit(if self.user.kept_alive { rules::KEEPALIVE_SWITCH } else { rules::KEEPALIVE_OFF }, "keep-alive");
        };
        let outstanding = self.outstanding();
        let idle = sent.at.saturating_sub(self.clocks.heard_at.0);
        if outstanding || idle + CLOCK < interval - interval / 10 {
            return misfit(rules::KEEPALIVE_ONLY_IDLE, "keep-alive");
        }
        if !sent.segment.payload.is_empty() {
            self.depart(rules::KEEPALIVE_EMPTY, sent.event);
        }
        self.clocks.keepalives = self.clocks.keepalives.saturating_add(1);
        self.clocks.progress_since = sent.at;
        Ok(Licence { rule: rules::KEEPALIVE_OFF, demanded: false })
    }

    /// By when a keep-alive must have been sent: an interval after the peer was last heard of, with a fifth of it and a second to spare.
    pub(crate) fn keepalive_owed(&self) -> Option<Micros> {
        let interval = self.user.keepalive?;
        let tcb = self.conn.tcb()?;
        let idle = matches!(tcb.state, State::Established | State::CloseWait) && tcb.snd_una == tcb.snd_nxt && !self.user.orphan;
        (idle && self.clocks.keepalives == 0)
            .then(|| self.clocks.heard_at.1.max(self.clocks.progress_since) + interval + interval / 5 + SECOND)
    }

    /// Whether unanswered keep-alives can have ended the connection: several of them ("MUST NOT interpret a failure to respond to any specific
    /// probe as a dead connection", MUST-29).
    pub(crate) fn keepalives_may_have_ended_it(&self) -> bool {
        self.clocks.keepalives >= 2
    }
}
