//! Release 0.8: the interface owns device and sockets.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use smoltcp::iface::{Interface, InterfaceBuilder, Routes, SocketHandle};
use smoltcp::socket::TcpSocket;
use smoltcp::time::Instant;
use smoltcp::wire::IpCidr;
use tcp_harness::targets::{LOCAL, PREFIX, REMOTE};

use crate::link::Link;

pub(crate) use smoltcp::socket::TcpSocketBuffer as Buffer;

pub(crate) type Handle = SocketHandle;
pub(crate) type Socket = TcpSocket<'static>;

pub(crate) struct Engine {
    interface: Interface<'static, Link>,
}

impl Engine {
    pub(crate) fn new(seed: u64) -> Engine {
        let mut routes = Routes::new(BTreeMap::new());
        for gateway in REMOTE {
            let _room = match gateway {
                IpAddr::V4(a) => routes.add_default_ipv4_route(a.into()),
                IpAddr::V6(a) => routes.add_default_ipv6_route(a.into()),
            };
        }
        let interface = InterfaceBuilder::new(Link::default(), Vec::new())
            .random_seed(seed)
            .ip_addrs(Vec::from([0, 1].map(|i| IpCidr::new(LOCAL[i].into(), PREFIX[i]))))
            .routes(routes)
            .finalize();
        Engine { interface }
    }

    pub(crate) fn link(&mut self) -> &mut Link {
        self.interface.device_mut()
    }

    pub(crate) fn put(&mut self, datagram: &[u8]) {
        self.link().input = Some(datagram.to_vec());
    }

    pub(crate) fn add(&mut self, socket: Socket) -> Handle {
        self.interface.add_socket(socket)
    }

    pub(crate) fn with<R>(&mut self, handle: Handle, f: impl FnOnce(&mut Socket) -> R) -> R {
        f(self.interface.get_socket::<Socket>(handle))
    }

    pub(crate) fn connect(&mut self, handle: Handle, remote: SocketAddr, local: SocketAddr) -> bool {
        let (socket, context) = self.interface.get_socket_and_context::<Socket>(handle);
        socket.connect(context, remote, local).is_ok()
    }

    pub(crate) fn poll(&mut self) {
        let now = self.now();
        let _told = self.interface.poll(now);
    }

    /// Microseconds.
    pub(crate) fn poll_at(&mut self) -> Option<u64> {
        let now = self.now();
        self.interface.poll_at(now).map(|at| at.total_micros().max(0).unsigned_abs())
    }

    fn now(&mut self) -> Instant {
        Instant::from_micros(i64::try_from(self.link().now).unwrap_or(i64::MAX))
    }
}
