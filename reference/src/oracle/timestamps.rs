//! The stack's timestamps: the option where it was negotiated and nowhere else, which TSval it echoes, and its clock (RFC 7323 sections 3.2,
//! 4 and 5.4).

use crate::api::Micros;
use crate::arrives::timestamps::{LAPSES, Update, refused_by, update};
use crate::catalogue::Level;
use crate::oracle::emission::{GARBLED, Misfit, Sent};
use crate::oracle::hypothesis::{Hypothesis, ResetDue};
use crate::profile::SECOND;
use crate::relation::{ResetForm, TimestampsSeen, newer};
use crate::rules;
use crate::segment::Segment;
use crate::tcb::{Conn, OpenedBy};

/// What is known of both sides' timestamps besides TS.Recent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Stamps {
    /// SYNs crossed, and not all of them had the option: either side may use it (section 3.2).
    pub(crate) free: bool,
    /// The TSval of the latest segment that moved RCV.NXT, and whether it filled a gap with every octet before it acknowledged.
    advanced: Option<(u32, bool)>,
    /// The TSval of the latest segment behind a gap.
    ahead: Option<u32>,
    /// The TSval of the latest RST.
    reset: Option<u32>,
    /// When the latest segment arrived.
    arrived: Micros,
    /// The stack's clock.
    clock: Clock,
}

/// The stack's timestamp clock, as far as its segments show it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Clock {
    latest: Option<Tick>,
    /// Where the span began whose rate is measured next.
    mark: Option<Tick>,
    /// Ticks in 1000 s over an earlier span, at least and at most.
    rate: Option<(u64, u64)>,
}

/// A TSval, and the interval of time in which it was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Tick {
    val: u32,
    from: Micros,
    at: Micros,
}

impl Stamps {
    /// The newest TSval that the stack has sent.
    pub(crate) fn sent(&self) -> Option<u32> {
        self.clock.latest.map(|t| t.val)
    }
}

impl ResetDue {
    /// A reset of this form in answer to a segment.
    pub(crate) fn answering(form: ResetForm, segment: &Segment) -> ResetDue {
        ResetDue::Form(form, segment.timestamps().map(|(val, _)| val))
    }
}

impl Hypothesis {
    /// The peer's timestamps as they count at `now`.
    pub(crate) fn seen_at(&self, now: Micros, paws: bool) -> Option<TimestampsSeen> {
        let lapsed = paws && now.saturating_sub(self.user.stamps.arrived) > LAPSES;
        self.user.seen.map(|seen| TimestampsSeen { lapsed, ..seen })
    }

    /// What an arrival's timestamps change; `before` was the connection. To be called while `last` is the arrival and before SND.UNA counts.
    pub(crate) fn take_timestamps(&mut self, before: &Conn, segment: &Segment, now: Micros, paws: bool) {
        let shown = segment.timestamps().map(|(val, _)| val);
        let stamps = &mut self.user.stamps;
        match before {
            Conn::Absent => self.user.seen = shown.map(TimestampsSeen::first),
            Conn::SynSent(_) => {
                stamps.free = !segment.is_ack() && shown.is_some() != self.user.offers_timestamps;
                self.user.seen = shown.filter(|_| self.user.offers_timestamps).map(TimestampsSeen::first);
            }
            Conn::Open(was) => {
                stamps.free |= segment.is_syn() && was.opened == OpenedBy::Active && self.user.seen.is_some() != shown.is_some();
                if let (Some(seen), Some(val)) = (self.user.seen, shown) {
                    let lapsed = paws && now.saturating_sub(self.user.stamps.arrived) > LAPSES;
                    self.take_tsval(was, segment, TimestampsSeen { lapsed, ..seen }, val);
                }
            }
        }
        self.user.stamps.arrived = now;
    }

    fn take_tsval(&mut self, was: &crate::tcb::Tcb, segment: &Segment, mut seen: TimestampsSeen, val: u32) {
        let stamps = &mut self.user.stamps;
        if segment.is_rst() {
            stamps.reset = Some(val);
            return;
        }
        let refused = refused_by(self.last.rule);
        let update = if refused { Update::None } else { update(was, segment, self.user.last_ack_sent) };
        let advances = self.conn.tcb().is_some_and(|t| t.rcv_nxt != was.rcv_nxt);
        if advances {
            let fills = !was.held.is_empty() && update == Update::Certain;
            stamps.advanced = Some((val, fills));
        } else if segment.seq.gt(was.rcv_nxt) && !refused {
            stamps.ahead = Some(val);
        }
        // After the user's `close` a stack may keep less of a connection, and who echoes what then is not watched so closely.
        let update = if self.user.orphan && update == Update::Certain { Update::Maybe } else { update };
        seen.take(segment, update, advances);
        self.user.seen = Some(TimestampsSeen { lapsed: false, ..seen });
    }

