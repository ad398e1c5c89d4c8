//! The fuzzer's engine, which the fuzz target, the tests and the benches share.
//!
//! ```text
//! octets ────► Case ─► session (target under the oracle) ─► Outcome ─► known? ─► Verdict
//! Generator ───►│                                                                  │
//!               └◄──────────────────────── minimise ◄──────────────── New ◄────────┘
//! ```

mod campaign;
mod case;
pub mod checks;
mod counters;
mod differential;
mod engine;
pub mod folder;
mod generate;
mod grammar;
mod hunt;
pub(crate) mod known;
mod minimise;
mod mutate;
mod peer;
mod random;
mod report;
mod seeds;

pub use campaign::{Campaign, Refusal};
pub use case::Case;
pub use counters::{COUNTERS, Reached, count};
pub use differential::{Differences, Differential};
pub use engine::{Departures, Discovery, Fuzzer, Known, Tally, Verdict};
pub use generate::Generator;
pub use hunt::{End, News, Plan, Progress, hunt};
pub use minimise::{Minimised, minimise, stimuli};
pub use mutate::Mutator;
pub use random::Random;
pub use report::Report;
pub use seeds::{Seed, seeds};
