//! One step in 16 octets.

use tcp_reference::api::{How, SetOption};
use tcp_reference::icmp::IcmpError;
use tcp_reference::ip::Codepoint;
use tcp_reference::segment::{Flags, TcpOption};

use super::pool::{Reader, Writer};
use super::{MAX_AFTER, MAX_TEXT, STEP, options};
use crate::model::{Base, CallStep, IcmpSpec, Num, OddAddress, Oddity, Payload, SegmentSpec, Step, StepKind, VectorCall};

pub(super) fn decode(o: [u8; STEP], pool: &mut Reader<'_>) -> Step {
    let after = match o[1] {
        255 => u64::from_le_bytes(pool.array()) % (MAX_AFTER + 1),
        code @ 0..128 => TIMES.get(usize::from(code)).copied().unwrap_or(0),
        code => TIMES.get(usize::from(code) % TIMES.len()).copied().unwrap_or(0),
    };
    let kind = match o[0] {
        code @ 0..EXACT_FLAGS => StepKind::Inject(segment(o, flags_of(code), pool)),
        EXACT_FLAGS..CALLS => {
            let flags = Flags(u16::from_le_bytes(pool.array()) & 0x1ff);
            StepKind::Inject(segment(o, flags, pool))
        }
        code @ CALLS..WAIT => StepKind::Call(CallStep { call: call(code - CALLS, o, pool), result: None }),
        ICMP => StepKind::Icmp(icmp(o, pool)),
        WAIT | BEYOND.. => StepKind::Wait,
    };
    Step { after, until: None, kind, line: 0 }
}

/// `None` for a step that no script has.
pub(super) fn encode(step: &Step, pool: &mut Writer) -> Option<[u8; STEP]> {
    let mut o = [0; STEP];
    if matches!(&step.kind, StepKind::Expect(_) | StepKind::AssertState(_) | StepKind::Call(CallStep { call: VectorCall::Ignored(_), .. }))
    {
        return None;
    }
    o[1] = match TIMES.iter().position(|t| *t == step.after) {
        Some(code) => u8::try_from(code).unwrap_or(0),
        None => {
            pool.write(&step.after.min(MAX_AFTER).to_le_bytes());
            255
        }
    };
    match &step.kind {
        StepKind::Inject(spec) => put_segment(spec, &mut o, pool),
        StepKind::Call(call) => put_call(&call.call, &mut o, pool),
        StepKind::Wait => o[0] = WAIT,
        StepKind::Icmp(spec) => put_icmp(spec, &mut o, pool),
        StepKind::Expect(_) | StepKind::AssertState(_) => return None,
    }
    Some(o)
}

/// First octets from here on: flags in the pool, calls, waiting, ICMP errors, waiting again.
const EXACT_FLAGS: u8 = 192;
const CALLS: u8 = 208;
const WAIT: u8 = 250;
const ICMP: u8 = 251;
const BEYOND: u8 = 252;

/// Times before a step, microseconds: from nothing over delayed ACKs and retransmission timers to 2MSL.
const TIMES: [u64; 32] = [
    0,
    1,
    100,
    1_000,
    10_000,
    20_000,
    40_000,
    50_000,
    100_000,
    150_000,
    200_000,
    250_000,
    300_000,
    400_000,
    500_000,
    600_000,
    700_000,
    1_000_000,
    1_200_000,
    1_500_000,
    2_000_000,
    3_000_000,
    4_000_000,
    6_000_000,
    7_000_000,
    10_000_000,
    15_000_000,
    30_000_000,
    61_000_000,
    90_000_000,
    121_000_000,
    250_000_000,
];

const S: u16 = Flags::SYN.0;
const F: u16 = Flags::FIN.0;
const R: u16 = Flags::RST.0;
const P: u16 = Flags::PSH.0;
const A: u16 = Flags::ACK.0;
const U: u16 = Flags::URG.0;
const E: u16 = Flags::ECE.0;
const W: u16 = Flags::CWR.0;

/// Flags that stand for themselves in a step's first octet, the usual ones first.
const USUAL: [u16; 32] = [
    A,
    A | P,
    A | F,
    S,
    S | A,
    R,
    R | A,
    A | P | F,
    F,
    0,
    P,
    A | U,
    A | P | U,
    S | F,
    S | R,
    S | F | A,
    R | F,
    R | F | A,
    R | S | A,
    U,
    S | P,
    S | A | P,
    S | E | W,
    S | A | E,
    A | E,
    A | W,
    A | E | W,
    U | F,
    S | F | R,
    S | U,
    F | S | R | P | A | U,
    P | U | F,
];

fn flags_of(code: u8) -> Flags {
    Flags(USUAL.get(usize::from(code) % USUAL.len()).copied().unwrap_or(A))
}

