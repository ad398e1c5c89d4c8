//! The agent: makes the calls of a harness on another host, over a control connection, where the stack under test is this host's kernel.
//!
//! It is no open door: it opens sockets at an address of this host alone, and towards hosts on that address's own link; one harness at a time,
//! and when that leaves, every socket it had is gone. It changes no setting of the host.

use std::fs;
use std::io::{self, BufReader, ErrorKind};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{SockProtocol, SockaddrStorage, setsockopt, sockopt};
use tcp_reference::api::{Call, CallError, CallResult, Family, Micros};
use tcp_reference::segment::Tuple;

use super::namespace::{SYSCTLS, tcp_socket};
use super::netlink::Netlink;
use super::sockets::{ANY, Ends, Network, Sockets};
use super::{NAME, diag, release};
use crate::protocol::serve::{next_line, serve, write};
use crate::protocol::{Hello, Request, Response, VERSION};
use crate::target::{Capabilities, Clock, NextTimer, Reply, Target, TargetError};

/// Whether this process may do what an agent has to; `own` is an address of this host.
///
/// # Errors
/// What it may not, and how to get it.
pub fn may_run(own: IpAddr) -> Result<(), String> {
    let mut here = Here::open().map_err(|error| format!("no sock_diag socket: {error}; modprobe inet_diag tcp_diag"))?;
    // The kernel asks for the right only once it has found the socket.
    let listener = TcpListener::bind((own, 0)).map_err(|error| format!("no socket at {own}: {error}"))?;
    let local = listener.local_addr().map_err(|error| format!("no socket at {own}: {error}"))?;
    let nobody = ANY[usize::from(own.is_ipv6())];
    let tuple = Tuple { local, remote: SocketAddr::new(nobody, 0) };
    diag::destroy(here.diag(), &tuple, diag::NO_COOKIE).map_err(|error| {
        let remedy = match error {
            Errno::EPERM | Errno::EACCES => "run it as root, or give it CAP_NET_ADMIN",
            _ => "the kernel needs CONFIG_INET_DIAG_DESTROY",
        };
        format!("connections cannot be ended between two vectors: {error}; {remedy}")
    })
}

/// The settings of this host by which its kernel answers otherwise than the target `linux-kernel`: path below `/proc/sys/net`, the value there, the
/// value here, and why it matters.
#[must_use]
pub fn settings() -> Vec<(&'static str, &'static str, String, &'static str)> {
    let of_tcp = SYSCTLS.iter().filter(|(path, ..)| path.starts_with("ipv4/tcp_"));
    let differing = of_tcp.filter_map(|&(path, value, why)| {
        let here = fs::read_to_string(format!("/proc/sys/net/{path}")).ok()?.trim().to_owned();
        (here != value).then_some((path, value, here, why))
    });
    differing.collect()
}

/// Serves one harness after the other. Who comes while one is there is told so.
///
/// # Errors
/// No more connections can be taken.
pub fn run(listener: &TcpListener, told: impl Fn(&str) + Sync) -> io::Result<()> {
    let seat = Seat::default();
    thread::scope(|scope| {
        loop {
            let (stream, from) = match listener.accept() {
                Ok(accepted) => accepted,
                // Who was about to connect has thought better of it.
                Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted) => continue,
                Err(error) => return Err(error),
            };
            let Some(taken) = seat.take(IMPATIENCE) else {
                let _gone = refuse(&stream, "another harness is connected", IMPATIENCE);
                continue;
            };
            let told = &told;
            scope.spawn(move || {
                let _until_it_leaves = taken;
                told(&format!("{from} has come"));
                let why = attend(&stream).err().map(|error| format!(": {error}")).unwrap_or_default();
                told(&format!("{from} has left{why}"));
            });
        }
    })
}

/// Where one harness sits at a time.
#[derive(Default)]
struct Seat {
    taken: Mutex<bool>,
    left: Condvar,
}

