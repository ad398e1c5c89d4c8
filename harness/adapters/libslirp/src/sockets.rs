//! The application at the host's sockets, in the harness's calls.

use std::net::SocketAddr;

use tcp_harness::target::TargetError;
use tcp_harness::targets::REMOTE;
use tcp_reference::api::{Call, CallError, CallResult, Family, How, SetOption, SocketId};
use tcp_reference::state::State;

use crate::host::{self, Id, Received};
use crate::stack::Stack;

enum Socket {
    Listener { port: u16, family: Family, open: bool },
    Connection { id: Id, closed: bool, shut: bool },
}

#[derive(Default)]
pub(crate) struct Sockets {
    sockets: Vec<Socket>,
    /// Ports of active opens, with those of the peer.
    active: Vec<(Family, u16, u16)>,
}

/// Notes which connections are established; to be called whenever the stack has settled.
pub(crate) fn look(stack: &Stack) {
    for id in host::waiting() {
        let state = host::descriptor(id).and_then(|fd| stack.status(fd)).map_or(State::Closed, |status| status.state);
        if !matches!(state, State::Listen | State::SynSent | State::SynReceived | State::Closed) {
            host::establish(id);
        }
    }
}

impl Sockets {
    pub(crate) fn perform(&mut self, call: &Call, stack: &mut Stack) -> Result<CallResult, TargetError> {
        match self.try_perform(call, stack) {
            Ok(result) => Ok(result),
            Err(Failed::Call(error)) => Ok(CallResult::Error(error)),
            Err(Failed::Target(error)) => Err(error),
        }
    }

    fn try_perform(&mut self, call: &Call, stack: &mut Stack) -> Result<CallResult, Failed> {
        match call {
            Call::Listen { port, family, backlog } => self.listen(*port, *family, *backlog),
            Call::Connect { port, remote_port, family } => self.connect(*port, *remote_port, *family, stack),
            Call::Accept { socket } => self.accept(*socket),
            Call::Send { socket, data, urgent } => self.send(*socket, data, *urgent, stack),
            Call::Recv { socket, max } => self.recv(*socket, *max, stack),
            Call::Shutdown { socket, how } => match self.socket(*socket)? {
                Socket::Listener { .. } => Err(CallError::NotConnected.into()),
                // Who reads no more tells nobody: Linux throws away what comes then.
                Socket::Connection { .. } if *how != How::Write => Ok(CallResult::Unsupported),
                Socket::Connection { id, shut, .. } => {
                    *shut = true;
                    host::shut(*id);
                    stack.settle()?;
                    Ok(CallResult::Done)
                }
            },
            Call::Close { socket } | Call::Abort { socket } => {
                match self.socket(*socket)? {
                    Socket::Listener { port, family, open } => {
                        if std::mem::take(open) {
                            host::stop_listening(*family, *port);
                        }
                    }
                    Socket::Connection { id, closed, .. } => {
                        if matches!(call, Call::Abort { .. }) {
                            host::abort(*id);
                        } else if !*closed {
                            let unread = host::descriptor(*id).and_then(|fd| stack.status(fd)).is_some_and(|status| status.unread > 0);
                            host::close_end(*id, unread);
                        }
                        *closed = true;
                    }
                }
                stack.settle()?;
                Ok(CallResult::Done)
            }
            Call::Set { socket, option } => self.socket(*socket).map(|_| match option {
                // It has no Nagle algorithm, and sends no keep-alives.
                SetOption::NoDelay(true) | SetOption::KeepAlive(None) => CallResult::Done,
                _ => CallResult::Unsupported,
            }),
            Call::State { socket } => Ok(CallResult::State(match self.socket(*socket)? {
                Socket::Listener { open, .. } => {
                    if *open {
                        State::Listen
                    } else {
                        State::Closed
                    }
                }
                Socket::Connection { id, .. } => {
                    host::descriptor(*id).and_then(|fd| stack.status(fd)).map_or(State::Closed, |status| status.state)
                }
            })),
        }
    }

