//! Scripts from nothing but the grammar of stimuli: an opening, then phrases in any order: a peer that sends, acknowledges, loses, closes its window or
//! its side, a user that writes, reads and closes, time that passes, and what no peer should send. Each phrase begins where the steps before it
//! ended ([`Peer::behind`]), so that exchanges grow long and come to their close.

use tcp_reference::api::{How, SetOption};
use tcp_reference::icmp::IcmpError;
use tcp_reference::ip::Codepoint;
use tcp_reference::segment::{Flags, TcpOption};
use tcp_vectors::bytes;
use tcp_vectors::model::{
    Base, CallStep, IcmpSpec, Num, OddAddress, Oddity, Payload, SegmentSpec, Step, StepKind, VectorCall,
};

use super::Random;
use super::peer::Peer;

/// A script: an opening and some phrases.
pub(super) fn script(random: &mut Random) -> Vec<Step> {
    let mut steps = Vec::new();
    opening(&mut Talk { random, steps: &mut steps });
    for _ in 0..random.below(MOST_PHRASES + 1) {
        phrase(random, &mut steps);
    }
    steps.truncate(bytes::MAX_STEPS);
    steps
}

/// One more phrase behind these steps.
pub(super) fn phrase(random: &mut Random, steps: &mut Vec<Step>) {
    let all: usize = PHRASES.iter().map(|(weight, _)| weight).sum();
    let mut at = random.below(all);
    for (weight, say) in PHRASES {
        if at < weight {
            say(&mut Talk { random, steps });
            return;
        }
        at -= weight;
    }
}

/// Phrases in a script at most.
const MOST_PHRASES: usize = 8;

/// Something that the peer, the user or the network does, in some steps.
type Phrase = fn(&mut Talk<'_>);

/// The phrases, each with how often it comes beside the others.
const PHRASES: [(usize, Phrase); 25] = [
    (4, text),
    (4, exchange),
    (4, bulk),
    (4, loss),
    (3, gaps),
    (6, close),
    (4, fin),
    (3, window),
    (8, odd_segment),
    (3, reset),
    (3, syn),
    (3, again),
    (3, read),
    (3, time),
    (2, timeout),
    (2, icmp),
    (2, urgent),
    (3, ecn),
    (3, set),
    (2, odd_datagram),
    (2, stamps),
    (3, users),
    (2, abort),
    (2, probe),
    (2, repeat),
];

/// A conversation that is being written.
struct Talk<'a> {
    random: &'a mut Random,
    steps: &'a mut Vec<Step>,
}

impl Talk<'_> {
    fn peer(&self) -> Peer {
        Peer::behind(self.steps)
    }

    fn one<T: Clone>(&mut self, of: &[T]) -> Option<T> {
        self.random.pick(of).cloned()
    }

    fn number(&mut self, of: &[u16]) -> u16 {
        self.one(of).unwrap_or(0)
    }

    /// Mostly at once, sometimes after a time that a network takes, rarely after one that matters to a timer.
    fn pause(&mut self) -> u64 {
        match self.random.below(16) {
            0 => self.one(&LONG).unwrap_or(0),
            1..=5 => self.one(&SHORT).unwrap_or(0),
            _ => 0,
        }
    }

    fn at(&mut self, after: u64, kind: StepKind) {
        self.steps.push(Step { after, until: None, kind, line: 0 });
    }

    fn wait(&mut self, after: u64) {
        self.at(after, StepKind::Wait);
    }

    fn call(&mut self, call: VectorCall) {
        let after = self.pause();
        self.at(after, StepKind::Call(CallStep { call, result: None }));
    }

    fn send(&mut self, spec: SegmentSpec) {
        let after = self.pause();
        self.at(after, StepKind::Inject(spec));
    }

    fn write(&mut self, len: u16) {
        let socket = self.peer().socket;
        self.call(VectorCall::Write(socket, Payload::Pattern(len)));
    }

    /// The peer's segment in order, acknowledging everything.
    fn segment(&mut self, flags: Flags, len: u16) {
        let spec = self.peer().segment(flags, len);
        self.send(spec);
    }

    /// As [`Talk::segment`], with a change.
    fn changed(&mut self, flags: Flags, len: u16, change: impl FnOnce(&mut SegmentSpec)) {
        let mut spec = self.peer().segment(flags, len);
        change(&mut spec);
        self.send(spec);
    }

    /// What a well-behaved peer answers: everything acknowledged, a round trip later, so often that what the acknowledgments let go is acknowledged too.
    fn answers(&mut self, times: usize) {
        let trip = self.one(&TRIPS).unwrap_or(0);
        for _ in 0..times {
            let spec = self.peer().segment(ACK, 0);
            self.at(trip, StepKind::Inject(spec));
        }
    }

    /// A number at an edge that some comparison looks at.
    fn edge(&mut self, bases: &[Base]) -> Num {
        Num { base: self.one(bases).unwrap_or(Base::Zero), offset: self.one(&OFFSETS).unwrap_or(0) }
    }
}

