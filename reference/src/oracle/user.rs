//! The user's calls as one explanation sees them (RFC 9293 sections 3.10.1 to 3.10.6), and whether their results fit it.

use crate::api::{CallError, CallResult, Micros};
use crate::catalogue::{Level, RuleId};
use crate::lenience::Lenience;
use crate::oracle::arrival::At;
use crate::oracle::hypothesis::{Blame, Due, Ended, Hypothesis, Last, ResetDue, Way};
use crate::relation::{PERMITTED, ResetForm, Signal};
use crate::rules;
use crate::segment::Segment;
use crate::state::State;
use crate::tcb::{Conn, Tcb};

impl Hypothesis {
    /// Active OPEN: a SYN is owed.
    pub(crate) fn opening(&mut self, at: &At<'_>) {
        let stream = self.next_stream();
        let (habits, ways) = (self.habits, std::mem::take(&mut self.ways));
        *self = Hypothesis { habits, ways, ..Hypothesis::new() };
        (self.user.stream, self.user.opened, self.user.began) = (stream, true, at.event);
        self.note(rules::OPEN_ACTIVE, at);
        self.dues.syn = Some(Due { optional: at.profile.lets(Lenience::SilenceForSyn), ..self.due(rules::OPEN_ACTIVE, at) });
        self.iss_unseen = true;
    }

    /// SEND took octets.
    pub(crate) fn wrote(&mut self, octets: u32, urgent: bool, at: &At<'_>) {
        let nothing_waiting = self.conn.tcb().is_none_or(|t| self.stream_end().le(t.snd_nxt));
        self.user.written += octets;
        if urgent && octets > 0 {
            self.user.urgent = Some((self.user.urgent.map_or(self.user.written, |(_, last)| last), self.user.written));
        }
        if !self.user.established && self.conn.tcb().is_none_or(|t| t.state == State::SynReceived) {
            self.user.written_early = self.user.written;
        }
        if nothing_waiting {
            (self.clocks.progress_since, self.clocks.held_since) = (at.now, at.now);
        }
    }

    /// Nagle's algorithm is switched on or off (RFC 9293 MUST-17).
    pub(crate) fn no_delay(&mut self, on: bool, now: Micros) {
        self.user.nodelay = on;
        self.user.written_before_nodelay = self.user.written;
        self.clocks.progress_since = self.clocks.progress_since.max(now);
    }

    /// Keep-alives are switched on with an interval, or off (RFC 9293 MUST-24).
    pub(crate) fn keep_alive(&mut self, interval: Option<Micros>, now: Micros) {
        self.user.keepalive = interval;
        self.user.kept_alive |= interval.is_some();
        self.clocks.heard_at.1 = self.clocks.heard_at.1.max(now);
    }

    /// CLOSE (RFC 9293 section 3.10.4); `orphan` for the sockets API's `close`, after which nobody reads. Appends every permitted outcome.
    pub(crate) fn close(mut self, orphan: bool, at: &At<'_>, out: &mut Vec<Hypothesis>) {
        let state = self.conn.state(at.listening());
        let with_syn = self.conn.tcb().is_some_and(|t| !self.user.established && t.rcv_nxt != t.irs + 1);
        let unread = self.user.readable > self.user.read || with_syn;
        self.user.orphan |= orphan;
        if self.conn.tcb().is_some_and(|t| self.stream_end().le(t.snd_nxt)) {
            self.clocks.progress_since = self.clocks.progress_since.max(at.now);
        }
        match &mut self.conn {
            Conn::Absent => {
                // An active OPEN whose SYN was not seen yet is deleted with it.
                self.dues.syn = None;
                self.user.ended = self.user.ended.or(Some(Ended::Normally));
                out.push(self);
            }
            Conn::SynSent(_) => {
                self.note(rules::CLOSE_SYN_SENT, at);
                out.push(self.gone_with_a_reset(Ended::Normally, rules::CLOSE_SYN_SENT, at));
            }
            Conn::Open(tcb) => {
                if orphan && unread && at.profile.grants(rules::HALF_DUPLEX) && state != State::TimeWait {
                    // MAY-1, SHLD-3: unread text is lost, which an RST tells the peer. A stack that keeps it for a reader has lost nothing.
                    let mut halved = self.clone();
                    halved.take_way(rules::HALF_DUPLEX, at);
                    halved.aborting(rules::HALF_DUPLEX_RST, Ended::Normally, at, out);
                    if at.profile.half_duplex_close {
                        self.depart(rules::HALF_DUPLEX_RST, at.event);
                    }
                    let Conn::Open(tcb) = &mut self.conn else { return };
                    Self::close_open(tcb, &mut self.user);
                } else {
                    Self::close_open(tcb, &mut self.user);
                }
                self.note(rules::close(state), at);
                if state == State::SynReceived {
                    // Either FIN-WAIT-1 at once, or queued until ESTABLISHED.
                    let mut queued = self.clone();
                    if let Some(tcb) = queued.conn.tcb_mut() {
                        tcb.state = State::SynReceived;
                    }
                    out.push(queued);
                }
                out.push(self);
            }
        }
    }

