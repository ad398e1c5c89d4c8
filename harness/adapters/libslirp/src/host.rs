//! The host whose sockets libslirp uses: its sockets are the application's, and end in this program.
//!
//! libslirp is a TCP for a guest, and passes what it receives on to sockets of its host. Here the functions of the C library by which it does
//! so are this file's, in this program alone: nothing leaves the process, nothing depends on its kernel's buffers, and time is only what the
//! harness says. They do what Linux does, but for one thing: the application's end has no room of its own, so that text which nobody reads
//! stays with libslirp, in its receive buffer.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use libc::c_int;
use tcp_reference::api::Family;

use crate::ffi::{ERR, HUP, IN, OUT, PRI};

/// Octets that an application may have written and libslirp not read.
const QUEUE: usize = 65_535;

/// A connection between libslirp and the application.
pub(crate) type Id = usize;

#[derive(Default)]
struct Host {
    listeners: HashMap<(Family, u16), Listener>,
    connections: Vec<Connection>,
    /// What libslirp has of each of its descriptors.
    descriptors: HashMap<c_int, Descriptor>,
}

/// A listener of the application's.
struct Listener {
    backlog: usize,
    waiting: VecDeque<Id>,
}

enum Descriptor {
    /// Bound, but for one that is to connect.
    Fresh(Option<SocketAddr>),
    /// libslirp's own listener, at this address; whoever connects to it.
    Listening(SocketAddr, VecDeque<Id>),
    Connection(Id),
}

/// How far libslirp's `connect` is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Link {
    Refused,
    /// The listener's queue is full.
    Waits(Family, u16),
    /// There, and libslirp does not know yet.
    Done,
    Up,
}

struct Connection {
    link: Link,
    descriptor: Option<c_int>,
    /// libslirp was once established with its peer: what is gone before that nobody ever accepts.
    established: bool,
    /// The application's port, where it has opened the connection.
    port: u16,
    /// From the application, not read by libslirp yet.
    up: VecDeque<u8>,
    /// The application has marked what is in `up` as urgent.
    urgent: bool,
    /// To the application, not read by it yet.
    down: VecDeque<u8>,
    /// How many octets the application waits for.
    wanted: usize,
    /// The application has shut its side down, or closed it.
    shut: bool,
    closed: bool,
    /// The host's own TCP has reset it: the application has aborted, or libslirp has written to one that had closed.
    reset: bool,
    /// libslirp has shut its side down.
    ended: bool,
    /// libslirp has let it go with something unread: a reset, to the application.
    dropped: bool,
}

impl Connection {
    fn new(link: Link, port: u16) -> Connection {
        Connection {
            link,
            descriptor: None,
            established: false,
            port,
            up: VecDeque::new(),
            urgent: false,
            down: VecDeque::new(),
            wanted: 0,
            shut: false,
            closed: false,
            reset: false,
            ended: false,
            dropped: false,
        }
    }
}

thread_local! {
    static HOST: RefCell<Host> = RefCell::default();
}

/// What the application's `recv` gives.
pub(crate) enum Received {
    Data(Vec<u8>),
    Nothing,
    End,
    Reset,
}

/// The errors that libslirp's calls have, as in errno.
pub(crate) type Errno = c_int;

/// A host without sockets.
pub(crate) fn start() {
    HOST.take();
}

/// Listens; false where somebody does so already.
pub(crate) fn listen_at(family: Family, port: u16, backlog: u16) -> bool {
    HOST.with_borrow_mut(|host| {
        let free = !host.listeners.contains_key(&(family, port));
        host.listeners.entry((family, port)).or_insert(Listener { backlog: usize::from(backlog).max(1), waiting: VecDeque::new() });
        free
    })
}

/// Takes the first established connection from a listener.
pub(crate) fn take_from(family: Family, port: u16) -> Option<Id> {
    HOST.with_borrow_mut(|host| {
        let Host { listeners, connections, .. } = host;
        let waiting = &mut listeners.get_mut(&(family, port))?.waiting;
        let at = waiting.iter().position(|&id| connections.get(id).is_some_and(|c| c.established))?;
        waiting.remove(at)
    })
}

