//! The second judge: reads a trace by itself and checks what needs no model of TCP's states.
//!
//! It imports nothing from the relation, so a misreading that stack and oracle share does not hide from it. It says what always holds.

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;

use crate::api::{Call, CallResult, Family, How, Micros, SocketId};
use crate::catalogue::RuleId;
use crate::finding::{Class, Finding};
use crate::segment::{Flags, Segment, Tuple};
use crate::seq::Seq;
use crate::state::State;
use crate::trace::{Arrival, Event, Trace, What, WireDefect};

/// Checks a whole trace taken at the stack. A finding's state is only CLOSED (the stack has sent no SYN to the peer) or ESTABLISHED (it has).
#[must_use]
pub fn lint(trace: &Trace) -> Vec<Finding> {
    let mut linter = Linter::default();
    for (index, event) in trace.events.iter().enumerate() {
        linter.event = index;
        linter.at = event.at;
        match &event.what {
            What::Arrive { tuple, arrival: Arrival::Segment(segment) } => {
                linter.connections.entry(*tuple).or_default().arrive(segment, event);
            }
            What::Emit { tuple, segment, defects } => linter.emit(*tuple, segment, defects, event),
            What::Call { call, result } => linter.call(call, result),
            What::Arrive { arrival: Arrival::Discarded(_) | Arrival::Icmp(_), .. } | What::Quiet | What::Stall => {}
        }
    }
    linter.findings
}

const MSS_ON_SYN: RuleId = RuleId("RFC9293:MUST-65");
const ACK_CURRENT: RuleId = RuleId("RFC9293:3.8/ack-always");
const STREAM: RuleId = RuleId("RFC9293:3.10.2/SEND/ESTABLISHED-CLOSE-WAIT");
const RIGHT_EDGE: RuleId = RuleId("RFC5681:2-1");
const NO_RST_TO_RST: RuleId = RuleId("RFC9293:3.5.2/rst-no-reply-to-rst");
const RST_FORM: RuleId = RuleId("RFC9293:3.5.2/rst-seq-from-ack");
const READ: RuleId = RuleId("RFC9293:3.10.3/RECEIVE/ESTABLISHED-FIN-WAIT");
const FIN_ON_CLOSE: RuleId = RuleId("RFC9293:3.10.4/CLOSE/ESTABLISHED");
const NOTHING_BEHIND_FIN: RuleId = RuleId("RFC9293:3.10.4/CLOSE/FIN-WAIT-1-2");
const SYN_BY_CALL: RuleId = RuleId("RFC9293:3.10.1/OPEN/CLOSED-active");
const SYN_ACK_BY_SYN: RuleId = RuleId("RFC9293:3.10.7.2/LISTEN/syn");
const NO_CONNECTION: RuleId = RuleId("RFC9293:3.10.7.1/CLOSED/ack");
const NOT_SHRUNK: RuleId = RuleId("RFC9293:SHLD-14");

/// A RST so long after the last arrival may have a timer of its own.
const TIMER: Micros = 500_000;

/// A rule broken, the kind of event, what is allowed.
type Fault = (RuleId, &'static str, &'static str);

#[derive(Default)]
struct Linter {
    event: usize,
    at: Micros,
    connections: BTreeMap<Tuple, Connection>,
    listeners: BTreeMap<SocketId, u16>,
    /// Sockets of active opens whose SYN has not been seen.
    connects: Vec<(SocketId, u16, u16, Family)>,
    sockets: BTreeMap<SocketId, Socket>,
    /// A connection may belong to a socket that the trace does not name, or to a listener that was closed.
    blind: bool,
    findings: Vec<Finding>,
}

/// What the user did with a socket.
#[derive(Default)]
struct Socket {
    tuple: Option<Tuple>,
    written: Vec<u8>,
    read: u32,
    closed: bool,
    /// IRS values that what was read does not fit.
    unfit: HashSet<Seq>,
}

