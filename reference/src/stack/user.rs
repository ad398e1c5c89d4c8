//! The user's calls on one connection of the reference stack (RFC 9293 sections 3.10.2 to 3.10.5), and its options.

use crate::api::{CallError, CallResult, Micros, SetOption};
use crate::rules;
use crate::segment::Segment;
use crate::stack::Policy;
use crate::stack::endpoint::Endpoint;
use crate::stack::mutant::Fault;
use crate::state::State;
use crate::tcb::{Conn, Tcb};

impl Endpoint {
    /// SEND (RFC 9293 section 3.10.2).
    pub(crate) fn send(&mut self, data: &[u8], urgent: bool, now: Micros, policy: &Policy) -> CallResult {
        let all = CallResult::Count(u32::try_from(data.len()).unwrap_or(u32::MAX));
        if let Some(error) = &self.ended {
            return if self.mutated(Fault::Succeeds, rules::SEND_CLOSED) { all } else { CallResult::Error(error.clone()) };
        }
        let open = match &self.conn {
            Conn::Absent => false,
            Conn::SynSent(_) => true,
            Conn::Open(t) => matches!(t.state, State::SynReceived | State::Established | State::CloseWait),
        };
        if !open || self.closing {
            let lies = self.closing && self.mutated(Fault::Succeeds, rules::SEND_CLOSING);
            return if lies { all } else { CallResult::Error(CallError::Closed) };
        }
        let established = self.conn.tcb().is_some_and(|t| t.state != State::SynReceived);
        if !established && self.mutated(Fault::StaysPut, rules::SEND_EARLY) {
            return all;
        }
        if !established && self.mutated(Fault::Fails, rules::SEND_EARLY) {
            return CallResult::Error(CallError::Closed);
        }
        if self.conn.state(false) == State::CloseWait && self.mutated(Fault::Fails, rules::SEND) {
            return CallResult::Error(CallError::Closed);
        }
        let room = SEND_BUFFER.saturating_sub(self.unacked.len());
        if room == 0 && !data.is_empty() {
            return CallResult::Error(CallError::WouldBlock);
        }
        let taken = room.min(data.len());
        let lost = usize::from(taken > 1 && self.mutated(Fault::LastOctetLost, rules::SEND));
        self.unacked.extend_from_slice(&data[..taken - lost]);
        if !established && self.mutated(Fault::WrittenTwice, rules::SEND_EARLY) {
            self.unacked.extend_from_slice(&data[..taken]);
        }
        if urgent && taken > 0 {
            self.urgent_end = Some(self.unacked_at + u32::try_from(self.unacked.len()).unwrap_or(0));
        }
        if self.mutated(Fault::SendDropsAck, rules::DELAYED_ACK) {
            self.timers.delayed_ack = None;
        }
        self.output(now, policy);
        CallResult::Count(u32::try_from(taken).unwrap_or(u32::MAX))
    }

