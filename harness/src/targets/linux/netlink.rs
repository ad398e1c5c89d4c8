//! Netlink, as much as is needed: one request, one answer, over a non-blocking socket.
//!
//! The kernel works on a request before `send` returns, so the answer is there to be read at once.

use std::net::IpAddr;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};

const HEADER: usize = 16;
const MSG_ERROR: u16 = 2;
const FLAG_REQUEST: u16 = 1;
const FLAG_ACK: u16 = 4;
const FLAG_CREATE: u16 = 0x400;

/// A netlink socket; it belongs for ever to the namespace in which it was opened.
#[derive(Debug)]
pub(super) struct Netlink {
    fd: OwnedFd,
    buffer: Vec<u8>,
}

impl Netlink {
    /// Opens one in the calling thread's namespace.
    pub(super) fn open(protocol: SockProtocol) -> Result<Netlink, Errno> {
        let fd = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, protocol)?;
        Ok(Netlink { fd, buffer: vec![0; 8192] })
    }

    /// Sends a request; gives the body of the first answer, empty for a bare acknowledgment.
    pub(super) fn ask(&mut self, kind: u16, flags: u16, body: &[u8]) -> Result<&[u8], Errno> {
        let length = HEADER + body.len();
        let mut message = Vec::with_capacity(length);
        message.extend_from_slice(&u32::try_from(length).map_err(|_| Errno::EMSGSIZE)?.to_ne_bytes());
        message.extend_from_slice(&kind.to_ne_bytes());
        message.extend_from_slice(&(flags | FLAG_REQUEST).to_ne_bytes());
        message.extend_from_slice(&[0; 8]);
        message.extend_from_slice(body);
        send(self.fd.as_raw_fd(), &message, MsgFlags::empty())?;
        let count = recv(self.fd.as_raw_fd(), &mut self.buffer, MsgFlags::empty())?;
        let answer = self.buffer.get(..count).ok_or(Errno::EBADMSG)?;
        let body = answer.get(HEADER..).ok_or(Errno::EBADMSG)?;
        if answer.get(4..6) == Some(&MSG_ERROR.to_ne_bytes()) {
            let code = body.first_chunk().map(|c| i32::from_ne_bytes(*c)).ok_or(Errno::EBADMSG)?;
            return if code == 0 { Ok(&[]) } else { Err(Errno::from_raw(-code)) };
        }
        Ok(body)
    }

    /// A request that is only acknowledged.
    pub(super) fn order(&mut self, kind: u16, flags: u16, body: &[u8]) -> Result<(), Errno> {
        self.ask(kind, flags | FLAG_ACK, body).map(|_| ())
    }
}

/// Brings an interface up, with room for so many datagrams where that is given. (The ioctl for that room wants the machine's own root.)
pub(super) fn link_up(netlink: &mut Netlink, index: u32, queue: Option<u32>) -> Result<(), Errno> {
    const QUEUE_LENGTH: u16 = 13;
    const NEW_LINK: u16 = 16;
    const UP: u32 = 1;
    let mut body = vec![0; 4];
    body.extend_from_slice(&index.to_ne_bytes());
    body.extend_from_slice(&UP.to_ne_bytes());
    body.extend_from_slice(&UP.to_ne_bytes());
    if let Some(queue) = queue {
        push_attribute(&mut body, QUEUE_LENGTH, &queue.to_ne_bytes());
    }
    netlink.order(NEW_LINK, 0, &body)
}

/// Gives an interface an address, an IPv6 one without duplicate address detection.
pub(super) fn add_address(netlink: &mut Netlink, index: u32, address: IpAddr, prefix: u8) -> Result<(), Errno> {
    const NEW_ADDRESS: u16 = 20;
    const NO_DAD: u8 = 2;
    const ADDRESS: u16 = 1;
    const LOCAL: u16 = 2;
    let mut body = vec![family(address), prefix, if address.is_ipv6() { NO_DAD } else { 0 }, 0];
    body.extend_from_slice(&index.to_ne_bytes());
    push_attribute(&mut body, LOCAL, &octets(address));
    push_attribute(&mut body, ADDRESS, &octets(address));
    netlink.order(NEW_ADDRESS, FLAG_CREATE, &body)
}

/// Adds the default route of `like`'s IP version through an interface.
pub(super) fn add_default_route(netlink: &mut Netlink, index: u32, like: IpAddr) -> Result<(), Errno> {
    const NEW_ROUTE: u16 = 24;
    const MAIN_TABLE: u8 = 254;
    const STATIC: u8 = 4;
    const UNICAST: u8 = 1;
    const OUT_INTERFACE: u16 = 4;
    let mut body = vec![family(like), 0, 0, 0, MAIN_TABLE, STATIC, 0, UNICAST, 0, 0, 0, 0];
    push_attribute(&mut body, OUT_INTERFACE, &index.to_ne_bytes());
    netlink.order(NEW_ROUTE, FLAG_CREATE, &body)
}

