//! The relation: at each event, every outcome that the RFC permits, with the rule that says so.
//!
//! [`arrive`] is section 3.10.7; a file of `arrives/` holds each of its subsections. Two readers use it: the stack picks one outcome, the
//! oracle follows all of them.

pub use crate::arrives::timestamps::TimestampsSeen;
use crate::arrives::{closed, listen, syn_sent, synchronized};
use crate::catalogue::{Level, RuleId};
use crate::rules;
use crate::segment::{Flags, Segment, Tuple};
use crate::seq::Seq;
use crate::tcb::Conn;

/// One permitted way to take an event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// The rule that decided; the one that is broken where a stack does otherwise.
    pub rule: RuleId,
    /// The connection afterwards.
    pub next: Conn,
    /// What must or may be sent.
    pub answer: Answer,
    /// What the user is told.
    pub signal: Option<Signal>,
    /// A SHOULD that this way breaks.
    pub departs: Option<RuleId>,
    /// The permission without which this way would be a fault: a MAY, or an ambiguity read its other way.
    pub permit: Option<RuleId>,
    /// What makes this one of several permitted ways, for a finding of class `variant`: the rule that leaves the choice, and a word for the way.
    pub way: Option<(RuleId, &'static str)>,
    /// A habit that this way shows: once seen, a stack keeps it.
    pub habit: Option<(Habit, bool)>,
    /// TIME-WAIT: whether the 2MSL timer starts or starts again.
    pub time_wait: TimeWaitTimer,
}

/// What happens to the 2MSL timer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum TimeWaitTimer {
    /// Nothing.
    #[default]
    Untouched,
    /// It starts, or starts again.
    Starts,
    /// It may start again (RFC 9293 3.10.7.4: a retransmitted FIN fails the sequence check, so the text can be read both ways).
    MayRestart,
}

/// What must or may be sent on account of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Answer {
    /// Nothing.
    Silence,
    /// At most one segment that acknowledges RCV.NXT.
    MayAck,
    /// `<SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>`, or any segment that carries it.
    Ack(Owed),
    /// A reset of this form.
    Reset(ResetForm),
    /// A reset of this form, or nothing.
    MayReset(ResetForm),
    /// `<SEQ=ISS><ACK=RCV.NXT><CTL=SYN,ACK>`.
    SynAck,
}

/// How urgently an ACK is owed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Owed {
    /// In answer to this segment, by this level's word: `Should` for "an acknowledgment should be sent".
    AtOnce(Level),
    /// For text or a FIN: it may be delayed by up to 0.5 s (RFC 9293 MUST-40).
    Delayed,
    /// As `Delayed`, and a SHOULD asks for it at once.
    DelayedButShouldBeAtOnce(RuleId),
    /// It need not be sent, but a SHOULD asks for it at once.
    ShouldBeAtOnce(RuleId),
}

/// A reset segment (RFC 9293 section 3.5.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ResetForm {
    /// `<SEQ=n><CTL=RST>`.
    Bare(Seq),
    /// `<SEQ=0><ACK=n><CTL=RST,ACK>`.
    WithAck(Seq),
    /// That of the user's ABORT, `<SEQ=n><CTL=RST>` (section 3.10.5), which may acknowledge what has arrived: all up to one of these numbers.
    Abort {
        /// Its sequence number.
        seq: Seq,
        /// What it may acknowledge, the least and the most.
        acks: (Seq, Seq),
    },
}

impl ResetForm {
    /// The reset that is acceptable to the sender of `segment` (RFC 9293 section 3.5.2, first group).
    #[must_use]
    pub fn answering(segment: &Segment) -> ResetForm {
        if segment.is_ack() { ResetForm::Bare(segment.ack) } else { ResetForm::WithAck(segment.end()) }
    }

    /// As a segment.
    #[must_use]
    pub fn segment(self) -> Segment {
        match self {
            ResetForm::Bare(seq) | ResetForm::Abort { seq, .. } => Segment::rst(seq),
            ResetForm::WithAck(ack) => Segment::control(Seq(0), Flags::RST).with_ack(ack),
        }
    }
}

