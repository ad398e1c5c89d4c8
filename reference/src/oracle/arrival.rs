//! What becomes of one explanation when a segment arrives, a user calls, or time passes.

use crate::api::{ENDLESS, Micros};
use crate::catalogue::{Level, RuleId};
use crate::lenience::Lenience;
use crate::oracle::hypothesis::{Due, Ended, Hypothesis, Last, ResetDue, Way};
use crate::profile::{Profile, TimeWait};
use crate::relation::{Answer, Env, Fresh, Outcome, Owed, Reader, ResetForm, Signal, TimeWaitTimer, arrive};
use crate::rules;
use crate::segment::{Segment, TcpOption};
use crate::seq::Seq;
use crate::state::State;
use crate::tcb::Conn;

/// The circumstances of an event.
#[derive(Clone, Copy)]
pub(crate) struct At<'a> {
    pub(crate) event: usize,
    pub(crate) now: Micros,
    pub(crate) profile: &'a Profile,
    pub(crate) port: Port,
    /// The last event before it by which everything that the stack had sent was seen.
    pub(crate) settled: usize,
    pub(crate) default_mss: u16,
}

/// What serves the local port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Port {
    /// Nothing ever did.
    Free,
    /// A listener that was closed.
    Closed,
    /// A listener.
    Listening,
    /// A listener where as many connections wait as it was told to keep: another SYN may be dropped.
    Full,
}

impl At<'_> {
    /// Whether a listener serves the local port.
    pub(crate) fn listening(&self) -> bool {
        matches!(self.port, Port::Listening | Port::Full)
    }
}

impl Hypothesis {
    /// Every explanation that this one becomes when it processes `segment`.
    pub(crate) fn arrivals(&self, segment: &Segment, at: &At<'_>, out: &mut Vec<Hypothesis>) {
        if ill_formed_options(segment) {
            // MUST-7: a segment with an illegal option length may be dropped; its connection may be reset.
            let mut dropped = self.clone();
            dropped.last =
                Last { rule: rules::OPTION_ILLEGAL, event: at.event, state: self.conn.state(at.listening()), silent_at: Some(at.now) };
            let mut reset = dropped.clone().gone(Ended::By(Signal::Reset));
            reset.answer(Answer::MayReset(ResetForm::answering(segment)), rules::OPTION_ILLEGAL, segment, at);
            out.extend([dropped, reset]);
        }
        self.takes_lightly(at, out);
        self.each_age(at, |h| {
            if at.port == Port::Full && h.conn == Conn::Absent {
                h.without_room(segment, at, out);
            }
            let mut outcomes = Vec::with_capacity(4);
            arrive(&h.conn, segment, &h.env(at), &mut outcomes);
            out.extend(outcomes.into_iter().map(|o| h.clone().follow(o, segment, at)));
        });
    }

    /// The listener has no room: a SYN is dropped, or the stack has no listener left for it, and the port is a closed one.
    fn without_room(&self, segment: &Segment, at: &At<'_>, out: &mut Vec<Hypothesis>) {
        if segment.is_syn() && !segment.is_ack() && !segment.is_rst() {
            let last = Last { rule: rules::LISTEN_SYN, event: at.event, state: State::Listen, silent_at: Some(at.now) };
            out.push(Hypothesis { last, ..self.clone() });
        }
        let mut outcomes = Vec::new();
        arrive(&Conn::Absent, segment, &Env { listening: false, ..self.env(at) }, &mut outcomes);
        out.extend(outcomes.into_iter().map(|o| self.clone().follow(o, segment, at)));
    }

    /// What an oracle would follow that lets a stack ignore segments, or end connections for them.
    fn takes_lightly(&self, at: &At<'_>, out: &mut Vec<Hypothesis>) {
        if at.profile.lets(Lenience::SegmentsIgnored) {
            out.push(self.clone());
        }
        if at.profile.lets(Lenience::SegmentsEndConnections) && self.conn != Conn::Absent {
            out.push(self.clone().gone(Ended::By(Signal::Reset)));
        }
    }