/// What was seen between two ends.
#[derive(Default)]
struct Connection {
    /// What the peer sent, once for each SYN of its own.
    peers: Vec<Peer>,
    urgent: bool,
    own: Option<Own>,
    /// The one before, to which a stack returns where the SYN that reopened TIME-WAIT is an old duplicate (MAY-2).
    before: Option<Own>,
    socket: Option<SocketId>,
    /// A SYN has arrived that the stack has not answered with a new ISN.
    syn_arrived: bool,
    /// Resets that answer the arrivals in a state without a connection: SEQ, or ACK behind SEQ 0.
    resets: Vec<Segment>,
    /// Something besides RSTs has arrived since the stack last spoke or the user last closed anything.
    arrived: bool,
    /// When a RST arrived since then, where nothing else did.
    only_rst: Option<Micros>,
}

/// The stream that begins with one SYN of the peer's.
struct Peer {
    irs: Seq,
    scale: Option<u8>,
    window: u16,
    /// Offsets from IRS that have arrived, disjoint and in order.
    covered: Vec<(u32, u32)>,
    texts: Vec<(u32, Vec<u8>)>,
}

/// The stack's side since its last SYN with a new ISN.
struct Own {
    iss: Seq,
    scale: Option<u8>,
    /// The highest number sent, plus one.
    end: Seq,
    fin: Option<Seq>,
    acked: Option<Seq>,
    /// The highest ACK of the peer's.
    peer_ack: Seq,
    /// The right edge, as far as the peer ever advertised it.
    edge: Seq,
    /// The right edge that the stack advertised last.
    right: Option<Seq>,
}

impl Peer {
    fn arrive(&mut self, segment: &Segment) {
        let (from, skip) = (segment.seq.since(self.irs), self.irs.since(segment.seq));
        if skip < segment.len() {
            self.cover(0, segment.len() - skip);
        } else if from < 1 << 31 {
            self.cover(from, from + segment.len());
        }
        if !segment.payload.is_empty() {
            self.texts.push((segment.text_start().since(self.irs), segment.payload.clone()));
        }
    }

    fn cover(&mut self, from: u32, to: u32) {
        self.covered.push((from, to));
        self.covered.sort_unstable();
        let mut merged: Vec<(u32, u32)> = Vec::with_capacity(self.covered.len());
        for &(a, b) in &self.covered {
            match merged.last_mut() {
                Some(last) if a <= last.1 => last.1 = last.1.max(b),
                _ => merged.push((a, b)),
            }
        }
        self.covered = merged;
    }

    /// Whether everything before `ack` has arrived, the SYN counted.
    fn allows(&self, ack: Seq) -> bool {
        let n = ack.since(self.irs);
        n > 0 && self.covered.first().is_some_and(|&(from, to)| from == 0 && n <= to)
    }

    /// Whether each octet of `text` has arrived in some version at this offset of the text.
    fn holds(&self, offset: u32, text: &[u8]) -> bool {
        (offset.wrapping_add(1)..).zip(text).all(|(at, octet)| {
            self.texts.iter().any(|(from, t)| usize::try_from(at.wrapping_sub(*from)).ok().and_then(|i| t.get(i)) == Some(octet))
        })
    }
}

impl Connection {
    fn arrive(&mut self, segment: &Segment, event: &Event) {
        if segment.is_rst() {
            if !self.arrived {
                self.only_rst = Some(event.at);
            }
            return;
        }
        (self.arrived, self.only_rst) = (true, None);
        self.urgent |= segment.urgent != 0;
        self.resets.push(if segment.is_ack() { Segment::rst(segment.ack) } else { Segment::rst(Seq(0)).with_ack(segment.end()) });
        if segment.is_syn() {
            self.syn_arrived = true;
            let (irs, scale, window) = (segment.seq, segment.window_scale(), segment.window);
            if self.peers.iter().all(|p| p.irs != irs) {
                self.peers.push(Peer { irs, scale, window, covered: Vec::new(), texts: Vec::new() });
            }
        }
        for peer in &mut self.peers {
            peer.arrive(segment);
        }
        let scale = self.peers.iter().filter_map(|p| p.scale).max();
        if let Some(own) = self.own.as_mut() {
            own.hear(segment, scale);
        }
    }
}

