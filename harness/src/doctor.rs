//! Says what each target needs and whether it is there: tries each thing, one after the other, and how to get what is missing.

use crate::target::Target;
use crate::targets::reference::Reference;
use crate::targets::smoltcp::SmolTcp;
use crate::targets::{REMOTE, reference, smoltcp};
use crate::wire::{Read, build, read};
use std::net::SocketAddr;
use tcp_reference::api::{Call, CallResult, Family};
use tcp_reference::segment::{Flags, Segment};
use tcp_reference::seq::Seq;
use tcp_reference::stack::Policy;
use tcp_reference::state::State;

/// One thing that a target needs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Check {
    /// The target that needs it.
    pub target: &'static str,
    /// What was tried.
    pub what: &'static str,
    /// Whether it works.
    pub ok: bool,
    /// What was seen: a version, an address, an error in the system's words.
    pub detail: String,
    /// How to get it; empty where it works.
    pub remedy: &'static str,
}

/// Tries everything that every target needs. What a failed check makes pointless is left out.
#[must_use]
pub fn examine() -> Vec<Check> {
    let mut checks = Vec::new();
    for family in [Family::V4, Family::V6] {
        let result = handshake(&mut SmolTcp::new(), family);
        checks.push(check(smoltcp::NAME, handshake_over(family), result, FAULT));
    }
    for family in [Family::V4, Family::V6] {
        let result = handshake(&mut Reference::new(Policy::default(), None), family);
        checks.push(check(reference::NAME, handshake_over(family), result, FAULT));
    }
    #[cfg(target_os = "linux")]
    {
        examine_linux(&mut checks);
        examine_link(&mut checks);
    }
    checks
}

/// The remedy where nothing but the harness itself is needed.
const FAULT: &str = "report this: it is a fault of the harness";

#[cfg(target_os = "linux")]
fn examine_linux(checks: &mut Vec<Check>) {
    use crate::targets::linux::{self, LinuxKernel};
    for probe in linux::probe() {
        let failed = probe.result.is_err();
        checks.push(check(linux::NAME, probe.what, probe.result, probe.remedy));
        if failed {
            return;
        }
    }
    let remedy = "the steps before this one worked: see the detail";
    let mut target = match LinuxKernel::new() {
        Ok(target) => target,
        Err(error) => return checks.push(check(linux::NAME, "addresses and routes", Err(error.why().to_owned()), remedy)),
    };
    checks.push(check(linux::NAME, "addresses and routes", Ok(format!("kernel {}", target.capabilities().version)), remedy));
    for family in [Family::V4, Family::V6] {
        let result = handshake(&mut target, family);
        checks.push(check(linux::NAME, handshake_over(family), result, remedy));
    }
}

/// The target `raw:` on a link between two network namespaces, with an agent at the other end.
#[cfg(target_os = "linux")]
fn examine_link(checks: &mut Vec<Check>) {
    use crate::targets::linux::bed::Bed;
    let remedy = "modprobe veth; CONFIG_VETH, CONFIG_PACKET and CONFIG_ETHTOOL_NETLINK in the kernel";
    let made = Bed::new().and_then(|bed| bed.finish_segments().map(|()| bed)).map_err(|error| error.why().to_owned());
    let bed = match made {
        Ok(bed) => bed,
        Err(why) => return checks.push(check("raw", "a link between two network namespaces", Err(why), remedy)),
    };
    for family in [Family::V4, Family::V6] {
        let result = over_link(&bed, family);
        checks.push(check("raw", handshake_over(family), result, remedy));
    }
}

