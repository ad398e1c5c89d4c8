//! One connection of the reference stack: its TCB, its buffers and its timers.

use std::collections::BTreeMap;

use crate::api::{CallError, Micros, SocketId};
use crate::arrives::timestamps::refused_by;
use crate::catalogue::RuleId;
use crate::ip::IpHeader;
use crate::profile::{CHALLENGE_INTERVAL, SECOND};
use crate::relation::{Answer, Env, Fresh, Outcome, Owed, Reader, Signal, TimeWaitTimer, TimestampsSeen, arrive};
use crate::rules;
use crate::segment::{Flags, Segment, TcpOption, Tuple};
use crate::seq::Seq;
use crate::stack::Policy;
use crate::stack::mutant::{Fault, Mutant};
use crate::stack::sack::Reports;
use crate::stack::timestamps::Stamps;
use crate::state::State;
use crate::tcb::{Conn, DEFAULT_MSS_V4, DEFAULT_MSS_V6, OpenedBy, SynSent};

/// One connection.
#[derive(Clone, Debug)]
pub struct Endpoint {
    pub(crate) tuple: Tuple,
    pub(crate) conn: Conn,
    pub(crate) socket: Option<SocketId>,
    pub(crate) listener: Option<SocketId>,
    pub(crate) established_at: Option<Micros>,
    /// What the user wrote from `sent_base` on.
    pub(crate) unacked: Vec<u8>,
    /// The number of the first octet of `unacked`.
    pub(crate) unacked_at: Seq,
    /// In-order octets that the user has not read.
    pub(crate) readable: Vec<u8>,
    /// Octets that arrived out of order, by their distance from IRS.
    pub(super) ahead: BTreeMap<u32, Vec<u8>>,
    pub(crate) closing: bool,
    pub(crate) orphan: bool,
    pub(super) ended: Option<CallError>,
    pub(crate) timers: Timers,
    pub(crate) nodelay: bool,
    /// The number of the octet behind the urgent text.
    pub(crate) urgent_end: Option<Seq>,
    /// The interval of keep-alives, where they are on.
    pub(crate) keepalive: Option<Micros>,
    pub(crate) user_timeout: Option<Micros>,
    /// The connection uses timestamps, and what the peer has shown of them.
    pub(crate) seen: Option<TimestampsSeen>,
    pub(crate) stamps: Stamps,
    /// The peer's SYN had the window scale option.
    pub(crate) scaling_asked: bool,
    /// What is reported of text out of order.
    pub(crate) reports: Reports,
    /// The connection uses ECN.
    pub(crate) ecn: bool,
    /// An ECE has come, and the next new text bears CWR; and where the window ends for which it came.
    pub(crate) cwr: bool,
    pub(crate) reduced_until: Option<Seq>,
    /// CE has come, and no CWR since: acknowledgments have ECE.
    pub(crate) ce: bool,
    /// The DS codepoint and the hop limit that the user wants.
    pub(crate) dscp: u8,
    pub(crate) hop_limit: u8,
    /// Every segment has ECT.
    pub(crate) ect_everywhere: bool,
    /// The clock at the last event.
    pub(crate) now: Micros,
    /// Segments to send, each with a delay.
    pub(crate) outbox: Vec<(Micros, Segment)>,
    pub(crate) mutant: Option<&'static Mutant>,
}

