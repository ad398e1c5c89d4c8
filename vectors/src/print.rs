//! A [`Vector`] as text. What is printed parses to the same vector, but for the lines that its steps stand on.

use std::fmt::{self, Write};

use tcp_reference::api::{CallError, How, Micros, SetOption};
use tcp_reference::icmp::IcmpError;
use tcp_reference::ip::Codepoint;
use tcp_reference::segment::{Flags, TcpOption};

use crate::model::{
    Base, CallStep, ExpectSpec, Header, IcmpSpec, Num, Oddity, Payload, Returned, Script, SegmentSpec, Step, StepKind, Vector, VectorCall,
};
use crate::parse::{BASES, ERRORS, ESCAPES, ICMP_ERRORS, KEYS, ODD_SOURCES, STATES};

/// A vector as text.
#[must_use]
pub fn vector(vector: &Vector) -> String {
    text(&vector.header, &vector.steps)
}

/// A script as text: a vector without assertions. Its calls have no results, so `socket` and `accept` give names in order, from 3.
#[must_use]
pub fn script(script: &Script, header: &Header) -> String {
    text(header, &script.steps)
}

/// One step as it stands on its line, with its time.
#[must_use]
pub fn step(step: &Step) -> String {
    let mut out = String::new();
    let _ = write_step(&mut out, step, false);
    out
}

/// One segment to the stack as it stands after `<`.
#[must_use]
pub fn segment(spec: &SegmentSpec) -> String {
    let mut out = String::new();
    let _ = write_inject(&mut out, spec);
    out
}

fn text(header: &Header, steps: &[Step]) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write_header(&mut out, header);
    if !out.is_empty() {
        out.push('\n');
    }
    for (n, step) in steps.iter().enumerate() {
        let _ = write_step(&mut out, step, n == 0);
        out.push('\n');
    }
    out
}

fn write_header(out: &mut String, header: &Header) -> fmt::Result {
    let families: Vec<String> = header.families.iter().map(ToString::to_string).collect();
    for key in KEYS {
        match key {
            "title" => write_key(out, key, &header.title)?,
            "rules" => write_words(out, key, &header.rules)?,
            "level" => write_key(out, key, &header.level)?,
            "source" => write_key(out, key, &header.source)?,
            "tc8" => write_words(out, key, &header.tc8)?,
            "needs" => write_words(out, key, &header.needs)?,
            "family" => write_words(out, key, &families)?,
            _ => write_key(out, key, &header.family_why)?,
        }
    }
    Ok(())
}

fn write_key(out: &mut String, key: &str, value: &str) -> fmt::Result {
    if value.is_empty() { Ok(()) } else { writeln!(out, "//@ {key}: {value}") }
}

/// Words in as many lines as they need.
fn write_words(out: &mut String, key: &str, words: &[String]) -> fmt::Result {
    let mut column = 0;
    for word in words {
        if column > 0 && column + word.len() > 120 {
            out.push('\n');
            column = 0;
        }
        if column == 0 {
            write!(out, "//@ {key}:")?;
            column = 5 + key.len();
        }
        write!(out, " {word}")?;
        column += 1 + word.len();
    }
    if column > 0 { writeln!(out) } else { Ok(()) }
}

fn write_step(out: &mut String, step: &Step, first: bool) -> fmt::Result {
    if first && step.after == 0 && step.until.is_none() {
        out.push_str("0 ");
    } else {
        write!(out, "+{}", Seconds(step.after))?;
        if let Some(until) = step.until {
            write!(out, "~+{}", Seconds(until))?;
        }
        out.push(' ');
    }
    match &step.kind {
        StepKind::Inject(spec) => {
            out.push('<');
            write_inject(out, spec)
        }
        StepKind::Icmp(spec) => {
            out.push('<');
            write_icmp(out, spec)
        }
        StepKind::Expect(spec) => {
            out.push('>');
            write_expect(out, spec)
        }
        StepKind::Call(call) => write_call(out, call),
        StepKind::AssertState(state) => {
            let name = STATES.iter().find(|(_, s)| s == state).map_or("TCP_CLOSE", |(n, _)| n);
            write!(out, "%{{ assert tcpi_state == {name} }}%")
        }
        StepKind::Wait => out.write_str("wait"),
    }
}

fn write_icmp(out: &mut String, spec: &IcmpSpec) -> fmt::Result {
    write_flow(out, spec.flow)?;
    write!(out, " icmp {} [", icmp_error(spec.error))?;
    write_span(out, spec.seq, Base::Iss, spec.len)?;
    out.write_char(']')
}

/// An ICMP error's type and code by their names.
#[must_use]
pub fn icmp_error(error: IcmpError) -> String {
    let name = ICMP_ERRORS.iter().find(|(e, ..)| *e == error);
    name.map_or_else(String::new, |(_, kind, code)| format!("{kind} {code}").trim_end().to_owned())
}

