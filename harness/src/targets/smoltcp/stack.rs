//! The sockets API over smoltcp's sockets.

use std::cell::Cell;
use std::collections::VecDeque;
use std::net::IpAddr;

use smoltcp::iface::{Config, Interface, PollResult, SocketSet};
use smoltcp::socket::tcp;
use smoltcp::time::Instant;
use smoltcp::wire::{HardwareAddress, IpCidr, IpEndpoint};
use tcp_reference::api::{Call, CallError, CallResult, Family, How, Micros, SetOption, SocketId};
use tcp_reference::state::State;

use super::connection::{Cause, Connection, Options, User, state_of};
use super::device::Link;
use crate::target::{NextTimer, Reply, TargetError};
use crate::targets::{FLOOD, LOCAL, PREFIX, REMOTE};

/// The first socket id.
const FIRST_ID: SocketId = 3;
/// The most connections and listeners between two resets: each costs 128 KiB.
const MOST_SOCKETS: usize = 1024;
/// The most times that one request may visit a timer.
const MOST_TIMERS: usize = 100_000;

thread_local! {
    /// Milliseconds of the virtual clock, for smoltcp's timestamp generator, which takes no argument.
    static TSVAL: Cell<u32> = const { Cell::new(0) };
}

/// The timestamp clock of RFC 7323, one tick a millisecond.
pub(super) fn tsval() -> u32 {
    TSVAL.get()
}

/// A fresh smoltcp with what an application over it remembers.
pub(super) struct Stack {
    now: Micros,
    link: Link,
    interface: Interface,
    sockets: SocketSet<'static>,
    connections: Vec<Connection>,
    listeners: Vec<Listener>,
    /// What each id stands for, from [`FIRST_ID`] on.
    ids: Vec<Id>,
}

/// What an id stands for: an index.
#[derive(Clone, Copy)]
enum Id {
    Listener(usize),
    Connection(usize),
}

struct Listener {
    port: u16,
    backlog: usize,
    options: Options,
    open: bool,
    /// Connections in LISTEN or half-open.
    pending: Vec<usize>,
    /// Connections that `accept` may give, in the order in which they were established.
    ready: VecDeque<usize>,
}

impl Stack {
    pub(super) fn new(seed: u64) -> Stack {
        let mut link = Link::default();
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = seed;
        let mut interface = Interface::new(config, &mut link, Instant::ZERO);
        interface.update_ip_addrs(|addresses| {
            for (local, prefix) in LOCAL.into_iter().zip(PREFIX) {
                let _room_for_two = addresses.push(IpCidr::new(local.into(), prefix));
            }
        });
        for gateway in REMOTE {
            let _room_for_two = match gateway {
                IpAddr::V4(a) => interface.routes_mut().add_default_ipv4_route(a),
                IpAddr::V6(a) => interface.routes_mut().add_default_ipv6_route(a),
            };
        }
        TSVAL.set(0);
        let sockets = SocketSet::new(Vec::new());
        Stack { now: 0, link, interface, sockets, connections: Vec::new(), listeners: Vec::new(), ids: Vec::new() }
    }

    /// Everything that left since the last reply, and what comes next.
    pub(super) fn reply<T>(&mut self, value: T) -> Reply<T> {
        let next_timer = match self.next_poll() {
            None => NextTimer::Never,
            Some(at) if at > self.now => NextTimer::At(at),
            // smoltcp wants to be polled at once and yet does nothing when it is.
            Some(_) => NextTimer::Unknown,
        };
        Reply { value, packets: std::mem::take(&mut self.link.out), now: self.now, next_timer }
    }

    pub(super) fn deliver(&mut self, datagrams: &[Vec<u8>]) -> Result<(), TargetError> {
        for datagram in datagrams {
            self.link.put(datagram);
            let now = self.instant();
            self.interface.poll_ingress_single(now, &mut self.link, &mut self.sockets);
            self.observe(Cause::Arrival);
            self.check_flood()?;
        }
        self.settle()
    }

