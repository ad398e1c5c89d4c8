//! Any stack behind the target protocol: a child process, one JSON object a line, in lockstep (`harness/TARGETS.md`).

pub(crate) mod child;
mod pin;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use tcp_reference::api::{Call, CallResult, Micros};

use self::child::{Child, shortened};
use crate::protocol::{Config, Hello, Identity, Octets, Request, Response, VERSION, convert, whole_ticks};
use crate::target::{Capabilities, Clock, NextTimer, Packet, Reply, Target, TargetError};
use crate::targets::{FLOOD, LOCAL, MTU, REMOTE};

/// What stands before the command.
pub const PREFIX: &str = "exec:";

/// A stack behind the target protocol.
pub struct Exec {
    /// The command, in words.
    words: Vec<String>,
    /// Longest time for an answer; time that passes on a real clock comes on top.
    limit: Duration,
    capabilities: Capabilities,
    calls: BTreeSet<String>,
    tick: Micros,
    /// `None` from its death until the next reset.
    child: Option<Child>,
    /// Octets that the process held after its first reset.
    fresh: Option<u64>,
    /// The process that shares a processor with the thread that drives it.
    bound: Option<u32>,
    /// The target's clock.
    now: Micros,
    /// When the answer to the last reset came: the target's clock is at most so much ahead of what has passed since as that took.
    began: Instant,
    next_timer: NextTimer,
}

impl Exec {
    /// Starts the command, written as for a shell but without its expansions, and asks what it is.
    ///
    /// # Errors
    /// [`TargetError::Unavailable`] where it cannot be started or does not speak the protocol.
    pub fn new(command: &str, limit: Duration) -> Result<Exec, TargetError> {
        let words = shell_words::split(command).map_err(|error| TargetError::Unavailable(format!("{command:?} is no command: {error}")))?;
        Exec::of(words, limit)
    }

    /// The same for a command in words.
    ///
    /// # Errors
    /// As [`Exec::new`].
    pub fn of(words: Vec<String>, limit: Duration) -> Result<Exec, TargetError> {
        let (child, identity) = introduced(&words, limit)?;
        let mut exec = Exec {
            capabilities: Capabilities {
                name: identity.name,
                version: identity.version,
                clock: identity.clock.into(),
                repeatable: identity.repeatable,
                families: identity.families.into_iter().map(Into::into).collect(),
                local: LOCAL,
                remote: REMOTE,
                mtu: MTU,
                settings: identity.settings,
                alone: false,
            },
            words,
            limit,
            calls: identity.calls.into_iter().collect(),
            tick: identity.tick_us,
            child: Some(child),
            fresh: None,
            bound: None,
            now: 0,
            began: Instant::now(),
            next_timer: NextTimer::Unknown,
        };
        if let Some(Config { recv_buffer, send_buffer }) = exec.start_over(0)?.config {
            let told = |octets: Option<u64>| octets.map_or("unknown size".to_owned(), |n| format!("{n} octets"));
            exec.capabilities.settings.push(format!("receive buffer of {}, send buffer of {}", told(recv_buffer), told(send_buffer)));
        }
        Ok(exec)
    }

    fn start_over(&mut self, seed: u64) -> Result<Response, TargetError> {
        if self.child.is_none() {
            self.child = Some(introduced(&self.words, self.limit)?.0);
            self.fresh = None;
        }
        self.now = 0;
        self.next_timer = NextTimer::Unknown;
        let response = self.ask(&Request::reset(seed), Duration::ZERO)?;
        self.began = Instant::now();
        if self.fresh.is_none() {
            self.fresh = self.child.as_ref().and_then(Child::resident);
        }
        if let Some(error) = &response.error {
            return Err(TargetError::Harness(format!("{} refused a reset: {error}", self.capabilities.name)));
        }
        Ok(response)
    }

    /// Sends a request; the answer may take the limit and as long as time passes in the target.
    fn ask(&mut self, request: &Request, passing: Duration) -> Result<Response, TargetError> {
        let Some(child) = &mut self.child else {
            return Err(TargetError::Crash("it died before and was not reset since".to_owned()));
        };
        let mut line = serde_json::to_string(request).map_err(|e| TargetError::Harness(e.to_string()))?;
        line.push('\n');
        let limit = self.limit + passing;
        let error = match child.exchange(line.as_bytes(), limit) {
            Ok(answer) => match serde_json::from_slice::<Response>(answer) {
                // Whatever else it says: a call that did not come to its end has no value.
                Ok(response) if response.flood || response.packets.len() > FLOOD => {
                    return Err(TargetError::Flood(format!("more than {FLOOD} segments for one request")));
                }
                Ok(response) => return Ok(response),
                Err(why) => no_response(answer, &line, &why.to_string()),
            },
            Err(why) => child.obituary(why, line.trim_end(), limit),
        };
        self.child = None;
        Err(error)
    }