/// What SEG.SEQ counts from; zero is the common case.
const SEQ_BASES: [Base; 8] = [Base::PeerNxt, Base::RcvNxt, Base::RcvRight, Base::Irs, Base::Zero, Base::Iss, Base::SndUna, Base::SndNxt];

/// What SEG.ACK counts from.
const ACK_BASES: [Base; 8] = [Base::SndNxt, Base::SndUna, Base::Iss, Base::Zero, Base::RcvNxt, Base::RcvRight, Base::Irs, Base::PeerNxt];

const JOINED: u8 = 1 << 2;
const ACK_FIELD: u8 = 1 << 3;
const FAR_SEQ: u8 = 1 << 4;
const FAR_ACK: u8 = 1 << 5;
/// The codepoint of ECN stands in the bits from here on.
const ECN: u8 = 6;

/// The options that need no pool.
const MSS_1460: [TcpOption; 1] = [TcpOption::Mss(1460)];

fn segment(o: [u8; STEP], flags: Flags, pool: &mut Reader<'_>) -> SegmentSpec {
    let near = |at: usize| i32::from(i16::from_le_bytes([o[at], o[at + 1]]));
    let seq = Num {
        base: SEQ_BASES[usize::from(o[2] >> 3) % 8],
        offset: if o[3] & FAR_SEQ == 0 { near(4) } else { i32::from_le_bytes(pool.array()) },
    };
    let ack = Num {
        base: ACK_BASES[usize::from(o[3]) % 8],
        offset: if o[3] & FAR_ACK == 0 { near(6) } else { i32::from_le_bytes(pool.array()) },
    };
    let options = match o[2] >> 6 {
        0 => Vec::new(),
        1 => MSS_1460.to_vec(),
        _ => options::decode(pool),
    };
    SegmentSpec {
        flow: o[2] & 3,
        joined: o[2] & JOINED != 0,
        ecn: Codepoint::ALL[usize::from(o[3] >> ECN)],
        flags,
        seq,
        ack: Some(ack).filter(|_| flags.has(Flags::ACK) || o[3] & ACK_FIELD != 0),
        window: !u16::from_le_bytes([o[8], o[9]]),
        urgent: u16::from_le_bytes([o[10], o[11]]),
        options,
        payload: text(o, pool),
        oddity: oddity(o[14], o[15]),
    }
}

fn put_segment(spec: &SegmentSpec, o: &mut [u8; STEP], pool: &mut Writer) {
    o[0] = match USUAL.iter().position(|f| *f == spec.flags.0) {
        Some(code) => u8::try_from(code).unwrap_or(0),
        None => {
            pool.write(&(spec.flags.0 & 0x1ff).to_le_bytes());
            EXACT_FLAGS
        }
    };
    let index = |bases: [Base; 8], base: Base| bases.iter().position(|b| *b == base).and_then(|n| u8::try_from(n).ok()).unwrap_or(0);
    // A segment with ACK and no number has 0 in the field.
    let ack = spec.ack.or(Some(Num { base: Base::Zero, offset: 0 }).filter(|_| spec.flags.has(Flags::ACK)));
    o[2] = spec.flow & 3 | if spec.joined { JOINED } else { 0 } | index(SEQ_BASES, spec.seq.base) << 3;
    o[3] = (spec.ecn as u8) << ECN;
    let mut far = |offset: i32, at: usize, bit: u8, o: &mut [u8; STEP]| match i16::try_from(offset) {
        Ok(near) => o[at..at + 2].copy_from_slice(&near.to_le_bytes()),
        Err(_) => {
            o[3] |= bit;
            pool.write(&offset.to_le_bytes());
        }
    };
    far(spec.seq.offset, 4, FAR_SEQ, o);
    if let Some(ack) = ack {
        o[3] |= index(ACK_BASES, ack.base) | if spec.flags.has(Flags::ACK) { 0 } else { ACK_FIELD };
        far(ack.offset, 6, FAR_ACK, o);
    }
    if spec.options == MSS_1460 {
        o[2] |= 1 << 6;
    } else if !spec.options.is_empty() {
        o[2] |= 2 << 6;
        options::encode(&spec.options, pool);
    }
    o[8..10].copy_from_slice(&(!spec.window).to_le_bytes());
    o[10..12].copy_from_slice(&spec.urgent.to_le_bytes());
    put_text(&spec.payload, o, pool);
    (o[14], o[15]) = put_oddity(spec.oddity);
}