    /// Judges the timestamps of a segment that is right otherwise, RST excepted.
    pub(crate) fn stamped(&mut self, sent: &Sent<'_>) -> Result<(), Misfit> {
        let seg = sent.segment;
        if seg.is_rst() {
            return Ok(());
        }
        let Some((val, ecr)) = seg.timestamps() else { return self.lacks_timestamps(seg) };
        if !seg.is_ack() {
            if ecr != 0 {
                self.depart(rules::ECHO_WITHOUT_ACK, sent.event);
            }
            return self.ticked(val, sent);
        }
        let Some(seen) = self.user.seen else {
            // "A TCP ... MAY send a TSopt in <SYN,ACK> only if it received a TSopt in the initial <SYN> segment for the connection."
            let asked = self.user.stamps.free;
            return if asked { Ok(()) } else { Err(misfit(rules::TIMESTAMPS_UNASKED, "timestamps", self)) };
        };
        self.echoes(seen, ecr, sent)?;
        self.ticked(val, sent)
    }

    /// "Once TSopt has been successfully negotiated, ... the TSopt MUST be sent in every non-<RST> segment for the duration of the connection."
    fn lacks_timestamps(&mut self, segment: &Segment) -> Result<(), Misfit> {
        let answers_syn = segment.is_syn() && self.user.stamps.clock.latest.is_none();
        let crossing = segment.is_syn() && self.conn.tcb().is_some_and(|t| t.opened == OpenedBy::Active);
        if answers_syn {
            // The offer is not taken up.
            self.user.seen = None;
        }
        self.user.stamps.free |= crossing && self.user.seen.is_some();
        if self.user.seen.is_none() || self.user.stamps.free || !segment.is_ack() {
            return Ok(());
        }
        Err(misfit(rules::TIMESTAMPS_LACKING, "timestamps", self))
    }

    /// Section 4.3: "When a TSopt is sent, its TSecr field is set to the current TS.Recent value."
    fn echoes(&mut self, seen: TimestampsSeen, ecr: u32, sent: &Sent<'_>) -> Result<(), Misfit> {
        let stamps = &mut self.user.stamps;
        if seen.can_be(ecr) {
            if seen.recent != seen.recent_most {
                self.user.seen = Some(TimestampsSeen { recent: ecr, recent_most: ecr, ..seen });
            }
            if let Some((_, fills)) = &mut stamps.advanced {
                *fills = false;
            }
            return Ok(());
        }
        let held = self.conn.tcb().is_some_and(|t| !t.held.is_empty());
        match stamps.advanced {
            // Case (C) where the text is older than TS.Recent, which rule (2) passes over: either is the RFC's word.
            Some((val, true)) if val == ecr => return Ok(()),
            Some((_, true)) => return Err(misfit(rules::ECHO_OF_FILLER, "tsecr", self)),
            // Case (A): the earliest segment that was not acknowledged is to be echoed, and a later one was.
            Some((val, false)) if val == ecr && newer(val, seen.recent_most) => {
                self.depart(rules::ECHO_OF_EARLIEST, sent.event);
                return Ok(());
            }
            _ => {}
        }
        // Case (B): while something is missing, what was in order last is to be echoed.
        if stamps.ahead == Some(ecr) && newer(ecr, seen.recent_most) && (held || sent.segment.is_empty()) {
            self.depart(rules::ECHO_AT_GAP, sent.event);
            return Ok(());
        }
        if stamps.reset == Some(ecr) {
            return Err(misfit(rules::RST_LEAVES_ECHO, "tsecr", self));
        }
        Err(misfit(rules::ECHO, "tsecr", self))
    }