    /// This explanation as old as it can be: TIME-WAIT may have ended in the meantime, and a stack may have given up.
    pub(crate) fn each_age(&self, at: &At<'_>, mut each: impl FnMut(&Hypothesis)) {
        let state = self.conn.state(at.listening());
        if state == State::TimeWait {
            let (least, most) = (at.now.saturating_sub(self.clocks.time_wait.1), at.now.saturating_sub(self.clocks.time_wait.0));
            let age = at.profile.time_wait_after(least, most);
            if age != TimeWait::Over {
                each(self);
            }
            if age != TimeWait::Lasts {
                each(&self.clone().gone(Ended::Normally));
            }
            return;
        }
        each(self);
        if self.may_have_given_up(at.now, at.profile) {
            each(&self.clone().gone(Ended::TimedOut));
        }
    }

    /// The connection is gone.
    #[must_use]
    pub(crate) fn gone(mut self, how: Ended) -> Hypothesis {
        self.conn = Conn::Absent;
        self.user.ended = Some(how);
        self.iss_unseen = false;
        self.drop_dues();
        self
    }

    pub(crate) fn env(&self, at: &At<'_>) -> Env {
        Env {
            listening: at.listening(),
            reader: match (self.user.orphan, at.profile.half_duplex_close) {
                (false, _) => Reader::User,
                (true, false) => Reader::Unknown,
                (true, true) => Reader::Nobody,
            },
            default_mss: at.default_mss,
            // The stack's own choices come from its SYN-ACK; a scale of 14 marks that the peer offered one.
            fresh: Fresh { iss: Seq(0), window: 0, scale: Some(14) },
            habits: self.habits,
            seen: self.seen_at(at.now, at.profile.paws),
            tsval_sent: self.user.stamps.sent(),
            overrun: at.profile.overrun,
            denied: at.profile.denied,
        }
    }

    /// Takes one outcome of the relation.
    pub(crate) fn follow(mut self, outcome: Outcome, segment: &Segment, at: &At<'_>) -> Hypothesis {
        let mut before = std::mem::replace(&mut self.conn, outcome.next);
        let state = before.state(at.listening());
        let silent_at = (outcome.answer == Answer::Silence).then_some(at.now);
        if before.tcb().is_some_and(|t| t.reopened.is_some()) && self.conn.state(false) == State::TimeWait {
            self.return_to_time_wait();
            before = self.conn.clone();
        }
        self.last = Last { rule: outcome.rule, event: at.event, state, silent_at };
        if let Some((habit, value)) = outcome.habit {
            self.habits = self.habits.with(habit, value);
        }
        if let Some((rule, word)) = outcome.way {
            self.ways.take(Way { rule, word, event: at.event, state });
        }
        if let Some(rule) = outcome.departs {
            self.depart(rule, at.event);
        }
        match outcome.time_wait {
            TimeWaitTimer::Untouched => {}
            TimeWaitTimer::Starts => self.clocks.time_wait = (at.now, at.now),
            TimeWaitTimer::MayRestart if at.profile.grants(rules::TIME_WAIT_FIN_LITERAL) => self.clocks.time_wait.1 = at.now,
            TimeWaitTimer::MayRestart => self.clocks.time_wait = (at.now, at.now),
        }
        if at.profile.settles {
            // What may be sent at once, and was not, does not come any more.
            self.dues.resets.retain(|(_, due)| !(due.optional && due.at_once && due.cause < at.settled));
        }
        let begins_from = matches!(&before, Conn::Absent) || state == State::TimeWait;
        let opened = outcome.answer == Answer::SynAck && begins_from && self.conn != Conn::Absent;
        let reopened = before.tcb().map(|t| t.snd_nxt);
        if opened {
            let past = (state == State::TimeWait).then(|| Box::new(Hypothesis { conn: before.clone(), ..self.clone() }));
            self.begin(at.event);
            self.user.least_iss = reopened;
            self.past = past;
        }
        // A connection that begins has no past of its own, whatever its tuple was before.
        let before = if opened { Conn::Absent } else { before };
        match (&before, &self.conn) {
            (Conn::Absent, Conn::Absent) => {}
            (_, Conn::Absent) => {
                self.user.ended = Some(outcome.signal.map_or(Ended::Normally, Ended::By));
                self.drop_dues();
                self.iss_unseen = false;
            }
            (_, Conn::Open(_)) => self.progress(&before, segment, at),
            (_, Conn::SynSent(_)) => {}
        }
        let acceptable = before.tcb().is_none_or(|t| outcome.rule != rules::SEQ_UNACCEPTABLE.at(t.state));
        self.clocks.keepalives = 0;
        self.clocks.heard_at = (if acceptable { at.now } else { self.clocks.heard_at.0 }, at.now);
        self.answer(outcome.answer, outcome.rule, segment, at);
        self
    }

