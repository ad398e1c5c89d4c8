//! The user's side: calls and their results, in the form that every target speaks (RFC 9293 section 3.9.1 by way of the sockets API).

use std::fmt;
use std::net::SocketAddr;

use crate::state::State;

/// Microseconds of the target's own clock; 0 at its last reset.
pub type Micros = u64;

/// As good as endless: longer than any run, and still to be added to any time.
pub(crate) const ENDLESS: Micros = 1 << 50;

/// The target's name for a socket; never used again before a reset.
pub type SocketId = u32;

/// IP version.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Family::V4 => "4",
            Family::V6 => "6",
        })
    }
}

/// Which directions `shutdown` ends.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum How {
    /// Nobody reads any more.
    Read,
    /// RFC 9293 CLOSE: "I have no more data to send"; the user still reads.
    Write,
    /// Both.
    Both,
}

/// A socket option with its value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SetOption {
    /// Nagle's algorithm off.
    NoDelay(bool),
    /// Timestamps offered.
    Timestamps(bool),
    /// SACK offered.
    Sack(bool),
    /// Window scaling offered.
    WindowScale(bool),
    /// Delayed ACK interval in microseconds; `None` switches the delay off.
    AckDelay(Option<Micros>),
    /// Keep-alive interval in microseconds; `None` switches keep-alives off.
    KeepAlive(Option<Micros>),
    /// User timeout (R2) in microseconds; `None` restores the default.
    Timeout(Option<Micros>),
    /// Maximum segment size offered, octets.
    Mss(u16),
    /// The DS codepoint of segments, six bits.
    Dscp(u8),
    /// IPv4's time to live, IPv6's hop limit of segments.
    HopLimit(u8),
}

impl SetOption {
    /// The option with an interval that can be added to any time.
    pub(crate) fn within_reach(self) -> SetOption {
        let bounded = |interval: Option<Micros>| interval.map(|us| us.min(ENDLESS));
        match self {
            SetOption::AckDelay(us) => SetOption::AckDelay(bounded(us)),
            SetOption::KeepAlive(us) => SetOption::KeepAlive(bounded(us)),
            SetOption::Timeout(us) => SetOption::Timeout(bounded(us)),
            SetOption::NoDelay(_)
            | SetOption::Timestamps(_)
            | SetOption::Sack(_)
            | SetOption::WindowScale(_)
            | SetOption::Mss(_)
            | SetOption::Dscp(_)
            | SetOption::HopLimit(_) => self,
        }
    }
}

/// A user call.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Call {
    /// Passive OPEN.
    Listen {
        /// Local port.
        port: u16,
        /// IP version.
        family: Family,
        /// Connections that may be half-open or wait for `accept` together.
        backlog: u16,
    },
    /// Takes the next connection from a listener.
    Accept {
        /// The listener.
        socket: SocketId,
    },
    /// Active OPEN; never waits.
    Connect {
        /// Local port.
        port: u16,
        /// Remote port.
        remote_port: u16,
        /// IP version.
        family: Family,
    },
    /// SEND.
    Send {
        /// The connection.
        socket: SocketId,
        /// The octets offered.
        data: Vec<u8>,
        /// RFC 9293's URGENT flag.
        urgent: bool,
    },
    /// RECEIVE.
    Recv {
        /// The connection.
        socket: SocketId,
        /// The most octets wanted.
        max: u32,
    },
    /// Half-close; `Write` is RFC 9293 CLOSE.
    Shutdown {
        /// The connection.
        socket: SocketId,
        /// Which directions end.
        how: How,
    },
    /// The sockets API's `close`: CLOSE, and nobody reads any more.
    Close {
        /// The connection or listener.
        socket: SocketId,
    },
    /// RFC 9293 ABORT.
    Abort {
        /// The connection.
        socket: SocketId,
    },
    /// Sets an option.
    Set {
        /// The socket.
        socket: SocketId,
        /// Option and value.
        option: SetOption,
    },
    /// STATUS, its state alone.
    State {
        /// The socket.
        socket: SocketId,
    },
}

impl Call {
    /// The socket that it is made on.
    #[must_use]
    pub fn socket(&self) -> Option<SocketId> {
        match self {
            Call::Listen { .. } | Call::Connect { .. } => None,
            Call::Accept { socket }
            | Call::Send { socket, .. }
            | Call::Recv { socket, .. }
            | Call::Shutdown { socket, .. }
            | Call::Close { socket }
            | Call::Abort { socket }
            | Call::Set { socket, .. }
            | Call::State { socket } => Some(*socket),
        }
    }
}

/// What a call returned.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum CallResult {
    /// A new socket (listen, connect).
    Socket(SocketId),
    /// A new socket from `accept`, with the peer where the target tells it.
    Accepted {
        /// The connection's socket.
        socket: SocketId,
        /// The peer's end.
        peer: Option<SocketAddr>,
    },
    /// Octets taken by `send`.
    Count(u32),
    /// Octets given by `recv`, at least one.
    Data(Vec<u8>),
    /// `recv`: the peer has closed and everything was read.
    Eof,
    /// Done.
    Done,
    /// The state of the socket.
    State(State),
    /// An error.
    Error(CallError),
    /// The stack has no such call or option.
    Unsupported,
}

/// An error that a call returned.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum CallError {
    /// Nothing to be had now.
    WouldBlock,
    /// The connection was refused.
    Refused,
    /// The connection was reset.
    Reset,
    /// The connection timed out.
    TimedOut,
    /// There is no connection.
    NotConnected,
    /// The connection is closing.
    Closed,
    /// The port is in use.
    AddressInUse,
    /// No resources.
    NoBuffer,
    /// The call or its socket id made no sense.
    Invalid,
    /// Something else, in the stack's words.
    Other(String),
}

impl CallError {
    /// The errors that have a name of their own, with it, as the target protocol spells them.
    pub const NAMED: [(CallError, &'static str); 9] = [
        (CallError::WouldBlock, "would-block"),
        (CallError::Refused, "refused"),
        (CallError::Reset, "reset"),
        (CallError::TimedOut, "timed-out"),
        (CallError::NotConnected, "not-connected"),
        (CallError::Closed, "closed"),
        (CallError::AddressInUse, "address-in-use"),
        (CallError::NoBuffer, "no-buffer"),
        (CallError::Invalid, "invalid"),
    ];
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let CallError::Other(text) = self {
            return write!(f, "other: {text}");
        }
        let name = CallError::NAMED.iter().find(|(e, _)| e == self).map_or("invalid", |(_, name)| name);
        f.write_str(name)
    }
}
