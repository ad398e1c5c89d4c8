//! What an application over smoltcp must remember of a connection, because smoltcp does not.

use std::net::SocketAddr;

use smoltcp::iface::SocketHandle;
use smoltcp::socket::tcp;
use smoltcp::time::Duration;
use tcp_reference::api::{CallError, Micros};
use tcp_reference::state::State;

use super::BUFFER;

/// What made smoltcp change a socket's state.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// A segment that arrived.
    Arrival,
    /// A timer, or the sending of what was queued.
    Timer,
}

/// How far the user has closed a connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum User {
    /// Not at all.
    Open,
    /// CLOSE, and still reads.
    ShutWrite,
    /// `shutdown(both)`: CLOSE; what came before can still be read.
    ShutBoth,
    /// `close` or `abort`: nothing but `state` has a meaning.
    Gone,
}

/// A connection, or a socket in LISTEN that may become one.
pub(super) struct Connection {
    /// smoltcp's socket.
    pub(super) handle: SocketHandle,
    /// The peer, once there was one.
    pub(super) peer: Option<SocketAddr>,
    /// Its state when it was last looked at.
    pub(super) state: State,
    /// What ended it, as later calls tell it.
    pub(super) ended: Option<CallError>,
    /// How far the user has closed it.
    pub(super) user: User,
    /// Whether the peer's FIN was taken in.
    pub(super) peer_closed: bool,
    /// Whether there was text that the user had not read.
    pub(super) unread: bool,
}

impl Connection {
    pub(super) fn new(handle: SocketHandle, state: State) -> Connection {
        Connection { handle, peer: None, state, ended: None, user: User::Open, peer_closed: false, unread: false }
    }

    /// Takes note of the socket's state after something happened.
    pub(super) fn observe(&mut self, socket: &tcp::Socket<'_>, cause: Cause) {
        let (before, after) = (self.state, state_of(socket));
        if after == State::Closed && before != State::Closed && self.user != User::Gone {
            self.ended = how_it_ended(before, cause);
        }
        self.peer = socket.remote_endpoint().map(|end| SocketAddr::new(end.addr.into(), end.port)).or(self.peer);
        self.peer_closed |= matches!(after, State::CloseWait | State::LastAck | State::Closing | State::TimeWait);
        if before != State::TimeWait || after != State::Closed {
            // The end of TIME-WAIT discards what was not read; that there was something must not be forgotten.
            self.unread = socket.can_recv();
        }
        self.state = after;
    }
}

/// Why a socket became CLOSED without the user's ABORT. A connection that had both FINs acknowledged did not fail.
fn how_it_ended(before: State, cause: Cause) -> Option<CallError> {
    match (before, cause) {
        (State::SynSent | State::SynReceived, Cause::Arrival) => Some(CallError::Refused),
        // RFC 9293 section 3.10.7.4: a RST in CLOSING or LAST-ACK tells the user nothing, for the peer's FIN has come.
        (State::Closed | State::Listen | State::TimeWait, _) | (State::LastAck | State::Closing, Cause::Arrival) => None,
        (State::Established | State::FinWait1 | State::FinWait2 | State::CloseWait, Cause::Arrival) => Some(CallError::Reset),
        (_, Cause::Timer) => Some(CallError::TimedOut),
    }
}

/// Options as an application sets them before the socket is used.
#[derive(Clone, Copy, Default)]
pub(super) struct Options {
    pub(super) nodelay: Option<bool>,
    pub(super) timestamps: bool,
    pub(super) ack_delay: Option<Option<Micros>>,
    pub(super) keep_alive: Option<Micros>,
    pub(super) timeout: Option<Micros>,
}

impl Options {
    /// A fresh smoltcp socket with these options.
    pub(super) fn socket(&self) -> tcp::Socket<'static> {
        let buffer = || tcp::SocketBuffer::new(vec![0; BUFFER]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        self.apply(&mut socket);
        socket
    }

    /// Sets what was chosen; the rest stays as smoltcp has it.
    pub(super) fn apply(&self, socket: &mut tcp::Socket<'_>) {
        if let Some(nodelay) = self.nodelay {
            socket.set_nagle_enabled(!nodelay);
        }
        if self.timestamps {
            socket.set_tsval_generator(Some(super::stack::tsval));
        }
        if let Some(delay) = self.ack_delay {
            socket.set_ack_delay(delay.map(Duration::from_micros));
        }
        if self.keep_alive.is_some() {
            socket.set_keep_alive(self.keep_alive.map(Duration::from_micros));
        }
        if self.timeout.is_some() {
            socket.set_timeout(self.timeout.map(Duration::from_micros));
        }
    }
}

/// smoltcp's state by the RFC's name.
pub(super) fn state_of(socket: &tcp::Socket<'_>) -> State {
    match socket.state() {
        tcp::State::Closed => State::Closed,
        tcp::State::Listen => State::Listen,
        tcp::State::SynSent => State::SynSent,
        tcp::State::SynReceived => State::SynReceived,
        tcp::State::Established => State::Established,
        tcp::State::FinWait1 => State::FinWait1,
        tcp::State::FinWait2 => State::FinWait2,
        tcp::State::CloseWait => State::CloseWait,
        tcp::State::Closing => State::Closing,
        tcp::State::LastAck => State::LastAck,
        tcp::State::TimeWait => State::TimeWait,
    }
}
