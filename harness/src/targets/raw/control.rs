//! The agent seen from the harness: the target protocol's lines over a TCP connection.

use std::collections::BTreeSet;
use std::io::{self, BufReader, ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use tcp_reference::api::{Call, CallResult};

use crate::protocol::serve::next_line;
use crate::protocol::{Hello, Identity, Request, Response, VERSION, convert};
use crate::target::TargetError;

/// A connection to an agent.
pub(super) struct Control {
    stream: BufReader<TcpStream>,
    at: SocketAddr,
    calls: BTreeSet<String>,
}

impl Control {
    /// Connects, and says who the ends are; what the agent says of itself and its stack.
    ///
    /// # Errors
    /// [`TargetError::Unavailable`]: there is none, or it refuses.
    pub(super) fn open(at: SocketAddr, hello: Hello) -> Result<(Control, Identity), TargetError> {
        let missing = |error: io::Error| {
            TargetError::Unavailable(format!("no agent at {at}: {error}; on the stack's host: harness agent --listen {at}"))
        };
        let stream = TcpStream::connect_timeout(&at, LIMIT).map_err(missing)?;
        let set = stream
            .set_nodelay(true)
            .and_then(|()| stream.set_read_timeout(Some(LIMIT)))
            .and_then(|()| stream.set_write_timeout(Some(LIMIT)));
        set.map_err(missing)?;
        let mut control = Control { stream: BufReader::new(stream), at, calls: BTreeSet::new() };
        let line = control.exchange(&Request::Hello(hello))?;
        if let Ok(Response { error: Some(why), .. }) = serde_json::from_slice(&line) {
            return Err(TargetError::Unavailable(format!("the agent at {at} refuses: {}", why.trim_start_matches("other: "))));
        }
        let none = |why: String| TargetError::Unavailable(format!("what listens at {at} is no agent: {why}"));
        let identity: Identity = serde_json::from_slice(&line).map_err(|error| none(error.to_string()))?;
        if identity.protocol != VERSION {
            return Err(none(format!("it speaks version {}, the harness version {VERSION}", identity.protocol)));
        }
        control.calls = identity.calls.iter().cloned().collect();
        Ok((control, identity))
    }

    /// A stack without sockets.
    pub(super) fn reset(&mut self, seed: u64) -> Result<(), TargetError> {
        match self.ask(&Request::reset(seed))?.error {
            Some(why) => Err(TargetError::Harness(format!("the agent at {} refused a reset: {why}", self.at))),
            None => Ok(()),
        }
    }

    /// Makes a call.
    pub(super) fn call(&mut self, call: &Call) -> Result<CallResult, TargetError> {
        let (name, request) = convert::request(call);
        if !self.calls.contains(name) {
            return Ok(CallResult::Unsupported);
        }
        let mut response = self.ask(&request)?;
        convert::result(call, &mut response)
            .map_err(|why| TargetError::Harness(format!("the answer of the agent at {} to {name:?} is none: {why}", self.at)))
    }

    /// Whether it is still there: it answers, whatever that may be.
    pub(super) fn is_there(&mut self) -> Result<(), TargetError> {
        self.exchange(&Request::Advance { us: 0 }).map(|_| ())
    }

    fn ask(&mut self, request: &Request) -> Result<Response, TargetError> {
        let line = self.exchange(request)?;
        serde_json::from_slice(&line)
            .map_err(|error| TargetError::Harness(format!("the line of the agent at {} is no response: {error}", self.at)))
    }

    fn exchange(&mut self, request: &Request) -> Result<Vec<u8>, TargetError> {
        let mut line = serde_json::to_vec(request).map_err(|error| TargetError::Harness(error.to_string()))?;
        line.push(b'\n');
        let answered = self.stream.get_mut().write_all(&line).and_then(|()| next_line(&mut self.stream));
        match answered {
            Ok(Some(line)) => Ok(line),
            Ok(None) => {
                Err(TargetError::Harness(format!("the agent at {} has closed the connection; its standard error says why", self.at)))
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Err(TargetError::Hang(format!("the agent at {} does not answer within {} s", self.at, LIMIT.as_secs())))
            }
            Err(error) => Err(TargetError::Harness(format!("the connection to the agent at {}: {error}", self.at))),
        }
    }
}

/// Longest time for an answer.
const LIMIT: Duration = Duration::from_secs(10);
