//! The sockets API of the kernel, in the form that every target speaks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::libc::linger;
use nix::sys::socket::{self, Backlog, MsgFlags, Shutdown, SockaddrStorage, setsockopt, sockopt};
use tcp_reference::api::{Call, CallError, CallResult, Family, How, Micros, SetOption, SocketId};
use tcp_reference::segment::Tuple;
use tcp_reference::state::State;

use super::diag::{self, Cookie};
use super::netlink::Netlink;

/// The first socket id.
const FIRST_ID: SocketId = 3;
/// The most octets that one `recv` gives.
const MOST_OCTETS: u32 = 1 << 20;
/// The most sockets between two resets.
const MOST_SOCKETS: usize = 1 << 16;

/// The network in which sockets are opened.
pub(super) trait Network {
    /// A non-blocking TCP socket.
    fn socket(&mut self, family: Family) -> Result<OwnedFd, Errno>;

    /// What asks about connections.
    fn diag(&mut self) -> &mut Netlink;

    /// Changes what Linux has for a network, not for a socket, by its path below `/proc/sys/net`; [`CallResult::Unsupported`] where the
    /// network is not ours to change.
    fn switch(&mut self, path: &'static str, on: bool) -> Result<CallResult, CallError>;
}

/// The addresses that sockets have, IPv4 first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    /// Where listeners listen.
    pub(super) listen: [IpAddr; 2],
    /// Whence connections are opened.
    pub(super) local: [IpAddr; 2],
    /// Whither.
    pub(super) remote: [IpAddr; 2],
}

/// Any address of the host, IPv4 first.
pub(super) const ANY: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];

/// The sockets of one network by their ids.
#[derive(Debug)]
pub(super) struct Sockets {
    entries: Vec<Entry>,
    ends: Ends,
}

#[derive(Debug)]
enum Entry {
    /// A listener; `None` once closed.
    Listener(Option<TcpListener>),
    Connection(Connection),
}

#[derive(Debug)]
struct Connection {
    /// `None` after `close` or `abort`.
    stream: Option<TcpStream>,
    tuple: Tuple,
    /// `None` when the kernel did not know it any more when it was given.
    cookie: Option<Cookie>,
    /// What ended it, which the kernel tells once.
    ended: Option<CallError>,
    /// Whether the user has shut down sending.
    shut: bool,
}

impl Sockets {
    /// None yet.
    pub(super) fn new(ends: Ends) -> Sockets {
        Sockets { entries: Vec::new(), ends }
    }

    /// Does a user call.
    pub(super) fn call(&mut self, network: &mut impl Network, call: &Call) -> CallResult {
        let result = match call {
            Call::Listen { port, family, backlog } => self.listen(network, *port, *family, *backlog),
            Call::Accept { socket } => self.accept(network, *socket),
            Call::Connect { port, remote_port, family } => self.connect(network, *port, *remote_port, *family),
            Call::Send { socket, data, urgent } => self.connection(*socket).and_then(|c| c.send(data, *urgent)),
            Call::Recv { socket, max } => self.connection(*socket).and_then(|c| c.recv(*max)),
            Call::Shutdown { socket, how } => self.connection(*socket).and_then(|c| c.shutdown(*how)),
            Call::Close { socket } => self.close(*socket, Ending::Close),
            Call::Abort { socket } => self.close(*socket, Ending::Abort),
            Call::Set { socket, option } => self.set(network, *socket, *option),
            Call::State { socket } => self.state(network, *socket),
        };
        result.unwrap_or_else(CallResult::Error)
    }

    /// Gives up every socket, so that none outlives this: listeners drop what nobody accepted, connections with a descriptor abort when
    /// it is closed, and the others, TIME-WAIT too, are destroyed.
    ///
    /// # Errors
    /// The kernel could not destroy one of them.
    pub(super) fn give_up(&mut self, network: &mut impl Network) -> Result<(), Errno> {
        let mut result = Ok(());
        for entry in self.entries.drain(..) {
            if let Entry::Connection(Connection { stream, tuple, cookie: Some(cookie), .. }) = entry {
                // A connection with a descriptor may be in TIME-WAIT, which the descriptor has nothing to do with any more.
                drop(stream);
                match diag::destroy(network.diag(), &tuple, cookie) {
                    // It is gone already, or another connection has its ends, which is destroyed under its own cookie.
                    Ok(()) | Err(Errno::ENOENT | Errno::ESTALE) => {}
                    Err(error) => result = Err(error),
                }
            }
        }
        result
    }

