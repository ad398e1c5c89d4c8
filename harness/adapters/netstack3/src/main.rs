//! Fuchsia's netstack3 behind the harness's target protocol.
//!
//! The whole of netstack3's core, with the bindings of its own tests: their clock, timers, buffers and frames. Each reset is a context anew.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use net_types::ip::IpVersion;
use netstack3_base::testutil::{FakeInstant, WithFakeFrameContext as _, WithFakeTimerContext as _};
use netstack3_core::device::{DeviceId, PureIpDevice, PureIpDeviceCreationProperties, PureIpDeviceReceiveFrameMetadata};
use netstack3_core::routes::{AddableEntryEither, AddableMetric, RawMetric};
use netstack3_core::testutil::{CtxPairExt as _, DEFAULT_INTERFACE_METRIC, FakeBindingsCtx, FakeCtx};
use netstack3_core::{CtxPair, NetworkParsingContext, StackStateBuilder};
use packet::Buf;
use tcp_harness::protocol::serve::serve;
use tcp_harness::target::{Capabilities, NextTimer, Packet, Reply, Target, TargetError};
use tcp_harness::targets::{FLOOD, LOCAL, MTU, PREFIX, bounded, simulated};
use tcp_reference::api::{Call, CallResult, Micros};

use crate::sockets::Sockets;

mod sockets;

/// One life of the stack, from reset to reset.
struct Stack {
    // Before the context: a socket must not outlive it.
    sockets: Sockets,
    device: DeviceId<FakeBindingsCtx>,
    context: FakeCtx,
    sent: Vec<Packet>,
}

impl Stack {
    fn new(seed: u64) -> Stack {
        let mut bindings_ctx = FakeBindingsCtx::default();
        // Before the stack is built: its secrets come from there.
        bindings_ctx.seed_rng(u128::from(seed));
        let core_ctx = StackStateBuilder::default().build_with_ctx(&mut bindings_ctx);
        let mut context: FakeCtx = CtxPair { core_ctx, bindings_ctx };
        let properties =
            PureIpDeviceCreationProperties { mtu: net_types::ip::Mtu::new(u32::from(MTU)), tx_offload_spec: Default::default() };
        let device = context.core_api().device::<PureIpDevice>().add_device_with_default_state(properties, DEFAULT_INTERFACE_METRIC);
        let device: DeviceId<FakeBindingsCtx> = device.into();
        context.test_api().enable_device(&device);
        for (address, prefix) in LOCAL.into_iter().zip(PREFIX) {
            let subnet = net_types::ip::AddrSubnetEither::new(address.into(), prefix).expect("a unicast address with its prefix");
            context.core_api().device_ip_any().add_ip_addr_subnet(&device, subnet).expect("a first address");
            let everything = if address.is_ipv4() { [0; 4].into() } else { IpAddr::from([0_u16; 8]) };
            let everything = net_types::ip::SubnetEither::new(everything.into(), 0).expect("the whole of the addresses");
            let route = AddableEntryEither::without_gateway(everything, device.clone(), AddableMetric::ExplicitMetric(RawMetric(0)));
            context.test_api().add_route(route).expect("a first route");
        }
        let mut stack = Stack { sockets: Sockets::default(), device, context, sent: Vec::new() };
        stack.collect();
        stack
    }

    fn now(&self) -> Micros {
        micros(self.context.bindings_ctx.timer_ctx().instant.time)
    }

    /// Takes what the device was given to send, as sent now.
    fn collect(&mut self) {
        let us = self.now();
        let frames = self.context.bindings_ctx.with_fake_frame_ctx_mut(|frames| frames.take_frames());
        self.sent.extend(frames.into_iter().map(|(_, ip)| Packet { from: us, at: us, ip }));
    }

    fn deliver(&mut self, datagram: &[u8]) {
        let ip_version = match datagram.first().map(|octet| octet >> 4) {
            Some(6) => IpVersion::V6,
            _ => IpVersion::V4,
        };
        let DeviceId::PureIp(device_id) = self.device.clone() else { return };
        let metadata = PureIpDeviceReceiveFrameMetadata { device_id, ip_version, parsing_context: NetworkParsingContext::default() };
        self.context.core_api().device::<PureIpDevice>().receive_frame(metadata, Buf::new(datagram.to_vec(), ..));
        self.collect();
    }

    fn next_timer(&self) -> Option<Micros> {
        self.context.bindings_ctx.with_fake_timer_ctx(|timers| timers.timers.peek().map(|timer| micros(timer.0)))
    }

    /// Time passes, and each timer fires at its own time, rounded up to whole microseconds.
    fn advance(&mut self, to: Micros) {
        while self.next_timer().is_some_and(|at| at <= to) && self.sent.len() <= FLOOD {
            let fired = self.context.bindings_ctx.with_fake_timer_ctx_mut(|timers| {
                let timer = timers.timers.pop()?;
                timers.instant.time = timers.instant.time.max(instant(micros(timer.0)));
                Some(timer.1.into_dispatch_and_timer_id())
            });
            if let Some((dispatch, id)) = fired {
                self.context.core_api().handle_timer(dispatch, id);
            }
            self.collect();
        }
        self.context.bindings_ctx.with_fake_timer_ctx_mut(|timers| timers.instant.time = timers.instant.time.max(instant(to)));
    }
}

fn micros(at: FakeInstant) -> Micros {
    u64::try_from(at.offset.as_nanos().div_ceil(1000)).unwrap_or(u64::MAX)
}

fn instant(us: Micros) -> FakeInstant {
    FakeInstant { offset: Duration::from_micros(us) }
}

struct Netstack3 {
    capabilities: Capabilities,
    stack: Stack,
}

impl Netstack3 {
    fn new() -> Netstack3 {
        let settings = [
            "the bindings of netstack3's own tests (netstack3-core's testutil): their clock, timers and ring buffers of 65535 octets; assertions on",
            "a pure IP device: no neighbour discovery",
            "IPv6 sockets without dual stack: an IPv4 socket is asked for by its own family; SO_REUSEADDR on each",
            "abort is disconnect_bound(), as Starnix's SOCK_DESTROY uses it: the API has no other",
        ];
        Netstack3 { capabilities: simulated("netstack3", "0.1.0", &settings), stack: Stack::new(0) }
    }

    fn reply<T>(&mut self, value: T) -> Result<Reply<T>, TargetError> {
        self.stack.collect();
        let packets = bounded(std::mem::take(&mut self.stack.sent))?;
        let next_timer = self.stack.next_timer().map_or(NextTimer::Never, NextTimer::At);
        Ok(Reply { value, packets, now: self.stack.now(), next_timer })
    }
}

impl Target for Netstack3 {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn reset(&mut self, seed: u64) -> Result<(), TargetError> {
        self.stack = Stack::new(seed);
        Ok(())
    }

    fn call(&mut self, call: &Call) -> Result<Reply<CallResult>, TargetError> {
        let value = self.stack.sockets.perform(&mut self.stack.context, call);
        self.reply(value)
    }

    fn deliver(&mut self, datagrams: &[Vec<u8>]) -> Result<Reply<()>, TargetError> {
        for datagram in datagrams {
            self.stack.deliver(datagram);
        }
        self.reply(())
    }

    fn advance(&mut self, us: Micros) -> Result<Reply<()>, TargetError> {
        let to = self.stack.now().saturating_add(us);
        self.stack.advance(to);
        self.reply(())
    }
}

fn main() -> io::Result<()> {
    serve(&mut Netstack3::new(), io::stdin().lock(), io::stdout().lock())
}
