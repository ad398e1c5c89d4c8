//! What the reference stack sends of its own accord: text, FIN, retransmissions, probes, acknowledgments.

use crate::api::Micros;
use crate::catalogue::RuleId;
use crate::ip::IpHeader;
use crate::profile::SECOND;
use crate::rules;
use crate::segment::{Flags, Segment};
use crate::seq::Seq;
use crate::stack::Policy;
use crate::stack::congestion::initial_window;
use crate::stack::endpoint::Endpoint;
use crate::stack::mutant::{Fault, Mutant};
use crate::state::State;
use crate::tcb::{Conn, OpenedBy, Tcb};

impl Endpoint {
    /// When the next timer is due.
    pub(crate) fn next_timer(&self) -> Option<Micros> {
        let t = &self.timers;
        [t.retransmit, t.persist, t.delayed_ack, t.time_wait, t.keepalive].into_iter().flatten().min()
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
            if mutant.is_some_and(|m| m.drops_timer(&self.conn) || m.resends_no_more(self.timers.timeouts))
                || self.loses_timer()
                || (self.head_sacked() && self.mutated(Fault::NoReply, rules::SACKED_HEAD_RESENT))
            {
                self.timers.retransmit = None;
                return;
            }
            self.retransmission_timeout(now, policy);
        }
        if self.timers.persist.is_some_and(|t| t <= now) {
            self.timers.persist = None;
            self.send_new(now, policy, 1);
        }
        if self.timers.keepalive.is_some_and(|t| t <= now) {
            self.keepalive_timeout(now);
        }
    }

    /// A keep-alive, or after some that were not answered the end (RFC 9293 section 3.8.4).
    fn keepalive_timeout(&mut self, now: Micros) {
        self.timers.keepalive = None;
        let (Some(interval), Conn::Open(tcb)) = (self.keepalive_interval(), &self.conn) else { return };
        let idle = tcb.snd_una == tcb.snd_nxt || self.mutated(Fault::KeepAliveInFlight, rules::KEEPALIVE_ONLY_IDLE);
        if idle && matches!(tcb.state, State::Established | State::CloseWait) {
            let most = if self.mutated(Fault::GivesUpAtOnce, rules::KEEPALIVE_UNANSWERED) { 1 } else { KEEPALIVES };
            if self.timers.keepalives >= most {
                self.gave_up();
                return;
            }
            let octet: &[u8] = if self.mutated(Fault::Departs, rules::KEEPALIVE_EMPTY) { &[0] } else { &[] };
            let probe = self.ordinary(tcb, tcb.snd_nxt - 1, octet, false);
            self.timers.keepalives += 1;
            self.put(rules::KEEPALIVE_INTERVAL, probe);
            self.acknowledged();
        }
        self.timers.keepalive = Some(now + interval);
    }

    fn keepalive_interval(&self) -> Option<Micros> {
        self.mutant.map_or(self.keepalive, |m| m.spoil_keepalive(self.keepalive))
    }

    /// The peer was heard of: the next keep-alive is an interval away.
    pub(crate) fn heard(&mut self, now: Micros) {
        self.timers.keepalives = 0;
        if self.timers.keepalive.is_some() && self.mutated(Fault::KeepAliveNotPutOff, rules::KEEPALIVE_ONLY_IDLE) {
            return;
        }
        let open = self.conn.tcb().is_some_and(|t| t.receives() || t.state == State::CloseWait);
        self.timers.keepalive = self.keepalive_interval().filter(|_| open).map(|i| now + i);
    }

    /// Whether a mutant loses the timer because of the peer's window.
    fn loses_timer(&self) -> bool {
        let Some(t) = self.conn.tcb() else { return false };
        if self.mutant.is_some_and(|m| matches!(m.fault, Fault::ProbesAtMost(most) if t.snd_wnd == 0 && self.timers.timeouts >= most)) {
            return true;
        }
        let rule = if t.snd_wnd == 0 { rules::PROBE_SHRUNK } else { rules::RESENT_WITHIN_SHRUNK };
        t.snd_right().lt(t.snd_nxt) && self.mutated(Fault::NoReply, rule)
    }

    /// RFC 6298 section 5.4 to 5.7, with R2 of RFC 9293 section 3.8.3.
    fn retransmission_timeout(&mut self, now: Micros, policy: &Policy) {
        if self.outlives_flight() && self.conn.tcb().is_some_and(|t| t.snd_una == t.snd_nxt) {
            self.timers.retransmit = None;
            return;
        }
        let user_timeout = self.user_timeout.map(|t| self.mutant.map_or(t, |m| m.spoil_user_timeout(t)));
        let patience = user_timeout.unwrap_or(match &self.conn {
            Conn::SynSent(_) => 180 * SECOND,
            Conn::Open(t) if t.state == State::SynReceived => 180 * SECOND,
            Conn::Open(_) | Conn::Absent => 120 * SECOND,
        });
        let rule = if self.conn.tcb().is_none_or(|t| t.snd_una == t.iss) { rules::SYN_R2 } else { rules::R2 };
        let lasts = self.mutant.and_then(|m| m.patience(rule, &self.conn));
        let (hasty, patience) = (lasts.is_some(), lasts.unwrap_or(patience));
        let tried = self.user_timeout.is_some() || self.timers.timeouts >= LEAST_RETRIES || hasty;
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
            if !self.mutated(Fault::KeepsThreshold, rules::LOSS_WINDOW) {
                self.timers.ssthresh = (flight / 2).max(2 * mss);
            }
            self.timers.cwnd = match self.mutant.filter(|m| m.strikes(rules::LOSS_WINDOW)).map(|m| m.fault) {
                Some(Fault::KeepsWindow) => self.timers.cwnd,
                Some(Fault::LossWindowOf(segments)) => segments * mss,
                _ => mss,
            };
            self.timers.fast_recovery = false;
            self.cwr |= self.ecn;
            self.timers.recover = Some(t.snd_nxt);
            self.timers.timing = self.mutated(Fault::SamplesResent, rules::KARN).then(|| (t.snd_una + 1, now));
        }
        let probing = self.conn.tcb().is_some_and(|t| t.snd_wnd == 0);
        let stands = self.mutant.is_some_and(|m| m.does(Fault::NoBackoff, rules::RTO_BACKOFF) && m.in_state(&self.conn));
        let stays = stands || probing && self.mutated(Fault::Departs, rules::PROBE_BACKOFF);
        if !stays {
            let slow = self.mutated(Fault::GrowsByAFifth, rules::RTO_BACKOFF);
            let most = self.mutant.map_or(60 * SECOND, |m| if let Fault::RtoCap(most) = m.fault { most } else { 60 * SECOND });
            self.timers.rto = (if slow { self.timers.rto / 10 * 12 } else { self.timers.rto * 2 }).min(most);
        }
        self.resend_head(policy);
        if self.mutated(Fault::NoCongestionWindow, rules::LOSS_WINDOW) {
            self.resend_behind_head();
        }
        self.arm_retransmit(now);
    }

    /// A mutant's: the rest of the flight leaves again behind its first segment.
    fn resend_behind_head(&mut self) {
        let Some(t) = self.conn.tcb().cloned().filter(|t| t.snd_una != t.iss) else { return };
        let mut next = t.snd_una + u32::try_from(self.room(&t)).unwrap_or(0);
        while next.lt(t.fin_sent.unwrap_or(t.snd_nxt)) {
            if !self.mutated(Fault::Departs, rules::PIPE) || !self.sacked(next) {
                self.resend(next);
            }
            next += u32::try_from(self.room(&t)).unwrap_or(1);
        }
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
                let sent = t.fin_sent.unwrap_or(t.snd_nxt).since(t.snd_una);
                let room = u32::try_from(self.room(t)).unwrap_or(u32::MAX);
                let tail = sent > room && self.mutated(Fault::ResendsTail, rules::EARLIEST_FIRST);
                let seq = if tail { t.snd_una + (sent - 1) / room * room } else { t.snd_una };
                self.resend(seq);
            }
        }
    }

    /// A mutant's: what is in flight leaves again although nothing asks for it.
    pub(super) fn resend_needlessly(&mut self, policy: &Policy) {
        if self.conn.tcb().is_some_and(|t| t.snd_una != t.snd_nxt) {
            self.resend_head(policy);
        }
    }

    /// Whether a mutant leaves the timer of what was acknowledged running.
    pub(super) fn outlives_flight(&self) -> bool {
        self.mutated(Fault::TimerOutlivesFlight, rules::TIMER_RESTARTS)
    }

    /// The segment that begins at `seq` leaves again.
    fn resend(&mut self, seq: Seq) {
        let Conn::Open(t) = &self.conn else { return };
        let from = seq.offset_from(self.unacked_at).max(0).cast_unsigned() as usize;
        let sent = t.fin_sent.unwrap_or(t.snd_nxt).since(seq) as usize;
        let n = sent.min(self.room(t)).min(self.unacked.len().saturating_sub(from));
        let text = self.unacked[from..from + n].to_vec();
        let fin = t.fin_sent.is_some_and(|fin| fin == seq + u32::try_from(n).unwrap_or(0));
        let mut segment = self.ordinary(t, seq, &text, fin);
        let again = self.ecn && self.mutated(Fault::Departs, rules::CWR_ON_NEW_TEXT);
        segment.flags |= if again { Flags::CWR } else { Flags::NONE };
        self.put(rules::RETRANSMISSION_TIMEOUT, segment);
        self.acknowledged();
    }

    /// Sends what the windows allow, then the FIN.
    pub(crate) fn output(&mut self, now: Micros, policy: &Policy) {
        let Conn::Open(t) = &self.conn else { return };
        let early = t.state == State::SynReceived && self.mutated(Fault::SendsEarly, rules::SEND_EARLY);
        if matches!(t.state, State::SynReceived | State::TimeWait) && !early {
            // CLOSE in SYN-RECEIVED waits for ESTABLISHED.
            return;
        }
        let fast = !self.mutated(Fault::Departs, rules::FAST_RETRANSMIT);
        let needed = self.mutant.map_or(DUPLICATES, |m| if let Fault::DuplicatesNeeded(n) = m.fault { n } else { DUPLICATES });
        let shown = (self.timers.duplicate_acks == needed && fast) || self.sack_shows_loss();
        if shown && self.timers.recover.is_none() {
            let mss = u32::from(t.believed_mss());
            if !self.mutated(Fault::NoCongestionWindow, rules::FAST_RECOVERY) {
                // "Additional data sent in limited transmit MUST NOT be included": what is beyond the congestion window.
                let flight = t.snd_nxt.since(t.snd_una).min(self.timers.cwnd);
                self.timers.ssthresh = (flight / 2).max(2 * mss);
                self.timers.cwnd = self.timers.ssthresh;
                self.timers.fast_recovery = true;
                self.cwr |= self.ecn;
            }
            self.timers.cwnd += 3 * mss;
            self.timers.recover = Some(t.snd_nxt);
            self.timers.timing = None;
            self.resend_head(policy);
            let whole = [rules::SACKED_SKIPPED, rules::HALF_UNTIL_REPAIRED].iter().any(|&rule| self.mutated(Fault::Departs, rule));
            if whole || (self.mutated(Fault::Departs, rules::PIPE) && self.sack_shows_loss()) {
                self.resend_behind_head();
            }
            self.arm_retransmit(now);
        } else if std::mem::take(&mut self.timers.partial_ack) {
            self.resend_head(policy);
            self.arm_retransmit(now);
        }
        self.send_new(now, policy, 0);
        self.timers.limited_transmit = 0;
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
            self.restart_after_idleness(now);
            let Conn::Open(t) = &self.conn else { return };
            let cwnd = if self.timers.cwnd == 0 { self.initial_window(u32::from(t.believed_mss())) } else { self.timers.cwnd };
            // RFC 3042: one segment, as long as no more than "the congestion window plus 2*SMSS" is outstanding.
            let (mss, more) = (u32::from(t.believed_mss()), self.timers.limited_transmit);
            let cwnd = if more > 0 { cwnd.max((flight + mss).min(cwnd + 2 * more * mss)) } else { cwnd };
            let beyond = u32::from(t.snd_wnd > 0 && self.mutated(Fault::OneBeyond, rules::WINDOW_BEYOND));
            let window = self.window_taken(t);
            let usable = window.saturating_add(beyond).saturating_sub(flight).max(probe);
            let room = usable.min(cwnd.saturating_sub(flight).max(probe)) as usize;
            let most = if self.mutated(Fault::Departs, rules::FULL_SEGMENTS) { self.room(t) / 4 } else { self.room(t) };
            let n = queued.min(room).min(most);
            let last = n == queued;
            let fin = last && self.closing && (room > n || t.snd_wnd > 0 || queued == 0);
            if n == 0 && !fin {
                if queued > 0 && flight == 0 && self.timers.persist.is_none() && !self.mutated(Fault::NoReply, rules::PROBE) {
                    let hasty = self.mutated(Fault::Departs, rules::FIRST_PROBE);
                    let tenths = self.mutant.map_or(10, |m| if let Fault::PersistTenths(tenths) = m.fault { tenths } else { 10 });
                    self.timers.persist = Some(now + self.timers.rto / 10 * if hasty { 3 } else { tenths });
                }
                return;
            }
            // Nagle, and sender SWS avoidance: a short segment waits while something is in flight, unless it is all and the user wants it.
            let short = n < most && !fin && probe == 0;
            let nagle = policy.nagle && !self.nodelay && !self.mutated(Fault::Departs, rules::NAGLE);
            let silly = self.mutated(Fault::Departs, rules::SENDER_SILLY_WINDOW);
            let held_back = short && flight > 0 && ((!last && !silly) || nagle);
            let waits = short && self.mutant.is_some_and(|m| m.does(Fault::HoldsShort, rules::NOT_HELD) && m.in_state(&self.conn));
            if held_back || waits {
                return;
            }
            if short && !last && flight == 0 && usable < t.max_snd_wnd / 2 && !silly {
                if !self.mutated(Fault::NoOverride, rules::NOT_HELD) {
                    self.timers.persist = self.timers.persist.or(Some(now + self.timers.rto / 2));
                }
                if probe == 0 {
                    return;
                }
            }
            let text = self.unacked[offset..offset + n].to_vec();
            let mut segment = self.ordinary(t, t.snd_nxt, &text, fin);
            self.mark_new(t, &mut segment);
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
            self.timers.limited_transmit = self.timers.limited_transmit.saturating_sub(1);
            self.cwr &= !segment.flags.has(Flags::CWR) || self.mutated(Fault::StaysPut, rules::ECE_ANSWERED);
            self.timers.persist = None;
            self.timers.sent_at = Some(now);
            self.put(rule, segment);
            self.acknowledged();
            if idle {
                self.timers.first_unanswered = now;
            }
            let runs_on = self.timers.retransmit.is_some() && self.outlives_flight();
            if (idle && !runs_on) || self.mutated(Fault::TimerRestartsWithText, rules::TIMER_RESTARTS) {
                self.arm_retransmit(now);
            }
            if self.timers.timing.is_none() && self.timers.timeouts == 0 {
                self.timers.timing = Some((end, now));
            }
            probe = 0;
        }
    }

    /// The peer's window, and what a mutant takes for it.
    fn window_taken(&self, t: &Tcb) -> u32 {
        if self.mutated(Fault::LargestWindow, rules::WINDOW_SHRUNK) {
            t.max_snd_wnd
        } else if self.mutated(Fault::NoWindow, rules::WINDOW_BEYOND) {
            u32::MAX
        } else {
            t.snd_wnd
        }
    }

    /// RFC 5681 section 4.1: what was idle for longer than the time-out begins again with the initial window.
    fn restart_after_idleness(&mut self, now: Micros) {
        let Some(t) = self.conn.tcb().filter(|t| t.snd_una == t.snd_nxt) else { return };
        let idle = self.timers.sent_at.is_some_and(|sent| now > sent + self.timers.rto);
        if idle && self.timers.cwnd > 0 && !self.mutated(Fault::Departs, rules::RESTART_WINDOW) {
            self.timers.cwnd = self.timers.cwnd.min(initial_window(u32::from(t.believed_mss())));
        }
    }

    /// `<SEQ=seq><ACK=RCV.NXT><CTL=ACK>` with text, PSH on what empties the queue (RFC 9293 MUST-61).
    pub(crate) fn ordinary(&self, t: &Tcb, seq: Seq, text: &[u8], fin: bool) -> Segment {
        let window = u16::try_from(t.rcv_wnd() >> t.rcv_scale).unwrap_or(u16::MAX);
        let mut segment = Segment::pure_ack(seq, t.rcv_nxt).with_window(window).with_text(text);
        if fin {
            segment.flags |= Flags::FIN;
        }
        if !text.is_empty() && !self.mutated(Fault::Departs, rules::PUSH_LAST) {
            segment.flags |= Flags::PSH;
        }
        segment.flags |= if self.ce { Flags::ECE } else { Flags::NONE };
        let ahead = self.urgent_end.map_or(0, |end| end.offset_from(seq));
        let only_first =
            self.mutated(Fault::Departs, rules::URGENT_LENGTH) && self.urgent_end != Some(seq + u32::try_from(text.len()).unwrap_or(0));
        if ahead > 0 && !text.is_empty() && !only_first {
            segment.flags |= Flags::URG;
            let ahead = if self.mutated(Fault::UrgentFromUna, rules::URGENT_POINTER) { ahead + seq.offset_from(t.snd_una) } else { ahead };
            let too_high = i32::from(self.mutated(Fault::UrgentTooHigh, rules::URGENT_POINTER));
            let off = i32::from(self.mutated(Fault::Departs, rules::URGENT_POINTER)) - too_high;
            segment.urgent = u16::try_from(ahead - off).unwrap_or(u16::MAX);
        }
        segment
    }

    pub(crate) fn syn_ack(&self, policy: &Policy) -> Option<Segment> {
        let t = self.conn.tcb()?;
        let scale = policy.window_scale.filter(|_| self.scaling_asked || t.opened == OpenedBy::Active);
        let window = u16::try_from(t.rcv_wnd()).unwrap_or(u16::MAX);
        let mut syn_ack = self.with_syn_options(Segment::syn(t.iss).with_ack(t.rcv_nxt), policy, scale).with_window(window);
        syn_ack.flags |= if self.ecn { Flags::ECE } else { Flags::NONE };
        Some(syn_ack)
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

    /// The most octets of text in a segment beside the options: what the peer takes, and what the link does (RFC 9293 section 3.7.1).
    fn room(&self, tcb: &Tcb) -> usize {
        let options = if self.seen.is_some() { 12 } else { 0 } + self.report_len(tcb);
        let options = if self.mutated(Fault::OptionsUncounted, rules::MSS_OBEYED) { 0 } else { options };
        let link = MTU - if self.tuple.local.is_ipv4() { 40 } else { 60 };
        let mss = tcb.believed_mss().saturating_add(u16::from(self.mutated(Fault::MssPlusOne, rules::MSS_OBEYED)));
        usize::from(mss.min(link)).saturating_sub(options).max(1)
    }

    pub(crate) fn arm_retransmit(&mut self, now: Micros) {
        let rto = self.mutant.map_or(self.timers.rto, |m| m.spoil_rto(self.timers.rto, &self.conn));
        self.timers.retransmit = (rto != Micros::MAX).then_some(now + rto);
    }

    /// Sends a segment on account of `rule`; a mutant may spoil it.
    pub(crate) fn put(&mut self, rule: RuleId, segment: Segment) {
        let segment = if self.seen.is_some() { self.with_timestamps(rule, segment) } else { segment };
        let segment = self.with_report(segment);
        self.spoil(rule, segment);
    }

    /// Sends a segment as it is, but for a mutant.
    pub(super) fn spoil(&mut self, rule: RuleId, mut segment: Segment) {
        self.note_tsval(&segment);
        self.note_marks(&mut segment);
        let plain = segment.payload.is_empty() && self.mutated(Fault::OnTextAlone, rules::DS_SETTABLE);
        segment.ip = IpHeader { hop_limit: self.hop_limit, ..segment.ip.with_dscp(if plain { 0 } else { self.dscp }) };
        if let Conn::Open(t) = &mut self.conn
            && segment.is_ack()
            && !segment.is_rst()
        {
            let scale = if segment.is_syn() { 0 } else { t.rcv_scale };
            t.rcv_last = segment.ack + (u32::from(segment.window) << scale);
        }
        match self.mutant.filter(|m| m.in_state(&self.conn)) {
            Some(m) => {
                self.spoil_fields(rule, &mut segment);
                m.spoil_segment(rule, segment, &mut self.outbox);
            }
            None => self.outbox.push((0, segment)),
        }
    }

    /// A mutant's: fields that do not say what the connection is at.
    fn spoil_fields(&self, rule: RuleId, segment: &mut Segment) {
        let Conn::Open(t) = &self.conn else { return };
        if self.mutated(Fault::SeqOfUna, rule) {
            segment.seq = t.snd_una;
        }
        if self.mutated(Fault::FinInstead, rule) {
            (segment.flags, segment.ack) = (Flags::FIN | Flags::ACK, t.rcv_nxt);
        }
        if !segment.is_syn() && !segment.is_rst() {
            if self.mutated(Fault::StaleAck, rule) {
                segment.ack = t.irs + 1;
            }
            if self.mutated(Fault::OwnWindowsUnshifted, rules::WINDOW_SHIFTED) {
                segment.window = u16::try_from(t.rcv_wnd()).unwrap_or(u16::MAX);
            }
        }
    }
}

/// The link's MTU, octets.
const MTU: u16 = 1500;
/// Duplicate acknowledgments that start a fast retransmit (RFC 5681 section 3.2).
const DUPLICATES: u32 = 3;
/// Keep-alives without an answer before a connection is given up.
const KEEPALIVES: u32 = 5;
/// Time-outs before a connection is given up, however long they took.
const LEAST_RETRIES: u32 = 7;
