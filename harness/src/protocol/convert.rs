//! Between the protocol's words and the harness's own.

use tcp_reference::api::{Call, CallError, CallResult, Family, How, SetOption};
use tcp_reference::state::State;

use super::{Octets, Options, Request, Response, SetOption as Setting, Version};

impl From<Family> for Version {
    fn from(family: Family) -> Version {
        Version(match family {
            Family::V4 => 4,
            Family::V6 => 6,
        })
    }
}

impl From<Version> for Family {
    fn from(version: Version) -> Family {
        if version.0 == 4 { Family::V4 } else { Family::V6 }
    }
}

impl From<How> for super::How {
    fn from(how: How) -> super::How {
        match how {
            How::Read => super::How::Read,
            How::Write => super::How::Write,
            How::Both => super::How::Both,
        }
    }
}

impl From<super::How> for How {
    fn from(how: super::How) -> How {
        match how {
            super::How::Read => How::Read,
            super::How::Write => How::Write,
            super::How::Both => How::Both,
        }
    }
}

impl From<SetOption> for Setting {
    fn from(option: SetOption) -> Setting {
        match option {
            SetOption::NoDelay(on) => Setting::Nodelay(on),
            SetOption::Timestamps(on) => Setting::Timestamps(on),
            SetOption::Sack(on) => Setting::Sack(on),
            SetOption::WindowScale(on) => Setting::WindowScale(on),
            SetOption::AckDelay(us) => Setting::AckDelayUs(us),
            SetOption::KeepAlive(us) => Setting::KeepaliveUs(us),
            SetOption::Timeout(us) => Setting::TimeoutUs(us),
            SetOption::Mss(octets) => Setting::Mss(octets),
            SetOption::Dscp(dscp) => Setting::Dscp(dscp),
            SetOption::HopLimit(ttl) => Setting::Ttl(ttl),
        }
    }
}

impl Setting {
    /// As the harness has it; `None` for one that no call of the harness sets.
    pub(super) fn own(&self) -> Option<SetOption> {
        Some(match *self {
            Setting::Nodelay(on) => SetOption::NoDelay(on),
            Setting::Timestamps(on) => SetOption::Timestamps(on),
            Setting::Sack(on) => SetOption::Sack(on),
            Setting::WindowScale(on) => SetOption::WindowScale(on),
            Setting::AckDelayUs(us) => SetOption::AckDelay(us),
            Setting::KeepaliveUs(us) => SetOption::KeepAlive(us),
            Setting::TimeoutUs(us) => SetOption::Timeout(us),
            Setting::Mss(octets) => SetOption::Mss(octets),
            Setting::Dscp(dscp) => SetOption::Dscp(dscp),
            Setting::Ttl(ttl) => SetOption::HopLimit(ttl),
            Setting::Congestion(_) => return None,
        })
    }
}

/// A call as a request, with its name in `calls`.
pub(crate) fn request(call: &Call) -> (&'static str, Request) {
    match call {
        Call::Listen { port, family, backlog } => {
            ("listen", Request::Listen { port: *port, family: (*family).into(), backlog: *backlog, options: Options::default() })
        }
        Call::Accept { socket } => ("accept", Request::Accept { socket: *socket }),
        Call::Connect { port, remote_port, family } => {
            ("connect", Request::Connect { port: *port, remote_port: *remote_port, family: (*family).into(), options: Options::default() })
        }
        Call::Send { socket, data, urgent } => ("send", Request::Send { socket: *socket, data: Octets(data.clone()), urgent: *urgent }),
        Call::Recv { socket, max } => ("recv", Request::Recv { socket: *socket, max: *max }),
        Call::Shutdown { socket, how } => ("shutdown", Request::Shutdown { socket: *socket, how: (*how).into() }),
        Call::Close { socket } => ("close", Request::Close { socket: *socket }),
        Call::Abort { socket } => ("abort", Request::Abort { socket: *socket }),
        Call::Set { socket, option } => ("set", Request::Set { socket: *socket, option: (*option).into() }),
        Call::State { socket } => ("state", Request::State { socket: *socket }),
    }
}