impl Own {
    /// What an arriving segment says of the stack's own stream; an ACK of what was never sent counts for nothing.
    fn hear(&mut self, segment: &Segment, scale: Option<u8>) {
        if segment.is_syn() && !segment.is_ack() {
            self.edge = self.edge.max(self.iss + 1 + u32::from(segment.window));
        }
        if segment.is_ack() && segment.ack.ge(self.iss) && segment.ack.le(self.end) {
            let shift = if segment.is_syn() || self.scale.is_none() { 0 } else { scale.unwrap_or(0).min(14) };
            self.peer_ack = self.peer_ack.max(segment.ack);
            self.edge = self.edge.max(segment.ack + (u32::from(segment.window) << shift));
        }
    }
}

impl Linter {
    fn find(&mut self, (rule, kind, allowed): Fault, tuple: Tuple, seen: String) {
        let class = rule.entry().map_or(Class::Violates, |r| Class::of(r.level));
        let own = self.connections.get(&tuple).and_then(|c| c.own.as_ref());
        let state = own.map_or(State::Closed, |_| State::Established);
        let (tuple, event, at, allowed) = (Some(tuple), self.event, self.at, vec![allowed.to_owned()]);
        self.findings.push(Finding { rule, suspects: Vec::new(), class, state, tuple, event, cause: None, at, kind, seen, allowed });
    }

    fn emit(&mut self, tuple: Tuple, segment: &Segment, defects: &[WireDefect], event: &Event) {
        let mut faults: Vec<Fault> = Vec::new();
        for defect in defects {
            faults.push(match defect {
                WireDefect::BadChecksum => (RuleId("RFC9293:MUST-2"), "checksum", "the checksum of pseudo-header, header and text"),
                WireDefect::ReservedBits => (RuleId("RFC9293:3.1/reserved-bits"), "reserved", "zero in the reserved bits"),
                WireDefect::OptionLength => (RuleId("RFC9293:MUST-68"), "option-length", "options with a legal length"),
                WireDefect::OptionPadding => (RuleId("RFC9293:MUST-69"), "padding", "zero behind the end of the option list"),
            });
        }
        if segment.mss().is_some() && !segment.is_syn() {
            faults.push((MSS_ON_SYN, "mss", "an MSS option only with SYN"));
        }
        if segment.is_rst() {
            self.reset(tuple, segment, event, &mut faults);
        } else {
            if segment.is_syn() {
                self.syn(tuple, segment, &mut faults);
            }
            self.numbers(tuple, segment, &mut faults);
        }
        let c = self.connections.entry(tuple).or_default();
        (c.arrived, c.only_rst) = (false, None);
        for fault in faults {
            self.find(fault, tuple, segment.to_string());
        }
    }

    fn reset(&mut self, tuple: Tuple, segment: &Segment, event: &Event, faults: &mut Vec<Fault>) {
        let connection = self.connections.entry(tuple).or_default();
        if connection.only_rst.is_some_and(|at| event.from < at + TIMER) {
            faults.push((NO_RST_TO_RST, "reset-to-reset", "silence: only a RST has arrived"));
        }
        if connection.own.is_none() {
            let bits = segment.flags & Flags::CONTROL;
            let same = |r: &Segment| r.flags == bits && r.seq == segment.seq && (!r.is_ack() || r.ack == segment.ack);
            match connection.resets.iter().position(same) {
                Some(i) => drop(connection.resets.remove(i)),
                None => faults.push((RST_FORM, "reset-form", "SEQ=SEG.ACK without ACK, or SEQ=0 and ACK=SEG.SEQ+SEG.LEN")),
            }
        }
    }

