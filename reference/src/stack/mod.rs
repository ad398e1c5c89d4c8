//! A deterministic TCP made from the same relation that the oracle reads: a [`Policy`] picks one outcome of each event.
//!
//! It is a target like any other, the peer in tests, and with a [`Mutant`] a stack that breaks one rule on purpose. Time and ISNs are
//! arguments.

mod behaviour;
mod congestion;
mod ecn;
mod endpoint;
mod held_out;
mod icmp;
mod misread;
mod mutant;
mod mutants;
mod output;
mod policy;
mod sack;
mod scaling;
mod timestamps;
mod user;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::api::{Call, CallError, CallResult, Family, How, Micros, SetOption, SocketId};
use crate::catalogue::RuleId;
use crate::relation::{ResetForm, not_unicast};
use crate::rules;
use crate::segment::{Segment, Tuple};
use crate::seq::Seq;
use crate::state::State;
use crate::tcb::Conn;

pub use endpoint::Endpoint;
pub use held_out::HELD_OUT;
pub use mutant::{Fault, Mutant};
pub use mutants::MUTANTS;
pub use policy::Policy;

/// A segment that left the stack.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Departure {
    /// When.
    pub at: Micros,
    /// The connection's ends, the stack's own as `local`.
    pub tuple: Tuple,
    /// The segment.
    pub segment: Segment,
}

/// The reference stack.
#[derive(Clone, Debug)]
pub struct Stack {
    policy: Policy,
    mutant: Option<&'static Mutant>,
    now: Micros,
    /// Seed of the ISNs.
    seed: u64,
    opened: u32,
    sockets: Vec<Socket>,
    endpoints: BTreeMap<TupleKey, Endpoint>,
    departures: Vec<Departure>,
    /// Replies of endpoints without a TCB that a mutant holds back.
    late: Vec<Departure>,
}

/// Ends in an order of their own, so that iteration is deterministic.
type TupleKey = (std::net::SocketAddr, std::net::SocketAddr);

fn key(tuple: &Tuple) -> TupleKey {
    (tuple.local, tuple.remote)
}

/// What a socket stands for.
#[derive(Clone, Debug)]
enum Socket {
    Listener {
        port: u16,
        family: Family,
        backlog: u16,
        open: bool,
        options: Vec<SetOption>,
    },
    /// A connection; its endpoint stays when a new incarnation takes its tuple over.
    Connection {
        tuple: Tuple,
        gone: Option<Box<Endpoint>>,
    },
}

impl Stack {
    /// A stack without sockets at time 0.
    #[must_use]
    pub fn new(policy: Policy, mutant: Option<&'static Mutant>, seed: u64) -> Stack {
        Stack {
            policy,
            mutant,
            now: 0,
            seed,
            opened: 0,
            sockets: Vec::new(),
            endpoints: BTreeMap::new(),
            departures: Vec::new(),
            late: Vec::new(),
        }
    }

    /// The clock.
    #[must_use]
    pub fn now(&self) -> Micros {
        self.now
    }

    /// What left since the last call, in order.
    pub fn departures(&mut self) -> Vec<Departure> {
        std::mem::take(&mut self.departures)
    }

    /// The state of a connection by its ends.
    #[must_use]
    pub fn state(&self, tuple: &Tuple) -> State {
        let listening = self.listener(tuple).is_some();
        self.endpoints.get(&key(tuple)).map_or(if listening { State::Listen } else { State::Closed }, |e| e.conn.state(listening))
    }

