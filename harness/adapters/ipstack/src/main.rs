//! ipstack behind the harness's target protocol.
//!
//! ipstack runs on tokio. Here that is one thread with a clock that only `advance` moves, and a request is answered when no task can run.

use std::future::Future as _;
use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use ipstack::{IpStack, IpStackConfig, IpStackStream, TcpConfig, TcpOptions};
use tcp_harness::protocol::serve::serve_calls;
use tcp_harness::target::{Capabilities, NextTimer, Reply, Target, TargetError};
use tcp_harness::targets::{MTU, bounded, simulated};
use tcp_reference::api::{Call, CallResult, Micros};
use tokio::runtime::{Builder, Runtime};

use crate::sockets::Sockets;
use crate::wire::Wire;

mod machine;
mod sockets;
mod wire;

/// tokio's timers fire at whole ones of these.
const TICK: Micros = 1000;

/// One life of the stack, from reset to reset.
struct Stack {
    // Before the streams: one whose task has ended with the runtime can be dropped anywhere.
    runtime: Runtime,
    idle: Arc<Idle>,
    sockets: Sockets,
    /// One for each IP version: an MSS option is set for a whole stack.
    sides: [Side; 2],
}

/// ipstack at the wire of one IP version.
struct Side {
    ipstack: IpStack,
    wire: Wire,
}

impl Side {
    /// In the runtime. `headers` is what IP and TCP take of each datagram, octets.
    fn new(headers: u16) -> io::Result<Side> {
        let mut tcp = TcpConfig::default();
        tcp.read_buffer_size = usize::from(u16::MAX);
        tcp.max_unacked_bytes = u32::from(u16::MAX);
        tcp.options = Some(vec![TcpOptions::MaximumSegmentSize(MTU - headers)]);
        let mut config = IpStackConfig::default();
        config.mtu(MTU).map_err(io::Error::from)?.with_tcp_config(tcp);
        let wire = Wire::new();
        Ok(Side { ipstack: IpStack::new(config, wire.clone()), wire })
    }
}

/// Where one waits until no task can run.
#[derive(Default)]
struct Idle(Mutex<Option<(u32, Waker)>>);

impl Idle {
    /// The runtime's thread is about to sleep.
    fn reached(&self) {
        if let Some((times, waker)) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            *times += 1;
            waker.wake_by_ref();
        }
    }

    /// Done when the thread was about to sleep twice: the first time sets off the timers that are due.
    fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        let mut waits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waits.take_if(|(times, _)| *times >= 2).is_some() {
            return Poll::Ready(());
        }
        waits.get_or_insert_with(|| (0, cx.waker().clone()));
        Poll::Pending
    }
}

impl Stack {
    fn new(seed: u64) -> io::Result<Stack> {
        machine::set_time(0);
        machine::set_seed(seed);
        let idle = Arc::new(Idle::default());
        let sleeps = Arc::clone(&idle);
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).on_thread_park(move || sleeps.reached()).build()?;
        let entered = runtime.enter();
        let sides = [Side::new(40)?, Side::new(60)?];
        drop(entered);
        let mut stack = Stack { runtime, idle, sockets: Sockets::default(), sides };
        stack.settle();
        Ok(stack)
    }

    fn now(&self) -> Micros {
        let _entered = self.runtime.enter();
        self.sides[0].wire.now()
    }

    /// Lets everything run until nothing can, the stack's user too.
    fn settle(&mut self) {
        loop {
            self.runtime.block_on(std::future::poll_fn(|cx| self.idle.poll(cx)));
            let mut refused = Vec::new();
            let mut cx = Context::from_waker(Waker::noop());
            for side in &mut self.sides {
                while let Poll::Ready(Ok(accepted)) = pin!(side.ipstack.accept()).poll(&mut cx) {
                    if let IpStackStream::Tcp(stream) = accepted {
                        refused.extend(self.sockets.take(&self.runtime, stream));
                    }
                }
            }
            let done = self.sockets.done_with();
            if refused.is_empty() && done.is_empty() {
                return;
            }
            self.runtime.block_on(async {
                for held in done {
                    held.let_go().await;
                }
                // As `let_go` has it.
                let _dropped = tokio::task::spawn_blocking(move || drop(refused)).await;
            });
        }
    }

    fn call(&mut self, call: &Call) -> CallResult {
        let entered = self.runtime.enter();
        let result = self.sockets.perform(call);
        drop(entered);
        self.settle();
        result
    }

    /// Time passes; between two of the runtime's ticks no timer fires.
    fn advance(&mut self, to: Micros) {
        self.step(self.now().next_multiple_of(TICK).min(to));
        let whole = (to / TICK * TICK).saturating_sub(self.now());
        if whole > 0 {
            // A runtime with nothing to do goes from timer to timer, until this one.
            self.runtime.block_on(async { tokio::time::sleep(Duration::from_micros(whole)).await });
            self.settle();
        }
        self.step(to);
        machine::set_time(to);
    }

    fn step(&mut self, to: Micros) {
        let us = to.saturating_sub(self.now());
        if us > 0 {
            self.runtime.block_on(tokio::time::advance(Duration::from_micros(us)));
            self.settle();
        }
    }
}

