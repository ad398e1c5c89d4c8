//! One explanation of all that was seen of a connection: its variables, what is owed, what is allowed, and its clocks.

use crate::api::Micros;
use crate::catalogue::{Level, RuleId};
use crate::lenience::Lenience;
use crate::oracle::arrival::{At, Port};
use crate::oracle::avoidance::AfterLoss;
use crate::oracle::challenges::Challenges;
use crate::oracle::congestion::Flight;
use crate::oracle::ecn::Ecn;
use crate::oracle::rto::RtoFloor;
use crate::oracle::sack::Sacks;
use crate::oracle::sack_recovery::Pipe;
use crate::oracle::scaling::Scaling;
use crate::oracle::timestamps::Stamps;
use crate::profile::{Profile, SECOND};
use crate::relation::{Habits, ResetForm, Signal, TimestampsSeen};
use crate::rules;
use crate::seq::Seq;
use crate::state::State;
use crate::tcb::Conn;

/// One explanation. Small and cheap to copy: the streams are held once, outside.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Hypothesis {
    pub(crate) conn: Conn,
    pub(crate) habits: Habits,
    /// What must still be sent.
    pub(crate) dues: Dues,
    /// Where a segment that filled a gap ended: the text behind it was held.
    pub(crate) filled_to: Option<Seq>,
    /// Bare ACKs that arrivals have earned and that were not sent yet.
    pub(crate) credits: u8,
    /// The last arrival's deadline for using them.
    pub(crate) credits_until: Micros,
    /// The user has read since the last segment: a window update may follow.
    pub(crate) may_update: bool,
    pub(crate) clocks: Clocks,
    pub(crate) user: User,
    pub(crate) sack: Sacks,
    /// The last thing that happened to the connection, for the blame.
    pub(crate) last: Last,
    /// Rules of SHOULD level that this explanation breaks and that were not reported yet.
    pub(crate) departs: Departures,
    /// The permissions that it needs, and which of several ways the stack took.
    pub(crate) ways: Ways,
    /// While a finding is sought: the one fault that this explanation assumes.
    pub(crate) blame: Option<Blame>,
    /// It explains why something is missing, but not yet the event by which that showed.
    pub(crate) behind: bool,
    /// The ISN of a connection whose SYN was not seen yet stands as 0.
    pub(crate) iss_unseen: bool,
    /// Arrivals that have not been processed yet as far as this explanation goes: those of a group behind its first, whose replies are seen
    /// only after the last, and those that refer to an ISN that was not seen yet.
    pub(crate) deferred: Vec<Deferred>,
    /// The last arrival, processed or not.
    pub(crate) last_arrival: Option<usize>,
    /// Resets that left before the arrivals that they answer were processed.
    pub(crate) early_resets: u8,
    /// What was known of the connection in TIME-WAIT that the peer's SYN reopened, until the new one is established.
    pub(crate) past: Option<Box<Hypothesis>>,
}

/// An arrival that waits to be processed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Deferred {
    pub(crate) event: usize,
    pub(crate) port: Port,
    /// The last event before it by which everything that the stack had sent was seen.
    pub(crate) settled: usize,
}

/// What must still be sent.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Dues {
    pub(crate) resets: Vec<(ResetDue, Due)>,
    /// A SYN or SYN-ACK for the first time, or again in answer to a repeated SYN.
    pub(crate) syn: Option<Due>,
    /// An ACK that may be delayed.
    pub(crate) ack: Option<Due>,
    /// An ACK that may not.
    pub(crate) ack_now: Option<Due>,
    /// An ACK that a SHOULD wants sooner.
    pub(crate) ack_soon: Option<Due>,
}

impl Dues {
    /// Nothing of this kind is owed any more.
    pub(crate) fn forget(&mut self, which: impl Fn(&Due) -> bool) {
        self.resets.retain(|(_, due)| !which(due));
        for due in [&mut self.syn, &mut self.ack, &mut self.ack_now, &mut self.ack_soon] {
            *due = due.filter(|d| !which(d));
        }
    }
}