    /// RECEIVE (RFC 9293 section 3.10.3).
    pub(crate) fn recv(&mut self, max: u32, _now: Micros, policy: &Policy) -> CallResult {
        if self.orphan {
            return CallResult::Error(CallError::Closed);
        }
        if self.mutant.is_some_and(|m| m.does(Fault::Fails, rules::RECEIVE) && m.in_state(&self.conn)) {
            return CallResult::Error(CallError::Closed);
        }
        let early = self.established_at.is_none() && self.conn != Conn::Absent;
        if early && self.mutated(Fault::ResetIsEof, rules::RECEIVE_EARLY) {
            return CallResult::Eof;
        }
        if self.conn.state(false) == State::CloseWait && self.mutated(Fault::UnreadLost, rules::RECEIVE_CLOSE_WAIT) {
            self.readable.clear();
        }
        if !self.readable.is_empty() && (self.established_at.is_some() || self.mutated(Fault::ReadsEarly, rules::RECEIVE_EARLY)) {
            let wanted = max as usize + usize::from(self.mutated(Fault::GivesTooMuch, rules::RECEIVE));
            let n = wanted.min(self.readable.len());
            let mut data: Vec<u8> = self.readable.drain(..n).collect();
            if let Some(octet) = data.first_mut().filter(|_| self.mutated(Fault::CorruptsRead, rules::RECEIVE)) {
                *octet ^= 1;
            }
            if self.mutated(Fault::RestLost, rules::RECEIVE) {
                self.readable.clear();
            }
            if n > 1 && self.mutated(Fault::LastOctetAgain, rules::RECEIVE) {
                self.readable.insert(0, data[n - 1]);
            }
            self.update_window(policy);
            return CallResult::Data(data);
        }
        if self.conn.tcb().is_some_and(|t| t.peer_fin.is_some()) && self.mutated(Fault::EofBehindGap, rules::RECEIVE) {
            return CallResult::Eof;
        }
        if self.conn.tcb().is_some_and(Tcb::fin_taken) {
            let late = self.conn.tcb().is_some_and(|t| matches!(t.state, State::Closing | State::LastAck | State::TimeWait));
            if late && self.mutated(Fault::Departs, rules::RECEIVE_LATE) {
                return CallResult::Error(CallError::WouldBlock);
            }
            if self.mutated(Fault::NoReply, rules::RECEIVE_CLOSE_WAIT) {
                return CallResult::Error(CallError::WouldBlock);
            }
            let reset = self.mutated(Fault::EofIsReset, rules::NORMAL_OR_ABORTED);
            return if reset { CallResult::Error(CallError::Reset) } else { CallResult::Eof };
        }
        match &self.ended {
            Some(CallError::Closed) => CallResult::Eof,
            Some(CallError::Reset) if self.mutated(Fault::ResetIsEof, rules::NORMAL_OR_ABORTED) => CallResult::Eof,
            Some(CallError::Reset) if self.mutated(Fault::NoReply, rules::NORMAL_OR_ABORTED) => CallResult::Error(CallError::WouldBlock),
            Some(error) => CallResult::Error(error.clone()),
            None => CallResult::Error(CallError::WouldBlock),
        }
    }

    /// A window update where the right edge moves by the smaller of half the buffer and an MSS (RFC 9293 section 3.8.6.2.2).
    fn update_window(&mut self, policy: &Policy) {
        let before = self.conn.tcb().map(|t| t.rcv_right);
        let advertised = before;
        let free = policy.buffer.min(65_535).saturating_sub(u32::try_from(self.readable.len()).unwrap_or(u32::MAX));
        let silly = self.mutated(Fault::Departs, rules::RECEIVER_SILLY_WINDOW);
        let Conn::Open(tcb) = &mut self.conn else { return };
        let right = tcb.rcv_nxt + free;
        let step = if silly { 1 } else { (policy.buffer / 2).min(u32::from(policy.mss)) };
        let opens = advertised.is_some_and(|edge| right.offset_from(edge) >= i32::try_from(step).unwrap_or(i32::MAX));
        if tcb.receives() && opens {
            tcb.rcv_right = right;
            tcb.rcv_room = right;
            self.acknowledge(rules::RECEIVE);
        }
    }

    /// CLOSE (RFC 9293 section 3.10.4).
    pub(crate) fn close(&mut self, orphan: bool, now: Micros, policy: &Policy) -> CallResult {
        let rule = rules::close(self.conn.state(false));
        if self.mutated(Fault::StaysPut, rule) {
            return CallResult::Done;
        }
        if self.mutated(Fault::Closes, rule) {
            self.timed_wait_is_over();
            return CallResult::Done;
        }
        let lossless = self.readable.is_empty() || self.mutated(Fault::Departs, rules::HALF_DUPLEX_RST);
        self.orphan |= orphan;
        let last_ack = if self.mutated(Fault::GoesTo(State::Closing), rule) { State::Closing } else { State::LastAck };
        if self.mutated(Fault::DropsUnsent, rule)
            && let Conn::Open(tcb) = &self.conn
        {
            self.unacked.truncate(tcb.snd_nxt.offset_from(self.unacked_at).max(0).cast_unsigned() as usize);
        }
        if self.mutated(Fault::FinAgain, rule)
            && let Conn::Open(tcb) = &self.conn
        {
            let fin = self.ordinary(tcb, tcb.snd_nxt, &[], true);
            self.put(rule, fin);
        }
        match &mut self.conn {
            Conn::Absent => {}
            Conn::SynSent(_) => {
                self.conn = Conn::Absent;
                self.ended = Some(CallError::Closed);
                self.stop();
            }
            Conn::Open(t) if orphan && !lossless && t.state != State::TimeWait => {
                // SHLD-3: unread text is lost, which an RST tells the peer.
                if matches!(t.state, State::Closing | State::LastAck) {
                    let rst = Segment::rst(t.snd_nxt);
                    self.put(rules::HALF_DUPLEX_RST, rst);
                }
                return self.abort(now, policy);
            }
            Conn::Open(tcb) => {
                self.closing = true;
                tcb.closing = true;
                tcb.state = match tcb.state {
                    State::Established => State::FinWait1,
                    // "If no SENDs have been issued and there is no pending data to send, then form a FIN segment and send it."
                    State::SynReceived if self.unacked.is_empty() => State::FinWait1,
                    State::CloseWait => last_ack,
                    other => other,
                };
                self.output(now, policy);
            }
        }
        CallResult::Done
    }