const ACK: Flags = Flags::ACK;

/// The connection comes about, from either side or from both; sometimes the last step is missing.
fn opening(talk: &mut Talk<'_>) {
    talk.call(VectorCall::Socket);
    let name = talk.peer().socket;
    if talk.random.one_in(4) {
        let option = option(talk);
        talk.call(VectorCall::Set(name, option));
    }
    if talk.random.one_in(3) {
        active(talk, name);
    } else {
        talk.call(VectorCall::Bind(name));
        let backlog = talk.number(&[8, 8, 8, 1, 2]);
        talk.call(VectorCall::Listen(name, backlog));
        passive(talk);
    }
}

fn active(talk: &mut Talk<'_>, name: u8) {
    talk.call(VectorCall::Connect(name));
    let options = syn_options(talk);
    let window = talk.number(&SYN_WINDOWS);
    let simultaneous = talk.random.one_in(4);
    let flags = if simultaneous { Flags::SYN } else { Flags::SYN | ACK };
    let flags = flags | ecn_setup(talk, simultaneous);
    let len = if talk.random.one_in(8) { talk.number(&LENGTHS) } else { 0 };
    let fin = if talk.random.one_in(16) { Flags::FIN } else { Flags::NONE };
    match talk.random.below(8) {
        0 => return odd_segment(talk),
        1 => reset(talk),
        2 => timeout(talk),
        3 => users(talk),
        _ => {}
    }
    talk.changed(flags | fin, len, |s| (s.options, s.window) = (options, window));
    if simultaneous {
        let flags = if talk.random.one_in(2) { ACK } else { Flags::SYN | ACK };
        let irs = flags.has(Flags::SYN);
        talk.changed(flags, 0, |s| {
            if irs {
                s.seq = Num { base: Base::Irs, offset: 0 };
            }
        });
    }
}

fn passive(talk: &mut Talk<'_>) {
    let listener = talk.peer().listener.unwrap_or(3);
    let options = syn_options(talk);
    let flags = Flags::SYN | ecn_setup(talk, true);
    let window = talk.number(&SYN_WINDOWS);
    let len = if talk.random.one_in(12) { talk.number(&LENGTHS) } else { 0 };
    let fin = if talk.random.one_in(16) { Flags::FIN } else { Flags::NONE };
    if talk.random.one_in(8) {
        odd_segment(talk);
    }
    talk.changed(flags | fin, len, |s| (s.options, s.window) = (options, window));
    match talk.random.below(12) {
        0 => return odd_segment(talk),
        1 => return reset(talk),
        2 => timeout(talk),
        3 => return,
        _ => {}
    }
    let window = talk.number(&WINDOWS);
    let open = talk.random.one_in(2);
    let len = if talk.random.one_in(8) { talk.number(&LENGTHS) } else { 0 };
    let fin = if talk.random.one_in(16) { Flags::FIN } else { Flags::NONE };
    talk.changed(ACK | fin, len, |s| s.window = if open { u16::MAX } else { window });
    talk.call(VectorCall::Accept(listener));
}

