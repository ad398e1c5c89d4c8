//! Drives a stack under test.
pub mod doctor;
pub mod target;
pub mod targets;
pub mod wire;
