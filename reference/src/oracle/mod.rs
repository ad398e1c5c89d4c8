//! The acceptor: reads a trace and says which rules the stack broke.
//!
//! Each connection has a set of explanations ([`hypothesis`]): everything that the relation permits and that fits what was seen. A segment
//! that none of them permits, or a deadline that all of them miss, is a finding; [`diagnosis`] then seeks the cheapest explanation with one
//! fault in it, names that fault's rule, and judging goes on from there.

mod arrival;
mod avoidance;
mod challenges;
mod congestion;
mod connection;
mod diagnosis;
mod ecn;
mod emission;
mod explain;
mod giving_up;
mod header;
mod host;
mod hypothesis;
mod icmp;
mod isn;
mod open;
mod options;
mod persist;
mod rto;
mod sack;
mod sack_recovery;
mod scaling;
mod stream;
mod suspects;
mod timestamps;
mod urgent;
mod user;

pub use emission::Licence;
pub use host::{Oracle, Stats};