/// Those that wait to be accepted, at any listener.
pub(crate) fn waiting() -> Vec<Id> {
    HOST.with_borrow(|host| host.listeners.values().flat_map(|listener| listener.waiting.iter().copied()).collect())
}

/// libslirp's side of a connection is established.
pub(crate) fn establish(id: Id) {
    HOST.with_borrow_mut(|host| host.with(id, |c| c.established = true));
}

/// How a connection has ended, if it has: of [`Received`] what gives no data.
pub(crate) fn fate(id: Id) -> Received {
    HOST.with_borrow(|host| match host.connections.get(id) {
        Some(c) if c.dropped => Received::Reset,
        Some(c) if c.ended => Received::End,
        _ => Received::Nothing,
    })
}

/// No listener any more. What waits there is reset.
pub(crate) fn stop_listening(family: Family, port: u16) {
    HOST.with_borrow_mut(|host| {
        let waiting = host.listeners.remove(&(family, port)).map(|listener| listener.waiting).unwrap_or_default();
        for id in waiting {
            host.with(id, |c| c.reset = true);
        }
    });
}

/// Connects the application, from this port, to libslirp's listener at this address.
pub(crate) fn connect_to(listener: SocketAddr, port: u16) -> Option<Id> {
    HOST.with_borrow_mut(|host| {
        let id = host.connections.len();
        let queue = host.descriptors.values_mut().find_map(|d| match d {
            Descriptor::Listening(at, queue) if *at == listener => Some(queue),
            _ => None,
        })?;
        queue.push_back(id);
        host.connections.push(Connection::new(Link::Up, port));
        Some(id)
    })
}

/// libslirp's descriptor of a connection, while it has one.
pub(crate) fn descriptor(id: Id) -> Option<c_int> {
    HOST.with_borrow(|host| host.connections.get(id)?.descriptor)
}

/// Whether libslirp has had the connection, and has it no more.
pub(crate) fn is_over(id: Id) -> bool {
    HOST.with_borrow(|host| {
        let held = |d: &Descriptor| matches!(d, Descriptor::Listening(_, queue) if queue.contains(&id));
        host.connections.get(id).is_none_or(|c| c.descriptor.is_none()) && !host.descriptors.values().any(held)
    })
}

/// Takes octets from the application, as many as there is room for.
pub(crate) fn write(id: Id, data: &[u8], urgent: bool) -> usize {
    HOST.with_borrow_mut(|host| {
        host.with(id, |c| {
            let count = data.len().min(QUEUE.saturating_sub(c.up.len()));
            c.up.extend(&data[..count]);
            c.urgent |= urgent && count > 0;
            count
        })
        .unwrap_or(0)
    })
}

/// From now on libslirp may write as many octets as the application has asked for.
pub(crate) fn want(id: Id, most: usize) {
    HOST.with_borrow_mut(|host| host.with(id, |c| c.wanted = most.saturating_sub(c.down.len())));
}

/// What libslirp has written, at most so much.
pub(crate) fn read(id: Id, most: usize) -> Received {
    let read = HOST.with_borrow_mut(|host| {
        host.with(id, |c| {
            c.wanted = 0;
            let count = most.min(c.down.len());
            let data: Vec<u8> = c.down.drain(..count).collect();
            match (data.is_empty(), c.dropped, c.ended) {
                (false, ..) => Received::Data(data),
                (_, true, _) => Received::Reset,
                (_, _, true) => Received::End,
                _ => Received::Nothing,
            }
        })
    });
    read.unwrap_or(Received::Nothing)
}

/// No more will be written.
pub(crate) fn shut(id: Id) {
    HOST.with_borrow_mut(|host| host.with(id, |c| c.shut = true));
}

/// The application lets the connection go. With text that it has not read Linux resets it.
pub(crate) fn close_end(id: Id, unread: bool) {
    HOST.with_borrow_mut(|host| {
        host.with(id, |c| {
            c.reset |= unread || !c.down.is_empty();
            c.shut = true;
            c.closed = true;
        })
    });
}

/// The application aborts: close with SO_LINGER and no time to linger.
pub(crate) fn abort(id: Id) {
    HOST.with_borrow_mut(|host| {
        host.with(id, |c| {
            c.reset = true;
            c.closed = true;
        })
    });
}

