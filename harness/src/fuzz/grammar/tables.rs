//! Values that some comparison or some timer looks at.

use tcp_reference::segment::Flags;
use tcp_vectors::bytes;
use tcp_vectors::model::{Base, OddAddress, Oddity};

/// Flows of a script.
pub(super) const FLOWS: u8 = 3;

/// Times that a network takes, microseconds.
pub(super) const SHORT: [u64; 6] = [1_000, 10_000, 50_000, 100_000, 200_000, 400_000];

/// Round trips, microseconds.
pub(super) const TRIPS: [u64; 7] = [0, 0, 1_000, 10_000, 100_000, 300_000, 800_000];

/// Times that matter to some timer, microseconds.
pub(super) const LONG: [u64; 13] = [
    499_000,
    600_000,
    1_000_000,
    1_100_000,
    2_100_000,
    3_000_000,
    10_000_000,
    45_000_000,
    61_000_000,
    121_000_000,
    250_000_000,
    500_000_000,
    bytes::MAX_AFTER,
];

/// Offsets that matter to some comparison.
pub(super) const OFFSETS: [i32; 17] = [0, 0, 0, 1, -1, 2, -2, 10, -10, 100, -100, 1460, -1460, 65_535, -65_536, i32::MAX, i32::MIN];

pub(super) const SEQ_BASES: [Base; 6] = [Base::PeerNxt, Base::RcvNxt, Base::RcvRight, Base::RcvRight, Base::Irs, Base::Zero];
pub(super) const ACK_BASES: [Base; 5] = [Base::SndNxt, Base::SndNxt, Base::SndUna, Base::Iss, Base::Zero];

pub(super) const WINDOWS: [u16; 9] = [0, 1, 100, 536, 1000, 1460, 10_000, 40_000, 65_535];
pub(super) const SYN_WINDOWS: [u16; 7] = [65_535, 65_535, 65_535, 1000, 16_384, 100, 0];
pub(super) const LENGTHS: [u16; 9] = [1, 2, 10, 100, 536, 1000, 1460, 2000, 2920];

pub(super) const FLAGS: [Flags; 12] = [
    Flags(0x10),
    Flags(0x10),
    Flags(0x18),
    Flags(0x11),
    Flags(0x02),
    Flags(0x12),
    Flags(0x04),
    Flags(0x14),
    Flags(0x01),
    Flags(0x00),
    Flags(0x08),
    Flags(0x30),
];

pub(super) const ODDITIES: [Oddity; 13] = [
    Oddity::BadChecksum,
    Oddity::BadChecksum,
    Oddity::Fragment,
    Oddity::IpOption,
    Oddity::Truncated(10),
    Oddity::Truncated(19),
    Oddity::DataOffset(4),
    Oddity::DataOffset(15),
    Oddity::Reserved(5),
    Oddity::From(OddAddress::Broadcast),
    Oddity::From(OddAddress::Multicast),
    Oddity::From(OddAddress::Unspecified),
    Oddity::To(OddAddress::Multicast),
];
