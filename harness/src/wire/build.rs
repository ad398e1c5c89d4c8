//! Values to datagrams.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use etherparse::checksum::Sum16BitWords;
use tcp_reference::ip::IpHeader;
use tcp_reference::segment::Segment;
use tcp_vectors::model::Oddity;

use super::encode_options;

/// Why a datagram could not be built.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum WireError {
    /// One address is IPv4 and the other IPv6.
    MixedFamilies,
    /// The options take more than 40 octets.
    OptionsTooLong,
    /// The datagram would be longer than its length field can say.
    TooLong,
    /// The IP version has no such ICMP error.
    NoSuchError,
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            WireError::MixedFamilies => "the addresses are of different IP versions",
            WireError::OptionsTooLong => "the options take more than 40 octets",
            WireError::TooLong => "the datagram would be longer than 65535 octets",
            WireError::NoSuchError => "the IP version has no such ICMP error",
        })
    }
}

impl std::error::Error for WireError {}

/// A valid datagram with this segment. Its options stand in the given order, padded with zero octets to a multiple of four.
///
/// # Errors
/// See [`WireError`].
pub fn build(from: SocketAddr, to: SocketAddr, segment: &Segment) -> Result<Vec<u8>, WireError> {
    let mut out = Vec::with_capacity(V6_HEADER + 60 + segment.payload.len());
    build_into(&mut out, from, to, segment)?;
    Ok(out)
}

/// As [`build`], into a buffer whose contents are replaced: no allocation when it is large enough.
///
/// # Errors
/// See [`WireError`]; `out` is then unspecified.
pub fn build_into(out: &mut Vec<u8>, from: SocketAddr, to: SocketAddr, segment: &Segment) -> Result<(), WireError> {
    out.clear();
    ip_header(out, from.ip(), to.ip(), TCP, segment.ip)?;
    let start = out.len();
    out.extend_from_slice(&from.port().to_be_bytes());
    out.extend_from_slice(&to.port().to_be_bytes());
    out.extend_from_slice(&segment.seq.0.to_be_bytes());
    out.extend_from_slice(&segment.ack.0.to_be_bytes());
    out.extend_from_slice(&[0, segment.flags.0.to_be_bytes()[1]]);
    out.extend_from_slice(&segment.window.to_be_bytes());
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(&segment.urgent.to_be_bytes());
    encode_options(&segment.options, out)?;
    let words = u8::try_from((out.len() - start) / 4).map_err(|_| WireError::OptionsTooLong)?;
    out[start + 12] = words << 4 | (segment.flags.0.to_be_bytes()[0] & 1);
    out.extend_from_slice(&segment.payload);
    set_ip_length(out, start)?;
    set_checksum(out, start, from.ip(), to.ip(), TCP, TCP_CHECKSUM_AT);
    Ok(())
}

/// A datagram with something odd about it, otherwise as [`build`] makes it.
///
/// [`Oddity::From`] and [`Oddity::To`] change nothing here: the caller passes the odd address in `from` or `to`.
/// [`Oddity::Reserved`] sets the three bits between the data offset and AE (AE is a control bit).
/// A data offset or reserved bits come with a checksum that matches; a truncated segment has the checksum of the whole.
///
/// # Errors
/// See [`WireError`].
pub fn build_odd(from: SocketAddr, to: SocketAddr, segment: &Segment, oddity: Oddity) -> Result<Vec<u8>, WireError> {
    let mut out = build(from, to, segment)?;
    let start = if from.is_ipv4() { V4_HEADER } else { V6_HEADER };
    match oddity {
        Oddity::BadChecksum => out[start + TCP_CHECKSUM_AT + 1] ^= 0x55,
        Oddity::DataOffset(words) => {
            out[start + 12] = words << 4 | (out[start + 12] & 0x0f);
            set_checksum(&mut out, start, from.ip(), to.ip(), TCP, TCP_CHECKSUM_AT);
        }
        Oddity::Truncated(octets) => {
            out.truncate(start + usize::from(octets));
            set_ip_length(&mut out, start)?;
        }
        Oddity::Reserved(bits) => {
            out[start + 12] = (out[start + 12] & 0xf1) | (bits & 7) << 1;
            set_checksum(&mut out, start, from.ip(), to.ip(), TCP, TCP_CHECKSUM_AT);
        }
        Oddity::Fragment if from.is_ipv4() => {
            out[6] = MORE_FRAGMENTS_V4;
            set_ip_length(&mut out, start)?;
        }
        Oddity::Fragment => {
            out[V6_NEXT_HEADER_AT] = V6_FRAGMENT;
            out.splice(start..start, [TCP, 0, 0, 1, 0, 0, 0, 1]);
            set_ip_length(&mut out, start)?;
        }
        Oddity::IpOption if from.is_ipv4() => {
            out[0] += 1;
            out.splice(start..start, [UNKNOWN_IP_OPTION, 4, 0, 0]);
            set_ip_length(&mut out, start + 4)?;
        }
        Oddity::From(_) | Oddity::To(_) | Oddity::IpOption => {}
    }
    Ok(out)
}

