//! All explanations of one connection, and what each event makes of them.

use std::borrow::Cow;
use std::collections::{BTreeSet, VecDeque};

use crate::api::{Call, CallResult, Micros};
use crate::catalogue::RuleId;
use crate::finding::Finding;
use crate::lenience::Lenience;
use crate::oracle::arrival::{At, Port};
use crate::oracle::emission::{Licence, Sent};
use crate::oracle::hypothesis::{Deferred, Ended, Hypothesis};
use crate::oracle::stream::Received;
use crate::oracle::suspects::{Suspects, Suspicion};
use crate::profile::Profile;
use crate::rules;
use crate::segment::{Segment, Tuple};
use crate::state::State;
use crate::tcb::{Conn, DEFAULT_MSS_V4, DEFAULT_MSS_V6};
use crate::trace::{Arrival, Trace, What};

/// A connection under judgement.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub(crate) tuple: Tuple,
    pub(crate) hypotheses: Vec<Hypothesis>,
    /// What the user wrote, a stream for each incarnation.
    pub(crate) written: Vec<Vec<u8>>,
    /// What the peer sent.
    pub(crate) received: Received,
    /// A listener of its port was told to switch Nagle's algorithm on or off.
    pub(crate) nagle_free: bool,
    /// A SYN of the peer has offered SACK.
    pub(crate) sack_offered: bool,
    /// Room for the next explanations, kept so that it need not be asked for again.
    spare: Vec<Hypothesis>,
    pub(super) log: Vec<Entry>,
    pub(super) checkpoints: VecDeque<(usize, Vec<Hypothesis>)>,
    /// SHOULDs that all explanations break, and for how many entries they have: what follows may show another fault instead.
    pub(super) departures: Vec<(Finding, usize)>,
    /// Broken SHOULDs that were reported; an explanation that goes back to before does not bring them up again.
    pub(super) reported: Vec<(RuleId, usize)>,
    /// The first SHOULD that was broken, where the explanations do not agree on which it was.
    pub(super) disputed: Option<Finding>,
    /// While it is not certain which rule was broken.
    pub(super) suspects: Option<Suspects>,
    /// Before this time nothing is overdue.
    deadline: Micros,
    /// Why the rest is not judged.
    pub(crate) unjudged: Option<&'static str>,
    /// Incarnations that have a socket: connected, or given by `accept`.
    pub(crate) accepted: usize,
    /// The order in which it was established, for `accept`.
    pub(crate) established_at: Option<usize>,
    /// Incarnations that were established for certain.
    pub(crate) established: BTreeSet<usize>,
}

/// Something that happened to one connection: an event of the trace, as it concerns this one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Entry {
    pub(crate) event: usize,
    pub(crate) kind: Kind,
    /// The last event before it by which everything that the stack had sent was seen.
    pub(crate) settled: usize,
    /// For a call: which of the tuple's incarnations its socket stands for.
    pub(crate) stream: usize,
}

/// How an event concerns a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Arrive(Port),
    Discarded(RuleId),
    /// An ICMP error that quotes a segment of this connection.
    Icmp,
    /// Something that must not disturb this connection: by which rule.
    Elsewhere(RuleId),
    Emit,
    Quiet,
    Opening,
    Wrote {
        octets: u32,
        urgent: bool,
    },
    Close {
        orphan: bool,
    },
    Abort,
    ListenerGone,
    KeepAlive(Option<Micros>),
    NoDelay(bool),
    Timeout(Option<Micros>),
    Recv,
    Status(State),
    Accepted,
}

/// What judging an entry needs besides the connection.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) trace: &'a Trace,
    pub(crate) profile: &'a Profile,
    pub(crate) default_mss: u16,
}

/// What came of an entry.
#[derive(Default)]
pub(crate) struct Judged {
    pub(crate) findings: Vec<Finding>,
    pub(crate) licence: Option<Licence>,
}

