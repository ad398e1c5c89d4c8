//! Runs vectors on a target, several side by side, and weighs what came out against what is known of the target.
//!
//! ```text
//! Items ─► workers (a target each) ─► Outcomes ─► Verdicts (expected or not) ─► report
//! ```

mod verdict;

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use tcp_reference::finding::Class;

use crate::select::Item;
use crate::session::{self, Options, Outcome};
use crate::target::{Capabilities, Clock, Target, TargetError};
use crate::targets::{TargetOptions, open};
pub use verdict::{Judged, Stale, Strictness, Summary, Verdict, weigh};

/// How to run vectors.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The target's name.
    pub target: String,
    /// Vectors side by side; `None` takes what suits the target's clock.
    pub jobs: Option<usize>,
    /// Decides the peer's ISNs and the target's own randomness.
    pub seed: u64,
    /// Longest time for one vector.
    pub timeout: Duration,
}

/// A vector's outcome, with its place among the items.
#[derive(Clone, Debug)]
pub struct Done {
    /// Index into the items.
    pub item: usize,
    /// What came out.
    pub outcome: Outcome,
}

/// Runs all items; `each` is told of every outcome as it comes, in no fixed order.
///
/// # Errors
/// The target cannot run here, or a worker could not be started.
pub fn run(items: &[Item], settings: &Settings, mut each: impl FnMut(&Done)) -> Result<(Capabilities, Vec<Done>), TargetError> {
    let first = open(&settings.target, &TargetOptions::default())?;
    let capabilities = first.capabilities().clone();
    drop(first);
    let jobs = settings.jobs.unwrap_or(match capabilities.clock {
        Clock::Virtual => thread::available_parallelism().map_or(1, std::num::NonZero::get),
        Clock::Real => WIDE,
    });
    // The longest waits first, so that all the others pass meanwhile.
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by_key(|&i| std::cmp::Reverse(items[i].vector.steps.iter().map(|s| s.until.unwrap_or(s.after)).sum::<u64>()));
    let queue = Mutex::new(VecDeque::from(order));
    let (outbox, inbox) = channel();
    let mut done = Vec::with_capacity(items.len());
    thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, items.len().max(1)) {
            let outbox = outbox.clone();
            let queue = &queue;
            scope.spawn(move || worker(items, settings, queue, &outbox));
        }
        drop(outbox);
        for one in inbox {
            let one: Done = one?;
            each(&one);
            done.push(one);
        }
        Ok::<(), TargetError>(())
    })?;
    done.sort_by_key(|d| d.item);
    Ok((capabilities, done))
}

fn worker(items: &[Item], settings: &Settings, queue: &Mutex<VecDeque<usize>>, outbox: &Sender<Result<Done, TargetError>>) {
    let mut target = match open(&settings.target, &TargetOptions::default()) {
        Ok(target) => target,
        Err(error) => {
            let _gone = outbox.send(Err(error));
            return;
        }
    };
    loop {
        let next = queue.lock().map_or(None, |mut q| q.pop_front());
        let Some((i, item)) = next.and_then(|i| items.get(i).map(|item| (i, item))) else { return };
        let outcome = patiently(target.as_mut(), item, settings);
        if matches!(outcome.class, Class::Crash | Class::Hang | Class::NotPerformed)
            && let Ok(fresh) = open(&settings.target, &TargetOptions::default())
        {
            target = fresh;
        }
        if outbox.send(Ok(Done { item: i, outcome })).is_err() {
            return;
        }
    }
}

/// Runs a vector; where the machine held the harness up, which is nobody's fault, again.
fn patiently(target: &mut dyn Target, item: &Item, settings: &Settings) -> Outcome {
    let mut tries = 0;
    loop {
        tries += 1;
        let outcome = perform(target, item, settings);
        let stalled = outcome.trace.events.iter().any(|e| e.what == tcp_reference::trace::What::Stall);
        if !stalled || tries == MOST_TRIES {
            return outcome;
        }
    }
}

/// Runs one vector on an open target.
#[must_use]
pub fn perform(target: &mut dyn Target, item: &Item, settings: &Settings) -> Outcome {
    let profile = session::profile_for(&settings.target);
    let mut options = Options::new(item.family, settings.seed, profile, target.capabilities().clock);
    options.timeout = settings.timeout;
    session::run_vector(target, &item.vector, &options)
}

/// Vectors side by side on a real clock, where waits are real.
const WIDE: usize = 32;
/// How often a vector is run while the machine holds the harness up.
const MOST_TRIES: u32 = 3;