/// Which reset is owed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ResetDue {
    /// Exactly this; where the segment that it answers has timestamps, with its TSval.
    Form(ResetForm, Option<u32>),
    /// For an ABORT: SEQ within these bounds, and with the ACK bit, where it is set, this number (any where `None`).
    Abort { low: Seq, high: Seq, ack: Option<Seq> },
}

/// Something owed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Due {
    pub(crate) rule: RuleId,
    pub(crate) level: Level,
    /// Index of the event that caused it.
    pub(crate) cause: usize,
    pub(crate) deadline: Micros,
    /// It may be sent, it need not.
    pub(crate) optional: bool,
    /// Nothing allows it to wait: once the stack has settled, it is overdue.
    pub(crate) at_once: bool,
}

/// The clocks of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Clocks {
    /// When the octet at SND.UNA was last sent: earliest, latest.
    pub(crate) head_sent: (Micros, Micros),
    /// When the retransmission timer was last started, at the latest.
    pub(crate) rto_since: Micros,
    /// Time-outs in a row.
    pub(crate) timeouts: u8,
    /// The interval before the last time-out.
    pub(crate) last_gap: Micros,
    /// Longest round trip seen.
    pub(crate) rtt_max: Micros,
    /// Text below this was sent before the last time-out and may be sent again as the window opens.
    pub(crate) resend_below: Option<(Seq, Seq)>,
    /// Duplicate ACKs in a row.
    pub(crate) duplicate_acks: u8,
    /// They have already made the first segment leave again.
    pub(crate) fast_resent: bool,
    /// The peer has sent SACK blocks: retransmission by them is not judged.
    pub(crate) sacked: bool,
    /// When something last happened that lets the stack send: a write, an acknowledgment, a window, an emission.
    pub(crate) progress_since: Micros,
    /// Since when text can have waited for a better window: when it was written, or the last that left before it, or was acknowledged.
    pub(crate) held_since: Micros,
    /// What was sent in the last two flights: where the first of them ended and since when it left; since when the other did, 0 for none.
    pub(crate) flights: (Seq, Micros, Micros),
    /// When the first unanswered transmission was sent.
    pub(crate) unanswered_since: Micros,
    /// TIME-WAIT's timer: earliest and latest start.
    pub(crate) time_wait: (Micros, Micros),
    /// When the last reply to an unacceptable segment was sent.
    pub(crate) last_challenge: Option<Micros>,
    /// How often the time-out can have doubled since a round trip was last measured (RFC 6298 section 5).
    pub(crate) backoff: u8,
    /// SND.NXT when the first acknowledgment after those time-outs came.
    pub(crate) backoff_until: Seq,
    /// The MSS that the stack advertised: what counts as a full-sized segment (RFC 5681 RMSS).
    pub(crate) rmss: u16,
    /// Full-sized in-order segments not acknowledged yet.
    pub(crate) full_unacked: u8,
    /// The highest right edge that the peer ever gave.
    pub(crate) snd_right_max: Seq,
    /// Most octets of buffer seen.
    pub(crate) capacity: u32,
    /// When the last acknowledgment of something new came.
    pub(crate) acked_at: Micros,
    /// Acknowledgments of SND.UNA that are no duplicates by RFC 5681's definition.
    pub(crate) not_duplicates: u8,
    /// What duplicate acknowledgments ask for: by when, and by which event.
    pub(crate) recovery_due: Option<RecoveryDue>,
    /// When the peer's window closed.
    pub(crate) closed_at: Micros,
    /// When the last probe of a closed window was sent; 0 for none since it closed.
    pub(crate) probed_at: Micros,
    /// The interval between the last two; 0 where there were not two.
    pub(crate) probe_gap: Micros,
    /// When an acceptable segment of the peer last came, and when any did.
    pub(crate) heard_at: (Micros, Micros),
    /// Keep-alives that the peer has not answered.
    pub(crate) keepalives: u8,
    /// The shortest time-out that the round trips seen allow.
    pub(crate) rto_floor: Option<RtoFloor>,
    /// The challenge ACKs sent.
    pub(crate) challenges: Challenges,
    /// What congestion control allows in flight.
    pub(crate) flight: Flight,
    /// The same while a loss is repaired that selective acknowledgments showed.
    pub(crate) pipe: Pipe,
    /// What the last loss left of it.
    pub(crate) after_loss: AfterLoss,
    /// When text, a FIN or a SYN last left, whether for the first time or again.
    pub(crate) sent_last: Micros,
    /// The shortest round trip that the stack can have measured, and whether it can have measured any.
    pub(crate) rtt_min: Micros,
    pub(crate) sampled: bool,
}

