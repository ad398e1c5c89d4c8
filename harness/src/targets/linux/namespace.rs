//! A network namespace of its own for each instance, on a thread of its own.
//!
//! Architecture invariant: only that thread ever enters the namespace. Other threads use descriptors that were opened in it: a socket and
//! a TUN device belong for ever to the namespace that they were opened in. When the thread and the descriptors are gone, however they
//! went, the kernel removes the namespace with everything in it; nothing has a name outside.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::sync::Once;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, setsockopt, socket, sockopt};
use tcp_reference::api::{CallError, CallResult, Family};
use tun_rs::{DeviceBuilder, SyncDevice};

use super::netlink::{self, Netlink};
use super::sockets::{Network, done};
use crate::target::TargetError;
use crate::targets::watch::Link;
use crate::targets::{LOCAL, MTU, PREFIX};

/// How to get what is missing.
pub(super) const REMEDY: &str = "run as root, or in a user namespace (sysctl kernel.unprivileged_userns_clone=1, \
     kernel.apparmor_restrict_unprivileged_userns=0), with /dev/net/tun readable and writable (modprobe tun)";
/// What gives TUN devices.
pub(super) const NODE: &str = "/dev/net/tun";
/// The TUN device's name within its namespace.
const DEVICE: &str = "tcp0";
/// Room for a flood between two reads.
const QUEUE: u32 = 4096;
/// Sockets that are opened at a time.
const SPARE: usize = 4;
/// Descriptors that are enough for 256 namespaces, each with a second one while it is replaced.
const DESCRIPTORS: u64 = 16_384;
/// How long the kernel may take for an IPv6 address.
const ADDRESS_WAIT: Duration = Duration::from_secs(10);

/// Settings that are changed in the namespace: path below `/proc/sys/net`, value, reason.
pub(super) const SYSCTLS: &[(&str, &str, &str)] = &[
    ("ipv4/tcp_invalid_ratelimit", "0", "answers to invalid segments are throttled to one in 500 ms, which hides what is asked about"),
    ("ipv4/tcp_challenge_ack_limit", "2147483647", "challenge ACKs may be throttled for the whole machine"),
    ("ipv4/tcp_syncookies", "0", "SYN cookies replace SYN-RECEIVED under load"),
    ("ipv4/tcp_no_metrics_save", "1", "a connection would inherit RTT and window of earlier ones"),
    ("ipv4/tcp_congestion_control", "reno", "the machine's default may pace segments (bbr); Reno is RFC 5681"),
    ("ipv4/conf/all/rp_filter", "0", "segments from any source must reach TCP"),
    ("ipv4/conf/default/rp_filter", "0", "segments from any source must reach TCP"),
    ("ipv4/conf/all/accept_local", "1", "segments from the stack's own address must reach TCP"),
    ("ipv4/conf/default/accept_local", "1", "segments from the stack's own address must reach TCP"),
    ("ipv4/conf/all/log_martians", "0", "odd addresses are sent on purpose"),
    ("ipv6/conf/default/accept_dad", "0", "an address must be usable at once"),
    ("ipv6/conf/default/addr_gen_mode", "1", "no link-local address, so no neighbour discovery of its own"),
    ("ipv6/conf/default/router_solicitations", "0", "there is no router"),
    ("ipv6/conf/default/accept_ra", "0", "there is no router"),
];

/// A live namespace and what was opened in it.
#[derive(Debug)]
pub(super) struct Namespace {
    requests: Option<Sender<Request>>,
    thread: Option<JoinHandle<()>>,
    spare: [Vec<OwnedFd>; 2],
    /// Non-blocking.
    pub(super) tun: Tun,
    /// Asks about connections.
    diag: Netlink,
    /// The inode that names the namespace.
    pub(super) inode: u64,
    /// Settings that could not be changed.
    pub(super) unset: Vec<String>,
    /// Whether anything but sockets was changed since it was made.
    pub(super) changed: bool,
}

/// The TUN device.
pub(super) struct Tun {
    device: SyncDevice,
    buffer: Vec<u8>,
}

impl Tun {
    fn new(device: SyncDevice) -> Tun {
        Tun { device, buffer: vec![0; 65_536] }
    }
}

impl Link for Tun {
    /// The stack has dealt with the datagram when this returns. One that the device refuses (it is not IP at all) is lost.
    fn send(&mut self, datagram: &[u8]) -> Result<(), TargetError> {
        match self.device.send(datagram) {
            Ok(_) => Ok(()),
            Err(error) if matches!(error.raw_os_error().map(Errno::from_raw), Some(Errno::EINVAL | Errno::EMSGSIZE)) => Ok(()),
            Err(error) => Err(TargetError::Harness(format!("the TUN device does not take a datagram: {error}"))),
        }
    }

