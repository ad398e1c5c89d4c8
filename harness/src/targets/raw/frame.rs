//! Ethernet frames: who asks for a link-layer address, who tells one, and IP datagrams (RFC 826, RFC 894, RFC 2464, RFC 4861).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::{
    ArpEthIpv4Packet, ArpOperation, EtherType, Ethernet2Header, Icmpv6Slice, Icmpv6Type, LaxNetSlice, LaxSlicedPacket, LinkSlice,
    PacketBuilder, TransportSlice, icmpv6::NeighborAdvertisementHeader,
};

/// An Ethernet address.
pub type Mac = [u8; 6];

/// What a frame holds.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// An ARP request or a neighbour solicitation: who has `wanted`?
    Asks {
        /// Who asks, an unspecified address where it is only about to take one.
        asker: IpAddr,
        /// The asker's Ethernet address.
        mac: Mac,
        /// The address in question.
        wanted: IpAddr,
    },
    /// An ARP reply or a neighbour advertisement: `address` is at `mac`.
    Tells {
        /// The address.
        address: IpAddr,
        /// Where it is.
        mac: Mac,
    },
    /// An IP datagram, with what may be padding behind it.
    Ip {
        /// The source address.
        from: IpAddr,
        /// The destination address.
        to: IpAddr,
        /// The datagram, as long as its header says where the frame holds so much.
        datagram: &'a [u8],
    },
    /// Anything else.
    Other,
}

/// Reads a frame. No octets make it panic.
pub fn read(frame: &[u8]) -> Frame<'_> {
    let Ok(sliced) = LaxSlicedPacket::from_ethernet(frame) else { return Frame::Other };
    let Some(LinkSlice::Ethernet2(ethernet)) = &sliced.link else { return Frame::Other };
    match &sliced.net {
        Some(LaxNetSlice::Arp(arp)) => {
            let Ok(arp) = ArpEthIpv4Packet::try_from(arp.to_packet()) else { return Frame::Other };
            let (sender, target) = (IpAddr::from(arp.sender_ipv4), IpAddr::from(arp.target_ipv4));
            match arp.operation {
                ArpOperation::REQUEST => Frame::Asks { asker: sender, mac: arp.sender_mac, wanted: target },
                ArpOperation::REPLY => Frame::Tells { address: sender, mac: arp.sender_mac },
                _ => Frame::Other,
            }
        }
        Some(LaxNetSlice::Ipv4(ip)) => {
            let (from, to) = (IpAddr::V4(ip.header().source_addr()), IpAddr::V4(ip.header().destination_addr()));
            Frame::Ip { from, to, datagram: cut(frame, usize::from(ip.header().total_len())) }
        }
        Some(LaxNetSlice::Ipv6(ip)) => {
            let (from, to) = (ip.header().source_addr(), ip.header().destination_addr());
            if let Some(TransportSlice::Icmpv6(icmp)) = &sliced.transport
                && let Some(said) = neighbour(icmp, from, ip.header().hop_limit(), ethernet.source())
            {
                return said;
            }
            Frame::Ip {
                from: IpAddr::V6(from),
                to: IpAddr::V6(to),
                datagram: cut(frame, V6_HEADER + usize::from(ip.header().payload_length())),
            }
        }
        None => Frame::Other,
    }
}

/// What a message of neighbour discovery says. One that has passed a router is none (RFC 4861 sections 7.1.1, 7.1.2).
fn neighbour<'a>(icmp: &Icmpv6Slice<'_>, from: Ipv6Addr, hop_limit: u8, mac: Mac) -> Option<Frame<'a>> {
    let target = || icmp.payload().first_chunk::<16>().map(|a| IpAddr::from(*a));
    let options = icmp.payload().get(16..).unwrap_or_default();
    match icmp.icmp_type() {
        Icmpv6Type::NeighborSolicitation if hop_limit == 255 => {
            Some(Frame::Asks { asker: IpAddr::V6(from), mac: link_layer(options, SOURCE).unwrap_or(mac), wanted: target()? })
        }
        Icmpv6Type::NeighborAdvertisement(_) if hop_limit == 255 => {
            Some(Frame::Tells { address: target()?, mac: link_layer(options, TARGET).unwrap_or(mac) })
        }
        _ => None,
    }
}

/// The Ethernet address in the option of this type, where it stands first, as every stack writes it.
fn link_layer(options: &[u8], kind: u8) -> Option<Mac> {
    let [k, 1, mac @ ..] = options.first_chunk::<8>()? else { return None };
    if *k == kind { mac.first_chunk::<6>().copied() } else { None }
}

/// A frame without its header and padding.
fn cut(frame: &[u8], length: usize) -> &[u8] {
    let inner = frame.get(Ethernet2Header::LEN..).unwrap_or_default();
    inner.get(..length).unwrap_or(inner)
}

/// An IP datagram in a frame.
pub fn datagram_into(out: &mut Vec<u8>, (from, to): (Mac, Mac), datagram: &[u8]) {
    let kind = if datagram.first().is_some_and(|octet| octet >> 4 == 6) { EtherType::IPV6 } else { EtherType::IPV4 };
    out.clear();
    out.extend_from_slice(&Ethernet2Header { source: from, destination: to, ether_type: kind }.to_bytes());
    out.extend_from_slice(datagram);
}

