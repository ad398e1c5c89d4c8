//! A TCP segment as values: what RFC 9293 section 3.1 lays out in octets, after the checksum has been verified and removed.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::{BitAnd, BitOr, BitOrAssign, Not};

use crate::ip::IpHeader;
use crate::seq::Seq;

/// The control bits of a header (RFC 9293 section 3.1), with the AE bit of Accurate ECN.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Flags(pub u16);

impl Flags {
    /// No control bit.
    pub const NONE: Flags = Flags(0);
    /// No more data from the sender.
    pub const FIN: Flags = Flags(1);
    /// Synchronize sequence numbers.
    pub const SYN: Flags = Flags(2);
    /// Reset the connection.
    pub const RST: Flags = Flags(4);
    /// Push function.
    pub const PSH: Flags = Flags(8);
    /// The acknowledgment field is significant.
    pub const ACK: Flags = Flags(16);
    /// The urgent pointer field is significant.
    pub const URG: Flags = Flags(32);
    /// ECN-Echo (RFC 3168).
    pub const ECE: Flags = Flags(64);
    /// Congestion window reduced (RFC 3168).
    pub const CWR: Flags = Flags(128);
    /// Accurate ECN (the former NS bit).
    pub const AE: Flags = Flags(256);

    /// The bits that the state machine of section 3.10.7 looks at.
    pub const CONTROL: Flags = Flags(1 | 2 | 4 | 16);

    /// Whether every bit of `other` is set.
    #[must_use]
    pub const fn has(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any bit of `other` is set.
    #[must_use]
    pub const fn any(self, other: Flags) -> bool {
        self.0 & other.0 != 0
    }

    /// This set without the bits of `other`.
    #[must_use]
    pub const fn without(self, other: Flags) -> Flags {
        Flags(self.0 & !other.0)
    }
}

impl BitOr for Flags {
    type Output = Flags;
    fn bitor(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
}

impl BitOrAssign for Flags {
    fn bitor_assign(&mut self, other: Flags) {
        self.0 |= other.0;
    }
}

impl BitAnd for Flags {
    type Output = Flags;
    fn bitand(self, other: Flags) -> Flags {
        Flags(self.0 & other.0)
    }
}

impl Not for Flags {
    type Output = Flags;
    fn not(self) -> Flags {
        Flags(!self.0)
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// packetdrill's letters: `S F R P . U E W A`, in the order `F S R P . U E W A` with SYN first; `-` for none.
impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("-");
        }
        for (bit, letter) in FLAG_LETTERS {
            if self.has(bit) {
                write!(f, "{letter}")?;
            }
        }
        Ok(())
    }
}

/// The letters of the vector language, in the order in which they are printed.
pub const FLAG_LETTERS: [(Flags, char); 9] = [
    (Flags::SYN, 'S'),
    (Flags::FIN, 'F'),
    (Flags::RST, 'R'),
    (Flags::PSH, 'P'),
    (Flags::ACK, '.'),
    (Flags::URG, 'U'),
    (Flags::ECE, 'E'),
    (Flags::CWR, 'W'),
    (Flags::AE, 'A'),
];

/// One TCP option, in wire order within [`Segment::options`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TcpOption {
    /// End of option list, kind 0.
    Eol,
    /// No operation, kind 1.
    Nop,
    /// Maximum segment size in octets, kind 2.
    Mss(u16),
    /// Window scale shift count, kind 3 (RFC 7323).
    WindowScale(u8),
    /// SACK permitted, kind 4 (RFC 2018).
    SackPermitted,
    /// SACK blocks `[left, right)`, kind 5 (RFC 2018).
    Sack(Vec<(Seq, Seq)>),
    /// Timestamps, kind 8 (RFC 7323).
    Timestamps {
        /// TSval, the sender's clock.
        val: u32,
        /// TSecr, the echoed value.
        ecr: u32,
    },
    /// Any other option with a legal length: its kind and the octets after the length octet.
    Other {
        /// The option's kind.
        kind: u8,
        /// The octets behind kind and length.
        data: Vec<u8>,
    },
    /// Octets that do not parse as an option (an illegal length, RFC 9293 MUST-7), up to the end of the header.
    IllFormed(Vec<u8>),
}

