//! smoltcp: calls, its virtual clock, and that it repeats.

use tcp_harness::target::{NextTimer, Target, TargetError};
use tcp_harness::targets::smoltcp::SmolTcp;
use tcp_reference::api::{Call, CallError, CallResult, Family, SetOption};
use tcp_reference::segment::{Segment, TcpOption};
use tcp_reference::state::State;

use crate::peer::{self, BOTH, PEER_ISS, Peer};

#[test]
fn scenarios() {
    let mut target = SmolTcp::new();
    for family in BOTH {
        peer::passive_open_data_close(&mut target, family);
        peer::active_open_half_close(&mut target, family);
        peer::endings(&mut target, family);
        peer::abort(&mut target, family);
        peer::backlog(&mut target, family);
    }
}

/// Every retransmission of a SYN is stamped with its own time, and the next one is announced.
#[test]
fn timers_fire_at_their_own_time() {
    let mut target = SmolTcp::new();
    target.reset(1).expect("resets");
    let first = target.call(&Call::Connect { port: 1, remote_port: 2, family: Family::V4 }).expect("lives");
    assert_eq!(first.packets.len(), 1);
    let NextTimer::At(due) = first.next_timer else { panic!("{:?}", first.next_timer) };
    let reply = target.advance(60_000_000).expect("lives");
    assert_eq!(reply.now, 60_000_000);
    assert!(reply.packets.len() >= 3, "{}", reply.packets.len());
    assert_eq!(reply.packets[0].at, due);
    assert!(reply.packets.windows(2).all(|w| w[0].at < w[1].at && w[1].from == w[1].at));
    let early = target.advance(0).expect("lives");
    assert!(early.packets.is_empty());
}

#[test]
fn time_wait_ends() {
    let mut target = SmolTcp::new();
    peer::active_open_half_close(&mut target, Family::V4);
    let mut peer = Peer::new(&mut target, Family::V4);
    peer.advance(600_000_000);
    assert_eq!(peer.state(3), State::Closed);
    assert_eq!(peer.recv(3), CallResult::Eof);
}

#[test]
fn a_user_timeout_is_told() {
    let mut target = SmolTcp::new();
    target.reset(1).expect("resets");
    let mut peer = Peer::new(&mut target, Family::V4);
    let socket = peer.connect();
    peer.ok(&Call::Set { socket, option: SetOption::Timeout(Some(5_000_000)) });
    peer.advance(20_000_000);
    peer.fails(&Call::Recv { socket, max: 1 }, &CallError::TimedOut);
}

#[test]
fn a_listeners_options_are_its_connections() {
    let mut target = SmolTcp::new();
    target.reset(1).expect("resets");
    let mut peer = Peer::new(&mut target, Family::V4);
    let listener = peer.listen();
    peer.ok(&Call::Set { socket: listener, option: SetOption::Timestamps(true) });
    peer.ok(&Call::Set { socket: listener, option: SetOption::AckDelay(None) });
    assert_eq!(peer.call(&Call::Set { socket: listener, option: SetOption::Sack(false) }), CallResult::Unsupported);
    peer.advance(5_000_000);
    peer.send(&Segment::syn(PEER_ISS).with_option(TcpOption::Timestamps { val: 77, ecr: 0 }));
    assert_eq!(peer.next().timestamps(), Some((5000, 77)));
}

#[test]
fn repeats_under_one_seed() {
    let run = |seed| {
        let mut target = SmolTcp::new();
        target.reset(seed).expect("resets");
        let mut all = Vec::new();
        for port in 1..20 {
            let reply = target.call(&Call::Connect { port, remote_port: 2, family: Family::V6 }).expect("lives");
            all.extend(reply.packets.into_iter().map(|p| (p.at, p.ip)));
            all.extend(target.advance(700_000).expect("lives").packets.into_iter().map(|p| (p.at, p.ip)));
        }
        all
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
}

#[test]
fn a_flood_is_an_error_until_reset() {
    let mut target = SmolTcp::new();
    target.reset(1).expect("resets");
    let id = match target.call(&Call::Connect { port: 1, remote_port: 2, family: Family::V4 }).expect("lives").value {
        CallResult::Socket(id) => id,
        other => panic!("{other:?}"),
    };
    let mut peer = Peer::new(&mut target, Family::V4);
    peer.own.set_port(2);
    peer.stack.set_port(1);
    let syns: Vec<Vec<u8>> = (0..3000)
        .map(|_| {
            tcp_harness::wire::build(
                peer.own,
                {
                    let mut to = peer.stack;
                    to.set_port(9);
                    to
                },
                &Segment::syn(PEER_ISS),
            )
            .expect("builds")
        })
        .collect();
    let flood = target.deliver(&syns);
    assert!(matches!(flood, Err(TargetError::Flood(_))), "{flood:?}");
    assert!(matches!(target.call(&Call::State { socket: id }), Err(TargetError::Flood(_))));
    target.reset(1).expect("resets");
    assert!(target.advance(1).is_ok());
}

/// No octets that arrive bring the adapter down; what brings smoltcp down is an error of its own kind.
#[test]
fn random_octets() {
    let mut target = SmolTcp::new();
    target.reset(1).expect("resets");
    let mut state = 88_172_645_463_325_252_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut peer = Peer::new(&mut target, Family::V4);
    peer.listen();
    for _ in 0..20_000 {
        let base = tcp_harness::wire::build(peer.own, peer.stack, &Segment::syn(PEER_ISS).with_text(b"abc")).expect("builds");
        let mut ip = base;
        for _ in 0..random() % 4 {
            let at = usize::try_from(random() % ip.len() as u64).expect("small");
            ip[at] = random().to_le_bytes()[0];
        }
        match peer.target.deliver(&[ip]) {
            Ok(_) => {}
            Err(TargetError::Crash(text)) => {
                eprintln!("smoltcp crashed: {text}");
                peer.target.reset(1).expect("resets");
                peer.listen();
            }
            Err(other) => panic!("{other:?}"),
        }
    }
}
