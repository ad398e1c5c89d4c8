//! When a stack may give a connection up whose segments go unanswered (R2, RFC 9293 section 3.8.3), and when it must not.

use crate::api::Micros;
use crate::catalogue::{Level, RuleId};
use crate::lenience::Lenience;
use crate::oracle::hypothesis::{Blame, Ended, Hypothesis};
use crate::profile::Profile;
use crate::rules;
use crate::segment::Segment;
use crate::state::State;
use crate::tcb::Conn;

impl Hypothesis {
    /// Whether unanswered retransmissions can have ended the connection.
    pub(crate) fn may_have_given_up(&self, now: Micros, profile: &Profile) -> bool {
        let patience = self.user.timeout.unwrap_or(self.patience(profile).0);
        let since = self.clocks.unanswered_since;
        let tried = self.clocks.timeouts.max(self.clocks.backoff) >= LEAST_TIMEOUTS;
        let by_retransmission = self.outstanding() && (tried || self.user.timeout.is_some()) && now >= since + patience - patience / 10;
        let lenient = profile.lets(Lenience::GivesUpAtAnyTime) && self.outstanding();
        by_retransmission || self.keepalives_may_have_ended_it() || lenient
    }

    /// The connection as it is where the stack gave it up too early, after retransmitting in vain.
    pub(crate) fn giving_up_early(&self, now: Micros, event: usize, profile: &Profile) -> Option<Hypothesis> {
        let tried = self.outstanding() && (self.clocks.timeouts >= LEAST_TIMEOUTS || self.user.timeout.is_some());
        let probed = self.clocks.keepalives > 0;
        if !(tried || probed) || self.iss_unseen || self.may_have_given_up(now, profile) {
            return None;
        }
        let rule = match (tried, self.user.timeout) {
            (true, Some(_)) => rules::USER_TIMEOUT,
            (true, None) => self.patience(profile).1,
            (false, _) => rules::KEEPALIVE_UNANSWERED,
        };
        let level = if rule.entry().is_some_and(|r| r.level == Level::Should) { Level::Should } else { Level::Must };
        let state = self.conn.state(false);
        let blame = Blame { rule, level, state, event, cause: None, kind: "gave-up-early", surprise: SURPRISE };
        Some(Hypothesis { blame: Some(blame), ..self.clone().gone(Ended::TimedOut) })
    }

    /// Whether this reset can go with giving up: the RFC asks for none and a user "can issue a reset on a connection at any time" (section 3.5.2).
    pub(crate) fn resets_what_it_gives_up(&self, reset: &Segment) -> bool {
        let Some(tcb) = self.conn.tcb() else { return false };
        let true_ack = !reset.is_ack() || reset.ack == tcb.rcv_nxt;
        reset.seq.ge(tcb.snd_una) && reset.seq.le(tcb.snd_nxt) && true_ack && !reset.is_syn() && !reset.is_fin()
    }

    /// How long a stack goes on at least, and the rule that says so.
    fn patience(&self, profile: &Profile) -> (Micros, RuleId) {
        match &self.conn {
            Conn::SynSent(_) => (profile.give_up_syn, rules::SYN_R2),
            Conn::Open(t) if t.state == State::SynReceived => (profile.give_up_syn, rules::SYN_R2),
            // RFC 6429 section 4: an orphan may be dropped for want of resources.
            _ if self.user.orphan => (profile.give_up_orphan, rules::R2),
            Conn::Open(t) if t.snd_wnd == 0 => (profile.give_up, rules::PROBED_FOR_EVER),
            Conn::Open(t) if t.snd_right().lt(t.snd_nxt) => (profile.give_up, rules::SHRUNK_NO_TIMEOUT),
            Conn::Open(_) | Conn::Absent => (profile.give_up, rules::R2),
        }
    }
}

/// Time-outs in a row before a stack can be said to have given up, and not to have lost its timer.
const LEAST_TIMEOUTS: u8 = 3;
/// Surprise of a connection that is given up early: what follows it follows exactly.
const SURPRISE: u8 = 2;
