//! Whether one explanation permits a segment that the stack sent, and what becomes of the explanation when it does.

use crate::api::Micros;
use crate::catalogue::{Level, RuleId};
use crate::lenience::Lenience;
use crate::oracle::hypothesis::{Blame, Due, Ended, Hypothesis, ResetDue};
use crate::profile::Profile;
use crate::relation::ResetForm;
use crate::rules;
use crate::segment::{Flags, Segment};
use crate::seq::Seq;
use crate::state::State;
use crate::tcb::{Conn, SynSent, Tcb};

/// What an emission is judged against besides the explanation.
#[derive(Clone, Copy)]
pub(crate) struct Sent<'a> {
    pub(crate) segment: &'a Segment,
    pub(crate) from: Micros,
    pub(crate) at: Micros,
    pub(crate) event: usize,
    pub(crate) profile: &'a Profile,
    /// Over IPv4.
    pub(crate) v4: bool,
    /// What the user wrote.
    pub(crate) written: &'a [u8],
    /// A listener of the port was told to switch Nagle's algorithm: whether its connections take that over is the stack's affair.
    pub(crate) nagle_free: bool,
}

impl Sent<'_> {
    /// Octets of text and options that a segment may hold: Eff.snd.MSS = min(SendMSS+20, MMS_S) - TCPhdrsize - IPoptionsize, options not yet
    /// subtracted (RFC 9293 section 3.7.1).
    pub(crate) fn most_text(&self, tcb: &Tcb) -> u16 {
        let headers = if self.v4 { 40 } else { 60 };
        tcb.snd_mss.max(self.profile.least_mss).min(self.profile.mtu.saturating_sub(headers))
    }
}

/// Why a permitted segment is permitted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Licence {
    /// The rule.
    pub rule: RuleId,
    /// Whether the segment was owed; otherwise a MAY permits it.
    pub demanded: bool,
}

/// Why an explanation does not permit a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Misfit {
    pub(crate) rule: RuleId,
    pub(crate) level: Level,
    pub(crate) kind: &'static str,
    pub(crate) cause: Option<usize>,
    /// How near it came: an owed segment with a wrong field ranks before a segment that nothing asked for.
    pub(crate) surprise: u8,
}

impl Misfit {
    pub(crate) fn new(rule: RuleId, kind: &'static str, surprise: u8) -> Misfit {
        Misfit { rule, level: Level::Spec, kind, cause: None, surprise }
    }

    fn garbled(due: Due, kind: &'static str) -> Misfit {
        Misfit { rule: due.rule, level: Level::Spec, kind, cause: Some(due.cause), surprise: GARBLED }
    }

    /// Nothing asked for it: what the last event demanded was something else, or silence.
    fn uncalled(h: &Hypothesis, kind: &'static str) -> Misfit {
        // What is missing in a segment is no reason to end the connection.
        let aborts = kind == "reset" && h.last.rule == rules::UNSTAMPED_DROPPED;
        let rule = if aborts { rules::UNSTAMPED_ABORTS } else { h.last.rule };
        Misfit { rule, level: Level::Spec, kind, cause: Some(h.last.event), surprise: UNCALLED }
    }
}

/// What a stack's clock may be coarse by.
pub(crate) const CLOCK: Micros = 20_000;
/// Surprise of an owed segment with one wrong field.
pub(crate) const GARBLED: u8 = 5;
/// Surprise of a segment that breaks a rule of its own.
pub(crate) const BREAKS: u8 = 6;
/// Surprise of a segment that nothing asked for.
const UNCALLED: u8 = 8;

impl Hypothesis {
    /// Judges a segment; on success the explanation has moved on.
    pub(crate) fn emit(&mut self, sent: &Sent<'_>) -> Result<Licence, Misfit> {
        let licence = self.emit_plain(sent)?;
        self.fitted_out(sent, licence)
    }

    /// What a segment says besides itself: its timestamps, and its marks of ECN.
    pub(crate) fn fitted_out(&mut self, sent: &Sent<'_>, licence: Licence) -> Result<Licence, Misfit> {
        if !sent.profile.lets(Lenience::TimestampsUnchecked) {
            self.stamped(sent)?;
        }
        self.marked(sent, licence)?;
        Ok(licence)
    }