impl Seat {
    /// Sits down; who sat there before may take so long to leave.
    fn take(&self, patience: Duration) -> Option<Taken<'_>> {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = self.left.wait_timeout_while(taken, patience, |taken| *taken).unwrap_or_else(PoisonError::into_inner).0;
        (!std::mem::replace(&mut *taken, true)).then(|| Taken(self))
    }
}

/// The seat is free when this goes, in whatever way.
struct Taken<'a>(&'a Seat);

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        *self.0.taken.lock().unwrap_or_else(PoisonError::into_inner) = false;
        self.0.left.notify_one();
    }
}

/// Serves one harness until it leaves, upon which all its sockets are gone.
///
/// # Errors
/// It left without taking leave, or sent what is no request.
pub fn attend(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // A harness whose host is gone says nothing more, for ever.
    setsockopt(stream, sockopt::KeepAlive, &true)?;
    setsockopt(stream, sockopt::TcpKeepIdle, &KEEP_ALIVE)?;
    setsockopt(stream, sockopt::TcpKeepInterval, &KEEP_ALIVE)?;
    setsockopt(stream, sockopt::TcpKeepCount, &3)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut requests = BufReader::new(stream.try_clone()?);
    let Some(mut line) = next_line(&mut requests)? else { return Ok(()) };
    let hello = match serde_json::from_slice(&line) {
        Ok(Request::Hello(hello)) if hello.protocol == VERSION => hello,
        _ => return refuse(stream, "the first line has to be a hello of version 1", PATIENCE),
    };
    let mut agent = match Agent::new(&hello) {
        Ok(agent) => agent,
        Err(why) => return refuse(stream, &why, PATIENCE),
    };
    stream.set_read_timeout(None)?;
    line.push(b'\n');
    let served = serve(&mut agent, io::Read::chain(&line[..], requests), stream);
    // Before its sockets go, so that the harness takes their resets for no answers.
    let _gone = stream.shutdown(Shutdown::Both);
    served
}

/// Answers what came by an error, and gives the other side a while to read it.
fn refuse(mut stream: &TcpStream, why: &str, patience: Duration) -> io::Result<()> {
    stream.set_write_timeout(Some(patience))?;
    stream.set_read_timeout(Some(patience))?;
    let response = Response { error: Some(format!("other: {why}")), ..Response::default() };
    write(&mut stream, &response)?;
    // What was not read would make the kernel reset the connection, and the answer be lost.
    stream.shutdown(Shutdown::Write)?;
    let _at_most = io::copy(&mut io::Read::take(stream, MOST_UNREAD), &mut io::sink());
    Err(io::Error::other(why.to_owned()))
}

/// The kernel under test as the agent has it: calls alone.
struct Agent {
    capabilities: Capabilities,
    here: Here,
    sockets: Sockets,
    since: Instant,
}

impl Agent {
    fn new(hello: &Hello) -> Result<Agent, String> {
        let mut families = Vec::new();
        for (family, local, remote) in [(Family::V4, hello.local[0], hello.remote[0]), (Family::V6, hello.local[1], hello.remote[1])] {
            if local.is_unspecified() && remote.is_unspecified() {
                continue;
            }
            is_ours(local, remote)?;
            families.push(family);
        }
        if families.is_empty() {
            return Err("no addresses are given".to_owned());
        }
        let here = Here::open().map_err(|error| format!("no sock_diag socket: {error}"))?;
        let different = settings().into_iter().map(|(path, value, here, why)| format!("net/{path} = {here}, not {value}: {why}"));
        Ok(Agent {
            capabilities: Capabilities {
                name: NAME.to_owned(),
                version: release(),
                clock: Clock::Real,
                repeatable: false,
                families,
                local: hello.local,
                remote: hello.remote,
                mtu: hello.mtu,
                settings: different.collect(),
                alone: true,
            },
            here,
            sockets: Sockets::new(Ends { listen: hello.local, local: hello.local, remote: hello.remote }),
            since: Instant::now(),
        })
    }
}