/// What duplicate acknowledgments ask a sender for, as a SHOULD.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RecoveryDue {
    pub(crate) rule: RuleId,
    pub(crate) deadline: Micros,
    pub(crate) cause: usize,
}

impl RecoveryDue {
    /// What this arrival asks for.
    pub(super) fn new(rule: RuleId, at: &At<'_>) -> RecoveryDue {
        RecoveryDue { rule, deadline: at.now + at.profile.at_once, cause: at.event }
    }

    /// Whether the segment at SND.UNA is asked for, not a new one.
    pub(crate) fn of_head(&self) -> bool {
        self.rule == rules::FAST_RETRANSMIT || self.rule == rules::SACK_LOSS
    }
}

/// The user's side.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct User {
    /// Octets written so far.
    pub(crate) written: u32,
    /// CLOSE was called, and by which rule it was judged.
    pub(crate) closed: Option<RuleId>,
    /// The sockets API's `close` was called.
    pub(crate) orphan: bool,
    /// IRS: where the stream that the user reads begins.
    pub(crate) irs: Seq,
    /// Octets read so far.
    pub(crate) read: u32,
    /// In-order octets that arrived so far.
    pub(crate) readable: u32,
    /// The peer's FIN is taken.
    pub(crate) eof: bool,
    /// The user opened it.
    pub(crate) opened: bool,
    /// The event with which it began: the peer's SYN, or the OPEN.
    pub(crate) began: usize,
    /// The connection was established.
    pub(crate) established: bool,
    /// How it ended.
    pub(crate) ended: Option<Ended>,
    /// Urgent octets were written: where the last two such writes ended, in octets written.
    pub(crate) urgent: Option<(u32, u32)>,
    /// Octets written before the connection was established.
    pub(crate) written_early: u32,
    /// The stack's SYN offered timestamps.
    pub(crate) offers_timestamps: bool,
    /// The last acknowledgment number that the stack sent (RFC 7323 Last.ACK.sent).
    pub(crate) last_ack_sent: Seq,
    /// The timestamps that the peer has shown, where the connection uses them.
    pub(crate) seen: Option<TimestampsSeen>,
    /// What else there is to say of both sides' timestamps.
    pub(crate) stamps: Stamps,
    /// Both sides' window scale options.
    pub(crate) scaling: Scaling,
    /// The ISN must be at or above this: SND.NXT of the connection in TIME-WAIT that a SYN reopened (RFC 9293 MAY-2).
    pub(crate) least_iss: Option<Seq>,
    /// What was said of ECN.
    pub(crate) ecn: Ecn,
    /// Keep-alives were switched on, with this interval.
    pub(crate) keepalive: Option<Micros>,
    /// They were on at some time.
    pub(crate) kept_alive: bool,
    /// Nagle's algorithm was switched off.
    pub(crate) nodelay: bool,
    /// Octets written by then: what waited may wait on.
    pub(crate) written_before_nodelay: u32,
    /// The user (or its timeout) may end it early.
    pub(crate) timeout: Option<Micros>,
    /// Which of the tuple's incarnations: the index of its stream.
    pub(crate) stream: usize,
}

