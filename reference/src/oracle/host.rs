//! A host: listeners, sockets, and the connections of each 4-tuple.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::{Call, CallError, CallResult, Family, Micros, SetOption, SocketId};
use crate::catalogue::{Level, RuleId};
use crate::finding::{Class, Finding};
use crate::lenience::Lenience;
use crate::oracle::arrival::Port;
use crate::oracle::connection::{Connection, Entry, Judged, Kind, entry_of_call};
use crate::oracle::emission::Licence;
use crate::oracle::explain;
use crate::oracle::header::Asked;
use crate::oracle::hypothesis::Hypothesis;
use crate::oracle::isn::{Isns, Tsvals};
use crate::oracle::open::at_port;
use crate::oracle::options::{Circumstances, breaches};
use crate::profile::Profile;
use crate::relation::not_unicast;
use crate::rules;
use crate::segment::{Segment, Tuple};
use crate::state::State;
use crate::tcb::Conn;
use crate::trace::{Arrival, Event, Malformed, Trace, What, WireDefect};

/// Judges a trace against RFC 9293. Feed it the same growing trace again and again: [`Oracle::read`] judges what is new.
#[derive(Clone, Debug)]
pub struct Oracle {
    pub(super) profile: Profile,
    next: usize,
    pub(super) sockets: BTreeMap<SocketId, Socket>,
    pub(super) connections: BTreeMap<Tuple, Connection>,
    /// Connects whose 4-tuple shows with their SYN: local and remote port, family, socket, event.
    pub(super) connecting: Vec<(u16, u16, Family, SocketId, usize)>,
    pub(super) findings: Vec<Finding>,
    /// By event, in their order.
    licences: Vec<(usize, Licence)>,
    /// Ports of listeners that were told to switch Nagle's algorithm on or off.
    nagle_free: BTreeSet<u16>,
    last_arrival: BTreeMap<Tuple, (RuleId, usize)>,
    /// The last event by which everything that the stack had sent was seen.
    settled: usize,
    stats: Stats,
    pub(super) now: Micros,
    isns: Isns,
    tsvals: Tsvals,
    /// The user has set an MSS on some socket.
    mss_set: bool,
    /// What users have asked for of the IP header.
    headers: BTreeMap<Tuple, Asked>,
}

/// What a socket stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Socket {
    Listener {
        port: u16,
        family: Family,
        backlog: u16,
        open: bool,
    },
    /// An incarnation of a tuple's connection.
    Connection(Tuple, usize),
    /// Its connection is not known.
    Unknown,
}

impl Socket {
    /// Whether it is, or was, a listener for this tuple's local end.
    fn listens_at(&self, tuple: &Tuple) -> bool {
        let same = |port, family| port == tuple.local.port() && (family == Family::V4) == tuple.local.is_ipv4();
        matches!(*self, Socket::Listener { port, family, .. } if same(port, family))
    }
}

/// How much was judged.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// Segments of the stack that were judged.
    pub judged: u64,
    /// Segments of the stack that could not be judged.
    pub unjudged: u64,
    /// Most explanations that were held at a time.
    pub most_hypotheses: usize,
}

impl Oracle {
    /// An oracle for a stack with this profile.
    #[must_use]
    pub fn new(profile: Profile) -> Oracle {
        Oracle {
            profile,
            next: 0,
            sockets: BTreeMap::new(),
            connections: BTreeMap::new(),
            connecting: Vec::new(),
            findings: Vec::new(),
            licences: Vec::new(),
            nagle_free: BTreeSet::new(),
            last_arrival: BTreeMap::new(),
            settled: 0,
            stats: Stats::default(),
            now: 0,
            isns: Isns::default(),
            tsvals: Tsvals::default(),
            mss_set: false,
            headers: BTreeMap::new(),
        }
    }

    /// Judges the events of `trace` that were not read yet.
    pub fn read(&mut self, trace: &Trace) {
        while let Some(event) = trace.events.get(self.next) {
            self.event(self.next, event, trace);
            self.next += 1;
        }
    }