/// The options of a SYN: one set for the usual kinds of hosts, now and then something else.
fn syn_options(talk: &mut Talk<'_>) -> Vec<TcpOption> {
    let mss = talk.number(&[1460, 1460, 1460, 536, 100, 1000, 9000, 0]);
    let shift = talk.one(&[0, 1, 2, 3, 7, 14, 15]).unwrap_or(0);
    let mut options = Vec::new();
    if !talk.random.one_in(4) {
        options.push(TcpOption::Mss(mss));
    }
    if talk.random.one_in(3) {
        options.push(TcpOption::SackPermitted);
    }
    if talk.random.one_in(3) {
        options.push(TcpOption::Timestamps { val: 1000, ecr: 0 });
    }
    if talk.random.one_in(3) {
        options.extend([TcpOption::Nop, TcpOption::WindowScale(shift)]);
    }
    if talk.random.one_in(6) {
        let odd = odd_option(talk);
        let at = talk.random.below(options.len() + 1);
        options.insert(at, odd);
    }
    options
}

fn odd_option(talk: &mut Talk<'_>) -> TcpOption {
    let zero = TcpOption::Other { kind: 253, data: vec![0, 0] };
    talk.one(&[
        zero,
        TcpOption::Other { kind: 253, data: vec![1, 2] },
        TcpOption::Nop,
        TcpOption::Eol,
        TcpOption::IllFormed(vec![253, 1]),
        TcpOption::IllFormed(vec![2, 60, 1]),
        TcpOption::Other { kind: 34, data: Vec::new() },
    ])
    .unwrap_or(TcpOption::Nop)
}

fn ecn_setup(talk: &mut Talk<'_>, syn: bool) -> Flags {
    match talk.random.below(8) {
        0 | 1 if syn => Flags::ECE | Flags::CWR,
        0 | 1 => Flags::ECE,
        2 => talk.one(&[Flags::ECE, Flags::CWR, Flags::ECE | Flags::CWR, Flags::ECE | Flags::CWR | Flags::AE]).unwrap_or(Flags::NONE),
        _ => Flags::NONE,
    }
}

/// Text in order.
fn text(talk: &mut Talk<'_>) {
    for _ in 0..1 + talk.random.below(3) {
        let len = talk.number(&LENGTHS);
        let flags = if talk.random.one_in(2) { ACK | Flags::PSH } else { ACK };
        let joined = talk.random.one_in(6);
        talk.changed(flags, len, |s| s.joined = joined);
    }
    if talk.random.one_in(2) {
        read(talk);
    }
}

/// The user writes, the peer answers.
fn exchange(talk: &mut Talk<'_>) {
    for _ in 0..1 + talk.random.below(3) {
        let len = talk.number(&LENGTHS);
        talk.write(len);
    }
    let times = talk.random.below(3);
    talk.answers(times);
}

/// The user writes much, and what the acknowledgments let go is acknowledged again: all at once, or a segment or a part of one each.
fn bulk(talk: &mut Talk<'_>) {
    for _ in 0..2 + talk.random.below(8) {
        talk.write(bytes::MAX_TEXT);
    }
    let times = 1 + talk.random.below(12);
    let each = talk.one(&[None, None, Some(1460), Some(2920), Some(536), Some(100)]).flatten();
    let trip = talk.one(&TRIPS).unwrap_or(0);
    for _ in 0..times {
        let mut spec = talk.peer().segment(ACK, 0);
        if let Some(offset) = each {
            spec.ack = Some(Num { base: Base::SndUna, offset });
        }
        talk.at(trip, StepKind::Inject(spec));
    }
}

/// A segment of the stack is lost: duplicate acknowledgments, with SACK blocks or without, and then the repair, in part or whole.
fn loss(talk: &mut Talk<'_>) {
    let full = talk.random.one_in(2);
    let len = if full { bytes::MAX_TEXT } else { talk.number(&LENGTHS) };
    let writes = 1 + talk.random.below(5);
    for _ in 0..writes {
        talk.write(len);
    }
    let flight = u32::from(len) * u32::try_from(writes).unwrap_or(0);
    let sacks = talk.random.one_in(2);
    let window_moves = talk.random.one_in(6);
    let trip = talk.one(&TRIPS).unwrap_or(0);
    let hole = u32::from(talk.number(&[1460, 1460, 1460, 536, 2920]));
    for piece in 1..=1 + u32::try_from(talk.random.below(5)).unwrap_or(0) {
        let peer = talk.peer();
        let mut spec = peer.segment(ACK, 0);
        spec.ack = Some(Num { base: Base::SndUna, offset: 0 });
        if sacks {
            spec.options = peer.blocks(flight, hole, piece * 1460);
        }
        if window_moves {
            spec.window = spec.window.wrapping_sub(u16::try_from(piece * 100).unwrap_or(0));
        }
        talk.at(if piece == 1 { trip } else { 0 }, StepKind::Inject(spec));
    }
    if talk.random.one_in(3) {
        talk.write(len);
    }
    if talk.random.one_in(4) {
        let after = talk.one(&LONG).unwrap_or(0);
        talk.wait(after);
    }
    if talk.random.one_in(2) {
        let mut spec = talk.peer().segment(ACK, 0);
        spec.ack = Some(Num { base: Base::SndUna, offset: i32::try_from(hole).unwrap_or(0) });
        talk.send(spec);
    }
    let times = talk.random.below(3);
    talk.answers(times);
}

