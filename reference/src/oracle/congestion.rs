//! What a sender may put on the wire besides what the window allows: the bounds that congestion control sets (RFC 5681, RFC 6928), Nagle's
//! algorithm and the avoidance of silly windows (RFC 9293 sections 3.7.4 and 3.8.6.2.1).
//!
//! RFC 9293 MAY-18 allows any standard congestion control, so only bounds are judged that all of them keep.

use crate::api::Micros;
use crate::catalogue::{Level, RuleId};
use crate::oracle::arrival::At;
use crate::oracle::avoidance::AfterLoss;
use crate::oracle::emission::{BREAKS, CLOCK, Misfit, Sent};
use crate::oracle::hypothesis::{Clocks, Hypothesis, RecoveryDue};
use crate::profile::{MILLISECOND, Profile};
use crate::rules;
use crate::seq::Seq;
use crate::tcb::Tcb;

/// An upper bound of the congestion window.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Flight {
    /// Octets that may be in flight; nothing was established yet where it is 0.
    limit: u32,
    /// The same where an acknowledgment of less than a segment lets no more grow than it acknowledges, as a SHOULD.
    counted: u32,
    /// A loss has set ssthresh: the window may grow as congestion avoidance lets it, whatever an acknowledgment's size.
    avoids: bool,
    /// What set the bound.
    phase: Phase,
    /// After a time-out: SND.NXT when it expired, and the octets in flight that were sent since. Until that is acknowledged the bound is of these.
    recovery: Option<(Seq, u32)>,
    /// Where what has left again since then ends.
    resent: Seq,
    /// Before the first time-out in a row: the bound, and where the text ended that it made leave again.
    before_loss: Option<(u32, Seq)>,
    /// After idleness: the bound that a SHOULD sets until something is acknowledged.
    restart: Option<u32>,
    /// After three duplicate acknowledgments: the bound once they are over.
    after: Option<u32>,
    /// What `halve` changed while nothing but the SYN was acknowledged: limit and phase.
    before: Option<(u32, Phase)>,
    /// After an ECE: SND.NXT then, and the bound once that is acknowledged.
    marked: Option<(Seq, u32)>,
    /// SND.NXT at the third duplicate acknowledgment: until it is acknowledged the recovery lasts (RFC 6582, "recover").
    recover: Option<Seq>,
    /// The last limited transmit: SND.UNA then, and where it ended.
    pub(crate) limited: Option<(Seq, Seq)>,
    /// Where a short segment ended that is not acknowledged (Nagle).
    short_until: Option<Seq>,
}

/// What set the bound.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Phase {
    /// The initial window.
    #[default]
    Initial,
    /// The initial window after the SYN was lost more than once.
    LostSyn,
    /// Acknowledgments have let it grow.
    Growing,
    /// The loss window, after a time-out.
    Loss,
    /// Half the flight, after three duplicate acknowledgments.
    Halved,
    /// The window that an ECE has reduced.
    Marked,
    /// The restart window, after idleness.
    Idle,
}

impl Phase {
    fn rule(self) -> RuleId {
        match self {
            Phase::Initial => rules::INITIAL_WINDOW,
            Phase::LostSyn => rules::INITIAL_WINDOW_LOST_SYN,
            Phase::Growing => rules::CONGESTION_CONTROL,
            Phase::Loss => rules::LOSS_WINDOW,
            Phase::Halved => rules::FAST_RECOVERY,
            Phase::Marked => rules::ECE_ANSWERED,
            Phase::Idle => rules::CONGESTION_CONTROL,
        }
    }
}

impl Flight {
    /// Octets that may be in flight at most.
    pub(crate) fn limit(&self) -> u32 {
        self.limit
    }

    /// Whether what was in flight when the timer expired is still being repaired.
    pub(crate) fn recovers(&self) -> bool {
        self.recovery.is_some()
    }

    /// Whether an acknowledgment of what follows `una` is of text that was in flight when a loss showed.
    pub(crate) fn reduced_for(&self, una: Seq) -> bool {
        self.recovers() || self.recover.is_some_and(|recover| una.lt(recover))
    }

    /// Nothing is held against what is in flight any more.
    pub(crate) fn unbounded(&mut self) {
        (self.limit, self.counted, self.recovery) = (u32::MAX, u32::MAX, None);
    }

