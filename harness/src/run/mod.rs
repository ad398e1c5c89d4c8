//! Runs vectors on a target, several side by side, and weighs what came out against what is known of the target.
//!
//! ```text
//! Items ─► workers (a target each) ─► Outcomes ─► Verdicts (expected or not) ─► report
//! ```

mod verdict;

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use tcp_reference::finding::Class;
use tcp_reference::profile::Profile;

use crate::profile::profile_for;
use crate::select::Item;
use crate::session::{self, Options, Outcome};
use crate::target::{Capabilities, Clock, Target, TargetError};
use crate::targets::{TargetOptions, open, panics};
pub use verdict::{Death, Happened, Judged, Stale, Strictness, Summary, Verdict, weigh};

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
    /// What the oracle is told of the target; `None` takes the profile of the target's name.
    pub profile: Option<Profile>,
}

/// A vector's outcome, with its place among the items.
#[derive(Clone, Debug)]
pub struct Done {
    /// Index into the items.
    pub item: usize,
    /// What came out.
    pub outcome: Outcome,
}

/// What a target is and can do.
///
/// # Errors
/// It cannot run here.
pub fn capabilities(settings: &Settings) -> Result<Capabilities, TargetError> {
    Ok(open(&settings.target, &TargetOptions::default())?.capabilities().clone())
}

/// Runs all items; `each` is told of every outcome as it comes, in no fixed order.
///
/// # Errors
/// The target cannot run here, or not one worker could be started. Where there is no room for as many as were asked for there are fewer, and
/// the capabilities' settings say so.
pub fn run(
    items: &[Item],
    settings: &Settings,
    capabilities: &mut Capabilities,
    mut each: impl FnMut(&Done),
) -> Result<Vec<Done>, TargetError> {
    let jobs = match (capabilities.alone, capabilities.clock) {
        (true, _) => 1,
        (false, Clock::Virtual) => settings.jobs.unwrap_or_else(processors),
        (false, Clock::Real) => settings.jobs.unwrap_or(WIDE),
    };
    // The longest waits first, so that all the others pass meanwhile.
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by_key(|&i| std::cmp::Reverse(items[i].vector.steps.iter().map(|s| s.until.unwrap_or(s.after)).sum::<u64>()));
    let work = Work { items, settings, queue: Mutex::new(VecDeque::from(order)), surplus: AtomicUsize::new(0) };
    let (outbox, inbox) = channel();
    let mut done = Vec::with_capacity(items.len());
    let mut take = |one: Done| {
        each(&one);
        done.push(one);
    };
    let jobs = jobs.clamp(1, items.len().max(1));
    thread::scope(|scope| {
        let (mut workers, mut refusal) = (0, None);
        // One after the other, so that where there is no room for all, those that have begun keep what they need.
        while workers < jobs && refusal.is_none() {
            refusal = hire(scope, &work, &outbox).err().or_else(|| {
                loop {
                    match inbox.recv() {
                        Ok(News::Done(one)) => take(*one),
                        Ok(News::Opened) => return None,
                        Ok(News::Refused(error)) => return Some(error),
                        Err(_) => return Some(TargetError::Harness("a worker ended without a word".to_owned())),
                    }
                }
            });
            workers += usize::from(refusal.is_none());
        }
        drop(outbox);
        if let Some(refusal) = refusal {
            if workers == 0 {
                return Err(refusal);
            }
            // A target may have to be opened again; what a quarter of them give back is room for that.
            let leave = if workers > 1 { workers.div_ceil(4) } else { 0 };
            work.surplus.store(leave, Ordering::Relaxed);
            let why = refusal.why();
            capabilities.settings.push(format!("{} at a time, not {jobs}, for want of room: {why}", workers - leave));
        }
        for news in inbox {
            if let News::Done(one) = news {
                take(*one);
            }
        }
        Ok(())
    })?;
    if done.len() < items.len() {
        let missing = items.len() - done.len();
        return Err(TargetError::Harness(format!("{missing} vectors were not run: every worker has ended")));
    }
    done.sort_by_key(|d| d.item);
    Ok(done)
}

/// How much is done side by side where nothing waits: the processors that there are.
#[must_use]
pub fn processors() -> usize {
    thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// What the workers share.
struct Work<'a> {
    items: &'a [Item],
    settings: &'a Settings,
    queue: Mutex<VecDeque<usize>>,
    /// How many workers are to end before their next vector.
    surplus: AtomicUsize,
}

/// What a worker says: first whether its target is open.
enum News {
    Opened,
    Refused(TargetError),
    Done(Box<Done>),
}

/// Starts one worker; what it says comes through the outbox.
fn hire<'scope>(scope: &'scope thread::Scope<'scope, '_>, work: &'scope Work<'_>, outbox: &Sender<News>) -> Result<(), TargetError> {
    let outbox = outbox.clone();
    let body = move || {
        // Whatever happens, the other side must not wait for ever.
        if let Err(text) = panics::catch(|| worker(work, &outbox)) {
            let _gone = outbox.send(News::Refused(TargetError::Harness(format!("a worker panicked: {text}"))));
        }
    };
    let spawned = thread::Builder::new().name("worker".to_owned()).spawn_scoped(scope, body);
    let remedy = "allow more processes (ulimit -u, systemd's TasksMax, a container's pids limit) or give fewer --jobs";
    spawned.map(|_| ()).map_err(|error| TargetError::Harness(format!("no thread for a worker: {error}; {remedy}")))
}

fn worker(work: &Work<'_>, outbox: &Sender<News>) {
    let Work { items, settings, queue, surplus } = work;
    let mut target = match open(&settings.target, &TargetOptions::default()) {
        Ok(target) => target,
        Err(error) => {
            let _gone = outbox.send(News::Refused(error));
            return;
        }
    };
    if outbox.send(News::Opened).is_err() {
        return;
    }
    loop {
        if surplus.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok() {
            return;
        }
        let next = queue.lock().map_or(None, |mut q| q.pop_front());
        let Some((i, item)) = next.and_then(|i| items.get(i).map(|item| (i, item))) else { return };
        let outcome = patiently(target.as_mut(), item, settings);
        if matches!(outcome.class, Class::Crash | Class::Hang | Class::NotPerformed)
            && !target.capabilities().alone
            && let Ok(fresh) = open(&settings.target, &TargetOptions::default())
        {
            target = fresh;
        }
        if outbox.send(News::Done(Box::new(Done { item: i, outcome }))).is_err() {
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

/// Runs one vector on an open target. A panic of the oracle or the session is a vector that was not performed.
#[must_use]
pub fn perform(target: &mut dyn Target, item: &Item, settings: &Settings) -> Outcome {
    let profile = settings.profile.clone().unwrap_or_else(|| profile_for(&target.capabilities().name));
    let mut options = Options::new(item.family, settings.seed, profile, target.capabilities().clock);
    options.timeout = settings.timeout;
    panics::catch(|| session::run_vector(target, &item.vector, &options))
        .unwrap_or_else(|text| Outcome::not_performed(format!("a fault of the harness, please report it: {text}")))
}

/// Vectors side by side on a real clock, where waits are real.
const WIDE: usize = 32;
/// How often a vector is run while the machine holds the harness up.
const MOST_TRIES: u32 = 8;
