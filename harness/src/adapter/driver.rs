//! Speaks the protocol with an adapter and holds each answer against what every answer must be.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tcp_reference::api::Family;
use tcp_reference::segment::{Flags, Segment};
use tcp_reference::seq::Seq;

use crate::protocol::{ClockName, Identity, Octets, Options, Request, Response, whole_ticks};
use crate::targets::exec::child::{Child, shortened};
use crate::targets::exec::greeted;
use crate::targets::{LOCAL, REMOTE};
use crate::wire::{self, Read};

/// An adapter under examination, from its start on.
pub(super) struct Driver {
    child: Child,
    pub(super) identity: Identity,
    /// Its clock: what was advanced since the last reset.
    pub(super) now: u64,
    /// When it last left nothing to do.
    since: Instant,
    limit: Duration,
    /// Every answer as it came, since the last reset.
    pub(super) lines: Vec<String>,
}

/// What is wrong.
pub(super) type Wrong = String;

impl Driver {
    /// Starts the adapter and greets it.
    pub(super) fn start(words: &[String], limit: Duration) -> Result<Driver, Wrong> {
        let mut child = Child::start(words).map_err(|error| format!("it cannot be started: {error}"))?;
        let identity = greeted(&mut child, limit)?;
        Ok(Driver { child, identity, now: 0, since: Instant::now(), limit, lines: Vec::new() })
    }

    /// A fresh stack.
    pub(super) fn reset(&mut self, seed: u64) -> Result<(), Wrong> {
        self.lines.clear();
        self.now = 0;
        self.done(&Request::reset(seed))?;
        self.since = Instant::now();
        Ok(())
    }

    /// One exchange of lines, whatever they say.
    pub(super) fn raw(&mut self, line: &str) -> Result<String, Wrong> {
        exchange(&mut self.child, line, self.limit)
    }

    /// A request and its answer, which is one.
    pub(super) fn ask(&mut self, request: &Request) -> Result<Response, Wrong> {
        let before = self.now;
        let mut limit = self.limit;
        if let Request::Advance { us } = request {
            self.now = self.now.saturating_add(*us);
            if self.identity.clock == ClockName::Real {
                limit += Duration::from_micros(*us);
            }
        }
        let line = text(request)?;
        let answer = exchange(&mut self.child, &line, limit)?;
        let wrong = |why: &str| format!("{why}: {}\n  asked: {}", shortened(&answer), shortened(&line));
        let response: Response = serde_json::from_str(&answer).map_err(|error| wrong(&format!("no response ({error})")))?;
        self.lines.push(answer.clone());
        let virtually = self.identity.clock == ClockName::Virtual;
        let mut last = if virtually { before } else { 0 };
        let latest = if virtually { self.now } else { u64::try_from(self.since.elapsed().as_micros()).unwrap_or(u64::MAX) };
        for packet in &response.packets {
            if packet.us < last || (virtually && packet.us > latest) {
                return Err(wrong(&format!("a packet is stamped {} us, and the clock went from {last} to {latest} us", packet.us)));
            }
            last = packet.us;
            if let Err(why) = wire::read(&packet.ip.0)
                && why != wire::Skipped::NotTcpOrIcmp(58)
            {
                return Err(wrong(&format!("a packet is no whole IP datagram with TCP or ICMP: {why:?}")));
            }
        }
        if let Some(Some(timer)) = response.next_timer_us
            && virtually
            && timer <= self.now
        {
            return Err(wrong(&format!("\"next_timer_us\" is {timer}, and the clock says {}: it must be later", self.now)));
        }
        let octets = response.packets.iter().map(|p| &p.ip).chain(&response.data);
        if octets.map(|o| hex::encode(&o.0)).any(|digits| !answer.contains(&digits)) {
            return Err(wrong("octets are written in lower-case hexadecimal digits"));
        }
        Ok(response)
    }

    /// A request that must succeed.
    pub(super) fn done(&mut self, request: &Request) -> Result<Response, Wrong> {
        let response = self.ask(request)?;
        match (&response.error, response.unsupported) {
            (None, false) => Ok(response),
            (Some(error), _) => Err(format!("{error:?} in answer to {}", shortened(&text(request)?))),
            (None, true) => Err(format!("\"unsupported\" in answer to {}", shortened(&text(request)?))),
        }
    }

    /// A request that must fail, with one of these errors.
    pub(super) fn fails(&mut self, request: &Request, errors: &[&str]) -> Result<(), Wrong> {
        let response = self.ask(request)?;
        match response.error.as_deref() {
            Some(error) if errors.contains(&error) => Ok(()),
            other => Err(format!(
                "{} in answer to {}, where {} is asked for",
                said(other, &response),
                shortened(&text(request)?),
                errors.join(" or ")
            )),
        }
    }

    /// Time passes, at least so much as the adapter's clock can show.
    pub(super) fn advance(&mut self, us: u64) -> Result<Response, Wrong> {
        self.done(&Request::Advance { us: whole_ticks(us, self.identity.tick_us) })
    }