    /// The same, whatever its timestamps and its marks are.
    pub(crate) fn emit_plain(&mut self, sent: &Sent<'_>) -> Result<Licence, Misfit> {
        self.flags_in_use(sent)?;
        let licence = self.emit_in_use(sent)?;
        if !sent.segment.is_empty() {
            self.clocks.sent_last = sent.at;
        }
        Ok(licence)
    }

    /// ECE and CWR only where ECN was set up (RFC 3168 section 6.1.1), URG as section 3.8.5 has it.
    fn flags_in_use(&mut self, sent: &Sent<'_>) -> Result<(), Misfit> {
        if !sent.profile.lets(Lenience::UrgentUnchecked) {
            self.urgent_pointer(sent.segment)?;
        }
        if sent.profile.lets(Lenience::EcnUnchecked) { Ok(()) } else { self.ecn_in_use(sent.segment) }
    }

    fn emit_in_use(&mut self, sent: &Sent<'_>) -> Result<Licence, Misfit> {
        if sent.segment.is_rst() {
            return self.emit_reset(sent);
        }
        match (&self.conn, sent.segment.is_syn()) {
            (Conn::Absent, true) if !sent.segment.is_ack() => self.emit_first_syn(sent),
            (Conn::Absent, _) => Err(self.nearest_to(sent.segment)),
            (Conn::SynSent(_), true) => self.emit_syn_again(sent),
            (Conn::SynSent(_), false) => Err(self.nearest_to(sent.segment)),
            (Conn::Open(_), true) => self.emit_syn_ack(sent),
            (Conn::Open(_), false) => self.emit_ordinary(sent),
        }
    }

    /// The misfit of a segment that is of another kind than whatever is owed.
    pub(crate) fn nearest_to(&self, segment: &Segment) -> Misfit {
        let kind = if segment.is_syn() { "syn" } else { "segment" };
        let owed = self.dues.resets.first().map(|(_, d)| *d).or(self.dues.syn).filter(|d| !d.optional);
        owed.map_or_else(|| Misfit::uncalled(self, kind), |due| Misfit::garbled(due, "flags"))
    }

    fn emit_reset(&mut self, sent: &Sent<'_>) -> Result<Licence, Misfit> {
        let seg = sent.segment;
        // For a SYN in the window RFC 793 said "send a reset", without a form. Then the ACK bit is free: a reset's acknowledgment is not looked at
        // in a synchronized state.
        let formless = |rule| rule == rules::SYN_RECEIVED_SYN_PASSIVE;
        let matches = |due: &ResetDue, rule: RuleId| match *due {
            ResetDue::Form(ResetForm::Abort { seq, acks }, _) => {
                let true_ack = !seg.is_ack() || seg.ack.ge(acks.0) && seg.ack.le(acks.1);
                (seg.flags & Flags::CONTROL & !Flags::ACK) == Flags::RST && seg.seq == seq && true_ack && seg.payload.is_empty()
            }
            ResetDue::Form(form, _) => {
                let wanted = form.segment();
                let same_ack = !wanted.is_ack() || seg.ack == wanted.ack;
                let free = if formless(rule) && !wanted.is_ack() { Flags::ACK } else { Flags::NONE };
                (seg.flags & Flags::CONTROL & !free) == (wanted.flags & Flags::CONTROL)
                    && seg.seq == wanted.seq
                    && same_ack
                    && seg.payload.is_empty()
            }
            ResetDue::Abort { low, high, ack } => {
                let true_ack = !seg.is_ack() || ack.is_none_or(|n| seg.ack == n);
                !seg.is_syn() && !seg.is_fin() && seg.seq.ge(low) && seg.seq.le(high) && true_ack
            }
        };
        let any = sent.profile.lets(Lenience::ResetsOfAnyForm);
        let owed =
            |optional| self.dues.resets.iter().position(|(reset, due)| due.optional == optional && (any || matches(reset, due.rule)));
        if let Some(i) = owed(false).or_else(|| owed(true)) {
            let (reset, due) = self.dues.resets.remove(i);
            self.stamped_reset(reset, sent);
            return Ok(Licence { rule: due.rule, demanded: !due.optional });
        }
        if self.iss_unseen && !self.deferred.is_empty() {
            // Of a group with the SYN: the reset may leave before the SYN-ACK that it depends on.
            self.early_resets = self.early_resets.saturating_add(1);
            return Ok(Licence { rule: self.last.rule, demanded: false });
        }
        if self.may_have_given_up(sent.at, sent.profile) && self.resets_what_it_gives_up(seg) {
            *self = self.clone().gone(Ended::TimedOut);
            return Ok(Licence { rule: rules::USER_TIMEOUT, demanded: false });
        }
        if sent.profile.lets(Lenience::ResetsUnasked) {
            return Ok(Licence { rule: self.last.rule, demanded: false });
        }
        let near = self.dues.resets.iter().map(|(_, d)| *d).find(|d| !d.optional);
        if let Some(due) = near {
            return Err(Misfit::garbled(due, "reset-fields"));
        }
        let owed = self.dues.syn.or(self.ack_owed()).filter(|d| !d.optional);
        Err(owed.map_or_else(|| Misfit::uncalled(self, "reset"), |due| Misfit::garbled(due, "flags")))
    }