    /// SEGMENT ARRIVES.
    pub fn arrive(&mut self, tuple: Tuple, segment: &Segment) {
        if segment.ip.options && self.mutated(Fault::NoReply, rules::IP_OPTIONS) {
            return;
        }
        if let Some(rule) = not_unicast(&tuple, segment) {
            if self.mutated(Fault::ResetAnyway, rule) {
                let segment = ResetForm::answering(segment).segment();
                self.departures.push(Departure { at: self.now, tuple, segment });
            }
            if !self.mutated(Fault::TakesNotUnicast, rule) {
                return;
            }
        }
        let listener = self.listener(&tuple);
        let room = listener.is_some_and(|(socket, backlog)| self.waiting(socket) < usize::from(backlog));
        let known = self.endpoints.contains_key(&key(&tuple));
        if !known && listener.is_some() && !room && segment.is_syn() && !segment.is_ack() && !segment.is_rst() {
            return;
        }
        let iss = self.isn(&tuple);
        let listener = listener.map(|(socket, _)| socket);
        let mut endpoint = self.endpoints.remove(&key(&tuple)).unwrap_or_else(|| Endpoint::new(tuple));
        let listening = listener.is_some();
        let policy = self.policy_of(listener);
        let ends_listening = match endpoint.conn.state(true) {
            State::Listen if segment.is_rst() => self.mutated(Fault::ListenerCloses, rules::LISTEN_RST),
            State::Listen => segment.is_ack() && self.mutated(Fault::ListenerCloses, rules::LISTEN_ACK),
            State::SynReceived => segment.is_rst() && self.mutated(Fault::ListenerCloses, rules::RST_EXACT.at(State::SynReceived)),
            _ => false,
        };
        let retired = endpoint.arrive(segment, listening, iss, self.now, &policy, self.mutant);
        if let Some(old) = retired {
            self.opened += 1;
            self.retire(old);
        }
        // What has returned to TIME-WAIT (RFC 9293 MAY-2) waits for nobody.
        let waits = !matches!(endpoint.conn.state(listening), State::Closed | State::Listen | State::TimeWait);
        if waits && endpoint.socket.is_none() && endpoint.listener.is_none() {
            endpoint.listener = listener;
            if let Some(Socket::Listener { options, .. }) = listener.map(|l| &self.sockets[l as usize]) {
                for option in options.clone() {
                    endpoint.set(option, self.now);
                }
            }
        }
        let ends_listening = ends_listening && endpoint.conn == Conn::Absent;
        self.settle(tuple, endpoint);
        if ends_listening && let Some(Socket::Listener { open, .. }) = listener.and_then(|l| self.sockets.get_mut(l as usize)) {
            *open = false;
        }
    }

    /// Time moves on to `to`; every timer fires at its own time.
    pub fn advance_to(&mut self, to: Micros) {
        for _ in 0..MAX_TIMERS {
            let Some(due) = self.next_timer().filter(|&t| t <= to) else { break };
            self.now = self.now.max(due);
            let now = self.now;
            let (ready, waiting) = std::mem::take(&mut self.late).into_iter().partition(|d| d.at <= now);
            self.late = waiting;
            self.departures.extend::<Vec<Departure>>(ready);
            let due: Vec<TupleKey> =
                self.endpoints.iter().filter(|(_, e)| e.next_timer().is_some_and(|t| t <= now)).map(|(k, _)| *k).collect();
            for k in due {
                if let Some(mut endpoint) = self.endpoints.remove(&k) {
                    endpoint.timers(now, &self.policy, self.mutant);
                    self.settle(endpoint.tuple, endpoint);
                }
            }
        }
        self.now = self.now.max(to);
    }

    /// When the next timer is due; nothing happens before without input.
    #[must_use]
    pub fn next_timer(&self) -> Option<Micros> {
        let timers = self.endpoints.values().filter_map(Endpoint::next_timer);
        timers.chain(self.late.iter().map(|d| d.at)).min().map(|t| t.max(self.now))
    }

