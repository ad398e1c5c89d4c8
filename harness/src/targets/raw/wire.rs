//! The interface: datagrams to and from the stack in Ethernet frames, and whoever asks for the peer's Ethernet address is answered.
//!
//! The peer's address is on no interface of this host, so the kernel here takes no part: what comes for it is not for the kernel.

use std::fs;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, IntoRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, setsockopt, socket, sockopt};
use pnet_datalink::{Channel, Config, DataLinkReceiver, DataLinkSender, NetworkInterface};

use super::frame::{self, Frame, Mac};
use super::spec::{Pair, Spec};
use crate::target::TargetError;
use crate::targets::linux::netlink;
use crate::targets::watch::{Link, Watch};
use crate::wire::has_unfinished_checksum;

/// An open interface.
pub(super) struct Wire {
    sender: Box<dyn DataLinkSender>,
    receiver: Box<dyn DataLinkReceiver>,
    /// The same socket, to wait for.
    socket: OwnedFd,
    interface: String,
    own: Mac,
    pairs: Vec<Pair>,
    /// Where each pair's stack is, once it is known.
    stacks: Vec<Option<Mac>>,
    /// Another station that says it has a peer's address.
    rival: Option<(IpAddr, Mac)>,
    /// Octets of the longest datagram.
    mtu: u16,
    datagram: Vec<u8>,
    frame: Vec<u8>,
}

impl Wire {
    /// Opens the named interface, refuses what must not be, and finds out where the stack is.
    ///
    /// # Errors
    /// [`TargetError::Unavailable`] says what is in the way and what to do.
    pub(super) fn open(spec: &Spec) -> Result<Wire, TargetError> {
        let interface = fit(spec).map_err(TargetError::Unavailable)?;
        let own = interface.mac.map(|mac| mac.octets()).unwrap_or_default();
        let (socket, sender, receiver) = channel(&interface)?;
        let mtu = netlink::mtu(interface.index).map_err(|error| unavailable("the interface's MTU is not told", error))?;
        let mut wire = Wire {
            sender,
            receiver,
            socket,
            interface: interface.name,
            own,
            stacks: vec![None; spec.pairs.len()],
            pairs: spec.pairs.clone(),
            rival: None,
            mtu: u16::try_from(mtu).unwrap_or(u16::MAX),
            datagram: Vec::new(),
            frame: Vec::new(),
        };
        wire.find_stacks()?;
        Ok(wire)
    }

    /// Octets of the longest datagram.
    pub(super) fn mtu(&self) -> u16 {
        self.mtu
    }

    /// Asks who has the peers' addresses, which nobody must, and who has the stacks', which somebody must.
    fn find_stacks(&mut self) -> Result<(), TargetError> {
        let start = Instant::now();
        for pair in self.pairs.clone() {
            let nobody = if pair.peer.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
            self.ask(nobody, pair.peer)?;
        }
        for (i, pair) in self.pairs.clone().into_iter().enumerate() {
            for _ in 0..TRIES {
                if self.stacks[i].is_none() {
                    self.ask(pair.peer, pair.stack)?;
                    self.listen(ANSWER_WAIT, |wire| wire.stacks[i].is_some())?;
                }
            }
        }
        self.listen(RIVAL_WAIT.saturating_sub(start.elapsed()), |wire| wire.rival.is_some())?;
        let interface = &self.interface;
        if let Some((address, mac)) = self.rival {
            let mac = mac.map(|octet| format!("{octet:02x}")).join(":");
            return Err(TargetError::Unavailable(format!(
                "another host on {interface} has the address {address} ({mac}): give the harness one that nobody has, peer=ADDRESS"
            )));
        }
        let silent = self.pairs.iter().zip(&self.stacks).find(|(_, mac)| mac.is_none());
        if let Some((Pair { stack, .. }, _)) = silent {
            let how = if stack.is_ipv4() { "ARP" } else { "neighbour discovery" };
            return Err(TargetError::Unavailable(format!(
                "{stack} does not answer {how} on {interface}: is it the address of the stack's interface, and is the link up?"
            )));
        }
        Ok(())
    }

    fn ask(&mut self, asker: IpAddr, wanted: IpAddr) -> Result<(), TargetError> {
        match frame::question(self.own, asker, wanted) {
            Some(frame) => self.put(&frame),
            None => Ok(()),
        }
    }

    /// Takes what comes for a time, or until there is enough.
    fn listen(&mut self, time: Duration, enough: impl Fn(&Wire) -> bool) -> Result<(), TargetError> {
        let start = Instant::now();
        loop {
            while self.next()?.is_some() {}
            match time.checked_sub(start.elapsed()) {
                Some(left) if !enough(self) => Watch::wait(self, left)?,
                _ => return Ok(()),
            }
        }
    }