fn write_inject(out: &mut String, spec: &SegmentSpec) -> fmt::Result {
    write_flow(out, spec.flow)?;
    write_codepoint(out, Some(spec.ecn).filter(|c| *c != Codepoint::NotEct))?;
    write!(out, " {} ", spec.flags)?;
    write_span(out, spec.seq, Base::Irs, u16::try_from(spec.payload.len()).unwrap_or(u16::MAX))?;
    match spec.ack {
        Some(ack) => write!(out, " ack {}", Number(ack, Base::Iss))?,
        // The language has no segment with ACK and without a number, for then the field is 0.
        None if spec.flags.has(Flags::ACK) => out.push_str(" ack {zero}"),
        None => {}
    }
    write!(out, " win {}", spec.window)?;
    if spec.urgent != 0 {
        write!(out, " urg {}", spec.urgent)?;
    }
    if !spec.options.is_empty() {
        write_options(out, &spec.options)?;
    }
    match &spec.payload {
        Payload::Pattern(_) => {}
        Payload::Other(_) => out.push_str(" [other]"),
        Payload::Text(octets) => write!(out, " [text {}]", Quoted(octets))?,
    }
    if spec.joined {
        out.push_str(" [joined]");
    }
    let address = |a| ODD_SOURCES.iter().find(|(b, _)| *b == a).map_or("unspecified", |(_, n)| n);
    match spec.oddity {
        None => Ok(()),
        Some(Oddity::BadChecksum) => out.write_str(" [bad-checksum]"),
        Some(Oddity::DataOffset(n)) => write!(out, " [data-offset {n}]"),
        Some(Oddity::Truncated(n)) => write!(out, " [truncated {n}]"),
        Some(Oddity::Reserved(n)) => write!(out, " [reserved {n}]"),
        Some(Oddity::Fragment) => out.write_str(" [fragment]"),
        Some(Oddity::IpOption) => out.write_str(" [ip-option]"),
        Some(Oddity::From(a)) => write!(out, " [from {}]", address(a)),
        Some(Oddity::To(a)) => write!(out, " [to {}]", address(a)),
    }
}

fn write_expect(out: &mut String, spec: &ExpectSpec) -> fmt::Result {
    write_flow(out, spec.flow)?;
    write_codepoint(out, spec.ecn)?;
    write!(out, " {} ", spec.flags)?;
    match (spec.seq, spec.len) {
        (Some(seq), Some(len)) => write_span(out, seq, Base::Iss, len)?,
        (Some(seq), None) => write!(out, "{}(*)", Number(seq, Base::Iss))?,
        (None, Some(len)) => write!(out, "*({len})")?,
        (None, None) => out.push('*'),
    }
    if let Some(ack) = spec.ack {
        write!(out, " ack {}", Number(ack, Base::Irs))?;
    }
    if let Some(window) = spec.window {
        write!(out, " win {window}")?;
    }
    match &spec.options {
        Some(options) => write_options(out, options),
        None => out.write_str(" <...>"),
    }
}

fn write_flow(out: &mut String, flow: u8) -> fmt::Result {
    if flow == 0 { Ok(()) } else { write!(out, "#{flow}") }
}

fn write_codepoint(out: &mut String, codepoint: Option<Codepoint>) -> fmt::Result {
    codepoint.map_or(Ok(()), |c| write!(out, " [{}]", c.name()))
}

/// Plain numbers with packetdrill's end; expressions without.
fn write_span(out: &mut String, seq: Num, plain: Base, len: u16) -> fmt::Result {
    let end = seq.offset.checked_add(i32::from(len)).filter(|_| seq.base == plain && seq.offset >= 0);
    match end {
        Some(end) => write!(out, "{}:{end}({len})", seq.offset),
        None => write!(out, "{}({len})", Number(seq, plain)),
    }
}

fn write_options(out: &mut String, options: &[TcpOption]) -> fmt::Result {
    out.push_str(" <");
    for (n, option) in options.iter().enumerate() {
        if n > 0 {
            out.push(',');
        }
        match option {
            TcpOption::Eol => out.push_str("eol"),
            TcpOption::Nop => out.push_str("nop"),
            TcpOption::Mss(mss) => write!(out, "mss {mss}")?,
            TcpOption::WindowScale(shift) => write!(out, "wscale {shift}")?,
            TcpOption::SackPermitted => out.push_str("sackOK"),
            TcpOption::Sack(blocks) => {
                out.push_str("sack");
                for (left, right) in blocks {
                    write!(out, " {left}:{right}")?;
                }
            }
            TcpOption::Timestamps { val, ecr } => write!(out, "TS val {val} ecr {ecr}")?,
            TcpOption::Other { kind, data } => {
                write!(out, "opt {kind}")?;
                if !data.is_empty() {
                    write!(out, " {}", Hex(data))?;
                }
            }
            TcpOption::IllFormed(octets) => write!(out, "raw {}", Hex(octets))?,
        }
    }
    out.write_char('>')
}