    /// A SYN: the first one or its like again, or a new connection with its cause.
    fn syn(&mut self, tuple: Tuple, segment: &Segment, faults: &mut Vec<Fault>) {
        let connection = self.connections.entry(tuple).or_default();
        if let Some(own) = connection.own.as_mut().filter(|own| own.iss == segment.seq) {
            (own.acked, own.right) = (None, None);
            return;
        }
        if segment.is_ack() {
            if !std::mem::take(&mut connection.syn_arrived) {
                faults.push((SYN_ACK_BY_SYN, "syn-ack", "a SYN-ACK only in answer to a SYN, and one ISN for each connection"));
            }
            connection.socket = None;
        } else {
            let family = if tuple.local.is_ipv4() { Family::V4 } else { Family::V6 };
            let mine = |c: &(SocketId, u16, u16, Family)| (c.1, c.2, c.3) == (tuple.local.port(), tuple.remote.port(), family);
            connection.socket = self.connects.iter().position(mine).map(|i| self.connects.remove(i).0);
            match connection.socket {
                Some(socket) => self.sockets.entry(socket).or_default().tuple = Some(tuple),
                None => faults.push((SYN_BY_CALL, "syn", "a SYN only for an active OPEN, and one ISN for each")),
            }
        }
        let iss = segment.seq;
        let window = connection.peers.iter().map(|p| p.window).max().unwrap_or(0);
        let (scale, edge) = (segment.window_scale(), iss + 1 + u32::from(window));
        connection.before = connection.own.replace(Own { iss, scale, end: iss, fin: None, acked: None, peer_ack: iss, edge, right: None });
    }

    /// SEQ, ACK, text and FIN of a segment without RST.
    fn numbers(&mut self, tuple: Tuple, segment: &Segment, faults: &mut Vec<Fault>) {
        let connection = self.connections.entry(tuple).or_default();
        if connection.before.as_ref().is_some_and(|b| segment.is_empty() && segment.seq == b.end) {
            connection.own = connection.before.take();
        }
        let Some(own) = connection.own.as_mut() else {
            return faults.push((NO_CONNECTION, "no-connection", "a RST or silence: there is no connection"));
        };
        if segment.is_ack() {
            if !connection.peers.iter().any(|p| p.allows(segment.ack)) {
                faults.push((ACK_CURRENT, "ack-beyond", "an ACK of nothing but what has arrived without a gap"));
            }
            if own.acked.is_some_and(|before| segment.ack.lt(before)) {
                faults.push((ACK_CURRENT, "ack-back", "an ACK that does not fall"));
            }
            own.acked = Some(own.acked.map_or(segment.ack, |before| before.max(segment.ack)));
            let scaled = !segment.is_syn() && connection.peers.iter().any(|p| p.scale.is_some());
            let shift = if scaled { own.scale.unwrap_or(0).min(14) } else { 0 };
            let right = segment.ack + (u32::from(segment.window) << shift);
            // A scaled window is rounded down.
            if own.right.is_some_and(|before| before.gt(right + ((1 << shift) - 1))) {
                faults.push((NOT_SHRUNK, "shrunk", "a right edge that does not move left"));
            }
            own.right = Some(right);
        } else if !segment.is_syn() {
            faults.push((ACK_CURRENT, "ack-missing", "an ACK on every segment behind the SYN"));
        }
        if segment.seq.gt(own.end) {
            faults.push((STREAM, "seq-gap", "SEQ at most SND.NXT"));
        } else if segment.seq.lt(own.iss) {
            faults.push((STREAM, "seq-before", "SEQ from ISS on"));
        }
        let socket = connection.socket.and_then(|s| self.sockets.get(&s));
        let blind = self.blind && connection.socket.is_none();
        let offset = usize::try_from(segment.text_start().since(own.iss + 1)).unwrap_or(usize::MAX);
        // A keep-alive may carry one octet of anything below what the peer has acknowledged (MAY-6).
        let garbage = segment.payload.len() == 1 && segment.text_end().le(own.peer_ack);
        if !segment.payload.is_empty() && !garbage {
            let written = socket.map_or(&[][..], |s| &s.written);
            let there = written.get(offset..).and_then(|rest| rest.get(..segment.payload.len()));
            if !blind && there.is_none() {
                faults.push((STREAM, "text-beyond", "text that the user has written"));
            } else if !blind && there != Some(&segment.payload[..]) {
                faults.push((STREAM, "text", "the octets that the user wrote at this place"));
            }
            // One octet behind the edge probes a closed window.
            if segment.text_end().gt(own.edge + u32::from(segment.payload.len() == 1)) {
                faults.push((RIGHT_EDGE, "edge", "text up to the right edge that the peer advertised"));
            }
        }
        let last = segment.text_end();
        let behind = |fin: Seq| (last.gt(fin) && !segment.payload.is_empty()) || (last != fin && segment.is_fin());
        if own.fin.is_some_and(behind) {
            faults.push((NOTHING_BEHIND_FIN, "behind-fin", "nothing behind the stack's own FIN"));
        } else if segment.is_fin() {
            let closed = socket.is_some_and(|s| s.closed);
            if !closed && !blind {
                faults.push((FIN_ON_CLOSE, "fin", "a FIN only once the user has closed"));
            }
            if !blind && socket.is_some_and(|s| offset.checked_add(segment.payload.len()) != Some(s.written.len())) {
                faults.push((FIN_ON_CLOSE, "fin-place", "a FIN behind the last octet that the user wrote"));
            }
            own.fin = Some(segment.text_end());
        }
        own.end = own.end.max(segment.end());
    }

