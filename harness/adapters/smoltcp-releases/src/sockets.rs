//! The sockets API over smoltcp's sockets.

use std::net::SocketAddr;

use tcp_harness::targets::{LOCAL, REMOTE};
use tcp_reference::api::{Call, CallError, CallResult, Family, How, SocketId};
use tcp_reference::state::State;

use crate::engine::{Buffer, Engine, Handle, Socket};

/// The first socket id.
const FIRST_ID: usize = 3;
/// Octets of each buffer.
const BUFFER: usize = 65_535;
/// The most sockets between two resets: each costs 128 KiB.
const MOST_SOCKETS: usize = 1024;

/// What made smoltcp change a socket's state.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    Arrival,
    Timer,
}

struct Connection {
    handle: Handle,
    state: State,
    /// What ended it.
    ended: Option<CallError>,
    /// Whether the peer's FIN was taken.
    peer_closed: bool,
    /// Whether the user has closed it for sending, or for all.
    shut: bool,
    gone: bool,
    /// The listener that it belongs to until it is accepted.
    waits_at: Option<usize>,
}

struct Listener {
    port: u16,
    backlog: usize,
    open: bool,
}

/// What an id stands for: an index.
#[derive(Clone, Copy)]
enum Id {
    Listener(usize),
    Connection(usize),
}

/// A fresh stack with what an application over it remembers.
pub(crate) struct Sockets {
    pub(crate) engine: Engine,
    connections: Vec<Connection>,
    listeners: Vec<Listener>,
    ids: Vec<Id>,
}

impl Sockets {
    pub(crate) fn new(seed: u64) -> Sockets {
        Sockets { engine: Engine::new(seed), connections: Vec::new(), listeners: Vec::new(), ids: Vec::new() }
    }

    /// Lets the stack run, and takes note of what became of its connections.
    pub(crate) fn poll(&mut self, cause: Cause) {
        self.engine.poll();
        for c in &mut self.connections {
            let (before, after) = (c.state, self.engine.with(c.handle, |s| state(s)));
            if after == State::Closed && before != State::Closed && !c.gone {
                c.ended = how_it_ended(before, cause);
            }
            c.peer_closed |= matches!(after, State::CloseWait | State::LastAck | State::Closing | State::TimeWait);
            c.state = after;
        }
        (0..self.listeners.len()).for_each(|index| self.fill_backlog(index));
    }

    pub(crate) fn perform(&mut self, call: &Call) -> Result<CallResult, CallError> {
        match call {
            Call::Listen { port, backlog, .. } => self.listen(*port, *backlog),
            Call::Accept { socket } => self.accept(*socket),
            Call::Connect { port, remote_port, family } => self.connect(*port, *remote_port, *family),
            Call::Send { urgent: true, .. } | Call::Set { .. } => Ok(CallResult::Unsupported),
            Call::Send { socket, data, .. } => self.send(*socket, data),
            Call::Recv { socket, max } => self.recv(*socket, *max),
            Call::Shutdown { how: How::Read, .. } => Ok(CallResult::Unsupported),
            Call::Shutdown { socket, .. } => self.end(*socket, false, Socket::close),
            Call::Close { socket } => self.end(*socket, true, Socket::close),
            Call::Abort { socket } => self.end(*socket, true, Socket::abort),
            Call::State { socket } => Ok(CallResult::State(match self.find(*socket)? {
                Id::Listener(index) if self.listeners[index].open => State::Listen,
                Id::Listener(_) => State::Closed,
                Id::Connection(index) => self.connections[index].state,
            })),
        }
    }

    fn listen(&mut self, port: u16, backlog: u16) -> Result<CallResult, CallError> {
        if port == 0 {
            return Err(CallError::Invalid);
        }
        if self.listeners.iter().any(|l| l.open && l.port == port) {
            return Err(CallError::AddressInUse);
        }
        self.listeners.push(Listener { port, backlog: usize::from(backlog.max(1)), open: true });
        self.fill_backlog(self.listeners.len() - 1);
        self.name(Id::Listener(self.listeners.len() - 1))
    }

    fn accept(&mut self, id: SocketId) -> Result<CallResult, CallError> {
        let Id::Listener(listener) = self.find(id)? else { return Err(CallError::Invalid) };
        let ready = |c: &Connection| c.waits_at == Some(listener) && !half_open(c.state) && c.state != State::Closed;
        let index = self.connections.iter().position(ready).ok_or(CallError::WouldBlock)?;
        self.connections[index].waits_at = None;
        let CallResult::Socket(socket) = self.name(Id::Connection(index))? else { return Err(CallError::NoBuffer) };
        Ok(CallResult::Accepted { socket, peer: None })
    }

    fn connect(&mut self, port: u16, remote_port: u16, family: Family) -> Result<CallResult, CallError> {
        let side = usize::from(family == Family::V6);
        let (local, remote) = (SocketAddr::new(LOCAL[side], port), SocketAddr::new(REMOTE[side], remote_port));
        if self.listeners.iter().any(|l| l.open && l.port == port) {
            return Err(CallError::AddressInUse);
        }
        let index = self.add(None).ok_or(CallError::NoBuffer)?;
        if !self.engine.connect(self.connections[index].handle, remote, local) {
            return Err(CallError::Invalid);
        }
        self.connections[index].state = State::SynSent;
        self.name(Id::Connection(index))
    }

