//! The reference stack's timestamps (RFC 7323 sections 3 to 5).

use crate::api::Micros;
use crate::arrives::timestamps::{LAPSES, Update, refused_by, update};
use crate::catalogue::{Level, RuleId};
use crate::relation::{Answer, Outcome, Owed, ResetForm, TimestampsSeen, newer};
use crate::rules;
use crate::segment::{Segment, TcpOption, Tuple};
use crate::seq::Seq;
use crate::stack::Policy;
use crate::stack::endpoint::Endpoint;
use crate::stack::mutant::Fault;
use crate::tcb::Conn;

/// What a connection remembers of timestamps besides TS.Recent.
#[derive(Clone, Copy, Hash, Debug, Default)]
pub(crate) struct Stamps {
    /// The newest TSval that was sent.
    pub(crate) sent: Option<u32>,
    /// Last.ACK.sent.
    last_ack_sent: Seq,
    /// The TSval of the latest segment, whatever it was: what a mutant echoes.
    latest: u32,
    /// When the latest segment arrived.
    arrived: Micros,
}

impl Endpoint {
    /// What the peer has shown, as it counts now.
    pub(super) fn seen_at(&self, now: Micros) -> Option<TimestampsSeen> {
        let lapsed = now.saturating_sub(self.stamps.arrived) > LAPSES && !self.mutated(Fault::StaysPut, rules::PAWS_LAPSES);
        self.seen.map(|seen| TimestampsSeen { lapsed, ..seen })
    }

    /// TS.Recent (section 4.3), of a segment with this outcome. To be called before the outcome is applied.
    pub(super) fn take_timestamps(&mut self, outcome: &Outcome, segment: &Segment, policy: &Policy, begins: bool) {
        let shown = segment.timestamps().map(|(val, _)| val);
        let seen = self.seen_at(self.now);
        self.stamps.arrived = self.now;
        match (&self.conn, seen) {
            (Conn::Open(tcb), Some(mut seen)) if !begins => {
                let refused = refused_by(outcome.rule);
                let fills = outcome.next.tcb().is_some_and(|t| !tcb.held.is_empty() && t.rcv_nxt != tcb.rcv_nxt);
                let stands = self.mutated(Fault::EchoStands, rules::ECHO);
                let kept = refused || stands || fills && self.mutated(Fault::StaysPut, rules::ECHO_OF_FILLER);
                let update = match update(tcb, segment, self.stamps.last_ack_sent) {
                    Update::Certain if !kept => Update::Certain,
                    _ => Update::None,
                };
                let advances = outcome.next.tcb().is_some_and(|t| t.rcv_nxt != tcb.rcv_nxt);
                seen.take(segment, update, advances);
                if update == Update::Certain {
                    seen.recent_most = seen.recent;
                }
                if let Some(val) = shown.filter(|_| segment.is_rst() && self.mutated(Fault::StaysPut, rules::RST_LEAVES_ECHO)) {
                    (seen.recent, seen.recent_most) = (val, val);
                }
                if let Some(val) = shown.filter(|_| update == Update::Certain && self.mutated(Fault::EchoGoesBack, rules::ECHO)) {
                    (seen.recent, seen.recent_most) = (val, val);
                }
                self.stamps.latest = shown.unwrap_or(self.stamps.latest);
                self.seen = Some(TimestampsSeen { lapsed: false, ..seen });
            }
            (Conn::Absent | Conn::SynSent(_), _) if segment.is_syn() && policy.timestamps && outcome.next != Conn::Absent => {
                self.seen = shown.map(TimestampsSeen::first);
                self.stamps.latest = shown.unwrap_or(0);
            }
            _ => {}
        }
    }

    /// What a mutant makes of a segment whose timestamp is not newer than TS.Recent, or is so only modulo 2^32: it is answered and dropped.
    pub(super) fn refuse_equal(&self, outcome: &mut Outcome, segment: &Segment) {
        let Some(((val, _), seen)) = segment.timestamps().zip(self.seen) else { return };
        let equal = val == seen.recent && self.mutated(Fault::RefusesEqual, rules::PAWS);
        let wrapped = val < seen.recent && newer(val, seen.recent) && self.mutated(Fault::PlainTimestamps, rules::PAWS);
        let ordinary = !segment.is_rst() && !segment.is_syn() && !segment.payload.is_empty();
        if (equal || wrapped) && ordinary && matches!(self.conn, Conn::Open(_)) {
            *outcome = Outcome::new(rules::PAWS, self.conn.clone(), Answer::Ack(Owed::AtOnce(Level::Must)));
        }
    }