/// Pieces of text behind gaps, which are filled in some order, sometimes in part; one may carry the FIN.
fn gaps(talk: &mut Talk<'_>) {
    let len = talk.number(&[1, 10, 100, 500, 1000, 1460]);
    let pieces = 2 + talk.random.below(6);
    let mut order: Vec<usize> = (1..pieces).collect();
    for i in 0..order.len() {
        let other = talk.random.below(order.len());
        order.swap(i, other);
    }
    order.truncate(1 + talk.random.below(order.len()));
    let fin = talk.random.one_in(6);
    // A gap is counted from what came before it, which stays where it is until the gap is filled.
    for piece in order {
        let offset = i32::try_from(piece * usize::from(len)).unwrap_or(0);
        let (short, joined, other) = (talk.random.one_in(6), talk.random.one_in(6), talk.random.one_in(12));
        let flags = if fin && piece + 1 == pieces { ACK | Flags::FIN } else { ACK };
        talk.changed(flags, len, |s| {
            s.seq.offset = offset;
            s.joined = joined;
            if short {
                s.payload = Payload::Pattern(len / 2);
            }
            if other {
                s.payload = Payload::Other(len);
            }
        });
    }
    match talk.random.below(4) {
        0 => read(talk),
        1 => {
            // What came already, once more.
            let old = talk.one(&[-1, -10, -100, -1460]).unwrap_or(0);
            talk.changed(ACK, len, |s| s.seq = Num { base: Base::RcvNxt, offset: old });
        }
        _ => {}
    }
    if !talk.random.one_in(4) {
        let filled = if talk.random.one_in(2) { len } else { talk.number(&LENGTHS) };
        talk.changed(ACK, filled, |s| s.seq = Num { base: Base::RcvNxt, offset: 0 });
    }
    if talk.random.one_in(2) {
        read(talk);
    }
}

/// The user closes, and the peer answers to it in one of the ways there are, as far as it goes.
fn close(talk: &mut Talk<'_>) {
    let socket = talk.peer().socket;
    let how = talk.one(&[How::Write, How::Write, How::Both, How::Read]).unwrap_or(How::Write);
    let call = if talk.random.one_in(2) { VectorCall::Shutdown(socket, how) } else { VectorCall::Close(socket) };
    talk.call(call);
    if talk.random.one_in(3) {
        // Before the answer.
        phrase_within(talk);
    }
    let old = Some(Num { base: Base::SndUna, offset: 0 });
    match talk.random.below(6) {
        0 => talk.segment(ACK, 0),
        1 => talk.segment(ACK | Flags::FIN, 0),
        // Both close at the same time.
        2 => talk.changed(ACK | Flags::FIN, 0, |s| s.ack = old),
        3 => {
            talk.segment(ACK, 0);
            if talk.random.one_in(2) {
                phrase_within(talk);
            }
            talk.segment(ACK | Flags::FIN, 0);
        }
        4 => {
            talk.changed(ACK | Flags::FIN, 0, |s| s.ack = old);
            if talk.random.one_in(2) {
                phrase_within(talk);
            }
            talk.segment(ACK, 0);
        }
        _ => return,
    }
    if talk.random.one_in(2) {
        phrase_within(talk);
    }
    if talk.random.one_in(4) {
        let after = talk.one(&LONG).unwrap_or(0);
        talk.wait(after);
    }
}

/// A short phrase within another one.
fn phrase_within(talk: &mut Talk<'_>) {
    let short: [Phrase; 9] = [odd_segment, odd_segment, odd_segment, reset, syn, text, timeout, users, repeat];
    if let Some(say) = talk.one(&short) {
        say(talk);
    }
}