    fn emit_first_syn(&mut self, sent: &Sent<'_>) -> Result<Licence, Misfit> {
        let seg = sent.segment;
        let Some(due) = self.dues.syn.take() else { return Err(Misfit::uncalled(self, "syn")) };
        if (seg.flags & Flags::CONTROL) != Flags::SYN {
            return Err(Misfit::garbled(due, "flags"));
        }
        self.scale_offered(sent)?;
        self.conn =
            Conn::SynSent(SynSent { iss: seg.seq, snd_nxt: seg.end(), rcv_wnd: u32::from(seg.window), offered_scale: seg.window_scale() });
        self.clocks.rmss = seg.mss().unwrap_or(crate::tcb::DEFAULT_MSS_V4);
        self.iss_unseen = false;
        self.user.offers_timestamps = seg.timestamps().is_some();
        self.sack.own = seg.sack_permitted();
        self.sent_head(sent);
        Ok(Licence { rule: due.rule, demanded: true })
    }

    fn emit_syn_again(&mut self, sent: &Sent<'_>) -> Result<Licence, Misfit> {
        let Conn::SynSent(c) = &self.conn else { return Err(Misfit::uncalled(self, "syn")) };
        if (sent.segment.flags & Flags::CONTROL) != Flags::SYN {
            return Err(self.nearest_to(sent.segment));
        }
        if sent.segment.seq != c.iss {
            return Err(Misfit::new(rules::RETRANSMISSION_TIMEOUT, "seq", BREAKS));
        }
        if c.offered_scale.is_some() && sent.segment.window_scale().is_none() {
            self.depart(rules::SCALE_NOT_OFFERED, sent.event);
        }
        self.timed_out(sent, sent.profile.linear_syn_timeouts)
    }

