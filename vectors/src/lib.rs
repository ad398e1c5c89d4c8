//! Golden vectors for TCP and the language they are written in.
//!
//! Text (`.pkt`) parses to a [`model::Vector`]; its stimuli alone are a [`model::Script`]. A template (`.pkt.tmpl`) expands to texts first.
//!
//! ```text
//! .pkt.tmpl --template::expand--> .pkt text <--parse / print--> Vector --script()--> Script <--bytes--> a fuzzer's octets
//!                                                                  \--lint--> what is wrong, and whether packetdrill can run it
//! ```

pub mod bytes;
mod diagnostic;
mod golden;
pub mod lint;
pub mod model;
pub mod parse;
pub mod print;
pub mod template;

pub use diagnostic::ParseError;
pub use golden::{Golden, golden};