impl Target for Agent {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn reset(&mut self, _seed: u64) -> Result<(), TargetError> {
        self.since = Instant::now();
        let destroyed = self.sockets.give_up(&mut self.here);
        destroyed.map_err(|error| TargetError::Harness(format!("a connection cannot be destroyed: {error}")))
    }

    fn call(&mut self, call: &Call) -> Result<Reply<CallResult>, TargetError> {
        let value = self.sockets.call(&mut self.here, call);
        let now = Micros::try_from(self.since.elapsed().as_micros()).unwrap_or(Micros::MAX);
        Ok(Reply { value, packets: Vec::new(), now, next_timer: NextTimer::Unknown })
    }

    fn deliver(&mut self, _datagrams: &[Vec<u8>]) -> Result<Reply<()>, TargetError> {
        Err(TargetError::Unsupported("datagrams go over the link".to_owned()))
    }

    fn advance(&mut self, _us: Micros) -> Result<Reply<()>, TargetError> {
        Err(TargetError::Unsupported("the clock is the harness's".to_owned()))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _nothing_more_to_do = self.sockets.give_up(&mut self.here);
    }
}

/// The network that the process is in, which is not its own.
struct Here {
    diag: Netlink,
}

impl Here {
    fn open() -> Result<Here, Errno> {
        Ok(Here { diag: Netlink::open(SockProtocol::NetlinkSockDiag)? })
    }
}

impl Network for Here {
    fn socket(&mut self, family: Family) -> Result<OwnedFd, Errno> {
        tcp_socket(family)
    }

    fn diag(&mut self) -> &mut Netlink {
        &mut self.diag
    }

    /// The host's settings are not ours to change; what is as it is wished for needs no change.
    fn switch(&mut self, path: &'static str, on: bool) -> Result<CallResult, CallError> {
        let is_on = fs::read_to_string(format!("/proc/sys/net/{path}")).map(|value| value.trim() != "0");
        Ok(if is_on.is_ok_and(|is_on| is_on == on) { CallResult::Done } else { CallResult::Unsupported })
    }
}

/// Whether the stack's address is one of this host, and the peer's another on the same link.
fn is_ours(stack: IpAddr, peer: IpAddr) -> Result<(), String> {
    let all = getifaddrs().map_err(|error| format!("this host's addresses are not told: {error}"))?;
    let ip =
        |a: SockaddrStorage| a.as_sockaddr_in().map(|a| IpAddr::V4(a.ip())).or_else(|| a.as_sockaddr_in6().map(|a| IpAddr::V6(a.ip())));
    let own: Vec<(IpAddr, IpAddr)> = all.filter_map(|i| Some((i.address.and_then(ip)?, i.netmask.and_then(ip)?))).collect();
    let Some((_, mask)) = own.iter().find(|(address, _)| *address == stack) else {
        return Err(format!("{stack} is no address of the agent's host"));
    };
    let masked = |address: IpAddr| match (address, mask) {
        (IpAddr::V4(a), IpAddr::V4(m)) => Some(u128::from(u32::from(a) & u32::from(*m))),
        (IpAddr::V6(a), IpAddr::V6(m)) => Some(u128::from(a) & u128::from(*m)),
        _ => None,
    };
    if stack.is_loopback() || masked(peer).is_none() || masked(peer) != masked(stack) {
        return Err(format!("{peer} is not on the link of {stack}, as the agent's host knows it"));
    }
    if own.iter().any(|(address, _)| *address == peer) {
        return Err(format!("{peer}, which the harness is to play, is an address of the agent's host"));
    }
    Ok(())
}

/// How long a harness may take to say who it is, or to take an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long who comes while another one is there waits for that one to leave, and may take to read that it did not. Nobody else is let in meanwhile.
const IMPATIENCE: Duration = Duration::from_millis(300);
/// Seconds of silence after which the kernel asks whether the harness's host still lives, and between two such questions.
const KEEP_ALIVE: u32 = 10;
/// Octets that are read of who is refused.
const MOST_UNREAD: u64 = 1 << 16;
