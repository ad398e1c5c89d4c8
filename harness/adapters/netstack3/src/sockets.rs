//! The sockets API of netstack3, in the harness's calls.

use std::collections::BTreeMap;
use std::num::{NonZeroU16, NonZeroUsize};
use std::time::Duration;

use net_types::ip::{Ip, Ipv4, Ipv4Addr, Ipv6, Ipv6Addr};
use net_types::{SpecifiedAddr, ZonedAddr};
use netstack3_base::TcpSocketState;
use netstack3_base::{IpSocketMatcher, SocketCookieMatcher};
use netstack3_core::device::WeakDeviceId;
use netstack3_core::error::LocalAddressError;
use netstack3_core::socket::ShutdownType;
use netstack3_core::tcp::{AcceptError, BindError, Buffer as _, BufferLimits, ConnectError, ConnectionError, ListenError, TcpSocketId};
use netstack3_core::testutil::{CtxPairExt as _, FakeBindingsCtx, FakeCtx};
use netstack3_tcp::testutil::{ClientBuffers, ProvidedBuffers, WriteBackClientBuffers};
use packet_formats::utils::NonZeroDuration;
use tcp_harness::targets::REMOTE;
use tcp_reference::api::{Call, CallError, CallResult, Family, How, Micros, SetOption, SocketId};
use tcp_reference::state::State;

/// Octets that a connection takes from the application and has not had acknowledged.
const SEND_BUFFER: usize = 65_535;

#[derive(Clone, PartialEq, Eq)]
enum Id {
    V4(TcpSocketId<Ipv4, WeakDeviceId<FakeBindingsCtx>, FakeBindingsCtx>),
    V6(TcpSocketId<Ipv6, WeakDeviceId<FakeBindingsCtx>, FakeBindingsCtx>),
}

/// The same for a socket of either family.
macro_rules! with {
    ($context:expr, $id:expr, |$api:ident, $socket:ident| $body:expr) => {
        match $id {
            Id::V4($socket) => {
                #[allow(unused_mut)]
                let mut $api = $context.core_api().tcp::<Ipv4>();
                $body
            }
            Id::V6($socket) => {
                #[allow(unused_mut)]
                let mut $api = $context.core_api().tcp::<Ipv6>();
                $body
            }
        }
    };
}

struct Socket {
    /// None after `close`: the application's hold of a socket keeps it from going away.
    id: Option<Id>,
    cookie: u64,
    v4: bool,
    buffers: Option<WriteBackClientBuffers>,
    client: Option<ClientBuffers>,
    listener: bool,
    /// `shutdown` has ended what can be received.
    read_ended: bool,
    /// What ended the connection.
    ended: Option<CallError>,
}

#[derive(Default)]
pub(crate) struct Sockets {
    sockets: BTreeMap<SocketId, Socket>,
    given: SocketId,
}

impl Sockets {
    pub(crate) fn perform(&mut self, context: &mut FakeCtx, call: &Call) -> CallResult {
        match self.try_perform(context, call) {
            Ok(result) => result,
            Err(error) => CallResult::Error(error),
        }
    }

    fn try_perform(&mut self, context: &mut FakeCtx, call: &Call) -> Result<CallResult, CallError> {
        match call {
            Call::Listen { port, family, backlog } => self.listen(context, *port, *family, *backlog),
            Call::Connect { port, remote_port, family } => self.connect(context, *port, *remote_port, *family),
            Call::Accept { socket } => self.accept(context, *socket),
            Call::Send { urgent: true, .. } => Ok(CallResult::Unsupported),
            Call::Send { socket, data, .. } => self.socket(*socket)?.send(context, data),
            Call::Recv { socket, max } => self.socket(*socket)?.recv(context, *max),
            Call::Shutdown { socket, how } => self.socket(*socket)?.shutdown(context, *how),
            Call::Close { socket } => self.socket(*socket)?.close(context),
            Call::Abort { socket } => self.socket(*socket)?.abort(context),
            Call::Set { socket, option } => self.socket(*socket)?.set(context, *option),
            Call::State { socket } => Ok(CallResult::State(self.socket(*socket)?.state(context))),
        }
    }

    fn socket(&mut self, id: SocketId) -> Result<&mut Socket, CallError> {
        self.sockets.get_mut(&id).ok_or(CallError::Invalid)
    }