    fn put(&mut self, frame: &[u8]) -> Result<(), TargetError> {
        match self.sender.send_to(frame, None) {
            Some(Ok(())) => Ok(()),
            Some(Err(error)) => Err(self.broken("takes no frame", &error.to_string())),
            None => Err(self.broken("takes no frame", "its channel has no room")),
        }
    }

    fn broken(&self, what: &str, why: &str) -> TargetError {
        TargetError::Unavailable(format!("{} {what}: {why}", self.interface))
    }

    /// Answers who asks for a peer's address, where he is of the link.
    fn asked(&mut self, asker: IpAddr, mac: Mac, wanted: IpAddr) -> Result<(), TargetError> {
        self.learn(asker, mac);
        let Some(pair) = self.pairs.iter().find(|p| p.peer == wanted) else { return Ok(()) };
        let link_local = matches!(asker, IpAddr::V6(a) if a.is_unicast_link_local());
        let answer = frame::answer((self.own, wanted), (mac, asker)).filter(|_| pair.holds(asker) || asker.is_unspecified() || link_local);
        answer.map_or(Ok(()), |frame| self.put(&frame))
    }

    fn is_peer(&self, address: IpAddr) -> bool {
        self.pairs.iter().any(|p| p.peer == address)
    }

    /// Takes down where a stack is, and who else has a peer's address.
    fn learn(&mut self, address: IpAddr, mac: Mac) {
        if self.is_peer(address) {
            self.rival = Some((address, mac));
        }
        for (pair, known) in self.pairs.iter().zip(&mut self.stacks) {
            if pair.stack == address {
                *known = Some(mac);
            }
        }
    }

    /// Refuses what the harness could not judge: the stack's own octets are not what came.
    fn check(&self) -> Result<(), TargetError> {
        let length = self.datagram.len();
        if length > usize::from(self.mtu) {
            return Err(TargetError::Unavailable(format!(
                "a datagram of {length} octets came over {}, whose MTU is {}: several segments were put together on the way; on this host: \
                 ethtool -K {0} gro off lro off; where the stack is in another namespace, there too: ethtool -K INTERFACE tso off gso off",
                self.interface, self.mtu
            )));
        }
        if has_unfinished_checksum(&self.datagram) {
            return Err(TargetError::Unavailable(format!(
                "a segment whose checksum nobody has finished came over {}: where the stack is in another namespace or a virtual machine, \
                 turn that off on its interface: ethtool -K INTERFACE tx off",
                self.interface
            )));
        }
        Ok(())
    }
}

impl Link for Wire {
    /// Sends from a peer to its stack. Nothing goes to or from an address outside the prefix, and nothing that the link would lose.
    fn send(&mut self, datagram: &[u8]) -> Result<(), TargetError> {
        if datagram.len() > usize::from(self.mtu) {
            let (length, mtu) = (datagram.len(), self.mtu);
            return Err(TargetError::Unsupported(format!("a datagram of {length} octets does not go over a link whose MTU is {mtu}")));
        }
        let to = ends(datagram).and_then(|(from, to)| {
            let i = self.pairs.iter().position(|p| p.stack == to && p.holds(from) && p.unfit(from).is_none())?;
            self.stacks[i]
        });
        let Some(to) = to else {
            return Err(TargetError::Unsupported("nothing is sent to or from an address outside the given prefix".to_owned()));
        };
        let mut out = std::mem::take(&mut self.frame);
        frame::datagram_into(&mut out, (self.own, to), datagram);
        let sent = self.put(&out);
        self.frame = out;
        sent
    }

    /// Everything that is not from the stack to its peer is passed over.
    fn next(&mut self) -> Result<Option<&[u8]>, TargetError> {
        // A link that is never empty is looked at again with the next request.
        for _ in 0..MOST_FRAMES {
            let octets = match self.receiver.next() {
                Ok(octets) => octets,
                Err(error) if matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock) => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.broken("cannot be read", &error.to_string())),
            };
            if octets.get(6..12) == Some(&self.own) {
                continue;
            }
            match frame::read(octets) {
                Frame::Ip { from, to, datagram } if self.pairs.iter().any(|p| p.stack == from && p.peer == to) => {
                    self.datagram.clear();
                    self.datagram.extend_from_slice(datagram);
                    self.check()?;
                    return Ok(Some(&self.datagram));
                }
                Frame::Asks { asker, mac, wanted } => self.asked(asker, mac, wanted)?,
                Frame::Tells { address, mac } => self.learn(address, mac),
                Frame::Ip { .. } | Frame::Other => {}
            }
        }
        Ok(None)
    }

    fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The addresses of a datagram.