impl Connection {
    pub(crate) fn new(tuple: Tuple) -> Connection {
        Connection {
            tuple,
            hypotheses: vec![Hypothesis::new()],
            written: Vec::new(),
            received: Received::default(),
            nagle_free: false,
            sack_offered: false,
            spare: Vec::new(),
            log: Vec::new(),
            checkpoints: VecDeque::new(),
            departures: Vec::new(),
            reported: Vec::new(),
            disputed: None,
            suspects: None,
            deadline: Micros::MAX,
            unjudged: None,
            accepted: 0,
            established_at: None,
            established: BTreeSet::new(),
        }
    }

    /// The latest incarnation that any explanation knows.
    pub(crate) fn stream(&self) -> usize {
        self.hypotheses.iter().map(|h| h.user.stream).max().unwrap_or(0)
    }

    /// Whether it may take room in its listener's queue: half-open, or established and not accepted yet.
    pub(crate) fn queued(&self) -> bool {
        let unknown = self.unjudged.is_some();
        self.waits() && (unknown || self.hypotheses.iter().any(|h| h.conn != Conn::Absent || h.user.established || !h.deferred.is_empty()))
    }

    /// Whether its latest incarnation waits for `accept`.
    pub(crate) fn waits(&self) -> bool {
        self.stream() >= self.accepted
    }

    /// The incarnation that `accept` gives: the latest, or the first that was established and not given yet.
    pub(crate) fn next_to_accept(&self, profile: &Profile) -> usize {
        let latest = self.stream();
        let first = self.established.range(self.accepted..).next().copied();
        first.filter(|_| profile.accepts_ended).map_or(latest, |first| first.min(latest))
    }

    /// Judges one entry. A quiet period in which nothing falls due is not even recorded.
    pub(crate) fn judge(&mut self, entry: Entry, trace: &Trace, profile: &Profile) -> Judged {
        let mut judged = Judged::default();
        if self.unjudged.is_some() || (entry.kind == Kind::Quiet && trace.events[entry.event].at <= self.deadline) {
            return judged;
        }
        let default_mss = if self.tuple.local.is_ipv4() { DEFAULT_MSS_V4 } else { DEFAULT_MSS_V6 };
        let context = &Context { trace, profile, default_mss };
        if self.log.len().is_multiple_of(CHECKPOINT_EVERY) {
            self.checkpoint();
        }
        self.log.push(entry);
        self.judge_logged(entry, context, &mut judged);
        self.deadline = self.hypotheses.iter().map(|h| h.deadline(context.profile)).min().unwrap_or(Micros::MAX);
        judged
    }

    fn judge_logged(&mut self, entry: Entry, context: &Context<'_>, judged: &mut Judged) {
        for _ in 0..MAX_ROUNDS {
            let mut next = Next { hypotheses: std::mem::take(&mut self.spare), ..Next::default() };
            for h in &self.hypotheses {
                self.step(h, entry, context, false, &mut next);
            }
            if next.is_too_much() {
                // What is left of a set that was cut short proves nothing against the stack.
                self.unjudged = Some("too many explanations");
                return;
            }
            if !next.hypotheses.is_empty() {
                judged.licence = next.licence;
                self.adopt(next.hypotheses, entry, context, judged);
                return;
            }
            if self.suspects.is_some() {
                // None of the suspected faults explains what follows by itself: the likeliest is held against the stack, and judging goes on.
                self.convict(judged);
                self.log.push(entry);
                continue;
            }
            match self.suspect(entry, context) {
                Suspicion::Explains => {
                    self.convict_if_certain(judged);
                    return;
                }
                // An overdue reply, and then a segment that is wrong too: one after the other.
                Suspicion::ExplainsSilence => {
                    self.convict(judged);
                    self.log.push(entry);
                }
                Suspicion::Nothing => break,
            }
        }
        self.unjudged = Some("no explanation was found");
    }

