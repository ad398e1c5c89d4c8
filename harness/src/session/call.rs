//! User calls by the vector's own socket names.

use tcp_reference::api::{Call, CallError, CallResult, Micros, SetOption, SocketId};
use tcp_reference::rules;
use tcp_reference::state::State;
use tcp_reference::trace::What;
use tcp_vectors::model::{CallStep, Payload, Returned, Step, VectorCall};

use super::Stop;
use super::drive::{CONNECT_TO, LISTEN_PORT, Session};
use super::expect::READ;
use super::pattern::Pattern;

/// What a vector's socket name stands for.
#[derive(Clone, Debug, Default)]
pub(super) struct Descriptor {
    /// The local port of a connect.
    port: Option<u16>,
    /// The target's socket; `None` before `listen` or `connect`.
    socket: Option<SocketId>,
    /// Options set before there was a target's socket.
    options: Vec<SetOption>,
    /// The next close aborts.
    linger_zero: bool,
    /// Octets that the application has written.
    written: u32,
}

impl Session<'_> {
    /// Makes a call and compares what it returned.
    pub(super) fn call_step(&mut self, step: &Step, call: &CallStep) -> Result<(), Stop> {
        match &call.call {
            VectorCall::Socket => {
                let name = match call.result {
                    Some(Returned::Value(n)) => u8::try_from(n).unwrap_or(self.next_descriptor),
                    Some(Returned::Error(_)) | None => self.next_descriptor,
                };
                self.name(name, None);
                Ok(())
            }
            VectorCall::LingerZero(fd) => {
                let Some(d) = self.descriptors.get_mut(fd) else { return self.meaningless(step, *fd) };
                d.linger_zero = true;
                Ok(())
            }
            VectorCall::Set(fd, option) if self.descriptors.get(fd).is_some_and(|d| d.socket.is_none()) => {
                if let Some(d) = self.descriptors.get_mut(fd) {
                    d.options.push(*option);
                }
                Ok(())
            }
            VectorCall::Bind(_) | VectorCall::Ignored(_) => Ok(()),
            other => self.target_call(step, other, call.result.as_ref()),
        }
    }

    fn target_call(&mut self, step: &Step, call: &VectorCall, expected: Option<&Returned>) -> Result<(), Stop> {
        self.drain()?;
        let Some(fd) = call.socket() else { return Ok(()) };
        let Some(request) = self.request(call) else {
            self.meaningless(step, fd)?;
            self.lose_accepted(call, expected);
            return Ok(());
        };
        self.last_stimulus = self.trace.events.len();
        // Of what is gone, whatever ended it decides what a call returns.
        let (state, opens) = (self.state(), matches!(request, Call::Listen { .. } | Call::Connect { .. }));
        let gone = !opens && matches!(state, State::Closed | State::Listen);
        self.called = rules::of_call(&request, state).filter(|_| !gone);
        let patience = self.now + PATIENCE;
        loop {
            let event = self.trace.events.len();
            let result = self.ask(request.clone())?;
            if result == CallResult::Unsupported {
                return Err(Stop::Unsupported(format!("line {}: the target has no such call or option", step.line)));
            }
            // For what sockets call a refusal in SYN-SENT the text itself says "connection reset" (RFC 9293 section 3.10.7.3).
            let reset = expected == Some(&Returned::Error(CallError::Refused)) && result == CallResult::Error(CallError::Reset);
            let in_syn_sent = self.rules.iter().flatten().any(|rule| *rule == rules::SYN_SENT_RST_ACK_OK);
            let fits = expected.is_none_or(|e| fits(e, &result)) || reset && in_syn_sent;
            let blocked = result == CallResult::Error(CallError::WouldBlock);
            if !fits && blocked && self.now < patience {
                self.wait_a_little(patience)?;
                continue;
            }
            self.note_result(fd, call, expected, &result)?;
            if let Some(expected) = expected.filter(|_| !fits) {
                // What needs the socket that this call should have given is a consequence of the finding.
                self.lose_accepted(call, Some(expected));
                if matches!(call, VectorCall::Listen(..) | VectorCall::Connect(_)) {
                    self.lost.extend([fd]);
                }
                self.fail(event, None, kind_of(call), (in_words(&result), returned(expected)), &[]);
            }
            return Ok(());
        }
    }

    /// The name that an `accept` should have given stands for nothing.
    fn lose_accepted(&mut self, call: &VectorCall, expected: Option<&Returned>) {
        if let (VectorCall::Accept(_), Some(Returned::Value(n))) = (call, expected) {
            self.lost.extend(u8::try_from(*n));
        }
    }

    /// On a virtual clock to the next thing that happens, on a real one a short time.
    fn wait_a_little(&mut self, until: Micros) -> Result<(), Stop> {
        let to = until.min(self.now + POLL);
        self.pass_until(to)
    }

    /// A step on a name that stands for nothing that could perform it. In a script, whose steps are cut, it is passed over, and so is what only
    /// follows from a finding. In a vector nothing may be passed over in silence.
    fn meaningless(&self, step: &Step, fd: u8) -> Result<(), Stop> {
        if self.rules.is_none() || self.lost.contains(&fd) {
            return Ok(());
        }
        let why = match self.descriptors.get(&fd) {
            None => format!("no call before gave a socket the name {fd}"),
            Some(Descriptor { socket: None, .. }) => format!("the socket {fd} neither listens nor has a connection"),
            Some(Descriptor { socket: Some(_), .. }) => format!("the socket {fd} listens already, or has a connection"),
        };
        Err(Stop::NotPerformed(format!("line {}: {why}", step.line)))
    }

    /// The call as the target knows it; `None` for a name that stands for nothing, or for what cannot make this call.
    fn request(&mut self, call: &VectorCall) -> Option<Call> {
        let family = self.options.family;
        let connects = self.connects;
        let descriptor = |s: &mut Self, fd: u8| s.descriptors.get(&fd).cloned();
        let socket = |s: &mut Self, fd: u8| descriptor(s, fd).and_then(|d| d.socket);
        Some(match call {
            VectorCall::Listen(fd, backlog) => {
                descriptor(self, *fd).filter(|d| d.socket.is_none())?;
                Call::Listen { port: LISTEN_PORT, family, backlog: *backlog }
            }
            VectorCall::Connect(fd) => {
                let d = descriptor(self, *fd)?;
                // The same socket again is OPEN for a connection that exists.
                let port = match (d.socket, d.port) {
                    (None, None) => {
                        self.connects = connects.saturating_add(1);
                        *self.ports.get(usize::from(connects))?
                    }
                    (_, port) => port?,
                };
                self.descriptors.entry(*fd).and_modify(|d| d.port = Some(port));
                Call::Connect { port, remote_port: CONNECT_TO, family }
            }
            VectorCall::Accept(fd) => Call::Accept { socket: socket(self, *fd)? },
            VectorCall::Write(fd, payload) => Call::Send { socket: socket(self, *fd)?, data: self.data(*fd, payload), urgent: false },
            VectorCall::SendUrgent(fd, payload) => Call::Send { socket: socket(self, *fd)?, data: self.data(*fd, payload), urgent: true },
            VectorCall::Read(fd, max) => Call::Recv { socket: socket(self, *fd)?, max: *max },
            VectorCall::Shutdown(fd, how) => Call::Shutdown { socket: socket(self, *fd)?, how: *how },
            VectorCall::Close(fd) => {
                let d = descriptor(self, *fd)?;
                let socket = d.socket?;
                if d.linger_zero { Call::Abort { socket } } else { Call::Close { socket } }
            }
            VectorCall::Set(fd, option) => Call::Set { socket: socket(self, *fd)?, option: *option },
            VectorCall::Socket | VectorCall::Bind(_) | VectorCall::LingerZero(_) | VectorCall::Ignored(_) => return None,
        })
    }

    fn data(&self, fd: u8, payload: &Payload) -> Vec<u8> {
        let written = self.descriptors.get(&fd).map_or(0, |d| d.written);
        match payload {
            Payload::Pattern(n) | Payload::Other(n) => Pattern::Application.octets(written, usize::from(*n)),
            Payload::Text(text) => text.clone(),
        }
    }

    fn note_result(&mut self, fd: u8, call: &VectorCall, expected: Option<&Returned>, result: &CallResult) -> Result<(), Stop> {
        match (call, result) {
            (VectorCall::Listen(..) | VectorCall::Connect(_), CallResult::Socket(socket)) => {
                let options = self.descriptors.get(&fd).map(|d| d.options.clone()).unwrap_or_default();
                if let Some(d) = self.descriptors.get_mut(&fd) {
                    d.socket = Some(*socket);
                }
                if matches!(call, VectorCall::Connect(_)) {
                    self.watched.push(*socket);
                    self.newest = Some(*socket);
                }
                for option in options {
                    if self.ask(Call::Set { socket: *socket, option })? == CallResult::Unsupported {
                        return Err(Stop::Unsupported(format!("the target cannot set {option:?}")));
                    }
                }
            }
            (VectorCall::Accept(_), CallResult::Accepted { socket, .. } | CallResult::Socket(socket)) => {
                let name = match expected {
                    Some(Returned::Value(n)) => u8::try_from(*n).unwrap_or(self.next_descriptor),
                    Some(Returned::Error(_)) | None => self.next_descriptor,
                };
                self.name(name, Some(*socket));
                self.watched.push(*socket);
                self.newest = Some(*socket);
            }
            (VectorCall::Write(..) | VectorCall::SendUrgent(..), CallResult::Count(n)) => {
                if let Some(d) = self.descriptors.get_mut(&fd) {
                    d.written = d.written.wrapping_add(*n);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn name(&mut self, name: u8, socket: Option<SocketId>) {
        self.next_descriptor = self.next_descriptor.max(name.saturating_add(1));
        self.descriptors.insert(name, Descriptor { socket, ..Descriptor::default() });
    }

    /// Asks until the newest connection is in this state, for half a second.
    pub(super) fn assert_state(&mut self, step: &Step, state: State) -> Result<(), Stop> {
        let Some(socket) = self.newest else {
            let why = format!("line {}: no accept or connect before gave a connection whose state could be asked for", step.line);
            return if self.lost.is_empty() { Err(Stop::NotPerformed(why)) } else { Ok(()) };
        };
        let patience = self.now + PATIENCE;
        loop {
            self.drain()?;
            let event = self.trace.events.len();
            let result = self.ask(Call::State { socket })?;
            match result {
                CallResult::State(s) if s == state => return Ok(()),
                // The target has forgotten it.
                CallResult::Error(_) if state == State::Closed => return Ok(()),
                CallResult::Unsupported => return Err(Stop::Unsupported("the target cannot tell a connection's state".to_owned())),
                _ if self.now < patience => self.wait_a_little(patience)?,
                other => {
                    self.fail(event, None, "state", (in_words(&other), format!("the state {state}")), &[]);
                    return Ok(());
                }
            }
        }
    }

    /// The call at this event of the trace, for a finding's text.
    pub(super) fn called(&self, event: usize) -> String {
        match self.trace.events.get(event).map(|e| &e.what) {
            Some(What::Call { call, .. }) => crate::report::words::call(call),
            _ => String::new(),
        }
    }
}

/// The kind of a finding about what a call returned; one for each call, so that what is known of one hides no other.
fn kind_of(call: &VectorCall) -> &'static str {
    match call {
        VectorCall::Socket | VectorCall::Bind(_) | VectorCall::Ignored(_) => "call-result",
        VectorCall::Listen(..) => "listen-result",
        VectorCall::Accept(_) => "accept-result",
        VectorCall::Connect(_) => "connect-result",
        VectorCall::Write(..) | VectorCall::SendUrgent(..) => "write-result",
        VectorCall::Read(..) => READ,
        VectorCall::Shutdown(..) => "shutdown-result",
        VectorCall::Close(_) => "close-result",
        VectorCall::LingerZero(_) | VectorCall::Set(..) => "set-result",
    }
}

/// Whether a result is the one that a vector names.
fn fits(expected: &Returned, result: &CallResult) -> bool {
    match (expected, result) {
        (Returned::Value(_), CallResult::Socket(_) | CallResult::Accepted { .. }) => true,
        (Returned::Value(n), CallResult::Count(count)) => n == count,
        (Returned::Value(n), CallResult::Data(data)) => usize::try_from(*n).is_ok_and(|n| n == data.len()),
        (Returned::Value(n), CallResult::Eof | CallResult::Done) => *n == 0,
        (Returned::Error(e), CallResult::Error(error)) => e == error,
        // EINPROGRESS: connect never waits.
        (Returned::Error(_), CallResult::Socket(_)) => true,
        _ => false,
    }
}

fn in_words(result: &CallResult) -> String {
    crate::report::words::result(result)
}

fn returned(expected: &Returned) -> String {
    match expected {
        Returned::Value(n) => n.to_string(),
        Returned::Error(error) => format!("the error {error}"),
    }
}

/// How long a call that would block is tried again where the vector expects another result.
const PATIENCE: Micros = 500_000;
/// Time between two tries.
const POLL: Micros = 10_000;