    /// Whether the adapter says that its stack has this call.
    pub(super) fn has(&self, call: &str) -> bool {
        self.identity.calls.iter().any(|c| c == call)
    }

    /// What the state of a socket must be, one of these.
    pub(super) fn state(&mut self, socket: u32, names: &[&str]) -> Result<(), Wrong> {
        if !self.has("state") {
            return Ok(());
        }
        let state = self.done(&Request::State { socket })?.state.unwrap_or_default();
        if names.contains(&state.as_str()) {
            Ok(())
        } else {
            Err(format!("the state is {state:?}, where {} is asked for", names.join(" or ")))
        }
    }

    /// A segment of the peer arrives; what the stack sends upon it.
    pub(super) fn deliver(&mut self, ends: Ends, segment: &Segment) -> Result<Vec<Segment>, Wrong> {
        let datagram = wire::build(ends.peer, ends.stack, segment).map_err(|e| e.to_string())?;
        let response = self.done(&Request::Deliver { packets: vec![Octets(datagram)] })?;
        Ok(segments(&response))
    }

    /// A listener.
    pub(super) fn listen(&mut self, family: Family) -> Result<u32, Wrong> {
        let listen = Request::Listen { port: PORT, family: family.into(), backlog: 8, options: Options::default() };
        self.done(&listen)?.socket.ok_or_else(|| "\"listen\" gave no \"socket\"".to_owned())
    }

    /// A connection that the peer has opened: its socket, and its two next sequence numbers, the peer's and the stack's.
    pub(super) fn established(&mut self, ends: Ends, listener: u32) -> Result<Connected, Wrong> {
        let answer = self.deliver(ends, &Segment::syn(Seq(1000)).with_window(8000))?;
        let Some(syn_ack) = answer.iter().find(|s| s.flags.has(Flags::SYN | Flags::ACK)) else {
            let seen: Vec<String> = answer.iter().map(ToString::to_string).collect();
            return Err(format!("a SYN to a listener was not answered with a SYN-ACK in the same response: {seen:?}"));
        };
        let snd = syn_ack.seq + 1;
        self.deliver(ends, &Segment::pure_ack(Seq(1001), snd).with_window(8000))?;
        let socket = self.done(&Request::Accept { socket: listener })?.socket.ok_or("\"accept\" gave no \"socket\"")?;
        self.state(socket, &["ESTABLISHED"])?;
        Ok(Connected { socket, peer: Seq(1001), stack: snd })
    }

    /// Ends the adapter's input; it has to end with status 0.
    pub(super) fn end(mut self) -> Result<(), Wrong> {
        match self.child.close(self.limit) {
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(format!("its input ended, and it ended with {status}")),
            None => Err(format!("its input ended, and it did not within {} s", self.limit.as_secs_f64())),
        }
    }
}

/// The two ends of a connection.
#[derive(Clone, Copy)]
pub(super) struct Ends {
    pub(super) stack: SocketAddr,
    pub(super) peer: SocketAddr,
}

impl Ends {
    pub(super) fn of(family: Family, peer_port: u16) -> Ends {
        let side = usize::from(family == Family::V6);
        Ends { stack: SocketAddr::new(LOCAL[side], PORT), peer: SocketAddr::new(REMOTE[side], peer_port) }
    }
}

/// A connection as the peer sees it.
#[derive(Clone, Copy)]
pub(super) struct Connected {
    pub(super) socket: u32,
    /// The peer's SND.NXT.
    pub(super) peer: Seq,
    /// The stack's SND.NXT.
    pub(super) stack: Seq,
}

/// The TCP segments of a response.
pub(super) fn segments(response: &Response) -> Vec<Segment> {
    let tcp = |ip: &[u8]| match wire::read(ip) {
        Ok(Read::Tcp(tcp)) => Some(tcp.segment),
        Ok(Read::Icmp(_)) | Err(_) => None,
    };
    response.packets.iter().filter_map(|p| tcp(&p.ip.0)).collect()
}

fn said(error: Option<&str>, response: &Response) -> String {
    match error {
        Some(error) => format!("{error:?}"),
        None if response.unsupported => "\"unsupported\"".to_owned(),
        None => "no error".to_owned(),
    }
}

fn exchange(child: &mut Child, line: &str, limit: Duration) -> Result<String, Wrong> {
    match child.exchange(format!("{line}\n").as_bytes(), limit) {
        Ok(answer) => String::from_utf8(answer.to_vec()).map_err(|_| format!("a line that is not UTF-8, in answer to {}", shortened(line))),
        Err(why) => Err(child.obituary(why, line, limit).why().to_owned()),
    }
}

/// A request as its line.
pub(super) fn text(request: &Request) -> Result<String, Wrong> {
    serde_json::to_string(request).map_err(|error| error.to_string())
}

/// The stack's port.
pub(super) const PORT: u16 = 8080;