    /// An ECE has come: "the indication of congestion should be treated just as a congestion loss" (RFC 3168 section 6.1.2), within a round trip;
    /// RFC 8511 leaves 0.8 of the window, RFC 9438 0.85 at most (section 4.6).
    pub(crate) fn reduced_by_mark(&mut self, until: Seq, mss: u32) {
        self.avoids = true;
        self.marked = (self.limit < u32::MAX).then(|| (until, (self.limit / 100 * 85).max(2 * mss) + mss));
    }

    /// "ssthresh = max (FlightSize / 2, 2*SMSS)", "cwnd MUST be set to ssthresh plus 3*SMSS" (RFC 5681 section 3.2). What is in flight is at most the
    /// bound; RFC 9438 leaves 0.7 of it.
    fn halve(&mut self, mss: u32) {
        let left = (self.limit / 10 * 7).max(2 * mss) + mss;
        self.avoids = true;
        self.after = Some(left);
        self.limit = left + 3 * mss;
        self.phase = Phase::Halved;
    }
}

impl Clocks {
    /// What the congestion window can be at most.
    fn window(&self) -> u32 {
        self.after_loss.window().map_or(self.flight.limit, |most| most.min(self.flight.limit))
    }
}

impl Hypothesis {
    /// SND.UNA was acknowledged again while something is in flight; `duplicate` by the definition of RFC 5681 section 2.
    pub(crate) fn duplicate_ack(&mut self, duplicate: bool, at: &At<'_>) {
        let Some(tcb) = self.conn.tcb() else { return };
        let mss = u32::from(tcb.believed_mss());
        let queued = self.stream_end().offset_from(tcb.snd_nxt).max(0).cast_unsigned();
        let usable = tcb.snd_right().offset_from(tcb.snd_nxt).max(0).cast_unsigned();
        if !duplicate {
            self.clocks.not_duplicates = self.clocks.not_duplicates.saturating_add(1);
            return;
        }
        let clocks = &mut self.clocks;
        clocks.duplicate_acks = clocks.duplicate_acks.saturating_add(1);
        if clocks.flight.recovery.is_none() {
            // RFC 3042 and RFC 5681 section 3.2: each lets one more segment leave.
            clocks.flight.limit = clocks.flight.limit.saturating_add(mss);
            clocks.flight.counted = clocks.flight.counted.saturating_add(mss);
            clocks.flight.restart = clocks.flight.restart.map(|most| most.saturating_add(mss));
        }
        clocks.after_loss.duplicate(mss);
        if self.repairs() || self.clocks.sacked {
            return;
        }
        let clocks = &self.clocks;
        // Nothing is asked for where the window is closed: its probes are (RFC 9293 section 3.8.6.1).
        let Some(tcb) = self.conn.tcb().filter(|t| t.snd_una != t.iss && t.snd_wnd > 0) else { return };
        if clocks.duplicate_acks == 3 {
            // "The TCP sender MUST NOT change cwnd to reflect these two segments", nor does the threshold count them (section 3.2, steps 1 and 2).
            let window = clocks.window().min(clocks.flight.limit.saturating_sub(3 * mss));
            self.clocks.after_loss = AfterLoss::new(window, tcb.snd_una, tcb.snd_nxt, mss);
            self.loss_shown(rules::FAST_RETRANSMIT, at);
            return;
        }
        // "As long as the amount of outstanding data would remain less than or equal to the congestion window plus 2*SMSS" (RFC 3042).
        let una = tcb.snd_una;
        let fits = clocks.flight.limited.is_none_or(|(then, end)| then == una || una.ge(end));
        if clocks.duplicate_acks < 3 && fits && queued >= mss && usable >= mss && tcb.fin_sent.is_none() {
            self.clocks.recovery_due = Some(RecoveryDue::new(rules::LIMITED_TRANSMIT, at));
        }
    }

    /// Whether something lost is being sent again, or may be.
    pub(crate) fn repairs(&self) -> bool {
        let clocks = &self.clocks;
        let recover = clocks.flight.recover.filter(|recover| self.conn.tcb().is_some_and(|t| t.snd_una.lt(*recover)));
        clocks.timeouts > 0 || clocks.fast_resent || clocks.resend_below.is_some() || clocks.flight.recovery.is_some() || recover.is_some()
    }