    fn give(&mut self, id: Id, listener: bool) -> &mut Socket {
        self.given += 1;
        let (cookie, v4) = match &id {
            Id::V4(socket) => (socket.socket_cookie().export_value(), true),
            Id::V6(socket) => (socket.socket_cookie().export_value(), false),
        };
        let socket = Socket { id: Some(id), cookie, v4, buffers: None, client: None, listener, read_ended: false, ended: None };
        self.sockets.entry(self.given).or_insert(socket)
    }

    fn listen(&mut self, context: &mut FakeCtx, port: u16, family: Family, backlog: u16) -> Result<CallResult, CallError> {
        let port = NonZeroU16::new(port).ok_or(CallError::Invalid)?;
        let backlog = NonZeroUsize::new(usize::from(backlog)).unwrap_or(NonZeroUsize::MIN);
        let id = create(context, family, ProvidedBuffers::NoBuffers);
        let bound = with!(context, &id, |api, socket| api.bind(socket, None, Some(port)).map_err(of_bind));
        let listens = bound.and_then(|()| {
            with!(context, &id, |api, socket| api.listen(socket, backlog)).map_err(|error| match error {
                ListenError::ListenerExists => CallError::AddressInUse,
                ListenError::NotSupported => CallError::Invalid,
            })
        });
        if let Err(error) = listens {
            close(context, id);
            return Err(error);
        }
        self.give(id, true);
        Ok(CallResult::Socket(self.given))
    }

    fn connect(&mut self, context: &mut FakeCtx, port: u16, remote_port: u16, family: Family) -> Result<CallResult, CallError> {
        let port = NonZeroU16::new(port).ok_or(CallError::Invalid)?;
        let remote_port = NonZeroU16::new(remote_port).ok_or(CallError::Invalid)?;
        let buffers = WriteBackClientBuffers::default();
        let id = create(context, family, ProvidedBuffers::Buffers(buffers.clone()));
        let bound = with!(context, &id, |api, socket| api.bind(socket, None, Some(port)).map_err(of_bind));
        let connects = bound.and_then(|()| {
            let connects = match &id {
                Id::V4(socket) => context.core_api().tcp::<Ipv4>().connect(socket, remote::<Ipv4>(), remote_port),
                Id::V6(socket) => context.core_api().tcp::<Ipv6>().connect(socket, remote::<Ipv6>(), remote_port),
            };
            connects.map_err(|error| match error {
                ConnectError::ConnectionExists | ConnectError::NoPort => CallError::AddressInUse,
                ConnectError::ConnectionError(error) => of_connection(error),
                other => CallError::Other(other.to_string()),
            })
        });
        if let Err(error) = connects {
            close(context, id);
            return Err(error);
        }
        self.give(id, false).buffers = Some(buffers);
        Ok(CallResult::Socket(self.given))
    }

    fn accept(&mut self, context: &mut FakeCtx, listener: SocketId) -> Result<CallResult, CallError> {
        let socket = self.socket(listener)?;
        if !socket.listener {
            return Err(CallError::Invalid);
        }
        let id = socket.id.as_ref().ok_or(CallError::Closed)?;
        let accepted = match id {
            Id::V4(socket) => context.core_api().tcp::<Ipv4>().accept(socket).map(|(id, _, buffers)| (Id::V4(id), buffers)),
            Id::V6(socket) => context.core_api().tcp::<Ipv6>().accept(socket).map(|(id, _, buffers)| (Id::V6(id), buffers)),
        };
        let (id, client) = accepted.map_err(|error| match error {
            AcceptError::WouldBlock => CallError::WouldBlock,
            AcceptError::NotSupported => CallError::Closed,
        })?;
        self.give(id, false).client = Some(client);
        Ok(CallResult::Accepted { socket: self.given, peer: None })
    }
}

impl Socket {
    fn state(&self, context: &mut FakeCtx) -> State {
        let Some(id) = &self.id else { return self.state_after_close(context) };
        named(with!(context, id, |api, socket| api.get_tcp_info(socket)).state)
    }