    fn listen(&mut self, network: &mut impl Network, port: u16, family: Family, backlog: u16) -> Result<CallResult, CallError> {
        if port == 0 {
            return Err(CallError::Invalid);
        }
        let fd = network.socket(family).map_err(named)?;
        let at = SocketAddr::new(self.ends.listen[usize::from(family == Family::V6)], port);
        let start = || {
            setsockopt(&fd, sockopt::ReuseAddr, &true)?;
            if family == Family::V6 {
                setsockopt(&fd, sockopt::Ipv6V6Only, &true)?;
            }
            socket::bind(fd.as_raw_fd(), &SockaddrStorage::from(at))?;
            socket::listen(&fd, Backlog::new(i32::from(backlog))?)
        };
        start().map_err(named)?;
        self.name(Entry::Listener(Some(TcpListener::from(fd)))).map(CallResult::Socket)
    }

    fn accept(&mut self, network: &mut impl Network, id: SocketId) -> Result<CallResult, CallError> {
        let listener = match self.find(id)? {
            Entry::Listener(Some(listener)) => listener,
            Entry::Listener(None) => return Err(CallError::Closed),
            Entry::Connection(_) => return Err(CallError::Invalid),
        };
        let (stream, peer) = listener.accept().map_err(|error| from_io(&error))?;
        stream.set_nonblocking(true).map_err(|error| from_io(&error))?;
        let local = stream.local_addr().map_err(|error| from_io(&error))?;
        let connection = Connection::new(network, OwnedFd::from(stream), Tuple { local, remote: peer })?;
        Ok(CallResult::Accepted { socket: self.name(Entry::Connection(connection))?, peer: Some(peer) })
    }

    fn connect(&mut self, network: &mut impl Network, port: u16, remote_port: u16, family: Family) -> Result<CallResult, CallError> {
        if port == 0 || remote_port == 0 {
            return Err(CallError::Invalid);
        }
        let side = usize::from(family == Family::V6);
        let (local, remote) = (SocketAddr::new(self.ends.local[side], port), SocketAddr::new(self.ends.remote[side], remote_port));
        let fd = network.socket(family).map_err(named)?;
        // So that the port may have listeners besides (RFC 9293 MUST-42).
        setsockopt(&fd, sockopt::ReuseAddr, &true).map_err(named)?;
        socket::bind(fd.as_raw_fd(), &SockaddrStorage::from(local)).map_err(named)?;
        match socket::connect(fd.as_raw_fd(), &SockaddrStorage::from(remote)) {
            Ok(()) | Err(Errno::EINPROGRESS) => {}
            Err(error) => return Err(named(error)),
        }
        let connection = Connection::new(network, fd, Tuple { local, remote })?;
        self.name(Entry::Connection(connection)).map(CallResult::Socket)
    }

    fn close(&mut self, id: SocketId, ending: Ending) -> Result<CallResult, CallError> {
        match self.find(id)? {
            Entry::Listener(listener) => *listener = None,
            Entry::Connection(connection) => match (connection.stream.take(), ending) {
                (Some(stream), Ending::Close) => set_linger(&stream, false).map_err(named)?,
                // There is no call that aborts what has been closed: the descriptor is gone.
                (None, Ending::Abort) => return Err(CallError::Closed),
                (Some(_), Ending::Abort) | (None, Ending::Close) => {}
            },
        }
        Ok(CallResult::Done)
    }

    fn set(&mut self, network: &mut impl Network, id: SocketId, option: SetOption) -> Result<CallResult, CallError> {
        match self.find(id)? {
            Entry::Listener(None) => Err(CallError::Closed),
            Entry::Listener(Some(listener)) => match option {
                // The kernel has these for a network, not for a socket; each target has a namespace of its own.
                SetOption::Timestamps(on) => network.switch("ipv4/tcp_timestamps", on),
                SetOption::Sack(on) => network.switch("ipv4/tcp_sack", on),
                SetOption::WindowScale(on) => network.switch("ipv4/tcp_window_scaling", on),
                SetOption::Mss(mss) => done(setsockopt(listener, sockopt::TcpMaxSeg, &u32::from(mss))),
                SetOption::Dscp(_) | SetOption::HopLimit(_) => {
                    let v4 = listener.local_addr().map_err(|error| from_io(&error))?.is_ipv4();
                    set_plain(listener, option, v4)
                }
                SetOption::NoDelay(_) | SetOption::AckDelay(_) | SetOption::KeepAlive(_) | SetOption::Timeout(_) => {
                    set_plain(listener, option, true)
                }
            },
            Entry::Connection(connection) => connection
                .stream
                .as_ref()
                .map_or(Ok(CallResult::Done), |stream| set_plain(stream, option, connection.tuple.local.is_ipv4())),
        }
    }

