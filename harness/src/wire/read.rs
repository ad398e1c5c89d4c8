//! Datagrams to values.

use std::net::{IpAddr, SocketAddr};

use etherparse::err::packet::SliceError;
use etherparse::{
    IcmpEchoHeader, Icmpv4Slice, Icmpv4Type, Icmpv6Slice, Icmpv6Type, LaxNetSlice, LaxSlicedPacket, TcpSlice, TransportSlice,
};
use tcp_reference::ip::IpHeader;
use tcp_reference::segment::{Flags, Segment};
use tcp_reference::seq::Seq;
use tcp_reference::trace::WireDefect;

use super::parse_options;

/// What a datagram holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Read {
    /// A TCP segment.
    Tcp(Tcp),
    /// An ICMP or ICMPv6 message.
    Icmp(Icmp),
}

/// A TCP segment with its addresses.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tcp {
    /// Who sent it.
    pub source: SocketAddr,
    /// Whom it is for.
    pub destination: SocketAddr,
    /// The segment.
    pub segment: Segment,
    /// What is wrong with its octets, each kind at most once.
    pub defects: Vec<WireDefect>,
}

/// An ICMP or ICMPv6 message with its addresses.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Icmp {
    /// Who sent it.
    pub source: IpAddr,
    /// Whom it is for.
    pub destination: IpAddr,
    /// What it says.
    pub kind: IcmpKind,
}

/// What an ICMP message says; IPv4 and IPv6 alike.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum IcmpKind {
    /// An echo request.
    EchoRequest {
        /// Identifier.
        id: u16,
        /// Sequence number.
        seq: u16,
    },
    /// An echo reply.
    EchoReply {
        /// Identifier.
        id: u16,
        /// Sequence number.
        seq: u16,
    },
    /// An error report: destination unreachable, packet too big, time exceeded, parameter problem and the like.
    Error {
        /// ICMP type.
        kind: u8,
        /// ICMP code.
        code: u8,
        /// The beginning of the datagram that it is about.
        about: Vec<u8>,
    },
    /// Any other message: neighbour discovery, MLD and the like.
    Other {
        /// ICMP type.
        kind: u8,
        /// ICMP code.
        code: u8,
    },
}

/// Why a datagram gave no value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Skipped {
    /// It is neither IPv4 nor IPv6, or its header makes no sense.
    NotIp,
    /// The IPv4 header's checksum does not match.
    IpChecksum,
    /// It ends before its header says.
    Truncated,
    /// It is a fragment.
    Fragment,
    /// It carries another protocol: its IP protocol number.
    NotTcpOrIcmp(u8),
    /// It ends within the fixed TCP header.
    TcpTruncated,
    /// The data offset is below 5 or points past the segment's end.
    DataOffset,
}

/// Reads a whole IP datagram. Octets behind the length that the IP header gives are ignored.
///
/// # Errors
/// [`Skipped`] says why there is no value. No octets make it panic.
pub fn read(ip: &[u8]) -> Result<Read, Skipped> {
    let sliced = LaxSlicedPacket::from_ip(ip).map_err(|_| Skipped::NotIp)?;
    let (source, destination, ip, protocol, payload, fragment, incomplete) = match sliced.net.as_ref() {
        Some(LaxNetSlice::Ipv4(v4)) => {
            let header = v4.header();
            if etherparse::checksum::Sum16BitWords::new().add_slice(header.slice()).ones_complement() != 0 {
                return Err(Skipped::IpChecksum);
            }
            let p = v4.payload();
            let ends = (IpAddr::V4(header.source_addr()), IpAddr::V4(header.destination_addr()));
            let octet = |at: usize| header.slice().get(at).copied().unwrap_or(0);
            let ip = IpHeader { traffic_class: octet(1), hop_limit: header.ttl(), options: header.ihl() > 5 };
            (ends.0, ends.1, ip, p.ip_number.0, p.payload, p.fragmented, p.incomplete)
        }
        Some(LaxNetSlice::Ipv6(v6)) => {
            let header = v6.header();
            let p = v6.payload();
            let ends = (IpAddr::V6(header.source_addr()), IpAddr::V6(header.destination_addr()));
            let ip = IpHeader { traffic_class: header.traffic_class(), hop_limit: header.hop_limit(), options: false };
            (ends.0, ends.1, ip, p.ip_number.0, p.payload, p.fragmented, p.incomplete)
        }
        Some(LaxNetSlice::Arp(_)) | None => return Err(Skipped::NotIp),
    };
    if fragment {
        return Err(Skipped::Fragment);
    }
    if incomplete {
        return Err(Skipped::Truncated);
    }
    match sliced.transport {
        Some(TransportSlice::Tcp(tcp)) => {
            let source = SocketAddr::new(source, tcp.source_port());
            let destination = SocketAddr::new(destination, tcp.destination_port());
            let (segment, defects) = read_segment(&tcp, source.ip(), destination.ip(), ip);
            Ok(Read::Tcp(Tcp { source, destination, segment, defects }))
        }
        Some(TransportSlice::Icmpv4(icmp)) => Ok(Read::Icmp(Icmp { source, destination, kind: icmp_v4(&icmp) })),
        Some(TransportSlice::Icmpv6(icmp)) => Ok(Read::Icmp(Icmp { source, destination, kind: icmp_v6(&icmp) })),
        Some(TransportSlice::Udp(_) | TransportSlice::Igmp(_)) | None => Err(match sliced.stop_err {
            Some((SliceError::Tcp(_), _)) => Skipped::DataOffset,
            Some((SliceError::Len(_), _)) if protocol == TCP && payload.len() >= FIXED_HEADER => Skipped::DataOffset,
            Some((SliceError::Len(_), _)) if protocol == TCP => Skipped::TcpTruncated,
            Some((SliceError::Len(_), _)) => Skipped::Truncated,
            Some(_) => Skipped::NotIp,
            None => Skipped::NotTcpOrIcmp(protocol),
        }),
    }
}

