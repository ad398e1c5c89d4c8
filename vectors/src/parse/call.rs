//! User calls and assertions about state.

use tcp_reference::api::{CallError, How, SetOption};
use tcp_reference::state::State;

use super::segment::bracketed_number;
use super::token::{In, Parsed, byte, eat, here, long, number, rest, run, short, since, skip, string, unexpected, want, word};
use crate::model::{CallStep, Payload, Returned, VectorCall};

/// A call with its result: `write(4, ..., 100) = 100`.
pub(super) fn call(i: &mut In<'_>) -> Parsed<CallStep> {
    let (from, line) = (here(i), rest(i));
    let name = word(i);
    if name.is_empty() {
        return Err(unexpected(i, "expected a segment or a call", STEP_HELP));
    }
    if !KNOWN.contains(&name) {
        return Err(since(i, from, format!("unknown call `{name}`"), format!("the calls are {}", KNOWN.join(", "))));
    }
    want(i, "(", "a call's arguments stand in parentheses")?;
    let parsed = arguments(i, name)?;
    let written = line.get(..here(i) - from).unwrap_or_default().trim_end();
    let call = parsed.unwrap_or_else(|| VectorCall::Ignored(written.to_owned()));
    let connects = matches!(call, VectorCall::Connect(_));
    let result = if eat(i, "=") { result(i, connects)? } else { None };
    Ok(CallStep { call, result })
}

pub(super) const STEP_HELP: &str = "after the time stands `<`, `>`, a call, `wait` or `%{ assert tcpi_state == … }%`";

const KNOWN: [&str; 14] =
    ["socket", "bind", "listen", "accept", "connect", "write", "send", "read", "recv", "shutdown", "close", "setsockopt", "set", "fcntl"];

/// The arguments up to and with `)`; `None` for a call that has a meaning for packetdrill only.
fn arguments(i: &mut In<'_>, name: &str) -> Parsed<Option<VectorCall>> {
    let call = match name {
        "socket" => {
            passed_over(i)?;
            comma(i)?;
            want(i, "SOCK_STREAM", "`socket(..., SOCK_STREAM, IPPROTO_TCP) = 3`")?;
            comma(i)?;
            if !eat(i, "IPPROTO_TCP") && !eat(i, "0") {
                return Err(unexpected(i, "expected IPPROTO_TCP", "`socket(..., SOCK_STREAM, IPPROTO_TCP) = 3`"));
            }
            VectorCall::Socket
        }
        "bind" | "accept" | "connect" => {
            let socket = socket(i)?;
            comma(i)?;
            passed_over(i)?;
            comma(i)?;
            passed_over(i)?;
            match name {
                "bind" => VectorCall::Bind(socket),
                "accept" => VectorCall::Accept(socket),
                _ => VectorCall::Connect(socket),
            }
        }
        "listen" => {
            let socket = socket(i)?;
            comma(i)?;
            VectorCall::Listen(socket, short(i, "the backlog")?)
        }
        "write" | "send" => {
            let socket = socket(i)?;
            comma(i)?;
            let data = data(i)?;
            if name == "send" && flagged(i)? { VectorCall::SendUrgent(socket, data) } else { VectorCall::Write(socket, data) }
        }
        "read" | "recv" => {
            let socket = socket(i)?;
            comma(i)?;
            passed_over(i)?;
            comma(i)?;
            let max = long(i, "the most octets wanted")?;
            if name == "recv" && flagged(i)? {
                return Err(unexpected(i, "reading urgent data apart is not in the language", "leave out MSG_OOB"));
            }
            VectorCall::Read(socket, max)
        }
        "shutdown" => {
            let socket = socket(i)?;
            comma(i)?;
            let from = here(i);
            let how = match word(i) {
                "SHUT_RD" => How::Read,
                "SHUT_WR" => How::Write,
                "SHUT_RDWR" => How::Both,
                _ => return Err(since(i, from, "expected a direction", "the directions are SHUT_RD, SHUT_WR and SHUT_RDWR")),
            };
            VectorCall::Shutdown(socket, how)
        }
        "close" => VectorCall::Close(socket(i)?),
        "set" => {
            let socket = socket(i)?;
            comma(i)?;
            VectorCall::Set(socket, set(i)?)
        }
        "setsockopt" => {
            let call = setsockopt(i)?;
            want(i, ")", CLOSE_HELP)?;
            return Ok(call);
        }
        _ => {
            run(i, |c| c != ')');
            want(i, ")", CLOSE_HELP)?;
            return Ok(None);
        }
    };
    want(i, ")", CLOSE_HELP)?;
    Ok(Some(call))
}