    fn state(&mut self, network: &mut impl Network, id: SocketId) -> Result<CallResult, CallError> {
        let state = match self.find(id)? {
            Entry::Listener(Some(_)) => State::Listen,
            Entry::Listener(None) => State::Closed,
            Entry::Connection(connection) => {
                let found = diag::look_up(network.diag(), &connection.tuple).map_err(named)?;
                found.filter(|f| Some(f.cookie) == connection.cookie).map_or(State::Closed, |f| f.state)
            }
        };
        Ok(CallResult::State(state))
    }

    fn name(&mut self, entry: Entry) -> Result<SocketId, CallError> {
        if self.entries.len() >= MOST_SOCKETS {
            return Err(CallError::NoBuffer);
        }
        self.entries.push(entry);
        SocketId::try_from(self.entries.len() - 1).map(|n| n + FIRST_ID).map_err(|_| CallError::NoBuffer)
    }

    fn find(&mut self, id: SocketId) -> Result<&mut Entry, CallError> {
        let index = id.checked_sub(FIRST_ID).and_then(|n| usize::try_from(n).ok());
        index.and_then(|n| self.entries.get_mut(n)).ok_or(CallError::Invalid)
    }

    fn connection(&mut self, id: SocketId) -> Result<&mut Connection, CallError> {
        match self.find(id)? {
            Entry::Connection(connection) => Ok(connection),
            Entry::Listener(_) => Err(CallError::NotConnected),
        }
    }
}

/// Which of the two ends of a descriptor.
#[derive(Clone, Copy)]
enum Ending {
    Close,
    Abort,
}

impl Connection {
    /// Takes a socket in. Until the user closes it, it lingers for no time, so that whatever ends the process aborts it.
    fn new(network: &mut impl Network, fd: OwnedFd, tuple: Tuple) -> Result<Connection, CallError> {
        let stream = TcpStream::from(fd);
        set_linger(&stream, true).map_err(named)?;
        let cookie = diag::look_up(network.diag(), &tuple).map_err(named)?.map(|found| found.cookie);
        Ok(Connection { stream: Some(stream), tuple, cookie, ended: None, shut: false })
    }

    fn send(&mut self, data: &[u8], urgent: bool) -> Result<CallResult, CallError> {
        let stream = self.stream.as_ref().ok_or(CallError::Closed)?;
        if let Some(error) = &self.ended {
            return Err(error.clone());
        }
        let urgent = if urgent { MsgFlags::MSG_OOB } else { MsgFlags::empty() };
        match socket::send(stream.as_raw_fd(), data, MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT | urgent) {
            Ok(count) => Ok(CallResult::Count(u32::try_from(count).unwrap_or(u32::MAX))),
            Err(error) => Err(self.failed(error)),
        }
    }

    fn recv(&mut self, max: u32) -> Result<CallResult, CallError> {
        let stream = self.stream.as_ref().ok_or(CallError::Closed)?;
        if max == 0 {
            return Err(CallError::Invalid);
        }
        let mut data = vec![0; usize::try_from(max.min(MOST_OCTETS)).unwrap_or(0)];
        let received = socket::recv(stream.as_raw_fd(), &mut data, MsgFlags::MSG_DONTWAIT);
        match (received, &self.ended) {
            (Ok(count), _) if count > 0 => {
                data.truncate(count);
                Ok(CallResult::Data(data))
            }
            (_, Some(error)) => Err(error.clone()),
            (Ok(_), None) => Ok(CallResult::Eof),
            (Err(error), None) => Err(self.failed(error)),
        }
    }

    fn shutdown(&mut self, how: How) -> Result<CallResult, CallError> {
        let Some(stream) = &self.stream else { return Ok(CallResult::Done) };
        let (how, shuts) = match how {
            How::Read => (Shutdown::Read, false),
            How::Write => (Shutdown::Write, true),
            How::Both => (Shutdown::Both, true),
        };
        socket::shutdown(stream.as_raw_fd(), how).map_err(named)?;
        self.shut |= shuts;
        Ok(CallResult::Done)
    }

