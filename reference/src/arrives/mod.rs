//! SEGMENT ARRIVES, a file for each subsection of RFC 9293 section 3.10.7, in the RFC's step order.

pub(crate) mod ack;
pub(crate) mod closed;
pub(crate) mod listen;
pub(crate) mod syn_sent;
pub(crate) mod synchronized;
pub(crate) mod text;
pub(crate) mod time_wait;
pub(crate) mod timestamps;
