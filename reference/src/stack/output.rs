//! What the reference stack sends of its own accord: text, FIN, retransmissions, probes, acknowledgments.

use crate::api::Micros;
use crate::catalogue::RuleId;
use crate::profile::SECOND;
use crate::rules;
use crate::segment::{Flags, Segment, TcpOption};
use crate::seq::Seq;
use crate::stack::Policy;
use crate::stack::endpoint::{Endpoint, initial_window};
use crate::stack::mutant::Mutant;
use crate::state::State;
use crate::tcb::{Conn, Tcb};

impl Endpoint {
    /// When the next timer is due.
    pub(crate) fn next_timer(&self) -> Option<Micros> {
        let t = &self.timers;
        [t.retransmit, t.persist, t.delayed_ack, t.time_wait].into_iter().flatten().min()
    }

    /// Fires what is due at `now`.
    pub(crate) fn timers(&mut self, now: Micros, policy: &Policy, mutant: Option<&'static Mutant>) {
        (self.mutant, self.now) = (mutant, now);
        if self.timers.time_wait.is_some_and(|t| t <= now) {
            self.timers.time_wait = None;
            self.timed_wait_is_over();
            return;
        }
        if self.timers.delayed_ack.is_some_and(|t| t <= now) {
            self.acknowledge(rules::DELAYED_ACK);
        }
        if self.timers.retransmit.is_some_and(|t| t <= now) {
            if mutant.is_some_and(|m| m.drops_timer(&self.conn)) {
                self.timers.retransmit = None;
                return;
            }
            self.retransmission_timeout(now, policy);
        }
        if self.timers.persist.is_some_and(|t| t <= now) {
            self.timers.persist = None;
            self.send_new(now, policy, 1);
        }
    }

    /// RFC 6298 section 5.4 to 5.7, with R2 of RFC 9293 section 3.8.3.
    fn retransmission_timeout(&mut self, now: Micros, policy: &Policy) {
        let patience = self.user_timeout.unwrap_or(match &self.conn {
            Conn::SynSent(_) => 180 * SECOND,
            _ => 120 * SECOND,
        });
        let tried = self.user_timeout.is_some() || self.timers.timeouts >= LEAST_RETRIES;
        if tried && now >= self.timers.first_unanswered + patience {
            self.gave_up();
            return;
        }
        self.timers.timeouts += 1;
        self.timers.timing = None;
        let flight = self.conn.tcb().map_or(0, |t| t.snd_nxt.since(t.snd_una));
        if let Conn::Open(t) = &self.conn
            && t.snd_una != t.iss
        {
            let mss = u32::from(t.believed_mss());
            self.timers.ssthresh = (flight / 2).max(2 * mss);
            self.timers.cwnd = mss;
            self.timers.recover = Some(t.snd_nxt);
        }
        self.timers.rto = (self.timers.rto * 2).min(60 * SECOND);
        self.resend_head(policy);
        self.arm_retransmit(now);
    }

    /// The earliest segment that is not acknowledged leaves again.
    pub(crate) fn resend_head(&mut self, policy: &Policy) {
        match &self.conn {
            Conn::Absent => {}
            Conn::SynSent(c) => {
                let syn = self.with_syn_options(Segment::syn(c.iss), policy, policy.window_scale);
                self.put(rules::RETRANSMISSION_TIMEOUT, syn);
            }
            Conn::Open(t) if t.snd_una == t.iss => {
                if let Some(syn_ack) = self.syn_ack(policy) {
                    self.put(rules::RETRANSMISSION_TIMEOUT, syn_ack);
                }
            }
            Conn::Open(t) => {
                let from = t.snd_una.offset_from(self.unacked_at).max(0).cast_unsigned() as usize;
                let sent = t.fin_sent.unwrap_or(t.snd_nxt).since(t.snd_una) as usize;
                let n = sent.min(self.room(t)).min(self.unacked.len().saturating_sub(from));
                let text = self.unacked[from..from + n].to_vec();
                let fin = t.fin_sent.is_some_and(|fin| fin == t.snd_una + u32::try_from(n).unwrap_or(0));
                let segment = self.ordinary(t, t.snd_una, &text, fin);
                self.put(rules::RETRANSMISSION_TIMEOUT, segment);
                self.acknowledged();
            }
        }
    }

    /// Sends what the windows allow, then the FIN.
    pub(crate) fn output(&mut self, now: Micros, policy: &Policy) {
        let Conn::Open(t) = &self.conn else { return };
        if matches!(t.state, State::SynReceived | State::TimeWait) {
            // CLOSE in SYN-RECEIVED waits for ESTABLISHED.
            return;
        }
        if self.timers.duplicate_acks == 3 && self.timers.recover.is_none() {
            let mss = u32::from(t.believed_mss());
            self.timers.ssthresh = (t.snd_nxt.since(t.snd_una) / 2).max(2 * mss);
            self.timers.cwnd = self.timers.ssthresh + 3 * mss;
            self.timers.recover = Some(t.snd_nxt);
            self.timers.timing = None;
            self.resend_head(policy);
            self.arm_retransmit(now);
        } else if std::mem::take(&mut self.timers.partial_ack) {
            self.resend_head(policy);
            self.arm_retransmit(now);
        }
        self.send_new(now, policy, 0);
    }

