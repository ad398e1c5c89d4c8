//! Snapshots of what the relation permits: a change of it is one readable diff.

#[path = "section_3_10_7/notation.rs"]
#[allow(dead_code)]
mod notation;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use notation::{BASES, Setup, ways};
use tcp_reference::api::{Call, CallResult, Family, How, SocketId};
use tcp_reference::profile::SECOND;
use tcp_reference::segment::{Flags, Segment, Tuple};
use tcp_reference::seq::Seq;
use tcp_reference::stack::{Policy, Stack};
use tcp_reference::state::State;

/// Every state of section 3.10.7, SYN-RECEIVED by the way it was reached.
fn setups() -> Vec<Setup> {
    let mut all: Vec<Setup> = State::ALL.into_iter().map(Setup::new).collect();
    all.insert(4, Setup::new(State::SynReceived).passive());
    all
}

/// A segment of each class, with a window of 100 octets; `nxt` is SND.NXT relative to SND.UNA.
fn stimuli(nxt: u32) -> Vec<(&'static str, String)> {
    let s = |name, text: &str| (name, text.replace("nxt+1", &(nxt + 1).to_string()).replace("nxt", &nxt.to_string()));
    vec![
        s("RST at RCV.NXT", "R 0"),
        s("RST in window", "R 50"),
        s("RST outside", "R 100"),
        s("RST, ACK of all", "R. 0 ack nxt"),
        s("SYN in window", "S 0"),
        s("SYN outside", "S -1"),
        s("SYN, ACK of all", "S. 0 ack nxt"),
        s("SYN, future ACK", "S. 0 ack nxt+1"),
        s("no ACK", "- 0(10)"),
        s("ACK again", ". 0 ack 0"),
        s("ACK of all", ". 0 ack nxt"),
        s("future ACK", ". 0 ack nxt+1"),
        s("ancient ACK", ". 0 ack -1001"),
        s("ACK outside", ". -5 ack 0"),
        s("text, ACK of all", ". 0(10) ack nxt"),
        s("text beyond RCV.NXT", ". 10(10) ack nxt"),
        s("text outside", ". 100(10) ack nxt"),
        s("FIN, ACK again", "F. 0 ack 0"),
        s("FIN, ACK of all", "F. 0 ack nxt"),
        s("FIN again", "F. -1 ack nxt"),
    ]
}

/// The state that a way leads to.
fn next(way: &str, from: State) -> State {
    let named = way.split_once("-> ").and_then(|(_, rest)| State::from_name(rest.split(' ').next().unwrap_or_default()));
    named.unwrap_or(from)
}

#[test]
fn transitions() {
    let mut text = String::new();
    for setup in setups() {
        let _ = writeln!(text, "{}", setup.name);
        // Stimuli that lead to the same states stand in one line.
        let mut lines: BTreeMap<Vec<State>, Vec<&str>> = BTreeMap::new();
        for (name, segment) in stimuli(setup.flight) {
            let states: BTreeSet<State> = ways(&setup, &segment, BASES[0]).iter().map(|w| next(w, setup.state)).collect();
            lines.entry(states.into_iter().collect()).or_default().push(name);
        }
        for (states, names) in lines {
            let states: Vec<&str> = states.iter().map(|s| s.name()).collect();
            let _ = writeln!(text, "  -> {:<28} {}", states.join(" | "), names.join("; "));
        }
    }
    insta::assert_snapshot!("transitions", text);
}

#[test]
fn permitted_replies() {
    let mut text = String::new();
    for setup in setups() {
        let _ = writeln!(text, "{}", setup.name);
        for (name, segment) in stimuli(setup.flight) {
            let _ = writeln!(text, "  {name:<20} {segment:<18} {}", ways(&setup, &segment, BASES[0]).join(" | "));
        }
    }
    insta::assert_snapshot!("permitted_replies", text);
}

/// Figure 5, as the reference stack walks it.
#[test]
fn state_graph() {
    let mut edges = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut queue = VecDeque::from([Walk::new()]);
    while let Some(walk) = queue.pop_front() {
        for cause in CAUSES {
            let mut after = walk.clone();
            let Some(sent) = after.step(cause) else { continue };
            let (from, to) = (walk.state(), after.state());
            // A listener that is still served stands behind a connection that is gone; only SYN-RECEIVED returns to it.
            let gone = to == State::Listen && !matches!(from, State::Closed | State::Listen | State::SynReceived);
            let to = if gone { State::Closed } else { to };
            if from != to {
                edges.insert((from, cause, sent, to));
            }
            if seen.insert(after.place()) {
                queue.push_back(after);
            }
        }
    }
    let mut text = String::new();
    for (from, cause, sent, to) in edges {
        let _ = writeln!(text, "{:<12} -> {:<12} {cause:<18} {}", from.name(), to.name(), if sent.is_empty() { "-" } else { &sent });
    }
    insta::assert_snapshot!("state_graph", text);
}