    /// What came shows that the segment at SND.UNA is lost: it is to leave again, and the window is halved.
    pub(crate) fn loss_shown(&mut self, rule: RuleId, at: &At<'_>) {
        let Some(tcb) = self.conn.tcb() else { return };
        let mss = u32::from(tcb.believed_mss());
        let clocks = &mut self.clocks;
        clocks.recovery_due = Some(RecoveryDue::new(rule, at));
        clocks.flight.recover = Some(tcb.snd_nxt);
        let before = (tcb.snd_una == tcb.iss + 1).then_some((clocks.flight.limit, clocks.flight.phase));
        clocks.flight.halve(mss);
        clocks.flight.before = before;
    }

    /// Nothing left again at the third duplicate acknowledgment. RFC 6582 section 3.2 has "recover" begin at the initial send sequence number, and
    /// where the acknowledgment "does not" cover more than that, "the TCP does not enter fast retransmit and does not reset ssthresh": before
    /// text was acknowledged the window need not be halved then.
    pub(crate) fn never_recovered(&mut self) {
        let clocks = &mut self.clocks;
        if let Some((limit, phase)) = clocks.flight.before.take() {
            let flight = Flight { limit, phase, after: None, recover: None, ..clocks.flight };
            (clocks.flight, clocks.after_loss) = (flight, AfterLoss::default());
        }
    }

    /// New octets were acknowledged; `old_una` was SND.UNA. To be called before the clocks forget the time-outs.
    pub(crate) fn flight_acknowledged(&mut self, old_una: Seq, at: &At<'_>) {
        let Some(tcb) = self.conn.tcb() else { return };
        let mss = sender_mss(tcb, at.profile);
        let flight = &mut self.clocks.flight;
        if old_una == tcb.iss {
            // RFC 6928 section 2: "more than one SYN or SYN/ACK retransmissions" bring the window of RFC 5681 section 3.1 back.
            let lost = self.clocks.timeouts > 1;
            let initial = initial_window(mss, at.profile);
            *flight = Flight {
                limit: if lost { mss } else { initial },
                counted: if lost { mss } else { initial },
                phase: if lost { Phase::LostSyn } else { Phase::Initial },
                // A lost SYN may have set ssthresh.
                avoids: self.clocks.timeouts > 0,
                ..Flight::default()
            };
            return;
        }
        // RFC 5681 section 3.1: "at most SMSS bytes for each ACK"; byte counting (RFC 3465) and CUBIC count what is acknowledged.
        let octets = tcb.snd_una.since(old_una);
        self.clocks.after_loss.acknowledged(tcb.snd_una, tcb.snd_nxt, mss);
        let flight = &mut self.clocks.flight;
        if let Some(left) = flight.after.take() {
            flight.limit = left;
        }
        let most = if flight.phase == Phase::Halved { mss } else { octets.max(mss) };
        flight.limit = flight.limit.saturating_add(most);
        let marked = flight.marked.take_if(|(until, _)| tcb.snd_una.ge(*until)).filter(|(_, most)| *most < flight.limit);
        flight.limit = marked.map_or(flight.limit, |(_, most)| most);
        // "cwnd += min (N, SMSS)" is RECOMMENDED against receivers that divide their acknowledgments.
        flight.counted = if flight.avoids { flight.limit } else { flight.counted.saturating_add(most.min(octets)).min(flight.limit) };
        flight.restart = None;
        flight.short_until = flight.short_until.filter(|end| tcb.snd_una.lt(*end));
        if let Some((_, spent)) = &mut flight.recovery {
            *spent = spent.saturating_sub(octets);
        }
        // F-RTO (RFC 5682 section 2.1, step 3b): what is acknowledged was never sent again, so nothing was lost, and the window may come back.
        let resent_no_more = |end| self.clocks.resend_below.is_none_or(|(resent, _)| resent.le(end));
        if let Some((before, end)) = flight.before_loss.filter(|_| flight.recovery.is_some())
            && tcb.snd_una.gt(end)
            && resent_no_more(end)
        {
            flight.limit = flight.limit.max(before.saturating_add(most));
            (flight.recovery, flight.before_loss, flight.phase) = (None, None, Phase::Growing);
            self.clocks.after_loss = AfterLoss::default();
        }
        match flight.recovery {
            Some((until, _)) if tcb.snd_una.ge(until) => (flight.recovery, flight.phase) = (None, Phase::Growing),
            // F-RTO (RFC 5682 section 2.1): the first acknowledgment after a time-out lets two new segments leave.
            Some(_) if self.clocks.timeouts > 0 => flight.limit = flight.limit.saturating_add(2 * mss),
            Some(_) => {}
            None if flight.phase == Phase::Halved => {}
            None => flight.phase = if marked.is_some() { Phase::Marked } else { Phase::Growing },
        }
    }