fn icmp(o: [u8; STEP], pool: &mut Reader<'_>) -> IcmpSpec {
    let far = o[3] & FAR_SEQ != 0;
    let offset = if far { i32::from_le_bytes(pool.array()) } else { i32::from(i16::from_le_bytes([o[4], o[5]])) };
    IcmpSpec {
        flow: o[2] & 3,
        error: IcmpError::ALL[usize::from(o[14]) % IcmpError::ALL.len()],
        seq: Num { base: ICMP_BASES[usize::from(o[2] >> 3) % 8], offset },
        len: (u16::from_le_bytes([o[12], o[13]]) & 0xfff).min(MAX_TEXT),
    }
}

fn put_icmp(spec: &IcmpSpec, o: &mut [u8; STEP], pool: &mut Writer) {
    let index = |at: Option<usize>| at.and_then(|n| u8::try_from(n).ok()).unwrap_or(0);
    o[0] = ICMP;
    o[2] = spec.flow & 3 | index(ICMP_BASES.iter().position(|b| *b == spec.seq.base)) << 3;
    match i16::try_from(spec.seq.offset) {
        Ok(near) => o[4..6].copy_from_slice(&near.to_le_bytes()),
        Err(_) => {
            o[3] = FAR_SEQ;
            pool.write(&spec.seq.offset.to_le_bytes());
        }
    }
    o[12..14].copy_from_slice(&spec.len.min(MAX_TEXT).to_le_bytes());
    o[14] = index(IcmpError::ALL.iter().position(|e| *e == spec.error));
}

/// What the number of a quoted segment counts from.
const ICMP_BASES: [Base; 8] = [Base::SndUna, Base::Iss, Base::SndNxt, Base::Zero, Base::RcvNxt, Base::RcvRight, Base::Irs, Base::PeerNxt];

fn text(o: [u8; STEP], pool: &mut Reader<'_>) -> Payload {
    let field = u16::from_le_bytes([o[12], o[13]]);
    let len = (field & 0xfff).min(MAX_TEXT);
    match field >> 12 & 3 {
        0 | 3 => Payload::Pattern(len),
        1 => Payload::Other(len),
        _ => Payload::Text(pool.octets(usize::from(len))),
    }
}

fn put_text(payload: &Payload, o: &mut [u8; STEP], pool: &mut Writer) {
    let len = payload.len().min(usize::from(MAX_TEXT));
    let kind = match payload {
        Payload::Pattern(_) => 0,
        Payload::Other(_) => 1,
        Payload::Text(octets) => {
            pool.write(octets.get(..len).unwrap_or(octets));
            2
        }
    };
    o[12..14].copy_from_slice(&(u16::try_from(len).unwrap_or(MAX_TEXT) | kind << 12).to_le_bytes());
}

/// Every second value of the octet is an ordinary segment, since odd ones rarely get far.
fn oddity(kind: u8, value: u8) -> Option<Oddity> {
    let address = match value % 3 {
        0 => OddAddress::Broadcast,
        1 => OddAddress::Multicast,
        _ => OddAddress::Unspecified,
    };
    Some(match kind % 16 {
        1 => Oddity::BadChecksum,
        3 => Oddity::DataOffset(value % 16),
        5 => Oddity::Truncated(value % 61),
        7 => Oddity::Reserved(value % 8),
        9 => Oddity::Fragment,
        11 => Oddity::From(address),
        13 if address == OddAddress::Unspecified => Oddity::To(OddAddress::Broadcast),
        13 => Oddity::To(address),
        15 => Oddity::IpOption,
        _ => return None,
    })
}

fn put_oddity(oddity: Option<Oddity>) -> (u8, u8) {
    let code = |address| match address {
        OddAddress::Broadcast => 0,
        OddAddress::Multicast => 1,
        OddAddress::Unspecified => 2,
    };
    match oddity {
        None => (0, 0),
        Some(Oddity::BadChecksum) => (1, 0),
        Some(Oddity::DataOffset(n)) => (3, n),
        Some(Oddity::Truncated(n)) => (5, n),
        Some(Oddity::Reserved(n)) => (7, n),
        Some(Oddity::Fragment) => (9, 0),
        Some(Oddity::IpOption) => (15, 0),
        Some(Oddity::From(a)) => (11, code(a)),
        Some(Oddity::To(a)) => (13, code(a)),
    }
}

