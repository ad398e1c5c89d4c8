//! What ipstack's API gives its user, in the harness's calls.

use std::collections::VecDeque;
use std::fmt::{self, Write as _};
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use ipstack::IpStackTcpStream;
use tcp_reference::api::{Call, CallError, CallResult, Family, How, SetOption, SocketId};
use tcp_reference::state::State;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

/// What its user keeps of a stream.
struct Connection {
    /// None once the user has let the stream go.
    held: Option<Held>,
    closed: bool,
}

/// A stream, with the task of its user that writes to it and shuts it down.
pub(crate) struct Held {
    shared: Arc<Mutex<Shared>>,
    task: JoinHandle<()>,
}

struct Shared {
    stream: IpStackTcpStream,
    /// What the stack has not taken yet.
    queue: VecDeque<u8>,
    /// Nothing will be written behind the queue.
    shut: bool,
    error: Option<CallError>,
    task: Option<Waker>,
}

/// Octets that a stream's user keeps for it.
const QUEUE: usize = 65_535;

/// A stream that nobody has accepted yet.
struct Waiting {
    connection: Connection,
    established: bool,
}

enum Socket {
    Listener { port: u16, family: Family, waiting: VecDeque<Waiting> },
    Connection(Connection),
}

#[derive(Default)]
pub(crate) struct Sockets {
    sockets: Vec<Socket>,
}

impl Sockets {
    /// Does what is asked; in the runtime, which is to be settled afterwards.
    pub(crate) fn perform(&mut self, call: &Call) -> CallResult {
        self.try_perform(call).unwrap_or_else(CallResult::Error)
    }

    fn try_perform(&mut self, call: &Call) -> Result<CallResult, CallError> {
        match call {
            Call::Listen { port, family, .. } => self.listen(*port, *family),
            Call::Connect { .. } | Call::Abort { .. } | Call::Send { urgent: true, .. } => Ok(CallResult::Unsupported),
            Call::Accept { socket } => self.accept(*socket),
            Call::Send { socket, data, .. } => self.connection(*socket)?.send(data),
            Call::Recv { socket, max } => self.connection(*socket)?.recv(*max),
            Call::Shutdown { socket, how } => match self.socket(*socket)? {
                Socket::Listener { .. } => Err(CallError::NotConnected),
                // Nothing ends one's own reading but dropping the stream.
                Socket::Connection(_) if *how != How::Write => Ok(CallResult::Unsupported),
                Socket::Connection(connection) => Ok(connection.shutdown()),
            },
            Call::Close { socket } => match self.socket(*socket)? {
                // It accepts as long as it lives.
                Socket::Listener { .. } => Ok(CallResult::Unsupported),
                Socket::Connection(connection) => {
                    connection.closed = true;
                    Ok(connection.shutdown())
                }
            },
            Call::Set { socket, option } => self.socket(*socket).map(|_| match option {
                // It has no Nagle algorithm, delays no ACK and sends no keep-alives.
                SetOption::NoDelay(true) | SetOption::AckDelay(None) | SetOption::KeepAlive(None) => CallResult::Done,
                _ => CallResult::Unsupported,
            }),
            Call::State { socket } => Ok(CallResult::State(match self.socket(*socket)? {
                Socket::Listener { .. } => State::Listen,
                Socket::Connection(connection) => connection.state(),
            })),
        }
    }

    fn socket(&mut self, id: SocketId) -> Result<&mut Socket, CallError> {
        usize::try_from(id).ok().and_then(|at| self.sockets.get_mut(at)).ok_or(CallError::Invalid)
    }

    fn connection(&mut self, id: SocketId) -> Result<&mut Connection, CallError> {
        match self.socket(id)? {
            Socket::Listener { .. } => Err(CallError::NotConnected),
            Socket::Connection(connection) => Ok(connection),
        }
    }

    fn give(&mut self, socket: Socket) -> Result<SocketId, CallError> {
        self.sockets.push(socket);
        SocketId::try_from(self.sockets.len() - 1).map_err(|_| CallError::NoBuffer)
    }

