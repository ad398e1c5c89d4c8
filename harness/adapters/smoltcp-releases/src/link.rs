//! A link in memory: one frame in at a time, everything out kept with the time at which it left.

use smoltcp::phy::{Device, DeviceCapabilities, RxToken, TxToken};
use smoltcp::time::Instant;
use tcp_harness::target::Packet;
use tcp_harness::targets::{FLOOD, MTU};

/// Octets before each datagram.
pub(crate) const HEADER: usize = if cfg!(feature = "ethernet") { 14 } else { 0 };

/// The link.
#[derive(Default)]
pub(crate) struct Link {
    /// The frame that arrives.
    pub(crate) input: Option<Vec<u8>>,
    /// What left.
    pub(crate) out: Vec<Packet>,
    /// The time, microseconds.
    pub(crate) now: u64,
}

pub(crate) struct In(Vec<u8>);
pub(crate) struct Out<'a>(&'a mut Link);

impl Link {
    fn arriving(&mut self) -> Option<(In, Out<'_>)> {
        self.input.take().map(|frame| (In(frame), Out(self)))
    }

    /// Nothing more leaves after a flood: a release that polls itself for ever comes to an end by it.
    fn leaving(&mut self) -> Option<Out<'_>> {
        (self.out.len() <= FLOOD).then_some(Out(self))
    }

    fn describe(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.max_transmission_unit = usize::from(MTU) + HEADER;
        #[cfg(not(feature = "ethernet"))]
        {
            capabilities.medium = smoltcp::phy::Medium::Ip;
        }
        capabilities
    }
}

impl Out<'_> {
    fn send<R>(self, length: usize, fill: impl FnOnce(&mut [u8]) -> R) -> R {
        let mut frame = vec![0; length];
        let result = fill(&mut frame);
        let (link, ip) = (self.0, frame.split_off(HEADER));
        link.out.push(Packet { from: link.now, at: link.now, ip });
        result
    }
}

#[cfg(not(feature = "borrowing"))]
mod traits {
    use super::{Device, DeviceCapabilities, In, Instant, Link, Out, RxToken, TxToken};
    use smoltcp::Result;

    impl<'a> Device<'a> for Link {
        type RxToken = In;
        type TxToken = Out<'a>;

        fn capabilities(&self) -> DeviceCapabilities {
            self.describe()
        }

        fn receive(&'a mut self) -> Option<(In, Out<'a>)> {
            self.arriving()
        }

        fn transmit(&'a mut self) -> Option<Out<'a>> {
            self.leaving()
        }
    }

    impl RxToken for In {
        fn consume<R, F: FnOnce(&mut [u8]) -> Result<R>>(mut self, _: Instant, f: F) -> Result<R> {
            f(&mut self.0)
        }
    }

    impl TxToken for Out<'_> {
        fn consume<R, F: FnOnce(&mut [u8]) -> Result<R>>(self, _: Instant, length: usize, f: F) -> Result<R> {
            self.send(length, f)
        }
    }
}

#[cfg(feature = "borrowing")]
mod traits {
    use super::{Device, DeviceCapabilities, In, Instant, Link, Out, RxToken, TxToken};

    impl Device for Link {
        type RxToken<'a> = In;
        type TxToken<'a> = Out<'a>;

        fn capabilities(&self) -> DeviceCapabilities {
            self.describe()
        }

        fn receive(&mut self, _: Instant) -> Option<(In, Out<'_>)> {
            self.arriving()
        }

        fn transmit(&mut self, _: Instant) -> Option<Out<'_>> {
            self.leaving()
        }
    }

    impl RxToken for In {
        fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
            f(&self.0)
        }
    }

    impl TxToken for Out<'_> {
        fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
            self.send(length, f)
        }
    }
}