const CLOSE_HELP: &str = "here the call's arguments end";

fn comma(i: &mut In<'_>) -> Parsed<()> {
    want(i, ",", "arguments are separated by `,`")
}

fn socket(i: &mut In<'_>) -> Parsed<u8> {
    byte(i, "the socket", 255)
}

/// An argument that the harness fills in: `...`.
fn passed_over(i: &mut In<'_>) -> Parsed<()> {
    want(i, "...", "this argument is written `...`")
}

/// `, 0` or `, MSG_OOB` at the end; true for the latter.
fn flagged(i: &mut In<'_>) -> Parsed<bool> {
    comma(i)?;
    if eat(i, "MSG_OOB") {
        return Ok(true);
    }
    want(i, "0", "the flags are `0` or `MSG_OOB`")?;
    Ok(false)
}

/// `..., 100` or `"text", 4`.
fn data(i: &mut In<'_>) -> Parsed<Payload> {
    if eat(i, "...") {
        comma(i)?;
        return short(i, "the length").map(Payload::Pattern);
    }
    let from = here(i);
    let text = string(i)?;
    comma(i)?;
    let len = number(i, "the length", u64::from(u16::MAX))?;
    if usize::try_from(len) != Ok(text.len()) {
        let message = format!("the text has {} octets, the call says {len}", text.len());
        return Err(since(i, from, message, "the length counts the text's octets"));
    }
    Ok(Payload::Text(text))
}

fn setsockopt(i: &mut In<'_>) -> Parsed<Option<VectorCall>> {
    let socket = socket(i)?;
    comma(i)?;
    word(i);
    comma(i)?;
    let from = here(i);
    let name = word(i);
    comma(i)?;
    let call = match name {
        "SO_LINGER" => {
            let value = rest(i).find('}').and_then(|end| rest(i).get(..=end)).unwrap_or_default();
            let squeezed: String = value.chars().filter(|c| !c.is_whitespace()).collect();
            if squeezed != "{onoff=1,linger=0}" {
                return Err(unexpected(i, "expected {onoff=1, linger=0}", "a vector lingers for no time, so that close aborts"));
            }
            run(i, |c| c != '}');
            want(i, "}", "")?;
            Some(VectorCall::LingerZero(socket))
        }
        "TCP_NODELAY" => Some(VectorCall::Set(socket, SetOption::NoDelay(bracketed_number(i)? != 0))),
        "TCP_MAXSEG" => {
            let value = bracketed_number(i)?;
            let Ok(mss) = u16::try_from(value) else {
                return Err(since(i, from, "the MSS is too large", "an MSS is at most 65535"));
            };
            Some(VectorCall::Set(socket, SetOption::Mss(mss)))
        }
        "TCP_USER_TIMEOUT" => Some(VectorCall::Set(socket, SetOption::Timeout(Some(bracketed_number(i)? * 1000)))),
        "SO_REUSEADDR" => {
            bracketed_number(i)?;
            None
        }
        _ => {
            const HELP: &str = "the options are SO_LINGER, SO_REUSEADDR, TCP_NODELAY, TCP_MAXSEG and TCP_USER_TIMEOUT; for others \
                                see `set(3, NAME, VALUE)`";
            return Err(since(i, from, format!("unknown option `{name}`"), HELP));
        }
    };
    comma(i)?;
    number(i, "the value's size", 1024)?;
    Ok(call)
}

/// `NAME, VALUE` of `set`.
fn set(i: &mut In<'_>) -> Parsed<SetOption> {
    let from = here(i);
    let name = word(i);
    let unknown = since(
        i,
        from,
        format!("unknown option `{name}`"),
        "the options are nodelay, timestamps, sack, window_scale, ack_delay, keepalive, timeout, mss, dscp and ttl",
    );
    comma(i)?;
    Ok(match name {
        "nodelay" => SetOption::NoDelay(switch(i)?),
        "timestamps" => SetOption::Timestamps(switch(i)?),
        "sack" => SetOption::Sack(switch(i)?),
        "window_scale" => SetOption::WindowScale(switch(i)?),
        "ack_delay" => SetOption::AckDelay(interval(i)?),
        "keepalive" => SetOption::KeepAlive(interval(i)?),
        "timeout" => SetOption::Timeout(interval(i)?),
        "mss" => SetOption::Mss(short(i, "the MSS")?),
        "dscp" => SetOption::Dscp(byte(i, "the DS codepoint", 63)?),
        "ttl" => SetOption::HopLimit(byte(i, "the time to live", 255)?),
        _ => return Err(unknown),
    })
}