    /// Sends new text and the FIN; `probe` octets may pass a closed window.
    fn send_new(&mut self, now: Micros, policy: &Policy, mut probe: u32) {
        for _ in 0..1024 {
            let Conn::Open(t) = &self.conn else { return };
            if t.fin_sent.is_some() {
                return;
            }
            let offset = t.snd_nxt.offset_from(self.unacked_at).max(0).cast_unsigned() as usize;
            let queued = self.unacked.len().saturating_sub(offset);
            let flight = t.snd_nxt.since(t.snd_una);
            let cwnd = if self.timers.cwnd == 0 { initial_window(u32::from(t.believed_mss())) } else { self.timers.cwnd };
            let usable = t.snd_wnd.saturating_sub(flight).max(probe);
            let room = usable.min(cwnd.saturating_sub(flight).max(probe)) as usize;
            let n = queued.min(room).min(self.room(t));
            let last = n == queued;
            let fin = last && self.closing && (room > n || t.snd_wnd > 0 || queued == 0);
            if n == 0 && !fin {
                if queued > 0 && flight == 0 && self.timers.persist.is_none() {
                    self.timers.persist = Some(now + self.timers.rto);
                }
                return;
            }
            // Nagle, and sender SWS avoidance: a short segment waits while something is in flight, unless it is all and the user wants it.
            let short = n < self.room(t) && !fin && probe == 0;
            let held_back = short && flight > 0 && (!last || (policy.nagle && !self.nodelay));
            if held_back {
                return;
            }
            if short && !last && flight == 0 && usable < t.max_snd_wnd / 2 {
                self.timers.persist = self.timers.persist.or(Some(now + self.timers.rto / 2));
                if probe == 0 {
                    return;
                }
            }
            let text = self.unacked[offset..offset + n].to_vec();
            let segment = self.ordinary(t, t.snd_nxt, &text, fin);
            let idle = t.snd_una == t.snd_nxt;
            let end = segment.end();
            let rule = match (fin, t.state) {
                (true, State::LastAck) => rules::CLOSE_CLOSE_WAIT,
                (true, _) => rules::CLOSE_ESTABLISHED,
                (false, _) => rules::SEND,
            };
            if let Conn::Open(t) = &mut self.conn {
                t.fin_sent = fin.then(|| end - 1);
                t.snd_nxt = end;
            }
            self.timers.persist = None;
            self.put(rule, segment);
            self.acknowledged();
            if idle {
                self.timers.first_unanswered = now;
                self.arm_retransmit(now);
            }
            if self.timers.timing.is_none() && self.timers.timeouts == 0 {
                self.timers.timing = Some((end, now));
            }
            probe = 0;
        }
    }

    /// `<SEQ=seq><ACK=RCV.NXT><CTL=ACK>` with text, PSH on what empties the queue (RFC 9293 MUST-61).
    pub(crate) fn ordinary(&self, t: &Tcb, seq: Seq, text: &[u8], fin: bool) -> Segment {
        let window = u16::try_from(t.rcv_wnd() >> t.rcv_scale).unwrap_or(u16::MAX);
        let mut segment = Segment::pure_ack(seq, t.rcv_nxt).with_window(window).with_text(text);
        if fin {
            segment.flags |= Flags::FIN;
        }
        if !text.is_empty() {
            segment.flags |= Flags::PSH;
        }
        segment
    }

    pub(crate) fn syn_ack(&self, policy: &Policy) -> Option<Segment> {
        let t = self.conn.tcb()?;
        let scale = policy.window_scale.filter(|_| t.rcv_scale > 0 || t.snd_scale > 0);
        let window = u16::try_from(t.rcv_wnd()).unwrap_or(u16::MAX);
        Some(self.with_syn_options(Segment::syn(t.iss).with_ack(t.rcv_nxt), policy, scale).with_window(window))
    }

    /// `<SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>`.
    pub(crate) fn acknowledge(&mut self, rule: RuleId) {
        let Conn::Open(t) = &self.conn else { return };
        let segment = self.ordinary(t, t.snd_nxt, &[], false);
        self.put(rule, segment);
        self.acknowledged();
    }

    /// Whatever was sent carried RCV.NXT.
    fn acknowledged(&mut self) {
        self.timers.delayed_ack = None;
        self.timers.full_unacked = 0;
    }

    /// The same with TSval, a millisecond clock, and TSecr (RFC 7323 section 3.2).
    pub(crate) fn with_timestamps(&self, segment: Segment) -> Segment {
        let val = u32::try_from((self.now / 1000) & u64::from(u32::MAX)).unwrap_or(0);
        let ecr = self.seen.filter(|_| segment.is_ack()).map_or(0, |seen| seen.recent);
        segment.with_option(TcpOption::Nop).with_option(TcpOption::Nop).with_option(TcpOption::Timestamps { val, ecr })
    }

    /// The most octets of text in a segment beside the options: what the peer takes, and what the link does (RFC 9293 section 3.7.1).
    fn room(&self, tcb: &Tcb) -> usize {
        let options = if self.seen.is_some() { 12 } else { 0 };
        let link = MTU - if self.tuple.local.is_ipv4() { 40 } else { 60 };
        usize::from(tcb.believed_mss().min(link)).saturating_sub(options).max(1)
    }

    pub(crate) fn arm_retransmit(&mut self, now: Micros) {
        let rto = self.mutant.map_or(self.timers.rto, |m| m.spoil_rto(self.timers.rto, &self.conn));
        self.timers.retransmit = (rto != Micros::MAX).then_some(now + rto);
    }

    /// Sends a segment on account of `rule`; a mutant may spoil it.
    pub(crate) fn put(&mut self, rule: RuleId, segment: Segment) {
        let segment = if self.seen.is_some() && !segment.is_rst() { self.with_timestamps(segment) } else { segment };
        match self.mutant {
            Some(m) => m.spoil_segment(rule, segment, &mut self.outbox),
            None => self.outbox.push((0, segment)),
        }
    }
}

/// The link's MTU, octets.
const MTU: u16 = 1500;
/// Time-outs before a connection is given up, however long they took.
const LEAST_RETRIES: u32 = 7;
