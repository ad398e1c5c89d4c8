//! Error productions: the ways in which a rule is commonly broken, assumed one at a time when no permitted explanation is left.

use crate::api::CallResult;
use crate::catalogue::{Level, RuleId};
use crate::oracle::arrival::{At, Port};
use crate::oracle::avoidance::AfterLoss;
use crate::oracle::congestion::CONGESTION_WINDOW;
use crate::oracle::emission::Sent;
use crate::oracle::hypothesis::{Blame, Due, Ended, Hypothesis, Last};
use crate::relation::{Answer, Outcome, arrive};
use crate::rules;
use crate::segment::{Flags, Segment};
use crate::state::State;
use crate::tcb::Conn;

/// Surprise of a segment that is lost for its IP options.
const IP_OPTION: u8 = 1;
/// Surprise of a fault after which everything follows exactly: the segment was ignored, or the connection went elsewhere.
const EXACT: u8 = 2;
/// Surprise of a segment taken as another one would have been.
const MISTAKEN: u8 = 3;
/// The kind of a fault that is a silence.
const SILENCE: &str = "silence";
/// Surprise of a report that does not fit.
const REPORT: u8 = 4;

impl Hypothesis {
    /// What this explanation becomes when `segment` arrives and the stack breaks a rule about it.
    pub(crate) fn broken_arrivals(&self, segment: &Segment, at: &At<'_>, out: &mut Vec<Hypothesis>) {
        let mut outcomes = Vec::new();
        arrive(&self.conn, segment, &self.env(at), &mut outcomes);
        let Some(first) = outcomes.first() else { return };
        let rule = first.rule;
        let state = self.conn.state(at.listening());
        let level = if rule.entry().is_some_and(|r| r.level == Level::Should) { Level::Should } else { Level::Spec };
        let blame = |surprise, kind| Blame { rule, level, state, event: at.event, cause: None, kind, surprise };
        // That a segment without timestamps ends nothing is a rule of its own.
        let ends = |blame: Blame| {
            if rule == rules::UNSTAMPED_DROPPED { Blame { rule: rules::UNSTAMPED_ABORTS, level: Level::Must, ..blame } } else { blame }
        };
        if at.port == Port::Closed && self.conn == Conn::Absent {
            let open = At { port: Port::Listening, ..*at };
            let listens = Blame { rule: rules::CLOSE_LISTEN, ..blame(EXACT, "listens-on") };
            let mut taken = Vec::new();
            arrive(&self.conn, segment, &self.env(&open), &mut taken);
            out.extend(taken.into_iter().map(|o| Hypothesis { blame: Some(listens), ..self.clone().follow(o, segment, &open) }));
        }
        let unaffected = |o: &Outcome| o.next == self.conn;
        let noted = || {
            let mut h = self.clone();
            h.last.rule = rule;
            h.last.event = at.event;
            h.last.state = state;
            h
        };
        if segment.ip.options {
            // The segment did not reach TCP, likelier than anything else.
            let passed_over = Blame { rule: rules::IP_OPTIONS, level: Level::Must, ..blame(IP_OPTION, "ip-option") };
            out.push(Hypothesis { blame: Some(passed_over), ..noted() });
        }
        if !outcomes.iter().any(unaffected) {
            out.push(Hypothesis { blame: Some(blame(EXACT, "ignored")), ..noted() });
        }
        let deletes = outcomes.iter().any(|o| o.next == Conn::Absent);
        for outcome in outcomes.iter().filter(|o| !deletes && o.next != Conn::Absent && o.answer != Answer::Silence) {
            // The right answer, but the connection is deleted.
            let deleted = Outcome { next: Conn::Absent, ..outcome.clone() };
            out.push(Hypothesis { blame: Some(ends(blame(EXACT, "closed"))), ..self.clone().follow(deleted, segment, at) });
        }
        for outcome in &outcomes {
            // The right answer, but the state stays.
            let (Conn::Open(old), Conn::Open(new)) = (&self.conn, &outcome.next) else { continue };
            if old.state != new.state {
                let mut stuck = new.clone();
                stuck.state = old.state;
                let wrong = Outcome { next: Conn::Open(stuck), ..outcome.clone() };
                out.push(Hypothesis { blame: Some(blame(REPORT, "state")), ..self.clone().follow(wrong, segment, at) });
            }
        }
        if self.conn != Conn::Absent && !deletes {
            let gone = noted().gone(Ended::By(crate::relation::Signal::Reset));
            let mut resetting = gone.clone();
            resetting.assume_reset(segment, rule, at);
            out.push(Hypothesis { blame: Some(ends(blame(EXACT, "closed"))), ..gone });
            out.push(Hypothesis { blame: Some(ends(blame(MISTAKEN, "reset"))), ..resetting });
        }
        for outcome in outcomes.iter().filter(|o| o.rule == rules::WINDOW_STALE) {
            let mut taken = outcome.clone();
            if let Some(tcb) = taken.next.tcb_mut() {
                tcb.take_window(segment);
            }
            out.push(Hypothesis { blame: Some(blame(EXACT, "stale-window-taken")), ..self.clone().follow(taken, segment, at) });
        }
        if let Some(h) = self.taking_what_follows_fin(segment, at) {
            let kind = if segment.payload.is_empty() { "fin-taken" } else { "text-taken" };
            out.push(Hypothesis { blame: Some(Blame { rule: h.last.rule, ..blame(EXACT, kind) }), ..h });
        }
        for (mistaken, kind) in self.mistaken(segment) {
            let mut outcomes = Vec::new();
            arrive(&self.conn, &mistaken, &self.env(at), &mut outcomes);
            for outcome in outcomes.into_iter().filter(|o| o.next != self.conn) {
                let outcome = Outcome { rule, ..outcome };
                out.push(Hypothesis { blame: Some(blame(MISTAKEN, kind)), ..self.clone().follow(outcome, &mistaken, at) });
            }
        }
        // A SYN that may reopen the connection would be answered in the same way after its end.
        let reopens = outcomes.iter().any(|o| o.permit == Some(rules::REOPENED));
        if state == State::TimeWait && !reopens {
            let over = Blame { rule: rules::TIME_WAIT_2MSL, level: Level::Must, ..blame(EXACT, "ended-early") };
            let gone = self.clone().gone(Ended::Normally);
            let mut then = Vec::new();
            gone.arrivals(segment, at, &mut then);
            out.extend(then.into_iter().map(|h| Hypothesis { blame: Some(over), ..h }));
            let lasts = Blame { rule: rules::TIME_WAIT_TIMEOUT, ..blame(EXACT, "lasts-on") };
            let mut then = Vec::new();
            arrive(&self.conn, segment, &self.env(at), &mut then);
            out.extend(then.into_iter().map(|o| Hypothesis { blame: Some(lasts), ..self.clone().follow(o, segment, at) }));
        }
    }

