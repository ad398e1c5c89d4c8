//! Drives a stack under test.
pub mod target;
pub mod targets;
pub mod wire;
