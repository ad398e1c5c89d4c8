//! What a segment's Timestamps option says before its sequence number is looked at: RFC 7323 sections 3.2, 4.3 and 5.

use crate::api::Micros;
use crate::arrives::synchronized::{Acceptability, check_sequence};
use crate::catalogue::{Level, RuleId};
use crate::profile::SECOND;
use crate::relation::{Answer, Env, Habit, Outcome, Owed, newer};
use crate::rules;
use crate::segment::Segment;
use crate::seq::Seq;
use crate::state::State;
use crate::tcb::{Conn, Tcb};

/// What the peer's timestamps say of a connection that uses them: TS.Recent (RFC 7323 section 4.3), within bounds where the texts leave open
/// whether a segment changed it, and the highest TSval of any segment.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TimestampsSeen {
    /// TS.Recent at least.
    pub recent: u32,
    /// TS.Recent at most.
    pub recent_most: u32,
    /// The highest TSval of any segment.
    pub highest: u32,
    /// The highest TSval of those that moved RCV.NXT: PAWS may compare with it instead (RFC 7323 section 5.2).
    pub in_order: u32,
    /// The connection has been idle for more than 24 days: TS.Recent is not valid any more (RFC 7323 section 5.5).
    pub lapsed: bool,
}

/// Idleness after which TS.Recent is not valid any more (RFC 7323 section 5.5).
pub(crate) const LAPSES: Micros = 24 * 24 * 3600 * SECOND;

/// What a segment does to TS.Recent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Update {
    /// Nothing.
    None,
    /// Section 4.3 (2) copies its TSval; section 5.3 rejects the segment before that (R2), or an order of steps that is not written down
    /// decides: it may be copied.
    Maybe,
    /// Its TSval is copied where it is not older.
    Certain,
}

impl TimestampsSeen {
    /// A connection's first.
    #[must_use]
    pub fn first(val: u32) -> TimestampsSeen {
        TimestampsSeen { recent: val, recent_most: val, highest: val, in_order: val, lapsed: false }
    }

    /// One more segment, with what it does to TS.Recent, and whether it moved RCV.NXT.
    pub(crate) fn take(&mut self, segment: &Segment, update: Update, advances: bool) {
        let Some((val, _)) = segment.timestamps().filter(|_| !segment.is_rst()) else { return };
        if newer(val, self.highest) || self.lapsed {
            self.highest = val;
        }
        if self.lapsed && update == Update::Certain {
            *self = TimestampsSeen::first(val);
            return;
        }
        if advances && newer(val, self.in_order) {
            self.in_order = val;
        }
        if update == Update::Certain && newer(val, self.recent) {
            self.recent = val;
        }
        if update != Update::None && newer(val, self.recent_most) {
            self.recent_most = val;
        }
    }

    /// Whether TS.Recent can be this.
    #[must_use]
    pub fn can_be(&self, val: u32) -> bool {
        !newer(self.recent, val) && !newer(val, self.recent_most)
    }
}

/// What a segment that is not rejected does to TS.Recent: "SEG.SEQ <= Last.ACK.sent" (RFC 7323 section 4.3 (2)).
pub(crate) fn update(tcb: &Tcb, segment: &Segment, last_ack_sent: Seq) -> Update {
    if segment.is_rst() || segment.seq.gt(last_ack_sent) {
        return Update::None;
    }
    // Rule (2) is for a synchronized connection, and appendix D has it before the checks of sequence number and ACK, section 5.3 between.
    let synchronized = !matches!(tcb.state, State::SynReceived | State::TimeWait) && !segment.is_syn();
    let ack = segment.is_ack() && segment.ack.ge(tcb.snd_una) && segment.ack.le(tcb.snd_nxt);
    let opens = tcb.state == State::SynReceived && !segment.is_syn() && ack && segment.ack.gt(tcb.snd_una);
    if (synchronized && ack || opens) && check_sequence(tcb, segment) == Acceptability::Acceptable {
        Update::Certain
    } else {
        Update::Maybe
    }
}

/// Whether a segment that this rule decided about was dropped for its timestamps, or for want of them.
pub(crate) fn refused_by(rule: RuleId) -> bool {
    [rules::PAWS, rules::UNSTAMPED_DROPPED].contains(&rule)
}

/// The check, around the steps of section 3.10.7.4 that follow it.
pub(crate) fn check(tcb: &Tcb, segment: &Segment, env: &Env, out: &mut Vec<Outcome>, steps: impl Fn(&mut Vec<Outcome>)) {
    let Some(seen) = env.seen.filter(|_| !segment.is_rst()) else { return steps(out) };
    if tcb.state == State::TimeWait && segment.is_syn() {
        // RFC 6191 says what becomes of it.
        return steps(out);
    }
    match segment.timestamps() {
        None => missing(tcb, segment, env, out, steps),
        // Half the numbers away a TSval can be older than one bound of TS.Recent and newer than the other.
        Some((val, _)) if [seen.recent, seen.recent_most, seen.in_order].iter().any(|&than| newer(than, val)) => {
            old(tcb, val, &seen, env, out, steps);
        }
        Some(_) => steps(out),
    }
}