/// An ICMP or ICMPv6 echo request without data, into a buffer whose contents are replaced.
///
/// # Errors
/// [`WireError::MixedFamilies`].
pub fn echo_request_into(out: &mut Vec<u8>, from: IpAddr, to: IpAddr, id: u16, seq: u16) -> Result<(), WireError> {
    out.clear();
    let (protocol, kind) = if from.is_ipv4() { (ICMP_V4, 8) } else { (ICMP_V6, 128) };
    ip_header(out, from, to, protocol, IpHeader::default())?;
    let start = out.len();
    out.extend_from_slice(&[kind, 0, 0, 0]);
    out.extend_from_slice(&id.to_be_bytes());
    out.extend_from_slice(&seq.to_be_bytes());
    set_ip_length(out, start)?;
    set_checksum(out, start, from, to, protocol, 2);
    Ok(())
}

const V4_HEADER: usize = 20;
const V6_HEADER: usize = 40;
const V6_NEXT_HEADER_AT: usize = 6;
const V6_FRAGMENT: u8 = 44;
const MORE_FRAGMENTS_V4: u8 = 0x20;
pub(super) const TCP: u8 = 6;
pub(super) const ICMP_V4: u8 = 1;
pub(super) const ICMP_V6: u8 = 58;
const TCP_CHECKSUM_AT: usize = 16;
/// An option for experiments (RFC 4727 section 3): not to be copied, of class 2, number 30.
const UNKNOWN_IP_OPTION: u8 = 94;

pub(super) fn ip_header(out: &mut Vec<u8>, from: IpAddr, to: IpAddr, protocol: u8, ip: IpHeader) -> Result<(), WireError> {
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            out.extend_from_slice(&[0x45, ip.traffic_class, 0, 0]);
            out.extend_from_slice(&[0, 0, 0, 0, ip.hop_limit, protocol, 0, 0]);
            out.extend_from_slice(&from.octets());
            out.extend_from_slice(&to.octets());
            Ok(())
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            out.extend_from_slice(&[0x60 | ip.traffic_class >> 4, ip.traffic_class << 4, 0, 0, 0, 0, protocol, ip.hop_limit]);
            out.extend_from_slice(&from.octets());
            out.extend_from_slice(&to.octets());
            Ok(())
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => Err(WireError::MixedFamilies),
    }
}

/// Writes the IP header's length field, and for IPv4 its checksum, for a header that ends at `start`.
pub(super) fn set_ip_length(out: &mut [u8], start: usize) -> Result<(), WireError> {
    if out[0] >> 4 == 4 {
        let total = u16::try_from(out.len()).map_err(|_| WireError::TooLong)?;
        out[2..4].copy_from_slice(&total.to_be_bytes());
        out[10..12].copy_from_slice(&[0, 0]);
        let sum = Sum16BitWords::new().add_slice(&out[..start]).ones_complement();
        out[10..12].copy_from_slice(&sum.to_ne_bytes());
    } else {
        let payload = u16::try_from(out.len() - V6_HEADER).map_err(|_| WireError::TooLong)?;
        out[4..6].copy_from_slice(&payload.to_be_bytes());
    }
    Ok(())
}

pub(super) fn set_checksum(out: &mut [u8], start: usize, from: IpAddr, to: IpAddr, protocol: u8, at: usize) {
    let field = start + at;
    out[field..field + 2].copy_from_slice(&[0, 0]);
    let segment = &out[start..];
    let sum = if protocol == ICMP_V4 { Sum16BitWords::new() } else { pseudo_header(from, to, protocol, segment.len()) };
    let sum = sum.add_slice(segment).ones_complement();
    out[field..field + 2].copy_from_slice(&sum.to_ne_bytes());
}

/// The sum over the pseudo-header (RFC 9293 section 3.1, RFC 8200 section 8.1).
pub(super) fn pseudo_header(from: IpAddr, to: IpAddr, protocol: u8, length: usize) -> Sum16BitWords {
    let mut sum = Sum16BitWords::new();
    sum = match from {
        IpAddr::V4(a) => sum.add_4bytes(a.octets()),
        IpAddr::V6(a) => sum.add_16bytes(a.octets()),
    };
    sum = match to {
        IpAddr::V4(a) => sum.add_4bytes(a.octets()),
        IpAddr::V6(a) => sum.add_16bytes(a.octets()),
    };
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    sum.add_2bytes([0, protocol]).add_4bytes(length.to_be_bytes())
}