    /// The timestamps of a RST.
    pub(crate) fn stamped_reset(&mut self, reset: ResetDue, sent: &Sent<'_>) {
        let negotiated = self.user.seen.is_some() && !self.user.stamps.free;
        if matches!(reset, ResetDue::Abort { .. }) && negotiated && sent.segment.timestamps().is_none() {
            // "If an <RST> is being generated because of a user abort, and Snd.TS.OK is set, then a Timestamps option SHOULD be included."
            self.depart(rules::TIMESTAMPS_ON_RST, sent.event);
        }
        if let ResetDue::Form(_, Some(val)) = reset
            && sent.profile.timestamps
            && sent.segment.timestamps() != Some((0, val))
        {
            // "If the segment causing the <RST> to be generated contains a Timestamps option, the <RST> should also contain a Timestamps option.
            // ... SEG.TSecr SHOULD be set to SEG.TSval from the incoming segment and SEG.TSval SHOULD be set to zero."
            self.depart(rules::TIMESTAMPS_ON_ANSWERING_RST, sent.event);
        }
    }

    /// Sections 4.1 and 5.4: the clock goes on steadily, and not so fast that it comes round within an MSL.
    fn ticked(&mut self, val: u32, sent: &Sent<'_>) -> Result<(), Misfit> {
        let now = Tick { val, from: sent.from, at: sent.at };
        let clock = &mut self.user.stamps.clock;
        let (Some(latest), Some(mark)) = (clock.latest, clock.mark) else {
            (clock.latest, clock.mark) = (Some(now), Some(now));
            return Ok(());
        };
        if sent.at.saturating_sub(latest.from) > COMES_ROUND {
            (clock.latest, clock.mark) = (Some(now), Some(now));
            return Ok(());
        }
        let ticks = u64::from(val.wrapping_sub(latest.val));
        let wrong = |rule| Err(Misfit { level: Level::Must, ..Misfit::new(rule, "tsval", GARBLED) });
        let most = sent.at.saturating_sub(latest.from);
        if newer(latest.val, val) {
            return wrong(rules::TIMESTAMP_CLOCK);
        }
        if ticks > FASTEST * most + A_BIT {
            return wrong(rules::TIMESTAMP_CLOCK_TOO_FAST);
        }
        clock.latest = Some(now);
        let (least, most) = (sent.from.saturating_sub(mark.at), sent.at.saturating_sub(mark.from));
        if least < SPAN {
            return Ok(());
        }
        let ticks = u64::from(val.wrapping_sub(mark.val));
        let rate = (ticks.saturating_sub(1) * 1000 * SECOND / most.max(1), (ticks + 1) * 1000 * SECOND / least);
        let uneven = clock.rate.is_some_and(|(low, high)| rate.0 > 2 * high || 2 * rate.1 < low);
        // 1 s is the longest tick (section 5.4).
        if ticks == 0 || uneven {
            return wrong(rules::TIMESTAMP_CLOCK);
        }
        clock.rate = clock.rate.or(Some(rate));
        clock.mark = Some(now);
        Ok(())
    }

    /// Whether the text that waited behind a gap has an older timestamp than what filled it.
    pub(crate) fn held_is_older(&self) -> bool {
        let stamps = &self.user.stamps;
        stamps.advanced.zip(stamps.ahead).is_some_and(|((filler, _), ahead)| newer(filler, ahead))
    }

    /// After a finding the stack's own timestamps are what it goes by.
    pub(crate) fn believe_stamps(&mut self, segment: &Segment) {
        let Some((val, ecr)) = segment.timestamps() else { return };
        if let Some(seen) = &mut self.user.seen {
            (seen.recent, seen.recent_most) = (ecr, ecr);
        }
        if let Some(latest) = &mut self.user.stamps.clock.latest {
            latest.val = val;
        }
        self.user.stamps.clock.mark = self.user.stamps.clock.latest;
        self.user.stamps.clock.rate = None;
        self.user.stamps.advanced = None;
    }
}

fn misfit(rule: crate::catalogue::RuleId, kind: &'static str, h: &Hypothesis) -> Misfit {
    Misfit { level: Level::Must, cause: Some(h.last.event), ..Misfit::new(rule, kind, GARBLED) }
}

/// The least span over which a rate is measured.
const SPAN: Micros = 3 * SECOND;
/// Ticks in a microsecond of the fastest clock: one tick every 59 ns.
const FASTEST: u64 = 17;
/// The least time in which such a clock wraps its sign bit: what comes later may look older.
const COMES_ROUND: Micros = 120 * SECOND;
/// Ticks by which a clock that is set from another one may jump.
const A_BIT: u64 = 1 << 17;
