//! What TCP's rules read of the IP header that a segment came in.

/// The fields of an IP header that a rule of TCP speaks of.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct IpHeader {
    /// IPv4's type of service, IPv6's traffic class: the DS field, and ECN's codepoint in the low two bits.
    pub traffic_class: u8,
    /// IPv4's time to live, IPv6's hop limit.
    pub hop_limit: u8,
    /// An IPv4 header with options.
    pub options: bool,
}

impl Default for IpHeader {
    fn default() -> IpHeader {
        IpHeader { traffic_class: 0, hop_limit: 64, options: false }
    }
}

impl IpHeader {
    /// ECN's codepoint.
    #[must_use]
    pub fn ecn(self) -> Codepoint {
        Codepoint::ALL[usize::from(self.traffic_class & 3)]
    }

    /// This header with another codepoint.
    #[must_use]
    pub fn with_ecn(self, codepoint: Codepoint) -> IpHeader {
        IpHeader { traffic_class: self.traffic_class & !3 | codepoint as u8, ..self }
    }

    /// The differentiated services codepoint: the DS field's six bits (RFC 2474 section 3).
    #[must_use]
    pub fn dscp(self) -> u8 {
        self.traffic_class >> 2
    }

    /// This header with another DS codepoint, of which the low six bits count.
    #[must_use]
    pub fn with_dscp(self, dscp: u8) -> IpHeader {
        IpHeader { traffic_class: dscp << 2 | self.traffic_class & 3, ..self }
    }
}

/// What the two bits of ECN say (RFC 3168 section 5).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Codepoint {
    /// The transport does not know ECN.
    #[default]
    NotEct = 0,
    /// It does: ECT(1).
    Ect1 = 1,
    /// It does: ECT(0).
    Ect0 = 2,
    /// Congestion was experienced.
    Ce = 3,
}

impl Codepoint {
    /// Every codepoint, in the order of its bits.
    pub const ALL: [Codepoint; 4] = [Codepoint::NotEct, Codepoint::Ect1, Codepoint::Ect0, Codepoint::Ce];

    /// The name that packetdrill gives it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Codepoint::NotEct => "noecn",
            Codepoint::Ect1 => "ect1",
            Codepoint::Ect0 => "ect0",
            Codepoint::Ce => "ce",
        }
    }
}
