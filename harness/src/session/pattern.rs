//! Octets chosen by their position in a stream, so that whoever reads them knows where they belong.

/// Whose stream, and whether it is told truly.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Pattern {
    /// What the peer sends to the stack.
    Peer,
    /// A retransmission of the peer's that lies.
    Liar,
    /// What the application over the stack writes.
    Application,
}

impl Pattern {
    /// The octet at a position of the stream, 0 for the first octet behind SYN.
    #[must_use]
    pub fn octet(self, position: u32) -> u8 {
        let salt = match self {
            Pattern::Peer => 0x9e37_79b9_u32,
            Pattern::Liar => 0x85eb_ca6b,
            Pattern::Application => 0xc2b2_ae35,
        };
        position.wrapping_add(1).wrapping_mul(salt).rotate_left(9).to_be_bytes()[0]
    }

    /// `len` octets from a position on.
    #[must_use]
    pub fn octets(self, from: u32, len: usize) -> Vec<u8> {
        (0..len).map(|i| self.octet(from.wrapping_add(u32::try_from(i).unwrap_or(u32::MAX)))).collect()
    }
}

/// A number that only a seed and a place decide (SplitMix64).
#[must_use]
pub(crate) fn mixed(seed: u64, place: u64) -> u64 {
    let mut z = seed.wrapping_add(place.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
