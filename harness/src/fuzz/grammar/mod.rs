//! Scripts from nothing but the grammar of stimuli: an opening, then phrases in any order: a peer that sends, acknowledges, loses, closes its window or
//! its side, a user that writes, reads and closes, time that passes, and what no peer should send. Each phrase begins where the steps before it
//! ended ([`Peer::behind`]), so that exchanges grow long and come to their close.

mod odd;
mod phrases;
mod tables;

use tcp_reference::segment::{Flags, TcpOption};
use tcp_vectors::bytes;
use tcp_vectors::model::{Base, CallStep, Num, Payload, SegmentSpec, Step, StepKind, VectorCall};

use super::Random;
use super::peer::Peer;
use odd::{odd_segment, reset};
use phrases::{PHRASES, option, timeout, users};
use tables::{LENGTHS, LONG, OFFSETS, SHORT, SYN_WINDOWS, TRIPS, WINDOWS};

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

    /// Now and then what is in flight is not acknowledged yet.
    fn hold(&mut self, spec: &mut SegmentSpec) {
        if self.random.one_in(4) {
            spec.ack = spec.ack.map(|_| Num { base: Base::SndUna, offset: 0 });
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
        if talk.random.one_in(3) {
            // From the listeners' port.
            talk.call(VectorCall::Bind(name));
        }
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
    if talk.random.one_in(4) {
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
        TcpOption::Other { kind: 200, data: vec![1, 2] },
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