/// libslirp closes a descriptor.
pub(crate) fn closed(fd: c_int) {
    HOST.with_borrow_mut(|host| {
        if let Some(Descriptor::Connection(id)) = host.descriptors.remove(&fd) {
            host.with(id, |c| {
                c.dropped = !c.up.is_empty();
                c.ended = true;
                c.descriptor = None;
            });
        }
    });
}

/// What `poll` says of a descriptor.
pub(crate) fn poll(fd: c_int, events: c_int) -> c_int {
    HOST.with_borrow_mut(|host| match host.descriptors.get(&fd) {
        Some(Descriptor::Listening(_, queue)) => on(!queue.is_empty(), IN),
        Some(&Descriptor::Connection(id)) => {
            host.admit(id);
            host.with(id, |c| c.poll() & (events | ERR | HUP)).unwrap_or_default()
        }
        _ => 0,
    })
}

fn on(condition: bool, flag: c_int) -> c_int {
    if condition { flag } else { 0 }
}

impl Connection {
    fn poll(&self) -> c_int {
        match self.link {
            Link::Refused => OUT | ERR | HUP,
            Link::Waits(..) => 0,
            Link::Done => OUT,
            Link::Up if self.reset => IN | OUT | ERR | HUP,
            Link::Up => {
                on(!self.up.is_empty() || self.shut, IN)
                    | on(self.urgent && !self.up.is_empty(), PRI)
                    | on(self.wanted > 0 || self.closed, OUT)
                    | on(self.shut && self.ended, HUP)
            }
        }
    }
}

impl Host {
    fn with<T>(&mut self, id: Id, f: impl FnOnce(&mut Connection) -> T) -> Option<T> {
        self.connections.get_mut(id).map(f)
    }

    fn connection(&mut self, fd: c_int) -> Option<&mut Connection> {
        match self.descriptors.get(&fd) {
            Some(&Descriptor::Connection(id)) => self.connections.get_mut(id),
            _ => None,
        }
    }

    /// Lets a connection that waits into the listener's queue, where there is room by now.
    fn admit(&mut self, id: Id) {
        let Some(Link::Waits(family, port)) = self.connections.get(id).map(|c| c.link) else { return };
        let Host { listeners, connections, .. } = self;
        let link = match listeners.get_mut(&(family, port)) {
            None => Link::Refused,
            Some(listener) => {
                listener.waiting.retain(|&id| connections.get(id).is_some_and(|c| c.established || c.descriptor.is_some()));
                if listener.waiting.len() >= listener.backlog {
                    return;
                }
                listener.waiting.push_back(id);
                Link::Done
            }
        };
        self.with(id, |c| c.link = link);
    }
}

/// What libslirp asks of its descriptors.
pub(crate) mod calls {
    use super::{Connection, Descriptor, Errno, Family, HOST, Id, IpAddr, Ipv4Addr, Link, SocketAddr, VecDeque, c_int};

    /// A new TCP socket gets this descriptor.
    pub(crate) fn socket(fd: c_int) {
        HOST.with_borrow_mut(|host| drop(host.descriptors.insert(fd, Descriptor::Fresh(None))));
    }

    pub(crate) fn bind(fd: c_int, to: SocketAddr) -> Result<(), Errno> {
        HOST.with_borrow_mut(|host| match host.descriptors.get_mut(&fd) {
            Some(Descriptor::Fresh(bound)) => {
                *bound = Some(to);
                Ok(())
            }
            _ => Err(libc::EINVAL),
        })
    }

    pub(crate) fn listen(fd: c_int) -> Result<(), Errno> {
        HOST.with_borrow_mut(|host| match host.descriptors.get_mut(&fd) {
            Some(descriptor @ Descriptor::Fresh(Some(_))) => {
                let Descriptor::Fresh(Some(at)) = *descriptor else { return Err(libc::EINVAL) };
                *descriptor = Descriptor::Listening(at, VecDeque::new());
                Ok(())
            }
            _ => Err(libc::EINVAL),
        })
    }

