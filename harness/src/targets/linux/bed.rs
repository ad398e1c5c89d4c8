//! A link between two network namespaces that the process makes for itself, to try the target `raw:` on: the doctor's and the tests'.
//!
//! ```text
//! peer's room: the harness ── eth0 ◄═ veth ═► eth0 ── stack's room: the kernel under test, the agent
//!                          └─ ctl0 ◄═ veth ═► ctl0 ─┘  the control connection
//! ```
//!
//! Each namespace is that of one thread; when that is gone, with the processes that it has started, so is the namespace with what is in it.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::SockProtocol;

use super::namespace::{inode, set, unavailable, wait_for_address};
use super::netlink::{self, Netlink};
use crate::target::TargetError;
use crate::targets::{LOCAL, PREFIX};

/// The link under test, at both ends.
pub const DEVICE: &str = "eth0";
/// The address of the stack's room on the other link, to connect to an agent there (RFC 5737).
pub const CONTROL: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));
/// How long the kernel may take to bring a link up.
const CARRIER_WAIT: Duration = Duration::from_secs(2);
const CONTROL_DEVICE: &str = "ctl0";
const CONTROL_PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 2));

/// The two rooms.
#[derive(Debug)]
pub struct Bed {
    /// Where the stack under test is, the kernel, at [`LOCAL`].
    pub stack: Room,
    /// Where the harness plays the peer; the link has no address here.
    pub peer: Room,
}

impl Bed {
    /// Makes both, and the links between them.
    ///
    /// # Errors
    /// [`TargetError::Unavailable`] says what is missing and how to get it.
    pub fn new() -> Result<Bed, TargetError> {
        let bed = Bed { stack: Room::new()?, peer: Room::new()? };
        let there = bed.stack.run(|| File::open("/proc/thread-self/ns/net"))?.map_err(|error| unavailable("a network namespace", error))?;
        bed.peer
            .run(move || link(there.as_fd()))?
            .map_err(|error| unavailable("no link between two network namespaces (modprobe veth)", error))?;
        bed.stack
            .run(|| {
                configure(CONTROL_DEVICE, &[(CONTROL, 24)])?;
                configure(DEVICE, &LOCAL.into_iter().zip(PREFIX).collect::<Vec<_>>())
            })?
            .map_err(|error| unavailable("the link cannot be configured", error))?;
        bed.peer
            .run(|| configure(CONTROL_DEVICE, &[(CONTROL_PEER, 24)]).and_then(|()| configure(DEVICE, &[])))?
            .map_err(|error| unavailable("the link cannot be configured", error))?;
        bed.stack.run(wait_for_address)??;
        for room in [&bed.stack, &bed.peer] {
            room.run(wait_for_carrier)??;
        }
        Ok(bed)
    }

    /// Lets the stack finish its segments itself. Else it leaves checksums, and cutting long segments, to a network hardware that there is not.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn finish_segments(&self) -> Result<(), TargetError> {
        let finished = self.stack.run(|| if_nametoindex(DEVICE).and_then(netlink::finish_segments))?;
        finished
            .map_err(|error| TargetError::Unavailable(format!("checksums cannot be taken from the hardware (ethtool netlink): {error}")))
    }

    /// Gives the stack's end of the link another address.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn add_address(&self, address: IpAddr, prefix: u8) -> Result<(), TargetError> {
        let added = self.stack.run(move || configure(DEVICE, &[(address, prefix)]))?;
        added.map_err(|error| TargetError::Unavailable(format!("{address} cannot be added: {error}")))
    }
}

/// Waits until the link carries: the kernel says so a moment after its second end came up, on another thread.
fn wait_for_carrier() -> Result<(), TargetError> {
    let start = Instant::now();
    while start.elapsed() < CARRIER_WAIT {
        if pnet_datalink::interfaces().iter().any(|i| i.name == DEVICE && i.is_running()) {
            return Ok(());
        }
        thread::sleep(Duration::from_micros(500));
    }
    Err(TargetError::Unavailable("the link between two network namespaces does not come up".to_owned()))
}

fn link(there: BorrowedFd<'_>) -> Result<(), Errno> {
    let mut route = Netlink::open(SockProtocol::NetlinkRoute)?;
    for device in [DEVICE, CONTROL_DEVICE] {
        netlink::add_veth(&mut route, device, device, there)?;
    }
    Ok(())
}

fn configure(device: &str, addresses: &[(IpAddr, u8)]) -> Result<(), Errno> {
    let mut route = Netlink::open(SockProtocol::NetlinkRoute)?;
    let index = if_nametoindex(device)?;
    netlink::link_up(&mut route, if_nametoindex("lo")?, None)?;
    netlink::link_up(&mut route, index, None)?;
    addresses.iter().try_for_each(|(address, prefix)| netlink::add_address(&mut route, index, *address, *prefix))
}

type Work = Box<dyn FnOnce() + Send>;

/// A thread in a network namespace of its own.
#[derive(Debug)]
pub struct Room {
    work: Option<Sender<Work>>,
    thread: Option<JoinHandle<()>>,
}

impl Room {
    fn new() -> Result<Room, TargetError> {
        let (work, inbox) = channel::<Work>();
        let spawned = thread::Builder::new().name("room".to_owned()).spawn(move || inbox.into_iter().for_each(|work| work()));
        let thread = spawned.map_err(|error| TargetError::Harness(format!("no thread for a network namespace: {error}")))?;
        let room = Room { work: Some(work), thread: Some(thread) };
        room.run(|| {
            let outside = inode("/proc/self/ns/net")?;
            unshare(CloneFlags::CLONE_NEWNET).map_err(|error| unavailable("a network namespace cannot be made", error))?;
            if inode("/proc/thread-self/ns/net")? == outside {
                return Err(TargetError::Harness("the new network namespace is the process's own: nothing is sent there".to_owned()));
            }
            Ok(())
        })??;
        Ok(room)
    }

    /// Does something in the namespace: what it opens, starts and reads there is the namespace's own.
    ///
    /// # Errors
    /// It panicked.
    pub fn run<T: Send + 'static>(&self, what: impl FnOnce() -> T + Send + 'static) -> Result<T, TargetError> {
        let (outbox, answer) = channel();
        let work: Work = Box::new(move || {
            let _nobody_waits = outbox.send(what());
        });
        let sent = self.work.as_ref().is_some_and(|w| w.send(work).is_ok());
        let answer = if sent { answer.recv().ok() } else { None };
        answer.ok_or_else(|| TargetError::Harness("the thread of a network namespace has ended".to_owned()))
    }

    /// Changes a setting of the namespace, by its path below `/proc/sys/net`.
    ///
    /// # Errors
    /// The kernel has no such setting, or refuses.
    pub fn set(&self, path: &str, value: &str) -> Result<(), TargetError> {
        let (told, path, value) = (format!("net/{path} = {value}"), path.to_owned(), value.to_owned());
        self.run(move || set(&path, &value))?.map_err(|error| TargetError::Unavailable(format!("{told}: {error}")))
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.work = None;
        if let Some(thread) = self.thread.take() {
            let _it_panicked = thread.join();
        }
    }
}
