//! Releases 0.6 and 0.7: Ethernet only, the sockets beside the interface, a clock of milliseconds.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use smoltcp::iface::{EthernetInterface, EthernetInterfaceBuilder, NeighborCache, Routes};
use smoltcp::socket::{SocketHandle, SocketSet, TcpSocket};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, IpCidr};
use tcp_harness::targets::{LOCAL, PREFIX, REMOTE};

use crate::link::Link;

pub(crate) use smoltcp::socket::TcpSocketBuffer as Buffer;

pub(crate) type Handle = SocketHandle;
pub(crate) type Socket = TcpSocket<'static>;

#[cfg(feature = "more-lifetimes")]
type Interface = EthernetInterface<'static, 'static, 'static, Link>;
#[cfg(feature = "more-lifetimes")]
type Sockets = SocketSet<'static, 'static, 'static>;
#[cfg(not(feature = "more-lifetimes"))]
type Interface = EthernetInterface<'static, Link>;
#[cfg(not(feature = "more-lifetimes"))]
type Sockets = SocketSet<'static>;

const OWN: [u8; 6] = [2, 0, 0, 0, 0, 1];
const PEER: [u8; 6] = [2, 0, 0, 0, 0, 2];
/// The source of what arrives: not unicast, so that the stack learns nothing from it and what it is told here of its neighbours stands.
const NOBODY: [u8; 6] = [3, 0, 0, 0, 0, 0];
/// Beyond any time of a run, milliseconds.
const NEVER: i64 = 1 << 50;

pub(crate) struct Engine {
    interface: Interface,
    sockets: Sockets,
}

impl Engine {
    pub(crate) fn new(_seed: u64) -> Engine {
        let mut neighbours = NeighborCache::new(BTreeMap::new());
        let mut routes = Routes::new(BTreeMap::new());
        for gateway in REMOTE {
            neighbours.fill(gateway.into(), EthernetAddress(PEER), Instant::from_millis(NEVER));
            let _room = match gateway {
                IpAddr::V4(a) => routes.add_default_ipv4_route(a.into()),
                IpAddr::V6(a) => routes.add_default_ipv6_route(a.into()),
            };
        }
        let interface = EthernetInterfaceBuilder::new(Link::default())
            .ethernet_addr(EthernetAddress(OWN))
            .neighbor_cache(neighbours)
            .ip_addrs(Vec::from([0, 1].map(|i| IpCidr::new(LOCAL[i].into(), PREFIX[i]))))
            .routes(routes)
            .finalize();
        Engine { interface, sockets: SocketSet::new(Vec::new()) }
    }

    pub(crate) fn link(&mut self) -> &mut Link {
        self.interface.device_mut()
    }

    pub(crate) fn put(&mut self, datagram: &[u8]) {
        let ether_type: [u8; 2] = if datagram.first().is_some_and(|octet| octet >> 4 == 6) { [0x86, 0xdd] } else { [8, 0] };
        self.link().input = Some([&OWN[..], &NOBODY, &ether_type, datagram].concat());
    }

    pub(crate) fn add(&mut self, socket: Socket) -> Handle {
        self.sockets.add(socket)
    }

    pub(crate) fn with<R>(&mut self, handle: Handle, f: impl FnOnce(&mut Socket) -> R) -> R {
        f(&mut self.sockets.get::<Socket>(handle))
    }

    pub(crate) fn connect(&mut self, handle: Handle, remote: SocketAddr, local: SocketAddr) -> bool {
        self.sockets.get::<Socket>(handle).connect(remote, local).is_ok()
    }

    pub(crate) fn poll(&mut self) {
        // An error tells of one segment that was not taken, or of a flood.
        let now = self.now();
        let _told = self.interface.poll(&mut self.sockets, now);
    }

    /// Microseconds.
    pub(crate) fn poll_at(&mut self) -> Option<u64> {
        let now = self.now();
        self.interface.poll_at(&self.sockets, now).map(|at| at.total_millis().max(0).unsigned_abs() * 1000)
    }

    fn now(&mut self) -> Instant {
        Instant::from_millis(i64::try_from(self.link().now / 1000).unwrap_or(i64::MAX))
    }
}
