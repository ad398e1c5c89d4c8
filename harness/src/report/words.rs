//! Segments, calls and results in the words of the vector language, with relative numbers.

use std::fmt::Write;

use tcp_reference::api::{Call, CallResult, How};
use tcp_reference::icmp::Icmp;
use tcp_reference::ip::{Codepoint, IpHeader};
use tcp_reference::segment::{Flags, Segment, TcpOption};
use tcp_reference::seq::Seq;

/// A segment of the stack: SEG.SEQ relative to its ISN, SEG.ACK to the peer's. A number without a base stands as it is.
#[must_use]
pub fn segment(segment: &Segment, seq_base: Option<Seq>, ack_base: Option<Seq>) -> String {
    let mut text = numbers(segment, seq_base, ack_base);
    let _ = write!(text, " win {}", segment.window);
    if segment.flags.has(Flags::URG) {
        let _ = write!(text, " urg {}", segment.urgent);
    }
    if !segment.options.is_empty() {
        let _ = write!(text, " <{}>", options(&segment.options));
    }
    text
}

/// A segment to the stack whose SEG.SEQ was written by its distance from the right edge.
#[must_use]
pub fn segment_at_edge(segment: &Segment, distance: i32, ack_base: Option<Seq>) -> String {
    let plain = self::segment(segment, None, ack_base);
    let rest = plain.split_once(')').map_or("", |(_, rest)| rest);
    format!("{}{} {{rcv_right{distance:+}}}({}){rest}", header(segment.ip), segment.flags, segment.payload.len())
}

/// An ICMP error; the number of the segment that it quotes is relative to the stack's ISN.
#[must_use]
pub fn icmp(icmp: &Icmp, base: Option<Seq>) -> String {
    let name = tcp_vectors::print::icmp_error(icmp.error);
    match number(icmp.seq, base) {
        Relative::Near(seq) => format!("icmp {name} [{seq}]"),
        Relative::Far(n) => format!("icmp {name} [{{zero+{n}}}]"),
    }
}

/// What of the IP header is out of the ordinary.
fn header(ip: IpHeader) -> String {
    let mut text = match ip.ecn() {
        Codepoint::NotEct => String::new(),
        codepoint => format!("[{}] ", codepoint.name()),
    };
    if ip.dscp() != 0 {
        let _ = write!(text, "[dscp {}] ", ip.dscp());
    }
    if ip.hop_limit != IpHeader::default().hop_limit {
        let _ = write!(text, "[ttl {}] ", ip.hop_limit);
    }
    text += if ip.options { "[ip-option] " } else { "" };
    text
}

/// Flags and numbers alone.
#[must_use]
pub fn numbers(segment: &Segment, seq_base: Option<Seq>, ack_base: Option<Seq>) -> String {
    let len = segment.payload.len();
    // A RST that answers a segment without ACK has the number 0 itself, whatever the ISN.
    let zero = segment.is_rst() && segment.seq == Seq(0);
    let seq = number(segment.seq, if zero { None } else { seq_base });
    let text = match seq {
        Relative::Near(from) => format!("{from}:{}({len})", from + i64::try_from(len).unwrap_or(0)),
        Relative::Far(n) => format!("{{zero+{n}}}({len})"),
    };
    let mut text = format!("{}{} {text}", header(segment.ip), segment.flags);
    if segment.is_ack() {
        match number(segment.ack, ack_base) {
            Relative::Near(ack) => write!(text, " ack {ack}"),
            Relative::Far(n) => write!(text, " ack {{zero+{n}}}"),
        }
        .unwrap_or_default();
    }
    text
}

enum Relative {
    Near(i64),
    Far(u32),
}

fn number(seq: Seq, base: Option<Seq>) -> Relative {
    match base {
        Some(base) => Relative::Near(i64::from(seq.offset_from(base))),
        // Without an ISN a vector's numbers count from 0.
        None if seq.0 < 1 << 20 => Relative::Near(i64::from(seq.0)),
        None => Relative::Far(seq.0),
    }
}

/// Options in packetdrill's words; timestamps without their values, which are clocks.
#[must_use]
pub fn options(options: &[TcpOption]) -> String {
    let words: Vec<String> = options
        .iter()
        .map(|o| match o {
            TcpOption::Eol => "eol".to_owned(),
            TcpOption::Nop => "nop".to_owned(),
            TcpOption::Mss(n) => format!("mss {n}"),
            TcpOption::WindowScale(n) => format!("wscale {n}"),
            TcpOption::SackPermitted => "sackOK".to_owned(),
            TcpOption::Sack(blocks) => format!("sack {}", blocks.len()),
            TcpOption::Timestamps { .. } => "TS".to_owned(),
            TcpOption::Other { kind, data } => format!("kind {kind} len {}", data.len() + 2),
            TcpOption::IllFormed(octets) => format!("ill-formed {}", octets.len()),
        })
        .collect();
    words.join(",")
}

/// A call, with its socket's number.
#[must_use]
pub fn call(call: &Call) -> String {
    match call {
        Call::Listen { port, backlog, .. } => format!("listen(port {port}, backlog {backlog})"),
        Call::Accept { socket } => format!("accept({socket})"),
        Call::Connect { port, remote_port, .. } => format!("connect(from port {port} to {remote_port})"),
        Call::Send { socket, data, urgent: false } => format!("write({socket}, {})", data.len()),
        Call::Send { socket, data, urgent: true } => format!("send({socket}, {}, urgent)", data.len()),
        Call::Recv { socket, max } => format!("read({socket}, {max})"),
        Call::Shutdown { socket, how } => format!(
            "shutdown({socket}, {})",
            match how {
                How::Read => "read",
                How::Write => "write",
                How::Both => "both",
            }
        ),
        Call::Close { socket } => format!("close({socket})"),
        Call::Abort { socket } => format!("abort({socket})"),
        Call::Set { socket, option } => format!("set({socket}, {option:?})"),
        Call::State { socket } => format!("state({socket})"),
    }
}

/// What a call returned.
#[must_use]
pub fn result(result: &CallResult) -> String {
    match result {
        CallResult::Socket(socket) | CallResult::Accepted { socket, .. } => format!("socket {socket}"),
        CallResult::Count(n) => n.to_string(),
        CallResult::Data(data) => format!("{} octets", data.len()),
        CallResult::Eof => "end of stream".to_owned(),
        CallResult::Done => "done".to_owned(),
        CallResult::State(state) => state.to_string(),
        CallResult::Error(error) => format!("the error {error}"),
        CallResult::Unsupported => "unsupported".to_owned(),
    }
}

/// A word as a shell takes it.
#[must_use]
pub fn shell(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@,+=".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}