/// The peer closes, with text or without; then perhaps the user.
fn fin(talk: &mut Talk<'_>) {
    let len = if talk.random.one_in(2) { 0 } else { talk.number(&LENGTHS) };
    talk.segment(ACK | Flags::FIN, len);
    if talk.random.one_in(2) {
        phrase_within(talk);
    }
    if talk.random.one_in(3) {
        read(talk);
    }
    if talk.random.one_in(2) {
        let socket = talk.peer().socket;
        talk.call(VectorCall::Close(socket));
        if talk.random.one_in(2) {
            phrase_within(talk);
        }
        if talk.random.one_in(2) {
            talk.segment(ACK, 0);
        }
    }
}

/// The peer's window closes, shrinks or stays small; the user writes; the window is probed, and opens in the end or not.
fn window(talk: &mut Talk<'_>) {
    if talk.random.one_in(3) {
        let len = talk.number(&LENGTHS);
        talk.write(len);
    }
    let small = talk.number(&[0, 0, 0, 1, 10, 100, 500, 1000, 2000]);
    talk.changed(ACK, 0, |s| s.window = small);
    for _ in 0..1 + talk.random.below(3) {
        let len = talk.number(&LENGTHS);
        talk.write(len);
    }
    for _ in 0..talk.random.below(4) {
        let after = talk.one(&[400_000, 1_100_000, 3_000_000, 10_000_000, 61_000_000]).unwrap_or(0);
        talk.wait(after);
        let old = talk.random.one_in(2);
        talk.changed(ACK, 0, |s| {
            if old {
                s.ack = Some(Num { base: Base::SndUna, offset: 0 });
            }
        });
    }
    if !talk.random.one_in(3) {
        let open = talk.number(&WINDOWS);
        talk.changed(ACK, 0, |s| s.window = open);
        talk.answers(1);
    }
}

/// A segment whose flags and numbers may be anything.
fn odd_segment(talk: &mut Talk<'_>) {
    let flags = if talk.random.one_in(8) {
        Flags(u16::try_from(talk.random.below(64)).unwrap_or(0))
    } else {
        talk.one(&FLAGS).unwrap_or_default()
    };
    let len = if talk.random.one_in(2) { 0 } else { talk.number(&LENGTHS) };
    let seq = if talk.random.one_in(3) { Num { base: Base::PeerNxt, offset: 0 } } else { talk.edge(&SEQ_BASES) };
    let ack = if talk.random.one_in(3) { Num { base: Base::SndNxt, offset: 0 } } else { talk.edge(&ACK_BASES) };
    let window = if talk.random.one_in(4) { Some(talk.number(&WINDOWS)) } else { None };
    let urgent = if flags.has(Flags::URG) { talk.number(&LENGTHS) } else { 0 };
    let elsewhere = talk.random.one_in(16);
    talk.changed(flags, len, |s| {
        s.seq = seq;
        s.ack = s.ack.map(|_| ack);
        s.window = window.unwrap_or(s.window);
        s.urgent = urgent;
        if elsewhere {
            s.flow = (s.flow + 1) % FLOWS;
        }
    });
}

/// A reset: at RCV.NXT, within the window, outside of it.
fn reset(talk: &mut Talk<'_>) {
    let seq = match talk.random.below(4) {
        0..=1 => Num { base: Base::RcvNxt, offset: 0 },
        _ => talk.edge(&SEQ_BASES),
    };
    let flags = if talk.random.one_in(2) { Flags::RST } else { Flags::RST | ACK };
    let len = if talk.random.one_in(4) { talk.number(&LENGTHS) } else { 0 };
    let ack = if talk.random.one_in(3) { Some(talk.edge(&ACK_BASES)) } else { None };
    talk.changed(flags, len, |s| {
        s.seq = seq;
        s.ack = s.ack.map(|usual| ack.unwrap_or(usual));
    });
}

