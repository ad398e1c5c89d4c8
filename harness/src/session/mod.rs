//! Applies a vector's or script's steps to a target and writes down what happened.
//!
//! ```text
//! steps ─► Session ─► Target ─► replies ─► Trace ─► Oracle (read online: when to stop waiting, what a MAY explains)
//!            ▲                                │
//!            └── View (numbers on the wire) ◄─┘
//! ```
//!
//! The session holds no rule of TCP. Numbers are resolved from the trace, never from the oracle.

mod call;
mod drive;
mod expect;
mod inject;
mod pattern;
mod view;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use tcp_reference::api::{Family, Micros};
use tcp_reference::catalogue::{self, RuleId};
use tcp_reference::finding::{Class, Finding};
use tcp_reference::oracle::Stats;
use tcp_reference::profile::Profile;
use tcp_reference::trace::Trace;
use tcp_vectors::model::{Script, Step, StepKind, Vector};

use crate::target::{Target, TargetError};
use drive::Session;

pub use pattern::Pattern;
pub use view::{View, peer_isn};

/// How to run steps.
#[derive(Clone, Debug)]
pub struct Options {
    /// IP version.
    pub family: Family,
    /// Decides the peer's ISN and the target's own randomness.
    pub seed: u64,
    /// What the oracle is told of the target.
    pub profile: Profile,
    /// Whether the state of every connection is asked for after each step, for the oracle to compare.
    pub check_state: bool,
    /// Longest time that a run may take on the machine's clock.
    pub timeout: Duration,
    /// Whether waits of the RFC's 2MSL or more are made the target's own.
    pub scale_time_wait: bool,
    /// How long a run goes on behind its last step where nothing is owed.
    pub tail: Micros,
    /// How long it goes on at most where something is owed.
    pub longest_tail: Micros,
}

impl Options {
    /// The options for a golden vector on a target with this profile and this clock.
    #[must_use]
    pub fn new(family: Family, seed: u64, profile: Profile, clock: crate::target::Clock) -> Options {
        let (tail, longest_tail) = match clock {
            crate::target::Clock::Virtual => (3_000_000, 130_000_000),
            crate::target::Clock::Real => (500_000, 4_000_000),
        };
        Options { family, seed, profile, check_state: true, scale_time_wait: false, timeout: Duration::from_secs(200), tail, longest_tail }
    }
}

/// What a run gave.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What happened.
    pub trace: Trace,
    /// The oracle's findings and the session's own, in the order of their events.
    pub findings: Vec<Finding>,
    /// Where the stack had a choice, the way that it took: findings of class `variant`, which are no faults.
    pub variants: Vec<Finding>,
    /// Failed assertions that are plainly consequences of findings of the oracle.
    pub echoes: Vec<Echo>,
    /// How much was judged.
    pub stats: Stats,
    /// How the run as a whole counts.
    pub class: Class,
    /// Why it is inconclusive, unsupported or not performed, or how the stack died.
    pub reason: Option<String>,
    /// The flows' views at the end, flow 0 first, with their ends.
    pub flows: Vec<Flow>,
    /// What a peer knew of a flow when a step's numbers were resolved.
    pub views: Vec<Resolved>,
    /// Segments to the stack whose SEG.SEQ was written by its distance from the right edge: index into the trace, and that distance.
    pub edges: HashMap<usize, i32>,
    /// Octets by which the stack's process has grown, where that is more than any script can account for (`fuzz::engine`).
    pub grown: Option<u64>,
    /// The target's clock at the end.
    pub now: Micros,
    /// How long it took on the machine's clock.
    pub took: Duration,
}

impl Outcome {
    /// Of a vector that was not performed for a reason that lies beyond the session.
    #[must_use]
    pub fn not_performed(reason: String) -> Outcome {
        Outcome {
            trace: Trace::default(),
            findings: Vec::new(),
            variants: Vec::new(),
            echoes: Vec::new(),
            stats: Stats::default(),
            class: Class::NotPerformed,
            reason: Some(reason),
            flows: Vec::new(),
            views: Vec::new(),
            edges: HashMap::new(),
            grown: None,
            now: 0,
            took: Duration::ZERO,
        }
    }
}