    fn next(&mut self) -> Result<Option<&[u8]>, TargetError> {
        loop {
            match self.device.recv(&mut self.buffer) {
                Ok(length) => return Ok(Some(self.buffer.get(..length).unwrap_or_default())),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(TargetError::Harness(format!("the TUN device cannot be read: {error}"))),
            }
        }
    }

    fn fd(&self) -> BorrowedFd<'_> {
        self.device.as_fd()
    }
}

impl std::fmt::Debug for Tun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tun")
    }
}

enum Request {
    Sockets(Family, Sender<Result<Vec<OwnedFd>, Errno>>),
    Sysctl(&'static str, &'static str, Sender<io::Result<()>>),
}

struct Ready {
    spare: [Vec<OwnedFd>; 2],
    tun: Tun,
    diag: Netlink,
    inode: u64,
    unset: Vec<String>,
}

impl Namespace {
    /// Makes a namespace with a TUN device, addresses and routes.
    pub(super) fn new() -> Result<Namespace, TargetError> {
        let (requests, inbox) = channel();
        let (outbox, ready) = channel();
        let thread = thread::Builder::new()
            .name("netns".to_owned())
            .stack_size(256 * 1024)
            .spawn(move || {
                let made = set_up();
                let go_on = made.is_ok();
                if outbox.send(made).is_ok() && go_on {
                    serve(&inbox);
                }
            })
            .map_err(|error| TargetError::Harness(format!("no thread for a network namespace: {error}")))?;
        let gone = |_| TargetError::Harness("the thread of a network namespace ended".to_owned());
        let Ready { spare, tun, diag, inode, unset } = ready.recv().map_err(gone)??;
        Ok(Namespace { requests: Some(requests), thread: Some(thread), spare, tun, diag, inode, unset, changed: false })
    }

    /// Changes a setting of the namespace, by its path below `/proc/sys/net`; the namespace is not used again after the next reset.
    fn sysctl(&mut self, path: &'static str, value: &'static str) -> Result<(), Errno> {
        self.changed = true;
        let (sender, answer) = channel();
        self.request(Request::Sysctl(path, value, sender))?;
        let result = answer.recv().map_err(|_| Errno::EIO)?;
        result.map_err(|error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))
    }

    fn request(&self, request: Request) -> Result<(), Errno> {
        self.requests.as_ref().and_then(|r| r.send(request).ok()).ok_or(Errno::EIO)
    }
}

impl Network for Namespace {
    /// They are opened several at a time, because asking another thread takes a while.
    fn socket(&mut self, family: Family) -> Result<OwnedFd, Errno> {
        let side = usize::from(family == Family::V6);
        if self.spare[side].is_empty() {
            let (sender, answer) = channel();
            self.request(Request::Sockets(family, sender))?;
            self.spare[side] = answer.recv().map_err(|_| Errno::EIO)??;
        }
        self.spare[side].pop().ok_or(Errno::EIO)
    }

    fn diag(&mut self) -> &mut Netlink {
        &mut self.diag
    }

    /// Each target has a namespace of its own.
    fn switch(&mut self, path: &'static str, on: bool) -> Result<CallResult, CallError> {
        done(self.sysctl(path, if on { "1" } else { "0" }))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            let _it_panicked = thread.join();
        }
    }
}

/// The thread's loop; ends when its [`Namespace`] is gone.
fn serve(inbox: &Receiver<Request>) {
    for request in inbox {
        let _nobody_waits = match request {
            Request::Sockets(family, answer) => answer.send(tcp_sockets(family)).is_ok(),
            Request::Sysctl(path, value, answer) => answer.send(set(path, value)).is_ok(),
        };
    }
}

fn set_up() -> Result<Ready, TargetError> {
    let outside = inode("/proc/self/ns/net")?;
    unshare(CloneFlags::CLONE_NEWNET).map_err(|error| unavailable("a network namespace cannot be made", error))?;
    let inode = inode("/proc/thread-self/ns/net")?;
    if inode == outside {
        return Err(TargetError::Harness("the new network namespace is the process's own: nothing is sent there".to_owned()));
    }
    let mut unset = Vec::new();
    for (path, value, _) in SYSCTLS {
        if let Err(error) = set(path, value) {
            unset.push(format!("net/{path} could not be set to {value}: {error}"));
        }
    }
    let tun = open_tun().map_err(|error| unavailable("a TUN device cannot be opened", error))?;
    let mut route = Netlink::open(SockProtocol::NetlinkRoute).map_err(|error| unavailable("no netlink socket", error))?;
    configure(&mut route).map_err(|error| unavailable("the TUN device cannot be configured", error))?;
    let diag = Netlink::open(SockProtocol::NetlinkSockDiag).map_err(|error| unavailable("no sock_diag socket", error))?;
    wait_for_address()?;
    let sockets = |family| tcp_sockets(family).map_err(|error| unavailable("no TCP socket", error));
    let spare = [sockets(Family::V4)?, sockets(Family::V6)?];
    Ok(Ready { spare, tun: Tun::new(tun), diag, inode, unset })
}