/// Octets of the longest datagram of an interface of the calling thread's network.
pub(in crate::targets) fn mtu(index: u32) -> Result<u32, Errno> {
    const GET_LINK: u16 = 18;
    const LINK_HEADER: usize = 16;
    const MTU: u16 = 4;
    let mut body = vec![0; LINK_HEADER];
    body[4..8].copy_from_slice(&index.to_ne_bytes());
    let mut netlink = Netlink::open(SockProtocol::NetlinkRoute)?;
    let answer = netlink.ask(GET_LINK, 0, &body)?;
    let value = attribute(answer.get(LINK_HEADER..).unwrap_or_default(), MTU).and_then(|v| v.first_chunk().copied());
    value.map(u32::from_ne_bytes).ok_or(Errno::EBADMSG)
}

/// Makes a pair of virtual Ethernet interfaces, one here and one in the network namespace that `there` is open on.
pub(super) fn add_veth(netlink: &mut Netlink, here: &str, peer: &str, there: BorrowedFd<'_>) -> Result<(), Errno> {
    const NEW_LINK: u16 = 16;
    const EXCLUSIVE: u16 = 0x200;
    const NAME: u16 = 3;
    const LINK_INFO: u16 = 18;
    const NAMESPACE: u16 = 28;
    const KIND: u16 = 1;
    const DATA: u16 = 2;
    const PEER: u16 = 1;
    let text = |name: &str| [name.as_bytes(), &[0]].concat();
    let mut other = vec![0; 16];
    push_attribute(&mut other, NAME, &text(peer));
    push_attribute(&mut other, NAMESPACE, &there.as_raw_fd().to_ne_bytes());
    let mut data = Vec::new();
    push_attribute(&mut data, PEER, &other);
    let mut info = Vec::new();
    push_attribute(&mut info, KIND, b"veth");
    push_attribute(&mut info, DATA, &data);
    let mut body = vec![0; 16];
    push_attribute(&mut body, NAME, &text(here));
    push_attribute(&mut body, LINK_INFO, &info);
    netlink.order(NEW_LINK, FLAG_CREATE | EXCLUSIVE, &body)
}

/// Turns off what an interface of the calling thread's network leaves to hardware when it sends: checksums, and with them cutting segments.
/// (`Documentation/networking/ethtool-netlink.rst`.)
pub(super) fn finish_segments(index: u32) -> Result<(), Errno> {
    const GET_FAMILY: u16 = 3;
    const FAMILY_ID: u16 = 1;
    const FAMILY_NAME: u16 = 2;
    const SET_FEATURES: u8 = 12;
    const HEADER: u16 = 1;
    const WANTED: u16 = 3;
    const DEVICE: u16 = 1;
    const FLAGS: u16 = 3;
    const NO_REPLY: u32 = 2;
    const BITS: u16 = 3;
    const BIT: u16 = 1;
    const BIT_NAME: u16 = 2;
    /// Everything else follows from it.
    const CHECKSUMS: &[u8] = b"tx-checksum-ip-generic\0";
    const CONTROLLER: u16 = 16;
    let mut netlink = Netlink::open(SockProtocol::NetlinkGeneric)?;
    let mut body = vec![u8::try_from(GET_FAMILY).unwrap_or_default(), 1, 0, 0];
    push_attribute(&mut body, FAMILY_NAME, b"ethtool\0");
    let answer = netlink.ask(CONTROLLER, 0, &body)?;
    let family = attribute(answer.get(4..).unwrap_or_default(), FAMILY_ID).and_then(|v| v.first_chunk().copied());
    let family = family.map(u16::from_ne_bytes).ok_or(Errno::EBADMSG)?;
    let (mut header, mut bit, mut bits, mut wanted) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    push_attribute(&mut header, DEVICE, &index.to_ne_bytes());
    push_attribute(&mut header, FLAGS, &NO_REPLY.to_ne_bytes());
    push_attribute(&mut bit, BIT_NAME, CHECKSUMS);
    push_attribute(&mut bits, NESTED | BIT, &bit);
    push_attribute(&mut wanted, NESTED | BITS, &bits);
    let mut body = vec![SET_FEATURES, 1, 0, 0];
    push_attribute(&mut body, NESTED | HEADER, &header);
    push_attribute(&mut body, NESTED | WANTED, &wanted);
    netlink.order(family, 0, &body)
}

/// The value of the first attribute of a type.
fn attribute(mut attributes: &[u8], kind: u16) -> Option<&[u8]> {
    loop {
        let [a, b, c, d] = *attributes.first_chunk::<4>()?;
        let length = usize::from(u16::from_ne_bytes([a, b]));
        let value = attributes.get(4..length)?;
        if u16::from_ne_bytes([c, d]) & !NESTED == kind {
            return Some(value);
        }
        attributes = attributes.get(length.next_multiple_of(4)..)?;
    }
}

/// Marks an attribute that holds attributes.
const NESTED: u16 = 0x8000;

/// The address family's number in netlink messages.
pub(super) fn family(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 2,
        IpAddr::V6(_) => 10,
    }
}

/// An address's octets in network order.
pub(super) fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(a) => a.octets().to_vec(),
        IpAddr::V6(a) => a.octets().to_vec(),
    }
}

fn push_attribute(body: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
    body.extend_from_slice(&length.to_ne_bytes());
    body.extend_from_slice(&kind.to_ne_bytes());
    body.extend_from_slice(value);
    body.resize(body.len().next_multiple_of(4), 0);
}