    /// Takes on new explanations; where all of them break a SHOULD, that is a finding, once they agree on which and nothing contradicts.
    fn adopt(&mut self, mut next: Vec<Hypothesis>, entry: Entry, context: &Context<'_>, judged: &mut Judged) {
        let unheeded = context.profile.lets(Lenience::ShouldsUnheeded);
        for h in next.iter_mut().filter(|h| !h.departs.0.is_empty()) {
            h.departs.0.retain(|d| !unheeded && !self.reported.contains(d));
        }
        same_streams(&mut next);
        self.note_departures(&next, context);
        for (finding, _) in self.departures.extract_if(.., |(_, entries)| *entries > DEPARTS_AFTER) {
            self.reported.push((finding.rule, finding.event));
            judged.findings.push(finding);
        }
        dedup(&mut next);
        if next.len() > MAX_HYPOTHESES {
            self.unjudged = Some("too many explanations");
        }
        if self.established_at.is_none() && next.iter().all(|h| h.user.established) {
            self.established_at = Some(entry.event);
        }
        if let Some(first) = next.first()
            && next.iter().all(|h| h.user.established && h.user.stream == first.user.stream)
        {
            self.established.insert(first.user.stream);
        }
        self.spare = std::mem::replace(&mut self.hypotheses, next);
        self.spare.clear();
        self.convict_if_certain(judged);
    }

    /// What `entry` makes of one explanation. With `broken`, also what it becomes if the stack breaks one rule here.
    pub(super) fn step(&self, h: &Hypothesis, entry: Entry, context: &Context<'_>, broken: bool, next: &mut Next) {
        let broken = broken && h.blame.is_none();
        let event = &context.trace.events[entry.event];
        let at = At {
            event: entry.event,
            now: event.at,
            profile: context.profile,
            port: if let Kind::Arrive(port) = entry.kind { port } else { Port::Free },
            settled: entry.settled,
            default_mss: context.default_mss,
        };
        if entry.stream < h.user.stream {
            // The socket's connection is an earlier one of this tuple: it is gone, whatever this one does.
            let alive = matches!(entry.kind, Kind::Status(state) if state != State::Closed);
            next.hypotheses.extend((!alive).then(|| h.clone()));
            return;
        }
        let stimulus = !matches!(entry.kind, Kind::Emit | Kind::Quiet | Kind::Opening);
        if let Some(due) = h.unanswered(entry.settled, context.profile).filter(|_| stimulus) {
            if broken {
                self.after_silence(h.broken_silence(due, entry.event), entry, context, next);
            }
            return;
        }
        if broken && let Some(early) = h.giving_up_early(event.at, entry.event, context.profile) {
            self.step(&early, entry, context, false, next);
        }
        match (entry.kind, &event.what) {
            (Kind::Arrive(port), What::Arrive { arrival: Arrival::Segment(_), .. }) => {
                let arrival = Deferred { event: entry.event, port, settled: entry.settled };
                // Of a group, only the first is certain to have been processed before the next segment of the stack.
                let grouped = h.last_arrival.is_some_and(|last| last > entry.settled);
                if h.deferred.len() < MAX_GROUP && (grouped || (h.iss_unseen && h.conn != Conn::Absent)) {
                    let mut later = h.clone();
                    later.deferred.push(arrival);
                    later.last_arrival = Some(entry.event);
                    next.hypotheses.push(later);
                    return;
                }
                let Some(set) = self.processed(h, h.deferred.len(), context, broken, true) else { return next.too_many = true };
                let from = next.hypotheses.len();
                for h in set.iter() {
                    self.process(h, arrival, context, broken, &mut next.hypotheses);
                }
                next.hypotheses[from..].iter_mut().for_each(|h| h.last_arrival = Some(entry.event));
            }
            (Kind::Emit, What::Emit { segment, .. }) => {
                for n in 0..=h.deferred.len() {
                    let Some(set) = self.processed(h, n, context, broken, false) else { return next.too_many = true };
                    for h in set.iter() {
                        self.emission(h, segment, entry, context, broken && h.blame.is_none(), next);
                    }
                }
            }
            (Kind::Quiet, _) => {
                let Some(set) = self.processed(h, h.deferred.len(), context, broken, true) else { return next.too_many = true };
                for h in set.iter() {
                    let broken = broken && h.blame.is_none();
                    let in_time = self.in_time(h, event.at, entry, context, broken, next);
                    next.hypotheses.extend(in_time);
                }
            }
            // A datagram that is discarded in the midst of a group changes nothing in it.
            (Kind::Discarded(_), _) if !h.deferred.is_empty() => next.hypotheses.push(h.clone()),
            (_, what) => {
                let Some(set) = self.processed(h, h.deferred.len(), context, broken, true) else { return next.too_many = true };
                for h in set.iter() {
                    self.call(h, entry.kind, what, &at, broken && h.blame.is_none(), &mut next.hypotheses);
                }
            }
        }
    }