    fn close_open(tcb: &mut crate::tcb::Tcb, user: &mut crate::oracle::hypothesis::User) {
        user.closed = user.closed.or(Some(rules::close(tcb.state)));
        tcb.closing = true;
        tcb.state = match tcb.state {
            State::SynReceived | State::Established => State::FinWait1,
            State::CloseWait => State::LastAck,
            other => other,
        };
    }

    /// ABORT (RFC 9293 section 3.10.5).
    pub(crate) fn abort(mut self, at: &At<'_>, out: &mut Vec<Hypothesis>) {
        self.dues.syn = self.dues.syn.filter(|_| self.conn != Conn::Absent);
        let state = self.conn.state(at.listening());
        match state {
            State::Closed | State::Listen => {
                self.user.ended = self.user.ended.or(Some(Ended::Aborted));
                out.push(self);
            }
            State::SynSent => {
                self.note(rules::ABORT_EARLY, at);
                out.push(self.gone_with_a_reset(Ended::Aborted, rules::ABORT_EARLY, at));
            }
            State::Closing | State::LastAck | State::TimeWait => {
                self.note(rules::ABORT_LATE, at);
                if state == State::TimeWait {
                    // MUST-13 has TIME-WAIT linger and excepts no ABORT.
                    out.push(self.clone());
                }
                // 3.10.5 sends no reset here; 3.5.2 lets a user "issue a reset on a connection at any time".
                out.push(self.gone_with_a_reset(Ended::Aborted, rules::ABORT_LATE, at));
            }
            State::SynReceived | State::Established | State::FinWait1 | State::FinWait2 | State::CloseWait => {
                self.aborting(rules::ABORT_OPEN, Ended::Aborted, at, out);
            }
        }
    }

    /// The connection is deleted; a reset is not asked for, and not forbidden.
    pub(crate) fn gone_with_a_reset(self, how: Ended, rule: RuleId, at: &At<'_>) -> Hypothesis {
        let reset = match &self.conn {
            Conn::Absent => None,
            Conn::SynSent(c) => Some(ResetDue::Abort { low: c.iss, high: c.snd_nxt, ack: None }),
            Conn::Open(t) => Some(ResetDue::Abort { low: t.snd_una, high: t.snd_nxt, ack: Some(t.rcv_nxt) }),
        };
        let due = Due { optional: true, ..self.due(rule, at) };
        let mut gone = self.gone(how);
        gone.dues.resets.extend(reset.map(|r| (r, due)));
        gone
    }

    /// The stack takes no notice of a call.
    pub(crate) fn ignoring_call(&self, at: &At<'_>, rule: fn(State) -> RuleId) -> Option<Hypothesis> {
        let state = self.conn.state(false);
        let rule = rule(state);
        let blame = Blame { rule, level: Level::Spec, state, event: at.event, cause: None, kind: "ignored", surprise: 2 };
        (self.conn != Conn::Absent).then(|| Hypothesis { blame: Some(blame), ..self.clone() })
    }

    /// The listener was closed: what has not been accepted may be reset (3.10.4 says nothing of it), or lives on.
    pub(crate) fn listener_gone(self, at: &At<'_>, out: &mut Vec<Hypothesis>) {
        if self.conn.tcb().is_some() {
            let from = out.len();
            self.clone().aborting(rules::CLOSE_LISTEN, Ended::Aborted, at, out);
            for (_, due) in out[from..].iter_mut().flat_map(|h| &mut h.dues.resets) {
                due.optional |= due.rule == rules::CLOSE_LISTEN;
            }
        }
        out.push(self);
    }

    /// A reset is owed and the connection gone, or in TIME-WAIT: 3.10.5 deletes the TCB, and 3.5.2 says that "the side of a connection issuing
    /// a reset should enter the TIME-WAIT state".
    fn aborting(mut self, rule: RuleId, how: Ended, at: &At<'_>, out: &mut Vec<Hypothesis>) {
        self.note(rule, at);
        let due = self.due(rule, at);
        let Some(tcb) = self.conn.tcb() else {
            out.push(self.gone(how));
            return;
        };
        // A stack that went back after a time-out shows a lower SND.NXT; where the peer shrank the window, one that the peer still takes.
        let rewound = self.clocks.timeouts > 0 || self.clocks.resend_below.is_some();
        let low = if rewound { tcb.snd_una } else { tcb.snd_nxt.min(tcb.snd_right()) };
        let reset = ResetDue::Abort { low, high: tcb.snd_nxt, ack: Some(tcb.rcv_nxt) };
        let lingers = at.profile.grants(rules::RESET_SENDER_LINGERS) && tcb.state != State::SynReceived;
        let lingering = Conn::Open(Tcb { state: State::TimeWait, snd_una: tcb.snd_nxt, ..tcb.clone() });
        let mut gone = self.gone(how);
        gone.dues.resets.push((reset, due));
        if lingers {
            let mut lingering = Hypothesis { conn: lingering, ..gone.clone() };
            lingering.clocks.time_wait = (at.now, at.now);
            lingering.take_way(rules::RESET_SENDER_LINGERS, at);
            out.extend([gone, lingering]);
        } else {
            out.push(gone);
        }
    }