    /// ipstack listens at every port from the first; what is kept here is whose a connection will be.
    fn listen(&mut self, port: u16, family: Family) -> Result<CallResult, CallError> {
        if self.waiting_at(port, family).is_some() {
            return Err(CallError::AddressInUse);
        }
        let listener = Socket::Listener { port, family, waiting: VecDeque::new() };
        self.give(listener).map(CallResult::Socket)
    }

    fn waiting_at(&mut self, at: u16, of: Family) -> Option<&mut VecDeque<Waiting>> {
        self.sockets.iter_mut().find_map(|socket| match socket {
            Socket::Listener { port, family, waiting } if (*port, *family) == (at, of) => Some(waiting),
            _ => None,
        })
    }

    fn accept(&mut self, listener: SocketId) -> Result<CallResult, CallError> {
        let Socket::Listener { waiting, .. } = self.socket(listener)? else { return Err(CallError::Invalid) };
        let ready = waiting.iter().position(|w| w.established).ok_or(CallError::WouldBlock)?;
        let Some(Waiting { connection, .. }) = waiting.remove(ready) else { return Err(CallError::WouldBlock) };
        // ipstack calls the peer its source, and so local.
        let peer = connection.shared().map(|shared| shared.stream.local_addr());
        self.give(Socket::Connection(connection)).map(|socket| CallResult::Accepted { socket, peer })
    }

    /// ipstack has accepted a stream. It is given back where nobody listens.
    pub(crate) fn take(&mut self, runtime: &Runtime, stream: IpStackTcpStream) -> Option<IpStackTcpStream> {
        let to = stream.peer_addr();
        let family = if to.is_ipv4() { Family::V4 } else { Family::V6 };
        let Some(waiting) = self.waiting_at(to.port(), family) else { return Some(stream) };
        let shared = Arc::new(Mutex::new(Shared { stream, queue: VecDeque::new(), shut: false, error: None, task: None }));
        let mine = Arc::clone(&shared);
        let task = runtime.spawn(std::future::poll_fn(move |cx| lock(&mine).drive(cx)));
        waiting.push_back(Waiting { connection: Connection { held: Some(Held { shared, task }), closed: false }, established: false });
        None
    }

    /// Looks at what waits to be accepted, and takes out the streams that their users have no use for any more: those whose `close` is done, and
    /// those that were reset before they were established.
    pub(crate) fn done_with(&mut self) -> Vec<Held> {
        let mut done = Vec::new();
        for socket in &mut self.sockets {
            match socket {
                Socket::Listener { waiting, .. } => waiting.retain_mut(|w| {
                    let state = w.connection.state();
                    w.established |= !matches!(state, State::Listen | State::SynReceived | State::Closed);
                    let lives = w.established || state != State::Closed;
                    if !lives {
                        done.extend(w.connection.held.take());
                    }
                    lives
                }),
                Socket::Connection(connection) => {
                    done.extend(connection.held.take_if(|held| connection.closed && held.task.is_finished()));
                }
            }
        }
        done
    }
}

impl Held {
    /// Ends the task and drops the stream, which waits for a task of its own: on a thread that may wait.
    pub(crate) async fn let_go(self) {
        self.task.abort();
        let _ended = self.task.await;
        let _dropped = tokio::task::spawn_blocking(move || drop(self.shared)).await;
    }
}

impl Shared {
    /// Writes what waits to be written, then shuts the stream down if it is to be; done when that is done.
    fn drive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.task = Some(cx.waker().clone());
        while !self.queue.is_empty() {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, self.queue.make_contiguous())) {
                Ok(taken) => drop(self.queue.drain(..taken.min(self.queue.len()))),
                Err(error) => {
                    self.queue.clear();
                    self.error = Some(named(&error));
                }
            }
        }
        if !self.shut {
            return Poll::Pending;
        }
        // Whether it went well or not, no more can be done.
        let _ended: io::Result<()> = ready!(Pin::new(&mut self.stream).poll_shutdown(cx));
        Poll::Ready(())
    }

    fn wake(&mut self) {
        if let Some(task) = self.task.take() {
            task.wake();
        }
    }
}

