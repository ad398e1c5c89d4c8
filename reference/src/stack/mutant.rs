//! Stacks that break one rule on purpose. A fault changes only what the stack does after the relation has spoken.
//!
//! The tables are `mutants.rs` and, of those that nobody looks at while oracle and vectors are worked on, `held_out.rs`.

use crate::api::Micros;
use crate::catalogue::RuleId;
use crate::profile::SECOND;
use crate::relation::{Answer, Outcome, ResetForm};
use crate::segment::{Flags, Segment, TcpOption};
use crate::stack::Policy;
use crate::stack::held_out::HELD_OUT;
use crate::stack::mutants::MUTANTS;
use crate::state::State;
use crate::tcb::Conn;

/// A stack that breaks one rule.
#[derive(Debug)]
pub struct Mutant {
    /// Its name, as in `--target mutant:NAME`.
    pub name: &'static str,
    /// Where the fault strikes: wherever the reference decides by one of these rules.
    pub strikes: &'static [RuleId],
    /// The state in which it strikes; everywhere where `None`.
    pub state: Option<State>,
    /// What it does there.
    pub fault: Fault,
    /// What it does otherwise: the permitted ways on which the fault rests.
    pub policy: fn() -> Policy,
    /// The rules of which a finding must name one first: at most two.
    pub breaks: &'static [RuleId],
}

/// What a mutant does wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// It does not reply.
    NoReply,
    /// It replies twice.
    Doubled,
    /// SEG.SEQ of the reply is off by this.
    SeqOff(i32),
    /// SEG.ACK of the reply is off by this.
    AckOff(i32),
    /// The reply has these control bits more.
    ExtraFlags(Flags),
    /// The reply lacks these control bits.
    LacksFlags(Flags),
    /// A reset is sent where an acknowledgment is asked for.
    ResetInstead,
    /// An acknowledgment is sent where silence is asked for.
    AckAnyway,
    /// A reset is sent where silence is asked for.
    ResetAnyway,
    /// The connection stays as it was; a call has no effect.
    StaysPut,
    /// The way is taken that breaks this SHOULD.
    Departs,
    /// The connection is deleted.
    Closes,
    /// The state becomes this one.
    GoesTo(State),
    /// The reply comes so much later.
    Late(Micros),
    /// The 2MSL timer runs so many tenths of its time.
    TimeWaitTenths(u64),
    /// TIME-WAIT never ends.
    TimeWaitForEver,
    /// The retransmission timer runs so many tenths of its time.
    RtoTenths(u64),
    /// The retransmission timer is not started in this state.
    NoRetransmission,
    /// The ACK delay is this.
    AckDelay(Micros),
    /// RCV.NXT moves over so many octets too many or too few.
    RcvNxtOff(i32),
    /// A second FIN is sent behind the first.
    FinAgain,
    /// A reset is reported to the user as the peer's FIN.
    ResetIsEof,
    /// The peer's FIN is reported to the user as a reset.
    EofIsReset,
    /// A call that has to fail succeeds.
    Succeeds,
    /// A call that has to succeed fails.
    Fails,
    /// The segment that fills a gap is acknowledged before the text that was held behind it.
    AcksInBetween,
    /// The connection is given up long before it may be.
    GivesUpAtOnce,
    /// No congestion window holds anything back.
    NoCongestionWindow,
    /// Keep-alives come after so many tenths of their interval.
    KeepAliveTenths(u64),
    /// Keep-alives come although nobody switched them on.
    KeepAliveUnasked,
    /// An older segment's window is taken.
    StaleWindow,
    /// The last segment in flight is sent again, not the first.
    ResendsTail,
    /// A connection that a SYN reopens has the ISN of the one before.
    StaleIsn,
    /// The segment lacks the options of this kind.
    LacksOption(u8),
    /// TSecr is off by this.
    EchoOff(i32),
    /// TSecr is the TSval of the latest segment, whatever it was.
    EchoesLatest,
    /// Text that waits behind a gap is lost where what fills the gap has a newer timestamp.
    ForgetsHeld,
    /// Windows are scaled as offered although the peer has no window scale option.
    ScalesUnasked,
    /// The peer's windows are taken as they stand in the field.
    IgnoresScale,
    /// The peer's windows are shifted once too often.
    ScaleTooLarge,
    /// A shift above 14 is taken.
    ScaleUnclamped,
    /// The window of the peer's SYN is shifted.
    ScalesSynWindow,
    /// A window scale option on a segment without SYN is taken.
    ScalesOnText,
    /// The window of the stack's own SYN is shifted.
    ScalesOwnSyn,
    /// The window scale option is this, whether asked for or not.
    OwnScale(u8),
    /// The timestamp clock stands still.
    ClockStands,
    /// The timestamp clock runs backwards.
    ClockRunsBackwards,
    /// The timestamp clock ticks each nanosecond.
    ClockOfNanoseconds,
    /// The segment has this timestamps option besides: TSval and TSecr.
    ExtraTimestamps(u32, u32),
    /// The MSS option states this.
    Mss(u16),
    /// The reply has an option of this kind more: MSS, SACK-permitted, SACK, or one without data.
    ExtraOption(u8),
    /// The options behind the first of this kind in the peer's SYN are not read.
    StopsReadingAt(u8),
}