    fn emit_syn_ack(&mut self, sent: &Sent<'_>) -> Result<Licence, Misfit> {
        let seg = sent.segment;
        let due = self.dues.syn;
        let misfit = |h: &Hypothesis, kind| due.map_or_else(|| Misfit::uncalled(h, kind), |d| Misfit::garbled(d, kind));
        let Some(tcb) = self.conn.tcb() else { return Err(misfit(self, "syn")) };
        if (seg.flags & Flags::CONTROL) != (Flags::SYN | Flags::ACK) {
            return Err(misfit(self, "flags"));
        }
        let answering = tcb.state == State::SynReceived || tcb.snd_una == tcb.iss;
        if !answering {
            return Err(Misfit::uncalled(self, "syn-ack"));
        }
        if !self.iss_unseen && seg.seq != tcb.iss {
            return Err(misfit(self, "seq"));
        }
        if seg.ack != tcb.rcv_nxt {
            return Err(misfit(self, "ack"));
        }
        if !seg.payload.is_empty() {
            return Err(misfit(self, "length"));
        }
        let first = self.iss_unseen;
        if first && self.user.least_iss.is_some_and(|least| seg.seq.lt(least)) {
            // MAY-2: "assigns its initial sequence number for the new connection to be larger than the largest sequence number it used on the
            // previous connection incarnation".
            return Err(Misfit::new(rules::REOPENED, "isn", BREAKS));
        }
        self.sack.own |= seg.sack_permitted();
        if first {
            self.scale_offered(sent)?;
        }
        let Some(tcb) = self.conn.tcb() else { return Err(Misfit::uncalled(self, "syn")) };
        if !first && (tcb.rcv_nxt + u32::from(seg.window)).lt(tcb.rcv_right) {
            self.depart(rules::RIGHT_EDGE_LEFT, sent.event);
        }
        if let Some(tcb) = self.conn.tcb_mut()
            && first
        {
            tcb.iss = seg.seq;
            tcb.snd_una = seg.seq;
            tcb.snd_nxt = seg.seq + 1;
            tcb.snd_wl2 = seg.seq;
            match seg.window_scale() {
                // What the peer offered stands in `scaling`; a shift of 0 says nothing.
                Some(own) if tcb.rcv_scale > 0 => tcb.rcv_scale = own.min(14),
                _ => (tcb.rcv_scale, tcb.snd_scale) = (0, 0),
            }
            tcb.rcv_right = tcb.rcv_nxt + u32::from(seg.window);
            tcb.rcv_room = tcb.rcv_right;
            tcb.rcv_last = tcb.rcv_right;
            self.clocks.capacity = tcb.rcv_right.since(tcb.irs + 1);
            self.clocks.rmss = seg.mss().unwrap_or(crate::tcb::DEFAULT_MSS_V4);
            self.clocks.snd_right_max = tcb.snd_right();
            self.iss_unseen = false;
        }
        self.acknowledged();
        if let Some(due) = self.dues.syn.take() {
            let (since, head) = (self.clocks.unanswered_since, self.clocks.head_sent);
            self.sent_head(sent);
            if !first {
                // In a simultaneous open the SYN's timer may run on (RFC 6298 (5.1) starts one only where none runs).
                self.clocks.unanswered_since = since;
                self.clocks.head_sent.0 = head.0;
            }
            return Ok(Licence { rule: due.rule, demanded: !due.optional });
        }
        let licence = self.timed_out(sent, sent.profile.linear_syn_timeouts)?;
        // A FIN behind the SYN may leave again once the SYN is acknowledged.
        self.clocks.resend_below = self.conn.tcb().map(|t| (t.iss + 1, t.snd_nxt)).filter(|(from, to)| from.lt(*to));
        Ok(licence)
    }

    /// Every other segment of an open connection.
    fn emit_ordinary(&mut self, sent: &Sent<'_>) -> Result<Licence, Misfit> {
        let seg = sent.segment;
        let Some(tcb) = self.conn.tcb() else { return Err(self.nearest_to(seg)) };
        if self.iss_unseen {
            return Err(self.nearest_to(seg));
        }
        if !seg.is_ack() {
            return Err(self.ack_owed().map_or(Misfit::new(rules::ACK_ALWAYS, "ack-bit", BREAKS), |d| Misfit::garbled(d, "flags")));
        }
        if seg.ack != tcb.rcv_nxt && !(sent.profile.lets(Lenience::AckBehind) && seg.ack.lt(tcb.rcv_nxt)) {
            if self.acknowledges_in_between(seg) {
                let wrong = |rule| Misfit { level: Level::Must, ..Misfit::new(rule, "ack-number", GARBLED) };
                if self.held_is_older() {
                    return Err(Misfit { cause: self.ack_owed().map(|d| d.cause), ..wrong(rules::PAWS_ON_ARRIVAL_ALONE) });
                }
                if self.filled_to == Some(seg.ack) || seg.ack.lt(self.user.irs + 1 + self.user.read) {
                    // That nothing was held is another explanation's; what was read was held.
                    return Err(wrong(rules::ALL_BEFORE_ACK));
                }
                self.forget_held_from(seg.ack, sent.event);
                return self.emit_ordinary(sent);
            }
            // What had to be discarded may have been taken.
            let discarded = [rules::CHECKSUM_RECEIVED, rules::DATA_OFFSET].contains(&self.last.rule) && seg.ack.gt(tcb.rcv_nxt);
            let wrong = Misfit::new(if discarded { self.last.rule } else { rules::ACK_ALWAYS }, "ack-number", BREAKS);
            // The duplicate ACK that text out of order draws: its rule is that of the text.
            let duplicate = self.dues.ack_soon.filter(|d| d.cause == self.last.event).map(|d| Due { rule: self.last.rule, ..d });
            return Err(self.ack_owed().or(duplicate).map_or(wrong, |d| Misfit::garbled(d, "ack-number")));
        }
        self.first_window(sent)?;
        let licence = if seg.is_empty() { self.emit_bare_ack(sent)? } else { self.emit_text(sent)? };
        if !sent.profile.lets(Lenience::SillyWindows) {
            self.window_worth_offering(seg)?;
        }
        if !sent.profile.lets(Lenience::SackUnchecked) {
            self.reports_truly(sent)?;
        }
        self.advertise(sent);
        self.acknowledged();
        self.clocks.full_unacked = 0;
        Ok(licence)
    }