    /// Text or a second FIN behind the peer's FIN is taken.
    fn taking_what_follows_fin(&self, segment: &Segment, at: &At<'_>) -> Option<Hypothesis> {
        let tcb = self.conn.tcb()?;
        if segment.is_empty() || segment.is_syn() || !tcb.fin_taken() || segment.text_start() != tcb.rcv_nxt || segment.is_rst() {
            return None;
        }
        let mut next = tcb.clone();
        next.rcv_nxt = segment.end();
        let rule = if segment.payload.is_empty() { rules::FIN.at(tcb.state) } else { rules::TEXT.at(tcb.state) };
        let taken = Outcome::new(rule, Conn::Open(next), Answer::MayAck);
        Some(self.clone().follow(taken, segment, at))
    }

    /// Segments for which a stack that skips a check may take this one.
    fn mistaken(&self, segment: &Segment) -> Vec<(Segment, &'static str)> {
        let Some(tcb) = self.conn.tcb() else { return Vec::new() };
        let mut all = Vec::new();
        if !segment.is_ack() && !segment.is_rst() {
            all.push((Segment { flags: segment.flags | Flags::ACK, ack: tcb.snd_una, ..segment.clone() }, "no-ack-bit-taken"));
        }
        if segment.is_ack() && segment.ack.gt(tcb.snd_nxt) {
            all.push((Segment { ack: tcb.snd_nxt, ..segment.clone() }, "future-ack-taken"));
            all.push((Segment { ack: tcb.snd_una, ..segment.clone() }, "future-ack-passed-over"));
        }
        if segment.seq != tcb.rcv_nxt && !segment.is_syn() && !segment.is_empty() {
            all.push((Segment { seq: tcb.rcv_nxt, ..segment.clone() }, "taken-out-of-place"));
        }
        if segment.is_syn() {
            all.push((Segment { flags: segment.flags.without(Flags::SYN), ..segment.clone() }, "syn-passed-over"));
        }
        all
    }