impl TcpOption {
    /// The octets that it takes in a header, without padding.
    #[must_use]
    pub fn octets(&self) -> usize {
        match self {
            TcpOption::Eol | TcpOption::Nop => 1,
            TcpOption::Mss(_) => 4,
            TcpOption::WindowScale(_) => 3,
            TcpOption::SackPermitted => 2,
            TcpOption::Sack(blocks) => 2 + 8 * blocks.len(),
            TcpOption::Timestamps { .. } => 10,
            TcpOption::Other { data, .. } => 2 + data.len(),
            TcpOption::IllFormed(octets) => octets.len(),
        }
    }

    /// The option's kind; none where the octets are no option.
    #[must_use]
    pub fn kind(&self) -> Option<u8> {
        match self {
            TcpOption::Eol => Some(0),
            TcpOption::Nop => Some(1),
            TcpOption::Mss(_) => Some(2),
            TcpOption::WindowScale(_) => Some(3),
            TcpOption::SackPermitted => Some(4),
            TcpOption::Sack(_) => Some(5),
            TcpOption::Timestamps { .. } => Some(8),
            TcpOption::Other { kind, .. } => Some(*kind),
            TcpOption::IllFormed(_) => None,
        }
    }
}

/// A segment: the fields of both headers that TCP's rules read, and its text.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Segment {
    /// SEG.SEQ.
    pub seq: Seq,
    /// SEG.ACK, the field as sent; significant only with [`Flags::ACK`].
    pub ack: Seq,
    /// The control bits.
    pub flags: Flags,
    /// The window field as on the wire, in units of the sender's scale.
    pub window: u16,
    /// The urgent pointer field; significant only with [`Flags::URG`].
    pub urgent: u16,
    /// The options in wire order.
    pub options: Vec<TcpOption>,
    /// The text.
    pub payload: Vec<u8>,
    /// The IP header in front.
    pub ip: IpHeader,
}

impl Segment {
    /// `<SEQ=seq><CTL=SYN>`.
    #[must_use]
    pub fn syn(seq: Seq) -> Segment {
        Segment::control(seq, Flags::SYN)
    }

    /// `<SEQ=seq><CTL=RST>`.
    #[must_use]
    pub fn rst(seq: Seq) -> Segment {
        Segment::control(seq, Flags::RST)
    }

    /// `<SEQ=seq><ACK=ack><CTL=ACK>`.
    #[must_use]
    pub fn pure_ack(seq: Seq, ack: Seq) -> Segment {
        Segment::control(seq, Flags::NONE).with_ack(ack)
    }

    /// `<SEQ=seq><ACK=ack><CTL=FIN,ACK>`.
    #[must_use]
    pub fn fin(seq: Seq, ack: Seq) -> Segment {
        Segment::control(seq, Flags::FIN).with_ack(ack)
    }

    /// A segment without text or options.
    #[must_use]
    pub fn control(seq: Seq, flags: Flags) -> Segment {
        Segment { seq, flags, ..Segment::default() }
    }

    /// This segment with the ACK bit and field set.
    #[must_use]
    pub fn with_ack(mut self, ack: Seq) -> Segment {
        self.flags |= Flags::ACK;
        self.ack = ack;
        self
    }

    /// This segment with a window field.
    #[must_use]
    pub fn with_window(mut self, window: u16) -> Segment {
        self.window = window;
        self
    }

    /// This segment with text.
    #[must_use]
    pub fn with_text(mut self, text: &[u8]) -> Segment {
        self.payload = text.to_vec();
        self
    }

    /// This segment with one more option at the end.
    #[must_use]
    pub fn with_option(mut self, option: TcpOption) -> Segment {
        self.options.push(option);
        self
    }

