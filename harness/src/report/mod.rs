//! What people and programs are told of a run.
//!
//! [`exchange`] turns a trace into lines with relative numbers; [`ladder`] draws them, [`snapshot`](crate::snapshot) stores them.

pub mod exchange;
pub mod json;
pub mod ladder;
pub mod pcapng;
pub mod text;
pub mod words;
