//! A target of the harness behind the protocol: reads requests, writes responses. An adapter to compare one's own with.

use std::io::{self, BufRead, Read, Write};

use serde_json::Value;

use super::convert;
use super::{CALLS, ClockName, Identity, Octets, Packet, Request, Response, VERSION, Version};
use crate::target::{Capabilities, Clock, NextTimer, Reply, Target, TargetError};

/// Answers each line of `requests` with one of `responses`, until the requests end.
///
/// # Errors
/// Requests or responses cannot be read or written, or the stack died or hung.
pub fn serve(target: &mut dyn Target, requests: impl BufRead, responses: impl Write) -> io::Result<()> {
    serve_calls(target, &CALLS, requests, responses)
}

/// As [`serve`], for a stack whose API has only these of the protocol's calls.
///
/// # Errors
/// As of [`serve`].
pub fn serve_calls(target: &mut dyn Target, calls: &[&str], mut requests: impl BufRead, mut responses: impl Write) -> io::Result<()> {
    let mut now = 0;
    while let Some(line) = next_line(&mut requests)? {
        match serde_json::from_slice::<Request>(&line) {
            Ok(Request::Hello(hello)) if hello.protocol == VERSION => write(&mut responses, &identity(target.capabilities(), calls))?,
            Ok(Request::Hello(_)) => write(&mut responses, &invalid())?,
            Ok(request) => write(&mut responses, &respond(target, &request, &mut now)?)?,
            Err(_) => write(&mut responses, &refuse(&line))?,
        }
    }
    Ok(())
}

/// The next line without its end; `None` where there is none.
///
/// # Errors
/// It cannot be read, or is longer than any of the protocol.
pub(crate) fn next_line(lines: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    lines.take(LONGEST_LINE).read_until(b'\n', &mut line)?;
    match line.pop() {
        None => Ok(None),
        Some(b'\n') => Ok(Some(line)),
        Some(_) if line.len() as u64 >= LONGEST_LINE - 1 => Err(io::Error::other(format!("a line of {LONGEST_LINE} octets has no end"))),
        Some(last) => {
            line.push(last);
            Ok(Some(line))
        }
    }
}

/// The longest line, octets: 2000 datagrams of 1500 octets in hexadecimal, and room.
const LONGEST_LINE: u64 = 16 << 20;

pub(crate) fn write(responses: &mut impl Write, response: &impl serde::Serialize) -> io::Result<()> {
    // In one piece: a connection would send each of several by itself.
    let mut line = serde_json::to_vec(response)?;
    line.push(b'\n');
    responses.write_all(&line)?;
    responses.flush()
}

fn respond(target: &mut dyn Target, request: &Request, now: &mut u64) -> io::Result<Response> {
    let answered = match request {
        Request::Hello(_) => return Ok(invalid()),
        Request::Reset { seed, config } => {
            *now = 0;
            target.reset(*seed).map(|()| Response { config: Some(*config), ..Response::default() })
        }
        Request::Deliver { packets } => {
            let datagrams: Vec<Vec<u8>> = packets.iter().map(|p| p.0.clone()).collect();
            target.deliver(&datagrams).map(|reply| with(reply, now, |()| Response::default()))
        }
        Request::Advance { us } => target.advance(*us).map(|reply| with(reply, now, |()| Response::default())),
        call => match convert::call(call) {
            Some(call) => target.call(&call).map(|reply| with(reply, now, convert::response)),
            None => return Ok(Response { unsupported: true, ..Response::default() }),
        },
    };
    match answered {
        Ok(response) => Ok(response),
        Err(TargetError::Unsupported(_)) => Ok(Response { unsupported: true, ..Response::default() }),
        Err(TargetError::Flood(_)) => Ok(Response { flood: true, ..Response::default() }),
        Err(TargetError::Crash(why) | TargetError::Hang(why) | TargetError::Unavailable(why) | TargetError::Harness(why)) => {
            Err(io::Error::other(why))
        }
    }
}

/// A request that is none: of an operation that nobody knows, or not well formed.
fn refuse(line: &[u8]) -> Response {
    const KNOWN: [&str; 4] = ["hello", "reset", "deliver", "advance"];
    let op = serde_json::from_slice::<Value>(line).ok().and_then(|v| Some(v.get("op")?.as_str()?.to_owned()));
    match op {
        Some(op) if !KNOWN.contains(&op.as_str()) && !CALLS.contains(&op.as_str()) => Response { unsupported: true, ..Response::default() },
        _ => invalid(),
    }
}

fn invalid() -> Response {
    Response { error: Some("invalid".to_owned()), ..Response::default() }
}

fn identity(capabilities: &Capabilities, calls: &[&str]) -> Identity {
    Identity {
        protocol: VERSION,
        name: capabilities.name.clone(),
        version: capabilities.version.clone(),
        clock: match capabilities.clock {
            Clock::Virtual => ClockName::Virtual,
            Clock::Real => ClockName::Real,
        },
        tick_us: 1,
        repeatable: capabilities.repeatable,
        families: capabilities.families.iter().map(|f| Version::from(*f)).collect(),
        calls: calls.iter().map(|c| (*c).to_owned()).collect(),
        settings: capabilities.settings.clone(),
    }
}

fn with<T>(reply: Reply<T>, now: &mut u64, own: impl FnOnce(T) -> Response) -> Response {
    *now = reply.now;
    let packets = reply.packets.into_iter().map(|p| Packet { us: p.at, ip: Octets(p.ip) }).collect();
    let next_timer_us = match reply.next_timer {
        // "Later than now": what is due at once comes with the next request.
        NextTimer::At(at) => Some(Some(at.max(*now + 1))),
        NextTimer::Never => Some(None),
        NextTimer::Unknown => None,
    };
    Response { packets, next_timer_us, ..own(reply.value) }
}
