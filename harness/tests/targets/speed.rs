//! How fast each target is bare. Ignored: it measures and asserts nothing.
//! `cargo test --release -p tcp-harness --test targets speed -- --ignored --nocapture --test-threads 1`

use std::time::{Duration, Instant};

use tcp_harness::target::Target;
use tcp_harness::targets::smoltcp::SmolTcp;
use tcp_harness::wire::{build_into, read};
use tcp_reference::api::{Call, Family};
use tcp_reference::segment::Segment;
use tcp_reference::seq::Seq;

use crate::peer::{PEER_ISS, Peer};

const TIME: Duration = Duration::from_secs(2);

fn rate(what: &str, mut once: impl FnMut() -> u32) {
    let start = Instant::now();
    let mut count = 0_u64;
    while start.elapsed() < TIME {
        for _ in 0..16 {
            count += u64::from(once());
        }
    }
    let each = start.elapsed().as_nanos() / u128::from(count.max(1));
    eprintln!("{what}: {} /s, {each} ns each", 1_000_000_000 / each.max(1));
}

/// An established connection that answers each of two kinds of segment: out of the window, and in order.
fn segments(target: &mut dyn Target, name: &str) {
    target.reset(1).expect("resets");
    let mut peer = Peer::new(target, Family::V4);
    let listener = peer.listen();
    peer.handshake();
    let socket = peer.socket(&Call::Accept { socket: listener });
    let (own, stack, ack) = (peer.own, peer.stack, peer.pure_ack());
    let mut datagrams = vec![Vec::new()];
    let stale = Segment { seq: ack.seq + 0xf000_0000, ..ack.clone() }.with_text(b"x");
    rate(&format!("{name}: build, deliver, read the answer"), || {
        build_into(&mut datagrams[0], own, stack, &stale).expect("builds");
        let reply = peer.target.deliver(&datagrams).expect("lives");
        for packet in &reply.packets {
            assert!(read(&packet.ip).is_ok());
        }
        1 + u32::try_from(reply.packets.len()).unwrap_or(0)
    });
    let mut next = ack;
    rate(&format!("{name}: build, deliver and recv 100 octets in order"), || {
        next.payload = vec![7; 100];
        build_into(&mut datagrams[0], own, stack, &next).expect("builds");
        next.seq += 100;
        peer.target.deliver(&datagrams).expect("lives");
        peer.target.call(&Call::Recv { socket, max: 1000 }).expect("lives");
        1
    });
}

fn handshakes(target: &mut dyn Target, name: &str) {
    let mut seed = 0;
    rate(&format!("{name}: reset"), || {
        seed += 1;
        target.reset(seed).expect("resets");
        1
    });
    rate(&format!("{name}: reset, listen, handshake, accept, state, abort"), || {
        seed += 1;
        target.reset(seed).expect("resets");
        let mut peer = Peer::new(target, Family::V4);
        let listener = peer.listen();
        peer.handshake();
        let socket = peer.socket(&Call::Accept { socket: listener });
        peer.state(socket);
        peer.ok(&Call::Abort { socket });
        1
    });
    let mut peer = Peer::new(target, Family::V4);
    let mut listener = 0;
    let mut n = 0_u16;
    rate(&format!("{name}: handshake, accept, abort 500 times for each reset"), || {
        n = n % 500 + 1;
        if n == 1 {
            // smoltcp's adapter has room for so many sockets between two resets.
            peer.target.reset(1).expect("resets");
            listener = peer.listen();
        }
        peer.own.set_port(10_000 + n);
        peer.seq = PEER_ISS;
        peer.seen.clear();
        peer.handshake();
        let socket = peer.socket(&Call::Accept { socket: listener });
        peer.ok(&Call::Abort { socket });
        1
    });
}

#[test]
#[ignore = "measures"]
fn wire() {
    let (from, to) = ("192.0.2.2:1".parse().expect("one"), "192.0.2.1:2".parse().expect("two"));
    let mut out = Vec::new();
    let segment = Segment::pure_ack(Seq(1), Seq(2)).with_window(3);
    rate("build_into", || {
        build_into(&mut out, from, to, &segment).expect("builds");
        1
    });
    rate("read", || u32::from(read(&out).is_ok()));
}

#[test]
#[ignore = "measures"]
fn smoltcp() {
    let mut target = SmolTcp::new();
    segments(&mut target, "smoltcp");
    handshakes(&mut target, "smoltcp");
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "measures"]
fn kernel() {
    let Ok(mut target) = tcp_harness::targets::linux::LinuxKernel::new() else { return };
    segments(&mut target, "kernel");
    handshakes(&mut target, "kernel");
}
