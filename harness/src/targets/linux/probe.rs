//! What the kernel target needs, tried one thing after the other on a thread of its own.

use std::fs;
use std::thread;

use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::SockProtocol;

use super::namespace::{NODE, SYSCTLS, open_tun, set};
use super::netlink::Netlink;

/// One thing that is needed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Probe {
    /// What was tried.
    pub what: &'static str,
    /// What was seen, or the error in the system's words.
    pub result: Result<String, String>,
    /// How to get it.
    pub remedy: &'static str,
}

/// Tries everything; stops at the first thing that is missing.
#[must_use]
pub fn probe() -> Vec<Probe> {
    thread::spawn(run).join().unwrap_or_else(|_| {
        vec![Probe { what: "a thread", result: Err("it panicked".to_owned()), remedy: "report this: it is a fault of the harness" }]
    })
}

/// The steps in the order in which they depend on one another; from the second on they happen within a namespace of this thread's own.
fn run() -> Vec<Probe> {
    type Step = (&'static str, fn() -> Result<String, String>, &'static str);
    let steps: [Step; 5] = [
        (
            "/dev/net/tun exists and opens",
            device,
            "modprobe tun; chmod 666 /dev/net/tun, or run as root (docker: --device /dev/net/tun; no node: mknod /dev/net/tun c 10 200)",
        ),
        (
            "a network namespace",
            namespace,
            "run as root, or allow user namespaces: sysctl kernel.unprivileged_userns_clone=1 \
             kernel.apparmor_restrict_unprivileged_userns=0 (docker: --cap-add NET_ADMIN --cap-add SYS_ADMIN)",
        ),
        ("settings under /proc/sys/net", settings, "mount /proc/sys writable (docker: --privileged)"),
        ("a TUN device in the namespace", tun, "CAP_NET_ADMIN in the namespace: run as root or in a user namespace"),
        ("sock_diag", diag, "modprobe inet_diag tcp_diag (CONFIG_INET_DIAG)"),
    ];
    let mut probes = Vec::new();
    for (what, step, remedy) in steps {
        let result = step();
        let missing = result.is_err();
        probes.push(Probe { what, result, remedy });
        if missing {
            break;
        }
    }
    probes
}

fn device() -> Result<String, String> {
    let opened = fs::OpenOptions::new().read(true).write(true).open(NODE);
    opened.map(|_| String::new()).map_err(|error| error.to_string())
}

fn namespace() -> Result<String, String> {
    unshare(CloneFlags::CLONE_NEWNET).map_err(|error| error.to_string())?;
    fs::read_link("/proc/thread-self/ns/net").map(|name| name.display().to_string()).map_err(|error| error.to_string())
}

/// A setting that this kernel does not have is no failure; one that may not be written is.
fn settings() -> Result<String, String> {
    let mut unknown = Vec::new();
    for (path, value, _) in SYSCTLS {
        match set(path, value) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => unknown.push(*path),
            Err(error) => return Err(format!("net/{path} = {value}: {error}")),
        }
    }
    let known = format!("{} changed", SYSCTLS.len() - unknown.len());
    Ok(if unknown.is_empty() { known } else { format!("{known}; not there: {}", unknown.join(", ")) })
}

fn tun() -> Result<String, String> {
    let device = open_tun().map_err(|error| error.to_string())?;
    device.name().map_err(|error| error.to_string())
}

fn diag() -> Result<String, String> {
    const DUMP: u16 = 0x300;
    const BY_FAMILY: u16 = 20;
    let mut netlink = Netlink::open(SockProtocol::NetlinkSockDiag).map_err(|error| error.to_string())?;
    // All IPv4 TCP sockets of the fresh namespace: none.
    let mut request = [0; 56];
    request[..2].copy_from_slice(&[2, 6]);
    request[4..8].fill(0xff);
    netlink.ask(BY_FAMILY, DUMP, &request).map(|_| String::new()).map_err(|error| error.to_string())
}
