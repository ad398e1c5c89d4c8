//! This machine's kernel, over a TUN device in a network namespace that the process makes for itself.
//!
//! ```text
//! Target ─► LinuxKernel ─┬─► Sockets ──────► the kernel's sockets ─┐
//!                        └─► Watch ─► TUN ─► the kernel's TCP ◄────┘   all within one Namespace
//! ```
//!
//! The clock is the machine's (CLOCK_MONOTONIC since the last reset). Every descriptor is non-blocking and every wait bounded. The thread
//! that calls does all the work, because a request over two processors takes ten times as long; the namespace's own thread only opens
//! sockets.

pub mod agent;
pub mod bed;
mod diag;
mod namespace;
pub(super) mod netlink;
mod probe;
mod sockets;

use std::net::IpAddr;
use std::thread;

use tcp_reference::api::{Call, CallResult, Family, Micros};

use crate::target::{Capabilities, Clock, NextTimer, Reply, Target, TargetError};
use crate::targets::watch::{Link, Watch};
use crate::targets::{LOCAL, MTU, REMOTE};
pub use namespace::enter_user_namespace_if_needed;
use namespace::{Namespace, SYSCTLS};
pub use probe::{Probe, probe};
use sockets::{ANY, Ends, Sockets};

/// The target's name.
pub const NAME: &str = "linux-kernel";

/// From whom to whom the echo requests go that prove silence.
const ECHO: (IpAddr, IpAddr) = (REMOTE[0], LOCAL[0]);

/// The kernel as a target.
#[derive(Debug)]
pub struct LinuxKernel {
    capabilities: Capabilities,
    instance: Instance,
}

#[derive(Debug)]
struct Instance {
    namespace: Namespace,
    watch: Watch,
    sockets: Sockets,
}

impl LinuxKernel {
    /// Makes a namespace, which is ready to use.
    ///
    /// # Errors
    /// [`TargetError::Unavailable`] says what is missing and how to get it.
    pub fn new() -> Result<LinuxKernel, TargetError> {
        namespace::raise_descriptor_limit();
        let instance = Instance::new()?;
        let mut settings: Vec<String> = SYSCTLS.iter().map(|(path, value, reason)| format!("net/{path} = {value}: {reason}")).collect();
        settings.extend(instance.namespace.unset.iter().cloned());
        settings.push("SO_LINGER 0 on every connection until the user closes it: nothing outlives the harness".to_owned());
        settings.push(
            "a reset keeps the namespace where only sockets were used: it destroys them all, which takes a hundredth of the time"
                .to_owned(),
        );
        settings.push("receive and send buffers as the kernel has them".to_owned());
        Ok(LinuxKernel {
            capabilities: Capabilities {
                name: NAME.to_owned(),
                version: release(),
                clock: Clock::Real,
                repeatable: false,
                families: vec![Family::V4, Family::V6],
                local: LOCAL,
                remote: REMOTE,
                mtu: MTU,
                settings,
                alone: false,
            },
            instance,
        })
    }

    /// Proves that the kernel has sent whatever it was going to send at once: see [`Reply::packets`] for what that was.
    ///
    /// # Errors
    /// [`TargetError::Hang`] when an ICMP echo request is not answered within a second.
    pub fn barrier(&mut self) -> Result<Reply<()>, TargetError> {
        self.instance.watch.barrier(&mut self.instance.namespace.tun, ECHO)?;
        Ok(self.instance.reply(()))
    }

    /// The inode that names the instance's network namespace, for tests and reports.
    #[must_use]
    pub fn namespace_inode(&self) -> u64 {
        self.instance.namespace.inode
    }
}

impl Target for LinuxKernel {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// As fresh as a new namespace: every socket is destroyed. Where that fails, or anything but TCP was delivered, a setting was
    /// changed or a request failed, there is a new namespace; closing a TUN device takes the kernel some 20 ms, so the old one goes on a
    /// thread of its own. The kernel takes no seed.
    fn reset(&mut self, _seed: u64) -> Result<(), TargetError> {
        if self.instance.clean().is_err() || self.instance.namespace.changed {
            let old = std::mem::replace(&mut self.instance, Instance::new()?);
            let spawned = thread::Builder::new().name("undertaker".to_owned()).spawn(move || drop(old));
            spawned.map_err(|error| TargetError::Harness(format!("no thread to end a network namespace: {error}")))?;
        }
        self.instance.watch = Watch::new(0);
        Ok(())
    }

    fn call(&mut self, call: &Call) -> Result<Reply<CallResult>, TargetError> {
        let Instance { namespace, watch, sockets } = &mut self.instance;
        watch.drain(&mut namespace.tun)?;
        let result = sockets.call(namespace, call);
        watch.drain(&mut namespace.tun)?;
        Ok(self.instance.reply(result))
    }

    /// What was read before the first datagram went in has an `at` before it; everything that answers has a `from` after that. Where
    /// nothing comes back at once, an echo request proves that nothing was sent.
    fn deliver(&mut self, datagrams: &[Vec<u8>]) -> Result<Reply<()>, TargetError> {
        self.instance.namespace.changed |= datagrams.iter().any(|ip| !is_tcp(ip));
        let Instance { namespace, watch, .. } = &mut self.instance;
        watch.drain(&mut namespace.tun)?;
        let before = watch.packets.len();
        for datagram in datagrams {
            namespace.tun.send(datagram)?;
        }
        if !datagrams.is_empty() {
            watch.drain(&mut namespace.tun)?;
            if watch.packets.len() == before {
                watch.barrier(&mut namespace.tun, ECHO)?;
            }
        }
        Ok(self.instance.reply(()))
    }

    fn advance(&mut self, us: Micros) -> Result<Reply<()>, TargetError> {
        let Instance { namespace, watch, .. } = &mut self.instance;
        watch.advance(&mut namespace.tun, us)?;
        Ok(self.instance.reply(()))
    }
}

impl Instance {
    fn new() -> Result<Instance, TargetError> {
        Ok(Instance {
            namespace: Namespace::new()?,
            watch: Watch::new(0),
            sockets: Sockets::new(Ends { listen: ANY, local: LOCAL, remote: REMOTE }),
        })
    }

    /// Destroys all sockets and discards what they still sent.
    fn clean(&mut self) -> Result<(), TargetError> {
        let destroyed = self.sockets.give_up(&mut self.namespace);
        destroyed.map_err(|error| TargetError::Harness(format!("a connection cannot be destroyed: {error}")))?;
        self.watch.take();
        self.watch.drain(&mut self.namespace.tun)
    }

    fn reply<T>(&mut self, value: T) -> Reply<T> {
        Reply { value, packets: self.watch.take(), now: self.watch.empty_at, next_timer: NextTimer::Unknown }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _nothing_more_to_do = self.sockets.give_up(&mut self.namespace);
    }
}

/// The running kernel's version.
fn release() -> String {
    nix::sys::utsname::uname().map_or_else(|_| String::new(), |u| u.release().to_string_lossy().into_owned())
}

/// Whether a datagram can change no more than TCP's own state; an ICMP message, say, may change a route.
fn is_tcp(ip: &[u8]) -> bool {
    const TCP: Option<&u8> = Some(&6);
    match ip.first().map(|octet| octet >> 4) {
        Some(4) => ip.get(9) == TCP,
        Some(6) => ip.get(6) == TCP,
        _ => false,
    }
}
