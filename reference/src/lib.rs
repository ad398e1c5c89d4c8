//! The rules of TCP.
//!
//! A [`trace::Trace`] goes in, [`finding::Finding`]s come out: [`segment`] and [`api`] say what a stack can be given and can give,
//! [`catalogue`] names the rules, and [`judged`] says how each is judged.

pub mod api;
mod arrives;
pub mod catalogue;
pub mod finding;
pub mod icmp;
pub mod ip;
pub mod judged;
pub mod lenience;
pub mod linter;
pub mod oracle;
pub mod profile;
pub mod relation;
pub mod rules;
mod scoreboard;
pub mod segment;
pub mod seq;
pub mod stack;
pub mod state;
pub mod tcb;
pub mod trace;