    pub(super) fn advance(&mut self, us: Micros) -> Result<(), TargetError> {
        let target = self.now.saturating_add(us);
        for _ in 0..MOST_TIMERS {
            match self.next_poll() {
                None => break,
                Some(at) if at > target => break,
                Some(at) if at > self.now => self.now = at,
                // Wants to be polled all the time: go on in small steps, so that its timers still fire about when they should.
                Some(_) if self.now >= target => break,
                Some(_) => self.now = target.min(self.now + 1000.max((target - self.now) / 1000)),
            }
            self.settle()?;
        }
        if self.next_poll().is_some_and(|at| at > self.now && at <= target) {
            return Err(TargetError::Flood(format!("{MOST_TIMERS} timers within {us} us")));
        }
        self.now = target;
        self.settle()
    }

    pub(super) fn call(&mut self, call: &Call) -> Result<CallResult, TargetError> {
        let result = self.answer(call).unwrap_or_else(CallResult::Error);
        self.settle()?;
        Ok(result)
    }

    fn answer(&mut self, call: &Call) -> Result<CallResult, CallError> {
        match call {
            // As applications over smoltcp do it: by port, whatever the address, so that odd destinations reach TCP too.
            Call::Listen { port, family: _, backlog } => self.listen(*port, *backlog),
            Call::Accept { socket } => self.accept(*socket),
            Call::Connect { port, remote_port, family } => self.connect(*port, *remote_port, *family),
            Call::Send { socket, data, urgent } => self.send(*socket, data, *urgent),
            Call::Recv { socket, max } => self.recv(*socket, *max),
            Call::Shutdown { socket, how } => self.shutdown(*socket, *how),
            Call::Close { socket } => self.close(*socket),
            Call::Abort { socket } => self.abort(*socket),
            Call::Set { socket, option } => self.set(*socket, *option),
            Call::State { socket } => self.state(*socket),
        }
    }

    fn listen(&mut self, port: u16, backlog: u16) -> Result<CallResult, CallError> {
        if port == 0 {
            return Err(CallError::Invalid);
        }
        if self.listeners.iter().any(|l| l.open && l.port == port) {
            return Err(CallError::AddressInUse);
        }
        let listener = Listener {
            port,
            backlog: usize::from(backlog.max(1)),
            options: Options::default(),
            open: true,
            pending: Vec::new(),
            ready: VecDeque::new(),
        };
        self.listeners.push(listener);
        self.fill_backlog(self.listeners.len() - 1);
        self.name(Id::Listener(self.listeners.len() - 1)).map(CallResult::Socket)
    }

    fn accept(&mut self, id: SocketId) -> Result<CallResult, CallError> {
        let Id::Listener(index) = self.find(id)? else { return Err(CallError::Invalid) };
        let listener = self.listeners.get_mut(index).ok_or(CallError::Invalid)?;
        if !listener.open {
            return Err(CallError::Closed);
        }
        let connection = listener.ready.pop_front().ok_or(CallError::WouldBlock)?;
        self.fill_backlog(index);
        let peer = self.connections.get(connection).and_then(|c| c.peer);
        Ok(CallResult::Accepted { socket: self.name(Id::Connection(connection))?, peer })
    }