fn switch(i: &mut In<'_>) -> Parsed<bool> {
    let from = here(i);
    match word(i) {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(since(i, from, "expected `on` or `off`", "this option is switched `on` or `off`")),
    }
}

fn interval(i: &mut In<'_>) -> Parsed<Option<u64>> {
    if eat(i, "off") {
        return Ok(None);
    }
    number(i, "the microseconds", u64::MAX).map(Some)
}

/// What follows `=`.
fn result(i: &mut In<'_>, connects: bool) -> Parsed<Option<Returned>> {
    const HELP: &str = "a result is a number, `-1 ERRNO (text)`, or `...` where it is free";
    if eat(i, "...") {
        return Ok(None);
    }
    if !eat(i, "-1") {
        let value = long(i, "the result").map_err(|p| super::token::Problem { help: HELP.to_owned(), ..p })?;
        return Ok(Some(Returned::Value(value)));
    }
    let from = here(i);
    let name = word(i);
    if !name.starts_with('E') || !name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit()) {
        return Err(since(i, from, "expected an error's name", "an error is written `-1 EAGAIN (Resource temporarily unavailable)`"));
    }
    if eat(i, "(") {
        run(i, |c| c != ')');
        want(i, ")", "the error's text ends with `)`")?;
    }
    if name == "EINPROGRESS" {
        return if connects { Ok(None) } else { Err(since(i, from, "only connect is in progress", "for the others use EAGAIN")) };
    }
    let error = ERRORS.iter().find(|(n, _, _)| *n == name).map(|(_, e, _)| e.clone());
    Ok(Some(Returned::Error(error.unwrap_or_else(|| CallError::Other(name.to_owned())))))
}

/// errno's names, what they stand for, and Linux's text. The first that stands for an error is the one that is printed.
pub(crate) const ERRORS: [(&str, CallError, &str); 11] = [
    ("EAGAIN", CallError::WouldBlock, "Resource temporarily unavailable"),
    ("EWOULDBLOCK", CallError::WouldBlock, "Resource temporarily unavailable"),
    ("ECONNREFUSED", CallError::Refused, "Connection refused"),
    ("ECONNRESET", CallError::Reset, "Connection reset by peer"),
    ("ETIMEDOUT", CallError::TimedOut, "Connection timed out"),
    ("ENOTCONN", CallError::NotConnected, "Transport endpoint is not connected"),
    ("EPIPE", CallError::Closed, "Broken pipe"),
    ("EADDRINUSE", CallError::AddressInUse, "Address already in use"),
    ("ENOBUFS", CallError::NoBuffer, "No buffer space available"),
    ("EINVAL", CallError::Invalid, "Invalid argument"),
    ("EBADF", CallError::Invalid, "Bad file descriptor"),
];

/// What follows `%{`: `assert tcpi_state == TCP_ESTABLISHED }%`.
pub(super) fn assert_state(i: &mut In<'_>) -> Parsed<State> {
    const HELP: &str = "an assertion is written `%{ assert tcpi_state == TCP_ESTABLISHED }%`";
    want(i, "assert", HELP)?;
    want(i, "tcpi_state", HELP)?;
    want(i, "==", HELP)?;
    let from = here(i);
    let name = word(i);
    let Some((_, state)) = STATES.into_iter().find(|(n, _)| *n == name) else {
        let known = format!("the states are {}", STATES.map(|(n, _)| n).join(" "));
        return Err(since(i, from, format!("unknown state `{name}`"), known));
    };
    eat(i, ";");
    want(i, "}%", HELP)?;
    skip(i);
    Ok(state)
}

/// Linux's names of the states.
pub(crate) const STATES: [(&str, State); 11] = [
    ("TCP_ESTABLISHED", State::Established),
    ("TCP_SYN_SENT", State::SynSent),
    ("TCP_SYN_RECV", State::SynReceived),
    ("TCP_FIN_WAIT1", State::FinWait1),
    ("TCP_FIN_WAIT2", State::FinWait2),
    ("TCP_TIME_WAIT", State::TimeWait),
    ("TCP_CLOSE", State::Closed),
    ("TCP_CLOSE_WAIT", State::CloseWait),
    ("TCP_LAST_ACK", State::LastAck),
    ("TCP_LISTEN", State::Listen),
    ("TCP_CLOSING", State::Closing),
];