    /// The error by its name; one that ended the connection is kept. The kernel says EPIPE for an RST that came in CLOSE-WAIT as well as
    /// for sending after `shutdown`.
    fn failed(&mut self, error: Errno) -> CallError {
        let name = match error {
            Errno::EPIPE if !self.shut => CallError::Reset,
            _ => named(error),
        };
        match name {
            CallError::Refused | CallError::Reset | CallError::TimedOut | CallError::Other(_) => self.ended = Some(name.clone()),
            CallError::WouldBlock
            | CallError::NotConnected
            | CallError::Closed
            | CallError::AddressInUse
            | CallError::NoBuffer
            | CallError::Invalid => {}
        }
        name
    }
}

/// Options that the kernel has for a socket.
fn set_plain(socket: &impl std::os::fd::AsFd, option: SetOption, v4: bool) -> Result<CallResult, CallError> {
    const SECOND: Micros = 1_000_000;
    match option {
        SetOption::NoDelay(on) => done(setsockopt(socket, sockopt::TcpNoDelay, &on)),
        SetOption::KeepAlive(None) => done(setsockopt(socket, sockopt::KeepAlive, &false)),
        SetOption::KeepAlive(Some(us)) if us >= SECOND && us.is_multiple_of(SECOND) => {
            let seconds = u32::try_from(us / SECOND).map_err(|_| CallError::Invalid)?;
            done(
                setsockopt(socket, sockopt::KeepAlive, &true)
                    .and_then(|()| setsockopt(socket, sockopt::TcpKeepIdle, &seconds))
                    .and_then(|()| setsockopt(socket, sockopt::TcpKeepInterval, &seconds)),
            )
        }
        SetOption::Timeout(us) => {
            let milliseconds = u32::try_from(us.unwrap_or(0).div_ceil(1000)).map_err(|_| CallError::Invalid)?;
            done(setsockopt(socket, sockopt::TcpUserTimeout, &milliseconds))
        }
        // The kernel keeps the low two bits, which are ECN's, to itself.
        SetOption::Dscp(dscp) if v4 => done(setsockopt(socket, sockopt::Ipv4Tos, &(i32::from(dscp) << 2))),
        SetOption::Dscp(dscp) => done(setsockopt(socket, sockopt::Ipv6TClass, &(i32::from(dscp) << 2))),
        SetOption::HopLimit(ttl) if v4 => done(setsockopt(socket, sockopt::Ipv4Ttl, &i32::from(ttl))),
        SetOption::HopLimit(ttl) => done(setsockopt(socket, sockopt::Ipv6Ttl, &i32::from(ttl))),
        // The kernel has no such option for a socket, or only before its SYN has left.
        SetOption::KeepAlive(Some(_))
        | SetOption::AckDelay(_)
        | SetOption::Timestamps(_)
        | SetOption::Sack(_)
        | SetOption::WindowScale(_)
        | SetOption::Mss(_) => Ok(CallResult::Unsupported),
    }
}

pub(super) fn done(result: Result<(), Errno>) -> Result<CallResult, CallError> {
    result.map(|()| CallResult::Done).map_err(named)
}

/// With linger for no time, closing the last descriptor is RFC 9293's ABORT.
fn set_linger(stream: &TcpStream, on: bool) -> Result<(), Errno> {
    setsockopt(stream, sockopt::Linger, &linger { l_onoff: i32::from(on), l_linger: 0 })
}

fn from_io(error: &std::io::Error) -> CallError {
    error.raw_os_error().map_or_else(|| CallError::Other(error.to_string()), |raw| named(Errno::from_raw(raw)))
}

fn named(error: Errno) -> CallError {
    match error {
        Errno::EAGAIN => CallError::WouldBlock,
        Errno::ECONNREFUSED => CallError::Refused,
        Errno::ECONNRESET | Errno::ECONNABORTED => CallError::Reset,
        Errno::ETIMEDOUT => CallError::TimedOut,
        Errno::ENOTCONN => CallError::NotConnected,
        Errno::EPIPE => CallError::Closed,
        Errno::EADDRINUSE | Errno::EADDRNOTAVAIL => CallError::AddressInUse,
        Errno::ENOBUFS | Errno::ENOMEM | Errno::EMFILE | Errno::ENFILE => CallError::NoBuffer,
        Errno::EINVAL => CallError::Invalid,
        other => CallError::Other(other.desc().to_owned()),
    }
}