    /// A connection begins with the peer's SYN: what an earlier one left is forgotten.
    fn begin(&mut self, event: usize) {
        let (habits, stream, last, departs, blame) =
            (self.habits, self.next_stream(), self.last, std::mem::take(&mut self.departs), self.blame);
        let ways = std::mem::take(&mut self.ways);
        let conn = std::mem::replace(&mut self.conn, Conn::Absent);
        let resets = std::mem::take(&mut self.dues.resets);
        let (deferred, last_arrival) = (std::mem::take(&mut self.deferred), self.last_arrival);
        *self = Hypothesis { conn, habits, last, departs, ways, blame, deferred, last_arrival, iss_unseen: true, ..Hypothesis::new() };
        self.dues.resets = resets;
        (self.user.stream, self.user.began) = (stream, event);
    }

    /// The SYN that reopened the connection was an old duplicate: what is known of the connection in TIME-WAIT holds again.
    fn return_to_time_wait(&mut self) {
        let Some(past) = self.past.take() else { return };
        let reopened = std::mem::replace(self, *past);
        (self.conn, self.habits, self.blame) = (reopened.conn, reopened.habits, reopened.blame);
        (self.departs, self.ways) = (reopened.departs, reopened.ways);
        (self.deferred, self.last_arrival) = (reopened.deferred, reopened.last_arrival);
        self.drop_dues();
        self.dues.resets = reopened.dues.resets;
    }

