//! Phrases that no well-behaved peer says.

use tcp_reference::segment::{Flags, TcpOption};
use tcp_vectors::model::{Base, Num, StepKind};

use super::phrases::text;
use super::tables::{ACK_BASES, FLAGS, FLOWS, LENGTHS, ODDITIES, SEQ_BASES, SHORT, WINDOWS};
use super::{ACK, Talk, syn_options};

/// A segment whose flags and numbers may be anything.
pub(super) fn odd_segment(talk: &mut Talk<'_>) {
    let flags =
        if talk.random.one_in(8) { Flags(u16::try_from(talk.random.below(64)).unwrap_or(0)) } else { talk.one(&FLAGS).unwrap_or_default() };
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
pub(super) fn reset(talk: &mut Talk<'_>) {
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
pub(super) fn syn(talk: &mut Talk<'_>) {
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

/// A datagram with something odd about it: a fragment, a header cut short, a wrong checksum, an address that is not a host's.
pub(super) fn odd_datagram(talk: &mut Talk<'_>) {
    let oddity = talk.one(&ODDITIES);
    let flags = talk.one(&FLAGS).unwrap_or_default();
    let len = talk.number(&LENGTHS);
    talk.changed(flags, len, |s| s.oddity = oddity);
}

/// Segments whose timestamps are old, equal, far ahead or missing.
pub(super) fn stamps(talk: &mut Talk<'_>) {
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

/// What a peer asks that wants to know whether the other side lives: a segment from just before the window.
pub(super) fn probe(talk: &mut Talk<'_>) {
    let back = talk.one(&[-1, -1, -2, -10, 65_535]).unwrap_or(-1);
    for _ in 0..1 + talk.random.below(3) {
        talk.changed(ACK, 0, |s| s.seq.offset = back);
    }
}

/// The network doubles the peer's last segment.
pub(super) fn repeat(talk: &mut Talk<'_>) {
    let after = talk.pause();
    let last = talk.steps.iter().rev().find(|s| matches!(s.kind, StepKind::Inject(_))).map(|s| s.kind.clone());
    let Some(StepKind::Inject(mut spec)) = last else { return };
    if spec.seq == (Num { base: Base::PeerNxt, offset: 0 }) {
        // It is behind what it brought by now.
        let len = spec.payload.len() + usize::from(spec.flags.has(Flags::SYN)) + usize::from(spec.flags.has(Flags::FIN));
        spec.seq.offset = -i32::try_from(len).unwrap_or(0);
    }
    let after = after.min(SHORT[1]);
    for _ in 0..talk.one(&[1, 1, 1, 2, 12, 48]).unwrap_or(1) {
        talk.at(after, StepKind::Inject(spec.clone()));
    }
}