/// Asks on the whole link who has `wanted`. An unspecified `asker` only wants to know whether anyone has it (RFC 5227 section 2.1.1, RFC 4862
/// section 5.4.2).
pub fn question(mac: Mac, asker: IpAddr, wanted: IpAddr) -> Option<Vec<u8>> {
    match (asker, wanted) {
        (IpAddr::V4(asker), IpAddr::V4(wanted)) => arp(ArpOperation::REQUEST, (mac, asker), ([0; 6], wanted), BROADCAST),
        (IpAddr::V6(asker), IpAddr::V6(wanted)) => {
            let option = if asker.is_unspecified() { Vec::new() } else { option(SOURCE, mac) };
            let group = solicited_node(wanted);
            discovery(Icmpv6Type::NeighborSolicitation, (mac, asker), (multicast(group), group), wanted, &option)
        }
        _ => None,
    }
}

/// Tells an asker that `own` is at `mac`.
pub fn answer((mac, own): (Mac, IpAddr), (asker_mac, asker): (Mac, IpAddr)) -> Option<Vec<u8>> {
    match (own, asker) {
        (IpAddr::V4(own), IpAddr::V4(asker)) => arp(ArpOperation::REPLY, (mac, own), (asker_mac, asker), asker_mac),
        (IpAddr::V6(own), IpAddr::V6(asker)) => {
            // RFC 4861 section 7.2.4: who has no address yet hears it with all others, and was not answered by it.
            let unknown = asker.is_unspecified();
            let to = if unknown { (multicast(ALL_NODES), ALL_NODES) } else { (asker_mac, asker) };
            let header = NeighborAdvertisementHeader { router: false, solicited: !unknown, r#override: true };
            discovery(Icmpv6Type::NeighborAdvertisement(header), (mac, own), to, own, &option(TARGET, mac))
        }
        _ => None,
    }
}

fn arp(operation: ArpOperation, sender: (Mac, Ipv4Addr), target: (Mac, Ipv4Addr), to: Mac) -> Option<Vec<u8>> {
    let packet = ArpEthIpv4Packet {
        operation,
        sender_mac: sender.0,
        sender_ipv4: sender.1.octets(),
        target_mac: target.0,
        target_ipv4: target.1.octets(),
    };
    let mut out = Vec::new();
    PacketBuilder::ethernet2(sender.0, to).arp(packet.into()).write(&mut out).ok()?;
    Some(out)
}

fn discovery(kind: Icmpv6Type, from: (Mac, Ipv6Addr), to: (Mac, Ipv6Addr), target: Ipv6Addr, option: &[u8]) -> Option<Vec<u8>> {
    let payload = [&target.octets(), option].concat();
    let mut out = Vec::new();
    let step = PacketBuilder::ethernet2(from.0, to.0).ipv6(from.1.octets(), to.1.octets(), 255).icmpv6(kind);
    step.write(&mut out, &payload).ok()?;
    Some(out)
}

fn option(kind: u8, mac: Mac) -> Vec<u8> {
    [&[kind, 1][..], &mac].concat()
}

/// RFC 4291 section 2.7.1.
fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b, c] = address.octets();
    Ipv6Addr::from([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c])
}

/// RFC 2464 section 7.
fn multicast(group: Ipv6Addr) -> Mac {
    let [.., a, b, c, d] = group.octets();
    [0x33, 0x33, a, b, c, d]
}

const BROADCAST: Mac = [0xff; 6];
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const V6_HEADER: usize = 40;
/// Types of neighbour discovery's options (RFC 4861 section 4.6.1).
const SOURCE: u8 = 1;
const TARGET: u8 = 2;

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::{Frame, answer, datagram_into, question, read};

    const A: [u8; 6] = [2, 0, 0, 0, 0, 1];
    const B: [u8; 6] = [2, 0, 0, 0, 0, 2];

    #[test]
    fn questions_and_answers_are_read_as_they_were_written() {
        for (own, other, none) in [("192.0.2.1", "192.0.2.2", "0.0.0.0"), ("2001:db8::1", "2001:db8::2", "::")] {
            let [own, other, none]: [IpAddr; 3] = [own, other, none].map(|a| a.parse().expect("an address"));
            for asker in [own, none] {
                let asked = question(A, asker, other).expect("builds");
                assert_eq!(read(&asked), Frame::Asks { asker, mac: A, wanted: other });
                let told = answer((B, other), (A, asker)).expect("builds");
                assert_eq!(read(&told), Frame::Tells { address: other, mac: B });
            }
            assert_eq!(question(A, own, other).map(|f| f[0] & 1), Some(1), "to the whole link");
            assert_eq!(answer((B, other), (A, own)).map(|f| f[..6].to_vec()), Some(A.to_vec()), "to the asker alone");
        }
    }

    #[test]
    fn padding_is_no_part_of_a_datagram() {
        let (from, to): (IpAddr, IpAddr) = ("192.0.2.1".parse().expect("an address"), "192.0.2.2".parse().expect("an address"));
        let mut echo = Vec::new();
        crate::wire::echo_request_into(&mut echo, from, to, 1, 1).expect("builds");
        let mut frame = Vec::new();
        datagram_into(&mut frame, (A, B), &echo);
        frame.resize(60, 0);
        assert_eq!(read(&frame), Frame::Ip { from, to, datagram: &echo });
        for length in 0..frame.len() {
            // Only that it ends.
            let _any = read(&frame[..length]);
        }
    }

    /// RFC 4861 section 7.1.1: the IP hop limit has to be 255.
    #[test]
    fn a_solicitation_that_a_router_has_passed_on_is_none() {
        let (own, other): (IpAddr, IpAddr) = ("2001:db8::1".parse().expect("an address"), "2001:db8::2".parse().expect("an address"));
        let mut asked = question(A, own, other).expect("builds");
        asked[14 + 7] = 254;
        assert!(matches!(read(&asked), Frame::Ip { .. }));
    }
}