    /// The policy for what comes to a listener: with timestamps or without, where its user has said so.
    fn policy_of(&self, listener: Option<SocketId>) -> Cow<'_, Policy> {
        let Some(Socket::Listener { options, .. }) = listener.and_then(|l| self.sockets.get(l as usize)) else {
            return Cow::Borrowed(&self.policy);
        };
        let said = options.iter().rev().find_map(|o| if let SetOption::Timestamps(on) = o { Some(*on) } else { None });
        match said {
            Some(timestamps) if timestamps != self.policy.timestamps => Cow::Owned(Policy { timestamps, ..self.policy.clone() }),
            _ => Cow::Borrowed(&self.policy),
        }
    }

    /// A user call with the two addresses that the host has in the call's family: local, remote.
    pub fn call(&mut self, call: &Call, addresses: impl Fn(Family) -> (std::net::IpAddr, std::net::IpAddr)) -> CallResult {
        if call.socket().is_some_and(|socket| socket as usize >= self.sockets.len()) {
            return CallResult::Error(CallError::Invalid);
        }
        match call {
            Call::Listen { port, family, backlog } => self.listen(*port, *family, *backlog),
            Call::Connect { port, remote_port, family } => {
                let (local, remote) = addresses(*family);
                self.connect(Tuple { local: (local, *port).into(), remote: (remote, *remote_port).into() })
            }
            Call::Accept { socket } => self.accept(*socket),
            Call::Send { socket, data, urgent } => {
                if matches!(self.sockets.get(*socket as usize), Some(Socket::Listener { .. }))
                    && self.mutated(Fault::Succeeds, rules::SEND_LISTEN)
                {
                    return CallResult::Count(u32::try_from(data.len()).unwrap_or(u32::MAX));
                }
                self.on_connection(*socket, CallResult::Error(CallError::NotConnected), |e, now, policy| e.send(data, *urgent, now, policy))
            }
            Call::Recv { socket, max } => {
                self.on_connection(*socket, CallResult::Error(CallError::NotConnected), |e, now, policy| e.recv(*max, now, policy))
            }
            Call::Shutdown { how: How::Read, .. } => CallResult::Done,
            Call::Shutdown { socket, how: How::Write | How::Both } => {
                self.on_connection(*socket, CallResult::Error(CallError::NotConnected), |e, now, policy| e.close(false, now, policy))
            }
            Call::Close { socket } => self.close(*socket),
            Call::Abort { socket } => self.abort(*socket),
            Call::Set { socket, option } => self.set(*socket, option.within_reach()),
            Call::State { socket } => CallResult::State(match self.status(*socket) {
                State::Established if self.mutated(Fault::Departs, rules::STATUS) => State::SynReceived,
                state => self.mutant.map_or(state, |m| m.spoil_status(state)),
            }),
        }
    }

    /// Whether a mutant does this where this rule decides.
    fn mutated(&self, fault: Fault, rule: RuleId) -> bool {
        self.mutant.is_some_and(|m| m.does(fault, rule))
    }

    fn listen(&mut self, port: u16, family: Family, backlog: u16) -> CallResult {
        let taken =
            self.sockets.iter().any(|s| matches!(s, Socket::Listener { port: p, family: f, open: true, .. } if *p == port && *f == family));
        if taken {
            if self.mutated(Fault::Closes, rules::LISTEN_DISTURBS) {
                let here = |e: &&Endpoint| e.tuple.local.port() == port && (family == Family::V4) == e.tuple.local.is_ipv4();
                let disturbed: Vec<TupleKey> = self.endpoints.values().filter(here).map(|e| key(&e.tuple)).collect();
                self.abort_each(disturbed);
            }
            return CallResult::Error(CallError::AddressInUse);
        }
        let opening = |e: &Endpoint| matches!(e.conn, Conn::SynSent(_)) && e.tuple.local.port() == port;
        if self.mutated(Fault::Fails, rules::LISTEN_BESIDE_OPENING) && self.endpoints.values().any(opening) {
            return CallResult::Error(CallError::AddressInUse);
        }
        let beside = |e: &Endpoint| self.mutant.is_some_and(|m| m.fault == Fault::FailsBeside(e.conn.state(false)));
        if self.endpoints.values().any(|e| e.tuple.local.port() == port && beside(e)) {
            return CallResult::Error(CallError::AddressInUse);
        }
        if self.mutated(Fault::Fails, rules::OPEN_PASSIVE) {
            return CallResult::Error(CallError::Refused);
        }
        self.sockets.push(Socket::Listener { port, family, backlog, open: true, options: Vec::new() });
        CallResult::Socket(self.last_socket())
    }

    fn connect(&mut self, tuple: Tuple) -> CallResult {
        if self.endpoints.get(&key(&tuple)).is_some_and(|e| e.conn != Conn::Absent) {
            if self.mutated(Fault::Succeeds, rules::OPEN_AGAIN) {
                return CallResult::Socket(self.last_socket());
            }
            if self.mutated(Fault::Closes, rules::OPEN_AGAIN) {
                self.abort_each(vec![key(&tuple)]);
            }
            return CallResult::Error(CallError::AddressInUse);
        }
        if let Some(old) = self.endpoints.remove(&key(&tuple)) {
            self.retire(old);
        }
        self.sockets.push(Socket::Connection { tuple, gone: None });
        let socket = self.last_socket();
        let iss = self.isn(&tuple);
        self.opened += 1;
        let mut endpoint = Endpoint::new(tuple);
        endpoint.socket = Some(socket);
        endpoint.open(iss, self.now, &self.policy, self.mutant);
        self.settle(tuple, endpoint);
        CallResult::Socket(socket)
    }

    fn accept(&mut self, listener: SocketId) -> CallResult {
        if !matches!(self.sockets.get(listener as usize), Some(Socket::Listener { open: true, .. })) {
            return CallResult::Error(CallError::Invalid);
        }
        let ready = |e: &&Endpoint| e.listener == Some(listener) && e.established_at.is_some();
        let next = self.endpoints.values().filter(ready).min_by_key(|e| e.established_at).map(|e| e.tuple);
        let Some(tuple) = next else { return CallResult::Error(CallError::WouldBlock) };
        self.sockets.push(Socket::Connection { tuple, gone: None });
        let socket = self.last_socket();
        if let Some(e) = self.endpoints.get_mut(&key(&tuple)) {
            e.listener = None;
            e.socket = Some(socket);
        }
        CallResult::Accepted { socket, peer: Some(tuple.remote) }
    }

    fn close(&mut self, socket: SocketId) -> CallResult {
        if let Some(Socket::Listener { open, .. }) = self.sockets.get_mut(socket as usize) {
            if self.mutant.is_some_and(|m| m.does(Fault::StaysPut, rules::CLOSE_LISTEN)) {
                return CallResult::Done;
            }
            *open = false;
            self.abort_children(socket);
            return CallResult::Done;
        }
        self.on_connection(socket, CallResult::Done, |e, now, policy| e.close(true, now, policy));
        CallResult::Done
    }

    fn abort(&mut self, socket: SocketId) -> CallResult {
        if matches!(self.sockets.get(socket as usize), Some(Socket::Listener { .. })) {
            return self.close(socket);
        }
        self.on_connection(socket, CallResult::Done, endpoint::Endpoint::abort)
    }

    fn abort_children(&mut self, listener: SocketId) {
        self.abort_each(self.endpoints.iter().filter(|(_, e)| e.listener == Some(listener)).map(|(k, _)| *k).collect());
    }

    fn abort_each(&mut self, which: Vec<TupleKey>) {
        for k in which {
            if let Some(mut e) = self.endpoints.remove(&k) {
                e.listener = None;
                e.abort(self.now, &self.policy);
                self.settle(e.tuple, e);
            }
        }
    }

    fn set(&mut self, socket: SocketId, option: SetOption) -> CallResult {
        // Whether a connection uses timestamps shows with its SYN, so only a listener can say it in time.
        let late =
            matches!(option, SetOption::Timestamps(true)) && !matches!(self.sockets.get(socket as usize), Some(Socket::Listener { .. }));
        if late || option == SetOption::Sack(true) {
            return CallResult::Unsupported;
        }
        if option == SetOption::HopLimit(0) {
            return CallResult::Error(CallError::Invalid);
        }
        if let Some(Socket::Listener { options, .. }) = self.sockets.get_mut(socket as usize) {
            // A timeout and keep-alives are a connection's own.
            if !matches!(option, SetOption::Timeout(_) | SetOption::KeepAlive(_)) {
                options.push(option);
            }
            return CallResult::Done;
        }
        self.on_connection(socket, CallResult::Error(CallError::Invalid), |e, now, _| {
            e.set(option, now);
            CallResult::Done
        })
    }

    fn status(&self, socket: SocketId) -> State {
        match self.sockets.get(socket as usize) {
            Some(Socket::Listener { open: true, .. }) => State::Listen,
            Some(Socket::Connection { tuple, gone: None }) => {
                self.endpoints.get(&key(tuple)).map_or(State::Closed, |e| e.conn.state(false))
            }
            _ => State::Closed,
        }
    }

    fn on_connection(
        &mut self,
        socket: SocketId,
        otherwise: CallResult,
        act: impl FnOnce(&mut Endpoint, Micros, &Policy) -> CallResult,
    ) -> CallResult {
        let now = self.now;
        match self.sockets.get_mut(socket as usize) {
            Some(Socket::Connection { gone: Some(endpoint), .. }) => act(endpoint, now, &self.policy),
            Some(Socket::Connection { tuple, gone: None }) => {
                let tuple = *tuple;
                let Some(mut endpoint) = self.endpoints.remove(&key(&tuple)) else { return otherwise };
                (endpoint.mutant, endpoint.now) = (self.mutant, now);
                let result = act(&mut endpoint, now, &self.policy);
                self.settle(tuple, endpoint);
                result
            }
            Some(Socket::Listener { .. }) => otherwise,
            None => CallResult::Error(CallError::Invalid),
        }
    }

    /// An endpoint's earlier incarnation: its socket keeps it.
    fn retire(&mut self, old: Endpoint) {
        let socket = old.socket.and_then(|s| self.sockets.get_mut(s as usize));
        if let Some(Socket::Connection { gone, .. }) = socket {
            *gone = Some(Box::new(old));
        }
    }

    /// Takes what an endpoint sends, and keeps the endpoint as long as it means something.
    fn settle(&mut self, tuple: Tuple, mut endpoint: Endpoint) {
        let now = self.now;
        for (delay, segment) in endpoint.outbox.drain(..) {
            let astray = !segment.is_syn() && segment.payload.is_empty() && self.mutated(Fault::OtherSource, rules::SAME_SOURCE);
            let departure = Departure { at: now + delay, tuple: if astray { beside(tuple) } else { tuple }, segment };
            if delay == 0 { self.departures.push(departure) } else { self.late.push(departure) }
        }
        let forgotten = endpoint.conn == Conn::Absent && endpoint.socket.is_none() && endpoint.established_at.is_none();
        if !forgotten {
            self.endpoints.insert(key(&tuple), endpoint);
        }
    }

    fn listener(&self, tuple: &Tuple) -> Option<(SocketId, u16)> {
        self.sockets.iter().zip(0..).find_map(|(s, id)| match s {
            Socket::Listener { port, family, backlog, open: true, .. }
                if *port == tuple.local.port() && (*family == Family::V4) == tuple.local.is_ipv4() =>
            {
                Some((id, *backlog))
            }
            _ => None,
        })
    }

    fn waiting(&self, listener: SocketId) -> usize {
        self.endpoints.values().filter(|e| e.listener == Some(listener)).count()
    }

    fn last_socket(&self) -> SocketId {
        SocketId::try_from(self.sockets.len() - 1).unwrap_or(SocketId::MAX)
    }

    /// An ISN from the seed, the connection and the 4 µs clock (RFC 9293 section 3.4.1).
    fn isn(&self, tuple: &Tuple) -> Seq {
        // A connection that begins is the next one.
        let count = self.opened + 1;
        let mut hash = self.seed ^ 0x9e37_79b9_7f4a_7c15;
        if self.mutated(Fault::Departs, rules::ISN_CLOCK) {
            hash ^= u64::from(count).wrapping_mul(0x2545_f491_4f6c_dd1d);
        }
        let tuple = if self.mutated(Fault::Departs, rules::ISN_PREDICTABLE) { &SAME } else { tuple };
        let ports = u64::from(tuple.local.port()) << 16 | u64::from(tuple.remote.port());
        for part in [ports, u64::from(tuple.local.is_ipv4())] {
            hash = (hash ^ part).wrapping_mul(0xff51_afd7_ed55_8ccd);
            hash ^= hash >> 32;
        }
        let clock = match self.policy.isn_clock {
            true if self.mutated(Fault::IsnClockStands, rules::ISN_CLOCK) => 0,
            true if self.mutated(Fault::IsnClockSlow, rules::ISN_CLOCK) => self.now / 400,
            true => self.now / 4,
            false => u64::from(count) << 20,
        };
        #[expect(clippy::cast_possible_truncation, reason = "an ISN is 32 bits of both")]
        Seq((hash as u32).wrapping_add(clock as u32).wrapping_add(count))
    }
}

/// The same ends but for the stack's own address, which is the one beside it.
fn beside(mut tuple: Tuple) -> Tuple {
    let next = match tuple.local.ip() {
        IpAddr::V4(a) => Ipv4Addr::from_bits(a.to_bits() ^ 1 << 2).into(),
        IpAddr::V6(a) => Ipv6Addr::from_bits(a.to_bits() ^ 1 << 2).into(),
    };
    tuple.local.set_ip(next);
    tuple
}

/// Every connection's ends for a mutant whose ISNs do not depend on them.
const SAME: Tuple = Tuple {
    local: std::net::SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1),
    remote: std::net::SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 2),
};
/// Most timers that one advance lets fire; a stack that needs more is in a loop.
const MAX_TIMERS: usize = 100_000;
