//! smoltcp in process, on a virtual clock.
//!
//! ```text
//! Target ─► SmolTcp (panics, floods) ─► Stack (sockets API over smoltcp's sockets) ─► smoltcp ─► Link
//! ```
//!
//! smoltcp has no listener with a backlog, no accept and no memory of how a connection ended; [`stack`] adds these in the way that an
//! application over smoltcp would. Everything on the wire is smoltcp's own.

mod connection;
mod device;
mod stack;

use std::sync::Once;

use tcp_reference::api::{Call, CallResult, Micros};

use crate::target::{Capabilities, Reply, Target, TargetError};
use crate::targets::{panics, simulated};
use stack::Stack;

/// The target's name.
pub const NAME: &str = "smoltcp";
/// The version that this build is made with.
const VERSION: &str = "0.14.0";
/// Octets of each connection's receive and send buffer: the most that needs no window scale, so that smoltcp offers a shift of 0.
pub const BUFFER: usize = 65_535;

/// smoltcp as a target.
pub struct SmolTcp {
    capabilities: Capabilities,
    stack: Stack,
    /// Why the stack cannot be used until it is reset.
    broken: Option<TargetError>,
}

impl SmolTcp {
    /// A stack reset with seed 0.
    #[must_use]
    pub fn new() -> SmolTcp {
        keep_memory();
        let settings = [
            &format!("receive and send buffers of {BUFFER} octets: smoltcp has no default; this is the most without a window scale"),
            "backlog: one smoltcp socket waits in LISTEN and another takes its place, as far as the backlog allows",
            "a listener listens on its port for every address and both IP versions, as smoltcp's applications do",
            "features std, medium-ip, proto-ipv4, proto-ipv6, socket-tcp: no congestion control, no IP fragments",
        ];
        SmolTcp { capabilities: simulated(NAME, VERSION, &settings), stack: Stack::new(0), broken: None }
    }

    /// Runs a request; a panic or a flood leaves the stack unusable until it is reset.
    fn guarded<T>(&mut self, run: impl FnOnce(&mut Stack) -> Result<T, TargetError>) -> Result<Reply<T>, TargetError> {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        let stack = &mut self.stack;
        let result = panics::catch(|| run(stack).map(|value| stack.reply(value)));
        result.unwrap_or_else(|text| Err(TargetError::Crash(text))).inspect_err(|error| self.broken = Some(error.clone()))
    }
}

/// Makes glibc keep freed memory: giving the buffers of each run back and faulting them in again takes 60 us a run, ten times as long as
/// all the rest. Freeing one large block raises its thresholds (`mallopt(3)`, `M_MMAP_THRESHOLD`); elsewhere this does nothing.
fn keep_memory() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| drop(std::hint::black_box(Vec::<u8>::with_capacity(31 << 20))));
}

impl Default for SmolTcp {
    fn default() -> SmolTcp {
        SmolTcp::new()
    }
}

impl Target for SmolTcp {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn reset(&mut self, seed: u64) -> Result<(), TargetError> {
        self.stack = Stack::new(seed);
        self.broken = None;
        Ok(())
    }

    fn call(&mut self, call: &Call) -> Result<Reply<CallResult>, TargetError> {
        self.guarded(|stack| stack.call(call))
    }

    fn deliver(&mut self, datagrams: &[Vec<u8>]) -> Result<Reply<()>, TargetError> {
        self.guarded(|stack| stack.deliver(datagrams))
    }

    fn advance(&mut self, us: Micros) -> Result<Reply<()>, TargetError> {
        self.guarded(|stack| stack.advance(us))
    }
}