/// How a connection ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Ended {
    /// By the peer.
    By(Signal),
    /// In order.
    Normally,
    /// By the user's ABORT.
    Aborted,
    /// The stack gave up.
    TimedOut,
}

/// The last thing that happened to a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Last {
    pub(crate) rule: RuleId,
    pub(crate) event: usize,
    /// The state in which it happened.
    pub(crate) state: State,
    /// It was an arrival that asks for silence, and when.
    pub(crate) silent_at: Option<Micros>,
}

/// Broken SHOULDs, each with its event. Two explanations that differ in nothing else are one: that which breaks fewer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Departures(pub(crate) Vec<(RuleId, usize)>);

impl PartialEq for Departures {
    fn eq(&self, _: &Departures) -> bool {
        true
    }
}

impl Eq for Departures {}

/// A way that was taken where a rule leaves a choice, when it first was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Way {
    pub(crate) rule: RuleId,
    /// Which of the ways.
    pub(crate) word: &'static str,
    pub(crate) event: usize,
    /// The state in which it was taken.
    pub(crate) state: State,
}

/// Ways that were taken. Two explanations that differ in nothing else are one: then only what both took is certain.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ways(Vec<Way>);

impl PartialEq for Ways {
    fn eq(&self, _: &Ways) -> bool {
        true
    }
}

impl Eq for Ways {}

impl Ways {
    /// One more, the first time that it is taken.
    pub(crate) fn take(&mut self, way: Way) {
        if !self.has(&way) {
            self.0.push(way);
        }
    }

    fn has(&self, way: &Way) -> bool {
        self.0.iter().any(|w| (w.rule, w.word) == (way.rule, way.word))
    }

    /// Keeps those that the others took too.
    pub(crate) fn keep_common(&mut self, others: &Ways) {
        self.0.retain(|w| others.has(w));
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Way> {
        self.0.iter()
    }
}

/// An assumed fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Blame {
    pub(crate) rule: RuleId,
    pub(crate) level: Level,
    pub(crate) state: State,
    /// The event at which it happened.
    pub(crate) event: usize,
    pub(crate) cause: Option<usize>,
    /// What kind of event and field.
    pub(crate) kind: &'static str,
    /// How little it explains: an assumption that predicts exactly what was seen ranks before one that explains anything.
    pub(crate) surprise: u8,
}

impl Blame {
    /// The likeliest first: what costs less (a SHOULD before a MUST), what predicts more, what is later.
    pub(crate) fn rank(&self) -> (u8, u8, std::cmp::Reverse<usize>) {
        let cost = if self.level == Level::Should { 1 } else { 10 };
        (cost, self.surprise, std::cmp::Reverse(self.event))
    }
}

impl Hypothesis {
    pub(crate) fn new() -> Hypothesis {
        Hypothesis {
            conn: Conn::Absent,
            habits: Habits::default(),
            dues: Dues::default(),
            filled_to: None,
            credits: 0,
            credits_until: 0,
            may_update: false,
            clocks: Clocks::default(),
            user: User::default(),
            sack: Sacks::default(),
            last: Last { rule: rules::CLOSED_NO_ACK, event: usize::MAX, state: State::Closed, silent_at: None },
            departs: Departures::default(),
            ways: Ways::default(),
            blame: None,
            behind: false,
            iss_unseen: false,
            deferred: Vec::new(),
            last_arrival: None,
            early_resets: 0,
            past: None,
        }
    }

    /// The incarnation that a new connection of the same ends is: the present one where no socket stands for it.
    pub(crate) fn next_stream(&self) -> usize {
        self.user.stream + usize::from(self.user.established || self.user.opened)
    }

    /// The number of the octet behind the last that the user wrote: where the FIN goes.
    pub(crate) fn stream_end(&self) -> Seq {
        self.conn.tcb().map_or(Seq(0), |t| t.iss + 1 + self.user.written)
    }

