//! An old release of smoltcp behind the harness's target protocol. Only how the release is set up and polled differs between them.
//!
//! What smoltcp lacks of a sockets API is added in the least way that the vectors can be driven with; the current release has an adapter with a
//! memory of its own in the harness. A panic of the stack ends the process, and so it is told.

use std::io;

use tcp_harness::protocol::serve::serve;
use tcp_harness::target::{Capabilities, NextTimer, Reply, Target, TargetError};
use tcp_harness::targets::{bounded, simulated};
use tcp_reference::api::{Call, CallResult, Micros};

use crate::sockets::{Cause, Sockets};

#[cfg_attr(feature = "ethernet", path = "ethernet.rs")]
#[cfg_attr(feature = "owning", path = "owning.rs")]
#[cfg_attr(feature = "borrowing", path = "borrowing.rs")]
mod engine;
mod link;
mod sockets;

/// The most times that one request may visit a timer.
const MOST_TIMERS: usize = 100_000;
/// How far time moves where a release wants to be polled at once and does nothing then, microseconds.
const STEP: Micros = 10_000;

struct Release {
    capabilities: Capabilities,
    sockets: Sockets,
}

impl Release {
    fn new() -> Release {
        // build.sh gives it in the program's name.
        let release = env!("CARGO_BIN_NAME").trim_start_matches("smoltcp-").replace('-', ".");
        let settings = [
            "buffers of 65535 octets; a backlog of sockets that wait in LISTEN one after the other",
            "overflow checks and debug assertions on; options of the sockets are not passed on",
        ];
        Release { capabilities: simulated("smoltcp", &release, &settings), sockets: Sockets::new(0) }
    }

    fn reply<T>(&mut self, value: T) -> Result<Reply<T>, TargetError> {
        let next_timer = self.sockets.engine.poll_at();
        let link = self.sockets.engine.link();
        let packets = bounded(std::mem::take(&mut link.out))?;
        let next_timer = match next_timer {
            None => NextTimer::Never,
            Some(at) if at > link.now => NextTimer::At(at),
            Some(_) => NextTimer::Unknown,
        };
        Ok(Reply { value, packets, now: link.now, next_timer })
    }
}

impl Target for Release {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn reset(&mut self, seed: u64) -> Result<(), TargetError> {
        self.sockets = Sockets::new(seed);
        Ok(())
    }

    fn call(&mut self, call: &Call) -> Result<Reply<CallResult>, TargetError> {
        let value = self.sockets.perform(call).unwrap_or_else(CallResult::Error);
        self.sockets.poll(Cause::Timer);
        self.reply(value)
    }

    fn deliver(&mut self, datagrams: &[Vec<u8>]) -> Result<Reply<()>, TargetError> {
        for datagram in datagrams {
            self.sockets.engine.put(datagram);
            self.sockets.poll(Cause::Arrival);
        }
        self.sockets.poll(Cause::Timer);
        self.reply(())
    }

    fn advance(&mut self, us: Micros) -> Result<Reply<()>, TargetError> {
        let target = self.sockets.engine.link().now.saturating_add(us);
        for _ in 0..MOST_TIMERS {
            let now = self.sockets.engine.link().now;
            let Some(at) = self.sockets.engine.poll_at().map(|at| if at > now { at } else { now.saturating_add(STEP) }) else { break };
            if at > target {
                break;
            }
            self.sockets.engine.link().now = at;
            self.sockets.poll(Cause::Timer);
        }
        self.sockets.engine.link().now = target;
        self.reply(())
    }
}

fn main() -> io::Result<()> {
    // What the harness keeps of standard error is its end: the message, not where it came from.
    std::panic::set_hook(Box::new(|panic| eprintln!("{panic}")));
    serve(&mut Release::new(), io::stdin().lock(), io::stdout().lock())
}