    fn note(&mut self, rule: RuleId, at: &At<'_>) {
        self.last = Last { rule, event: at.event, state: self.conn.state(at.listening()), silent_at: None };
    }

    /// A permission is used.
    fn take_way(&mut self, rule: RuleId, at: &At<'_>) {
        self.ways.take(Way { rule, word: PERMITTED, event: at.event, state: self.conn.state(at.listening()) });
    }

    fn due(&self, rule: RuleId, at: &At<'_>) -> Due {
        Due { rule, level: Level::Spec, cause: at.event, deadline: at.now + at.profile.reply, optional: false, at_once: true }
    }

    /// Whether STATUS can say `reported`. While a FIN waits to be sent, the state before CLOSE is the same to the user.
    pub(crate) fn fits_status(&self, reported: State) -> bool {
        let state = self.conn.state(false);
        let unsent = self.conn.tcb().is_some_and(|t| t.fin_sent.is_none());
        let opening = self.conn == Conn::Absent && self.dues.syn.is_some();
        state == reported
            || (opening && reported == State::SynSent)
            || (unsent
                && self.user.closed.is_some()
                && matches!(
                    (state, reported),
                    (State::FinWait1, State::Established | State::SynReceived)
                        | (State::LastAck, State::CloseWait)
                        | (State::SynReceived, State::FinWait1)
                ))
    }

    /// Whether RECEIVE can have returned `result`; moves the reader on.
    pub(crate) fn fits_recv(&mut self, result: &CallResult) -> bool {
        let unread = self.user.readable.saturating_sub(self.user.read);
        let ended = self.user.ended;
        match result {
            CallResult::Data(d) => {
                let n = u32::try_from(d.len()).unwrap_or(u32::MAX);
                if n > unread {
                    return false;
                }
                self.user.read += n;
                self.may_update = true;
                let edge = self.user.irs + 1 + self.user.read + self.clocks.capacity;
                if let Some(tcb) = self.conn.tcb_mut() {
                    tcb.rcv_room = tcb.rcv_room.max(edge);
                }
                true
            }
            CallResult::Eof => {
                unread == 0 && (self.user.eof || ended.is_some_and(|e| e != Ended::TimedOut && !matches!(e, Ended::By(Signal::Reset))))
            }
            CallResult::Error(CallError::WouldBlock) => {
                ended.is_none() && (!self.user.established || (unread == 0 && !self.user.eof)) || self.opening_without_syn()
            }
            CallResult::Error(CallError::Reset) => matches!(ended, Some(Ended::By(_) | Ended::Aborted)),
            CallResult::Error(CallError::Refused) => matches!(ended, Some(Ended::By(Signal::Refused | Signal::Reset))),
            CallResult::Error(CallError::TimedOut) => ended == Some(Ended::TimedOut),
            CallResult::Error(CallError::Closed | CallError::NotConnected) => {
                ended.is_some() || self.user.closed.is_some() || self.user.eof || !self.user.established
            }
            _ => true,
        }
    }

    fn opening_without_syn(&self) -> bool {
        self.conn == Conn::Absent && self.dues.syn.is_some()
    }

    /// The rule that a RECEIVE result breaks.
    pub(crate) fn recv_rule(&self, result: &CallResult) -> RuleId {
        match (result, self.user.ended) {
            (CallResult::Data(_) | CallResult::Eof, None) if !self.user.established => rules::RECEIVE_EARLY,
            (CallResult::Error(CallError::WouldBlock), None)
                if self.conn.tcb().is_some_and(|t| matches!(t.state, State::Closing | State::LastAck | State::TimeWait)) =>
            {
                rules::RECEIVE_LATE
            }
            // "RECEIVEs must be satisfied by data already on hand" after the FIN.
            (CallResult::Eof, None) if self.user.eof => rules::RECEIVE_CLOSE_WAIT,
            (CallResult::Eof | CallResult::Error(CallError::Reset), _) => rules::NORMAL_OR_ABORTED,
            (_, Some(Ended::By(_))) => self.last.rule,
            _ if self.user.eof && self.user.read == self.user.readable => rules::RECEIVE_CLOSE_WAIT,
            _ => rules::RECEIVE,
        }
    }

    /// A reset that the sender of `segment` accepts, for an assumed fault.
    pub(crate) fn assume_reset(&mut self, segment: &Segment, rule: RuleId, at: &At<'_>) {
        let due = self.due(rule, at);
        self.dues.resets.push((ResetDue::answering(ResetForm::answering(segment), segment), due));
    }
}
