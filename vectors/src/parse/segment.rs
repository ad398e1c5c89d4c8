//! The `<` and `>` lines.

use tcp_reference::icmp::IcmpError;
use tcp_reference::ip::Codepoint;
use tcp_reference::segment::{FLAG_LETTERS, Flags, TcpOption};
use tcp_reference::seq::Seq;

use super::token::{
    In, Parsed, advance, byte, eat, here, hex, long, num, number, rest, run, short, since, skip, string, unexpected, want, word,
};
use crate::model::{Base, ExpectSpec, IcmpSpec, Num, OddAddress, Oddity, Payload, SegmentSpec, StepKind};

/// What follows `<`.
pub(super) fn inject(i: &mut In<'_>) -> Parsed<StepKind> {
    let flow = flow(i)?;
    skip(i);
    if rest(i).starts_with("icmp") {
        return icmp(i, flow).map(StepKind::Icmp);
    }
    segment(i, flow).map(StepKind::Inject)
}

/// `icmp unreachable port_unreachable [1:101(100)]`.
fn icmp(i: &mut In<'_>, flow: u8) -> Parsed<IcmpSpec> {
    let from = here(i);
    eat(i, "icmp");
    let kind = word(i);
    let code = word(i);
    let Some(&(error, ..)) = ICMP_ERRORS.iter().find(|(_, k, c)| *k == kind && *c == code) else {
        let known: Vec<String> = ICMP_ERRORS.iter().map(|(_, kind, code)| format!("{kind} {code}").trim_end().to_owned()).collect();
        return Err(since(i, from, "no ICMP error of the language", format!("the errors are {}", known.join(", "))));
    };
    want(i, "[", ICMP_HELP)?;
    let at = here(i);
    let Span { seq: Some(seq), len: Some(len) } = span(i, Base::Iss)? else {
        return Err(since(i, at, "the quoted segment has a number and a length", ICMP_HELP));
    };
    want(i, "]", ICMP_HELP)?;
    Ok(IcmpSpec { flow, error, seq, len })
}

const ICMP_HELP: &str = "an ICMP error quotes a segment of the stack: `icmp unreachable port_unreachable [1:101(100)]`";

/// The ICMP errors as packetdrill names them for IPv4: type and code; without a code it is 0.
pub(crate) const ICMP_ERRORS: [(IcmpError, &str, &str); 9] = [
    (IcmpError::NetUnreachable, "unreachable", "net_unreachable"),
    (IcmpError::HostUnreachable, "unreachable", "host_unreachable"),
    (IcmpError::ProtocolUnreachable, "unreachable", "protocol_unreachable"),
    (IcmpError::PortUnreachable, "unreachable", "port_unreachable"),
    (IcmpError::SourceRouteFailed, "unreachable", "source_route_failed"),
    (IcmpError::SourceQuench, "source_quench", ""),
    (IcmpError::HopLimitExceeded, "time_exceeded", ""),
    (IcmpError::ReassemblyTimeExceeded, "time_exceeded", "code_1"),
    (IcmpError::ParameterProblem, "parameter_problem", ""),
];

fn segment(i: &mut In<'_>, flow: u8) -> Parsed<SegmentSpec> {
    let ecn = codepoint(i)?.unwrap_or_default();
    let flags = flags(i)?;
    let at = here(i);
    let Span { seq, len } = span(i, Base::Irs)?;
    let (Some(seq), Some(len)) = (seq, len) else {
        return Err(since(i, at, "a segment to the stack says its number and length", SPAN_HELP));
    };
    let ack = ack(i, flags, Base::Iss)?;
    if ack.is_none() && flags.has(Flags::ACK) {
        return Err(unexpected(i, "`.` without an acknowledgment number", "a segment with ACK says `ack 1` or `ack {snd_nxt}`"));
    }
    want(i, "win", "a segment to the stack says its window: `win 65535`")?;
    let window = short(i, "the window")?;
    let urgent = if eat(i, "urg") { short(i, "the urgent pointer")? } else { 0 };
    let options = options(i)?.unwrap_or_default();
    let (joined, payload, oddity) = (false, Payload::Pattern(len), None);
    let mut spec = SegmentSpec { flow, joined, ecn, flags, seq, ack, window, urgent, options, payload, oddity };
    while eat(i, "[") {
        bracket(i, &mut spec, len)?;
        want(i, "]", "an extension ends with `]`")?;
    }
    Ok(spec)
}

/// What follows `>`.
pub(super) fn expect(i: &mut In<'_>) -> Parsed<ExpectSpec> {
    let flow = flow(i)?;
    let ecn = codepoint(i)?;
    let flags = flags(i)?;
    let Span { seq, len } = span(i, Base::Iss)?;
    let ack = ack(i, flags, Base::Irs)?;
    let window = if eat(i, "win") { Some(short(i, "the window")?) } else { None };
    let options = options(i)?;
    Ok(ExpectSpec { flow, ecn, flags, seq, len, ack, window, options })
}