const CAUSES: [&str; 11] = [
    "passive OPEN",
    "active OPEN",
    "CLOSE",
    "ABORT",
    "rcv SYN",
    "rcv SYN,ACK",
    "rcv ACK",
    "rcv FIN",
    "rcv FIN, ACK of FIN",
    "rcv RST",
    "2MSL",
];

/// The reference stack and a peer that can say anything.
#[derive(Clone)]
struct Walk {
    stack: Stack,
    listener: Option<SocketId>,
    socket: Option<SocketId>,
    /// The number after the last one that the stack sent, and its ISS.
    end: Seq,
    iss: Seq,
    /// What the peer sends next.
    next: Seq,
    fin_sent: bool,
}

const TUPLE: Tuple = Tuple {
    local: SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 80),
    remote: SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), 81),
};
const IRS: Seq = Seq(1000);

impl Walk {
    fn new() -> Walk {
        let stack = Stack::new(Policy { ack_delay: 0, ..Policy::default() }, None, 0);
        Walk { stack, listener: None, socket: None, end: Seq(0), iss: Seq(0), next: IRS, fin_sent: false }
    }

    fn state(&self) -> State {
        self.stack.state(&TUPLE)
    }

    /// What tells one place of the walk from another.
    fn place(&self) -> (State, bool, bool, bool, u32) {
        (self.state(), self.listener.is_some(), self.socket.is_some(), self.fin_sent, self.end.since(self.iss))
    }

    fn call(&mut self, call: &Call) -> CallResult {
        self.stack.call(call, |_| (TUPLE.local.ip(), TUPLE.remote.ip()))
    }

    /// Does one thing; what the stack sent for it, by its flags. `None` where it makes no sense.
    fn step(&mut self, cause: &str) -> Option<String> {
        let segment = |seq: Seq, flags: Flags| Segment::control(seq, flags).with_window(1000);
        match cause {
            "passive OPEN" if self.listener.is_none() && self.socket.is_none() => {
                let CallResult::Socket(socket) = self.call(&Call::Listen { port: 80, family: Family::V4, backlog: 4 }) else { return None };
                self.listener = Some(socket);
            }
            "active OPEN" if self.listener.is_none() && self.socket.is_none() => {
                let CallResult::Socket(socket) = self.call(&Call::Connect { port: 80, remote_port: 81, family: Family::V4 }) else {
                    return None;
                };
                self.socket = Some(socket);
            }
            "CLOSE" | "ABORT" => {
                if self.state() == State::Listen {
                    let socket = self.listener.take()?;
                    self.call(&Call::Close { socket });
                } else {
                    let socket = self.connection()?;
                    let call = if cause == "CLOSE" { Call::Shutdown { socket, how: How::Write } } else { Call::Abort { socket } };
                    self.call(&call);
                }
            }
            "rcv SYN" if self.next == IRS => {
                self.next = IRS + 1;
                self.stack.arrive(TUPLE, &segment(IRS, Flags::SYN));
            }
            "rcv SYN,ACK" if self.next == IRS && self.end != self.iss => {
                self.next = IRS + 1;
                self.stack.arrive(TUPLE, &segment(IRS, Flags::SYN).with_ack(self.end));
            }
            "rcv ACK" if self.next != IRS => self.stack.arrive(TUPLE, &segment(self.next, Flags::NONE).with_ack(self.end)),
            "rcv FIN" | "rcv FIN, ACK of FIN" if self.next != IRS && !self.fin_sent => {
                let ack = if cause == "rcv FIN" { self.iss + 1 } else { self.end };
                if cause != "rcv FIN" && ack == self.iss + 1 {
                    return None;
                }
                self.stack.arrive(TUPLE, &segment(self.next, Flags::FIN).with_ack(ack));
                self.next += 1;
                self.fin_sent = true;
            }
            "rcv RST" if self.end != self.iss => {
                let rst = segment(self.next, Flags::RST);
                self.stack.arrive(TUPLE, &if self.next == IRS { rst.with_ack(self.end) } else { rst });
            }
            "2MSL" if self.state() == State::TimeWait => self.stack.advance_to(self.stack.now() + 61 * SECOND),
            _ => return None,
        }
        let mut sent = Vec::new();
        for departure in self.stack.departures() {
            let s = departure.segment;
            if s.is_syn() {
                self.iss = s.seq;
                self.end = s.seq;
            }
            self.end = self.end.max(s.end());
            sent.push(s.flags.to_string());
        }
        Some(sent.join(" "))
    }

    /// The connection's socket, accepted where it must be.
    fn connection(&mut self) -> Option<SocketId> {
        if self.socket.is_none() {
            let socket = self.listener?;
            if let CallResult::Accepted { socket, .. } = self.call(&Call::Accept { socket }) {
                self.socket = Some(socket);
            }
        }
        self.socket
    }
}