    /// What a mutant makes of text behind a gap.
    pub(super) fn forget_held(&self, outcome: &mut Outcome, segment: &Segment) {
        let newer_than_held = segment.timestamps().is_some_and(|(val, _)| newer(val, self.stamps.latest));
        if let Some(tcb) = outcome.next.tcb_mut()
            && tcb.rcv_nxt.gt(segment.end())
            && newer_than_held
            && self.mutated(Fault::ForgetsHeld, rules::PAWS_ON_ARRIVAL_ALONE)
        {
            tcb.rcv_nxt = segment.end();
        }
    }

    /// The same with TSval, a millisecond clock with an offset of the connection's own (section 5.4), and TSecr (section 3.2).
    pub(super) fn with_timestamps(&mut self, rule: RuleId, segment: Segment) -> Segment {
        let stale = self.stamps.sent.filter(|_| self.mutated(Fault::StaleVal, rule));
        let val = stale.unwrap_or_else(|| self.tsval());
        let mut ecr = self.seen.filter(|_| segment.is_ack()).map_or(0, |seen| seen.recent);
        if segment.is_ack() {
            self.stamps.last_ack_sent = segment.ack;
            if self.mutated(Fault::EchoesLatest, rule) {
                ecr = self.stamps.latest;
            }
        }
        stamped(segment, val, ecr)
    }

    /// A SYN that offers timestamps.
    pub(super) fn with_first_timestamp(&self, syn: Segment) -> Segment {
        stamped(syn, self.tsval(), 0)
    }

    /// A segment leaves.
    pub(super) fn note_tsval(&mut self, segment: &Segment) {
        if let Some((val, _)) = segment.timestamps().filter(|_| !segment.is_rst()) {
            self.stamps.sent = Some(val);
        }
    }

    fn tsval(&self) -> u32 {
        let clock = match self.mutant.map(|m| m.fault) {
            Some(Fault::ClockStands) => 0,
            Some(Fault::ClockRunsBackwards) => (u64::MAX - self.now) / 1000,
            Some(Fault::ClockOfNanoseconds) => self.now.wrapping_mul(1000),
            _ => self.now / 1000,
        };
        let offset = if self.mutated(Fault::Departs, rules::TIMESTAMP_OFFSET) { 0 } else { offset(&self.tuple) };
        u32::try_from(clock & u64::from(u32::MAX)).unwrap_or(0).wrapping_add(offset)
    }

    /// A reset in answer to `cause`: where that has the option "the <RST> should also contain a Timestamps option", with TSval 0 (section 5.2).
    pub(super) fn put_reset(&mut self, rule: RuleId, form: ResetForm, cause: &Segment, policy: &Policy) {
        let form = match form {
            ResetForm::WithAck(ack) if self.mutated(Fault::AckLacksText, rule) => {
                ResetForm::WithAck(ack - u32::try_from(cause.payload.len()).unwrap_or(0))
            }
            ResetForm::WithAck(ack) if self.mutated(Fault::AckLacksFin, rule) => ResetForm::WithAck(ack - u32::from(cause.is_fin())),
            ResetForm::Bare(_) if self.mutated(Fault::SeqOfCause, rule) => ResetForm::Bare(cause.seq),
            form => form,
        };
        let reset = match cause.timestamps().filter(|_| policy.timestamps) {
            Some((val, _)) => stamped(form.segment(), 0, val),
            None => form.segment(),
        };
        self.spoil(rule, reset);
    }
}

/// A connection's offset, as random as its ends are (section 7.1): the same for every incarnation, so that timestamps go on in TIME-WAIT.
fn offset(tuple: &Tuple) -> u32 {
    let ports = u32::from(tuple.local.port()) << 16 | u32::from(tuple.remote.port());
    let mut hash = ports ^ if tuple.local.is_ipv4() { 0 } else { 0x9e37_79b9 };
    for factor in [0x85eb_ca6b_u32, 0xc2b2_ae35] {
        hash = (hash ^ hash >> 15).wrapping_mul(factor);
    }
    hash ^ hash >> 16
}

fn stamped(segment: Segment, val: u32, ecr: u32) -> Segment {
    segment.with_option(TcpOption::Nop).with_option(TcpOption::Nop).with_option(TcpOption::Timestamps { val, ecr })
}