fn flow(i: &mut In<'_>) -> Parsed<u8> {
    if rest(i).starts_with('#') {
        advance(i, 1);
        let flow = byte(i, "the flow", 255)?;
        return Ok(flow);
    }
    skip(i);
    Ok(0)
}

/// packetdrill's `[ce]` before the flags.
fn codepoint(i: &mut In<'_>) -> Parsed<Option<Codepoint>> {
    if !eat(i, "[") {
        return Ok(None);
    }
    let from = here(i);
    let name = word(i);
    let Some(codepoint) = Codepoint::ALL.into_iter().find(|c| c.name() == name) else {
        let known = Codepoint::ALL.map(|c| format!("[{}]", c.name()));
        return Err(since(i, from, "expected a codepoint of ECN", format!("before the flags stands one of {}", known.join(" "))));
    };
    want(i, "]", "a codepoint is written `[ce]`")?;
    Ok(Some(codepoint))
}

fn flags(i: &mut In<'_>) -> Parsed<Flags> {
    const HELP: &str = "flags are letters of `S F R P . U E W A` (`.` is ACK), or `-` for none";
    let from = here(i);
    let letters = run(i, |c| !c.is_whitespace());
    if letters.is_empty() {
        return Err(unexpected(i, "expected flags", HELP));
    }
    let mut flags = Flags::NONE;
    for letter in letters.chars().filter(|_| letters != "-") {
        match FLAG_LETTERS.into_iter().find(|(_, l)| *l == letter) {
            Some((flag, _)) if !flags.has(flag) => flags |= flag,
            Some(_) => return Err(since(i, from, format!("`{letter}` stands twice"), HELP)),
            None => return Err(since(i, from, format!("`{letter}` is no flag"), HELP)),
        }
    }
    skip(i);
    Ok(flags)
}

/// SEG.SEQ and the octets of text; `None` is free.
struct Span {
    seq: Option<Num>,
    len: Option<u16>,
}

const SPAN_HELP: &str = "number and length are written `1:101(100)`, `1(100)` or `{rcv_nxt}(100)`";

fn span(i: &mut In<'_>, plain: Base) -> Parsed<Span> {
    if eat(i, "*") {
        return Ok(Span { seq: None, len: length(i)? });
    }
    let from = here(i);
    let seq = num(i, plain, "the sequence number")?;
    if !eat(i, ":") {
        return Ok(Span { seq: Some(seq), len: length(i)? });
    }
    let end = num(i, plain, "the number after the last")?;
    let Some(len) = length(i)? else {
        return Err(unexpected(i, "expected the length in parentheses", SPAN_HELP));
    };
    if end.base != seq.base || end.offset.wrapping_sub(seq.offset) != i32::from(len) {
        return Err(since(i, from, "the numbers and the length do not agree", "after `:` stands the number plus the length"));
    }
    Ok(Span { seq: Some(seq), len: Some(len) })
}

fn length(i: &mut In<'_>) -> Parsed<Option<u16>> {
    if !eat(i, "(") {
        return Ok(None);
    }
    let len = if eat(i, "*") { None } else { Some(short(i, "the length")?) };
    want(i, ")", SPAN_HELP)?;
    Ok(len)
}

fn ack(i: &mut In<'_>, _flags: Flags, plain: Base) -> Parsed<Option<Num>> {
    if !eat(i, "ack") {
        return Ok(None);
    }
    if eat(i, "*") {
        return Ok(None);
    }
    num(i, plain, "the acknowledgment number").map(Some)
}

/// `<mss 1460,nop,wscale 7>`; `None` for `<...>` and for no list.
fn options(i: &mut In<'_>) -> Parsed<Option<Vec<TcpOption>>> {
    if !eat(i, "<") {
        return Ok(None);
    }
    if eat(i, "...") {
        want(i, ">", "`<...>` stands for any options")?;
        return Ok(None);
    }
    let mut options = Vec::new();
    if eat(i, ">") {
        return Ok(Some(options));
    }
    let from = here(i);
    loop {
        options.push(option(i)?);
        if eat(i, ">") {
            break;
        }
        want(i, ",", "options are separated by `,` and end with `>`")?;
    }
    let octets: usize = options.iter().map(TcpOption::octets).sum();
    if octets > 40 {
        return Err(since(i, from, format!("{octets} octets of options"), "a header has room for 40 octets of options"));
    }
    Ok(Some(options))
}