    /// Whether a segment acknowledges a part of the text that filling a gap let through.
    fn acknowledges_in_between(&self, seg: &Segment) -> bool {
        let behind = |t: &Tcb| !t.fin_taken() && self.filled_to.is_some_and(|to| seg.ack.ge(to) && seg.ack.lt(t.rcv_nxt));
        seg.is_ack() && !seg.is_rst() && self.conn.tcb().is_some_and(behind)
    }

    /// What came ahead from this number on was not held, as it SHOULD have been (SHLD-31).
    fn forget_held_from(&mut self, from: Seq, event: usize) {
        if let Some(tcb) = self.conn.tcb_mut() {
            tcb.rcv_nxt = from;
            self.user.readable = from.since(tcb.irs + 1);
        }
        self.filled_to = None;
        self.depart(rules::QUEUE_OOO, event);
    }

    /// The explanation by which such a segment left before all that was queued had been processed: "it MUST process them all before sending any ACK
    /// segments" (MUST-59).
    pub(crate) fn acknowledged_too_soon(&self, sent: &Sent<'_>) -> Option<Hypothesis> {
        if !self.acknowledges_in_between(sent.segment) || self.held_is_older() {
            return None;
        }
        let (rule, state, event) = (rules::ALL_BEFORE_ACK, self.conn.state(false), sent.event);
        let blame = Blame { rule, level: Level::Must, state, event, cause: None, kind: "ack-number", surprise: GARBLED };
        Some(Hypothesis { blame: Some(blame), ..self.clone() })
    }

    fn emit_bare_ack(&mut self, sent: &Sent<'_>) -> Result<Licence, Misfit> {
        let seg = sent.segment;
        let Some(tcb) = self.conn.tcb() else { return Err(self.nearest_to(seg)) };
        // A stack that goes back after a time-out, or whose peer shrank the window, may show a lower SND.NXT.
        let rewound = self.clocks.resend_below.is_some() || tcb.snd_right().lt(tcb.snd_nxt) || self.clocks.timeouts > 0;
        let rewound = rewound || sent.profile.lets(Lenience::SeqBehind);
        let una = tcb.snd_una;
        let in_place = seg.seq == tcb.snd_nxt || (rewound && seg.seq.ge(tcb.snd_una) && seg.seq.le(tcb.snd_nxt));
        if !in_place {
            if let Some(licence) = self.probe(sent)? {
                return Ok(licence);
            }
            let by_timer = seg.seq == una && self.outstanding() && sent.at + CLOCK >= self.clocks.head_sent.0 + sent.profile.rto_min;
            // The number of what the timer makes leave again, but nothing of it.
            let resent = by_timer.then(|| Misfit::new(rules::RETRANSMISSION_TIMEOUT, "flags", GARBLED));
            let wrong = resent.unwrap_or(Misfit::new(rules::SYNC_UNACCEPTABLE, "seq", BREAKS));
            return Err(self.ack_owed().map_or(wrong, |d| Misfit::garbled(d, "seq")));
        }
        let due = self.ack_owed().or(self.dues.ack_soon);
        if let Some(due) = due {
            self.credits = self.credits.saturating_sub(1);
            if due.at_once {
                self.clocks.last_challenge = Some(sent.at);
                if rules::is_challenge(due.rule) {
                    self.challenged(sent);
                }
            }
            return Ok(Licence { rule: due.rule, demanded: true });
        }
        if self.credits > 0 && sent.from <= self.credits_until {
            self.credits -= 1;
            if rules::is_challenge(self.last.rule) {
                self.challenged(sent);
            }
            return Ok(Licence { rule: self.last.rule, demanded: false });
        }
        if sent.profile.lets(Lenience::AcksWithoutLimit) {
            return Ok(Licence { rule: self.last.rule, demanded: false });
        }
        let edge = seg.ack + (u32::from(seg.window) << tcb.rcv_scale);
        if self.may_update && edge.gt(tcb.rcv_right) {
            self.may_update = false;
            return Ok(Licence { rule: rules::RECEIVE, demanded: false });
        }
        let level = Level::Must;
        if self.last.silent_at.is_some_and(|t| sent.from <= t + sent.profile.at_once) {
            return Err(Misfit::uncalled(self, "needless-ack"));
        }
        // What has a keep-alive's number is one that had to wait.
        let keepalive = self.user.keepalive.is_some() && self.conn.tcb().is_some_and(|t| seg.seq == t.snd_nxt - 1);
        let rule = if keepalive { rules::KEEPALIVE_ONLY_IDLE } else { rules::ONE_ACK_EACH };
        Err(Misfit { rule, level, kind: "needless-ack", cause: Some(self.last.event), surprise: BREAKS })
    }