    fn call(&mut self, call: &Call, result: &CallResult) {
        match (call, result) {
            (Call::Listen { port, .. }, CallResult::Socket(socket)) => drop(self.listeners.insert(*socket, *port)),
            (Call::Connect { port, remote_port, family }, CallResult::Socket(socket)) => {
                self.connects.push((*socket, *port, *remote_port, *family));
            }
            (Call::Accept { socket: listener }, CallResult::Accepted { socket, peer }) => self.accept(*listener, *socket, *peer),
            (Call::Send { socket, data, .. }, CallResult::Count(n)) => {
                let taken = data.iter().take(usize::try_from(*n).unwrap_or(usize::MAX));
                self.sockets.entry(*socket).or_default().written.extend(taken);
            }
            (Call::Recv { socket, .. }, CallResult::Data(data)) => self.read(*socket, data),
            (Call::Shutdown { socket, how: How::Write | How::Both } | Call::Close { socket } | Call::Abort { socket }, _) => {
                self.connections.values_mut().for_each(|c| c.only_rst = None);
                self.blind |= self.listeners.contains_key(socket);
                self.sockets.entry(*socket).or_default().closed = true;
            }
            _ => {}
        }
    }

    fn accept(&mut self, listener: SocketId, socket: SocketId, peer: Option<SocketAddr>) {
        let port = self.listeners.get(&listener);
        let mine = |t: &&Tuple| Some(&t.local.port()) == port && Some(t.remote) == peer;
        let Some(tuple) = self.connections.keys().find(mine).copied() else {
            self.blind = true;
            return;
        };
        self.sockets.entry(socket).or_default().tuple = Some(tuple);
        self.connections.entry(tuple).or_default().socket = Some(socket);
    }

    /// What the application reads is a prefix of one stream of the peer's, any version of each octet.
    fn read(&mut self, id: SocketId, data: &[u8]) {
        let Some(socket) = self.sockets.get_mut(&id) else { return };
        let Some((tuple, connection)) = socket.tuple.and_then(|t| self.connections.get(&t).map(|c| (t, c))) else { return };
        let offset = socket.read;
        socket.read = offset.wrapping_add(u32::try_from(data.len()).unwrap_or(u32::MAX));
        socket.unfit.extend(connection.peers.iter().filter(|p| !p.holds(offset, data)).map(|p| p.irs));
        // Urgent octets may be taken out of the stream by the sockets API.
        if !connection.urgent && connection.peers.iter().all(|p| socket.unfit.contains(&p.irs)) {
            let fault = (READ, "read", "what the peer sent there");
            self.find(fault, tuple, format!("{} octets read at offset {offset}", data.len()));
        }
    }
}
