//! ICMP errors about a connection's segments (RFC 9293 section 3.9.2.2).

use crate::catalogue::RuleId;
use crate::rules;
use crate::seq::Seq;

/// An ICMP error that quotes a segment of the stack: its IP header and the first 8 octets of its TCP header, so its ends and its SEG.SEQ.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Icmp {
    /// What it reports.
    pub error: IcmpError,
    /// SEG.SEQ of the quoted segment.
    pub seq: Seq,
}

/// What an ICMP error reports. "Fragmentation needed" and "packet too big" are not among them: they belong to path MTU discovery, which sends
/// what they quote again.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum IcmpError {
    /// Destination unreachable: the net; over IPv6, no route.
    NetUnreachable,
    /// Destination unreachable: the host; over IPv6, the address.
    HostUnreachable,
    /// Destination unreachable: the protocol (IPv4 only).
    ProtocolUnreachable,
    /// Destination unreachable: the port.
    PortUnreachable,
    /// Destination unreachable: the source route failed (IPv4 only).
    SourceRouteFailed,
    /// Source quench (IPv4 only).
    SourceQuench,
    /// Time exceeded in transit.
    HopLimitExceeded,
    /// Time exceeded while fragments were put together.
    ReassemblyTimeExceeded,
    /// Parameter problem: an erroneous header field.
    ParameterProblem,
}

/// How RFC 9293 section 3.9.2.2 classes an ICMP error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Severity {
    /// The connection lives on.
    Soft,
    /// The connection should be aborted; RFC 5461 has stacks that do so only before it is synchronized.
    Hard,
    /// To be discarded.
    Quench,
}

impl IcmpError {
    /// Every error.
    pub const ALL: [IcmpError; 9] = [
        IcmpError::NetUnreachable,
        IcmpError::HostUnreachable,
        IcmpError::ProtocolUnreachable,
        IcmpError::PortUnreachable,
        IcmpError::SourceRouteFailed,
        IcmpError::SourceQuench,
        IcmpError::HopLimitExceeded,
        IcmpError::ReassemblyTimeExceeded,
        IcmpError::ParameterProblem,
    ];

    /// Its class. The section lists no hard error of ICMPv6; "port unreachable" is one by RFC 5461 section 2, to which it refers.
    #[must_use]
    pub fn severity(self) -> Severity {
        match self {
            IcmpError::NetUnreachable
            | IcmpError::HostUnreachable
            | IcmpError::SourceRouteFailed
            | IcmpError::HopLimitExceeded
            | IcmpError::ReassemblyTimeExceeded
            | IcmpError::ParameterProblem => Severity::Soft,
            IcmpError::ProtocolUnreachable | IcmpError::PortUnreachable => Severity::Hard,
            IcmpError::SourceQuench => Severity::Quench,
        }
    }

    /// The rule about its class.
    #[must_use]
    pub fn rule(self) -> RuleId {
        match self.severity() {
            Severity::Soft => rules::ICMP_SOFT,
            Severity::Hard => rules::ICMP_HARD,
            Severity::Quench => rules::SOURCE_QUENCH,
        }
    }
}