impl Mutant {
    /// Every mutant: those that the oracle and the vectors are tried on, and those held out.
    pub fn all() -> impl Iterator<Item = &'static Mutant> {
        MUTANTS.iter().chain(HELD_OUT)
    }

    /// Whether it is one of those held out.
    #[must_use]
    pub fn is_held_out(&self) -> bool {
        HELD_OUT.iter().any(|m| m.name == self.name)
    }

    /// The mutant with this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<&'static Mutant> {
        Mutant::all().find(|m| m.name == name)
    }

    /// Whether it strikes where this rule decides.
    pub(crate) fn strikes(&self, rule: RuleId) -> bool {
        self.strikes.contains(&rule)
    }

    /// Whether it does `fault` where this rule decides.
    pub(crate) fn does(&self, fault: Fault, rule: RuleId) -> bool {
        self.fault == fault && self.strikes(rule)
    }

    /// The outcome that breaks the SHOULD at which it strikes.
    pub(crate) fn departure(&self, outcomes: &[Outcome]) -> Option<Outcome> {
        let broken = |o: &&Outcome| o.departs.is_some_and(|rule| self.does(Fault::Departs, rule));
        outcomes.iter().find(broken).cloned()
    }

    /// Spoils what becomes of the connection.
    pub(crate) fn spoil_outcome(&self, outcome: &mut Outcome, before: &Conn, segment: &Segment) {
        let in_state = self.state.is_none_or(|s| before.tcb().is_some_and(|t| t.state == s));
        if !self.strikes(outcome.rule) || !in_state {
            return;
        }
        match self.fault {
            Fault::NoReply => outcome.answer = Answer::Silence,
            Fault::StaysPut => {
                outcome.next = before.clone();
                outcome.signal = None;
            }
            Fault::Closes => outcome.next = Conn::Absent,
            Fault::GoesTo(state) => {
                if let Some(tcb) = outcome.next.tcb_mut() {
                    tcb.state = state;
                }
            }
            Fault::StaleWindow => {
                if let Some(tcb) = outcome.next.tcb_mut() {
                    tcb.take_window(segment);
                }
            }
            Fault::StopsReadingAt(kind) if segment.options.iter().any(|o| o.kind() == Some(kind)) => {
                if let Some(tcb) = outcome.next.tcb_mut() {
                    (tcb.snd_mss, tcb.mss_stated) = (crate::tcb::DEFAULT_MSS_V4, false);
                }
            }
            Fault::RcvNxtOff(by) => {
                if let Some(tcb) = outcome.next.tcb_mut() {
                    tcb.rcv_nxt = tcb.rcv_nxt.moved(by);
                }
            }
            _ => {}
        }
    }

    /// Spoils a segment on its way out.
    pub(crate) fn spoil_segment(&self, rule: RuleId, mut segment: Segment, out: &mut Vec<(Micros, Segment)>) {
        if !self.strikes(rule) {
            out.push((0, segment));
            return;
        }
        match self.fault {
            Fault::Doubled => {
                out.push((0, segment.clone()));
                out.push((0, segment));
                return;
            }
            Fault::SeqOff(by) => segment.seq = segment.seq.moved(by),
            Fault::AckOff(by) => segment.ack = segment.ack.moved(by),
            Fault::ExtraFlags(flags) => segment.flags |= flags,
            Fault::LacksFlags(flags) => segment.flags = segment.flags.without(flags),
            Fault::LacksOption(kind) => segment.options.retain(|o| o.kind() != Some(kind)),
            Fault::OwnScale(shift) => {
                segment.options.retain(|o| o.kind() != Some(3));
                segment.options.extend([TcpOption::Nop, TcpOption::WindowScale(shift)]);
            }
            Fault::ScalesOwnSyn => segment.window >>= segment.window_scale().unwrap_or(0),
            Fault::EchoOff(by) => {
                for option in &mut segment.options {
                    if let TcpOption::Timestamps { ecr, .. } = option {
                        *ecr = ecr.wrapping_add_signed(by);
                    }
                }
            }
            Fault::ExtraTimestamps(val, ecr) => {
                segment.options.extend([TcpOption::Nop, TcpOption::Nop, TcpOption::Timestamps { val, ecr }]);
            }
            Fault::ResetInstead => segment = Segment::rst(segment.seq),
            Fault::Mss(mss) => {
                for option in &mut segment.options {
                    if let TcpOption::Mss(stated) = option {
                        *stated = mss;
                    }
                }
            }
            Fault::ExtraOption(kind) => segment.options.push(match kind {
                2 => TcpOption::Mss(1460),
                4 => TcpOption::SackPermitted,
                5 => TcpOption::Sack(vec![(segment.ack + 10, segment.ack + 20)]),
                _ => TcpOption::Other { kind, data: Vec::new() },
            }),
            Fault::Late(by) => {
                out.push((by, segment));
                return;
            }
            Fault::NoReply if !segment.is_rst() && segment.is_fin() => return,
            _ => {}
        }
        out.push((0, segment));
    }

    /// Speaks where silence is asked for.
    pub(crate) fn spoil_silence(&self, rule: RuleId, answer: Answer, segment: &Segment, conn: &Conn, out: &mut Vec<(Micros, Segment)>) {
        if !self.strikes(rule) || !matches!(answer, Answer::Silence | Answer::MayAck) {
            return;
        }
        match self.fault {
            Fault::AckAnyway => {
                let ack = match conn {
                    Conn::Open(t) => Segment::pure_ack(t.snd_nxt, t.rcv_nxt).with_window(u16::try_from(t.rcv_wnd()).unwrap_or(u16::MAX)),
                    Conn::SynSent(c) => Segment::pure_ack(c.snd_nxt, segment.end()),
                    Conn::Absent => Segment::pure_ack(segment.ack, segment.end()),
                };
                out.push((0, ack));
            }
            Fault::ResetAnyway => out.push((0, ResetForm::answering(segment).segment())),
            _ => {}
        }
    }

    pub(crate) fn spoil_time_wait(&self, lasts: Micros) -> Micros {
        match self.fault {
            Fault::TimeWaitTenths(tenths) => lasts / 10 * tenths,
            Fault::TimeWaitForEver => Micros::MAX,
            _ => lasts,
        }
    }

    pub(crate) fn spoil_rto(&self, rto: Micros, conn: &Conn) -> Micros {
        let in_state = self.state.is_none_or(|s| conn.state(false) == s);
        match self.fault {
            Fault::RtoTenths(tenths) if in_state => rto / 10 * tenths,
            _ => rto,
        }
    }

    pub(crate) fn spoil_keepalive(&self, interval: Option<Micros>) -> Option<Micros> {
        match self.fault {
            Fault::KeepAliveTenths(tenths) => interval.map(|i| i / 10 * tenths),
            Fault::KeepAliveUnasked => interval.or(Some(10 * SECOND)),
            _ => interval,
        }
    }

    /// Whether the retransmission timer is lost in this state.
    pub(crate) fn drops_timer(&self, conn: &Conn) -> bool {
        self.fault == Fault::NoRetransmission && self.state.is_none_or(|s| conn.state(false) == s)
    }

    pub(crate) fn spoil_ack_delay(&self, delay: Micros) -> Micros {
        if let Fault::AckDelay(us) = self.fault { us } else { delay }
    }
}

macro_rules! mutants {
    ($(#[$doc:meta])* $table:ident; $($name:literal: $fault:expr, at [$($strike:expr),*] $(in $state:expr)? $(, with $policy:path)?, breaks [$($rule:expr),*];)*) => {
        $(#[$doc])*
        pub static $table: &[Mutant] = &[$(Mutant {
            name: $name,
            strikes: &[$($strike),*],
            state: $crate::stack::mutant::mutants!(@state $($state)?),
            fault: $fault,
            policy: $crate::stack::mutant::mutants!(@policy $($policy)?),
            breaks: &[$($rule),*],
        }),*];
    };
    (@state) => { None };
    (@state $state:expr) => { Some($state) };
    (@policy) => { $crate::stack::Policy::default };
    (@policy $policy:path) => { $policy };
}

/// An id of section 3.10.7.4 by state and name.
macro_rules! at {
    ($id:literal) => {
        $crate::catalogue::RuleId(concat!("RFC9293:3.10.7.4/", $id))
    };
}

pub(super) use {at, mutants};
