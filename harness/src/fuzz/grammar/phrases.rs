//! The phrases: what the peer, the user and the network do.

use tcp_reference::api::{How, SetOption};
use tcp_reference::icmp::IcmpError;
use tcp_reference::ip::Codepoint;
use tcp_reference::segment::Flags;
use tcp_vectors::bytes;
use tcp_vectors::model::{Base, CallStep, IcmpSpec, Num, Payload, StepKind, VectorCall};

use super::odd::{odd_datagram, odd_segment, probe, repeat, reset, stamps, syn};
use super::tables::{ACK_BASES, FLOWS, LENGTHS, LONG, SHORT, TRIPS, WINDOWS};
use super::{ACK, Phrase, Talk, active, syn_options};

/// The phrases, each with how often it comes beside the others.
pub(super) const PHRASES: [(usize, Phrase); 27] = [
    (1, fill),
    (2, several),
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

/// Text in order.
pub(super) fn text(talk: &mut Talk<'_>) {
    let paced = if talk.random.one_in(3) { talk.one(&SHORT).unwrap_or(0) } else { 0 };
    let most = if paced == 0 { 3 } else { 8 };
    for _ in 0..1 + talk.random.below(most) {
        let len = talk.number(&LENGTHS);
        let flags = if talk.random.one_in(2) { ACK | Flags::PSH } else { ACK };
        let mut spec = talk.peer().segment(flags, len);
        talk.hold(&mut spec);
        spec.joined = talk.random.one_in(6);
        let after = if paced == 0 { talk.pause() } else { paced };
        talk.at(after, StepKind::Inject(spec));
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
    let most = if talk.random.one_in(4) { 24 } else { 8 };
    for _ in 0..2 + talk.random.below(most) {
        let socket = talk.peer().socket;
        let write = VectorCall::Write(socket, Payload::Pattern(bytes::MAX_TEXT));
        talk.at(0, StepKind::Call(CallStep { call: write, result: None }));
    }
    let times = 1 + talk.random.below(most + 4);
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
    let pieces = 2 + talk.random.below(7);
    // Side by side, or with a gap before each.
    let apart = if talk.random.one_in(2) { 1 } else { 2 };
    let mut order: Vec<usize> = (1..pieces).collect();
    for i in 0..order.len() {
        let other = talk.random.below(order.len());
        order.swap(i, other);
    }
    order.truncate(1 + talk.random.below(order.len()));
    let fin = talk.random.one_in(6);
    // A gap is counted from what came before it, which stays where it is until the gap is filled.
    for piece in order {
        let offset = i32::try_from(piece * apart * usize::from(len)).unwrap_or(0);
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
    let short: [Phrase; 11] = [odd_segment, odd_segment, odd_segment, odd_segment, urgent, reset, syn, text, timeout, users, repeat];
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
    // Beside what is in flight, or behind it.
    let mut spec = talk.peer().segment(ACK, 0);
    spec.window = small;
    talk.hold(&mut spec);
    talk.send(spec);
    for _ in 0..1 + talk.random.below(3) {
        let len = talk.number(&LENGTHS);
        talk.write(len);
    }
    let after = talk.one(&[400_000, 1_100_000, 3_000_000, 10_000_000, 61_000_000, 250_000_000]).unwrap_or(0);
    for _ in 0..talk.random.below(5) {
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

/// Connections that come and go, from one port of the peer's or from several: what they have in common shows.
fn several(talk: &mut Talk<'_>) {
    let options = if talk.random.one_in(2) { Vec::new() } else { syn_options(talk) };
    let after = talk.one(&[0, 0, 100_000, 1_000_000]).unwrap_or(0);
    let apart = talk.random.one_in(2);
    for flow in 0..2 + u8::try_from(talk.random.below(5)).unwrap_or(0) {
        let mut spec = talk.peer().segment(Flags::SYN, 0);
        spec.options.clone_from(&options);
        spec.flow = if apart { flow % (FLOWS + 1) } else { spec.flow };
        talk.at(after, StepKind::Inject(spec));
        if talk.random.one_in(2) {
            talk.segment(Flags::RST, 0);
        }
    }
}

/// The user does not read until the stack's window is full; what comes then, and the reading piece by piece.
fn fill(talk: &mut Talk<'_>) {
    for len in [FULL; WINDOW / FULL as usize].into_iter().chain([REST]) {
        let spec = talk.peer().segment(ACK, len);
        talk.at(0, StepKind::Inject(spec));
    }
    for _ in 0..1 + talk.random.below(3) {
        match talk.random.below(5) {
            0 => reset(talk),
            1 => read(talk),
            2 => talk.changed(ACK, 1, |s| s.ecn = Codepoint::Ce),
            3 => exchange(talk),
            _ => phrase_within(talk),
        }
    }
}

/// The window that stacks without a scale advertise, octets, as so many segments and a rest.
const WINDOW: usize = 65_535;
const FULL: u16 = 2920;
const REST: u16 = (WINDOW % FULL as usize) as u16;

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
pub(super) fn timeout(talk: &mut Talk<'_>) {
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
        let len = if talk.random.one_in(2) { 0 } else { len };
        let mut spec = talk.peer().segment(ACK | Flags::URG, len);
        spec.urgent = talk.number(&LENGTHS);
        talk.hold(&mut spec);
        talk.send(spec);
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
            1 => {
                let ecn = talk.one(&[Codepoint::Ect0, Codepoint::Ce]).unwrap_or_default();
                talk.changed(ACK | Flags::CWR, len, |s| s.ecn = ecn);
            }
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
            if talk.random.one_in(4) {
                talk.call(VectorCall::Set(socket, SetOption::KeepAlive(None)));
            }
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

pub(super) fn option(talk: &mut Talk<'_>) -> SetOption {
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
            .one(&[
                SetOption::NoDelay(false),
                SetOption::Timestamps(on),
                SetOption::Sack(on),
                SetOption::WindowScale(on),
                SetOption::Mss(536),
            ])
            .unwrap_or(SetOption::NoDelay(on)),
    }
}

/// A call that the moment does not ask for.
pub(super) fn users(talk: &mut Talk<'_>) {
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