    fn socket(&mut self, id: SocketId) -> Result<&mut Socket, Failed> {
        usize::try_from(id).ok().and_then(|at| self.sockets.get_mut(at)).ok_or(Failed::Call(CallError::Invalid))
    }

    /// A connection, with whether the application has let it go.
    fn connection(&mut self, id: SocketId) -> Result<(Id, &mut bool), Failed> {
        match self.socket(id)? {
            Socket::Listener { .. } => Err(CallError::NotConnected.into()),
            Socket::Connection { id, closed, .. } => Ok((*id, closed)),
        }
    }

    fn give(&mut self, socket: Socket) -> Result<SocketId, Failed> {
        self.sockets.push(socket);
        SocketId::try_from(self.sockets.len() - 1).map_err(|_| CallError::NoBuffer.into())
    }

    fn listen(&mut self, port: u16, family: Family, backlog: u16) -> Result<CallResult, Failed> {
        if !host::listen_at(family, port, backlog) {
            return Err(CallError::AddressInUse.into());
        }
        self.give(Socket::Listener { port, family, open: true }).map(CallResult::Socket)
    }

    fn connect(&mut self, port: u16, remote_port: u16, family: Family, stack: &mut Stack) -> Result<CallResult, Failed> {
        if self.active.contains(&(family, port, remote_port)) {
            return Err(CallError::AddressInUse.into());
        }
        let guest = REMOTE[usize::from(family == Family::V6)];
        let id = stack.open(port, SocketAddr::new(guest, remote_port))?.ok_or(CallError::NoBuffer)?;
        self.active.push((family, port, remote_port));
        self.give(Socket::Connection { id, closed: false, shut: false }).map(CallResult::Socket)
    }

    fn accept(&mut self, listener: SocketId) -> Result<CallResult, Failed> {
        let Socket::Listener { port, family, .. } = *self.socket(listener)? else { return Err(CallError::Invalid.into()) };
        let id = host::take_from(family, port).ok_or(CallError::WouldBlock)?;
        let socket = self.give(Socket::Connection { id, closed: false, shut: false })?;
        Ok(CallResult::Accepted { socket, peer: None })
    }

    fn send(&mut self, socket: SocketId, data: &[u8], urgent: bool, stack: &mut Stack) -> Result<CallResult, Failed> {
        let Socket::Connection { id, closed, shut } = *self.socket(socket)? else { return Err(CallError::NotConnected.into()) };
        match host::fate(id) {
            _ if closed || shut => return Err(CallError::Closed.into()),
            Received::Reset => return Err(CallError::Reset.into()),
            _ if host::is_over(id) => return Err(CallError::Closed.into()),
            _ => {}
        }
        let count = host::write(id, data, urgent);
        stack.settle()?;
        match u32::try_from(count) {
            Ok(0) => Err(CallError::WouldBlock.into()),
            count => Ok(CallResult::Count(count.unwrap_or(u32::MAX))),
        }
    }

    fn recv(&mut self, socket: SocketId, max: u32, stack: &mut Stack) -> Result<CallResult, Failed> {
        let (id, closed) = self.connection(socket)?;
        if *closed {
            return Err(CallError::Closed.into());
        }
        let most = max.min(65_536) as usize;
        host::want(id, most);
        stack.settle()?;
        match host::read(id, most) {
            Received::Data(data) => Ok(CallResult::Data(data)),
            Received::Nothing => Err(CallError::WouldBlock.into()),
            Received::End => Ok(CallResult::Eof),
            Received::Reset => Err(CallError::Reset.into()),
        }
    }
}

/// Why a call has no result.
enum Failed {
    Call(CallError),
    Target(TargetError),
}

impl From<CallError> for Failed {
    fn from(error: CallError) -> Failed {
        Failed::Call(error)
    }
}

impl From<TargetError> for Failed {
    fn from(error: TargetError) -> Failed {
        Failed::Target(error)
    }
}