/// A SYN where there is a connection already: the same one again, another one, one with ACK.
fn syn(talk: &mut Talk<'_>) {
    let seq = match talk.random.below(3) {
        0 => Num { base: Base::Irs, offset: 0 },
        1 => Num { base: Base::PeerNxt, offset: 0 },
        _ => talk.edge(&SEQ_BASES),
    };
    let flags = if talk.random.one_in(3) { Flags::SYN | ACK } else { Flags::SYN };
    let options = match talk.random.below(3) {
        0 => talk.peer().stamp(),
        1 => syn_options(talk),
        _ => Vec::new(),
    };
    talk.changed(flags, 0, |s| (s.seq, s.options) = (seq, options));
}

/// Another connection: from another port of the peer's or from the same one, to the same listener or to a fresh one; or one more `connect`.
fn again(talk: &mut Talk<'_>) {
    let peer = talk.peer();
    if peer.listener.is_none() || talk.random.one_in(4) {
        talk.call(VectorCall::Socket);
        let name = talk.peer().socket;
        if peer.listener.is_none() && talk.random.one_in(2) {
            return active(talk, name);
        }
        talk.call(VectorCall::Bind(name));
        talk.call(VectorCall::Listen(name, 8));
    }
    let flow = if talk.random.one_in(2) { peer.flow } else { (peer.flow + 1) % FLOWS };
    let ahead = talk.one(&[0, 1, 1000, 100_000, -1, -1000]).unwrap_or(0);
    let options = if talk.random.one_in(2) { peer.stamp() } else { syn_options(talk) };
    talk.changed(Flags::SYN, 0, |s| {
        s.flow = flow;
        s.seq.offset = ahead;
        s.options = options;
    });
    if !talk.random.one_in(4) {
        talk.segment(ACK, 0);
        let listener = talk.peer().listener.unwrap_or(3);
        talk.call(VectorCall::Accept(listener));
    }
}

fn read(talk: &mut Talk<'_>) {
    let socket = talk.peer().socket;
    let max = u32::from(talk.number(&[1, 10, 100, 1000, 3000, 65_535]));
    talk.call(VectorCall::Read(socket, max));
}

/// Time passes that matters to some timer.
fn time(talk: &mut Talk<'_>) {
    let after = talk.one(&LONG).unwrap_or(0);
    talk.wait(after);
    if talk.random.one_in(2) {
        talk.segment(ACK, 0);
    }
}

/// What is in flight is not answered, for some time-outs; then it is, or not.
fn timeout(talk: &mut Talk<'_>) {
    if talk.random.one_in(2) {
        let len = talk.number(&LENGTHS);
        talk.write(len);
    }
    for _ in 0..1 + talk.random.below(3) {
        let after = talk.one(&[1_000_000, 1_100_000, 2_100_000, 3_000_000, 4_500_000, 10_000_000, 61_000_000, 250_000_000]).unwrap_or(0);
        talk.wait(after);
    }
    let times = talk.random.below(2);
    talk.answers(times);
}

fn icmp(talk: &mut Talk<'_>) {
    let flow = talk.peer().flow;
    let flow = if talk.random.one_in(6) { (flow + 1) % FLOWS } else { flow };
    let error = talk.one(&IcmpError::ALL).unwrap_or(IcmpError::HostUnreachable);
    let seq = if talk.random.one_in(2) { Num { base: Base::SndUna, offset: 0 } } else { talk.edge(&ACK_BASES) };
    if talk.random.one_in(2) {
        let len = talk.number(&LENGTHS);
        talk.write(len);
    }
    let (after, len) = (talk.pause(), talk.number(&LENGTHS));
    talk.at(after, StepKind::Icmp(IcmpSpec { flow, error, seq, len }));
}

/// Urgent data either way.
fn urgent(talk: &mut Talk<'_>) {
    let len = talk.number(&LENGTHS);
    if talk.random.one_in(2) {
        let socket = talk.peer().socket;
        talk.call(VectorCall::SendUrgent(socket, Payload::Pattern(len)));
        if talk.random.one_in(2) {
            talk.write(len);
        }
        let times = talk.random.below(3);
        talk.answers(times);
    } else {
        let pointer = talk.number(&LENGTHS);
        talk.changed(ACK | Flags::URG, len, |s| s.urgent = pointer);
    }
}