    /// Longest time until the retransmission timer fires again.
    pub(crate) fn rto_upper(&self, profile: &Profile) -> Micros {
        let first = profile.rto_first.max(6 * self.clocks.rtt_max + SECOND);
        (first << self.clocks.backoff.min(16)).min(profile.rto_max.max(first)) * 12 / 10
    }

    /// Whether something sent waits for its acknowledgment.
    pub(crate) fn outstanding(&self) -> bool {
        match &self.conn {
            Conn::Absent => false,
            Conn::SynSent(_) => true,
            Conn::Open(t) => !self.iss_unseen && t.snd_una != t.snd_nxt,
        }
    }

    /// What must be sent next of the stack's own accord, by when, and by which rule.
    pub(crate) fn own_accord(&self, profile: &Profile) -> Option<Due> {
        let due = |rule, level, deadline| Due { rule, level, cause: self.last.event, deadline, optional: false, at_once: false };
        if let Some(owed) = self.owed_without_nagle(profile) {
            return Some(due(rules::NAGLE_OFF, Level::Must, owed));
        }
        if self.outstanding() && self.dues.syn.is_none() {
            let unheeded = profile.lets(Lenience::NeverResends);
            let (rule, level) = match self.conn.tcb() {
                Some(t) if t.snd_wnd == 0 && t.snd_una != t.iss => (rules::PROBE_SHRUNK, Level::Must),
                Some(t) if t.snd_una != t.iss && t.snd_right().lt(t.snd_nxt) => (rules::RESENT_WITHIN_SHRUNK, Level::Should),
                _ => (rules::RETRANSMISSION_TIMEOUT, Level::Spec),
            };
            return (!unheeded).then(|| due(rule, level, self.clocks.rto_since + self.rto_upper(profile)));
        }
        let tcb = self.conn.tcb()?;
        if matches!(tcb.state, State::SynReceived | State::TimeWait) || self.iss_unseen {
            return None;
        }
        let queued = self.stream_end().offset_from(tcb.snd_nxt).max(0).cast_unsigned();
        if queued > 0 && tcb.fin_sent.is_none() {
            if profile.lets(Lenience::TextNeverSent) || tcb.snd_wnd == 0 && profile.lets(Lenience::NeverProbes) {
                return None;
            }
            if tcb.snd_wnd == 0 {
                return Some(due(rules::PROBE, Level::Must, self.clocks.progress_since + self.rto_upper(profile)));
            }
            let octets = queued.min(u32::from(tcb.snd_mss));
            if tcb.snd_wnd >= octets {
                let early = tcb.snd_nxt.lt(tcb.iss + 1 + self.user.written_early);
                let rule = if early { rules::SEND_EARLY } else { Hypothesis::held_rule(tcb, octets) };
                return Some(due(rule, Level::Must, self.clocks.progress_since + SECOND));
            }
            // "It is necessary to have a timeout to force transmission of data, overriding the SWS avoidance algorithm" (section 3.8.6.2.1).
            let overdue = self.clocks.progress_since + self.rto_upper(profile);
            return (tcb.snd_una == tcb.snd_nxt).then(|| due(rules::NOT_HELD, Level::Must, overdue));
        }
        if let Some(rule) = self.user.closed.filter(|_| tcb.fin_sent.is_none() && queued == 0 && !profile.lets(Lenience::FinNeverSent)) {
            return Some(due(rule, Level::Spec, self.clocks.progress_since + SECOND));
        }
        self.keepalive_owed().map(|deadline| due(rules::KEEPALIVE_INTERVAL, Level::Must, deadline))
    }