    /// The explanations that this one becomes when it processes its first `count` waiting arrivals; none where one of them has to wait for the
    /// stack's ISN, unless the stack is `at_rest`: then no SYN-ACK comes any more. `None` where there are more of them than are followed.
    fn processed<'h>(
        &self,
        h: &'h Hypothesis,
        count: usize,
        context: &Context<'_>,
        broken: bool,
        at_rest: bool,
    ) -> Option<Cow<'h, [Hypothesis]>> {
        if count == 0 {
            return Some(Cow::Borrowed(std::slice::from_ref(h)));
        }
        let mut set = vec![h.clone()];
        let all = count == h.deferred.len() && at_rest;
        for _ in 0..count {
            let mut after = Vec::new();
            for mut h in set {
                if h.iss_unseen && h.conn != Conn::Absent {
                    if !all {
                        continue;
                    }
                    h.iss_unseen = false;
                }
                let arrival = h.deferred.remove(0);
                self.process(&h, arrival, context, broken, &mut after);
                if after.len() > MOST_AT_ONCE {
                    return None;
                }
            }
            dedup(&mut after);
            set = after;
        }
        Some(Cow::Owned(set))
    }

    /// An arrival is processed.
    fn process(&self, h: &Hypothesis, arrival: Deferred, context: &Context<'_>, broken: bool, out: &mut Vec<Hypothesis>) {
        let event = &context.trace.events[arrival.event];
        let What::Arrive { arrival: Arrival::Segment(segment), .. } = &event.what else { return };
        let at = At {
            event: arrival.event,
            now: event.at,
            profile: context.profile,
            port: arrival.port,
            settled: arrival.settled,
            default_mss: context.default_mss,
        };
        h.arrivals(segment, &at, out);
        if broken && h.blame.is_none() {
            h.broken_arrivals(segment, &at, out);
        }
    }

    /// The stack sent a segment.
    fn emission(&self, h: &Hypothesis, segment: &Segment, entry: Entry, context: &Context<'_>, broken: bool, next: &mut Next) {
        let event = &context.trace.events[entry.event];
        let Some(h) = self.in_time(h, event.from, entry, context, broken, next) else { return };
        let written = self.written.get(h.user.stream).map_or(&[][..], Vec::as_slice);
        let sent = Sent {
            segment,
            from: event.from,
            at: event.at,
            event: entry.event,
            profile: context.profile,
            v4: self.tuple.local.is_ipv4(),
            written,
            nagle_free: self.nagle_free,
        };
        // Only a fault is told of the explanation as it was.
        let before = broken.then(|| h.clone());
        let mut after = h;
        match after.emit(&sent) {
            Ok(l) => {
                next.licence = Some(next.licence.map_or(l, |m| Licence { demanded: m.demanded || l.demanded, ..m }));
                next.hypotheses.push(after);
                next.hypotheses.extend(before.and_then(|before| before.acknowledged_too_soon(&sent)));
            }
            Err(_) => {
                if let Some(before) = before {
                    before.broken_emission(&sent, &mut next.hypotheses);
                }
            }
        }
    }

    /// The user called.
    fn call(&self, h: &Hypothesis, kind: Kind, what: &What, at: &At<'_>, broken: bool, out: &mut Vec<Hypothesis>) {
        let from = out.len();
        match (kind, what) {
            (Kind::Recv, What::Call { call, result }) => {
                let any = at.profile.lets(Lenience::ReadOctetsUnchecked);
                let fits = |d: &[u8]| self.reads(h, d) && !matches!(call, Call::Recv { max, .. } if d.len() > *max as usize);
                let true_octets = any || !matches!(result, CallResult::Data(d) if !fits(d));
                h.each_age(at, |h| {
                    let mut after = h.clone();
                    if true_octets && (after.fits_recv(result) || at.profile.lets(Lenience::ReceiveUnchecked)) {
                        out.push(after);
                    }
                });
                if out.len() == from && broken {
                    out.push(h.broken_recv(result, at.event));
                }
            }
            (Kind::Status(reported), _) => {
                // A stack whose STATUS is wrong about a state tells it wrong each time.
                let wrong = h.blame.is_some_and(|b| b.rule == rules::STATUS) && h.conn != Conn::Absent && reported != State::Closed;
                let any = wrong || at.profile.lets(Lenience::StatusUnchecked);
                h.each_age(at, |h| out.extend((any || h.fits_status(reported)).then(|| h.clone())));
                if out.len() == from && broken {
                    h.broken_status(reported, at.event, out);
                }
            }
            (Kind::Close { orphan }, _) => {
                h.each_age(at, |h| h.clone().close(orphan, at, out));
                if broken {
                    out.extend(h.ignoring_call(at, rules::close));
                }
            }
            (Kind::Abort, _) => {
                h.each_age(at, |h| h.clone().abort(at, out));
                if broken {
                    out.extend(h.ignoring_call(at, rules::abort));
                }
            }
            (Kind::Icmp, What::Arrive { arrival: Arrival::Icmp(icmp), .. }) => h.icmp(icmp, at, broken, out),
            (Kind::Elsewhere(rule), _) => h.undisturbed(rule, at, broken, out),
            (Kind::ListenerGone, _) => h.clone().listener_gone(at, out),
            (kind, _) => {
                let mut h = h.clone();
                match kind {
                    Kind::Discarded(rule) => {
                        h.last.rule = rule;
                        h.last.event = at.event;
                    }
                    Kind::Opening => h.opening(at),
                    Kind::Wrote { octets, urgent } => h.wrote(octets, urgent, at),
                    Kind::KeepAlive(interval) => h.keep_alive(interval, at.now),
                    Kind::NoDelay(on) => h.no_delay(on, at.now),
                    Kind::Timeout(t) => h.user.timeout = t,
                    _ => {}
                }
                out.push(h);
            }
        }
    }

    /// The explanation where nothing is overdue at `now`; with `broken`, what it becomes if something is.
    fn in_time(
        &self,
        h: &Hypothesis,
        now: Micros,
        entry: Entry,
        context: &Context<'_>,
        broken: bool,
        next: &mut Next,
    ) -> Option<Hypothesis> {
        let mut h = h.clone();
        h.acknowledges_late(now);
        let due = loop {
            match h.overdue(now, context.profile) {
                // The fault that is sought has happened once more: it is the same, and no other explains more by explaining this too.
                Some(due) if h.is_silent_again(&due) => h = h.silent(&due),
                Some(due) => break due,
                None => return Some(h),
            }
        };
        // RFC 9293 section 3.8.3: at R2 the connection is closed, and with it goes what was not overdue by then.
        let by = if due.rule == rules::RETRANSMISSION_TIMEOUT { now } else { due.deadline };
        if h.may_have_given_up(by, context.profile) {
            let gone = h.gone(Ended::TimedOut);
            return gone.overdue(now, context.profile).is_none().then_some(gone);
        }
        if broken {
            self.after_silence(h.broken_silence(due, entry.event), entry, context, next);
        }
        None
    }

    /// Goes on from a silence that broke a rule; where what follows breaks another one, the explanation stays behind until that is judged.
    fn after_silence(&self, late: Hypothesis, entry: Entry, context: &Context<'_>, next: &mut Next) {
        let from = next.hypotheses.len();
        self.step(&late, entry, context, false, next);
        if next.hypotheses.len() == from {
            next.hypotheses.push(Hypothesis { behind: true, ..late });
        }
    }

    fn reads(&self, h: &Hypothesis, data: &[u8]) -> bool {
        !h.user.established || self.received.has(h.user.irs + 1 + h.user.read, data)
    }
}