    /// SEG.LEN: octets of text, plus one each for SYN and FIN (RFC 9293 section 3.3.1).
    #[must_use]
    pub fn len(&self) -> u32 {
        let controls = u32::from(self.flags.has(Flags::SYN)) + u32::from(self.flags.has(Flags::FIN));
        u32::try_from(self.payload.len()).unwrap_or(u32::MAX - 2) + controls
    }

    /// Whether SEG.LEN is zero.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// SEG.SEQ + SEG.LEN, the number after the last one occupied.
    #[must_use]
    pub fn end(&self) -> Seq {
        self.seq + self.len()
    }

    /// The number of the first octet of text.
    #[must_use]
    pub fn text_start(&self) -> Seq {
        self.seq + u32::from(self.is_syn())
    }

    /// The number after the last octet of text.
    #[must_use]
    pub fn text_end(&self) -> Seq {
        self.end() - u32::from(self.is_fin())
    }

    /// Whether SYN is set.
    #[must_use]
    pub fn is_syn(&self) -> bool {
        self.flags.has(Flags::SYN)
    }

    /// Whether FIN is set.
    #[must_use]
    pub fn is_fin(&self) -> bool {
        self.flags.has(Flags::FIN)
    }

    /// Whether RST is set.
    #[must_use]
    pub fn is_rst(&self) -> bool {
        self.flags.has(Flags::RST)
    }

    /// Whether ACK is set.
    #[must_use]
    pub fn is_ack(&self) -> bool {
        self.flags.has(Flags::ACK)
    }

    /// The options as a receiver reads them: up to the end of the list.
    fn read_options(&self) -> impl Iterator<Item = &TcpOption> {
        self.options.iter().take_while(|o| **o != TcpOption::Eol)
    }

    /// The value of the first MSS option.
    #[must_use]
    pub fn mss(&self) -> Option<u16> {
        self.read_options().find_map(|o| if let TcpOption::Mss(n) = o { Some(*n) } else { None })
    }

    /// The shift count of the first window scale option.
    #[must_use]
    pub fn window_scale(&self) -> Option<u8> {
        self.read_options().find_map(|o| if let TcpOption::WindowScale(n) = o { Some(*n) } else { None })
    }

    /// TSval and TSecr of the first timestamps option.
    #[must_use]
    pub fn timestamps(&self) -> Option<(u32, u32)> {
        self.read_options().find_map(|o| if let TcpOption::Timestamps { val, ecr } = o { Some((*val, *ecr)) } else { None })
    }

    /// Octets that the options take in the header, padding included.
    #[must_use]
    pub fn options_len(&self) -> usize {
        self.options.iter().map(TcpOption::octets).sum::<usize>().next_multiple_of(4)
    }

    /// Whether SACK is offered.
    #[must_use]
    pub fn sack_permitted(&self) -> bool {
        self.read_options().any(|o| *o == TcpOption::SackPermitted)
    }
}

/// packetdrill's form with absolute numbers: `S. 7:7(0) ack 9 win 100`.
impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}:{}({})", self.flags, self.seq, self.seq + u32::try_from(self.payload.len()).unwrap_or(0), self.payload.len())?;
        if self.is_ack() {
            write!(f, " ack {}", self.ack)?;
        }
        write!(f, " win {}", self.window)?;
        if self.flags.has(Flags::URG) {
            write!(f, " urg {}", self.urgent)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A connection's two ends, as the stack under test names them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Tuple {
    /// The end of the stack under test.
    pub local: SocketAddr,
    /// The peer's end.
    pub remote: SocketAddr,
}

impl Tuple {
    /// Whether TCP must not answer a segment with these addresses at all (RFC 9293 MUST-57, MUST-63; RFC 1122 section 4.2.3.10):
    /// either end is a broadcast, multicast or unspecified address.
    #[must_use]
    pub fn is_not_unicast(&self) -> bool {
        fn not_unicast(ip: IpAddr) -> bool {
            match ip {
                IpAddr::V4(a) => a.is_multicast() || a.is_broadcast() || a.is_unspecified(),
                IpAddr::V6(a) => a.is_multicast() || a.is_unspecified(),
            }
        }
        not_unicast(self.local.ip()) || not_unicast(self.remote.ip())
    }
}
