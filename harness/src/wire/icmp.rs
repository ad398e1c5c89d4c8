//! ICMP errors that quote a segment of the stack.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tcp_reference::icmp::{Icmp as Quoting, IcmpError};
use tcp_reference::ip::IpHeader;
use tcp_reference::segment::Tuple;
use tcp_reference::seq::Seq;

use super::build::{ICMP_V4, ICMP_V6, TCP, WireError, ip_header, set_checksum, set_ip_length};
use super::{Icmp, IcmpKind};

/// An ICMP or ICMPv6 error from the peer's address about a segment that the stack sent from `tuple.local` to `tuple.remote` with this SEG.SEQ
/// and so many octets of text. It quotes the IP header and 8 octets (RFC 792), though ICMPv6 would quote more.
///
/// # Errors
/// [`WireError::NoSuchError`] where the IP version lacks this error; [`WireError::MixedFamilies`].
pub fn icmp_error(tuple: Tuple, seq: Seq, len: u16, error: IcmpError) -> Result<Vec<u8>, WireError> {
    let (stack, peer) = (tuple.local, tuple.remote);
    let v4 = stack.is_ipv4();
    let (_, kind, code) = codes(v4).find(|(e, ..)| *e == error).ok_or(WireError::NoSuchError)?;
    let protocol = if v4 { ICMP_V4 } else { ICMP_V6 };
    let mut out = Vec::with_capacity(96);
    ip_header(&mut out, peer.ip(), stack.ip(), protocol, IpHeader::default())?;
    let start = out.len();
    out.extend_from_slice(&[kind, code, 0, 0, 0, 0, 0, 0]);
    out.extend_from_slice(&quotation(stack, peer, seq, len)?);
    set_ip_length(&mut out, start)?;
    set_checksum(&mut out, start, peer.ip(), stack.ip(), protocol, 2);
    Ok(out)
}

/// The quoted segment's IP header, with the length of the whole segment, and 8 octets behind it.
fn quotation(from: SocketAddr, to: SocketAddr, seq: Seq, len: u16) -> Result<Vec<u8>, WireError> {
    let mut quoted = Vec::new();
    ip_header(&mut quoted, from.ip(), to.ip(), TCP, IpHeader::default())?;
    let start = quoted.len();
    quoted.resize(start + LEAST_TCP_HEADER + usize::from(len), 0);
    set_ip_length(&mut quoted, start)?;
    quoted.truncate(start);
    quoted.extend_from_slice(&from.port().to_be_bytes());
    quoted.extend_from_slice(&to.port().to_be_bytes());
    quoted.extend_from_slice(&seq.0.to_be_bytes());
    Ok(quoted)
}

/// The connection whose segment an ICMP message quotes, the receiver's end as `local`, and what it reports; `None` for any other message.
#[must_use]
pub fn quoted(icmp: &Icmp) -> Option<(Tuple, Quoting)> {
    let IcmpKind::Error { kind, code, about } = &icmp.kind else { return None };
    let v4 = icmp.destination.is_ipv4();
    let (error, ..) = codes(v4).find(|(_, k, c)| k == kind && c == code)?;
    let (protocol, from, to, rest) = if v4 {
        let header = usize::from(about.first()? & 15) * 4;
        let address = |at: usize| Some(IpAddr::V4(Ipv4Addr::from(array::<4>(about, at)?)));
        (*about.get(9)?, address(12)?, address(16)?, about.get(header..)?)
    } else {
        let address = |at: usize| Some(IpAddr::V6(Ipv6Addr::from(array::<16>(about, at)?)));
        (*about.get(6)?, address(8)?, address(24)?, about.get(40..)?)
    };
    if protocol != TCP {
        return None;
    }
    let port = |at: usize| array::<2>(rest, at).map(u16::from_be_bytes);
    let tuple = Tuple { local: SocketAddr::new(from, port(0)?), remote: SocketAddr::new(to, port(2)?) };
    Some((tuple, Quoting { error, seq: Seq(u32::from_be_bytes(array(rest, 4)?)) }))
}

fn array<const N: usize>(octets: &[u8], at: usize) -> Option<[u8; N]> {
    octets.get(at..at + N)?.try_into().ok()
}

/// The errors of an IP version with their types and codes (RFC 792, RFC 4443).
fn codes(v4: bool) -> impl Iterator<Item = (IcmpError, u8, u8)> {
    let table: &[(IcmpError, u8, u8)] = if v4 { &V4 } else { &V6 };
    table.iter().copied()
}

const V4: [(IcmpError, u8, u8); 9] = [
    (IcmpError::NetUnreachable, 3, 0),
    (IcmpError::HostUnreachable, 3, 1),
    (IcmpError::ProtocolUnreachable, 3, 2),
    (IcmpError::PortUnreachable, 3, 3),
    (IcmpError::SourceRouteFailed, 3, 5),
    (IcmpError::SourceQuench, 4, 0),
    (IcmpError::HopLimitExceeded, 11, 0),
    (IcmpError::ReassemblyTimeExceeded, 11, 1),
    (IcmpError::ParameterProblem, 12, 0),
];

const V6: [(IcmpError, u8, u8); 6] = [
    (IcmpError::NetUnreachable, 1, 0),
    (IcmpError::HostUnreachable, 1, 3),
    (IcmpError::PortUnreachable, 1, 4),
    (IcmpError::HopLimitExceeded, 3, 0),
    (IcmpError::ReassemblyTimeExceeded, 3, 1),
    (IcmpError::ParameterProblem, 4, 0),
];

/// Octets of a TCP header without options.
const LEAST_TCP_HEADER: usize = 20;