/// What an entry made of some explanations.
#[derive(Default)]
pub(super) struct Next {
    pub(super) hypotheses: Vec<Hypothesis>,
    /// Why a segment is permitted, where it is one.
    licence: Option<Licence>,
    /// A group of arrivals could be processed in more ways than are followed.
    pub(super) too_many: bool,
}

impl Next {
    /// Whether more came of an entry than is followed.
    pub(super) fn is_too_much(&self) -> bool {
        self.too_many || self.hypotheses.len() > MOST_AT_ONCE
    }
}

/// A call that concerns a connection, as an entry.
pub(crate) fn entry_of_call(call: &Call, result: &CallResult) -> Option<Kind> {
    use crate::api::{How, SetOption};
    match (call, result) {
        (_, CallResult::Unsupported) => None,
        (Call::Recv { .. }, _) => Some(Kind::Recv),
        (Call::Shutdown { how: How::Write | How::Both, .. }, CallResult::Done) => Some(Kind::Close { orphan: false }),
        (Call::Close { .. }, CallResult::Done) => Some(Kind::Close { orphan: true }),
        (Call::Abort { .. }, CallResult::Done) => Some(Kind::Abort),
        (Call::State { .. }, CallResult::State(s)) => Some(Kind::Status(*s)),
        (Call::Set { option, .. }, CallResult::Done) => match option.within_reach() {
            SetOption::KeepAlive(interval) => Some(Kind::KeepAlive(interval)),
            SetOption::NoDelay(on) => Some(Kind::NoDelay(on)),
            SetOption::Timeout(timeout) => Some(Kind::Timeout(timeout)),
            _ => None,
        },
        _ => None,
    }
}