    /// Takes the next connection of a listener for the descriptor `fd`: who has connected.
    pub(crate) fn accept(listener: c_int, fd: c_int) -> Result<SocketAddr, Errno> {
        HOST.with_borrow_mut(|host| {
            let Some(Descriptor::Listening(at, queue)) = host.descriptors.get_mut(&listener) else { return Err(libc::EINVAL) };
            let (at, id) = (*at, queue.pop_front().ok_or(libc::EAGAIN)?);
            host.descriptors.insert(fd, Descriptor::Connection(id));
            let connection = host.connections.get_mut(id).ok_or(libc::EINVAL)?;
            connection.descriptor = Some(fd);
            Ok(SocketAddr::new(at.ip(), connection.port))
        })
    }

    /// Begins to connect to one of the application's listeners. There is nothing but this host.
    pub(crate) fn connect(fd: c_int, to: SocketAddr) -> Result<(), Errno> {
        if !to.ip().is_loopback() {
            return Err(libc::ENETUNREACH);
        }
        HOST.with_borrow_mut(|host| {
            let id: Id = host.connections.len();
            let family = if to.is_ipv4() { Family::V4 } else { Family::V6 };
            let mut connection = Connection::new(Link::Waits(family, to.port()), 0);
            connection.descriptor = Some(fd);
            host.connections.push(connection);
            host.descriptors.insert(fd, Descriptor::Connection(id));
            host.admit(id);
            Err(libc::EINPROGRESS)
        })
    }

    /// Where a descriptor is bound.
    pub(crate) fn name(fd: c_int) -> Result<SocketAddr, Errno> {
        HOST.with_borrow(|host| match host.descriptors.get(&fd) {
            Some(Descriptor::Listening(at, _) | Descriptor::Fresh(Some(at))) => Ok(*at),
            Some(_) => Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0)),
            None => Err(libc::EBADF),
        })
    }

    /// The other end of a descriptor.
    pub(crate) fn peer(fd: c_int) -> Result<SocketAddr, Errno> {
        HOST.with_borrow_mut(|host| match host.connection(fd) {
            Some(c) if c.link == Link::Up && !c.reset => Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), c.port)),
            _ => Err(libc::ENOTCONN),
        })
    }

    /// The error that waits on a descriptor.
    pub(crate) fn error(fd: c_int) -> Errno {
        HOST.with_borrow_mut(|host| host.connection(fd).map_or(libc::EBADF, |c| if c.reset { libc::ECONNRESET } else { 0 }))
    }

    pub(crate) fn send(fd: c_int, octets: &[u8], urgent: bool) -> Result<usize, Errno> {
        HOST.with_borrow_mut(|host| {
            let c = host.connection(fd).ok_or(libc::EBADF)?;
            match c.link {
                Link::Refused => return Err(libc::ECONNREFUSED),
                Link::Waits(..) => return Err(libc::EAGAIN),
                Link::Done | Link::Up => c.link = Link::Up,
            }
            if octets.is_empty() {
                return Ok(0);
            }
            if c.reset || c.ended {
                return Err(libc::EPIPE);
            }
            if c.closed {
                // It is on its way when the answer comes: a reset.
                c.reset = true;
                return Ok(octets.len());
            }
            // What is urgent goes by whatever is full: libslirp gives a connection up whose host does not take all of it.
            let count = if urgent { octets.len() } else { octets.len().min(c.wanted) };
            if count == 0 {
                return Err(libc::EAGAIN);
            }
            c.wanted = c.wanted.saturating_sub(count);
            c.down.extend(&octets[..count]);
            Ok(count)
        })
    }

    pub(crate) fn recv(fd: c_int, most: usize) -> Result<Vec<u8>, Errno> {
        HOST.with_borrow_mut(|host| {
            let c = host.connection(fd).ok_or(libc::EBADF)?;
            let octets: Vec<u8> = c.up.drain(..most.min(c.up.len())).collect();
            c.urgent &= !c.up.is_empty();
            match (octets.is_empty(), c.shut, c.reset) {
                (false, ..) => Ok(octets),
                (_, true, _) if !c.reset || c.closed => Ok(octets),
                (.., true) => Err(libc::ECONNRESET),
                _ => Err(libc::EAGAIN),
            }
        })
    }

    /// libslirp writes no more.
    pub(crate) fn end(fd: c_int) {
        HOST.with_borrow_mut(|host| {
            if let Some(c) = host.connection(fd) {
                c.ended = true;
            }
        });
    }
}