/// The timers of a connection, each at its absolute time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Timers {
    pub(crate) retransmit: Option<Micros>,
    pub(crate) persist: Option<Micros>,
    pub(crate) delayed_ack: Option<Micros>,
    pub(crate) time_wait: Option<Micros>,
    pub(crate) keepalive: Option<Micros>,
    /// Keep-alives that were not answered.
    pub(crate) keepalives: u32,
    /// When new text last left.
    pub(crate) sent_at: Option<Micros>,
    pub(crate) rto: Micros,
    pub(crate) srtt: Option<(Micros, Micros)>,
    /// The number being timed and when it was sent (Karn: never a retransmission).
    pub(crate) timing: Option<(Seq, Micros)>,
    pub(crate) timeouts: u32,
    pub(crate) first_unanswered: Micros,
    pub(crate) full_unacked: u32,
    pub(crate) duplicate_acks: u32,
    /// Segments that the first or second duplicate acknowledgment lets leave (RFC 3042).
    pub(crate) limited_transmit: u32,
    /// When the interval began in which challenge ACKs are counted, and how many were sent.
    pub(crate) challenges: Option<(Micros, u32)>,
    pub(crate) cwnd: u32,
    pub(crate) ssthresh: u32,
    /// Three duplicate acknowledgments have come, and nothing new was acknowledged since.
    pub(crate) fast_recovery: bool,
    /// Where a recovery ends: text below it is resent as acknowledgments come in.
    pub(crate) recover: Option<Seq>,
    /// An acknowledgment covered part of what a recovery waits for (RFC 6582): the next hole leaves again.
    pub(crate) partial_ack: bool,
}

impl Endpoint {
    pub(crate) fn new(tuple: Tuple) -> Endpoint {
        Endpoint {
            tuple,
            conn: Conn::Absent,
            socket: None,
            listener: None,
            established_at: None,
            unacked: Vec::new(),
            unacked_at: Seq(0),
            readable: Vec::new(),
            ahead: BTreeMap::new(),
            closing: false,
            orphan: false,
            ended: None,
            timers: Timers { rto: SECOND, ssthresh: u32::MAX, ..Timers::default() },
            nodelay: false,
            urgent_end: None,
            keepalive: None,
            user_timeout: None,
            seen: None,
            stamps: Stamps::default(),
            scaling_asked: false,
            reports: Reports::default(),
            ecn: false,
            cwr: false,
            reduced_until: None,
            ce: false,
            dscp: 0,
            hop_limit: IpHeader::default().hop_limit,
            ect_everywhere: false,
            now: 0,
            outbox: Vec::new(),
            mutant: None,
        }
    }

    /// Active OPEN (RFC 9293 section 3.10.1): `<SEQ=ISS><CTL=SYN>`.
    pub(crate) fn open(&mut self, iss: Seq, now: Micros, policy: &Policy, mutant: Option<&'static Mutant>) {
        (self.mutant, self.now) = (mutant, now);
        let syn_sent = SynSent { iss, snd_nxt: iss + 1, rcv_wnd: policy.buffer.min(65_535), offered_scale: policy.window_scale };
        self.conn = Conn::SynSent(syn_sent);
        self.unacked_at = iss + 1;
        self.timers.timing = Some((iss + 1, now));
        self.timers.first_unanswered = now;
        let syn = self.with_syn_options(Segment::syn(iss), policy, policy.window_scale);
        self.put(rules::OPEN_ACTIVE, syn);
        self.arm_retransmit(now);
    }