/// What the user is told without having asked.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Signal {
    /// "connection refused".
    Refused,
    /// "connection reset".
    Reset,
    /// "connection closing": the peer's FIN.
    Closing,
}

/// A choice that RFC 9293 leaves to the stack and that a stack makes the same way each time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Habit {
    /// RFC 5961 section 3: an in-window RST that is not exactly at RCV.NXT draws a challenge ACK.
    ChallengesRst,
    /// RFC 5961 section 4: a SYN in a synchronized state draws a challenge ACK.
    ChallengesSyn,
    /// RFC 5961 section 5: an ACK below SND.UNA-MAX.SND.WND is discarded with an ACK.
    ChecksAckRange,
    /// SHLD-31: out-of-order text is held.
    HoldsOutOfOrder,
    /// RFC 7323 section 5.3: a segment with an older timestamp is answered with an ACK and dropped.
    Paws,
    /// RFC 7323 section 3.2: a segment without the option that was negotiated is dropped.
    DropsUnstamped,
    /// RFC 7323 section 5.2: a RST is taken only where its TSecr is one of the stack's own timestamps.
    ChecksResetEcho,
}

impl Habit {
    /// The rule that leaves the choice and a word for what was chosen, where both ways conform.
    #[must_use]
    pub fn way(self, value: bool) -> Option<(RuleId, &'static str)> {
        match (self, value) {
            (Habit::ChallengesRst, true) => Some((rules::THREE_STEP_RST, "challenge-ack")),
            (Habit::ChallengesRst, false) => Some((rules::THREE_STEP_RST, "reset-by-rfc793")),
            (Habit::ChallengesSyn, true) => Some((rules::SYN_CHALLENGED, "challenge-ack")),
            (Habit::ChallengesSyn, false) => Some((rules::SYN_CHALLENGED, "reset-by-rfc793")),
            (Habit::Paws, false) => Some((rules::PAWS, "not-used")),
            (Habit::ChecksAckRange | Habit::HoldsOutOfOrder | Habit::DropsUnstamped | Habit::ChecksResetEcho, _) | (Habit::Paws, true) => {
                None
            }
        }
    }
}

/// The word for a way that a permission opens.
pub const PERMITTED: &str = "permitted";

/// Habits as far as they are known.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Habits {
    known: u16,
    value: u16,
}

impl Habits {
    /// The habit, where it is known.
    #[must_use]
    pub fn get(self, habit: Habit) -> Option<bool> {
        let bit = 1 << habit as u8;
        (self.known & bit != 0).then_some(self.value & bit != 0)
    }

    /// These habits with one more known.
    #[must_use]
    pub fn with(self, habit: Habit, value: bool) -> Habits {
        let bit = 1 << habit as u8;
        Habits { known: self.known | bit, value: if value { self.value | bit } else { self.value & !bit } }
    }

    /// Whether a stack with these habits can act so.
    #[must_use]
    pub fn allows(self, habit: Habit, value: bool) -> bool {
        self.get(habit).is_none_or(|known| known == value)
    }
}

/// What the relation has to know besides the connection.
#[derive(Clone, Copy, Debug)]
pub struct Env {
    /// A listener with room serves the local port.
    pub listening: bool,
    /// Who reads what arrives.
    pub reader: Reader,
    /// Send MSS where the peer states none: 536 over IPv4, 1220 over IPv6.
    pub default_mss: u16,
    /// The stack's ISN for a new connection and its window, for the stack; the oracle takes them from the wire.
    pub fresh: Fresh,
    /// What is known of the stack's habits.
    pub habits: Habits,
    /// The timestamps that the peer has shown, where the connection uses them.
    pub seen: Option<TimestampsSeen>,
    /// The newest TSval that the stack has sent on the connection.
    pub tsval_sent: Option<u32>,
    /// A permission that is taken to be none: so tests show that the RFC's permission is needed.
    pub denied: Option<RuleId>,
}