    /// What the diagnostics still know of a socket that the application has let go.
    fn state_after_close(&self, context: &mut FakeCtx) -> State {
        let cookie = IpSocketMatcher::Cookie(SocketCookieMatcher { cookie: self.cookie, invert: false });
        let state = if self.v4 {
            let mut found = Vec::new();
            context.core_api().tcp::<Ipv4>().bound_sockets_diagnostics(&cookie, &mut found, false);
            found.pop().map(|socket| socket.state_machine)
        } else {
            let mut found = Vec::new();
            context.core_api().tcp::<Ipv6>().bound_sockets_diagnostics(&cookie, &mut found, false);
            found.pop().map(|socket| socket.state_machine)
        };
        state.map_or(State::Closed, named)
    }

    /// What ended the connection: told once by the stack, and remembered.
    fn ended(&mut self, context: &mut FakeCtx) -> Option<CallError> {
        let id = self.id.as_ref()?;
        if self.ended.is_none() && self.state(context) == State::Closed {
            self.ended = with!(context, id, |api, socket| api.get_socket_error(socket)).map(of_connection);
        }
        self.ended.clone()
    }

    fn send(&mut self, context: &mut FakeCtx, data: &[u8]) -> Result<CallResult, CallError> {
        if self.listener {
            return Err(CallError::NotConnected);
        }
        if let Some(error) = self.ended(context) {
            return Err(error);
        }
        let id = self.id.as_ref().ok_or(CallError::Closed)?;
        match self.state(context) {
            State::Established | State::CloseWait => {}
            State::SynSent | State::SynReceived => return Err(CallError::WouldBlock),
            _ => return Err(CallError::Closed),
        }
        let taken = with!(context, id, |api, socket| {
            let taken = api.with_send_buffer(socket, |buffer| {
                let BufferLimits { len, .. } = buffer.limits();
                let taken = data.len().min(SEND_BUFFER.saturating_sub(len));
                buffer.enqueue_data(&data[..taken]);
                taken
            });
            if taken.is_some_and(|taken| taken > 0) {
                api.do_send(socket);
            }
            taken
        });
        match taken {
            Some(0) if !data.is_empty() => Err(CallError::WouldBlock),
            Some(taken) => Ok(CallResult::Count(u32::try_from(taken).unwrap_or(u32::MAX))),
            None => Err(CallError::Closed),
        }
    }

    fn recv(&mut self, context: &mut FakeCtx, max: u32) -> Result<CallResult, CallError> {
        if self.listener {
            return Err(CallError::NotConnected);
        }
        let id = self.id.clone().ok_or(CallError::Closed)?;
        if self.client.is_none() {
            self.client = self.buffers.as_ref().and_then(|buffers| buffers.0.lock().clone());
        }
        let mut data = Vec::new();
        if let Some(client) = &self.client {
            client.receive.lock().read_with(|readable| {
                for part in readable {
                    let most = usize::try_from(max).unwrap_or(usize::MAX) - data.len();
                    data.extend_from_slice(&part[..part.len().min(most)]);
                }
                data.len()
            });
        }
        if !data.is_empty() {
            with!(context, &id, |api, socket| api.on_receive_buffer_read(socket));
            return Ok(CallResult::Data(data));
        }
        if let Some(error) = self.ended(context) {
            return Err(error);
        }
        match self.state(context) {
            _ if self.read_ended => Ok(CallResult::Eof),
            State::CloseWait | State::LastAck | State::Closing | State::TimeWait | State::Closed => Ok(CallResult::Eof),
            _ => Err(CallError::WouldBlock),
        }
    }

    fn shutdown(&mut self, context: &mut FakeCtx, how: How) -> Result<CallResult, CallError> {
        let Some(id) = &self.id else { return Ok(CallResult::Done) };
        let kind = match how {
            How::Read => ShutdownType::Receive,
            How::Write => ShutdownType::Send,
            How::Both => ShutdownType::SendAndReceive,
        };
        let done = with!(context, id, |api, socket| api.shutdown(socket, kind));
        self.read_ended |= how != How::Write;
        match done {
            Ok(_) => Ok(CallResult::Done),
            Err(_) => Err(self.ended(context).unwrap_or(CallError::NotConnected)),
        }
    }

    fn close(&mut self, context: &mut FakeCtx) -> Result<CallResult, CallError> {
        if let Some(id) = self.id.take() {
            close(context, id);
        }
        Ok(CallResult::Done)
    }

    fn abort(&mut self, context: &mut FakeCtx) -> Result<CallResult, CallError> {
        let Some(id) = self.id.take() else { return Ok(CallResult::Done) };
        let cookie = IpSocketMatcher::Cookie(SocketCookieMatcher { cookie: self.cookie, invert: false });
        with!(context, &id, |api, _socket| api.disconnect_bound(&cookie));
        close(context, id);
        Ok(CallResult::Done)
    }