    /// SEGMENT ARRIVES: the relation's outcomes, one picked, then a mutant's fault. Returns the incarnation that a new one replaced.
    pub(crate) fn arrive(
        &mut self,
        segment: &Segment,
        listening: bool,
        iss: Seq,
        now: Micros,
        policy: &Policy,
        mutant: Option<&'static Mutant>,
    ) -> Option<Endpoint> {
        self.mutant = mutant;
        let iss = match self.conn.tcb() {
            Some(t) if t.state == State::TimeWait && self.mutated(Fault::StaleIsn, rules::REOPENED) => t.iss,
            // MAY-2: larger than the largest number of the connection before.
            Some(t) if t.state == State::TimeWait && iss.le(t.snd_nxt) => t.snd_nxt + 1,
            _ => iss,
        };
        let env = Env {
            listening,
            reader: if self.orphan { Reader::Nobody } else { Reader::User },
            default_mss: if self.tuple.local.is_ipv4() { DEFAULT_MSS_V4 } else { DEFAULT_MSS_V6 },
            fresh: Fresh { iss, window: policy.buffer.min(65_535), scale: policy.window_scale },
            habits: policy.habits(),
            seen: self.seen_at(now),
            tsval_sent: self.stamps.sent,
            overrun: 0,
            denied: None,
        };
        let mut outcomes = Vec::new();
        arrive(&self.conn, segment, &env, &mut outcomes);
        let departure = mutant.and_then(|m| m.departure(&outcomes));
        let mut outcome = departure.or_else(|| policy.pick(outcomes))?;
        let misread = self.misread(&outcome, segment);
        let segment = misread.as_ref().unwrap_or(segment);
        if misread.is_some() {
            let mut outcomes = Vec::new();
            arrive(&self.conn, segment, &env, &mut outcomes);
            outcome = policy.pick(outcomes)?;
        }
        if let Some(m) = mutant {
            m.spoil_outcome(&mut outcome, &self.conn, segment);
            m.spoil_held(&mut outcome);
        }
        self.refuse(&mut outcome, segment);
        let reopened =
            matches!((&self.conn, &outcome.next), (Conn::Open(old), Conn::Open(new)) if old.irs != new.irs || old.iss != new.iss);
        // What an earlier incarnation left (its user, buffers, timers) is none of a new one's.
        let begins = reopened || (self.conn == Conn::Absent && outcome.next != Conn::Absent);
        let retired = begins.then(|| std::mem::replace(self, Endpoint::new(self.tuple)));
        (self.mutant, self.now) = (mutant, now);
        self.forget_held(&mut outcome, segment);
        self.refuse_equal(&mut outcome, segment);
        self.take_timestamps(&outcome, segment, policy, begins);
        if segment.is_syn() && (begins || matches!(self.conn, Conn::SynSent(_))) {
            self.reports.on = policy.sack && segment.sack_permitted();
            self.ecn = policy.ecn && begins && segment.flags.has(Flags::ECE | Flags::CWR) && !segment.flags.any(Flags::AE);
            self.ect_everywhere = self.ecn && policy.ect_everywhere;
        }
        self.apply(outcome, segment, now, policy);
        retired
    }

    fn apply(&mut self, outcome: Outcome, segment: &Segment, now: Micros, policy: &Policy) {
        let before = std::mem::replace(&mut self.conn, outcome.next);
        let fresh = !matches!(before, Conn::Open(_)) || before.tcb().map(|t| t.irs) != self.conn.tcb().map(|t| t.irs);
        if fresh {
            self.scaling_asked = segment.window_scale().is_some();
        }
        self.spoil_scale(segment, policy, fresh);
        if let (Some(mutant), Conn::Open(tcb)) = (self.mutant, &mut self.conn) {
            mutant.spoil_window(tcb, &before, segment);
            match mutant.fault {
                Fault::MssAssumed(mss) if fresh && !tcb.mss_stated => tcb.snd_mss = mss,
                Fault::MssIgnored if fresh && tcb.opened == OpenedBy::Active => tcb.snd_mss = policy.mss,
                _ => {}
            }
        }
        if let Conn::Open(tcb) = &self.conn {
            let fresh = !matches!(before, Conn::Open(_));
            if fresh {
                self.unacked_at = tcb.iss + 1;
                if matches!(before, Conn::Absent) {
                    self.timers.timing = Some((tcb.iss + 1, now));
                    self.timers.first_unanswered = now;
                }
            }
            if !refused_by(outcome.rule) {
                self.note_reports(&before, segment);
            }
            if self.mutated(Fault::TextLost, outcome.rule) {
                self.take_text(&before, &Segment { payload: Vec::new(), ..segment.clone() });
            } else {
                self.take_text(&before, segment);
            }
            self.take_marks(&before, segment);
            let acceptable = before.tcb().is_none_or(|t| outcome.rule != rules::SEQ_UNACCEPTABLE.at(t.state));
            self.note_sacked(segment, acceptable);
            self.take_ack(&before, segment, acceptable, now);
        }
        self.note_state(&before, outcome.signal, outcome.time_wait, now, policy);
        self.make_room(policy);
        self.heard(now);
        if let Conn::Open(tcb) = &self.conn
            && tcb.rcv_nxt.gt(segment.end())
            && segment.end().gt(before.tcb().map_or(tcb.rcv_nxt, |t| t.rcv_nxt))
            && self.mutated(Fault::AcksInBetween, rules::ALL_BEFORE_ACK)
        {
            let first = Segment { ack: segment.end(), ..self.ordinary(tcb, tcb.snd_nxt, &[], false) };
            self.put(rules::ALL_BEFORE_ACK, first);
        }
        self.answer(outcome.answer, outcome.rule, segment, now, policy);
        let unreadable = |o: &TcpOption| matches!(o, TcpOption::IllFormed(_));
        if segment.options.iter().any(unreadable) && self.mutated(Fault::BlindReset, rules::OPTION_ILLEGAL) {
            self.put(rules::OPTION_ILLEGAL, Segment::rst(Seq(0)));
        }
        self.output(now, policy);
    }

