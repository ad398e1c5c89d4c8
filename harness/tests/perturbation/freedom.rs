//! The freedoms that a right stack has: why a perturbation can be accepted.

use tcp_reference::api::{Call, Micros};
use tcp_reference::oracle::Licence;
use tcp_reference::profile::{Profile, SECOND};
use tcp_reference::segment::{Flags, Segment, TcpOption, Tuple};
use tcp_reference::seq::Seq;
use tcp_reference::trace::{Arrival, Event, Trace, What};

use crate::kinds::{self, Kind};

/// What lets a right stack do the perturbed thing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub(crate) enum Freedom {
    /// PSH: MUST-61 binds only the last segment of what is queued, and MAY-15 lets the user push anything.
    Push,
    /// "MAY-8", section 3.8.6: the receiver chooses its window; only a right edge that moves left is asked not to be (SHLD-14). A scaled
    /// window is rounded (RFC 7323 section 2.3).
    WindowChoice,
    /// Section 3.5.2 writes `<CTL=RST>`: the window of a reset means nothing.
    WindowOfReset,
    /// The oracle's licence says that a MAY permitted the segment: nothing asked for it, so it may be missing or late.
    NotOwed,
    /// MUST-40: an ACK may wait 0.5 s, and a later segment of the stack carried as much by then.
    AckCarriedLater,
    /// RFC 6298: "any value" above is allowed for the RTO, so one retransmission less is a longer time-out.
    LongerRto,
    /// The trace ends before what is missing would have been overdue.
    TraceEnds,
    /// SHLD-7 and RFC 5681: text, and the FIN behind it, may wait while older text is not acknowledged (Nagle, congestion window).
    WaitsForAck,
    /// Each arriving segment may draw one ACK: more have arrived than were answered.
    OneAckEach,
    /// Section 3.8.1: text may be packetised anew when it is sent again: with the FIN behind it or without it.
    Repacketised,
    /// RFC 8985 and RFC 5681: a probe or a retransmission before the RTO, on signs of loss or at the tail.
    LossProbe,
    /// Section 3.10.5 and deployed stacks: the reset of an abort carries ACK or not ("once established always sent").
    AckOnAbort,
    /// Section 3.4.1: the ISN is the stack's choice, and nothing in the trace depends on this one.
    AnyIsn,
    /// The connection was reset, or opened anew, before what is missing was due.
    Overtaken,
    /// MUST-60: text is not held indefinitely; a second is the oracle's bound, and the first retransmission comes by then.
    WithinASecond,
    /// NOTES, freedom 10: a probe of a closed window begins at SND.UNA or before it, and its octet may be counted in SND.NXT or not.
    ProbeForm,
    /// MUST-7: a segment with an illegal option length may be dropped.
    IllFormedOption,
    /// The catalogue's 3.10.7.2/LISTEN/syn-fin: many stacks drop a SYN with FIN.
    SynFin,
    /// MAY-12: the range of RFC 5961 section 5 need not be checked; then the text is taken and its ACK may wait.
    NeedNotCheckAck,
    /// Sections 3.10.4 and 3.10.5: CLOSE and ABORT delete the TCB of SYN-SENT; that a reset goes out with it is not excluded.
    ResetOfClosing,
    /// Sections 3.10.4 and 3.10.5 ask for no reset in these states, so nothing says what its numbers are where one is sent all the same.
    ResetNotAskedFor,
    /// RFC 5681 section 4.3 and RFC 6298 (5.4): a stack that goes back to SND.UNA after a time-out may send its next ACK from there.
    WentBack,
    /// NOTES, freedom 4: a second SYN in SYN-RECEIVED returns to LISTEN in silence, or draws a reset, an ACK or the SYN-ACK again.
    SecondSyn,
    /// Figure 7: the SYN-ACK of a simultaneous open may complete it without a reply.
    SimultaneousOpen,
    /// DESIGN section 3: an observation's time is an interval, and the segment may have been sent at its beginning.
    SeenLate,
    /// RFC 1337: a RST may be ignored in TIME-WAIT. RFC 6191: so may a SYN.
    IgnoredInTimeWait,
}