/// What began with the same event is the same incarnation, whatever became of the one before.
fn same_streams(set: &mut [Hypothesis]) {
    if set.windows(2).all(|pair| pair[0].user.stream == pair[1].user.stream) {
        return;
    }
    for i in 0..set.len() {
        let began = set[i].user.began;
        let latest = set.iter().filter(|h| h.user.began == began).map(|h| h.user.stream).max();
        set[i].user.stream = latest.unwrap_or(set[i].user.stream);
    }
}

pub(super) fn dedup(set: &mut Vec<Hypothesis>) {
    let mut i = 1;
    while i < set.len() {
        if let Some(same) = set[..i].iter().position(|h| *h == set[i]) {
            if set[i].departs.0.len() < set[same].departs.0.len() {
                set.swap(i, same);
            }
            let merged = set.swap_remove(i);
            set[same].ways.keep_common(&merged.ways);
        } else {
            i += 1;
        }
    }
}

/// Most arrivals that wait to be processed.
const MAX_GROUP: usize = 16;
/// Entries between two checkpoints.
pub(super) const CHECKPOINT_EVERY: usize = 8;
/// Most explanations on the way to those that are kept: equal ones among them are not yet one.
const MOST_AT_ONCE: usize = 2560;
/// Most permitted explanations at a time.
pub(super) const MAX_HYPOTHESES: usize = 640;
/// Most faults at one entry.
const MAX_ROUNDS: usize = 8;
/// Entries for which nothing may contradict a broken SHOULD before it is reported.
const DEPARTS_AFTER: usize = 4;
