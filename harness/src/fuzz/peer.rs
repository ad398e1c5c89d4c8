//! A well-behaved peer as steps: what it would send next, as far as the steps before tell.
//!
//! Its segments are plain steps with relative numbers ({peer_nxt}, {snd_nxt}), so that what a fuzzer finds with it is a vector like any other.

use tcp_reference::ip::Codepoint;
use tcp_reference::segment::{Flags, TcpOption};
use tcp_reference::seq::Seq;
use tcp_vectors::model::{Base, CallStep, Num, Payload, SegmentSpec, Step, StepKind, VectorCall};

/// What it knows of the conversation: its end of the newest flow, and the names of the user's sockets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Peer {
    /// The flow.
    pub(super) flow: u8,
    /// The connection's socket: what the last `accept` or `connect` gave, or what the next `accept` would give.
    pub(super) socket: u8,
    /// The socket that listens.
    pub(super) listener: Option<u8>,
    /// The name that the next call gives which makes a socket.
    pub(super) next_name: u8,
    /// How many connects there were: the flows below are theirs.
    pub(super) connects: u8,
    /// Its clock for timestamps, where it sends them.
    pub(super) clock: Option<u32>,
    /// The window that it advertised.
    pub(super) window: u16,
    /// Octets that the user has written: how far the stack's text may have come.
    pub(super) written: u32,
}

impl Peer {
    /// The peer after these steps.
    pub(super) fn behind(steps: &[Step]) -> Peer {
        let mut peer = Peer { flow: 0, socket: 3, listener: None, next_name: 3, connects: 0, clock: None, window: u16::MAX, written: 0 };
        for step in steps {
            let passed = u32::try_from(step.after / MILLISECOND).unwrap_or(0);
            peer.clock = peer.clock.map(|clock| clock.wrapping_add(passed));
            match &step.kind {
                StepKind::Call(CallStep { call, .. }) => peer.called(call),
                StepKind::Inject(spec) => peer.sent(spec),
                StepKind::Icmp(_) | StepKind::Expect(_) | StepKind::AssertState(_) | StepKind::Wait => {}
            }
        }
        peer
    }

    fn called(&mut self, call: &VectorCall) {
        match call {
            VectorCall::Socket => {
                self.socket = self.next_name;
                self.next_name = self.next_name.saturating_add(1);
            }
            VectorCall::Listen(name, _) => {
                self.listener = Some(*name);
                self.socket = self.next_name;
            }
            VectorCall::Accept(_) => {
                self.socket = self.next_name;
                self.next_name = self.next_name.saturating_add(1);
            }
            VectorCall::Connect(name) => {
                self.socket = *name;
                self.flow = self.connects;
                self.connects = self.connects.saturating_add(1);
                self.written = 0;
            }
            VectorCall::Write(_, data) | VectorCall::SendUrgent(_, data) => {
                self.written = self.written.saturating_add(u32::try_from(data.len()).unwrap_or(0));
            }
            _ => {}
        }
    }

    fn sent(&mut self, spec: &SegmentSpec) {
        if spec.oddity.is_some() {
            return;
        }
        self.flow = spec.flow;
        self.window = spec.window;
        let stamp = spec.options.iter().find_map(|o| if let TcpOption::Timestamps { val, .. } = o { Some(*val) } else { None });
        if spec.flags.has(Flags::SYN) {
            self.clock = stamp;
            self.written = 0;
        } else if let (Some(clock), Some(stamp)) = (self.clock, stamp) {
            self.clock = Some(clock.max(stamp));
        }
    }

    /// Its next segment in order, which acknowledges everything.
    pub(super) fn segment(&self, flags: Flags, len: u16) -> SegmentSpec {
        SegmentSpec {
            flow: self.flow,
            joined: false,
            ecn: Codepoint::NotEct,
            flags,
            seq: Num { base: Base::PeerNxt, offset: 0 },
            ack: Some(Num { base: Base::SndNxt, offset: 0 }).filter(|_| flags.has(Flags::ACK)),
            window: self.window,
            urgent: 0,
            options: self.stamp(),
            payload: Payload::Pattern(len),
            oddity: None,
        }
    }

    /// The options of its segments: timestamps where its SYN had them.
    pub(super) fn stamp(&self) -> Vec<TcpOption> {
        let stamp = |val| vec![TcpOption::Nop, TcpOption::Nop, TcpOption::Timestamps { val, ecr: 0 }];
        self.clock.map(stamp).unwrap_or_default()
    }

    /// SACK blocks for a hole of this many octets at the beginning of the last `flight` octets that were written, and for a piece behind it.
    pub(super) fn blocks(&self, flight: u32, hole: u32, piece: u32) -> Vec<TcpOption> {
        let from = 1 + self.written.saturating_sub(flight) + hole;
        let sack = TcpOption::Sack(vec![(Seq(from), Seq(from + piece))]);
        [self.stamp(), vec![TcpOption::Nop, TcpOption::Nop, sack]].concat()
    }
}

/// A tick of the peer's clock, microseconds.
const MILLISECOND: u64 = 1_000;