fn call(code: u8, o: [u8; STEP], pool: &mut Reader<'_>) -> VectorCall {
    let socket = o[2].wrapping_add(FIRST_SOCKET);
    let number = u64::from_le_bytes([o[4], o[5], o[6], o[7], o[8], o[9], o[10], o[11]]);
    let data = |pool: &mut Reader<'_>| match text(o, pool) {
        // The application has no second pattern: what it writes is the stream.
        Payload::Other(n) => Payload::Pattern(n),
        payload @ (Payload::Pattern(_) | Payload::Text(_)) => payload,
    };
    match code % 12 {
        0 => VectorCall::Socket,
        1 => VectorCall::Bind(socket),
        2 => VectorCall::Listen(socket, u16::from_le_bytes([o[4], o[5]])),
        3 => VectorCall::Accept(socket),
        4 => VectorCall::Connect(socket),
        5 => VectorCall::Write(socket, data(pool)),
        6 => VectorCall::SendUrgent(socket, data(pool)),
        7 => VectorCall::Read(socket, u32::from_le_bytes([o[4], o[5], o[6], o[7]])),
        8 => match o[3] % 3 {
            0 => VectorCall::Shutdown(socket, How::Write),
            1 => VectorCall::Shutdown(socket, How::Read),
            _ => VectorCall::Shutdown(socket, How::Both),
        },
        9 => VectorCall::Close(socket),
        10 => VectorCall::LingerZero(socket),
        _ => VectorCall::Set(socket, set(o[3], number)),
    }
}

/// The name that zero stands for: packetdrill's first free file descriptor.
const FIRST_SOCKET: u8 = 3;

fn put_call(call: &VectorCall, o: &mut [u8; STEP], pool: &mut Writer) {
    let (code, socket) = match call {
        VectorCall::Socket => (0, FIRST_SOCKET),
        VectorCall::Bind(s) => (1, *s),
        VectorCall::Listen(s, backlog) => {
            o[4..6].copy_from_slice(&backlog.to_le_bytes());
            (2, *s)
        }
        VectorCall::Accept(s) => (3, *s),
        VectorCall::Connect(s) => (4, *s),
        VectorCall::Write(s, data) => {
            put_text(data, o, pool);
            (5, *s)
        }
        VectorCall::SendUrgent(s, data) => {
            put_text(data, o, pool);
            (6, *s)
        }
        VectorCall::Read(s, max) => {
            o[4..8].copy_from_slice(&max.to_le_bytes());
            (7, *s)
        }
        VectorCall::Shutdown(s, how) => {
            o[3] = match how {
                How::Write => 0,
                How::Read => 1,
                How::Both => 2,
            };
            (8, *s)
        }
        VectorCall::Close(s) => (9, *s),
        VectorCall::LingerZero(s) => (10, *s),
        VectorCall::Set(s, option) => {
            let (which, number) = put_set(*option);
            o[3] = which;
            o[4..12].copy_from_slice(&number.to_le_bytes());
            (11, *s)
        }
        VectorCall::Ignored(_) => (0, FIRST_SOCKET),
    };
    o[0] = CALLS + code;
    o[2] = socket.wrapping_sub(FIRST_SOCKET);
}

/// Bit 7 of `which` switches an interval off.
fn set(which: u8, number: u64) -> SetOption {
    let interval = Some(number).filter(|_| which & OFF == 0);
    let octet = number.to_le_bytes()[0];
    match which & !OFF {
        DSCP => return SetOption::Dscp(octet & 63),
        HOP_LIMIT => return SetOption::HopLimit(octet),
        _ => {}
    }
    match (which & !OFF) % 8 {
        0 => SetOption::NoDelay(number & 1 != 0),
        1 => SetOption::AckDelay(interval),
        2 => SetOption::KeepAlive(interval),
        3 => SetOption::Timeout(interval),
        4 => SetOption::Timestamps(number & 1 != 0),
        5 => SetOption::Sack(number & 1 != 0),
        6 => SetOption::WindowScale(number & 1 != 0),
        _ => SetOption::Mss(u16::try_from(number & 0xffff).unwrap_or(0)),
    }
}

const OFF: u8 = 1 << 7;
/// Beyond the options that eight values tell apart.
const DSCP: u8 = 8;
const HOP_LIMIT: u8 = 9;

fn put_set(option: SetOption) -> (u8, u64) {
    let interval = |which: u8, us: Option<u64>| match us {
        Some(us) => (which, us),
        None => (which | OFF, 0),
    };
    match option {
        SetOption::NoDelay(on) => (0, u64::from(on)),
        SetOption::AckDelay(us) => interval(1, us),
        SetOption::KeepAlive(us) => interval(2, us),
        SetOption::Timeout(us) => interval(3, us),
        SetOption::Timestamps(on) => (4, u64::from(on)),
        SetOption::Sack(on) => (5, u64::from(on)),
        SetOption::WindowScale(on) => (6, u64::from(on)),
        SetOption::Mss(mss) => (7, u64::from(mss)),
        SetOption::Dscp(dscp) => (DSCP, u64::from(dscp & 63)),
        SetOption::HopLimit(ttl) => (HOP_LIMIT, u64::from(ttl)),
    }
}
