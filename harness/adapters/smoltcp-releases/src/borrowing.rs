//! Releases from 0.12 on: device and sockets are lent to the interface.

use std::net::{IpAddr, SocketAddr};

use smoltcp::iface::{Config, Interface, PollResult, SocketHandle, SocketSet};
use smoltcp::socket::tcp;
use smoltcp::time::Instant;
use smoltcp::wire::{HardwareAddress, IpCidr};
use tcp_harness::targets::{FLOOD, LOCAL, PREFIX, REMOTE};

use crate::link::Link;

pub(crate) use smoltcp::socket::tcp::SocketBuffer as Buffer;

pub(crate) type Handle = SocketHandle;
pub(crate) type Socket = tcp::Socket<'static>;

pub(crate) struct Engine {
    interface: Interface,
    sockets: SocketSet<'static>,
    link: Link,
}

impl Engine {
    pub(crate) fn new(seed: u64) -> Engine {
        let mut link = Link::default();
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = seed;
        let mut interface = Interface::new(config, &mut link, Instant::ZERO);
        interface.update_ip_addrs(|addresses| {
            for (local, prefix) in LOCAL.into_iter().zip(PREFIX) {
                let _room = addresses.push(IpCidr::new(local.into(), prefix));
            }
        });
        for gateway in REMOTE {
            let _room = match gateway {
                IpAddr::V4(a) => interface.routes_mut().add_default_ipv4_route(a),
                IpAddr::V6(a) => interface.routes_mut().add_default_ipv6_route(a),
            };
        }
        Engine { interface, sockets: SocketSet::new(Vec::new()), link }
    }

    pub(crate) fn link(&mut self) -> &mut Link {
        &mut self.link
    }

    pub(crate) fn put(&mut self, datagram: &[u8]) {
        self.link.input = Some(datagram.to_vec());
    }

    pub(crate) fn add(&mut self, socket: Socket) -> Handle {
        self.sockets.add(socket)
    }

    pub(crate) fn with<R>(&mut self, handle: Handle, f: impl FnOnce(&mut Socket) -> R) -> R {
        f(self.sockets.get_mut::<Socket>(handle))
    }

    pub(crate) fn connect(&mut self, handle: Handle, remote: SocketAddr, local: SocketAddr) -> bool {
        self.sockets.get_mut::<Socket>(handle).connect(self.interface.context(), remote, local).is_ok()
    }

    pub(crate) fn poll(&mut self) {
        let now = self.now();
        // Release 0.12 sends a segment of each socket and returns.
        loop {
            let result = self.interface.poll(now, &mut self.link, &mut self.sockets);
            if result == PollResult::None || self.link.out.len() > FLOOD {
                break;
            }
        }
    }

    /// Microseconds.
    pub(crate) fn poll_at(&mut self) -> Option<u64> {
        let now = self.now();
        self.interface.poll_at(now, &self.sockets).map(|at| at.total_micros().max(0).unsigned_abs())
    }

    fn now(&mut self) -> Instant {
        Instant::from_micros(i64::try_from(self.link.now).unwrap_or(i64::MAX))
    }
}