    /// The segment is taken as sent whatever the rules say: an owed one with a wrong field, or one that nothing asked for.
    pub(crate) fn broken_emission(&self, sent: &Sent<'_>, out: &mut Vec<Hypothesis>) {
        let mut h = self.clone();
        let state = h.conn.state(false);
        // What is right but for its timestamps or its marks of ECN is taken as what it is.
        let plain = h.emit_plain(sent);
        let fits = plain.is_ok();
        let Err(misfit) = plain.and_then(|licence| h.fitted_out(sent, licence)) else { return };
        if !fits {
            h = self.clone();
        }
        let blame = Blame {
            rule: misfit.rule,
            level: misfit.level,
            state,
            event: sent.event,
            cause: misfit.cause,
            kind: misfit.kind,
            surprise: misfit.surprise,
        };
        if misfit.kind == CONGESTION_WINDOW {
            // A stack without congestion control is told so once.
            h.clocks.flight.unbounded();
            h.clocks.after_loss = AfterLoss::default();
        }
        if misfit.kind == "early" && misfit.rule != rules::DUPLICATE_ACK {
            // It has left twice all the same: its acknowledgment gives no sample (Karn).
            h.clocks.last_gap = sent.at.saturating_sub(h.clocks.rto_since.max(h.clocks.head_sent.0));
            h.clocks.timeouts = h.clocks.timeouts.saturating_add(1);
        }
        h.blame = Some(blame);
        if fits {
            h.believe_stamps(sent.segment);
            h.user.ecn.believe();
        } else {
            h.pay_whatever(sent, misfit.cause);
        }
        out.push(h);
    }

    /// Takes from a segment that breaks a rule what it shows, so that it is held against the stack only once.
    fn pay_whatever(&mut self, sent: &Sent<'_>, cause: Option<usize>) {
        let seg = sent.segment;
        let owed = |d: &Due| Some(d.cause) == cause;
        self.dues.forget(owed);
        self.report_sent();
        if !seg.is_empty() {
            self.clocks.sent_last = sent.at;
        }
        if self.conn.tcb().is_none_or(|t| seg.seq.le(t.snd_una)) {
            self.clocks.head_sent.0 = self.clocks.head_sent.0.max(sent.from);
            self.clocks.rto_since = self.clocks.rto_since.max(sent.at);
        }
        if seg.is_syn() && self.iss_unseen {
            let mut first = self.clone();
            let lawful = Segment {
                flags: seg.flags & (Flags::SYN | Flags::ACK),
                payload: Vec::new(),
                options: self.lawful_scale(seg),
                ..seg.clone()
            };
            let lawful = Segment { ack: first.conn.tcb().map_or(seg.ack, |t| t.rcv_nxt), ..lawful };
            first.user.least_iss = None;
            if first.emit(&Sent { segment: &lawful, ..*sent }).is_ok() {
                *self = first;
            }
            return;
        }
        if seg.is_ack() && !seg.is_rst() && self.conn.tcb().is_some_and(|t| t.rcv_nxt == seg.ack) {
            // Whatever is wrong with it, it acknowledges what came.
            self.acknowledged();
            self.clocks.full_unacked = 0;
        }
        if let Some(tcb) = self.conn.tcb().filter(|t| !seg.payload.is_empty() && seg.seq.lt(t.snd_nxt)) {
            // It leaves again all the same, and with it what follows.
            let head = seg.seq.le(tcb.snd_una);
            self.clocks.recovery_due = self.clocks.recovery_due.filter(|due| !(head && due.of_head()));
            self.clocks.resend_below = Some((seg.end(), tcb.snd_nxt)).filter(|(end, nxt)| end.lt(*nxt)).or(self.clocks.resend_below);
        }
        self.user.scaling.settled();
        self.believe_scale();
        let closed = self.user.closed.is_some();
        let end = self.stream_end();
        if let Some(tcb) = self.conn.tcb_mut() {
            if !seg.is_rst() && !seg.is_syn() && seg.seq == tcb.snd_nxt && seg.end().le(end + u32::from(closed)) {
                tcb.snd_nxt = tcb.snd_nxt.max(seg.end());
                if seg.is_fin() {
                    tcb.fin_sent = Some(seg.text_end());
                }
            }
            if seg.is_ack() && !seg.is_rst() {
                let right = seg.ack + (u32::from(seg.window) << tcb.rcv_scale);
                tcb.rcv_right = tcb.rcv_right.max(right);
                tcb.rcv_room = tcb.rcv_room.max(tcb.rcv_right);
            }
        }
    }

