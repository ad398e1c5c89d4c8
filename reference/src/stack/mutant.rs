//! Stacks that break one rule on purpose. A fault changes only what the stack does after the relation has spoken, and at most has it speak again
//! of a segment that was misread (`misread.rs`); those that are called the target's change only how datagrams are made and read.
//!
//! The tables are `mutants.rs` and, of those that nobody looks at while oracle and vectors are worked on, `held_out.rs`.

use crate::api::Micros;
use crate::catalogue::RuleId;
use crate::ip::Codepoint;
use crate::profile::SECOND;
use crate::relation::{Answer, Outcome, ResetForm};
use crate::segment::{Flags, Segment, TcpOption};
use crate::stack::Policy;
use crate::stack::held_out::HELD_OUT;
use crate::stack::mutants::MUTANTS;
use crate::state::State;
use crate::tcb::{Conn, Tcb};

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
    /// Segments without text leave from another address.
    OtherSource,
    /// The options behind the first of this kind in the peer's SYN are not read.
    StopsReadingAt(u8),
    /// The text of what is answered is not counted in SEG.ACK of a reset.
    AckLacksText,
    /// The listener listens no more.
    ListenerCloses,
    /// SEG.SEQ is SND.UNA.
    SeqOfUna,
    /// SEG.ACK is what acknowledges the peer's SYN alone.
    StaleAck,
    /// The window field is this.
    Window(u16),
    /// All that was sent counts as acknowledged.
    AllAcknowledged,
    /// The text of a segment that has to be dropped is taken.
    TakesText,
    /// An acknowledgment of a part of what is in flight is not taken.
    WholeAcksOnly,
    /// A connection that ends lingers in this state.
    LingersIn(State),
    /// Text is held behind one gap, never behind two.
    OneGap,
    /// A FIN behind a gap is forgotten.
    ForgetsFin,
    /// The old octets of a segment that brings new ones go to the user again.
    OverlapTwice,
    /// The first octet of text that waits behind a gap is spoiled.
    CorruptsHeld,
    /// Text that waited behind a gap goes to the user before what fills the gap.
    HeldFirst,
    /// What the user leaves unread in one call is lost.
    RestLost,
    /// The last octet of what the user reads is given again.
    LastOctetAgain,
    /// What is unread when the peer's FIN is taken is lost.
    UnreadLost,
    /// What is not sent yet when the user closes is lost.
    DropsUnsent,
    /// The last octet of what the user writes is lost.
    LastOctetLost,
    /// What the user writes is queued twice.
    WrittenTwice,
    /// The user is told this state.
    ReportsState(State),
    /// Every segment starts the delay of an ACK again.
    DelayStartsOver,
    /// One octet more than the window is sent.
    OneBeyond,
    /// The right edge of the peer's window stays where it was when the peer moves it to the left.
    EdgeKept,
    /// A window of 32768 or more is taken for a negative one.
    SignedWindow,
    /// A wider window is not taken from a segment that acknowledges nothing new.
    UpdatesIgnored,
    /// What waits for a window worth a segment waits for ever.
    NoOverride,
    /// Segments have one octet more than the peer's MSS.
    MssPlusOne,
    /// Options are not counted in the length of a segment.
    OptionsUncounted,
    /// The send MSS where the peer states none is this.
    MssAssumed(u16),
    /// Octets that are not zero stand behind the end of the option list.
    OptionsEndUnclean,
    /// The window scale option states this, where there is one; what is done stays.
    StatesScale(u8),
    /// The stack's windows stand in the field as they are.
    OwnWindowsUnshifted,
    /// The window of the segment that ends the handshake is taken as it stands in the field.
    HandshakeWindowUnshifted,
    /// TSecr is this.
    EchoIs(u32),
    /// TSval is the one that was sent last.
    StaleVal,
    /// TS.Recent stays what the SYN said.
    EchoStands,
    /// A timestamp that equals TS.Recent is taken for an older one.
    RefusesEqual,
    /// The last SACK blocks are repeated when nothing is held any more.
    StaleBlocks,
    /// One SACK block spans all that is held, gaps included.
    BlocksJoined,
    /// The time-out does not double.
    NoBackoff,
    /// The time from a retransmission to its acknowledgment counts as a round trip.
    SamplesResent,
    /// New text starts a running retransmission timer again.
    TimerRestartsWithText,
    /// The time-out has no lower bound of a second.
    NoFloor,
    /// The last octet of the text is spoiled.
    CorruptsText,
    /// Nothing is retransmitted more often than this.
    ResendsAtMost(u32),
    /// The user timeout lasts so many tenths of its time.
    UserTimeoutTenths(u64),
    /// A connection that was given up is reported to the user as the peer's FIN.
    TimeoutIsEof,
    /// Slow start never ends.
    NoAvoidance,
    /// A time-out leaves the congestion window as it was.
    KeepsWindow,
    /// So many duplicate acknowledgments start a fast retransmit.
    DuplicatesNeeded(u32),
    /// The congestion window keeps what duplicate acknowledgments added to it.
    NoDeflation,
    /// Text of less than a segment waits although nothing is in flight.
    HoldsShort,
    /// Keep-alives come although text is in flight.
    KeepAliveInFlight,
    /// The clock of the ISNs stands still.
    IsnClockStands,
    /// Text leaves in SYN-RECEIVED.
    SendsEarly,
    /// The urgent pointer counts from SND.UNA.
    UrgentFromUna,
    /// The first time-out of a closed window's probe lasts so many tenths of its time.
    PersistTenths(u64),
    /// The time-out grows by a fifth, where it should double.
    GrowsByAFifth,
    /// A segment with options that cannot be read is answered by a reset with SEQ 0.
    BlindReset,
    /// An option without a length octet that counts it stands behind the others.
    OptionWithoutLength,
    /// The first octet that the user reads is spoiled.
    CorruptsRead,
    /// The largest window that the peer ever gave counts for the present one.
    LargestWindow,
    /// The peer's window counts for nothing.
    NoWindow,
    /// Congestion avoidance adds four segments in each round trip.
    GrowsFourfold,
    /// Round trips are measured in tenths of a second, rounded down, and nothing is added for it.
    CoarseClock,
    /// The target's: the segment leaves with a wrong checksum.
    BadChecksum,
    /// The target's: the segment leaves with the reserved bits set.
    ReservedBits,
    /// The target's: a segment with a wrong checksum is taken.
    TakesBadChecksum,
    /// The target's: a segment whose data offset is too small is taken as one without options.
    TakesBadOffset,
    /// The segment has the codepoint ECT(0).
    Ect,
    /// CWR ends the echo of the CE on its own segment.
    CwrAfterCe,
    /// The FIN of what is answered is not counted in SEG.ACK of a reset.
    AckLacksFin,
    /// A segment with all of these control bits draws no reply.
    SilentTo(Flags),
    /// The number of a reset is that of the segment that it answers.
    SeqOfCause,
    /// A segment from or to an address that is not one host's is taken.
    TakesNotUnicast,
    /// Text is acknowledged and never given to the user.
    TextLost,
    /// An acknowledgment of one octet more than was sent is taken.
    TakesHighAck,
    /// An acknowledgment of nothing is taken for one of all.
    TakesLowAck,
    /// A reset in SYN-SENT is taken only where its SEQ is 0.
    ResetOnlyAtZero,
    /// The user is not told why the connection ended.
    Untold,
    /// The user reads before the connection is established.
    ReadsEarly,
    /// A segment without ACK bit is taken for one that acknowledges all.
    AckBitUnneeded,
    /// The window stays that of the peer's SYN when the handshake ends.
    HandshakeWindowKept,
    /// The segment's text is not looked at.
    TextUnread,
    /// The number at the right edge of the window counts as within.
    EdgeTakenIn,
    /// The number before RCV.NXT counts as RCV.NXT in a segment without text.
    TakesSeqBefore,
    /// The head of what is in flight is sent again at once.
    ResendsHead,
    /// Text whose numbers pass 2^32 is answered and dropped.
    StumblesAtWrap,
    /// A reset is ignored while text waits behind a gap.
    ResetIgnoredAtGap,
    /// Challenge ACKs that were too many in five seconds are too many for ever.
    ThrottleLasts,
    /// Text beside an older acknowledgment is answered and dropped.
    OldAckDropsText,
    /// SND.UNA moves so many octets further than what was acknowledged.
    UnaOff(i32),
    /// Only every so-manieth full-sized segment is acknowledged at once.
    AckEvery(u32),
    /// What the user writes ends the delay of an ACK, whether it is sent or not.
    SendDropsAck,
    /// A FIN behind a gap is taken with the gap.
    FinJumpsGap,
    /// A FIN behind a gap is the end of what the user reads.
    EofBehindGap,
    /// One octet more is read than the user wants.
    GivesTooMuch,
    /// A FIN is sent where a reset is asked for.
    FinInstead,
    /// Passive OPEN fails on the port of a connection in this state.
    FailsBeside(State),
    /// The time-out doubles up to this.
    RtoCap(Micros),
    /// No round trip changes the time-out.
    SampleUnused,
    /// The retransmission timer is not stopped when all is acknowledged.
    TimerOutlivesFlight,
    /// An acknowledgment of nothing new starts the retransmission timer again.
    DuplicatesRestartTimer,
    /// The connection is given up after this.
    GivesUpAfter(Micros),
    /// The congestion window after a time-out is so many segments.
    LossWindowOf(u32),
    /// A time-out leaves the slow start threshold as it was.
    KeepsThreshold,
    /// A duplicate acknowledgment in fast recovery adds four segments.
    InflatesFourfold,
    /// Limited transmit lets two segments go for each duplicate acknowledgment.
    LimitedDoubled,
    /// The initial window is so many segments.
    InitialSegments(u32),
    /// Slow start adds twice what is acknowledged.
    SlowStartTwice,
    /// A closed window is probed again so often, and no more.
    ProbesAtMost(u32),
    /// What arrives does not put off a keep-alive.
    KeepAliveNotPutOff,
    /// The clock of the ISNs runs at a hundredth of its rate.
    IsnClockSlow,
    /// The MSS of the peer that was connected to is not looked at.
    MssIgnored,
    /// What the user sets for every segment is on those with text alone.
    OnTextAlone,
    /// The urgent pointer is one too high.
    UrgentTooHigh,
    /// The target's: a segment with an odd number of octets of text leaves with a wrong checksum.
    BadOddChecksum,
    /// The target's: a segment with reserved bits is dropped.
    DropsReserved,
    /// The stack's windows are not shifted where the peer's shift is 0.
    ZeroScaleIsNone,
    /// Timestamps are compared as plain numbers.
    PlainTimestamps,
    /// TS.Recent becomes an older timestamp.
    EchoGoesBack,
    /// The left edge of the last SACK block is one too low.
    SackLeftOff,
    /// The echo of a CE ends with the next text without it.
    CeOfLatestText,
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

    /// Whether it strikes in the state of this connection.
    pub(crate) fn in_state(&self, conn: &Conn) -> bool {
        self.state.is_none_or(|s| conn.state(false) == s)
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
            Fault::Untold => outcome.signal = None,
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
            _ => self.spoil_numbers(outcome, before, segment),
        }
    }

    /// Spoils what a segment does to the numbers of a connection.
    fn spoil_numbers(&self, outcome: &mut Outcome, before: &Conn, segment: &Segment) {
        if let (Fault::LingersIn(state), Conn::Open(was)) = (self.fault, before) {
            outcome.next = Conn::Open(Tcb { state, snd_una: was.snd_nxt, ..was.clone() });
            return;
        }
        let (Some(was), Some(tcb)) = (before.tcb(), outcome.next.tcb_mut()) else { return };
        match self.fault {
            Fault::AllAcknowledged => tcb.snd_una = tcb.snd_nxt,
            Fault::TakesText if segment.seq == tcb.rcv_nxt && tcb.held.is_empty() => {
                tcb.rcv_nxt = segment.text_end().min(tcb.rcv_right);
            }
            Fault::UnaOff(by) => tcb.snd_una = tcb.snd_una.moved(by).min(tcb.snd_nxt),
            Fault::FinJumpsGap if segment.is_fin() => {
                (tcb.peer_fin, tcb.rcv_nxt, tcb.state) = (Some(segment.text_end()), segment.end(), State::CloseWait);
                tcb.rcv_right = tcb.rcv_right.max(tcb.rcv_nxt);
                tcb.held.clear();
            }
            Fault::WholeAcksOnly if tcb.snd_una != tcb.snd_nxt => tcb.snd_una = was.snd_una,
            _ => {}
        }
    }

    /// Spoils what is held behind gaps.
    pub(crate) fn spoil_held(&self, outcome: &mut Outcome) {
        let Some(tcb) = outcome.next.tcb_mut() else { return };
        match self.fault {
            Fault::OneGap => tcb.held.truncate(1),
            Fault::ForgetsFin if !tcb.fin_taken() => tcb.peer_fin = None,
            _ => {}
        }
    }

    /// Spoils what the peer's window is taken for.
    pub(crate) fn spoil_window(&self, tcb: &mut Tcb, before: &Conn, segment: &Segment) {
        let was = before.tcb();
        match (self.fault, was) {
            (Fault::SignedWindow, _) if tcb.snd_wnd >= 0x8000 => tcb.snd_wnd = 0,
            (Fault::EdgeKept, Some(was)) if tcb.snd_right().lt(was.snd_right()) => {
                tcb.snd_wnd = was.snd_right().since(tcb.snd_una);
            }
            (Fault::UpdatesIgnored, Some(was))
                if tcb.snd_una == was.snd_una && segment.is_empty() && tcb.snd_right().gt(was.snd_right()) =>
            {
                (tcb.snd_wnd, tcb.snd_wl1, tcb.snd_wl2) = (was.snd_wnd, was.snd_wl1, was.snd_wl2);
            }
            (Fault::HandshakeWindowUnshifted, Some(was))
                if was.state == State::SynReceived && tcb.state != State::SynReceived && !segment.is_syn() =>
            {
                tcb.snd_wnd = u32::from(segment.window);
            }
            (Fault::HandshakeWindowKept, Some(was))
                if was.state == State::SynReceived && tcb.state != State::SynReceived && !segment.is_syn() =>
            {
                tcb.snd_wnd = was.snd_wnd;
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
            Fault::EchoIs(echo) => {
                for option in &mut segment.options {
                    if let TcpOption::Timestamps { ecr, .. } = option {
                        *ecr = echo;
                    }
                }
            }
            Fault::StatesScale(stated) => {
                for option in &mut segment.options {
                    if let TcpOption::WindowScale(shift) = option {
                        *shift = stated;
                    }
                }
            }
            Fault::Window(window) => segment.window = window,
            Fault::OptionWithoutLength => segment.options.push(TcpOption::IllFormed(vec![254, 0, 0, 0])),
            Fault::Ect => segment.ip = segment.ip.with_ecn(Codepoint::Ect0),
            Fault::OptionsEndUnclean => segment.options.extend([TcpOption::Eol, TcpOption::IllFormed(vec![7, 7, 7])]),
            Fault::CorruptsText => {
                if let Some(octet) = segment.payload.last_mut() {
                    *octet ^= 1;
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

    pub(crate) fn spoil_time_wait(&self, lasts: Micros, before: &Conn) -> Micros {
        match self.fault {
            Fault::TimeWaitTenths(tenths) if self.in_state(before) => lasts / 10 * tenths,
            Fault::TimeWaitForEver if self.in_state(before) => Micros::MAX,
            _ => lasts,
        }
    }

    pub(crate) fn spoil_rto(&self, rto: Micros, conn: &Conn) -> Micros {
        match self.fault {
            Fault::RtoTenths(tenths) if self.in_state(conn) => rto / 10 * tenths,
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
        self.fault == Fault::NoRetransmission && self.in_state(conn)
    }

    /// Whether nothing is retransmitted after so many time-outs.
    pub(crate) fn resends_no_more(&self, timeouts: u32) -> bool {
        matches!(self.fault, Fault::ResendsAtMost(most) if timeouts >= most)
    }

    /// How long a connection that is not answered lasts by this rule, where that is too short.
    pub(crate) fn patience(&self, rule: RuleId, conn: &Conn) -> Option<Micros> {
        match self.fault {
            Fault::GivesUpAtOnce if self.strikes(rule) => Some(20 * SECOND),
            Fault::GivesUpAfter(lasts) if self.strikes(rule) && self.in_state(conn) => Some(lasts),
            _ => None,
        }
    }

    pub(crate) fn spoil_user_timeout(&self, timeout: Micros) -> Micros {
        if let Fault::UserTimeoutTenths(tenths) = self.fault { timeout / 10 * tenths } else { timeout }
    }

    /// What the user is told of a connection's state.
    pub(crate) fn spoil_status(&self, state: State) -> State {
        match self.fault {
            Fault::ReportsState(told) if self.state == Some(state) => told,
            _ => state,
        }
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