    /// Octets between the old and the new RCV.NXT go to the user; those beyond are kept.
    fn take_text(&mut self, before: &Conn, segment: &Segment) {
        let Conn::Open(tcb) = &self.conn else { return };
        let old = before.tcb().map_or(tcb.irs + 1, |t| t.rcv_nxt);
        let start = segment.text_start();
        let kept = tcb.held.iter().any(|&(from, to)| start.lt(to) && segment.text_end().gt(from));
        if !segment.payload.is_empty() && (tcb.rcv_nxt != old || kept) {
            let skip = if start.lt(old) { old.since(start) as usize } else { 0 };
            if let Some(text) = segment.payload.get(skip..) {
                if self.mutated(Fault::OverlapTwice, rules::TRIM) {
                    self.readable.extend_from_slice(&segment.payload[..skip]);
                }
                let at = (start + u32::try_from(skip).unwrap_or(0)).since(tcb.irs);
                let longer = self.ahead.get(&at).is_none_or(|t| t.len() < text.len());
                if longer {
                    let mut text = text.to_vec();
                    if let Some(octet) = text.first_mut().filter(|_| start.gt(old) && self.mutated(Fault::CorruptsHeld, rules::QUEUE_OOO)) {
                        *octet ^= 1;
                    }
                    self.ahead.insert(at, text);
                }
            }
        }
        let (unread, mut first) = (self.readable.len(), 0);
        let end = tcb.readable_end().since(tcb.irs);
        let mut next = old.since(tcb.irs);
        while next < end {
            let found = self.ahead.range(..=next).rev().find(|(at, t)| u64::from(**at) + t.len() as u64 > u64::from(next));
            let Some((&at, text)) = found else { break };
            let from = (next - at) as usize;
            let to = text.len().min((end - at) as usize);
            self.readable.extend_from_slice(&text[from..to]);
            first = if first == 0 { to - from } else { first };
            next = at + u32::try_from(to).unwrap_or(0);
        }
        if self.mutated(Fault::HeldFirst, rules::RECEIVE) {
            self.readable[unread..].rotate_left(first);
        }
        self.ahead.retain(|at, t| u64::from(*at) + t.len() as u64 > u64::from(end));
    }

