//! A link in memory: one datagram in at a time, everything out kept with the time at which it left.

use smoltcp::phy::{self, Device, DeviceCapabilities, Medium};
use smoltcp::time::Instant;

use crate::target::Packet;
use crate::targets::MTU;

/// The link.
#[derive(Default)]
pub(super) struct Link {
    /// The next datagram to arrive; its buffer is used again.
    input: Vec<u8>,
    arrived: bool,
    /// What left.
    pub(super) out: Vec<Packet>,
}

impl Link {
    /// Puts a datagram where the stack will find it.
    pub(super) fn put(&mut self, datagram: &[u8]) {
        self.input.clear();
        self.input.extend_from_slice(datagram);
        self.arrived = true;
    }
}

impl Device for Link {
    type RxToken<'a> = In<'a>;
    type TxToken<'a> = Out<'a>;

    /// Checksums are verified and computed in software both ways, which is what the default says.
    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = usize::from(MTU);
        capabilities
    }

    fn receive(&mut self, now: Instant) -> Option<(In<'_>, Out<'_>)> {
        std::mem::take(&mut self.arrived).then_some((In(&self.input), Out { packets: &mut self.out, now }))
    }

    fn transmit(&mut self, now: Instant) -> Option<Out<'_>> {
        Some(Out { packets: &mut self.out, now })
    }
}

/// The datagram that arrives.
pub(super) struct In<'a>(&'a [u8]);

impl phy::RxToken for In<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

/// Room for a datagram that leaves.
pub(super) struct Out<'a> {
    packets: &'a mut Vec<Packet>,
    now: Instant,
}

impl phy::TxToken for Out<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let mut ip = vec![0; length];
        let result = f(&mut ip);
        let at = self.now.total_micros().unsigned_abs();
        self.packets.push(Packet { from: at, at, ip });
        result
    }
}