/// What is known of the perturbed segment.
pub(crate) struct Place<'a> {
    pub(crate) trace: &'a Trace,
    pub(crate) event: usize,
    pub(crate) profile: &'a Profile,
    pub(crate) licence: Licence,
}

impl Place<'_> {
    /// The freedom that explains why this perturbation may be accepted.
    pub(crate) fn freedom(&self, kind: Kind) -> Option<Freedom> {
        let (tuple, segment) = self.emitted(self.event)?;
        let optional = !self.licence.demanded;
        match kind {
            Kind::FlipPsh => Some(Freedom::Push),
            Kind::WindowZero | Kind::WindowLess | Kind::WindowHalf => {
                if segment.is_rst() {
                    return Some(Freedom::WindowOfReset);
                }
                let window = match kind {
                    Kind::WindowZero => 0,
                    Kind::WindowLess => segment.window.saturating_sub(1),
                    _ => segment.window / 2,
                };
                self.not_shrunk(tuple, segment, window).then_some(Freedom::WindowChoice)
            }
            Kind::SeqUp | Kind::SeqDown if segment.is_syn() && self.last_word(tuple) => Some(Freedom::AnyIsn),
            Kind::SeqDown | Kind::AckUp | Kind::AckDown
                if segment.is_rst() && optional && self.is_abort() || self.rule("CLOSE/SYN-SENT") =>
            {
                Some(Freedom::ResetNotAskedFor)
            }
            Kind::SeqDown if segment.is_empty() && self.has_gone_back(tuple) => Some(Freedom::WentBack),
            Kind::SeqDown if self.is_probing(tuple, segment) => Some(Freedom::ProbeForm),
            Kind::Dropped if optional => Some(Freedom::NotOwed),
            Kind::Dropped if self.rule("LISTEN/syn-fin") => Some(Freedom::SynFin),
            Kind::Dropped if self.rule("TIME-WAIT/rst") || self.rule("TIME-WAIT/syn") => Some(Freedom::IgnoredInTimeWait),
            Kind::Dropped if self.rule("SYN-RECEIVED/syn-passive") => Some(Freedom::SecondSyn),
            Kind::Dropped if self.rule("syn-ack-simultaneous") => Some(Freedom::SimultaneousOpen),
            Kind::Dropped if self.rule("5961-range") => Some(Freedom::NeedNotCheckAck),
            Kind::Dropped if self.answers_ill_formed(tuple) => Some(Freedom::IllFormedOption),
            Kind::Dropped => self.missing(tuple, segment),
            Kind::Delayed if optional => Some(Freedom::NotOwed),
            Kind::Delayed => self.late(tuple, segment),
            Kind::Doubled if segment.is_rst() && self.closed_in_syn_sent(tuple) => Some(Freedom::ResetOfClosing),
            Kind::Doubled if !segment.is_empty() && self.seen_after() >= self.profile.rto_min => Some(Freedom::SeenLate),
            Kind::Doubled => {
                let bare = segment.is_ack() && segment.is_empty() && !segment.is_rst();
                (bare && self.arrivals_since_last_ack(tuple) > 1).then_some(Freedom::OneAckEach)
            }
            Kind::FlipFin => {
                let fin = self.fin_place(tuple)?;
                let at_the_end = segment.text_end() == fin && !segment.payload.is_empty();
                (at_the_end && kinds::is_again(self.trace, self.event)).then_some(Freedom::Repacketised)
            }
            Kind::FlipAck if segment.is_rst() && self.is_abort() => Some(Freedom::AckOnAbort),
            Kind::Early => {
                let tail = self.profile.rto_min < SECOND;
                tail.then_some(Freedom::LossProbe)
            }
            Kind::FlipSyn
            | Kind::FlipRst
            | Kind::FlipAck
            | Kind::FlipUrg
            | Kind::FlipEce
            | Kind::FlipCwr
            | Kind::SeqUp
            | Kind::SeqDown
            | Kind::AckUp
            | Kind::AckDown
            | Kind::Payload => None,
        }
    }

    fn emitted(&self, event: usize) -> Option<(Tuple, &Segment)> {
        match &self.trace.events.get(event)?.what {
            What::Emit { tuple, segment, .. } => Some((*tuple, segment)),
            _ => None,
        }
    }

    fn at(&self) -> Micros {
        self.trace.events[self.event].at
    }

    fn end(&self) -> Micros {
        self.trace.events.last().map_or(0, |e| e.at)
    }

    fn is_abort(&self) -> bool {
        self.rule("ABORT") || self.rule("SHLD-3") || self.rule("CLOSE/SYN-SENT")
    }

    fn rule(&self, part: &str) -> bool {
        self.licence.rule.0.contains(part)
    }

    /// Whether the stack sends nothing more on this connection.
    fn last_word(&self, tuple: Tuple) -> bool {
        let own = self.emitted(self.event).map(|(_, s)| s.seq);
        let first = self.emissions(tuple, ..self.event).all(|s| !s.is_syn() || Some(s.seq) != own);
        first && self.later(tuple).find(|(_, s)| !s.is_rst()).is_none_or(|(_, s)| s.is_syn() && Some(s.seq) != own)
    }

    /// Whether something was sent again that the peer has not acknowledged since.
    fn has_gone_back(&self, tuple: Tuple) -> bool {
        let again = (0..self.event).rev().find(|&i| self.emitted(i).is_some_and(|(t, s)| t == tuple && !s.is_empty()));
        again.is_some_and(|i| kinds::is_again(self.trace, i))
    }

    /// Whether the segment is a probe of a closed window, or an ACK while one is in flight.
    fn is_probing(&self, tuple: Tuple, segment: &Segment) -> bool {
        let one = |s: &Segment| s.payload.len() == 1;
        self.rule("MUST-36") || (segment.is_empty() && self.emissions(tuple, ..self.event).next_back().is_some_and(one))
    }

    /// How long before it was seen the segment may have been sent.
    fn seen_after(&self) -> Micros {
        self.at() - self.trace.events[self.event].from
    }

    /// Whether the user has closed since the stack's SYN, its only segment so far.
    fn closed_in_syn_sent(&self, tuple: Tuple) -> bool {
        let only_syn = self.emissions(tuple, ..self.event).all(|s| s.is_syn() && !s.is_ack());
        let closes = |e: &Event| matches!(&e.what, What::Call { call: Call::Close { .. } | Call::Abort { .. }, .. });
        only_syn && self.trace.events[..self.event].iter().any(closes)
    }

    fn answers_ill_formed(&self, tuple: Tuple) -> bool {
        let last = self.trace.events[..self.event].iter().rev().find_map(|e| match &e.what {
            What::Arrive { tuple: t, arrival: Arrival::Segment(s) } if *t == tuple => Some(s),
            _ => None,
        });
        last.is_some_and(|s| s.options.iter().any(|o| matches!(o, TcpOption::IllFormed(_))))
    }

    /// Whether a reset ends the connection within this time; a reply that nothing lets wait must have been given before.
    fn overtaken(&self, tuple: Tuple, within: Micros) -> bool {
        let until = self.at() + within;
        let ends = |e: &&Event| match &e.what {
            What::Arrive { tuple: t, arrival: Arrival::Segment(s) } | What::Emit { tuple: t, segment: s, .. } => *t == tuple && s.is_rst(),
            What::Call { call: Call::Abort { .. }, .. } => true,
            // In SYN-SENT CLOSE deletes the TCB.
            What::Call { call: Call::Close { .. }, .. } => self.rule("OPEN/CLOSED-active"),
            _ => false,
        };
        let reopened = |e: &Event| matches!(&e.what, What::Arrive { tuple: t, arrival: Arrival::Segment(s) } if *t == tuple && s.is_syn());
        let time_wait = self.rule("FIN-WAIT-2/fin") || self.rule("FIN-WAIT-1/fin-acks-ours");
        let ends = |e: &&Event| ends(e) || (time_wait && reopened(e));
        // What follows must not build on the segment.
        let builds = |e: &Event| match &e.what {
            What::Emit { tuple: t, segment: s, .. } => *t == tuple && !s.is_rst(),
            What::Arrive { tuple: t, arrival: Arrival::Segment(s) } => {
                *t == tuple && s.is_ack() && !s.is_rst() && self.acknowledges(s) && self.profile.reply_throttle.is_none()
            }
            _ => false,
        };
        let mut rest = self.trace.events[self.event + 1..].iter().take_while(|e| e.at <= until && !builds(e));
        !self.at_once() && rest.any(|e| ends(&e))
    }

    /// Whether an arriving segment acknowledges the one in question. A stack that throttles its replies (RFC 5961 section 7) may be silent
    /// to the ACK of what it has not sent.
    fn acknowledges(&self, arriving: &Segment) -> bool {
        self.emitted(self.event).is_some_and(|(_, s)| !s.is_empty() && arriving.ack.ge(s.end()))
    }

    /// Whether the segment answers an arriving one by itself, so that nothing lets it wait.
    fn at_once(&self) -> bool {
        const BY_ITSELF: [&str; 6] = ["unacceptable", "ack-future", "rst-in-window", "/syn", "5961", "fin-retransmit"];
        BY_ITSELF.iter().any(|part| self.rule(part)) && !self.rule("SYN-SENT/syn-ack")
    }

    /// Whether the right edge stays where the stack's last segments have put it.
    fn not_shrunk(&self, tuple: Tuple, segment: &Segment, window: u16) -> bool {
        let shift = self.own_shift(tuple);
        let edge = |s: &Segment, w: u16| s.ack + (u32::from(w) << if s.is_syn() { 0 } else { shift });
        let granule = (1 << shift) - 1;
        let mut highest = None;
        let mut iss = None;
        for s in self.emissions(tuple, ..self.event).filter(|s| !s.is_rst()) {
            if s.is_syn() && iss != Some(s.seq) {
                (iss, highest) = (Some(s.seq), None);
            }
            if s.is_ack() {
                // What has moved left stays there; less than a unit of the scale is rounding.
                let at = edge(s, s.window);
                highest = Some(highest.filter(|h: &Seq| at.lt(*h) && (at + granule).ge(*h)).unwrap_or(at));
            }
        }
        if segment.is_syn() && iss != Some(segment.seq) {
            return true;
        }
        highest.is_none_or(|h| h.le(edge(segment, window) + granule))
    }

    /// The shift of the windows that the stack sends, where both SYNs offered one.
    fn own_shift(&self, tuple: Tuple) -> u8 {
        let own = self.emissions(tuple, ..self.trace.events.len()).find_map(Segment::window_scale);
        let peer = self.trace.events.iter().find_map(|e| match &e.what {
            What::Arrive { tuple: t, arrival: Arrival::Segment(s) } if *t == tuple && s.is_syn() => s.window_scale(),
            _ => None,
        });
        own.filter(|_| peer.is_some()).unwrap_or(0).min(14)
    }

    fn emissions(&self, tuple: Tuple, range: std::ops::RangeTo<usize>) -> impl DoubleEndedIterator<Item = &Segment> {
        self.trace.events[range].iter().filter_map(move |e| match &e.what {
            What::Emit { tuple: t, segment, .. } if *t == tuple => Some(segment),
            _ => None,
        })
    }

    fn later(&self, tuple: Tuple) -> impl Iterator<Item = (&Event, &Segment)> {
        self.trace.events[self.event + 1..].iter().filter_map(move |e| match &e.what {
            What::Emit { tuple: t, segment, .. } if *t == tuple => Some((e, segment)),
            _ => None,
        })
    }

    /// Why the segment may be missing altogether.
    fn missing(&self, tuple: Tuple, segment: &Segment) -> Option<Freedom> {
        if kinds::is_again(self.trace, self.event) {
            if self.later(tuple).any(|(_, s)| s.seq.le(segment.seq) && s.end().gt(segment.seq)) {
                return Some(Freedom::LongerRto);
            }
            return (self.end() < self.at() + self.profile.rto_max).then_some(Freedom::TraceEnds);
        }
        if self.ack_carried(tuple, segment) {
            return Some(Freedom::AckCarriedLater);
        }
        let wait = if segment.is_empty() { self.profile.ack_delay.max(self.profile.reply) } else { SECOND };
        if self.overtaken(tuple, wait) {
            return Some(Freedom::Overtaken);
        }
        let again = |(e, s): (&Event, &Segment)| e.at <= self.at() + SECOND && s.seq == segment.seq && s.end() == segment.end();
        if !segment.is_empty() && self.later(tuple).any(again) {
            return Some(Freedom::WithinASecond);
        }
        let seen_late = |(e, s): (&Event, &Segment)| e.from <= self.at() + wait && s.seq == segment.seq && s.end() == segment.end();
        if self.later(tuple).any(seen_late) && !segment.is_empty() {
            return Some(Freedom::SeenLate);
        }
        let untouched = self.trace.events[self.event + 1..].iter().all(|e| !matches!(e.what, What::Arrive { .. } | What::Call { .. }));
        (untouched && self.end() < self.at() + wait).then_some(Freedom::TraceEnds)
    }

    /// Why the segment may come past its deadline.
    fn late(&self, tuple: Tuple, segment: &Segment) -> Option<Freedom> {
        let by = self.at() + kinds::delay(self.trace, self.event, self.profile);
        if kinds::is_again(self.trace, self.event) {
            return Some(if by > self.end() { Freedom::TraceEnds } else { Freedom::LongerRto });
        }
        if self.ack_carried(tuple, segment) {
            return Some(Freedom::AckCarriedLater);
        }
        (!segment.is_empty() && self.in_flight(tuple, segment)).then_some(Freedom::WaitsForAck)
    }

    /// A later segment within the ACK's deadline carries what a pure ACK carried: before the next stimulus where nothing lets it wait.
    fn ack_carried(&self, tuple: Tuple, segment: &Segment) -> bool {
        let until = self.at() + self.profile.ack_delay;
        let stimulus = |e: &Event| match &e.what {
            What::Arrive { .. } => true,
            What::Call { call, .. } => !matches!(call, Call::State { .. }),
            What::Emit { .. } | What::Quiet | What::Stall => false,
        };
        let next = self.trace.events[self.event + 1..].iter().position(stimulus).map_or(usize::MAX, |n| self.event + 1 + n);
        let last = if self.at_once() { next } else { usize::MAX };
        let carries = |e: &Event| match &e.what {
            What::Emit { tuple: t, segment: s, .. } => *t == tuple && s.is_ack() && !s.is_rst() && s.ack.ge(segment.ack),
            _ => false,
        };
        let events = self.trace.events.iter().enumerate().skip(self.event + 1).take_while(|(i, e)| e.at <= until && *i < last);
        segment.is_empty() && segment.is_ack() && !segment.is_rst() && events.into_iter().any(|(_, e)| carries(e))
    }

    /// Whether text before this segment's is not acknowledged.
    fn in_flight(&self, tuple: Tuple, segment: &Segment) -> bool {
        let acked = self.trace.events[..self.event].iter().filter_map(|e| match &e.what {
            What::Arrive { tuple: t, arrival: Arrival::Segment(s) } if *t == tuple && s.is_ack() => Some(s.ack),
            _ => None,
        });
        let acked = acked.reduce(Seq::max);
        acked.is_some_and(|a| a.lt(segment.seq))
    }

    /// Arrivals since the stack's last ACK that may draw one: not a pure ACK at RCV.NXT, except in TIME-WAIT and LAST-ACK.
    fn arrivals_since_last_ack(&self, tuple: Tuple) -> usize {
        let before = || self.trace.events[..self.event].iter().rev();
        let expected = before().find_map(|e| match &e.what {
            What::Emit { tuple: t, segment: s, .. } if *t == tuple && s.is_ack() => Some(s.ack),
            _ => None,
        });
        let spoke = |e: &&Event| matches!(&e.what, What::Emit { tuple: t, segment: s, .. } if *t == tuple && s.is_ack());
        let draws = |e: &&Event| match &e.what {
            What::Arrive { tuple: t, arrival: Arrival::Segment(s) } => {
                *t == tuple && (!s.is_empty() || Some(s.seq) != expected || self.rule("TIME-WAIT") || self.rule("LAST-ACK"))
            }
            _ => false,
        };
        before().take_while(|e| !spoke(e)).filter(draws).count()
    }

    fn fin_place(&self, tuple: Tuple) -> Option<Seq> {
        self.emissions(tuple, ..self.trace.events.len()).find(|s| s.is_fin() && !s.flags.has(Flags::RST)).map(Segment::text_end)
    }
}