    /// The stack was silent although something was owed.
    pub(crate) fn broken_silence(&self, due: Due, event: usize) -> Hypothesis {
        let (rule, state) = (self.rule_of_silence(&due), self.conn.state(false));
        let mut h = self.silent(&due);
        h.blame = Some(Blame { rule, level: due.level, state, event, cause: Some(due.cause), kind: SILENCE, surprise: EXACT });
        h
    }

    /// Whether this explanation assumes that the stack breaks the rule of what it owes by silence: a stack that does so does it each time.
    pub(crate) fn is_silent_again(&self, due: &Due) -> bool {
        self.blame.is_some_and(|b| b.kind == SILENCE && b.rule == self.rule_of_silence(due))
    }

    /// Without what was owed and does not come.
    pub(crate) fn silent(&self, due: &Due) -> Hypothesis {
        let mut h = self.clone();
        let same = |d: &Due| d.rule == due.rule && d.cause == due.cause && d.deadline == due.deadline;
        h.dues.forget(same);
        if self.own_accord_is(*due) {
            h.clocks.rto_since = h.clocks.rto_since.max(due.deadline) + 3600 * crate::profile::SECOND;
            h.clocks.progress_since = h.clocks.progress_since.max(due.deadline) + 3600 * crate::profile::SECOND;
        }
        h
    }

    fn rule_of_silence(&self, due: &Due) -> RuleId {
        let delayed_text = rules::TEXT.all().chain([rules::TRIM]).any(|r| r == due.rule);
        match delayed_text {
            true => rules::DELAYED_ACK,
            false if due.rule == rules::RETRANSMISSION_TIMEOUT && self.head_sacked() => rules::SACKED_HEAD_RESENT,
            false => due.rule,
        }
    }

    fn own_accord_is(&self, due: Due) -> bool {
        let by_timer =
            [rules::RETRANSMISSION_TIMEOUT, rules::PROBE, rules::PROBE_SHRUNK, rules::RESENT_WITHIN_SHRUNK, rules::KEEPALIVE_INTERVAL];
        let waiting = [rules::NOT_HELD, rules::SEND_EARLY, rules::WINDOW_SHIFTED, rules::NAGLE_OFF];
        by_timer.contains(&due.rule) || waiting.contains(&due.rule) || self.user.closed == Some(due.rule)
    }

    /// STATUS said what it cannot say.
    pub(crate) fn broken_status(&self, reported: State, event: usize, out: &mut Vec<Hypothesis>) {
        let mut h = self.clone();
        if let (Some(tcb), false) = (h.conn.tcb_mut(), matches!(reported, State::Closed | State::Listen | State::SynSent)) {
            tcb.state = reported;
        } else if reported == State::Closed {
            h = h.gone(Ended::Normally);
        }
        // What is gone for no known reason may have been given up.
        let given_up = (reported == State::Closed).then(|| h.clone().gone(Ended::TimedOut));
        let Last { rule, event: cause, state, .. } = self.last;
        let blame = Blame { rule, level: Level::Spec, state, event, cause: Some(cause), kind: "status", surprise: REPORT };
        h.blame = Some(blame);
        out.extend(given_up.map(|h| Hypothesis { blame: Some(blame), ..h }));
        // Or the state is what it should be, and STATUS alone is wrong: what follows decides.
        let told_wrong = Blame { rule: rules::STATUS, cause: None, surprise: REPORT + 1, ..blame };
        out.extend([h, Hypothesis { blame: Some(told_wrong), ..self.clone() }]);
    }

    /// RECEIVE returned what it cannot return.
    pub(crate) fn broken_recv(&self, result: &CallResult, event: usize) -> Hypothesis {
        let mut h = self.clone();
        let rule = self.recv_rule(result);
        if let CallResult::Data(d) = result {
            h.user.read += u32::try_from(d.len()).unwrap_or(0);
        }
        let state = self.conn.state(false);
        h.blame = Some(Blame { rule, level: Level::Must, state, event, cause: Some(self.last.event), kind: "receive", surprise: REPORT });
        h
    }
}
