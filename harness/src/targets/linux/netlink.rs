//! Netlink, as much as is needed: one request, one answer, over a non-blocking socket.
//!
//! The kernel works on a request before `send` returns, so the answer is there to be read at once.

use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd};

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