fn write_call(out: &mut String, step: &CallStep) -> fmt::Result {
    match &step.call {
        VectorCall::Socket => out.push_str("socket(..., SOCK_STREAM, IPPROTO_TCP)"),
        VectorCall::Bind(s) => write!(out, "bind({s}, ..., ...)")?,
        VectorCall::Listen(s, backlog) => write!(out, "listen({s}, {backlog})")?,
        VectorCall::Accept(s) => write!(out, "accept({s}, ..., ...)")?,
        VectorCall::Connect(s) => write!(out, "connect({s}, ..., ...)")?,
        VectorCall::Write(s, data) => write!(out, "write({s}, {})", Data(data))?,
        VectorCall::SendUrgent(s, data) => write!(out, "send({s}, {}, MSG_OOB)", Data(data))?,
        VectorCall::Read(s, max) => write!(out, "read({s}, ..., {max})")?,
        VectorCall::Shutdown(s, how) => {
            let how = match how {
                How::Read => "SHUT_RD",
                How::Write => "SHUT_WR",
                How::Both => "SHUT_RDWR",
            };
            write!(out, "shutdown({s}, {how})")?;
        }
        VectorCall::Close(s) => write!(out, "close({s})")?,
        VectorCall::LingerZero(s) => write!(out, "setsockopt({s}, SOL_SOCKET, SO_LINGER, {{onoff=1, linger=0}}, 8)")?,
        VectorCall::Set(s, option) => write_set(out, *s, *option)?,
        VectorCall::Ignored(text) => out.push_str(text),
    }
    match &step.result {
        None if matches!(step.call, VectorCall::Connect(_)) => out.write_str(" = -1 EINPROGRESS (Operation now in progress)"),
        None => Ok(()),
        Some(Returned::Value(n)) => write!(out, " = {n}"),
        Some(Returned::Error(CallError::Other(name))) => write!(out, " = -1 {name}"),
        Some(Returned::Error(error)) => match ERRORS.iter().find(|(_, e, _)| e == error) {
            Some((name, _, text)) => write!(out, " = -1 {name} ({text})"),
            None => Ok(()),
        },
    }
}

fn write_set(out: &mut String, socket: u8, option: SetOption) -> fmt::Result {
    let switch = |on: bool| if on { "on" } else { "off" };
    match option {
        SetOption::NoDelay(on) => write!(out, "setsockopt({socket}, SOL_TCP, TCP_NODELAY, [{}], 4)", u8::from(on)),
        SetOption::Mss(mss) => write!(out, "setsockopt({socket}, SOL_TCP, TCP_MAXSEG, [{mss}], 4)"),
        SetOption::Timestamps(on) => write!(out, "set({socket}, timestamps, {})", switch(on)),
        SetOption::Sack(on) => write!(out, "set({socket}, sack, {})", switch(on)),
        SetOption::WindowScale(on) => write!(out, "set({socket}, window_scale, {})", switch(on)),
        SetOption::AckDelay(interval) => write!(out, "set({socket}, ack_delay, {})", Interval(interval)),
        SetOption::KeepAlive(interval) => write!(out, "set({socket}, keepalive, {})", Interval(interval)),
        SetOption::Dscp(dscp) => write!(out, "set({socket}, dscp, {dscp})"),
        SetOption::HopLimit(ttl) => write!(out, "set({socket}, ttl, {ttl})"),
        SetOption::Timeout(interval) => write!(out, "set({socket}, timeout, {})", Interval(interval)),
    }
}

/// A sequence number: plain where it counts from the line's own base, an expression where not.
struct Number(Num, Base);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Number(Num { base, offset }, plain) = *self;
        if base == plain && offset >= 0 {
            return write!(f, "{offset}");
        }
        let name = BASES.iter().find(|(b, _)| *b == base).map_or("zero", |(_, n)| n);
        match offset {
            0 => write!(f, "{{{name}}}"),
            1.. => write!(f, "{{{name}+{offset}}}"),
            _ => write!(f, "{{{name}-{}}}", offset.unsigned_abs()),
        }
    }
}

struct Seconds(Micros);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (self.0 / 1_000_000, self.0 % 1_000_000);
        if fraction == 0 {
            return write!(f, "{whole}");
        }
        let digits = format!("{fraction:06}");
        write!(f, "{whole}.{}", digits.trim_end_matches('0'))
    }
}

struct Interval(Option<Micros>);

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(us) => write!(f, "{us}"),
            None => f.write_str("off"),
        }
    }
}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

struct Data<'a>(&'a Payload);

impl fmt::Display for Data<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Payload::Pattern(n) | Payload::Other(n) => write!(f, "..., {n}"),
            Payload::Text(octets) => write!(f, "{}, {}", Quoted(octets), octets.len()),
        }
    }
}

struct Quoted<'a>(&'a [u8]);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for octet in self.0 {
            match ESCAPES.iter().find(|(_, o)| o == octet) {
                Some((letter, _)) => write!(f, "\\{letter}")?,
                None if (b' '..=b'~').contains(octet) => f.write_char(char::from(*octet))?,
                None => write!(f, "\\x{octet:02x}")?,
            }
        }
        f.write_char('"')
    }
}