/// A handshake over a packet socket and with an agent.
#[cfg(target_os = "linux")]
fn over_link(bed: &crate::targets::linux::bed::Bed, family: Family) -> Result<String, String> {
    use crate::targets::linux::{agent, bed};
    use crate::targets::raw::Raw;
    use crate::targets::{LOCAL, PREFIX};
    let why = |error: crate::target::TargetError| error.why().to_owned();
    let listener = bed.stack.run(|| std::net::TcpListener::bind((bed::CONTROL, 0))).map_err(why)?.map_err(|e| e.to_string())?;
    let at = listener.local_addr().map_err(|e| e.to_string())?;
    let attending = move || std::thread::spawn(move || listener.accept().and_then(|(stream, _)| agent::attend(&stream)));
    let agent = bed.stack.run(attending).map_err(why)?;
    let (stack, peer) = (LOCAL.map(|a| a.to_string()), REMOTE.map(|a| a.to_string()));
    let spec = format!(
        "{},stack={}/{},peer={},stack={}/{},peer={},agent={at}",
        bed::DEVICE,
        stack[0],
        PREFIX[0],
        peer[0],
        stack[1],
        PREFIX[1],
        peer[1]
    );
    let done = bed.peer.run(move || Raw::new(&spec).map_err(why).and_then(|mut raw| handshake(&mut raw, family))).map_err(why)?;
    // Where no harness came, the agent still waits for one; who comes and goes ends it.
    let _it_has_ended = bed.peer.run(move || std::net::TcpStream::connect(at).is_ok()).map_err(why)?;
    let served = agent.join().map_err(|_| "the agent panicked".to_owned())?;
    done.and_then(|state| served.map(|()| state).map_err(|error| format!("the agent: {error}")))
}

fn check(target: &'static str, what: &'static str, result: Result<String, String>, remedy: &'static str) -> Check {
    match result {
        Ok(detail) => Check { target, what, ok: true, detail, remedy: "" },
        Err(detail) => Check { target, what, ok: false, detail, remedy },
    }
}

fn handshake_over(family: Family) -> &'static str {
    match family {
        Family::V4 => "a handshake over IPv4, and its state",
        Family::V6 => "a handshake over IPv6, and its state",
    }
}

/// Opens a connection from the peer's side, accepts it and asks for its state.
fn handshake(target: &mut dyn Target, family: Family) -> Result<String, String> {
    const PORT: u16 = 8080;
    let side = usize::from(family == Family::V6);
    let stack = SocketAddr::new(target.capabilities().local[side], PORT);
    let peer = SocketAddr::new(REMOTE[side], 49_152);
    target.reset(1).map_err(|e| e.why().to_owned())?;
    let CallResult::Socket(listener) = call(target, &Call::Listen { port: PORT, family, backlog: 1 })? else {
        return Err("listen gave no socket".to_owned());
    };
    let mut exchange = |segment: &Segment| {
        let datagram = build(peer, stack, segment).map_err(|e| e.to_string())?;
        let reply = target.deliver(&[datagram]).map_err(|e| e.why().to_owned())?;
        Ok::<_, String>(reply.packets.iter().find_map(|p| match read(&p.ip) {
            Ok(Read::Tcp(tcp)) => Some(tcp.segment),
            Ok(Read::Icmp(_)) | Err(_) => None,
        }))
    };
    let answer = exchange(&Segment::syn(Seq(1000)).with_window(1000))?.ok_or("a SYN was not answered")?;
    if !answer.flags.has(Flags::SYN | Flags::ACK) {
        return Err(format!("a SYN was answered by {answer}"));
    }
    exchange(&Segment::pure_ack(Seq(1001), answer.seq + 1).with_window(1000))?;
    let accepted = call(target, &Call::Accept { socket: listener })?;
    let CallResult::Accepted { socket, .. } = accepted else { return Err(format!("accept gave {accepted:?}")) };
    match call(target, &Call::State { socket })? {
        CallResult::State(State::Established) => Ok(State::Established.to_string()),
        other => Err(format!("state gave {other:?}")),
    }
}

fn call(target: &mut dyn Target, call: &Call) -> Result<CallResult, String> {
    target.call(call).map(|reply| reply.value).map_err(|error| error.why().to_owned())
}
