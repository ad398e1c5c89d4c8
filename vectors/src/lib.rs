//! Golden vectors for TCP and the language they are written in.
//!
//! Text (`.pkt`) parses to a [`model::Vector`]; its stimuli alone are a [`model::Script`].

pub mod model;