    /// The retransmission timer expired: "cwnd MUST be set to no more than the loss window, LW, which equals 1 full-sized segment".
    pub(crate) fn flight_lost(&mut self, sent: &Sent<'_>) {
        let Some(tcb) = self.conn.tcb().filter(|t| t.snd_una != t.iss) else { return };
        let mss = sender_mss(tcb, sent.profile);
        let recovery = Some((tcb.snd_nxt, sent.segment.len()));
        let (flight, window, una, nxt) = (self.clocks.flight, self.clocks.window(), tcb.snd_una, tcb.snd_nxt);
        let first = (flight.recovery.is_none()).then_some((flight.limit, sent.segment.end()));
        let before_loss = first.or(flight.before_loss);
        self.clocks.flight =
            Flight { limit: mss, avoids: true, phase: Phase::Loss, recovery, resent: sent.segment.end(), before_loss, ..flight };
        if flight.recovery.is_none() {
            // "ssthresh MUST be set to no more than the value given in equation (4)", and stays where the timer expires once more. What duplicates
            // let out "can cause equation (4) to slightly inflate cwnd and ssthresh" (section 3.2, step 4).
            self.clocks.after_loss = AfterLoss::timed_out(window.max(nxt.since(una)), una, nxt, mss);
        }
    }

    /// Whether the octets of this segment fit the congestion window, whatever a conforming stack makes of it.
    pub(crate) fn within_congestion_window(&mut self, sent: &Sent<'_>) -> Result<(), Misfit> {
        let seg = sent.segment;
        let Some(tcb) = self.conn.tcb() else { return Ok(()) };
        if !seg.payload.is_empty() {
            let mss = sender_mss(tcb, sent.profile);
            self.within_half(sent, mss)?;
            self.within_pipe(u32::try_from(seg.payload.len()).unwrap_or(u32::MAX), mss)?;
        }
        let Some(tcb) = self.conn.tcb() else { return Ok(()) };
        let flight = &mut self.clocks.flight;
        // What SACK blocks take out of the flight is not counted: with them the bound is not known.
        if flight.limit == 0 || seg.payload.is_empty() || self.clocks.sacked {
            return Ok(());
        }
        let misfit = |phase: Phase| Err(Misfit { level: Level::Must, ..Misfit::new(phase.rule(), CONGESTION_WINDOW, BREAKS) });
        if let Some((until, spent)) = &mut flight.recovery {
            // The timer may have expired once more: then the loss window begins again with this segment.
            let by_timer = seg.seq.le(tcb.snd_una) && sent.at + CLOCK >= self.clocks.head_sent.0 + sent.profile.rto_min;
            // What leaves once more is no more in flight than it was.
            let from = if seg.seq.lt(*until) { seg.seq.max(flight.resent) } else { seg.seq };
            let octets = seg.text_end().offset_from(from).max(0).cast_unsigned();
            if seg.seq.lt(*until) {
                flight.resent = flight.resent.max(seg.text_end());
            }
            if !by_timer {
                *spent = spent.saturating_add(octets);
                if *spent > flight.limit {
                    return misfit(flight.phase);
                }
            }
            return Ok(());
        }
        let idle = tcb.snd_una == tcb.snd_nxt && sent.from > self.clocks.rto_since + self.rto_upper(sent.profile);
        let (una, nxt, mss) = (tcb.snd_una, tcb.snd_nxt, sender_mss(tcb, sent.profile));
        let flight = &mut self.clocks.flight;
        if idle {
            // RFC 5681 section 4.1: "a TCP SHOULD set cwnd to no more than RW", the restart window, which is at most IW.
            let restart = initial_window(mss, sent.profile);
            if flight.limit > restart {
                (flight.restart, flight.phase) = (Some(restart), Phase::Idle);
            }
        }
        let in_flight = seg.text_end().since(una);
        let (most, phase) = (flight.limit.max(self.clocks.after_loss.spread(una, mss)), flight.phase);
        if seg.end().gt(nxt) && in_flight > most {
            return if in_flight <= most.saturating_add(mss) && self.probes_with_new_text(sent) { Ok(()) } else { misfit(phase) };
        }
        let flight = &mut self.clocks.flight;
        let divided = seg.end().gt(nxt) && flight.phase == Phase::Growing && in_flight > flight.counted.max(mss);
        if divided {
            flight.counted = flight.limit;
            self.depart(rules::ACK_DIVISION, sent.event);
        }
        let flight = &mut self.clocks.flight;
        if seg.end().gt(nxt) && flight.restart.is_some_and(|most| in_flight > most) {
            flight.restart = None;
            self.depart(rules::RESTART_WINDOW, sent.event);
        }
        Ok(())
    }