fn configure(route: &mut Netlink) -> Result<(), Errno> {
    let index = if_nametoindex(DEVICE)?;
    netlink::link_up(route, if_nametoindex("lo")?, None)?;
    netlink::link_up(route, index, Some(QUEUE))?;
    for (address, prefix) in LOCAL.into_iter().zip(PREFIX) {
        netlink::add_address(route, index, address, prefix)?;
    }
    for address in LOCAL {
        netlink::add_default_route(route, index, address)?;
    }
    Ok(())
}

/// Opens the device, which goes away with its descriptor. tun-rs would make a missing node in `/dev` and leave it there.
pub(super) fn open_tun() -> io::Result<SyncDevice> {
    if let Err(error) = fs::metadata(NODE) {
        return Err(io::Error::new(error.kind(), format!("{NODE}: {error}")));
    }
    let tun = DeviceBuilder::new().name(DEVICE).mtu(MTU).enable(false).build_sync()?;
    tun.set_nonblocking(true)?;
    Ok(tun)
}

/// Waits until the IPv6 address works. Without duplicate address detection it is never tentative, but the kernel adds the route that
/// makes it local a moment later, on another thread; a segment that comes before is not answered.
pub(super) fn wait_for_address() -> Result<(), TargetError> {
    let IpAddr::V6(address) = LOCAL[1] else { return Ok(()) };
    let wanted = format!("{:032x} 80 ", u128::from(address));
    let start = Instant::now();
    while start.elapsed() < ADDRESS_WAIT {
        let table = fs::read_to_string("/proc/thread-self/net/ipv6_route").map_err(|error| unavailable("no IPv6", error))?;
        if table.lines().any(|line| line.starts_with(&wanted)) {
            return Ok(());
        }
        thread::sleep(Duration::from_micros(200));
    }
    Err(TargetError::Unavailable("the IPv6 address does not become usable".to_owned()))
}

fn tcp_sockets(family: Family) -> Result<Vec<OwnedFd>, Errno> {
    (0..SPARE).map(|_| tcp_socket(family)).collect()
}

/// A non-blocking TCP socket in the calling thread's network.
pub(super) fn tcp_socket(family: Family) -> Result<OwnedFd, Errno> {
    let domain = match family {
        Family::V4 => AddressFamily::Inet,
        Family::V6 => AddressFamily::Inet6,
    };
    let fd = socket(domain, SockType::Stream, SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC, None)?;
    // RFC 6093 section 6: applications that employ the urgent mechanism "MUST set the SO_OOBINLINE socket option, such that 'urgent data' is
    // delivered in line, as intended by the IETF specifications". What a listener accepts inherits it.
    setsockopt(&fd, sockopt::OobInline, &true)?;
    Ok(fd)
}

pub(super) fn set(path: &str, value: &str) -> io::Result<()> {
    fs::write(format!("/proc/sys/net/{path}"), value)
}

pub(super) fn inode(path: &str) -> Result<u64, TargetError> {
    fs::metadata(path).map(|m| m.ino()).map_err(|error| unavailable(path, error))
}

pub(super) fn unavailable(what: &str, error: impl Into<io::Error>) -> TargetError {
    let error = error.into();
    let remedy = match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EMFILE) => "the process has as many descriptors as it may: ulimit -n 4096, or fewer --jobs",
        Some(Errno::ENFILE) => "the machine has as many open files as it may: sysctl fs.file-max, or fewer --jobs",
        Some(Errno::ENOSPC) => "there are as many namespaces as may be: sysctl user.max_net_namespaces, or fewer --jobs",
        Some(Errno::ENOMEM | Errno::EAGAIN) => "the machine is short of memory or processes: fewer --jobs",
        _ => REMEDY,
    };
    TargetError::Unavailable(format!("{what}: {error}; {remedy}"))
}

/// Raises the limit of descriptors to what the process may have: 32 namespaces need some 400, and 256 is a usual limit. Where that is refused,
/// there are fewer namespaces.
pub(super) fn raise_descriptor_limit() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
            && soft < hard.min(DESCRIPTORS)
        {
            let _refused = setrlimit(Resource::RLIMIT_NOFILE, hard.min(DESCRIPTORS), hard);
        }
    });
}

/// Makes the process root in a user namespace of its own, unless it is root already. Call it first thing in `main`: it only works while
/// the process has one thread. The network namespace stays as it is; each instance makes its own.
///
/// # Errors
/// User namespaces are not allowed here. The process is then as before, and opening the kernel target says what is missing.
pub fn enter_user_namespace_if_needed() -> io::Result<()> {
    let (user, group) = (nix::unistd::geteuid(), nix::unistd::getegid());
    if user.is_root() {
        return Ok(());
    }
    unshare(CloneFlags::CLONE_NEWUSER)?;
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("0 {user} 1"))?;
    fs::write("/proc/self/gid_map", format!("0 {group} 1"))
}
