//! Segments to the stack.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tcp_reference::icmp::Icmp;
use tcp_reference::ip::IpHeader;
use tcp_reference::segment::{Segment, TcpOption, Tuple};
use tcp_reference::seq::Seq;
use tcp_reference::trace::{Arrival, Malformed, What, WireDefect};
use tcp_vectors::model::{Base, IcmpSpec, OddAddress, Oddity, Payload, SegmentSpec, Step, StepKind};

use super::Stop;
use super::drive::Session;
use super::pattern::Pattern;
use super::view::View;
use crate::target::Clock;
use crate::wire::{self, Read, Skipped};

impl Session<'_> {
    /// Delivers the segments of these steps together. A kernel takes in each as it is written, so there each one's answers are read before the
    /// next is written, which no stack can tell from the other order; in process all are there before the stack runs.
    pub(super) fn inject(&mut self, group: &[Step]) -> Result<(), Stop> {
        self.drain()?;
        self.last_stimulus = self.trace.events.len();
        self.called = None;
        let together = if self.clock == Clock::Real { 1 } else { group.len().max(1) };
        for part in group.chunks(together) {
            let mut datagrams = Vec::with_capacity(part.len());
            for step in part {
                if let StepKind::Inject(spec) = &step.kind {
                    let built = self.datagram(step.line, spec);
                    datagrams.push(built.map_err(|why| Stop::NotPerformed(format!("line {}: {why}", step.line)))?);
                }
            }
            let reply = self.target.deliver(&datagrams)?;
            self.note_answer(&reply)?;
        }
        Ok(())
    }

    /// Delivers an ICMP error. One that the IP version does not have is no stimulus: a script passes over it.
    pub(super) fn icmp(&mut self, line: u32, spec: &IcmpSpec) -> Result<(), Stop> {
        let flow = self.flow(spec.flow);
        let (view, tuple) = (self.flows[flow].view.clone(), self.flows[flow].tuple);
        let seq = view.resolve(spec.seq);
        let datagram = match wire::icmp_error(tuple, seq, spec.len, spec.error) {
            Ok(datagram) => datagram,
            Err(_) if self.rules.is_none() => return Ok(()),
            Err(why) => return Err(Stop::NotPerformed(format!("line {line}: {why}"))),
        };
        self.drain()?;
        self.last_stimulus = self.trace.events.len();
        self.called = None;
        self.keep_view(line, spec.flow, &view);
        self.trace.push(self.now, What::Arrive { tuple, arrival: Arrival::Icmp(Icmp { error: spec.error, seq }) });
        let reply = self.target.deliver(&[datagram])?;
        self.note_answer(&reply)
    }

    /// Builds a segment's datagram and writes its arrival down.
    fn datagram(&mut self, line: u32, spec: &SegmentSpec) -> Result<Vec<u8>, wire::WireError> {
        let flow = self.flow(spec.flow);
        let (view, mut tuple) = (self.flows[flow].view.clone(), self.flows[flow].tuple);
        self.keep_view(line, spec.flow, &view);
        let seq = view.resolve(spec.seq);
        if spec.seq.base == Base::RcvRight {
            self.edges.insert(self.trace.events.len(), spec.seq.offset);
        }
        let mut segment = Segment {
            seq,
            ack: spec.ack.map(|a| view.resolve(a)).unwrap_or_default(),
            flags: spec.flags,
            window: spec.window,
            urgent: spec.urgent,
            options: resolved(&spec.options, &view, spec.ack.is_some()),
            payload: Vec::new(),
            ip: IpHeader::default().with_ecn(spec.ecn),
        };
        let position = segment.text_start().since(view.irs() + 1);
        segment.payload = match &spec.payload {
            Payload::Pattern(n) => Pattern::Peer.octets(position, usize::from(*n)),
            Payload::Other(n) => Pattern::Liar.octets(position, usize::from(*n)),
            Payload::Text(text) => text.clone(),
        };
        let Some(oddity) = spec.oddity else {
            let datagram = wire::build(tuple.remote, tuple.local, &segment)?;
            // Octets that are no option may take what stands behind them along: what counts is how they are read.
            let as_written =
                segment.options.iter().all(|o| !matches!(o, TcpOption::IllFormed(_) | TcpOption::Other { .. } | TcpOption::Eol));
            if !as_written && let Ok(Read::Tcp(tcp)) = wire::read(&datagram) {
                segment.options = tcp.segment.options;
            }
            self.flows[flow].view.sent(&segment);
            self.trace.push(self.now, What::Arrive { tuple, arrival: Arrival::Segment(segment) });
            return Ok(datagram);
        };
        redirect(&mut tuple, oddity);
        let datagram = wire::build_odd(tuple.remote, tuple.local, &segment, oddity)?;
        let arrival = as_the_stack_reads(&datagram);
        if let Arrival::Segment(read) = &arrival
            && tuple == self.flows[flow].tuple
        {
            self.flows[flow].view.sent(read);
        }
        self.trace.push(self.now, What::Arrive { tuple, arrival });
        Ok(datagram)
    }
}