fn ends(datagram: &[u8]) -> Option<(IpAddr, IpAddr)> {
    let v4 = |at: usize| datagram.get(at..)?.first_chunk::<4>().map(|a| IpAddr::from(*a));
    let v6 = |at: usize| datagram.get(at..)?.first_chunk::<16>().map(|a| IpAddr::from(*a));
    match datagram.first()? >> 4 {
        4 => Some((v4(12)?, v4(16)?)),
        6 => Some((v6(8)?, v6(24)?)),
        _ => None,
    }
}

/// The named interface, where it and the addresses will do.
fn fit(spec: &Spec) -> Result<NetworkInterface, String> {
    let name = &spec.interface;
    let all = pnet_datalink::interfaces();
    let Some(interface) = all.iter().find(|i| i.name == *name) else {
        let names: Vec<&str> = all.iter().map(|i| i.name.as_str()).collect();
        return Err(format!("there is no interface {name}; there are {}", names.join(", ")));
    };
    if interface.is_loopback() {
        return Err(format!("{name} is the loopback interface: for this machine's own kernel there is the target linux-kernel"));
    }
    if interface.is_point_to_point() || interface.mac.is_none_or(|mac| mac.is_zero()) {
        return Err(format!("{name} is no Ethernet"));
    }
    if !interface.is_up() || !interface.is_running() {
        return Err(format!("{name} is down: ip link set {name} up, and see that the other end is up too"));
    }
    for pair in &spec.pairs {
        for (end, address) in [("peer", pair.peer), ("stack", pair.stack)] {
            if let Some(owner) = all.iter().find(|i| i.ips.iter().any(|ip| ip.ip() == address)) {
                return Err(format!(
                    "{end}={address} is this host's own address, on {}: its kernel would answer; give an address that this host has not",
                    owner.name
                ));
            }
        }
        let version = if pair.peer.is_ipv4() { "ipv4" } else { "ipv6" };
        let path = format!("net/{version}/conf/{name}/forwarding");
        let forwards = fs::read_to_string(format!("/proc/sys/{path}")).is_ok_and(|value| value.trim() != "0");
        if forwards {
            return Err(format!("this host forwards what comes over {name}, and would answer for the peer: sysctl -w {path}=0"));
        }
    }
    Ok(interface.clone())
}

type Opened = (OwnedFd, Box<dyn DataLinkSender>, Box<dyn DataLinkReceiver>);

fn channel(interface: &NetworkInterface) -> Result<Opened, TargetError> {
    // Without a protocol it takes in nothing until it is bound to its one interface.
    let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None)
        .map_err(|error| unavailable("no packet socket", error))?;
    // Room for a flood between two reads; where the kernel does not allow so much, there is less.
    let _less = setsockopt(&socket, sockopt::RcvBufForce, &ROOM).or_else(|_| setsockopt(&socket, sockopt::RcvBuf, &ROOM));
    let for_pnet = socket.try_clone().map_err(|error| unavailable("no packet socket", error))?;
    let config = Config {
        read_buffer_size: FRAME,
        // Neither reading nor writing waits.
        read_timeout: Some(Duration::ZERO),
        write_timeout: Some(WRITE_WAIT),
        // Neighbour solicitations come to a group that the interface has not joined.
        promiscuous: true,
        socket_fd: Some(for_pnet.into_raw_fd()),
        ..Config::default()
    };
    match pnet_datalink::channel(interface, config) {
        Ok(Channel::Ethernet(sender, receiver)) => Ok((socket, sender, receiver)),
        Ok(_) => Err(TargetError::Harness("pnet gave a channel of another kind".to_owned())),
        Err(error) => Err(unavailable(&format!("{} cannot be opened", interface.name), error)),
    }
}

fn unavailable(what: &str, error: impl Into<std::io::Error>) -> TargetError {
    let error = error.into();
    let remedy = match error.kind() {
        ErrorKind::PermissionDenied => "; run it as root, or give it CAP_NET_RAW (setcap cap_net_raw+ep PROGRAM)",
        _ => "",
    };
    TargetError::Unavailable(format!("{what}: {error}{remedy}"))
}

/// How often the stack's Ethernet address is asked for, and how long each answer may take.
const TRIES: u32 = 3;
const ANSWER_WAIT: Duration = Duration::from_millis(500);
/// How long whoever has the peer's address may take to say so. RFC 5227 waits some seconds; what this misses is seen later.
const RIVAL_WAIT: Duration = Duration::from_millis(200);
/// How long the interface may be busy.
const WRITE_WAIT: Duration = Duration::from_millis(100);
/// Octets of the longest frame, put together by receive offload.
const FRAME: usize = 1 << 17;
/// Octets of room in the socket.
const ROOM: usize = 8 << 20;
/// Frames of others that are passed over at a time.
const MOST_FRAMES: usize = 10_000;