    /// The trace has ended: where it is not certain yet which rule was broken, the likeliest is named.
    pub fn finish(&mut self) {
        for connection in self.connections.values_mut() {
            let mut judged = Judged::default();
            connection.finish(&mut judged);
            self.findings.extend(judged.findings);
        }
        self.findings.sort_by_key(|f| f.event);
    }

    /// Every finding so far; in the order in which they showed once the trace has ended.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Where the stack had a choice and every explanation says which way it took: no faults. Of the trace as far as it was read.
    #[must_use]
    pub fn variants(&self, trace: &Trace) -> Vec<Finding> {
        let mut all: Vec<Finding> = self.connections.values().flat_map(|c| c.variants(trace)).collect();
        all.sort_by_key(|f| f.event);
        all
    }

    /// How much was judged so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// Why the segment at this index of the trace is permitted; `None` where it is not, or is not a segment of the stack.
    #[must_use]
    pub fn licence(&self, event: usize) -> Option<Licence> {
        self.licences.binary_search_by_key(&event, |&(at, _)| at).ok().map(|i| self.licences[i].1)
    }

    /// The states that a connection can be in.
    #[must_use]
    pub fn states(&self, tuple: &Tuple) -> Vec<State> {
        let listening = matches!(self.port(tuple), Port::Listening | Port::Full);
        let mut states: Vec<State> =
            self.connections.get(tuple).map(|c| c.hypotheses.iter().map(|h| h.conn.state(listening)).collect()).unwrap_or_default();
        states.sort_unstable();
        states.dedup();
        states
    }