impl Connection {
    fn shared(&self) -> Option<MutexGuard<'_, Shared>> {
        self.held.as_ref().map(|held| lock(&held.shared))
    }

    fn state(&self) -> State {
        self.shared().map_or(State::Closed, |shared| state(&shared.stream))
    }

    fn send(&mut self, data: &[u8]) -> Result<CallResult, CallError> {
        let mut shared = self.shared().filter(|shared| !self.closed && !shared.shut).ok_or(CallError::Closed)?;
        // At once, where nothing waits: an error is this call's answer.
        let mut cx = Context::from_waker(Waker::noop());
        let mut taken = 0;
        if shared.queue.is_empty() && !data.is_empty() {
            match Pin::new(&mut shared.stream).poll_write(&mut cx, data) {
                Poll::Ready(Ok(octets)) => taken = octets.min(data.len()),
                Poll::Ready(Err(error)) => return Err(shared.error.take().unwrap_or_else(|| named(&error))),
                Poll::Pending => {}
            }
        }
        let room = QUEUE.saturating_sub(shared.queue.len());
        let rest = data.get(taken..).unwrap_or_default();
        let waits = rest.len().min(room);
        shared.queue.extend(&rest[..waits]);
        shared.wake();
        match u32::try_from(taken + waits) {
            Ok(0) => Err(CallError::WouldBlock),
            count => Ok(CallResult::Count(count.unwrap_or(u32::MAX))),
        }
    }

    fn recv(&mut self, max: u32) -> Result<CallResult, CallError> {
        let mut shared = self.shared().filter(|_| !self.closed).ok_or(CallError::Closed)?;
        if max == 0 {
            return Err(CallError::WouldBlock);
        }
        let mut octets = vec![0; max.min(65_536) as usize];
        let mut buffer = ReadBuf::new(&mut octets);
        // One read gives what one segment brought.
        loop {
            let before = buffer.filled().len();
            let polled = Pin::new(&mut shared.stream).poll_read(&mut Context::from_waker(Waker::noop()), &mut buffer);
            let filled = buffer.filled();
            return match polled {
                Poll::Ready(Ok(())) if filled.len() > before && buffer.remaining() > 0 => continue,
                _ if !filled.is_empty() => Ok(CallResult::Data(filled.to_vec())),
                Poll::Ready(Ok(())) => Ok(CallResult::Eof),
                Poll::Ready(Err(error)) => Err(named(&error)),
                Poll::Pending => Err(CallError::WouldBlock),
            };
        }
    }

    fn shutdown(&mut self) -> CallResult {
        if let Some(mut shared) = self.shared() {
            shared.shut = true;
            shared.wake();
        }
        CallResult::Done
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn named(error: &io::Error) -> CallError {
    match error.kind() {
        ErrorKind::BrokenPipe => CallError::Closed,
        ErrorKind::TimedOut => CallError::TimedOut,
        ErrorKind::ConnectionReset => CallError::Reset,
        _ => CallError::Other(error.to_string()),
    }
}

/// A connection's state. A stream tells it nowhere but in its debug text.
fn state(stream: &IpStackTcpStream) -> State {
    const NAMES: [(&str, State); 9] = [
        ("Listen", State::Listen),
        ("SynReceived", State::SynReceived),
        ("Established", State::Established),
        ("FinWait1", State::FinWait1),
        ("FinWait2", State::FinWait2),
        ("TimeWait", State::TimeWait),
        ("CloseWait", State::CloseWait),
        ("LastAck", State::LastAck),
        ("Closed", State::Closed),
    ];
    let mut text = UpToTheState(String::new());
    // It ends in an error as soon as the state stands there: what follows is every octet in flight.
    let _cut_off: fmt::Result = write!(text, "{stream:?}");
    let named = text.named().unwrap_or_default();
    NAMES.iter().find(|(name, _)| *name == named).map_or(State::Closed, |(_, state)| *state)
}

struct UpToTheState(String);

impl UpToTheState {
    fn named(&self) -> Option<&str> {
        let (_, block) = self.0.split_once("Tcb {")?;
        let (_, state) = block.split_once(" state: ")?;
        Some(state.split_once(',')?.0)
    }
}

impl fmt::Write for UpToTheState {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        self.0.push_str(piece);
        if self.named().is_some() { Err(fmt::Error) } else { Ok(()) }
    }
}