    fn note_state(&mut self, before: &Conn, signal: Option<Signal>, time_wait: TimeWaitTimer, now: Micros, policy: &Policy) {
        let gone = self.conn == Conn::Absent && *before != Conn::Absent;
        if gone {
            self.ended = self.ended.clone().or(match signal {
                Some(Signal::Refused) => Some(CallError::Refused),
                Some(Signal::Reset) => Some(CallError::Reset),
                Some(Signal::Closing) | None => Some(CallError::Closed),
            });
            self.stop();
        }
        if let Conn::Open(tcb) = &self.conn {
            if tcb.state != State::SynReceived && self.established_at.is_none() {
                self.established_at = Some(now);
            }
            if tcb.state == State::TimeWait {
                let restarts = time_wait == TimeWaitTimer::Starts || time_wait == TimeWaitTimer::MayRestart && policy.restarts_time_wait;
                if restarts || self.timers.time_wait.is_none() {
                    let lasts = self.mutant.map_or(policy.time_wait, |m| m.spoil_time_wait(policy.time_wait, before));
                    self.timers.time_wait = (lasts != Micros::MAX).then(|| now + lasts);
                }
                self.timers.retransmit = None;
                self.timers.persist = None;
            }
        }
    }

    /// The connection is gone: no timer runs, nothing waits.
    pub(super) fn stop(&mut self) {
        let (srtt, rto) = (self.timers.srtt, self.timers.rto);
        self.timers = Timers { srtt, rto, ssthresh: u32::MAX, ..Timers::default() };
        self.unacked.clear();
        self.ahead.clear();
        if self.listener.is_some() && self.established_at.is_none() {
            self.listener = None;
        }
    }

    /// The right edge follows the buffer, never to the left (SHLD-14).
    fn make_room(&mut self, policy: &Policy) {
        let free = policy.buffer.min(65_535).saturating_sub(u32::try_from(self.readable.len()).unwrap_or(u32::MAX));
        let silly = self.mutated(Fault::Departs, rules::RECEIVER_SILLY_WINDOW);
        let worth = if silly { 1 } else { (policy.buffer / 2).min(u32::from(policy.mss)) };
        if let Conn::Open(tcb) = &mut self.conn {
            let right = tcb.rcv_nxt + free;
            // Nothing is offered that is not worth a segment (RFC 9293 section 3.8.6.2.2).
            if right.offset_from(tcb.rcv_right) >= i32::try_from(worth).unwrap_or(i32::MAX) {
                tcb.rcv_right = right;
            }
            tcb.rcv_right = tcb.rcv_right.max(tcb.rcv_nxt);
            tcb.rcv_room = tcb.rcv_right;
        }
    }

    fn answer(&mut self, answer: Answer, rule: RuleId, segment: &Segment, now: Micros, policy: &Policy) {
        if self.mutant.is_some_and(|m| m.strikes(rule) && matches!(m.fault, Fault::SilentTo(flags) if segment.flags.has(flags))) {
            return;
        }
        match answer {
            Answer::Silence | Answer::MayAck | Answer::MayReset(_) => {}
            Answer::Reset(form) => self.put_reset(rule, form, segment, policy),
            Answer::SynAck => {
                if let Some(mut syn_ack) = self.syn_ack(policy) {
                    let asks = Flags::ECE | Flags::CWR;
                    let half = segment.flags.any(asks) && !segment.flags.has(asks);
                    let half = half && self.mutated(Fault::Departs, rules::ECN_OTHER_FORMS);
                    syn_ack.flags |= if half { Flags::ECE } else { Flags::NONE };
                    self.put(rule, syn_ack);
                    self.arm_retransmit(now);
                }
            }
            Answer::Ack(Owed::Delayed) if policy.ack_delay > 0 && !segment.is_fin() && !segment.is_syn() => {
                self.timers.full_unacked += u32::from(segment.payload.len() >= usize::from(self.advertised_mss(policy)));
                let owing = self.mutant.map_or(2, |m| if let Fault::AckEvery(n) = m.fault { n } else { 2 });
                if self.timers.full_unacked >= owing && !self.mutated(Fault::Departs, rules::EVERY_SECOND) {
                    self.acknowledge(rule);
                } else {
                    self.delay_ack(now, policy);
                }
            }
            Answer::Ack(Owed::DelayedButShouldBeAtOnce(soon) | Owed::ShouldBeAtOnce(soon)) if self.mutated(Fault::Departs, soon) => {
                self.delay_ack(now, policy);
            }
            Answer::Ack(Owed::AtOnce(_)) if rules::is_challenge(rule) && self.throttles(rule, now, policy) => {}
            Answer::Ack(_) => self.acknowledge(rule),
        }
        if self.seen.is_some() && answer == Answer::Silence && self.mutated(Fault::AckAnyway, rule) {
            self.acknowledge(rule);
        } else if let Some(m) = self.mutant {
            m.spoil_silence(rule, answer, segment, &self.conn, &mut self.outbox);
        }
        if self.mutated(Fault::ResendsHead, rule) {
            self.resend_needlessly(policy);
        }
    }