    fn emit_text(&mut self, sent: &Sent<'_>) -> Result<Licence, Misfit> {
        let seg = sent.segment;
        let Some(tcb) = self.conn.tcb().cloned() else { return Err(self.nearest_to(seg)) };
        let close_rule = self.user.closed.unwrap_or(rules::close(tcb.state));
        let early = sent.profile.lets(Lenience::TextBeforeEstablished);
        if tcb.state == State::SynReceived && !(tcb.closing && seg.is_fin()) && !early {
            return Err(Misfit::new(rules::SEND_EARLY, "before-established", BREAKS));
        }
        if tcb.snd_wnd == 0 && seg.payload.len() == 1 {
            if seg.seq.ge(tcb.snd_una) {
                self.octets(sent)?;
            }
            if let Some(licence) = self.probe(sent)? {
                if seg.seq.ge(self.conn.tcb().map_or(seg.seq, |t| t.snd_nxt)) {
                    self.moved_on(sent);
                }
                return Ok(licence);
            }
        }
        if (seg.seq == tcb.snd_una - 1 || (seg.end() == tcb.snd_una && seg.payload.len() == 1))
            && let Some(licence) = self.probe(sent)?
        {
            return Ok(licence);
        }
        self.octets(sent)?;
        let unasked = self.user.closed.is_none() || seg.text_end() != self.stream_end();
        if seg.is_fin() && unasked && !sent.profile.lets(Lenience::FinUnasked) {
            // One FIN was sent: another one is the fault of a later CLOSE, if there was one.
            let rule = if tcb.fin_sent.is_some() { rules::close(tcb.state) } else { close_rule };
            return Err(Misfit::new(rule, "fin", BREAKS));
        }
        let long = seg.payload.len() > 1 && seg.payload.len() + seg.options_len() > usize::from(sent.most_text(&tcb));
        if long && !sent.profile.lets(Lenience::SegmentsBeyondMss) {
            let rule = if tcb.mss_stated { rules::MSS_OBEYED } else { rules::MSS_DEFAULT };
            return Err(Misfit { level: Level::Must, ..Misfit::new(rule, "length", BREAKS) });
        }
        if seg.seq.gt(tcb.snd_nxt) {
            return Err(Misfit::new(rules::SEND, "gap", BREAKS));
        }
        if seg.seq.lt(tcb.snd_una) && seg.end().le(tcb.snd_una) {
            // "Any segments on the retransmission queue that are thereby entirely acknowledged are removed."
            return Err(Misfit::new(rules::ACK_NEW, "acknowledged-octets", BREAKS));
        }
        let new = seg.end().gt(tcb.snd_nxt);
        let beyond = new && seg.text_end().gt(tcb.snd_right()) && !seg.payload.is_empty();
        if beyond && !sent.profile.lets(Lenience::TextBeyondWindow) {
            let shrunk = seg.text_end().le(self.clocks.snd_right_max);
            let (rule, level) = if shrunk { (rules::WINDOW_SHRUNK, Level::Should) } else { (self.beyond_window(&tcb, seg), Level::Must) };
            return Err(Misfit { level, ..Misfit::new(rule, "beyond-window", BREAKS) });
        }
        if !sent.profile.lets(Lenience::FlightUnbounded) {
            self.within_congestion_window(sent)?;
        }
        if seg.seq != tcb.snd_nxt {
            let licence = self.retransmission(sent)?;
            if new {
                self.moved_on(sent);
            }
            return Ok(licence);
        }
        self.stops_at_field(sent)?;
        if !sent.profile.lets(Lenience::ShortSegments) {
            self.segmented_well(sent)?;
        }
        if !sent.profile.lets(Lenience::PushUnchecked) {
            self.pushes(seg)?;
        }
        self.reduction_told(sent)?;
        self.moved_on(sent);
        let rule = if seg.is_fin() { close_rule } else { rules::SEND };
        Ok(Licence { rule, demanded: true })
    }