/// Marks of congestion and their echoes.
fn ecn(talk: &mut Talk<'_>) {
    for _ in 0..1 + talk.random.below(3) {
        let len = talk.number(&LENGTHS);
        match talk.random.below(4) {
            0 => {
                let far = talk.random.one_in(4);
                talk.changed(ACK, len, |s| {
                    s.ecn = Codepoint::Ce;
                    if far {
                        s.seq = Num { base: Base::RcvRight, offset: 0 };
                    }
                });
            }
            1 => talk.changed(ACK | Flags::CWR, len, |s| s.ecn = Codepoint::Ect0),
            2 => {
                talk.write(len);
                talk.segment(ACK | Flags::ECE, 0);
                talk.write(len);
            }
            _ => talk.changed(ACK, len, |s| s.ecn = Codepoint::Ect0),
        }
    }
}

/// An option of the user's, and what follows from it.
fn set(talk: &mut Talk<'_>) {
    let socket = talk.peer().socket;
    let option = option(talk);
    talk.call(VectorCall::Set(socket, option));
    match option {
        SetOption::KeepAlive(_) => {
            for _ in 0..1 + talk.random.below(2) {
                let after = talk.one(&LONG).unwrap_or(0);
                talk.wait(after);
                let times = talk.random.below(2);
                talk.answers(times);
            }
        }
        SetOption::Timeout(_) => timeout(talk),
        SetOption::AckDelay(_) => text(talk),
        _ => exchange(talk),
    }
}

fn option(talk: &mut Talk<'_>) -> SetOption {
    let interval = talk.one(&[None, Some(100_000), Some(1_000_000), Some(10_000_000), Some(60_000_000)]).flatten();
    let on = talk.random.one_in(2);
    match talk.random.below(10) {
        0..=1 => SetOption::NoDelay(true),
        2..=3 => SetOption::KeepAlive(interval),
        4..=5 => SetOption::Timeout(interval),
        6 => SetOption::AckDelay(interval),
        7 => SetOption::Dscp(u8::try_from(talk.random.below(64)).unwrap_or(0)),
        8 => SetOption::HopLimit(talk.one(&[1, 64, 100, 255]).unwrap_or(64)),
        _ => talk
            .one(&[SetOption::NoDelay(false), SetOption::Timestamps(on), SetOption::Sack(on), SetOption::WindowScale(on), SetOption::Mss(536)])
            .unwrap_or(SetOption::NoDelay(on)),
    }
}

/// A datagram with something odd about it: a fragment, a header cut short, a wrong checksum, an address that is not a host's.
fn odd_datagram(talk: &mut Talk<'_>) {
    let oddity = talk.one(&ODDITIES);
    let flags = talk.one(&FLAGS).unwrap_or_default();
    let len = talk.number(&LENGTHS);
    talk.changed(flags, len, |s| s.oddity = oddity);
}

/// Segments whose timestamps are old, equal, far ahead or missing.
fn stamps(talk: &mut Talk<'_>) {
    let Some(clock) = talk.peer().clock else { return text(talk) };
    let moved = talk.one(&[0, 1, 10, 1000, u32::MAX, u32::MAX - 100, 1 << 31]).unwrap_or(0);
    let val = clock.wrapping_add(moved);
    let missing = talk.random.one_in(4);
    let flags = talk.one(&[ACK, ACK, ACK | Flags::FIN, Flags::RST, Flags::RST | ACK, Flags::SYN]).unwrap_or(ACK);
    let len = talk.number(&LENGTHS);
    let ahead = talk.one(&[0, 0, 0, 100, -10, -100]).unwrap_or(0);
    talk.changed(flags, len, |s| {
        s.seq.offset = ahead;
        s.options = if missing { Vec::new() } else { vec![TcpOption::Nop, TcpOption::Nop, TcpOption::Timestamps { val, ecr: 0 }] };
    });
}

/// A call that the moment does not ask for.
fn users(talk: &mut Talk<'_>) {
    let peer = talk.peer();
    let socket = if talk.random.one_in(4) { peer.listener.unwrap_or(peer.socket) } else { peer.socket };
    let len = talk.number(&LENGTHS);
    match talk.random.below(8) {
        0..=1 => talk.call(VectorCall::Write(socket, Payload::Pattern(len))),
        2..=3 => talk.call(VectorCall::Read(socket, u32::from(len))),
        4 => talk.call(VectorCall::Close(socket)),
        5 => talk.call(VectorCall::Shutdown(socket, How::Write)),
        6 => talk.call(VectorCall::Accept(peer.listener.unwrap_or(peer.socket))),
        _ => talk.call(VectorCall::Connect(peer.socket)),
    }
}

