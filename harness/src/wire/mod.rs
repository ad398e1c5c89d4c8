//! Octets to values and back: whole IP datagrams with TCP segments or ICMP messages in them.
//!
//! ```text
//! datagram ─► read ─► Read { addresses, Segment, defects } or Skipped
//! IcmpError ─► icmp_error ─► datagram ─► read ─► quoted ─► Icmp
//! Segment  ─► build / build_into / build_odd ─► datagram
//! ```
//!
//! Every datagram becomes a value exactly once, here; nothing behind this module looks at octets again.

mod build;
mod icmp;
mod options;
mod read;

pub use build::{WireError, build, build_into, build_odd, echo_request_into};
pub use icmp::{icmp_error, quoted};
pub use options::{encode_options, parse_options};
pub use read::{Icmp, IcmpKind, Read, Skipped, Tcp, has_unfinished_checksum, read};