    /// Whether one more challenge ACK would be too many in five seconds; if not, it is counted.
    fn throttles(&mut self, rule: RuleId, now: Micros, policy: &Policy) -> bool {
        let Some(most) = policy.challenge_acks else { return false };
        let lasts = self.mutated(Fault::ThrottleLasts, rule);
        let (began, sent) = self.timers.challenges.filter(|(began, _)| lasts || now < began + CHALLENGE_INTERVAL).unwrap_or((now, 0));
        if sent >= most && !self.mutated(Fault::Departs, rules::CHALLENGES_THROTTLED) {
            return true;
        }
        self.timers.challenges = Some((began, sent + 1));
        false
    }

    fn delay_ack(&mut self, now: Micros, policy: &Policy) {
        let delay = self.mutant.map_or(policy.ack_delay, |m| m.spoil_ack_delay(policy.ack_delay));
        let running = self.timers.delayed_ack.filter(|_| !self.mutated(Fault::DelayStartsOver, rules::DELAYED_ACK));
        self.timers.delayed_ack = running.or(Some(now + delay));
    }

    /// Whether a mutant does this where this rule decides.
    pub(crate) fn mutated(&self, fault: Fault, rule: RuleId) -> bool {
        self.mutant.is_some_and(|m| m.does(fault, rule))
    }

    /// 2MSL have passed (RFC 9293 section 3.10.8).
    pub(crate) fn timed_wait_is_over(&mut self) {
        self.conn = Conn::Absent;
        self.ended = Some(CallError::Closed);
        self.stop();
    }

    /// An ICMP error ended it.
    pub(crate) fn refused(&mut self) {
        self.conn = Conn::Absent;
        self.ended = Some(CallError::Refused);
        self.stop();
    }

    pub(crate) fn gave_up(&mut self) {
        self.conn = Conn::Absent;
        let quiet = self.mutated(Fault::TimeoutIsEof, rules::NORMAL_OR_ABORTED);
        self.ended = Some(if quiet { CallError::Closed } else { CallError::TimedOut });
        self.stop();
    }

    /// The MSS option's value. The IPv6 header is 20 octets longer (RFC 6691 section 2).
    fn advertised_mss(&self, policy: &Policy) -> u16 {
        if self.tuple.local.is_ipv4() { policy.mss } else { policy.mss - 20 }
    }

    pub(crate) fn with_syn_options(&self, segment: Segment, policy: &Policy, scale: Option<u8>) -> Segment {
        let mss = self.advertised_mss(policy);
        let segment = segment.with_window(u16::try_from(policy.buffer.min(65_535)).unwrap_or(u16::MAX)).with_option(TcpOption::Mss(mss));
        let segment = match scale {
            Some(n) => segment.with_option(TcpOption::Nop).with_option(TcpOption::WindowScale(n)),
            None => segment,
        };
        let offers = if segment.is_ack() { self.reports.on } else { policy.sack };
        let segment = match offers {
            true => segment.with_option(TcpOption::Nop).with_option(TcpOption::Nop).with_option(TcpOption::SackPermitted),
            false => segment,
        };
        if segment.is_ack() || !policy.timestamps { segment } else { self.with_first_timestamp(segment) }
    }
}