    fn send(&mut self, id: SocketId, data: &[u8]) -> Result<CallResult, CallError> {
        let c = self.connection(id)?;
        match (&c.ended, c.state) {
            _ if c.gone => Err(CallError::Closed),
            (Some(error), _) => Err(error.clone()),
            _ if c.shut => Err(CallError::Closed),
            (None, State::Established | State::CloseWait) => {
                let handle = c.handle;
                match self.engine.with(handle, |s| s.send_slice(data)) {
                    Ok(0) => Err(CallError::WouldBlock),
                    Ok(count) => Ok(CallResult::Count(u32::try_from(count).unwrap_or(u32::MAX))),
                    Err(_) => Err(CallError::NotConnected),
                }
            }
            (None, state) if half_open(state) => Err(CallError::WouldBlock),
            (None, _) => Err(CallError::NotConnected),
        }
    }

    fn recv(&mut self, id: SocketId, max: u32) -> Result<CallResult, CallError> {
        let c = self.connection(id)?;
        let (handle, state, gone, ended, peer_closed) = (c.handle, c.state, c.gone, c.ended.clone(), c.peer_closed);
        if gone || max == 0 {
            return Err(if gone { CallError::Closed } else { CallError::Invalid });
        }
        if half_open(state) {
            return Err(CallError::WouldBlock);
        }
        let data = self.engine.with(handle, |s| {
            let mut data = vec![0; s.recv_queue().min(usize::try_from(max).unwrap_or(usize::MAX))];
            let count = if s.can_recv() { s.recv_slice(&mut data).unwrap_or(0) } else { 0 };
            data.truncate(count);
            data
        });
        match (data.is_empty(), ended, peer_closed) {
            (false, _, _) => Ok(CallResult::Data(data)),
            (true, Some(error), _) => Err(error),
            (true, None, true) => Ok(CallResult::Eof),
            (true, None, false) if state == State::Closed => Err(CallError::NotConnected),
            (true, None, false) => Err(CallError::WouldBlock),
        }
    }

    fn end(&mut self, id: SocketId, gone: bool, how: fn(&mut Socket)) -> Result<CallResult, CallError> {
        match self.find(id)? {
            Id::Listener(listener) => {
                self.listeners[listener].open = false;
                for c in self.connections.iter_mut().filter(|c| c.waits_at == Some(listener)) {
                    c.gone = true;
                    self.engine.with(c.handle, Socket::abort);
                }
            }
            Id::Connection(index) => {
                let c = &mut self.connections[index];
                if !gone && !c.gone && c.state == State::Closed {
                    return Err(CallError::NotConnected);
                }
                if !c.gone {
                    (c.shut, c.gone) = (true, gone);
                    // Seen at once, so that CLOSE in SYN-SENT is not taken for an error later.
                    c.state = self.engine.with(c.handle, |s| {
                        how(s);
                        state(s)
                    });
                }
            }
        }
        Ok(CallResult::Done)
    }

    /// Puts one more socket in LISTEN where there is none and the backlog has room.
    fn fill_backlog(&mut self, listener: usize) {
        let Listener { port, backlog, open } = self.listeners[listener];
        let mine = |c: &&Connection| c.waits_at == Some(listener) && c.state != State::Closed;
        let waiting = self.connections.iter().filter(mine).count();
        let listening = self.connections.iter().filter(mine).any(|c| c.state == State::Listen);
        if open
            && !listening
            && waiting < backlog
            && let Some(index) = self.add(Some(listener))
        {
            let c = &mut self.connections[index];
            c.state = self.engine.with(c.handle, |s| {
                let _port_is_not_0 = s.listen(port);
                state(s)
            });
        }
    }

    fn add(&mut self, waits_at: Option<usize>) -> Option<usize> {
        if self.connections.len() >= MOST_SOCKETS {
            return None;
        }
        let buffer = || Buffer::new(vec![0; BUFFER]);
        let handle = self.engine.add(Socket::new(buffer(), buffer()));
        let state = State::Closed;
        self.connections.push(Connection { handle, state, ended: None, peer_closed: false, shut: false, gone: false, waits_at });
        Some(self.connections.len() - 1)
    }

    fn name(&mut self, id: Id) -> Result<CallResult, CallError> {
        self.ids.push(id);
        SocketId::try_from(self.ids.len() - 1 + FIRST_ID).map(CallResult::Socket).map_err(|_| CallError::NoBuffer)
    }

    fn find(&self, id: SocketId) -> Result<Id, CallError> {
        let index = usize::try_from(id).ok().and_then(|id| id.checked_sub(FIRST_ID));
        index.and_then(|n| self.ids.get(n)).copied().ok_or(CallError::Invalid)
    }

    fn connection(&self, id: SocketId) -> Result<&Connection, CallError> {
        match self.find(id)? {
            Id::Connection(index) => Ok(&self.connections[index]),
            Id::Listener(_) => Err(CallError::NotConnected),
        }
    }
}

fn half_open(state: State) -> bool {
    matches!(state, State::Listen | State::SynSent | State::SynReceived)
}

/// smoltcp's state: its releases all give it the RFC's name.
fn state(socket: &Socket) -> State {
    let name = socket.state().to_string();
    State::ALL.into_iter().find(|s| s.name() == name).unwrap_or(State::Closed)
}

/// Why a socket became CLOSED without the user's doing.
fn how_it_ended(before: State, cause: Cause) -> Option<CallError> {
    match (before, cause) {
        (State::SynSent | State::SynReceived, Cause::Arrival) => Some(CallError::Refused),
        (State::Closed | State::Listen | State::TimeWait, _) | (State::LastAck | State::Closing, Cause::Arrival) => None,
        (_, Cause::Arrival) => Some(CallError::Reset),
        (_, Cause::Timer) => Some(CallError::TimedOut),
    }
}
