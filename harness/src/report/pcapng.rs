//! A trace as a capture: what Wireshark opens. Datagrams are built anew from the segments; a call stands as a comment at the datagram after it.

use std::borrow::Cow;
use std::time::Duration;

use pcap_file::DataLink;
use pcap_file::PcapError;
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{InterfaceDescriptionBlock, InterfaceDescriptionOption};
use tcp_reference::segment::{Segment, Tuple};
use tcp_reference::trace::{Arrival, Trace, What};

use crate::report::words;
use crate::wire;

/// The capture of a trace; `notes` are comments by the index of their event.
///
/// # Errors
/// The format cannot hold it: more than 2^32 octets in one block.
pub fn capture(trace: &Trace, notes: &[(usize, String)]) -> Result<Vec<u8>, PcapError> {
    let mut writer = PcapNgWriter::new(Vec::new())?;
    writer.write_pcapng_block(InterfaceDescriptionBlock {
        linktype: DataLink::RAW,
        snaplen: 0,
        options: vec![
            InterfaceDescriptionOption::IfName(Cow::Borrowed("stack under test")),
            InterfaceDescriptionOption::IfTsResol(NANOSECONDS),
        ],
    })?;
    let mut waiting = Vec::new();
    for (i, event) in trace.events.iter().enumerate() {
        waiting.extend(notes.iter().filter(|(at, _)| *at == i).map(|(_, note)| note.clone()));
        let datagram = match &event.what {
            What::Arrive { tuple, arrival: Arrival::Segment(segment) } => datagram(tuple, segment, Way::In),
            What::Emit { tuple, segment, defects } => {
                waiting.extend(defects.iter().map(|defect| format!("not shown in these octets: {defect:?}")));
                datagram(tuple, segment, Way::Out)
            }
            What::Arrive { arrival: Arrival::Icmp(icmp), .. } => {
                waiting.push(format!("an ICMP error arrived: {}", words::icmp(icmp, None)));
                None
            }
            What::Arrive { arrival: Arrival::Discarded(why), .. } => {
                waiting.push(format!("a datagram arrived that TCP must not act on: {why:?}"));
                None
            }
            What::Call { call, result } => {
                waiting.push(format!("{} = {}", words::call(call), words::result(result)));
                None
            }
            What::Quiet | What::Stall => None,
        };
        let Some(data) = datagram else { continue };
        writer.write_pcapng_block(EnhancedPacketBlock {
            interface_id: 0,
            timestamp: Duration::from_micros(event.at),
            original_len: u32::try_from(data.len()).unwrap_or(u32::MAX),
            data: Cow::Owned(data),
            options: waiting.drain(..).map(|note| EnhancedPacketOption::Comment(Cow::Owned(note))).collect(),
        })?;
    }
    Ok(writer.into_inner())
}

/// Which way a datagram goes.
#[derive(Clone, Copy)]
enum Way {
    In,
    Out,
}

fn datagram(tuple: &Tuple, segment: &Segment, way: Way) -> Option<Vec<u8>> {
    let (from, to) = match way {
        Way::In => (tuple.remote, tuple.local),
        Way::Out => (tuple.local, tuple.remote),
    };
    wire::build(from, to, segment).ok()
}

/// `if_tsresol` of the format: powers of ten.
const NANOSECONDS: u8 = 9;

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, SocketAddr};
    use std::time::Duration;

    use pcap_file::pcapng::{Block, PcapNgReader};
    use tcp_reference::api::{Call, CallResult, Family};
    use tcp_reference::segment::{Segment, Tuple};
    use tcp_reference::seq::Seq;
    use tcp_reference::trace::{Arrival, Trace, What};

    use super::capture;
    use crate::wire::{Read, read};

    #[test]
    fn a_capture_holds_datagrams_times_and_notes() {
        let end = |octet, port| SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, octet)), port);
        let tuple = Tuple { local: end(1, 8080), remote: end(2, 40_000) };
        let mut trace = Trace::default();
        let call = Call::Listen { port: 8080, family: Family::V4, backlog: 8 };
        trace.push(0, What::Call { call, result: CallResult::Socket(0) });
        trace.push(1_500_000, What::Arrive { tuple, arrival: Arrival::Segment(Segment::syn(Seq(7))) });
        trace.push(1_500_001, What::Emit { tuple, segment: Segment::syn(Seq(9)), defects: Vec::new() });
        let octets = capture(&trace, &[(2, "here".to_owned())]).expect("a capture");
        let mut reader = PcapNgReader::new(&octets[..]).expect("can be read");
        let mut seen = Vec::new();
        while let Some(block) = reader.next_block() {
            if let Block::EnhancedPacket(packet) = block.expect("a block") {
                let Ok(Read::Tcp(tcp)) = read(&packet.data) else { panic!("no segment: {packet:?}") };
                seen.push((packet.timestamp, tcp.source, tcp.segment.seq, format!("{:?}", packet.options)));
            }
        }
        assert_eq!(seen.len(), 2);
        assert_eq!((seen[0].0, seen[0].1, seen[0].2), (Duration::from_micros(1_500_000), tuple.remote, Seq(7)));
        assert!(seen[0].3.contains("listen(port 8080, backlog 8) = socket 0"), "{}", seen[0].3);
        assert!(seen[1].1 == tuple.local && seen[1].3.contains("here"), "{}", seen[1].3);
    }
}