fn abort(talk: &mut Talk<'_>) {
    let socket = talk.peer().socket;
    talk.call(VectorCall::LingerZero(socket));
    talk.call(VectorCall::Close(socket));
}

/// What a peer asks that wants to know whether the other side lives: a segment from just before the window.
fn probe(talk: &mut Talk<'_>) {
    let back = talk.one(&[-1, -1, -2, -10, 65_535]).unwrap_or(-1);
    for _ in 0..1 + talk.random.below(3) {
        talk.changed(ACK, 0, |s| s.seq.offset = back);
    }
}

/// The network doubles the peer's last segment.
fn repeat(talk: &mut Talk<'_>) {
    let after = talk.pause();
    let last = talk.steps.iter().rev().find(|s| matches!(s.kind, StepKind::Inject(_))).map(|s| s.kind.clone());
    let Some(StepKind::Inject(mut spec)) = last else { return };
    if spec.seq == (Num { base: Base::PeerNxt, offset: 0 }) {
        // It is behind what it brought by now.
        let len = spec.payload.len() + usize::from(spec.flags.has(Flags::SYN)) + usize::from(spec.flags.has(Flags::FIN));
        spec.seq.offset = -i32::try_from(len).unwrap_or(0);
    }
    for _ in 0..talk.one(&[1, 1, 1, 2, 12]).unwrap_or(1) {
        talk.at(after, StepKind::Inject(spec.clone()));
    }
}

/// Flows of a script.
const FLOWS: u8 = 3;

/// Times that a network takes, microseconds.
const SHORT: [u64; 6] = [1_000, 10_000, 50_000, 100_000, 200_000, 400_000];

/// Round trips, microseconds.
const TRIPS: [u64; 7] = [0, 0, 1_000, 10_000, 100_000, 300_000, 800_000];

/// Times that matter to some timer, microseconds.
const LONG: [u64; 12] = [
    499_000,
    600_000,
    1_000_000,
    1_100_000,
    2_100_000,
    3_000_000,
    10_000_000,
    61_000_000,
    121_000_000,
    250_000_000,
    500_000_000,
    bytes::MAX_AFTER,
];

/// Offsets that matter to some comparison.
const OFFSETS: [i32; 17] =
    [0, 0, 0, 1, -1, 2, -2, 10, -10, 100, -100, 1460, -1460, 65_535, -65_536, i32::MAX, i32::MIN];

const SEQ_BASES: [Base; 6] = [Base::PeerNxt, Base::RcvNxt, Base::RcvRight, Base::RcvRight, Base::Irs, Base::Zero];
const ACK_BASES: [Base; 5] = [Base::SndNxt, Base::SndNxt, Base::SndUna, Base::Iss, Base::Zero];

const WINDOWS: [u16; 9] = [0, 1, 100, 536, 1000, 1460, 10_000, 40_000, 65_535];
const SYN_WINDOWS: [u16; 7] = [65_535, 65_535, 65_535, 1000, 5000, 100, 0];
const LENGTHS: [u16; 9] = [1, 2, 10, 100, 536, 1000, 1460, 2000, 2920];

const FLAGS: [Flags; 12] = [
    Flags(0x10),
    Flags(0x10),
    Flags(0x18),
    Flags(0x11),
    Flags(0x02),
    Flags(0x12),
    Flags(0x04),
    Flags(0x14),
    Flags(0x01),
    Flags(0x00),
    Flags(0x08),
    Flags(0x30),
];

const ODDITIES: [Oddity; 13] = [
    Oddity::BadChecksum,
    Oddity::BadChecksum,
    Oddity::Fragment,
    Oddity::IpOption,
    Oddity::Truncated(10),
    Oddity::Truncated(19),
    Oddity::DataOffset(4),
    Oddity::DataOffset(15),
    Oddity::Reserved(5),
    Oddity::From(OddAddress::Broadcast),
    Oddity::From(OddAddress::Multicast),
    Oddity::From(OddAddress::Unspecified),
    Oddity::To(OddAddress::Multicast),
];