struct Adapter {
    capabilities: Capabilities,
    stack: Stack,
}

impl Adapter {
    fn new() -> io::Result<Adapter> {
        let settings = [
            "an MTU of 1500 octets, the link's; buffers of 65535 octets instead of 16384 (read_buffer_size, max_unacked_bytes)",
            "an MSS option of what the link takes: by default there is none",
            "its time and its random numbers come from the harness; ipstack's timers are tokio's, and fire at whole milliseconds",
            "listen: ipstack listens at every port from the first, and cannot be told otherwise; a connection that nobody listens for is dropped",
            "send is write_all, in a task of the application's, which keeps up to 65535 octets until ipstack takes them: it has no send buffer",
            "close is shutdown, and drop when that has ended; there is no abort",
            "a connection's state is read from its debug text: the API has nothing else",
        ];
        Ok(Adapter { capabilities: simulated("ipstack", "1.0.1", &settings), stack: Stack::new(0)? })
    }

    fn reply<T>(&mut self, value: T) -> Result<Reply<T>, TargetError> {
        let mut packets: Vec<_> = self.stack.sides.iter().flat_map(|side| side.wire.take()).collect();
        packets.sort_by_key(|packet| packet.at);
        let packets = bounded(packets)?;
        // tokio does not tell when its next timer is due.
        Ok(Reply { value, packets, now: self.stack.now(), next_timer: NextTimer::Unknown })
    }
}

impl Target for Adapter {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn reset(&mut self, seed: u64) -> Result<(), TargetError> {
        self.stack = Stack::new(seed).map_err(|error| TargetError::Harness(error.to_string()))?;
        Ok(())
    }

    fn call(&mut self, call: &Call) -> Result<Reply<CallResult>, TargetError> {
        let value = self.stack.call(call);
        self.reply(value)
    }

    fn deliver(&mut self, datagrams: &[Vec<u8>]) -> Result<Reply<()>, TargetError> {
        for datagram in datagrams {
            let six = datagram.first().is_some_and(|octet| octet >> 4 == 6);
            self.stack.sides[usize::from(six)].wire.deliver(datagram);
            self.stack.settle();
        }
        self.stack.settle();
        self.reply(())
    }

    fn advance(&mut self, us: Micros) -> Result<Reply<()>, TargetError> {
        let to = self.stack.now().saturating_add(us);
        self.stack.advance(to);
        self.reply(())
    }
}

/// It only accepts, and has no ABORT.
const CALLS: &[&str] = &["listen", "accept", "send", "recv", "shutdown", "close", "set", "state"];

fn main() -> io::Result<()> {
    serve_calls(&mut Adapter::new()?, CALLS, io::stdin().lock(), io::stdout().lock())
}