    /// ABORT (RFC 9293 section 3.10.5).
    pub(crate) fn abort(&mut self, now: Micros, policy: &Policy) -> CallResult {
        if self.mutated(Fault::StaysPut, rules::abort(self.conn.state(false))) {
            return CallResult::Done;
        }
        let silent = self.mutant.is_some_and(|m| m.does(Fault::NoReply, rules::ABORT_OPEN) && m.in_state(&self.conn));
        if let Conn::Open(tcb) = &self.conn {
            let tcb_state = tcb.state;
            let resets =
                matches!(tcb_state, State::SynReceived | State::Established | State::FinWait1 | State::FinWait2 | State::CloseWait);
            if !resets && self.mutated(Fault::ResetAnyway, rules::ABORT_LATE) {
                let rst = Segment::rst(tcb.snd_nxt);
                self.put(rules::ABORT_LATE, rst);
            } else if resets && !silent {
                let rst = Segment::rst(tcb.snd_nxt);
                self.put(rules::ABORT_OPEN, rst);
                if policy.lingers_after_reset && tcb_state != State::SynReceived {
                    self.linger(now, policy);
                    return CallResult::Done;
                }
            }
        }
        if self.conn != Conn::Absent {
            self.conn = Conn::Absent;
            self.ended = Some(CallError::Closed);
        }
        self.orphan = true;
        self.stop();
        CallResult::Done
    }

    /// TIME-WAIT for the side that has sent a reset (RFC 9293 section 3.5.2).
    fn linger(&mut self, now: Micros, policy: &Policy) {
        self.ended = Some(CallError::Closed);
        self.orphan = true;
        self.stop();
        if let Conn::Open(tcb) = &mut self.conn {
            (tcb.state, tcb.snd_una) = (State::TimeWait, tcb.snd_nxt);
            self.timers.time_wait = Some(now + policy.time_wait);
        }
    }

    pub(crate) fn set(&mut self, option: SetOption, now: Micros) {
        match option {
            SetOption::NoDelay(on) => self.nodelay = on && !self.mutated(Fault::Departs, rules::NAGLE_OFF),
            SetOption::Timeout(t) if !self.mutated(Fault::StaysPut, rules::USER_TIMEOUT) => self.user_timeout = t,
            SetOption::KeepAlive(None) if self.mutated(Fault::StaysPut, rules::KEEPALIVE_SWITCH) => {}
            SetOption::KeepAlive(interval) => {
                self.keepalive = interval;
                self.timers.keepalive = None;
                self.heard(now);
            }
            // A mutant that takes the first value only, or none.
            SetOption::Dscp(_) if self.dscp != 0 && self.mutated(Fault::StaysPut, rules::DS_CHANGES) => {}
            SetOption::Dscp(_) if self.mutated(Fault::StaysPut, rules::DS_SETTABLE) => {}
            SetOption::Dscp(dscp) => self.dscp = dscp ^ u8::from(self.mutated(Fault::Departs, rules::DS_UNCHANGED)),
            SetOption::HopLimit(_) if self.mutated(Fault::StaysPut, rules::TTL_SETTABLE) => {}
            SetOption::HopLimit(ttl) => self.hop_limit = ttl,
            SetOption::Timeout(_)
            | SetOption::Timestamps(_)
            | SetOption::Sack(_)
            | SetOption::WindowScale(_)
            | SetOption::AckDelay(_)
            | SetOption::Mss(_) => {}
        }
    }
}

/// Octets that a connection takes from its user before they are acknowledged.
const SEND_BUFFER: usize = 262_144;