    /// What an arrival changes besides the TCB: clocks, and what the user can see.
    fn progress(&mut self, before: &Conn, segment: &Segment, at: &At<'_>) {
        self.take_timestamps(before, segment, at.now, at.profile.paws);
        self.user.scaling.take(segment, before.tcb().is_none());
        self.note_sack(before, segment, at.event);
        self.note_ecn(before, segment);
        let Conn::Open(tcb) = &self.conn else { return };
        let old_una = match before {
            Conn::Absent => tcb.snd_una,
            Conn::SynSent(c) => c.iss,
            Conn::Open(t) => t.snd_una,
        };
        let (una, nxt, right) = (tcb.snd_una, tcb.snd_nxt, tcb.snd_right());
        if una != old_una {
            if self.clocks.recovery_due.is_some_and(|due| due.of_head()) {
                self.never_recovered();
            }
            self.round_trip(at.now, old_una, una, nxt);
            self.flight_acknowledged(old_una, at);
        }
        let Conn::Open(tcb) = &self.conn else { return };
        let clocks = &mut self.clocks;
        clocks.snd_right_max = clocks.snd_right_max.max(right);
        if matches!(before, Conn::SynSent(_)) {
            clocks.snd_right_max = tcb.snd_right();
            clocks.capacity = tcb.rcv_right.since(tcb.irs + 1);
        }
        let was = before.tcb();
        if tcb.snd_una != old_una {
            // What is acknowledged left with the first of the flights at the earliest.
            let (end, since, next) = clocks.flights;
            clocks.rtt_max = clocks.rtt_max.max(at.now.saturating_sub(since.min(clocks.unanswered_since)));
            if next > 0 && tcb.snd_una.ge(end) {
                clocks.flights = (tcb.snd_nxt, next, 0);
            }
            // Karn: the backoff stands until text that was first sent after the recovery is acknowledged.
            if clocks.timeouts > 0 {
                clocks.backoff_until = tcb.snd_nxt;
            } else if tcb.snd_una.gt(clocks.backoff_until) {
                // Of a segment that is acknowledged in part no sample need be taken.
                let whole = tcb.snd_una.ge((clocks.backoff_until + u32::from(tcb.believed_mss())).min(tcb.snd_nxt));
                clocks.backoff = if whole { 0 } else { clocks.backoff };
            }
            clocks.timeouts = 0;
            clocks.last_gap = 0;
            clocks.duplicate_acks = 0;
            clocks.fast_resent = false;
            clocks.rto_since = at.now;
            clocks.acked_at = at.now;
            clocks.unanswered_since = at.now;
            (clocks.progress_since, clocks.held_since) = (at.now, at.now);
            clocks.recovery_due = None;
            clocks.not_duplicates = 0;
            // A partial acknowledgment lets the next hole leave again (RFC 6582 section 3.2).
            clocks.resend_below = clocks.resend_below.map(|(_, below)| (tcb.snd_una, below)).filter(|(una, below)| una.lt(*below));
        } else if segment.is_ack() && segment.ack == tcb.snd_una && tcb.snd_una != tcb.snd_nxt {
            if tcb.snd_wnd == 0 || tcb.snd_right().lt(tcb.snd_nxt) {
                // A probe, or what lies beyond a shrunken edge, was answered: R2 counts from here (RFC 9293 MUST-37, SHLD-17).
                clocks.unanswered_since = at.now;
            }
            let same_window = was.is_some_and(|w| w.snd_right() == tcb.snd_right());
            let acceptable = was.is_none_or(|w| self.last.rule != rules::SEQ_UNACCEPTABLE.at(w.state));
            if acceptable {
                self.duplicate_ack(same_window && segment.is_empty(), at);
            }
        }
        let Conn::Open(tcb) = &self.conn else { return };
        let clocks = &mut self.clocks;
        if was.is_some_and(|w| w.snd_right() != tcb.snd_right()) {
            clocks.progress_since = at.now;
            clocks.closed_at = if tcb.snd_wnd == 0 { at.now } else { clocks.closed_at };
            clocks.rto_since = clocks.rto_since.max(at.now);
            (clocks.probed_at, clocks.probe_gap) = (0, 0);
            // A probe's octet may leave again together with what the opened window lets out.
            let opened = was.is_some_and(|w| w.snd_wnd == 0) && tcb.snd_una != tcb.snd_nxt;
            clocks.resend_below = clocks.resend_below.or(opened.then_some((tcb.snd_una, tcb.snd_nxt)));
        }
        if segment.options.iter().any(|o| matches!(o, TcpOption::Sack(_))) {
            self.sack_shows_loss(segment, old_una, at);
            self.clocks.sacked = true;
        }
        let Conn::Open(tcb) = &self.conn else { return };
        let clocks = &mut self.clocks;
        let old_nxt = was.map_or(tcb.rcv_nxt, |w| w.rcv_nxt);
        let in_order = tcb.rcv_nxt != old_nxt;
        if in_order {
            self.filled_to = (tcb.rcv_nxt.gt(segment.end()) && segment.end().gt(old_nxt)).then_some(segment.end());
        }
        if in_order && segment.payload.len() >= usize::from(clocks.rmss) && clocks.rmss > 0 {
            clocks.full_unacked = clocks.full_unacked.saturating_add(1);
        }
        if tcb.state != State::SynReceived {
            self.past = None;
            self.user.established = true;
            self.user.irs = tcb.irs;
            self.user.readable = tcb.readable_end().since(tcb.irs + 1);
            self.user.eof = tcb.fin_taken();
        }
    }

