//! A peer made by hand: says exactly what it is told to and reads what the stack answers.

use std::net::SocketAddr;

use tcp_harness::target::{Clock, NextTimer, Packet, Reply, Target};
use tcp_harness::wire::{Read, Tcp, build, read};
use tcp_reference::api::{Call, CallError, CallResult, Family, How, SocketId};
use tcp_reference::segment::{Flags, Segment, TcpOption};
use tcp_reference::seq::Seq;
use tcp_reference::state::State;

pub(crate) const STACK_PORT: u16 = 8080;
pub(crate) const PEER_PORT: u16 = 49_152;
pub(crate) const PEER_ISS: Seq = Seq(1000);

/// A target with one peer, and everything that the stack sent and nobody has looked at yet.
pub(crate) struct Peer<'a> {
    pub(crate) target: &'a mut dyn Target,
    pub(crate) family: Family,
    pub(crate) stack: SocketAddr,
    pub(crate) own: SocketAddr,
    pub(crate) seen: Vec<Tcp>,
    /// What the peer sends next.
    pub(crate) seq: Seq,
    /// What the peer acknowledges.
    pub(crate) ack: Seq,
}

impl<'a> Peer<'a> {
    pub(crate) fn new(target: &'a mut dyn Target, family: Family) -> Peer<'a> {
        let side = usize::from(family == Family::V6);
        let capabilities = target.capabilities();
        let stack = SocketAddr::new(capabilities.local[side], STACK_PORT);
        let own = SocketAddr::new(capabilities.remote[side], PEER_PORT);
        Peer { target, family, stack, own, seen: Vec::new(), seq: PEER_ISS, ack: Seq(0) }
    }

    fn take<T>(&mut self, reply: Reply<T>) -> T {
        let mut last = 0;
        for Packet { from, at, ip } in reply.packets {
            assert!(from <= at && at <= reply.now && last <= at, "times are in order: {last} {from} {at} {}", reply.now);
            last = at;
            if let Ok(Read::Tcp(tcp)) = read(&ip) {
                assert_eq!(tcp.defects, []);
                self.seen.push(tcp);
            }
        }
        if let NextTimer::At(at) = reply.next_timer {
            assert!(at > reply.now);
        }
        reply.value
    }

    pub(crate) fn call(&mut self, call: &Call) -> CallResult {
        let reply = self.target.call(call).expect("the target lives");
        self.take(reply)
    }

    pub(crate) fn send(&mut self, segment: &Segment) {
        let datagram = build(self.own, self.stack, segment).expect("builds");
        let reply = self.target.deliver(&[datagram]).expect("the target lives");
        self.take(reply);
    }

    pub(crate) fn advance(&mut self, us: u64) {
        let reply = self.target.advance(us).expect("the target lives");
        self.take(reply);
    }

    /// Waits for the stack's next segment, up to a second.
    pub(crate) fn next(&mut self) -> Segment {
        let real = self.target.capabilities().clock == Clock::Real;
        for _ in 0..1000 {
            if !self.seen.is_empty() {
                let tcp = self.seen.remove(0);
                assert_eq!((tcp.source, tcp.destination), (self.stack, self.own));
                return tcp.segment;
            }
            self.advance(if real { 100_000 } else { 10_000 });
        }
        panic!("the stack says nothing");
    }

    pub(crate) fn socket(&mut self, call: &Call) -> SocketId {
        match self.call(call) {
            CallResult::Socket(id) | CallResult::Accepted { socket: id, .. } => id,
            other => panic!("{call:?} gave {other:?}"),
        }
    }

    pub(crate) fn state(&mut self, socket: SocketId) -> State {
        match self.call(&Call::State { socket }) {
            CallResult::State(state) => state,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn ok(&mut self, call: &Call) {
        assert_eq!(self.call(call), CallResult::Done, "{call:?}");
    }

    pub(crate) fn fails(&mut self, call: &Call, error: &CallError) {
        assert_eq!(self.call(call), CallResult::Error(error.clone()), "{call:?}");
    }

    pub(crate) fn recv(&mut self, socket: SocketId) -> CallResult {
        self.call(&Call::Recv { socket, max: 65_536 })
    }

    pub(crate) fn listen(&mut self) -> SocketId {
        self.socket(&Call::Listen { port: STACK_PORT, family: self.family, backlog: 8 })
    }

    /// The three-way handshake, the peer opening.
    pub(crate) fn handshake(&mut self) {
        self.send(&Segment::syn(self.seq).with_window(60_000).with_option(TcpOption::Mss(1000)));
        let syn_ack = self.next();
        assert_eq!((syn_ack.flags, syn_ack.ack), (Flags::SYN | Flags::ACK, self.seq + 1));
        self.seq += 1;
        self.ack = syn_ack.seq + 1;
        self.send(&self.pure_ack());
    }

    pub(crate) fn pure_ack(&self) -> Segment {
        Segment::pure_ack(self.seq, self.ack).with_window(60_000)
    }

    pub(crate) fn connect(&mut self) -> SocketId {
        let call = Call::Connect { port: STACK_PORT, remote_port: PEER_PORT, family: self.family };
        self.socket(&call)
    }
}

/// Listen, handshake, accept, data both ways, the peer closes, the stack closes.
pub(crate) fn passive_open_data_close(target: &mut dyn Target, family: Family) {
    target.reset(7).expect("resets");
    let mut peer = Peer::new(target, family);
    let listener = peer.listen();
    assert_eq!(peer.state(listener), State::Listen);
    peer.fails(&Call::Accept { socket: listener }, &CallError::WouldBlock);
    peer.fails(&Call::Listen { port: STACK_PORT, family, backlog: 8 }, &CallError::AddressInUse);
    peer.handshake();
    let accepted = peer.call(&Call::Accept { socket: listener });
    let CallResult::Accepted { socket, peer: Some(remote) } = accepted else { panic!("{accepted:?}") };
    assert_eq!(remote, peer.own);
    assert_eq!(peer.state(socket), State::Established);
    peer.fails(&Call::Recv { socket, max: 1 }, &CallError::WouldBlock);

    peer.send(&peer.pure_ack().with_text(b"hello"));
    peer.seq += 5;
    assert_eq!(peer.next().ack, peer.seq);
    assert_eq!(peer.recv(socket), CallResult::Data(b"hello".to_vec()));

    assert_eq!(peer.call(&Call::Send { socket, data: b"world".to_vec(), urgent: false }), CallResult::Count(5));
    let data = peer.next();
    assert_eq!((data.seq, data.payload.as_slice()), (peer.ack, &b"world"[..]));
    peer.ack += 5;
    peer.send(&peer.pure_ack());

    peer.send(&Segment::fin(peer.seq, peer.ack).with_window(60_000));
    peer.seq += 1;
    assert_eq!(peer.next().ack, peer.seq);
    assert_eq!(peer.state(socket), State::CloseWait);
    assert_eq!(peer.recv(socket), CallResult::Eof);
    peer.ok(&Call::Close { socket });
    let fin = peer.next();
    assert!(fin.is_fin() && fin.seq == peer.ack, "{fin}");
    assert_eq!(peer.state(socket), State::LastAck);
    peer.ack += 1;
    peer.send(&peer.pure_ack());
    assert_eq!(peer.state(socket), State::Closed);
    peer.fails(&Call::Send { socket, data: vec![1], urgent: false }, &CallError::Closed);
    peer.fails(&Call::Recv { socket, max: 1 }, &CallError::Closed);
    peer.ok(&Call::Close { socket });
    peer.ok(&Call::Close { socket: listener });
    assert_eq!(peer.state(listener), State::Closed);
    peer.fails(&Call::State { socket: 999 }, &CallError::Invalid);
}

/// Connect, half-close, the peer's data and FIN, TIME-WAIT.
pub(crate) fn active_open_half_close(target: &mut dyn Target, family: Family) {
    target.reset(8).expect("resets");
    let mut peer = Peer::new(target, family);
    let socket = peer.connect();
    assert_eq!(peer.seen.len(), 1, "the SYN leaves with the call");
    let syn = peer.next();
    assert_eq!(syn.flags.without(Flags::ECE | Flags::CWR | Flags::AE), Flags::SYN);
    assert_eq!(peer.state(socket), State::SynSent);
    peer.fails(&Call::Recv { socket, max: 1 }, &CallError::WouldBlock);
    peer.fails(&Call::Send { socket, data: vec![1], urgent: false }, &CallError::WouldBlock);
    peer.ack = syn.seq + 1;
    peer.send(&Segment::syn(peer.seq).with_ack(peer.ack).with_window(60_000));
    peer.seq += 1;
    assert_eq!(peer.next().ack, peer.seq);
    assert_eq!(peer.state(socket), State::Established);
    peer.ok(&Call::Shutdown { socket, how: How::Write });
    assert!(peer.next().is_fin());
    assert_eq!(peer.state(socket), State::FinWait1);
    peer.fails(&Call::Send { socket, data: vec![1], urgent: false }, &CallError::Closed);
    peer.ack += 1;
    peer.send(&peer.pure_ack());
    assert_eq!(peer.state(socket), State::FinWait2);
    peer.send(&peer.pure_ack().with_text(b"late"));
    peer.seq += 4;
    assert_eq!(peer.recv(socket), CallResult::Data(b"late".to_vec()));
    peer.send(&Segment::fin(peer.seq, peer.ack).with_window(60_000));
    peer.seq += 1;
    while peer.next().ack != peer.seq {}
    assert_eq!(peer.state(socket), State::TimeWait);
    assert_eq!(peer.recv(socket), CallResult::Eof);
}

/// How a connection ended is told again and again.
pub(crate) fn endings(target: &mut dyn Target, family: Family) {
    target.reset(9).expect("resets");
    let mut peer = Peer::new(target, family);
    let socket = peer.connect();
    let syn = peer.next();
    peer.send(&Segment { ack: syn.seq + 1, ..Segment::control(Seq(0), Flags::RST | Flags::ACK) });
    for _ in 0..3 {
        peer.fails(&Call::Recv { socket, max: 1 }, &CallError::Refused);
        peer.fails(&Call::Send { socket, data: vec![1], urgent: false }, &CallError::Refused);
    }
    assert_eq!(peer.state(socket), State::Closed);
    peer.ok(&Call::Close { socket });

    let listener = peer.listen();
    peer.handshake();
    peer.send(&peer.pure_ack().with_text(b"last words"));
    peer.seq += 10;
    peer.send(&Segment::rst(peer.seq));
    // It was reset before anyone accepted it, and is given all the same.
    let socket = peer.socket(&Call::Accept { socket: listener });
    assert_eq!(peer.state(socket), State::Closed);
    assert_eq!(peer.recv(socket), CallResult::Data(b"last words".to_vec()));
    for _ in 0..3 {
        peer.fails(&Call::Recv { socket, max: 1 }, &CallError::Reset);
        peer.fails(&Call::Send { socket, data: vec![1], urgent: false }, &CallError::Reset);
    }
}

/// ABORT sends an RST and leaves nothing.
pub(crate) fn abort(target: &mut dyn Target, family: Family) {
    target.reset(10).expect("resets");
    let mut peer = Peer::new(target, family);
    let listener = peer.listen();
    peer.handshake();
    let socket = peer.socket(&Call::Accept { socket: listener });
    peer.ok(&Call::Abort { socket });
    let rst = peer.next();
    assert!(rst.is_rst() && rst.seq == peer.ack, "{rst}");
    assert_eq!(peer.state(socket), State::Closed);
    peer.fails(&Call::Recv { socket, max: 1 }, &CallError::Closed);
    // A descriptor that is gone has nothing to abort; a stack in process may not mind.
    let again = peer.call(&Call::Abort { socket });
    assert!(matches!(again, CallResult::Done | CallResult::Error(CallError::Closed)), "{again:?}");
    peer.ok(&Call::Shutdown { socket, how: How::Write });
}

/// The backlog of a listener holds several connections, and they come out in order.
pub(crate) fn backlog(target: &mut dyn Target, family: Family) {
    target.reset(11).expect("resets");
    let mut peer = Peer::new(target, family);
    let listener = peer.listen();
    let mut ports = Vec::new();
    for n in 0..4 {
        peer.own.set_port(PEER_PORT + n);
        peer.seq = PEER_ISS;
        if n == 2 {
            // A half-open one that dies.
            peer.send(&Segment::syn(peer.seq));
            peer.next();
            peer.send(&Segment::rst(peer.seq + 1));
        } else {
            ports.push(PEER_PORT + n);
            peer.handshake();
        }
    }
    for port in ports {
        match peer.call(&Call::Accept { socket: listener }) {
            CallResult::Accepted { peer: Some(remote), .. } => assert_eq!(remote.port(), port),
            other => panic!("{other:?}"),
        }
    }
    peer.fails(&Call::Accept { socket: listener }, &CallError::WouldBlock);
}

pub(crate) const BOTH: [Family; 2] = [Family::V4, Family::V6];
