//! Drives a stack under test.
pub mod cli;
pub mod doctor;
pub mod expectations;
pub mod file_error;
pub mod fuzz;
pub mod mutants;
pub mod profile;
pub mod protocol;
pub mod report;
pub mod run;
pub mod select;
pub mod session;
pub mod snapshot;
pub mod target;
pub mod targets;
pub mod wire;