    /// Whether new text leaves in segments of a good size.
    pub(crate) fn segmented_well(&mut self, sent: &Sent<'_>) -> Result<(), Misfit> {
        let seg = sent.segment;
        let Some(tcb) = self.conn.tcb() else { return Ok(()) };
        let mss = u32::from(sent.most_text(tcb));
        let octets = u32::try_from(seg.payload.len()).unwrap_or(u32::MAX);
        // The MSS that a stack goes by may be smaller: options, the path's MTU. Below half of it a segment is short for certain.
        let short = octets > 0 && octets < mss / 2 && !seg.is_fin();
        if !short {
            return Ok(());
        }
        let more_queued = seg.text_end().lt(self.stream_end());
        let outstanding = tcb.snd_una != tcb.snd_nxt;
        let usable = tcb.snd_right().offset_from(tcb.snd_nxt).max(0).cast_unsigned();
        let waited = sent.at.saturating_sub(self.clocks.held_since);
        let half_window = tcb.max_snd_wnd / 2;
        if more_queued && seg.text_end() == tcb.snd_right() && usable < half_window && usable < mss && waited < OVERRIDE {
            return Err(Misfit { level: Level::Must, ..Misfit::new(rules::SENDER_SILLY_WINDOW, "silly-window", BREAKS) });
        }
        if more_queued && !outstanding && usable >= mss && octets < half_window {
            self.depart(rules::FULL_SEGMENTS, sent.event);
        }
        // Nagle holds a short segment while anything is outstanding; Minshall's variant, while a short one is.
        let Some(tcb) = self.conn.tcb() else { return Ok(()) };
        let closed = self.user.closed.is_some();
        let behind_short = outstanding && !closed && self.clocks.flight.short_until.is_some_and(|end| tcb.snd_una.lt(end));
        if behind_short && !sent.nagle_free && !more_queued && !self.user.nodelay && self.user.urgent.is_none() {
            self.depart(rules::NAGLE, sent.event);
        }
        self.clocks.flight.short_until = Some(seg.text_end());
        Ok(())
    }
}

/// What the stack goes by as the peer's MSS at most (SMSS of RFC 5681).
fn sender_mss(tcb: &Tcb, profile: &Profile) -> u32 {
    u32::from(tcb.snd_mss.max(profile.least_mss))
}

/// The initial window at most, octets: "min (10*MSS, max (2*MSS, 14600))" (RFC 6928 section 2) where the profile says ten segments.
fn initial_window(mss: u32, profile: &Profile) -> u32 {
    (profile.initial_window * mss).min(14_600.max(2 * mss))
}

/// The kind of a finding that too much is in flight.
pub(crate) const CONGESTION_WINDOW: &str = "congestion-window";
/// The least time after which a sender may give up waiting for a better window (RFC 9293 section 3.8.6.2.1: 0.1 to 1.0 seconds).
const OVERRIDE: Micros = 90 * MILLISECOND;