/// IP protocol number of TCP.
const TCP: u8 = 6;
/// Octets of the TCP header without options.
const FIXED_HEADER: usize = 20;
/// The reserved bits of octet 12, the AE bit left out.
const RESERVED: u8 = 0b1110;

fn read_segment(tcp: &TcpSlice<'_>, source: IpAddr, destination: IpAddr, ip: IpHeader) -> (Segment, Vec<WireDefect>) {
    let mut defects = Vec::new();
    if !checksum_matches(tcp.slice(), source, destination) {
        defects.push(WireDefect::BadChecksum);
    }
    let octet = |at: usize| tcp.header_slice().get(at).copied().unwrap_or(0);
    if octet(12) & RESERVED != 0 {
        defects.push(WireDefect::ReservedBits);
    }
    let segment = Segment {
        seq: Seq(tcp.sequence_number()),
        ack: Seq(tcp.acknowledgment_number()),
        flags: Flags(u16::from(octet(12) & 1) << 8 | u16::from(octet(13))),
        window: tcp.window_size(),
        urgent: tcp.urgent_pointer(),
        options: parse_options(tcp.options(), &mut defects),
        payload: tcp.payload().to_vec(),
        ip,
    };
    (segment, defects)
}

/// Whether the sum over pseudo-header and segment, its checksum field included, is all ones.
fn checksum_matches(segment: &[u8], source: IpAddr, destination: IpAddr) -> bool {
    super::build::pseudo_header(source, destination, TCP, segment.len()).add_slice(segment).ones_complement() == 0
}

/// Whether a TCP segment's checksum field holds the sum over the pseudo-header alone, not complemented: so a stack leaves it that expects its
/// network hardware to do the rest, and on a link between two network namespaces nothing does.
#[must_use]
pub fn has_unfinished_checksum(ip: &[u8]) -> bool {
    let Ok(sliced) = LaxSlicedPacket::from_ip(ip) else { return false };
    let Some(TransportSlice::Tcp(tcp)) = &sliced.transport else { return false };
    let (source, destination) = match &sliced.net {
        Some(LaxNetSlice::Ipv4(v4)) => (IpAddr::V4(v4.header().source_addr()), IpAddr::V4(v4.header().destination_addr())),
        Some(LaxNetSlice::Ipv6(v6)) => (IpAddr::V6(v6.header().source_addr()), IpAddr::V6(v6.header().destination_addr())),
        Some(LaxNetSlice::Arp(_)) | None => return false,
    };
    let pseudo_header = super::build::pseudo_header(source, destination, TCP, tcp.slice().len()).ones_complement();
    u16::from_be(!pseudo_header) == tcp.checksum() && !checksum_matches(tcp.slice(), source, destination)
}

fn icmp_v4(icmp: &Icmpv4Slice<'_>) -> IcmpKind {
    let (kind, code) = (icmp.type_u8(), icmp.code_u8());
    match icmp.icmp_type() {
        Icmpv4Type::EchoRequest(IcmpEchoHeader { id, seq }) => IcmpKind::EchoRequest { id, seq },
        Icmpv4Type::EchoReply(IcmpEchoHeader { id, seq }) => IcmpKind::EchoReply { id, seq },
        // Destination unreachable, source quench, redirect, time exceeded, parameter problem.
        _ if matches!(kind, 3 | 4 | 5 | 11 | 12) => IcmpKind::Error { kind, code, about: icmp.payload().to_vec() },
        _ => IcmpKind::Other { kind, code },
    }
}

fn icmp_v6(icmp: &Icmpv6Slice<'_>) -> IcmpKind {
    let (kind, code) = (icmp.type_u8(), icmp.code_u8());
    match icmp.icmp_type() {
        Icmpv6Type::EchoRequest(IcmpEchoHeader { id, seq }) => IcmpKind::EchoRequest { id, seq },
        Icmpv6Type::EchoReply(IcmpEchoHeader { id, seq }) => IcmpKind::EchoReply { id, seq },
        // RFC 4443 section 2.1: error messages have types below 128.
        _ if kind < 128 => IcmpKind::Error { kind, code, about: icmp.payload().to_vec() },
        _ => IcmpKind::Other { kind, code },
    }
}