/// Edges of SACK blocks count from the stack's ISN, as ACK does. A TSecr of 0 in an ACK stands for the echo that RFC 7323 (section 3.2) has there.
fn resolved(options: &[TcpOption], view: &View, is_ack: bool) -> Vec<TcpOption> {
    let iss = view.iss().unwrap_or_default();
    let absolute = |&(left, right): &(Seq, Seq)| (iss + left.0, iss + right.0);
    let resolved = |option: &TcpOption| match option {
        TcpOption::Sack(blocks) => TcpOption::Sack(blocks.iter().map(absolute).collect()),
        TcpOption::Timestamps { val, ecr: 0 } if is_ack => TcpOption::Timestamps { val: *val, ecr: view.tsval().unwrap_or(0) },
        other => other.clone(),
    };
    options.iter().map(resolved).collect()
}

/// What a datagram with something odd about it means to a receiver.
fn as_the_stack_reads(datagram: &[u8]) -> Arrival {
    match wire::read(datagram) {
        Ok(Read::Tcp(tcp)) if tcp.defects.contains(&WireDefect::BadChecksum) => Arrival::Discarded(Malformed::BadChecksum),
        Ok(Read::Tcp(tcp)) => Arrival::Segment(tcp.segment),
        Err(Skipped::DataOffset) => Arrival::Discarded(Malformed::DataOffset),
        Err(Skipped::Fragment) => Arrival::Discarded(Malformed::Fragment),
        Ok(Read::Icmp(_))
        | Err(Skipped::NotIp | Skipped::IpChecksum | Skipped::Truncated | Skipped::NotTcpOrIcmp(_) | Skipped::TcpTruncated) => {
            Arrival::Discarded(Malformed::Truncated)
        }
    }
}

/// Puts an address that is not a host's into a tuple; where the IP version has none such, nothing changes.
fn redirect(tuple: &mut Tuple, oddity: Oddity) {
    let v4 = tuple.local.is_ipv4();
    let odd = |address: OddAddress| match (address, v4) {
        (OddAddress::Broadcast, true) => Some(IpAddr::V4(Ipv4Addr::BROADCAST)),
        (OddAddress::Broadcast, false) => None,
        (OddAddress::Multicast, true) => Some(IpAddr::V4(Ipv4Addr::new(224, 0, 0, 1))),
        (OddAddress::Multicast, false) => Some(IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1))),
        (OddAddress::Unspecified, true) => Some(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        (OddAddress::Unspecified, false) => Some(IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
    };
    match oddity {
        Oddity::From(address) => tuple.remote = odd(address).map_or(tuple.remote, |ip| SocketAddr::new(ip, tuple.remote.port())),
        Oddity::To(address) => tuple.local = odd(address).map_or(tuple.local, |ip| SocketAddr::new(ip, tuple.local.port())),
        Oddity::BadChecksum | Oddity::DataOffset(_) | Oddity::Truncated(_) | Oddity::Reserved(_) | Oddity::Fragment | Oddity::IpOption => {}
    }
}