    /// With Nagle's algorithm off short text does not wait for acknowledgments: by when it must have left, where a segment's worth of window is
    /// open beside what is in flight.
    fn owed_without_nagle(&self, profile: &Profile) -> Option<Micros> {
        let tcb = self.conn.tcb().filter(|t| self.user.nodelay && t.fin_sent.is_none() && self.clocks.timeouts == 0)?;
        let established = !matches!(tcb.state, State::SynReceived | State::TimeWait) && !self.iss_unseen;
        let (queued, flight) = (self.stream_end().offset_from(tcb.snd_nxt), tcb.snd_nxt.since(tcb.snd_una));
        let fits = flight + queued.max(0).cast_unsigned() <= tcb.snd_wnd.min(u32::from(tcb.snd_mss));
        let written_since = tcb.snd_nxt.ge(tcb.iss + 1 + self.user.written_before_nodelay);
        (established && written_since && queued > 0 && flight > 0 && fits).then(|| self.clocks.progress_since + profile.reply)
    }

    /// Everything owed to an arrival or a call.
    pub(crate) fn owed_replies(&self) -> impl Iterator<Item = &Due> {
        let resets = self.dues.resets.iter().map(|(_, d)| d);
        resets.chain(&self.dues.syn).chain(&self.dues.ack_now).chain(&self.dues.ack).filter(|d| !d.optional)
    }

    /// Everything owed with its deadline, whether by an arrival or of its own accord.
    pub(crate) fn owed(&self, profile: &Profile) -> impl Iterator<Item = Due> {
        self.owed_replies().copied().chain(self.own_accord(profile))
    }

    /// The earliest deadline.
    pub(crate) fn deadline(&self, profile: &Profile) -> Micros {
        if !self.deferred.is_empty() {
            return 0;
        }
        let replies = self.owed_replies().chain(&self.dues.ack_soon).map(|d| d.deadline);
        let own = self.own_accord(profile).map(|d| d.deadline).into_iter().chain(self.clocks.recovery_due.map(|d| d.deadline));
        replies.chain(own).min().unwrap_or(Micros::MAX)
    }

    /// This explanation breaks a SHOULD at this event.
    pub(crate) fn depart(&mut self, rule: RuleId, event: usize) {
        if !self.departs.0.contains(&(rule, event)) && self.departs.0.len() < MOST_DEPARTURES {
            self.departs.0.push((rule, event));
        }
    }

    /// What a SHOULD wanted sooner (an ACK, a retransmission) has not come: this explanation departs from it, and whether it is the right one
    /// will show.
    pub(crate) fn acknowledges_late(&mut self, now: Micros) {
        if let Some(due) = self.clocks.recovery_due.take_if(|due| due.deadline < now) {
            self.depart(due.rule, due.cause);
            if due.of_head() {
                self.never_recovered();
            }
        }
        if let Some(soon) = self.dues.ack_soon.take_if(|due| due.deadline < now) {
            self.depart(soon.rule, soon.cause);
        }
    }

    /// Forgets what is owed at an end of the connection, keeping resets that answer earlier segments.
    pub(crate) fn drop_dues(&mut self) {
        self.dues.syn = None;
        self.acknowledged();
        self.credits = 0;
    }

    /// An ACK is owed: the sooner deadline stands.
    pub(crate) fn owe_ack(&mut self, due: Due) {
        let slot = if due.at_once { &mut self.dues.ack_now } else { &mut self.dues.ack };
        *slot = slot.or(Some(due));
    }

    /// The ACK that is owed most urgently.
    pub(crate) fn ack_owed(&self) -> Option<Due> {
        self.dues.ack_now.or(self.dues.ack)
    }

    /// RCV.NXT was acknowledged: no ACK is owed.
    pub(crate) fn acknowledged(&mut self) {
        self.filled_to = None;
        self.user.last_ack_sent = self.conn.tcb().map_or(self.user.last_ack_sent, |t| t.rcv_nxt);
        self.dues.ack_now = None;
        self.dues.ack = None;
        self.dues.ack_soon = None;
    }
}

/// Most broken SHOULDs that an explanation keeps until they are reported.
const MOST_DEPARTURES: usize = 8;