    fn connect(&mut self, port: u16, remote_port: u16, family: Family) -> Result<CallResult, CallError> {
        let side = usize::from(family == Family::V6);
        let (local, remote) = (IpEndpoint::new(LOCAL[side].into(), port), IpEndpoint::new(REMOTE[side].into(), remote_port));
        let listening = self.listeners.iter().any(|l| l.open && l.port == port);
        let same = |s: &tcp::Socket<'_>| {
            s.state() != tcp::State::Closed && s.local_endpoint() == Some(local) && s.remote_endpoint() == Some(remote)
        };
        let connected = self.sockets.iter().any(|(_, smoltcp::socket::Socket::Tcp(socket))| same(socket));
        if listening || connected {
            return Err(CallError::AddressInUse);
        }
        if self.connections.len() >= MOST_SOCKETS {
            return Err(CallError::NoBuffer);
        }
        let mut socket = Options::default().socket();
        socket.connect(self.interface.context(), remote, local).map_err(|_| CallError::Invalid)?;
        let connection = self.add(socket);
        self.name(Id::Connection(connection)).map(CallResult::Socket)
    }

    fn send(&mut self, id: SocketId, data: &[u8], urgent: bool) -> Result<CallResult, CallError> {
        let index = self.find_connection(id)?;
        let connection = &self.connections[index];
        if connection.user == User::Gone {
            return Err(CallError::Closed);
        }
        if let Some(error) = &connection.ended {
            return Err(error.clone());
        }
        if connection.user != User::Open {
            return Err(CallError::Closed);
        }
        if urgent {
            return Ok(CallResult::Unsupported);
        }
        let socket = self.connection_socket(index)?;
        match state_of(socket) {
            State::Established | State::CloseWait => match socket.send_slice(data) {
                Ok(0) if !data.is_empty() => Err(CallError::WouldBlock),
                Ok(count) => Ok(CallResult::Count(u32::try_from(count).unwrap_or(u32::MAX))),
                Err(tcp::SendError::InvalidState) => Err(CallError::NotConnected),
            },
            State::SynSent | State::SynReceived | State::Listen => Err(CallError::WouldBlock),
            State::Closed => Err(CallError::NotConnected),
            State::FinWait1 | State::FinWait2 | State::Closing | State::LastAck | State::TimeWait => Err(CallError::Closed),
        }
    }

    fn recv(&mut self, id: SocketId, max: u32) -> Result<CallResult, CallError> {
        let index = self.find_connection(id)?;
        if max == 0 {
            return Err(CallError::Invalid);
        }
        if self.connections[index].user == User::Gone {
            return Err(CallError::Closed);
        }
        let socket = self.connection_socket(index)?;
        let state = state_of(socket);
        if matches!(state, State::SynSent | State::SynReceived | State::Listen) {
            return Err(CallError::WouldBlock);
        }
        if socket.can_recv() {
            let mut data = vec![0; socket.recv_queue().min(usize::try_from(max).unwrap_or(usize::MAX))];
            let count = socket.recv_slice(&mut data).map_err(|e| CallError::Other(e.to_string()))?;
            data.truncate(count);
            return Ok(CallResult::Data(data));
        }
        let connection = &self.connections[index];
        match (&connection.ended, connection.peer_closed) {
            (Some(error), _) => Err(error.clone()),
            (None, true) if connection.unread => Err(CallError::Other("what was not read is gone with the end of TIME-WAIT".to_owned())),
            (None, true) => Ok(CallResult::Eof),
            (None, false) if state == State::Closed => Err(CallError::NotConnected),
            (None, false) if connection.user == User::ShutBoth => Ok(CallResult::Eof),
            (None, false) => Err(CallError::WouldBlock),
        }
    }

    fn shutdown(&mut self, id: SocketId, how: How) -> Result<CallResult, CallError> {
        let index = self.find_connection(id)?;
        let user = match how {
            // smoltcp cannot end one direction of reading.
            How::Read => return Ok(CallResult::Unsupported),
            How::Write => User::ShutWrite,
            How::Both => User::ShutBoth,
        };
        let connection = &mut self.connections[index];
        if connection.user != User::Gone {
            if connection.state == State::Closed {
                return Err(CallError::NotConnected);
            }
            connection.user = connection.user.max(user);
            let socket = self.connection_socket(index)?;
            socket.close();
            // Seen at once, so that CLOSE in SYN-SENT is not taken for an error later.
            let state = state_of(socket);
            self.connections[index].state = state;
        }
        Ok(CallResult::Done)
    }

    fn close(&mut self, id: SocketId) -> Result<CallResult, CallError> {
        match self.find(id)? {
            Id::Listener(index) => self.close_listener(index),
            Id::Connection(index) => {
                if self.connections[index].user != User::Gone {
                    self.connections[index].user = User::Gone;
                    self.connection_socket(index)?.close();
                }
                Ok(CallResult::Done)
            }
        }
    }

    fn abort(&mut self, id: SocketId) -> Result<CallResult, CallError> {
        match self.find(id)? {
            Id::Listener(index) => self.close_listener(index),
            Id::Connection(index) => {
                self.connections[index].user = User::Gone;
                self.connection_socket(index)?.abort();
                Ok(CallResult::Done)
            }
        }
    }

    /// Ends the listener; connections that nobody has accepted are aborted (RFC 9293 section 3.10.4 knows none such; sockets APIs do this).
    fn close_listener(&mut self, index: usize) -> Result<CallResult, CallError> {
        let listener = self.listeners.get_mut(index).ok_or(CallError::Invalid)?;
        listener.open = false;
        let mut orphans = std::mem::take(&mut listener.pending);
        orphans.extend(std::mem::take(&mut listener.ready));
        for orphan in orphans {
            self.connections[orphan].user = User::Gone;
            self.connection_socket(orphan)?.abort();
        }
        Ok(CallResult::Done)
    }

    fn set(&mut self, id: SocketId, option: SetOption) -> Result<CallResult, CallError> {
        let found = self.find(id)?;
        let mut options = match found {
            Id::Listener(index) => self.listeners[index].options,
            Id::Connection(_) => Options::default(),
        };
        match option {
            SetOption::NoDelay(on) => options.nodelay = Some(on),
            SetOption::AckDelay(delay) => options.ack_delay = Some(delay),
            SetOption::KeepAlive(interval) => options.keep_alive = interval,
            SetOption::Timeout(timeout) => options.timeout = timeout,
            // Only before the SYN, which is when a listener's sockets get it.
            SetOption::Timestamps(on) if matches!(found, Id::Listener(_)) => options.timestamps = on,
            SetOption::HopLimit(0) => return Err(CallError::Invalid),
            SetOption::HopLimit(ttl) => {
                let Id::Connection(index) = found else { return Ok(CallResult::Unsupported) };
                self.connection_socket(index)?.set_hop_limit(Some(ttl));
                return Ok(CallResult::Done);
            }
            SetOption::Timestamps(_) | SetOption::Sack(_) | SetOption::WindowScale(_) | SetOption::Mss(_) | SetOption::Dscp(_) => {
                return Ok(CallResult::Unsupported);
            }
        }
        let sockets = match found {
            Id::Listener(index) => {
                self.listeners[index].options = options;
                self.listeners[index].pending.clone()
            }
            Id::Connection(index) => vec![index],
        };
        for index in sockets {
            let socket = self.connection_socket(index)?;
            options.apply(socket);
            match option {
                SetOption::KeepAlive(None) => socket.set_keep_alive(None),
                SetOption::Timeout(None) => socket.set_timeout(None),
                SetOption::Timestamps(false) => socket.set_tsval_generator(None),
                _ => {}
            }
        }
        Ok(CallResult::Done)
    }

    fn state(&mut self, id: SocketId) -> Result<CallResult, CallError> {
        Ok(CallResult::State(match self.find(id)? {
            Id::Listener(index) if self.listeners[index].open => State::Listen,
            Id::Listener(_) => State::Closed,
            Id::Connection(index) => self.connections[index].state,
        }))
    }

    /// Lets smoltcp send until it has nothing more to send now.
    fn settle(&mut self) -> Result<(), TargetError> {
        let now = self.instant();
        while self.interface.poll_egress(now, &mut self.link, &mut self.sockets) == PollResult::SocketStateChanged {
            self.observe(Cause::Timer);
            self.check_flood()?;
        }
        // A timer may end a connection without sending anything.
        self.observe(Cause::Timer);
        Ok(())
    }

    fn check_flood(&self) -> Result<(), TargetError> {
        if self.link.out.len() > FLOOD {
            return Err(TargetError::Flood(format!("more than {FLOOD} datagrams in one request, at {} us", self.now)));
        }
        Ok(())
    }

    /// Looks at every connection that may have changed, and keeps the backlogs filled.
    fn observe(&mut self, cause: Cause) {
        for connection in &mut self.connections {
            if connection.state != State::Closed {
                let socket = self.sockets.get_mut::<tcp::Socket<'_>>(connection.handle);
                connection.observe(socket, cause);
                if connection.state == State::Closed && connection.user == User::Gone && socket.remote_endpoint().is_none() {
                    // Nothing will be read or sent any more: give the buffers back.
                    *socket = tcp::Socket::new(tcp::SocketBuffer::new(Vec::new()), tcp::SocketBuffer::new(Vec::new()));
                }
            }
        }
        for index in 0..self.listeners.len() {
            self.sort_pending(index);
            self.fill_backlog(index);
        }
    }

    /// Moves a listener's connections from half-open to ready, and forgets those that died.
    fn sort_pending(&mut self, index: usize) {
        let listener = &mut self.listeners[index];
        let connections = &self.connections;
        listener.pending.retain(|&c| match connections[c].state {
            State::Listen | State::SynReceived => true,
            State::Closed => false,
            _ => {
                listener.ready.push_back(c);
                false
            }
        });
    }

    /// Puts one more socket in LISTEN where there is none and the backlog has room. smoltcp gives a segment to the first socket that
    /// wants it; a new one comes last, so that connections are asked before it.
    fn fill_backlog(&mut self, index: usize) {
        let listener = &self.listeners[index];
        let waiting = listener.pending.len() + listener.ready.len();
        let listening = listener.pending.iter().any(|&c| self.connections[c].state == State::Listen);
        if !listener.open || listening || waiting >= listener.backlog || self.connections.len() >= MOST_SOCKETS {
            return;
        }
        let mut socket = listener.options.socket();
        if socket.listen(listener.port).is_ok() {
            let connection = self.add(socket);
            self.listeners[index].pending.push(connection);
        }
    }

    fn add(&mut self, socket: tcp::Socket<'static>) -> usize {
        let state = state_of(&socket);
        let handle = self.sockets.add(socket);
        self.connections.push(Connection::new(handle, state));
        self.connections.len() - 1
    }

    fn name(&mut self, id: Id) -> Result<SocketId, CallError> {
        self.ids.push(id);
        SocketId::try_from(self.ids.len() - 1).map(|n| n + FIRST_ID).map_err(|_| CallError::NoBuffer)
    }

    fn find(&self, id: SocketId) -> Result<Id, CallError> {
        let index = id.checked_sub(FIRST_ID).and_then(|n| usize::try_from(n).ok());
        index.and_then(|n| self.ids.get(n)).copied().ok_or(CallError::Invalid)
    }

    fn find_connection(&self, id: SocketId) -> Result<usize, CallError> {
        match self.find(id)? {
            Id::Connection(index) => Ok(index),
            Id::Listener(_) => Err(CallError::NotConnected),
        }
    }

    fn connection_socket(&mut self, index: usize) -> Result<&mut tcp::Socket<'static>, CallError> {
        let connection = self.connections.get(index).ok_or(CallError::Invalid)?;
        Ok(self.sockets.get_mut(connection.handle))
    }

    fn next_poll(&mut self) -> Option<Micros> {
        let now = self.instant();
        self.interface.poll_at(now, &self.sockets).map(|at| at.total_micros().max(0).unsigned_abs())
    }

    /// The clock as smoltcp wants it; sets the timestamp clock too.
    fn instant(&self) -> Instant {
        TSVAL.set(u32::try_from(self.now / 1000 % (1 << 32)).unwrap_or(0));
        Instant::from_micros(i64::try_from(self.now).unwrap_or(i64::MAX))
    }
}