fn option(i: &mut In<'_>) -> Parsed<TcpOption> {
    let from = here(i);
    let name = word(i);
    Ok(match name {
        "mss" => TcpOption::Mss(short(i, "the MSS")?),
        "wscale" => TcpOption::WindowScale(byte(i, "the shift count", 255)?),
        "sackOK" => TcpOption::SackPermitted,
        "nop" => TcpOption::Nop,
        "eol" => TcpOption::Eol,
        "TS" => {
            want(i, "val", "timestamps are written `TS val 100 ecr 0`")?;
            let val = long(i, "TSval")?;
            want(i, "ecr", "timestamps are written `TS val 100 ecr 0`")?;
            TcpOption::Timestamps { val, ecr: long(i, "TSecr")? }
        }
        "sack" => {
            let mut blocks = Vec::new();
            while rest(i).starts_with(|c: char| c.is_ascii_digit()) {
                let left = Seq(long(i, "the left edge")?);
                want(i, ":", "SACK blocks are written `sack 1:101 201:301`")?;
                blocks.push((left, Seq(long(i, "the right edge")?)));
            }
            TcpOption::Sack(blocks)
        }
        "opt" => {
            let at = here(i);
            let kind = byte(i, "the option's kind", 255)?;
            if kind < 2 {
                return Err(since(i, at, "kinds 0 and 1 have no length", "write `eol` or `nop`"));
            }
            TcpOption::Other { kind, data: hex(i)? }
        }
        "raw" => {
            let octets = hex(i)?;
            if octets.is_empty() {
                return Err(unexpected(i, "expected octets", "`raw` is followed by octets in hexadecimal, as in `raw 0205`"));
            }
            TcpOption::IllFormed(octets)
        }
        _ => {
            const HELP: &str = "the options are mss, wscale, sackOK, sack, TS, nop, eol, opt and raw; `<...>` stands for any";
            return Err(if name.is_empty() {
                unexpected(i, "expected an option", HELP)
            } else {
                since(i, from, format!("unknown option `{name}`"), HELP)
            });
        }
    })
}

fn bracket(i: &mut In<'_>, spec: &mut SegmentSpec, len: u16) -> Parsed<()> {
    const HELP: &str = "the extensions are [joined] [text \"…\"] [other] [bad-checksum] [data-offset N] [truncated N] [reserved N] \
                        [fragment] [ip-option] [from …] [to …]";
    let from = here(i);
    let name = word(i);
    let oddity = match name {
        "joined" => {
            spec.joined = true;
            return Ok(());
        }
        "other" => {
            spec.payload = Payload::Other(len);
            return Ok(());
        }
        "text" => {
            let text = string(i)?;
            if text.len() != usize::from(len) {
                let message = format!("the text has {} octets, the segment {len}", text.len());
                return Err(since(i, from, message, "the length in parentheses counts the text's octets"));
            }
            spec.payload = Payload::Text(text);
            return Ok(());
        }
        "bad-checksum" => Oddity::BadChecksum,
        "data-offset" => Oddity::DataOffset(byte(i, "the data offset", 15)?),
        "truncated" => Oddity::Truncated(byte(i, "the octets that arrive", 60)?),
        "reserved" => Oddity::Reserved(byte(i, "the reserved bits", 7)?),
        "fragment" => Oddity::Fragment,
        "ip-option" => Oddity::IpOption,
        "from" => Oddity::From(address(i, &ODD_SOURCES)?),
        "to" => Oddity::To(address(i, &ODD_SOURCES[..2])?),
        _ => {
            return Err(if name.is_empty() {
                unexpected(i, "expected an extension", HELP)
            } else {
                since(i, from, format!("unknown extension `{name}`"), HELP)
            });
        }
    };
    if spec.oddity.is_some() {
        return Err(since(i, from, "a segment is odd in one way only", "two oddities in one segment do not say which one mattered"));
    }
    spec.oddity = Some(oddity);
    Ok(())
}

/// The addresses that `[from …]` takes; all but the last go with `[to …]` too.
pub(crate) const ODD_SOURCES: [(OddAddress, &str); 3] =
    [(OddAddress::Broadcast, "broadcast"), (OddAddress::Multicast, "multicast"), (OddAddress::Unspecified, "unspecified")];

fn address(i: &mut In<'_>, known: &[(OddAddress, &str)]) -> Parsed<OddAddress> {
    let from = here(i);
    let name = word(i);
    let names: Vec<&str> = known.iter().map(|(_, n)| *n).collect();
    match known.iter().find(|(_, n)| *n == name) {
        Some((address, _)) => Ok(*address),
        None => Err(since(i, from, "expected an address", format!("the addresses are {}", names.join(", ")))),
    }
}

/// Takes `[flags]`-free numbers in square brackets, as the value of `setsockopt`.
pub(super) fn bracketed_number(i: &mut In<'_>) -> Parsed<u64> {
    want(i, "[", "an option's value is written `[1]`")?;
    let n = number(i, "the value", u64::from(u32::MAX))?;
    want(i, "]", "an option's value is written `[1]`")?;
    Ok(n)
}