    /// Why a connection is not judged any more, if any is.
    #[must_use]
    pub fn inconclusive(&self) -> Option<&'static str> {
        self.connections.values().find_map(|c| c.unjudged)
    }

    /// The rules of what is owed whatever the explanation.
    #[must_use]
    pub fn owed(&self) -> Vec<RuleId> {
        let mut owed = Vec::new();
        for c in self.connections.values().filter(|c| c.unjudged.is_none()) {
            let Some((first, others)) = c.hypotheses.split_first() else { continue };
            let by_all = |rule: RuleId| others.iter().all(|h| h.owed(&self.profile).any(|due| due.rule == rule));
            owed.extend(first.owed(&self.profile).map(|due| due.rule).filter(|rule| by_all(*rule)));
        }
        owed
    }

    /// The earliest time at which something that is owed becomes overdue; nothing before it can be a finding of silence.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Micros> {
        let deadlines = self.connections.values().filter(|c| c.unjudged.is_none()).flat_map(|c| &c.hypotheses);
        deadlines.map(|h| h.deadline(&self.profile)).min().filter(|&t| t != Micros::MAX)
    }

    fn event(&mut self, index: usize, event: &Event, trace: &Trace) {
        self.now = event.at;
        match &event.what {
            What::Arrive { tuple, arrival } => self.arrive(index, *tuple, arrival, trace),
            What::Emit { tuple, segment, defects } => self.emit(index, *tuple, segment, defects, trace),
            What::Call { call, result } => self.call(index, call, result, trace),
            What::Quiet => {
                self.each(index, Kind::Quiet, trace, |_| true);
                self.settled = index;
            }
            What::Stall => self.stalled(),
        }
    }

    fn stalled(&mut self) {
        for c in self.connections.values_mut() {
            c.unjudged = c.unjudged.or(Some("the harness did not watch"));
        }
    }

    fn arrive(&mut self, index: usize, tuple: Tuple, arrival: &Arrival, trace: &Trace) {
        if let Arrival::Segment(segment) = arrival {
            if let Some(rule) = not_unicast(&tuple, segment) {
                self.last_arrival.insert(tuple, (rule, index));
                return;
            }
            let port = self.port(&tuple);
            let c = self.connections.entry(tuple).or_insert_with(|| Connection::new(tuple));
            c.received.add(segment.text_start(), &segment.payload);
            c.sack_offered |= segment.is_syn() && segment.sack_permitted();
            self.judge(tuple, index, Kind::Arrive(port), usize::MAX, trace);
        } else if let Arrival::Discarded(reason) = arrival {
            let rule = match reason {
                Malformed::BadChecksum => rules::CHECKSUM_RECEIVED,
                Malformed::DataOffset | Malformed::Truncated | Malformed::Fragment => rules::DATA_OFFSET,
            };
            self.connections.entry(tuple).or_insert_with(|| Connection::new(tuple));
            self.judge(tuple, index, Kind::Discarded(rule), usize::MAX, trace);
        } else if let Arrival::Icmp(_) = arrival {
            self.each(index, Kind::Elsewhere(rules::ICMP_OWN_CONNECTION), trace, |c| c.tuple != tuple);
            self.judge(tuple, index, Kind::Icmp, usize::MAX, trace);
        }
    }

    fn emit(&mut self, index: usize, tuple: Tuple, segment: &Segment, defects: &[WireDefect], trace: &Trace) {
        for defect in defects {
            let (rule, kind) = match defect {
                WireDefect::BadChecksum => (rules::CHECKSUM_SENT, "checksum"),
                WireDefect::ReservedBits => (rules::RESERVED_BITS, "reserved-bits"),
                WireDefect::OptionLength => (rules::OPTION_LENGTH, "option-length"),
                WireDefect::OptionPadding => (rules::OPTION_PADDING, "option-padding"),
            };
            self.find(rule, kind, tuple, index, trace, "a well-formed header");
        }
        let by = Circumstances {
            profile: &self.profile,
            v4: tuple.local.is_ipv4(),
            mss_set: self.mss_set,
            sack_offered: self.connections.get(&tuple).is_some_and(|c| c.sack_offered),
        };
        for (rule, kind, allowed) in breaches(segment, &by) {
            if self.profile.lets(Lenience::OptionsUnchecked) {
                break;
            }
            self.find(rule, kind, tuple, index, trace, allowed);
        }
        if tuple.is_not_unicast()
            && let Some(&(rule, _)) = self.last_arrival.get(&tuple)
        {
            self.find(rule, "reply", tuple, index, trace, "silence");
            self.stats.judged += 1;
            return;
        }
        let tuple = self.same_source(index, tuple, trace);
        self.adopt_connect(tuple, segment, trace);
        self.connections.entry(tuple).or_insert_with(|| Connection::new(tuple));
        self.judge(tuple, index, Kind::Emit, usize::MAX, trace);
        if let (Some(asked), Some(c)) = (self.headers.get_mut(&tuple), self.connections.get(&tuple)) {
            let lives = |h: &Hypothesis| !matches!(h.conn.state(false), State::Closed | State::TimeWait);
            let own = asked.stream == c.stream() && c.unjudged.is_none() && c.hypotheses.iter().all(lives);
            if let Some((rule, kind, allowed)) = asked.breach(segment, trace.events[index].from).filter(|_| own) {
                self.find(rule, kind, tuple, index, trace, &allowed);
            }
        }
        if let Some((val, _)) = segment.timestamps().filter(|_| segment.is_syn() && !self.profile.user_stamps)
            && self.tsvals.shows_clock(tuple, val, trace.events[index].at)
        {
            self.find(rules::TIMESTAMP_OFFSET, "tsval", tuple, index, trace, "a timestamp clock with a random offset for each connection");
        }
        if segment.is_syn() {
            // MAY-2 sets the number where a SYN reopens TIME-WAIT.
            let reopened = self.connections.get(&tuple).is_some_and(|c| c.hypotheses.iter().any(|h| h.user.least_iss.is_some()));
            let event = &trace.events[index];
            let broken = self.isns.take(tuple, segment.seq, (event.from, event.at), reopened);
            if let Some((rule, kind)) = broken.filter(|_| !self.profile.lets(Lenience::IsnUnchecked)) {
                self.find(rule, kind, tuple, index, trace, "a number from a clock and a secret function of the connection's ends");
            }
        }
    }

    /// The ends of the connection that a segment of the stack belongs to. Where it is nobody's, and a living connection has the same ends but for
    /// the stack's own address, it is that one's, from the wrong address (MUST-45).
    fn same_source(&mut self, index: usize, tuple: Tuple, trace: &Trace) -> Tuple {
        if self.connections.contains_key(&tuple) {
            return tuple;
        }
        let same = |t: &Tuple| t.remote == tuple.remote && t.local.port() == tuple.local.port();
        let alive = |c: &&Connection| same(&c.tuple) && c.unjudged.is_none() && c.hypotheses.iter().all(|h| h.conn != Conn::Absent);
        let Some(meant) = self.connections.values().find(alive).map(|c| c.tuple) else { return tuple };
        if !self.profile.lets(Lenience::AnySource) {
            self.find(rules::SAME_SOURCE, "source-address", meant, index, trace, "the local address of the connection's first segment");
        }
        meant
    }

    /// A SYN that an active OPEN owes shows the 4-tuple.
    fn adopt_connect(&mut self, tuple: Tuple, segment: &Segment, trace: &Trace) {
        if !segment.is_syn() || segment.is_rst() {
            return;
        }
        let matches = |(local, remote, family, _, _): &(u16, u16, Family, SocketId, usize)| {
            *local == tuple.local.port() && *remote == tuple.remote.port() && (*family == Family::V4) == tuple.local.is_ipv4()
        };
        if let Some(i) = self.connecting.iter().position(matches) {
            let (_, _, _, socket, event) = self.connecting.remove(i);
            self.connections.entry(tuple).or_insert_with(|| Connection::new(tuple));
            self.judge(tuple, event, Kind::Opening, usize::MAX, trace);
            if let Some(c) = self.connections.get_mut(&tuple) {
                c.accepted = c.stream() + 1;
                self.sockets.insert(socket, Socket::Connection(tuple, c.stream()));
            }
        }
    }

    fn find(&mut self, rule: RuleId, kind: &'static str, tuple: Tuple, event: usize, trace: &Trace, allowed: &str) {
        let state = self.states(&tuple).first().copied().unwrap_or(State::Closed);
        let level = rule.entry().map_or(Level::Spec, |r| r.level);
        let found = observed(rule, kind, event, trace, allowed);
        self.findings.push(Finding { class: Class::of(level), state, tuple: Some(tuple), ..found });
    }

    fn call(&mut self, index: usize, call: &Call, result: &CallResult, trace: &Trace) {
        self.mss_set |= matches!(call, Call::Set { option: SetOption::Mss(_), .. });
        if let Call::Listen { port, family, .. } = call {
            self.each(index, Kind::Elsewhere(rules::LISTEN_DISTURBS), trace, |c| at_port(&c.tuple, *port, *family));
        }
        match (call, result) {
            (Call::Listen { port, family, backlog }, CallResult::Socket(socket)) => {
                self.sockets.insert(*socket, Socket::Listener { port: *port, family: *family, backlog: *backlog, open: true });
            }
            (Call::Listen { port, family, .. }, CallResult::Error(error)) => self.refused_to_listen(*port, *family, error, index, trace),
            (Call::Connect { port, remote_port, family }, CallResult::Socket(socket)) => {
                self.sockets.insert(*socket, Socket::Unknown);
                if self.exists(*port, *remote_port, *family) {
                    self.findings.push(observed(rules::OPEN_AGAIN, "open", index, trace, "\"error: connection already exists\""));
                    return;
                }
                self.connecting.push((*port, *remote_port, *family, *socket, index));
            }
            (Call::Set { option: SetOption::WindowScale(on), .. }, CallResult::Done) => self.profile.window_scale &= *on,
            (Call::Set { socket, option: option @ (SetOption::Dscp(_) | SetOption::HopLimit(_)) }, CallResult::Done) => {
                if let Some((tuple, stream)) = self.connection_of(*socket) {
                    let asked = self.headers.entry(tuple).or_insert_with(|| Asked::new(stream));
                    asked.set(stream, *option, trace.events[index].at);
                }
            }
            (Call::Accept { socket }, _) => self.accept(index, *socket, result, trace),
            (Call::Send { socket, data, urgent }, CallResult::Count(n)) => {
                self.refuses(index, *socket, *n, trace);
                if let Some((tuple, stream)) = self.connection_of(*socket) {
                    let taken = &data[..(*n as usize).min(data.len())];
                    if let Some(c) = self.connections.get_mut(&tuple) {
                        c.written.resize_with(c.written.len().max(stream + 1), Vec::new);
                        c.written[stream].extend_from_slice(taken);
                    }
                    self.judge(tuple, index, Kind::Wrote { octets: *n, urgent: *urgent }, stream, trace);
                }
            }
            (Call::Send { .. }, CallResult::Error(error)) => self.refused_to_send(index, call, error, trace),
            (
                Call::Recv { socket, .. }
                | Call::Send { socket, .. }
                | Call::Shutdown { socket, .. }
                | Call::Close { socket }
                | Call::Abort { socket }
                | Call::Set { socket, .. }
                | Call::State { socket },
                _,
            ) => self.socket_call(index, *socket, call, result, trace),
            _ => {}
        }
    }

    /// SEND took octets where an error is asked for (RFC 9293 section 3.10.2).
    fn refuses(&mut self, index: usize, socket: SocketId, taken: u32, trace: &Trace) {
        let (tuple, rule, allowed) = match self.sockets.get(&socket) {
            Some(Socket::Listener { .. }) => (None, rules::SEND_LISTEN, "\"error: remote socket unspecified\""),
            Some(Socket::Connection(tuple, stream)) => {
                let Some(c) = self.connections.get(tuple).filter(|c| c.unjudged.is_none()) else { return };
                let closed = |h: &Hypothesis| h.user.stream == *stream && h.user.closed.is_some();
                let gone = |h: &Hypothesis| h.user.stream == *stream && h.conn == Conn::Absent && h.user.ended.is_some();
                if c.hypotheses.iter().all(closed) {
                    (Some(*tuple), rules::SEND_CLOSING, "\"error: connection closing\"")
                } else if c.hypotheses.iter().all(gone) {
                    (Some(*tuple), rules::SEND_CLOSED, "\"error: connection does not exist\"")
                } else {
                    return;
                }
            }
            Some(Socket::Unknown) | None => return,
        };
        if taken > 0 && !self.profile.lets(Lenience::SendUnchecked) {
            let state = tuple.and_then(|t| self.states(&t).first().copied()).unwrap_or(State::Listen);
            self.findings.push(Finding { state, tuple, ..observed(rule, "send", index, trace, allowed) });
        }
    }

    /// SEND says that the connection is gone, and it certainly is there (RFC 9293 section 3.10.2).
    fn refused_to_send(&mut self, index: usize, call: &Call, error: &CallError, trace: &Trace) {
        let gone = matches!(error, CallError::Closed | CallError::NotConnected | CallError::Reset | CallError::Refused);
        let socket = call.socket().and_then(|socket| self.connection_of(socket));
        let Some((tuple, stream)) = socket.filter(|_| gone && !self.profile.lets(Lenience::SendUnchecked)) else {
            return;
        };
        let Some(c) = self.connections.get(&tuple).filter(|c| c.unjudged.is_none() && c.suspects.is_none()) else { return };
        let open = |h: &Hypothesis| {
            let ends = h.user.closed.is_some() || h.may_have_given_up(self.now, &self.profile);
            h.user.stream == stream && h.deferred.is_empty() && !ends
        };
        let asked = |h: &Hypothesis| rules::of_call(call, h.conn.state(false)).filter(|r| [rules::SEND, rules::SEND_EARLY].contains(r));
        let Some(rule) = c.hypotheses.first().and_then(asked) else { return };
        if c.hypotheses.iter().all(|h| open(h) && asked(h) == Some(rule)) {
            self.find(rule, "send", tuple, index, trace, "the octets are taken, or \"error: insufficient resources\"");
        }
    }

    fn socket_call(&mut self, index: usize, socket: SocketId, call: &Call, result: &CallResult, trace: &Trace) {
        match self.sockets.get(&socket).copied() {
            Some(Socket::Connection(tuple, stream)) => {
                if let Some(kind) = entry_of_call(call, result) {
                    self.judge(tuple, index, kind, stream, trace);
                }
            }
            Some(Socket::Listener { port, family, backlog, open: true }) if matches!(call, Call::Close { .. } | Call::Abort { .. }) => {
                let gone = Socket::Listener { port, family, backlog, open: false };
                self.sockets.insert(socket, gone);
                self.each(index, Kind::ListenerGone, trace, |c| c.waits() && gone.listens_at(&c.tuple));
            }
            Some(Socket::Listener { port, .. }) if matches!(call, Call::Set { option: SetOption::NoDelay(_), .. }) => {
                self.nagle_free.insert(port);
            }
            Some(Socket::Unknown) if matches!(call, Call::Close { .. } | Call::Abort { .. }) => {
                self.connecting.retain(|c| c.3 != socket);
            }
            _ => {}
        }
    }

    /// `accept` gives connections in the order in which they were established, or the one whose peer the target tells.
    fn accept(&mut self, index: usize, listener: SocketId, result: &CallResult, trace: &Trace) {
        let Some(listener @ Socket::Listener { .. }) = self.sockets.get(&listener).copied() else { return };
        let waiting = |c: &&Connection| c.waits() && listener.listens_at(&c.tuple);
        let (socket, peer) = match result {
            CallResult::Accepted { socket, peer } => (*socket, *peer),
            CallResult::Socket(socket) => (*socket, None),
            CallResult::Error(CallError::WouldBlock) => {
                let certain = |c: &&Connection| {
                    let ready = |h: &Hypothesis| {
                        h.user.established && h.user.ended.is_none() && h.conn.tcb().is_some_and(|t| t.state == State::Established)
                    };
                    c.unjudged.is_none() && c.hypotheses.iter().all(ready)
                };
                if let Some(tuple) = self.connections.values().filter(waiting).find(certain).map(|c| c.tuple) {
                    self.find(rules::SYN_RECEIVED_ACK_ACCEPTABLE, "accept", tuple, index, trace, "the established connection");
                    if let Some(c) = self.connections.get_mut(&tuple) {
                        c.accepted = c.stream() + 1;
                    }
                }
                return;
            }
            _ => return,
        };
        let chosen = match peer {
            Some(remote) => self.connections.values().filter(waiting).find(|c| c.tuple.remote == remote).map(|c| c.tuple),
            None => {
                let order = |c: &&Connection| (c.established_at.unwrap_or(usize::MAX), c.hypotheses.iter().all(|h| !h.user.established));
                self.connections
                    .values()
                    .filter(waiting)
                    .filter(|c| c.hypotheses.iter().any(|h| h.user.established))
                    .min_by_key(order)
                    .map(|c| c.tuple)
            }
        };
        let Some(tuple) = chosen else {
            self.sockets.insert(socket, Socket::Unknown);
            return;
        };
        if let Some(c) = self.connections.get_mut(&tuple) {
            let stream = c.next_to_accept(&self.profile);
            self.sockets.insert(socket, Socket::Connection(tuple, stream));
            c.accepted = stream + 1;
            if stream == c.stream() && c.hypotheses.iter().any(|h| h.user.established) {
                // What waits to be processed may establish it still.
                c.hypotheses.retain(|h| h.user.established || !h.deferred.is_empty());
            }
        }
        self.judge(tuple, index, Kind::Accepted, usize::MAX, trace);
        let accepted = |c: &&mut Connection| c.accepted == c.stream() + 1 && c.hypotheses.iter().any(|h| h.user.established);
        if let Some(c) = self.connections.get_mut(&tuple).filter(accepted) {
            c.hypotheses.retain(|h| h.user.established);
        }
    }

    fn connection_of(&self, socket: SocketId) -> Option<(Tuple, usize)> {
        if let Some(Socket::Connection(tuple, stream)) = self.sockets.get(&socket) { Some((*tuple, *stream)) } else { None }
    }

    /// What serves the tuple's local port. A listener is full where as many connections wait as it was told to keep (its backlog; RFC 9293 knows
    /// none, room is the host's).
    fn port(&self, tuple: &Tuple) -> Port {
        let mut port = Port::Free;
        for socket in self.sockets.values().filter(|s| s.listens_at(tuple)) {
            match *socket {
                Socket::Listener { backlog, open: true, .. } => {
                    let same_port = |c: &&Connection| c.tuple != *tuple && c.tuple.local.port() == tuple.local.port();
                    let waiting = self.connections.values().filter(same_port).filter(|c| c.queued()).count();
                    return if waiting >= usize::from(backlog) { Port::Full } else { Port::Listening };
                }
                _ => port = Port::Closed,
            }
        }
        port
    }

    fn each(&mut self, index: usize, kind: Kind, trace: &Trace, which: impl Fn(&Connection) -> bool) {
        if kind == Kind::Quiet {
            self.overdue_connects(trace.events[index].at, index, trace);
        }
        let entry = Entry { event: index, kind, settled: self.settled, stream: usize::MAX };
        for connection in self.connections.values_mut().filter(|c| which(c)) {
            let judged = connection.judge(entry, trace, &self.profile);
            self.stats.most_hypotheses = self.stats.most_hypotheses.max(connection.hypotheses.len());
            self.findings.extend(judged.findings);
        }
    }

    /// An active OPEN without its SYN.
    fn overdue_connects(&mut self, now: Micros, index: usize, trace: &Trace) {
        let late = self.profile.reply;
        let (overdue, pending): (Vec<_>, Vec<_>) = self.connecting.drain(..).partition(|c| trace.events[c.4].at + late < now);
        self.connecting = pending;
        for connect in overdue {
            let silence = observed(rules::OPEN_ACTIVE, "silence", index, trace, "<SEQ=ISS><CTL=SYN>");
            self.findings.push(Finding { cause: Some(connect.4), seen: "no SYN was sent".to_owned(), ..silence });
        }
    }

    fn judge(&mut self, tuple: Tuple, event: usize, kind: Kind, stream: usize, trace: &Trace) {
        let entry = Entry { event, kind, settled: self.settled, stream };
        let Some(connection) = self.connections.get_mut(&tuple) else { return };
        connection.nagle_free |= self.nagle_free.contains(&tuple.local.port());
        let judged = connection.judge(entry, trace, &self.profile);
        self.stats.most_hypotheses = self.stats.most_hypotheses.max(connection.hypotheses.len());
        if entry.kind == Kind::Emit {
            if connection.unjudged.is_some() {
                self.stats.unjudged += 1;
            } else {
                self.stats.judged += 1;
            }
            self.licences.extend(judged.licence.map(|licence| (entry.event, licence)));
        }
        self.findings.extend(judged.findings);
    }
}

/// A violation at an event of the trace, of no connection so far.
pub(super) fn observed(rule: RuleId, kind: &'static str, event: usize, trace: &Trace, allowed: &str) -> Finding {
    Finding {
        rule,
        suspects: Vec::new(),
        class: Class::Violates,
        state: State::Closed,
        tuple: None,
        event,
        cause: None,
        at: trace.events[event].at,
        kind,
        seen: explain::seen(&trace.events[event], None),
        allowed: vec![allowed.to_owned()],
    }
}