    /// The octets are those that the user wrote, each at its place.
    fn octets(&self, sent: &Sent<'_>) -> Result<(), Misfit> {
        let seg = sent.segment;
        let Some(tcb) = self.conn.tcb() else { return Ok(()) };
        let offset = seg.seq.offset_from(tcb.iss + 1);
        let range = usize::try_from(offset).ok().map(|from| from..from + seg.payload.len());
        let written = &sent.written[..(self.user.written as usize).min(sent.written.len())];
        match range.and_then(|r| written.get(r)) {
            _ if sent.profile.lets(Lenience::SentOctetsUnchecked) => Ok(()),
            Some(octets) if octets == seg.payload => Ok(()),
            _ if seg.payload.is_empty() => Ok(()),
            _ => Err(Misfit::new(rules::SEND, "octets", BREAKS)),
        }
    }

    /// New octets left.
    pub(crate) fn moved_on(&mut self, sent: &Sent<'_>) {
        let idle = !self.outstanding();
        if idle {
            self.sent_head(sent);
        }
        let nxt = self.conn.tcb().map_or(sent.segment.seq, |t| t.snd_nxt);
        self.clocks.flights = match self.clocks.flights {
            _ if idle => (sent.segment.end(), sent.from, 0),
            (_, since, 0) if sent.from > since => (nxt, since, sent.from),
            (end, since, 0) => (end.max(sent.segment.end()), since, 0),
            flights => flights,
        };
        (self.clocks.progress_since, self.clocks.held_since) = (sent.at, sent.from);
        if self.clocks.recovery_due.take_if(|due| due.rule == rules::LIMITED_TRANSMIT).is_some() {
            self.clocks.flight.limited = self.conn.tcb().map(|t| (t.snd_una, sent.segment.end()));
        }
        if let Some(tcb) = self.conn.tcb_mut() {
            tcb.snd_nxt = tcb.snd_nxt.max(sent.segment.end());
            if sent.segment.is_fin() {
                tcb.fin_sent = Some(sent.segment.text_end());
            }
        }
    }

    /// The right edge moves only by what is worth a segment: the smaller of half the buffer and an MSS (RFC 9293 section 3.8.6.2.2). Where a large
    /// window is open its edge may follow the text in smaller steps, which is not silly.
    fn window_worth_offering(&self, seg: &Segment) -> Result<(), Misfit> {
        let Some(tcb) = self.conn.tcb().filter(|t| t.receives() && self.clocks.rmss > 0) else { return Ok(()) };
        let right = seg.ack + (u32::from(seg.window) << tcb.rcv_scale);
        let step = right.offset_from(tcb.rcv_right);
        let worth = u32::from(self.clocks.rmss).min(self.clocks.capacity / 2).saturating_sub(1 << tcb.rcv_scale);
        let silly = |n: u32| n < worth;
        if step > 0 && silly(step.cast_unsigned()) && silly(right.since(seg.ack)) {
            return Err(Misfit { level: Level::Must, ..Misfit::new(rules::RECEIVER_SILLY_WINDOW, "silly-window", BREAKS) });
        }
        Ok(())
    }

    /// The window that a segment advertises.
    fn advertise(&mut self, sent: &Sent<'_>) {
        let seg = sent.segment;
        let Some(tcb) = self.conn.tcb_mut() else { return };
        let right = seg.ack + (u32::from(seg.window) << tcb.rcv_scale);
        let granule = (1 << tcb.rcv_scale) - 1;
        tcb.rcv_last = right.max(tcb.rcv_nxt);
        let shrunk = (right + granule).lt(tcb.rcv_right);
        if right.ge(tcb.rcv_right) || shrunk {
            tcb.rcv_right = right.max(tcb.rcv_nxt);
        }
        let read_to = tcb.irs + 1 + self.user.read;
        self.clocks.capacity = self.clocks.capacity.max((right + granule).since(read_to).min(1 << 30));
        tcb.rcv_room = tcb.rcv_right.max(read_to + self.clocks.capacity);
        if shrunk && !sent.profile.lets(Lenience::WindowShrinks) {
            self.depart(rules::RIGHT_EDGE_LEFT, sent.event);
        }
    }
}