/// Who reads what arrives (RFC 9293 MAY-1: after a half-duplex CLOSE nobody does).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Reader {
    /// The user.
    #[default]
    User,
    /// The user has called the sockets API's `close`, which this stack may or may not take for a half-duplex CLOSE.
    Unknown,
    /// Nobody.
    Nobody,
}

/// What a stack brings to a new connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fresh {
    /// ISS.
    pub iss: Seq,
    /// The receive window, octets.
    pub window: u32,
    /// The window scale that it offers.
    pub scale: Option<u8>,
}

/// Whether one TSval is greater than another, modulo 2^32 (RFC 7323 section 5.2).
pub(crate) fn newer(val: u32, than: u32) -> bool {
    val.wrapping_sub(than).cast_signed() > 0
}

/// SEGMENT ARRIVES (RFC 9293 section 3.10.7): appends every permitted outcome to `out`.
pub fn arrive(conn: &Conn, segment: &Segment, env: &Env, out: &mut Vec<Outcome>) {
    let from = out.len();
    match conn {
        Conn::Absent if env.listening => listen::arrive(segment, env, out),
        Conn::Absent => closed::arrive(segment, out),
        Conn::SynSent(syn_sent) => syn_sent::arrive(syn_sent, segment, env, out),
        Conn::Open(tcb) => synchronized::arrive(tcb, segment, env, out),
    }
    if env.denied.is_some() {
        let granted = out.split_off(from).into_iter().filter(|o| o.permit != env.denied);
        out.extend(granted);
    }
}

/// The rule by which a segment from or to an address that is not one host's is dropped without a reply; `None` for unicast.
#[must_use]
pub fn not_unicast(tuple: &Tuple, segment: &Segment) -> Option<RuleId> {
    let from_elsewhere = Tuple { local: tuple.remote, remote: tuple.remote }.is_not_unicast();
    tuple.is_not_unicast().then_some(match (segment.is_syn(), from_elsewhere) {
        (true, true) => rules::NOT_UNICAST_FROM,
        (true, false) => rules::NOT_UNICAST_TO,
        (false, _) => rules::NOT_UNICAST_ANY,
    })
}

impl Outcome {
    /// An outcome that leaves the connection as `next` and answers `answer`.
    #[must_use]
    pub fn new(rule: RuleId, next: Conn, answer: Answer) -> Outcome {
        Outcome {
            rule,
            next,
            answer,
            signal: None,
            departs: None,
            permit: None,
            way: None,
            habit: None,
            time_wait: TimeWaitTimer::Untouched,
        }
    }

    /// The same, telling the user something.
    #[must_use]
    pub fn telling(mut self, signal: Signal) -> Outcome {
        self.signal = Some(signal);
        self
    }

    /// The same, where only this permission allows it.
    #[must_use]
    pub fn by(mut self, permit: RuleId) -> Outcome {
        self.permit(permit);
        self
    }

    /// Only this permission allows it.
    pub(crate) fn permit(&mut self, permit: RuleId) {
        self.permit = Some(permit);
        self.way = Some((permit, PERMITTED));
    }

    /// The same, as one of the ways that its rule leaves open.
    #[must_use]
    pub fn one_way(mut self, word: &'static str) -> Outcome {
        self.way = Some((self.rule, word));
        self
    }

    /// The same, showing a habit.
    #[must_use]
    pub fn showing(mut self, habit: Habit, value: bool) -> Outcome {
        self.habit = Some((habit, value));
        self.way = self.way.or(habit.way(value));
        self
    }

    /// The same, breaking a SHOULD.
    #[must_use]
    pub fn departing(mut self, rule: RuleId) -> Outcome {
        self.departs = Some(rule);
        self
    }

    /// The same, with the 2MSL timer touched.
    #[must_use]
    pub fn timing(mut self, time_wait: TimeWaitTimer) -> Outcome {
        self.time_wait = time_wait;
        self
    }
}
