//! libslirp behind the harness's target protocol.
//!
//! libslirp is the TCP that a guest without a network of its own speaks with: QEMU's, and that of containers without privilege. What is judged is
//! that TCP. The application is at the other end of the sockets that libslirp opens on its host, which are this program's own (`host.rs`).

use std::ffi::CStr;
use std::io;

use tcp_harness::protocol::serve::serve_calls;
use tcp_harness::target::{Capabilities, Reply, Target, TargetError};
use tcp_harness::targets::{bounded, simulated};
use tcp_reference::api::{Call, CallResult, Micros};

use crate::sockets::Sockets;
use crate::stack::Stack;

mod ffi;
mod host;
mod libc_calls;
mod sockets;
mod stack;

struct Adapter {
    capabilities: Capabilities,
    // Dropped before the next one is made: libslirp knows its host's sockets by number.
    stack: Option<Stack>,
    sockets: Sockets,
}

impl Adapter {
    fn new() -> Adapter {
        let settings = [
            "libslirp's host is at the stack's addresses (vhost, vhost6); no DNS, DHCP, router advertisements or emulation of protocols; an MTU of 1500 octets, the link's",
            "the sockets of its host are the adapter's, which do what Linux's do; the application's end has no receive buffer of its own",
            "listen is a host's listener, to which libslirp connects when a SYN comes; connect is a connection to a port that libslirp forwards to the guest",
            "its time comes from the harness; its host's loop sleeps as long as slirp_pollfds_fill says, and its timers tick as late as that makes them",
            "a connection's state is read from slirp_connection_info: the API has nothing else",
            "close with text unread resets, as Linux does; there is no shutdown for reading",
        ];
        // SAFETY: a string that lives for ever.
        let version = unsafe { CStr::from_ptr(ffi::slirp_version_string()) }.to_string_lossy();
        Adapter { capabilities: simulated("libslirp", &version, &settings), stack: None, sockets: Sockets::default() }
    }

    fn stack(&mut self) -> Result<&mut Stack, TargetError> {
        self.stack.as_mut().ok_or_else(early)
    }

    fn reply<T>(&mut self, value: T) -> Result<Reply<T>, TargetError> {
        let packets = bounded(Stack::sent())?;
        let next_timer = self.stack()?.next_timer();
        Ok(Reply { value, packets, now: Stack::now(), next_timer })
    }

    fn look(&mut self) {
        if let Some(stack) = &self.stack {
            sockets::look(stack);
        }
    }
}

impl Target for Adapter {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// libslirp draws nothing by chance that a segment would show.
    fn reset(&mut self, _seed: u64) -> Result<(), TargetError> {
        self.stack = None;
        self.sockets = Sockets::default();
        self.stack = Some(Stack::new()?);
        Ok(())
    }

    fn call(&mut self, call: &Call) -> Result<Reply<CallResult>, TargetError> {
        let stack = self.stack.as_mut().ok_or_else(early)?;
        let value = self.sockets.perform(call, stack)?;
        self.look();
        self.reply(value)
    }

    fn deliver(&mut self, datagrams: &[Vec<u8>]) -> Result<Reply<()>, TargetError> {
        for datagram in datagrams {
            self.stack()?.deliver(datagram)?;
            self.look();
        }
        self.stack()?.settle()?;
        self.look();
        self.reply(())
    }

    fn advance(&mut self, us: Micros) -> Result<Reply<()>, TargetError> {
        let to = Stack::now().saturating_add(us);
        self.stack()?.advance(to)?;
        self.look();
        self.reply(())
    }
}

fn early() -> TargetError {
    TargetError::Harness("reset comes first".to_owned())
}

const CALLS: &[&str] = &["listen", "accept", "connect", "send", "recv", "shutdown", "close", "abort", "set", "state"];

fn main() -> io::Result<()> {
    serve_calls(&mut Adapter::new(), CALLS, io::stdin().lock(), io::stdout().lock())
}