/// "If a non-<RST> segment is received without a TSopt, a TCP SHOULD silently drop the segment."
fn missing(tcb: &Tcb, segment: &Segment, env: &Env, out: &mut Vec<Outcome>, steps: impl Fn(&mut Vec<Outcome>)) {
    let dropped = Outcome::new(rules::UNSTAMPED_DROPPED, Conn::Open(tcb.clone()), Answer::Silence);
    if segment.is_syn() {
        // The option is negotiated by SYNs, so what a repeated one without it means is not clear.
        steps(out);
        out.push(dropped);
        return;
    }
    if env.habits.allows(Habit::DropsUnstamped, true) {
        out.push(dropped.showing(Habit::DropsUnstamped, true));
    }
    if env.habits.allows(Habit::DropsUnstamped, false) {
        // "Some implementations relax the acceptance rules as a workaround."
        each(out, steps, |outcome| {
            outcome.departs = outcome.departs.or(Some(rules::UNSTAMPED_DROPPED));
            outcome.habit = outcome.habit.or(Some((Habit::DropsUnstamped, false)));
        });
    }
}

/// The further steps, each of their outcomes marked.
fn each(out: &mut Vec<Outcome>, steps: impl Fn(&mut Vec<Outcome>), mark: impl Fn(&mut Outcome)) {
    let from = out.len();
    steps(out);
    out[from..].iter_mut().for_each(mark);
}

/// R1 of section 5.3, where PAWS is used: "Send an acknowledgment in reply as specified in Section 3.9 of [RFC0793], page 69, and drop the segment."
fn old(tcb: &Tcb, val: u32, seen: &TimestampsSeen, env: &Env, out: &mut Vec<Outcome>, steps: impl Fn(&mut Vec<Outcome>)) {
    let older = newer(seen.recent, val);
    if seen.lapsed {
        each(out, steps, |outcome| {
            if older {
                outcome.rule = rules::PAWS_LAPSES;
            }
        });
        return;
    }
    // What shows the habit: TS.Recent is known and no TSval of 0, which some take for none; the connection is synchronized; and it is older by more
    // than a tick, which a peer's processors may disagree by.
    let certain =
        older && newer(seen.recent_most, val) && tcb.state != State::SynReceived && seen.recent != 0 && seen.recent.wrapping_sub(val) > 1;
    let refused = Outcome::new(rules::PAWS, Conn::Open(tcb.clone()), Answer::Ack(Owed::AtOnce(Level::Should)));
    if !certain {
        let first = env.habits.get(Habit::Paws) == Some(true) && older;
        if first {
            out.push(refused.clone());
        }
        steps(out);
        if !first {
            out.push(refused);
        }
        return;
    }
    if env.habits.allows(Habit::Paws, true) {
        out.push(refused.showing(Habit::Paws, true));
    }
    if env.habits.allows(Habit::Paws, false) {
        each(out, steps, |outcome| outcome.habit = outcome.habit.or(Some((Habit::Paws, false))));
    }
}

/// The rule for a RST at RCV.NXT that says more than the state's: PAWS does not concern it.
pub(crate) fn reset_rule(segment: &Segment, env: &Env) -> Option<RuleId> {
    let (seen, (val, _)) = env.seen.zip(segment.timestamps())?;
    newer(seen.recent, val).then_some(rules::RST_NOT_BY_PAWS)
}

/// "SEG.TSecr MAY be used to provide stricter <RST> acceptance checks", where it means something: "When the ACK bit is not set, the receiver
/// MUST ignore the value of the TSecr field."
pub(crate) fn reset_ignored(conn: &Conn, segment: &Segment, env: &Env, out: &mut Vec<Outcome>) {
    let echo = env.tsval_sent.and(segment.timestamps()).map(|(_, ecr)| ecr).filter(|_| segment.is_ack());
    if echo.is_none() || echo == env.tsval_sent || !env.habits.allows(Habit::ChecksResetEcho, true) {
        return;
    }
    let rule = rules::RST_ECHO_CHECKED;
    let ignored = Outcome::new(rule, conn.clone(), Answer::MayAck).by(rule).showing(Habit::ChecksResetEcho, true);
    if env.habits.get(Habit::ChecksResetEcho) == Some(true) {
        out.insert(0, ignored);
    } else {
        out.push(ignored);
    }
}

#[cfg(test)]
#[path = "timestamps_tests.rs"]
mod tests;