/// A failed assertion at the event of a finding of the oracle, or behind the stimulus that led to it. It says nothing new, unless those
/// findings are known of the target: what is known hides nothing but the same rule in the same exchange.
#[derive(Clone, Debug)]
pub struct Echo {
    /// The failed assertion.
    pub finding: Finding,
    /// The places of the oracle's findings among the outcome's.
    pub of: Vec<usize>,
    /// Whether one of them says that the same rule was broken in the same exchange.
    pub same: bool,
}

/// A flow of a run.
#[derive(Clone, Debug)]
pub struct Flow {
    /// The flow's number in the vector.
    pub number: u8,
    /// Its ends.
    pub tuple: tcp_reference::segment::Tuple,
    /// What its peer knows of it.
    pub view: View,
}

/// A flow's view as a step's numbers were resolved by it.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The step's line.
    pub line: u32,
    /// The flow.
    pub flow: u8,
    /// What its peer knew.
    pub view: View,
}

/// Runs a vector with its assertions.
#[must_use]
pub fn run_vector(target: &mut dyn Target, vector: &Vector, options: &Options) -> Outcome {
    let rules = || vector.header.rules.iter().filter_map(|id| catalogue::rule(id));
    let scale_time_wait = options.scale_time_wait || rules().any(|r| r.topic == "timewait");
    let options = Options { scale_time_wait, ..options.clone() };
    if vector.header.needs.iter().any(|n| n == VIRTUAL_CLOCK) && target.capabilities().clock == crate::target::Clock::Real {
        let session = Session::new(target, &[], None, &options, Instant::now());
        return session.outcome(Some(Stop::Unsupported("its waits are too long for a real clock".to_owned())));
    }
    let rules: Vec<RuleId> = rules().map(|r| r.id).collect();
    run_steps(target, &vector.steps, Some(if rules.is_empty() { vec![ASSERTION] } else { rules }), &options)
}

/// What a vector needs whose waits nobody would sit out.
const VIRTUAL_CLOCK: &str = "virtual-clock";
/// What a failed assertion counts under where its vector names no rule of the catalogue: it is a finding all the same.
pub const ASSERTION: RuleId = RuleId("vector:assertion");

/// Runs a script: stimuli alone, and what makes no sense in it is passed over.
#[must_use]
pub fn run_script(target: &mut dyn Target, script: &Script, options: &Options) -> Outcome {
    run_steps(target, &script.steps, None, options)
}

/// Runs steps. With rules they are a vector's: a failed assertion counts under the first, and a step that cannot be performed ends the run as not
/// performed. Without them they are a script's, whose steps are cut and put together at random: what makes no sense is passed over.
#[must_use]
pub fn run_steps(target: &mut dyn Target, steps: &[Step], rules: Option<Vec<RuleId>>, options: &Options) -> Outcome {
    let started = Instant::now();
    let mut session = Session::new(target, steps, rules, options, started);
    let ended = session.start(steps).and_then(|()| session.all(steps)).and_then(|()| session.finish());
    session.outcome(ended.err())
}

/// Why a run ended before its last step.
#[derive(Clone, Debug)]
pub(crate) enum Stop {
    /// The target gave no answer.
    Target(TargetError),
    /// The target says that it has no such call.
    Unsupported(String),
    /// A stimulus did not come about.
    NotPerformed(String),
    /// The oracle cannot tell any more.
    Inconclusive(String),
}

impl From<TargetError> for Stop {
    fn from(error: TargetError) -> Stop {
        Stop::Target(error)
    }
}

/// The indices of steps that arrive together with the one before them.
fn joined(steps: &[Step]) -> usize {
    let is_joined = |s: &&Step| matches!(&s.kind, StepKind::Inject(spec) if spec.joined);
    steps.iter().take_while(is_joined).count()
}