    /// What an arrival makes owed or permitted.
    fn answer(&mut self, answer: Answer, rule: RuleId, segment: &Segment, at: &At<'_>) {
        let due = |level, within, rule| Due { rule, level, cause: at.event, deadline: at.now + within, optional: false, at_once: false };
        let answer = at.profile.granted.map_or(answer, |lenience| lenience.answer(answer));
        let endless = at.profile.lets(Lenience::RepliesWithoutBound);
        let reply = |level| Due { at_once: !endless, ..due(level, if endless { ENDLESS } else { at.profile.reply }, rule) };
        let ack_delay = if at.profile.lets(Lenience::AckDelayedWithoutBound) { ENDLESS } else { at.profile.ack_delay };
        // One ACK for each incoming segment (RFC 5681 section 4.2); that of text in order is owed, and no other one comes of it.
        let earns = matches!(answer, Answer::MayAck | Answer::Ack(Owed::AtOnce(_) | Owed::ShouldBeAtOnce(_)));
        if earns {
            let unused = if at.now > self.credits_until { 0 } else { self.credits };
            self.credits = unused.saturating_add(1);
            self.credits_until = at.now + at.profile.ack_delay;
        }
        match answer {
            Answer::Silence | Answer::MayAck => {}
            Answer::Ack(Owed::AtOnce(level)) => {
                let throttled = at.profile.reply_throttle.is_some_and(|t| self.clocks.last_challenge.is_some_and(|last| at.now < last + t));
                let throttled = throttled || (rules::is_challenge(rule) && self.may_throttle(at.now, at.profile));
                if !throttled {
                    self.owe_ack(reply(level));
                }
            }
            Answer::Ack(Owed::Delayed) => self.owe_ack(due(Level::Must, ack_delay, rule)),
            Answer::Ack(Owed::DelayedButShouldBeAtOnce(soon)) => {
                self.owe_ack(due(Level::Must, ack_delay, rule));
                self.dues.ack_soon = self.dues.ack_soon.or(Some(due(Level::Should, at.profile.at_once, soon)));
            }
            Answer::Ack(Owed::ShouldBeAtOnce(soon)) => {
                self.dues.ack_soon = self.dues.ack_soon.or(Some(due(Level::Should, at.profile.at_once, soon)));
            }
            Answer::Reset(_) if self.early_resets > 0 => self.early_resets -= 1,
            Answer::Reset(form) => self.dues.resets.push((ResetDue::answering(form, segment), reply(Level::Spec))),
            Answer::MayReset(form) => {
                let may = Due { optional: true, ..due(Level::May, at.profile.reply, rule) };
                self.dues.resets.push((ResetDue::answering(form, segment), may));
            }
            Answer::SynAck => self.dues.syn = Some(Due { optional: at.profile.lets(Lenience::SilenceForSyn), ..reply(Level::Spec) }),
        }
        if self.clocks.full_unacked >= 2 && self.dues.ack_soon.is_none() && !segment.payload.is_empty() {
            self.dues.ack_soon = Some(due(Level::Should, at.profile.at_once, rules::EVERY_SECOND));
        }
        if self.dues.resets.len() > 16 {
            self.dues.resets.remove(0);
        }
    }

    /// What is overdue at `now`, the earliest first.
    pub(crate) fn overdue(&self, now: Micros, profile: &Profile) -> Option<Due> {
        self.owed(profile).filter(|d| d.deadline < now).min_by_key(|d| d.deadline)
    }

    /// A reply that the stack did not give although it has settled since its cause: `settled` is the last event by which all was seen.
    pub(crate) fn unanswered(&self, settled: usize, profile: &Profile) -> Option<Due> {
        let late = |d: &&Due| d.at_once && d.cause < settled;
        self.owed_replies().filter(|d| profile.settles && late(d)).min_by_key(|d| d.cause).copied()
    }
}

/// Whether an option has a length that its kind cannot have (RFC 9293 MUST-7).
fn ill_formed_options(segment: &Segment) -> bool {
    segment.options.iter().any(|o| match o {
        TcpOption::IllFormed(_) => true,
        // A kind that has a form of its own comes as `Other` only where its length is wrong.
        TcpOption::Other { kind, .. } => matches!(kind, 2 | 3 | 4 | 5 | 8),
        TcpOption::Eol
        | TcpOption::Nop
        | TcpOption::Mss(_)
        | TcpOption::WindowScale(_)
        | TcpOption::SackPermitted
        | TcpOption::Sack(_)
        | TcpOption::Timestamps { .. } => false,
    })
}