    fn set(&mut self, context: &mut FakeCtx, option: SetOption) -> Result<CallResult, CallError> {
        let Some(id) = &self.id else { return Err(CallError::Closed) };
        let duration = |us: Micros| NonZeroDuration::new(Duration::from_micros(us));
        with!(context, id, |api, socket| api.with_socket_options_mut(socket, |options| match option {
            SetOption::NoDelay(on) => options.nagle_enabled = !on,
            SetOption::AckDelay(None) => options.delayed_ack = false,
            SetOption::KeepAlive(None) => options.keep_alive.enabled = false,
            SetOption::KeepAlive(Some(us)) => {
                if let Some(interval) = duration(us) {
                    options.keep_alive.enabled = true;
                    options.keep_alive.idle = interval;
                    options.keep_alive.interval = interval;
                }
            }
            SetOption::Timeout(us) => options.user_timeout = us.and_then(duration),
            _ => {}
        }));
        Ok(match option {
            SetOption::NoDelay(_) | SetOption::AckDelay(None) | SetOption::KeepAlive(_) | SetOption::Timeout(_) => CallResult::Done,
            // They are always on.
            SetOption::Timestamps(true) | SetOption::Sack(true) | SetOption::WindowScale(true) => CallResult::Done,
            _ => CallResult::Unsupported,
        })
    }
}

/// A port that a connection has can be listened at beside it.
fn create(context: &mut FakeCtx, family: Family, buffers: ProvidedBuffers) -> Id {
    let id = match family {
        Family::V4 => Id::V4(context.core_api().tcp::<Ipv4>().create(buffers)),
        Family::V6 => {
            let mut api = context.core_api().tcp::<Ipv6>();
            let socket = api.create(buffers);
            api.set_dual_stack_enabled(&socket, false).expect("a socket that is not bound");
            Id::V6(socket)
        }
    };
    with!(context, &id, |api, socket| api.set_reuseaddr(socket, true)).expect("a socket that is not bound");
    id
}

/// The application lets a socket go; no other hold of it may be left.
fn close(context: &mut FakeCtx, id: Id) {
    with!(context, id, |api, socket| api.close(socket));
}

trait Remote: Ip {
    fn remote() -> Self::Addr;
}

impl Remote for Ipv4 {
    fn remote() -> Ipv4Addr {
        let std::net::IpAddr::V4(address) = REMOTE[0] else { unreachable!("IPv4 first") };
        address.into()
    }
}

impl Remote for Ipv6 {
    fn remote() -> Ipv6Addr {
        let std::net::IpAddr::V6(address) = REMOTE[1] else { unreachable!("IPv4 first") };
        address.into()
    }
}

fn remote<I: Remote>() -> Option<ZonedAddr<SpecifiedAddr<I::Addr>, netstack3_core::device::DeviceId<FakeBindingsCtx>>> {
    SpecifiedAddr::new(I::remote()).map(ZonedAddr::Unzoned)
}

fn named(state: TcpSocketState) -> State {
    match state {
        TcpSocketState::Established => State::Established,
        TcpSocketState::SynSent => State::SynSent,
        TcpSocketState::SynRecv => State::SynReceived,
        TcpSocketState::FinWait1 => State::FinWait1,
        TcpSocketState::FinWait2 => State::FinWait2,
        TcpSocketState::TimeWait => State::TimeWait,
        TcpSocketState::Close => State::Closed,
        TcpSocketState::CloseWait => State::CloseWait,
        TcpSocketState::LastAck => State::LastAck,
        TcpSocketState::Listen => State::Listen,
        TcpSocketState::Closing => State::Closing,
    }
}

fn of_bind(error: BindError) -> CallError {
    match error {
        BindError::LocalAddressError(LocalAddressError::AddressInUse) => CallError::AddressInUse,
        other => CallError::Other(other.to_string()),
    }
}

fn of_connection(error: ConnectionError) -> CallError {
    match error {
        ConnectionError::ConnectionRefused => CallError::Refused,
        ConnectionError::ConnectionReset => CallError::Reset,
        ConnectionError::TimedOut => CallError::TimedOut,
        other => CallError::Other(other.to_string()),
    }
}