    fn reply<T>(&mut self, request: &Request, response: Response, value: T) -> Result<Reply<T>, TargetError> {
        self.next_timer = match response.next_timer_us {
            Some(Some(at)) => NextTimer::At(at),
            Some(None) => NextTimer::Never,
            None => NextTimer::Unknown,
        };
        let packets: Vec<Packet> = response.packets.into_iter().map(|p| Packet { from: p.us, at: p.us, ip: p.ip.0 }).collect();
        let elapsed = match (self.capabilities.clock, request) {
            (Clock::Virtual, Request::Advance { us }) => self.now.saturating_add(*us),
            (Clock::Virtual, _) => self.now,
            (Clock::Real, _) => u64::try_from(self.began.elapsed().as_micros()).unwrap_or(Micros::MAX),
        };
        // A stamp that lies ahead of a virtual clock is the adapter's fault: `target-check` says so.
        self.now = packets.iter().map(|p| p.at).fold(elapsed.max(self.now), Micros::max);
        Ok(Reply { value, packets, now: self.now, next_timer: self.next_timer })
    }
}

impl Target for Exec {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn reset(&mut self, seed: u64) -> Result<(), TargetError> {
        self.start_over(seed)?;
        let pid = self.child.as_ref().map(Child::pid);
        if let Some(pid) = pid.filter(|_| pid != self.bound) {
            self.bound = Some(pid);
            pin::together(pid);
        }
        Ok(())
    }

    fn call(&mut self, call: &Call) -> Result<Reply<CallResult>, TargetError> {
        let (name, request) = convert::request(call);
        if !self.calls.contains(name) {
            return Ok(Reply { value: CallResult::Unsupported, packets: Vec::new(), now: self.now, next_timer: self.next_timer });
        }
        let mut response = self.ask(&request, Duration::ZERO)?;
        let value = convert::result(call, &mut response).map_err(|why| {
            self.child = None;
            TargetError::Crash(format!("its answer to {name:?} is none: {why}"))
        })?;
        self.reply(&request, response, value)
    }

    fn deliver(&mut self, datagrams: &[Vec<u8>]) -> Result<Reply<()>, TargetError> {
        let request = Request::Deliver { packets: datagrams.iter().map(|d| Octets(d.clone())).collect() };
        let response = self.ask(&request, Duration::ZERO)?;
        self.reply(&request, response, ())
    }

    fn advance(&mut self, us: Micros) -> Result<Reply<()>, TargetError> {
        let (us, passing) = match self.capabilities.clock {
            Clock::Virtual => (whole_ticks(us, self.tick), Duration::ZERO),
            // In slices: what the stack sends is to be seen before the peer's time for an answer is over.
            Clock::Real => (whole_ticks(us.min(SLICE), self.tick), Duration::from_micros(us.min(SLICE))),
        };
        let request = Request::Advance { us };
        let response = self.ask(&request, passing)?;
        self.reply(&request, response, ())
    }

    fn growth(&self) -> Option<u64> {
        Some(self.child.as_ref()?.resident()?.saturating_sub(self.fresh?))
    }

    fn renew(&mut self) {
        self.child = None;
    }
}

/// Starts the adapter and greets it.
fn introduced(words: &[String], limit: Duration) -> Result<(Child, Identity), TargetError> {
    let command = shell_words::join(words);
    let mut child = Child::start(words).map_err(|error| TargetError::Unavailable(format!("{command} cannot be started: {error}")))?;
    let identity = greeted(&mut child, limit).map_err(|why| {
        let command = shell_words::quote(&format!("{PREFIX}{command}")).into_owned();
        TargetError::Unavailable(format!("it does not speak the target protocol: {why}\n`harness target-check {command}` says more"))
    })?;
    Ok((child, identity))
}

/// What an adapter that was just started says of itself; why it is none where it does not.
pub(crate) fn greeted(child: &mut Child, limit: Duration) -> Result<Identity, String> {
    let hello = Request::Hello(Hello { protocol: VERSION, local: LOCAL, remote: REMOTE, mtu: MTU });
    let line = serde_json::to_string(&hello).map_err(|error| error.to_string())?;
    let answer = match child.exchange(format!("{line}\n").as_bytes(), limit) {
        Ok(answer) => answer.to_vec(),
        Err(why) => return Err(child.obituary(why, &line, limit).why().to_owned()),
    };
    let wrong = |why: &str| format!("its answer to \"hello\" is none: {why}: {}", shortened(&String::from_utf8_lossy(&answer)));
    let identity: Identity = serde_json::from_slice(&answer).map_err(|error| wrong(&error.to_string()))?;
    if identity.protocol != VERSION {
        return Err(format!("it speaks version {}, the harness version {VERSION}", identity.protocol));
    }
    Ok(identity)
}

fn no_response(answer: &[u8], line: &str, why: &str) -> TargetError {
    let answer = String::from_utf8_lossy(answer);
    TargetError::Crash(format!("its line is no response ({why}): {}\nasked: {}", shortened(&answer), shortened(line.trim_end())))
}

/// Longest time for an answer where nothing else is said.
pub const LIMIT: Duration = Duration::from_secs(10);
/// Longest slice of a real clock's wait, microseconds.
const SLICE: Micros = 20_000;