/// What a response says a call returned.
///
/// # Errors
/// It does not answer this call: what is wrong with it.
pub(crate) fn result(call: &Call, response: &mut Response) -> Result<CallResult, String> {
    if response.unsupported {
        return Ok(CallResult::Unsupported);
    }
    if let Some(error) = &response.error {
        return Ok(CallResult::Error(call_error(error)?));
    }
    let missing = |field: &str| format!("it has no {field:?} and no \"error\"");
    match call {
        Call::Listen { .. } | Call::Connect { .. } => response.socket.map(CallResult::Socket).ok_or_else(|| missing("socket")),
        Call::Accept { .. } => {
            response.socket.map(|socket| CallResult::Accepted { socket, peer: response.peer }).ok_or_else(|| missing("socket"))
        }
        Call::Send { data, .. } => match response.count {
            Some(0) if !data.is_empty() => Err("\"count\" is 0: none taken is {\"error\":\"would-block\"}".to_owned()),
            Some(n) if n as usize > data.len() => Err(format!("\"count\" is {n}, of {} octets", data.len())),
            Some(n) => Ok(CallResult::Count(n)),
            None => Err(missing("count")),
        },
        Call::Recv { max, .. } => match response.data.take() {
            Some(Octets(data)) if data.is_empty() && *max > 0 => {
                Err("\"data\" is empty: nothing to be had is {\"error\":\"would-block\"}".to_owned())
            }
            Some(Octets(data)) if data.len() > *max as usize => Err(format!("\"data\" has {} octets, of at most {max}", data.len())),
            Some(Octets(data)) => Ok(CallResult::Data(data)),
            None if response.eof => Ok(CallResult::Eof),
            None => Err("it has neither \"data\" nor \"eof\" nor \"error\"".to_owned()),
        },
        Call::State { .. } => {
            let name = response.state.as_deref().ok_or_else(|| missing("state"))?;
            let state = State::from_name(name).ok_or_else(|| format!("{name:?} is no state of RFC 9293 section 3.3.2"))?;
            Ok(CallResult::State(state))
        }
        Call::Shutdown { .. } | Call::Close { .. } | Call::Abort { .. } | Call::Set { .. } => Ok(CallResult::Done),
    }
}

fn call_error(word: &str) -> Result<CallError, String> {
    if let Some((error, _)) = CallError::NAMED.iter().find(|(_, name)| *name == word) {
        return Ok(error.clone());
    }
    match word.strip_prefix("other: ") {
        Some(text) => Ok(CallError::Other(text.to_owned())),
        None => Err(format!("{word:?} is no error of the protocol: say \"other: {word}\"")),
    }
}

/// A request as a call; `None` for one that is no call, or sets what no call of the harness sets.
pub(crate) fn call(request: &Request) -> Option<Call> {
    Some(match request {
        Request::Listen { port, family, backlog, .. } => Call::Listen { port: *port, family: (*family).into(), backlog: *backlog },
        Request::Accept { socket } => Call::Accept { socket: *socket },
        Request::Connect { port, remote_port, family, .. } => {
            Call::Connect { port: *port, remote_port: *remote_port, family: (*family).into() }
        }
        Request::Send { socket, data, urgent } => Call::Send { socket: *socket, data: data.0.clone(), urgent: *urgent },
        Request::Recv { socket, max } => Call::Recv { socket: *socket, max: *max },
        Request::Shutdown { socket, how } => Call::Shutdown { socket: *socket, how: (*how).into() },
        Request::Close { socket } => Call::Close { socket: *socket },
        Request::Abort { socket } => Call::Abort { socket: *socket },
        Request::Set { socket, option } => Call::Set { socket: *socket, option: option.own()? },
        Request::State { socket } => Call::State { socket: *socket },
        Request::Hello(_) | Request::Reset { .. } | Request::Deliver { .. } | Request::Advance { .. } => return None,
    })
}

/// What a call returned, as a response.
pub(crate) fn response(result: CallResult) -> Response {
    let empty = Response::default();
    match result {
        CallResult::Socket(socket) => Response { socket: Some(socket), ..empty },
        CallResult::Accepted { socket, peer } => Response { socket: Some(socket), peer, ..empty },
        CallResult::Count(count) => Response { count: Some(count), ..empty },
        CallResult::Data(data) => Response { data: Some(Octets(data)), ..empty },
        CallResult::Eof => Response { eof: true, ..empty },
        CallResult::Done => empty,
        CallResult::State(state) => Response { state: Some(state.name().to_owned()), ..empty },
        CallResult::Error(error) => Response { error: Some(error.to_string()), ..empty },
        CallResult::Unsupported => Response { unsupported: true, ..empty },
    }
}
