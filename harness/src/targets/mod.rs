//! The stacks that can be put under test, by name.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use tcp_reference::api::Family;

use crate::target::{Capabilities, Clock, Target, TargetError};

#[cfg(target_os = "linux")]
pub mod adapters;
#[cfg(target_os = "linux")]
pub mod exec;
#[cfg(target_os = "linux")]
pub mod linux;
pub(crate) mod panics;
#[cfg(target_os = "linux")]
pub mod raw;
pub mod reference;
pub mod smoltcp;
#[cfg(target_os = "linux")]
mod watch;
pub mod watchdog;

use watchdog::Watchdog;

/// The stack's addresses, IPv4 first (RFC 5737 and RFC 3849 documentation addresses).
pub const LOCAL: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))];
/// The peer's addresses, IPv4 first.
pub const REMOTE: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2))];
/// Prefix lengths of the link, IPv4 first.
pub const PREFIX: [u8; 2] = [24, 64];
/// The link's MTU in octets.
pub const MTU: u16 = 1500;
/// After so many datagrams in one request the stack counts as flooding.
pub const FLOOD: usize = 2000;

/// What a stack with a virtual clock is and can do that speaks both IP versions at the harness's own addresses.
#[must_use]
pub fn simulated(name: &str, version: &str, settings: &[&str]) -> Capabilities {
    Capabilities {
        name: name.to_owned(),
        version: version.to_owned(),
        clock: Clock::Virtual,
        repeatable: true,
        families: vec![Family::V4, Family::V6],
        local: LOCAL,
        remote: REMOTE,
        mtu: MTU,
        settings: settings.iter().map(|&s| s.to_owned()).collect(),
        alone: false,
    }
}

/// What left in answer to one request.
///
/// # Errors
/// [`TargetError::Flood`] where there are more than [`FLOOD`].
pub fn bounded<T>(sent: Vec<T>) -> Result<Vec<T>, TargetError> {
    if sent.len() > FLOOD { Err(TargetError::Flood(format!("{} segments for one request", sent.len()))) } else { Ok(sent) }
}

/// A target that [`open`] knows.
#[derive(Clone, Copy, Debug)]
pub struct TargetInfo {
    /// The name, as after `--target`.
    pub name: &'static str,
    /// What it is, in a few words.
    pub what: &'static str,
    /// Which clock it has.
    pub clock: Clock,
}

/// How to open a target.
#[derive(Clone, Copy, Debug)]
pub struct TargetOptions {
    /// How long an in-process stack may take for one request before it counts as hung; `None` runs it on the calling thread without a
    /// watchdog, which is ten times faster and cannot be interrupted.
    pub watchdog: Option<Duration>,
}

impl Default for TargetOptions {
    fn default() -> TargetOptions {
        TargetOptions { watchdog: Some(Duration::from_secs(10)) }
    }
}

/// The targets of this build.
#[must_use]
pub fn known() -> &'static [TargetInfo] {
    const KNOWN: &[TargetInfo] = &[
        TargetInfo { name: smoltcp::NAME, what: "the smoltcp crate, in process; needs no privilege", clock: Clock::Virtual },
        TargetInfo { name: reference::NAME, what: "the reference stack; mutant:NAME breaks one rule of it", clock: Clock::Virtual },
        #[cfg(target_os = "linux")]
        TargetInfo { name: linux::NAME, what: "this machine's kernel, over TUN in a network namespace of its own", clock: Clock::Real },
    ];
    KNOWN
}

/// The stacks in processes of their own whose adapters stand in `harness/adapters/`.
#[must_use]
pub fn adapted() -> &'static [TargetInfo] {
    #[cfg(target_os = "linux")]
    return adapters::ADAPTERS;
    #[cfg(not(target_os = "linux"))]
    &[]
}

/// The names that [`open`] knows.
pub fn names() -> impl Iterator<Item = &'static str> {
    known().iter().chain(adapted()).map(|t| t.name)
}

/// Opens a target by name. It must be reset before its first use.
///
/// # Errors
/// [`TargetError::Unavailable`] when it cannot run here, [`TargetError::Harness`] when there is none of that name.
pub fn open(name: &str, options: &TargetOptions) -> Result<Box<dyn Target>, TargetError> {
    match name {
        smoltcp::NAME => match options.watchdog {
            Some(limit) => Ok(Box::new(Watchdog::new(limit, || Ok(Box::new(smoltcp::SmolTcp::new())))?)),
            None => Ok(Box::new(smoltcp::SmolTcp::new())),
        },
        reference::NAME => Ok(Box::new(reference::Reference::new(tcp_reference::stack::Policy::default(), None))),
        _ if name.starts_with(reference::MUTANT_PREFIX) => {
            Ok(Box::new(reference::Reference::mutant(&name[reference::MUTANT_PREFIX.len()..])?))
        }
        #[cfg(target_os = "linux")]
        _ if name.starts_with(exec::PREFIX) => {
            Ok(Box::new(exec::Exec::new(&name[exec::PREFIX.len()..], options.watchdog.unwrap_or(exec::LIMIT))?))
        }
        #[cfg(target_os = "linux")]
        _ if name.starts_with(raw::PREFIX) => Ok(Box::new(raw::Raw::new(&name[raw::PREFIX.len()..])?)),
        #[cfg(target_os = "linux")]
        linux::NAME => Ok(Box::new(linux::LinuxKernel::new()?)),
        _ => {
            #[cfg(target_os = "linux")]
            if let Some(opened) = adapters::open(name, options.watchdog.unwrap_or(exec::LIMIT)) {
                return Ok(Box::new(opened?));
            }
            let names: Vec<&str> = names().collect();
            Err(TargetError::Harness(format!("no target is called {name:?}; there are {}", names.join(", "))))
        }
    }
}
