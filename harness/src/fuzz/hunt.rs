//! Several fuzzers side by side, without libFuzzer: what `harness fuzz` runs.
//!
//! Each job has its own target, its own random scripts, and keeps those that reach something new (see [`Reached`]). One job with a number of steps gives
//! the same from run to run.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::random::mixed;
use super::{Case, Discovery, Fuzzer, Generator, Reached, Report, Tally, Verdict};
use crate::target::TargetError;

/// What to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Decides every job's scripts.
    pub seed: u64,
    /// Fuzzers side by side.
    pub jobs: usize,
    /// When it ends by itself.
    pub end: End,
    /// Cases to begin with beside the vectors: what earlier runs kept.
    pub corpus: Vec<Case>,
    /// How long the stack may take for one case before it counts as hung.
    pub patience: Duration,
}

/// When a hunt ends by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// After so long.
    After(Duration),
    /// When so many steps were made, by all jobs together.
    Steps(u64),
}

/// Something that a job tells.
#[derive(Debug)]
pub enum News {
    /// A way to break a rule that is not known of the target, minimised.
    Found(Box<Report>),
    /// A case that reached something that its job had not seen before.
    Kept(Case),
    /// The stack does not come back from this case; its job goes on with a fresh target.
    Hangs(Case),
    /// Cases that were not performed, by the harness's own failing.
    NotPerformed(String),
    /// A job cannot go on.
    Failed(TargetError),
}

/// How far a hunt has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    /// Steps made.
    pub steps: u64,
    /// Cases run.
    pub cases: u64,
    /// How many kinds of answers were met: state, event and answer as the wire shows them.
    pub reached: usize,
    /// Time since it began.
    pub elapsed: Duration,
}

/// What a job shows of itself while it runs.
#[derive(Default)]
struct Slot {
    /// Milliseconds since the beginning at which the case began that runs now; 0 for none.
    begun: AtomicU64,
    case: Mutex<Option<Case>>,
    steps: AtomicU64,
    cases: AtomicU64,
    /// Its target hung: it is not waited for.
    lost: AtomicBool,
}

/// What all jobs share.
struct Common {
    plan: Plan,
    began: Instant,
    stop: AtomicBool,
    reached: Mutex<Reached>,
}

type Opener = Arc<dyn Fn() -> Result<Fuzzer, TargetError> + Send + Sync>;

/// Runs until its plan's end or until `stopped` says so. `open` gives a fuzzer for each job; `tell` hears what they find, `watch` now and then how far
/// they are. Gives the tallies of all jobs, in their order.
pub fn hunt(
    plan: Plan,
    open: impl Fn() -> Result<Fuzzer, TargetError> + Send + Sync + 'static,
    stopped: &AtomicBool,
    mut tell: impl FnMut(News),
    mut watch: impl FnMut(Progress),
) -> Vec<Tally> {
    let open: Opener = Arc::new(open);
    let jobs = plan.jobs.max(1);
    let patience = u64::try_from(plan.patience.as_millis()).unwrap_or(u64::MAX);
    let common = Arc::new(Common { plan, began: Instant::now(), stop: AtomicBool::new(false), reached: Mutex::default() });
    let (news, heard) = channel();
    let (done, tallies) = channel();
    let mut slots: Vec<Arc<Slot>> = Vec::new();
    let mut places: Vec<usize> = Vec::new();
    for job in 0..jobs {
        places.push(slots.len());
        slots.push(start(&common, &open, job, 0, &news, &done));
    }
    let mut finished: Vec<(usize, Tally)> = Vec::new();
    let mut running = jobs;
    let mut hangs = 0;
    while running > 0 {
        listen(&heard, &mut tell);
        if stopped.load(Ordering::Relaxed) {
            common.stop.store(true, Ordering::Relaxed);
        }
        while let Ok((job, tally)) = tallies.try_recv() {
            finished.push((job, tally));
            running -= 1;
        }
        for job in 0..jobs {
            let slot = &slots[places[job]];
            let begun = slot.begun.load(Ordering::Relaxed);
            if begun == 0 || common.now().saturating_sub(begun) < patience {
                continue;
            }
            slot.lost.store(true, Ordering::Relaxed);
            slot.begun.store(0, Ordering::Relaxed);
            if let Some(case) = slot.case.lock().unwrap_or_else(PoisonError::into_inner).clone() {
                tell(News::Hangs(case));
            }
            hangs += 1;
            if hangs >= MOST_HANGS || common.stop.load(Ordering::Relaxed) {
                running -= 1;
                continue;
            }
            places[job] = slots.len();
            slots.push(start(&common, &open, job, slots.len(), &news, &done));
        }
        watch(common.progress(&slots));
    }
    listen(&heard, &mut tell);
    watch(common.progress(&slots));
    finished.sort_by_key(|(job, _)| *job);
    finished.into_iter().map(|(_, tally)| tally).collect()
}

/// Hears what there is, waiting a little for the first.
fn listen(heard: &Receiver<News>, tell: &mut impl FnMut(News)) {
    match heard.recv_timeout(LOOK) {
        Ok(news) => tell(news),
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
    }
    while let Ok(news) = heard.try_recv() {
        tell(news);
    }
}

/// Starts a job; `life` tells the lives of one job apart, for each target that hung.
fn start(common: &Arc<Common>, open: &Opener, job: usize, life: usize, news: &Sender<News>, done: &Sender<(usize, Tally)>) -> Arc<Slot> {
    let slot = Arc::new(Slot::default());
    let (common, open, news, done, own) = (Arc::clone(common), Arc::clone(open), news.clone(), done.clone(), Arc::clone(&slot));
    thread::spawn(move || {
        let tally = match open() {
            Ok(fuzzer) => common.work(fuzzer, job, life, &own, &news),
            Err(error) => {
                let _gone = news.send(News::Failed(error));
                Tally::default()
            }
        };
        if !own.lost.load(Ordering::Relaxed) {
            let _gone = done.send((job, tally));
        }
    });
    slot
}

impl Common {
    fn now(&self) -> u64 {
        1 + u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX - 1)
    }

    fn progress(&self, slots: &[Arc<Slot>]) -> Progress {
        Progress {
            steps: slots.iter().map(|s| s.steps.load(Ordering::Relaxed)).sum(),
            cases: slots.iter().map(|s| s.cases.load(Ordering::Relaxed)).sum(),
            reached: self.reached.lock().unwrap_or_else(PoisonError::into_inner).kinds(),
            elapsed: self.began.elapsed(),
        }
    }

    fn over(&self, steps: u64) -> bool {
        let own = match self.plan.end {
            End::After(time) => self.began.elapsed() >= time,
            End::Steps(all) => steps >= all.div_ceil(u64::try_from(self.plan.jobs.max(1)).unwrap_or(1)),
        };
        own || self.stop.load(Ordering::Relaxed)
    }

    fn work(&self, mut fuzzer: Fuzzer, job: usize, life: usize, slot: &Slot, news: &Sender<News>) -> Tally {
        let lives = (u64::try_from(life).unwrap_or(0) << 32) | u64::try_from(job).unwrap_or(0);
        let mut generator = Generator::new(mixed(self.plan.seed ^ mixed(lives)));
        for case in &self.plan.corpus {
            generator.keep(case.script.clone());
        }
        let mut reached = Reached::default();
        while !self.over(fuzzer.tally().steps) {
            let case = generator.case();
            *slot.case.lock().unwrap_or_else(PoisonError::into_inner) = Some(case.clone());
            slot.begun.store(self.now(), Ordering::Relaxed);
            let mut more = false;
            let verdict = fuzzer.judge_counted(&case, |trace| more = reached.more(trace));
            let gone = match verdict {
                Verdict::Nothing | Verdict::Known => false,
                Verdict::New(discovery) => self.found(&mut fuzzer, &discovery, slot, news),
                Verdict::NotPerformed(why) => news.send(News::NotPerformed(why)).is_err(),
            };
            slot.begun.store(0, Ordering::Relaxed);
            slot.steps.store(fuzzer.tally().steps, Ordering::Relaxed);
            slot.cases.store(fuzzer.tally().cases, Ordering::Relaxed);
            if gone || slot.lost.load(Ordering::Relaxed) {
                break;
            }
            if more {
                let new = self.reached.lock().unwrap_or_else(PoisonError::into_inner).joins(&reached);
                generator.keep(case.script.clone());
                if new && news.send(News::Kept(case)).is_err() {
                    break;
                }
            }
        }
        fuzzer.tally().clone()
    }

    /// Minimises, and tells; whether nobody hears any more. Each run of the minimiser counts as a case of its own for who watches.
    fn found(&self, fuzzer: &mut Fuzzer, discovery: &Discovery, slot: &Slot, news: &Sender<News>) -> bool {
        slot.begun.store(0, Ordering::Relaxed);
        let report = fuzzer.report(discovery);
        slot.begun.store(self.now(), Ordering::Relaxed);
        news.send(News::Found(Box::new(report))).is_err()
    }
}

/// How often the jobs are looked after.
const LOOK: Duration = Duration::from_millis(50);
/// So many hung targets are left behind, each with its thread; then a hunt ends.
const MOST_HANGS: usize = 16;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Mutex;
    use std::sync::atomic::AtomicBool;
    use std::time::Duration;

    use tcp_reference::stack::Mutant;

    use super::{End, News, Plan, hunt};
    use crate::fuzz::{Case, Departures, Fuzzer, Known};
    use crate::target::{Capabilities, Reply, Target, TargetError};
    use crate::targets::reference::Reference;
    use tcp_reference::api::{Call, CallResult, Micros};

    fn plan(end: End) -> Plan {
        Plan { seed: 7, jobs: 1, end, corpus: Vec::new(), patience: Duration::from_secs(60) }
    }

    fn broken() -> Result<Fuzzer, TargetError> {
        let mutant = Mutant::by_name("established-out-of-order-ack-off").expect("is a mutant");
        let policy = (mutant.policy)();
        let target = Reference::new(policy.clone(), Some(mutant));
        Ok(Fuzzer::with(Box::new(target), policy.profile()).knowing(Known::AfterTheFirst).counting(Departures::Count))
    }

    fn found(end: End, stopped: bool) -> (Vec<(String, String)>, Vec<Case>, u64) {
        let (mut reports, mut kept) = (Vec::new(), Vec::new());
        let tell = |news| match news {
            News::Found(report) => reports.push((report.fingerprint.clone(), report.to_string())),
            News::Kept(case) => kept.push(case),
            other => panic!("{other:?}"),
        };
        let tallies = hunt(plan(end), broken, &AtomicBool::new(stopped), tell, |_| ());
        (reports, kept, tallies.iter().map(|t| t.steps).sum())
    }

    #[test]
    fn a_fault_is_found_minimised_and_told_once_and_the_same_each_time() {
        let (reports, kept, steps) = found(End::Steps(20_000), false);
        let named: BTreeSet<&str> = reports.iter().map(|(fingerprint, _)| fingerprint.as_str()).collect();
        assert!(named.len() == reports.len() && steps >= 20_000, "{named:?}");
        assert!(named.iter().any(|f| f.starts_with("RFC9293:3.10.7.4/ESTABLISHED/text-in-window-ooo@")), "{named:?}");
        assert!(kept.len() > 10, "{}", kept.len());
        assert_eq!((reports, kept, steps), found(End::Steps(20_000), false));
    }

    #[test]
    fn who_stops_it_need_not_wait() {
        let (_, _, steps) = found(End::After(Duration::from_secs(3600)), true);
        assert!(steps < 1_000_000, "{steps}");
    }

    /// A stack that never comes back from its third call.
    struct Stuck(Reference, u32);

    impl Target for Stuck {
        fn capabilities(&self) -> &Capabilities {
            self.0.capabilities()
        }

        fn reset(&mut self, seed: u64) -> Result<(), TargetError> {
            self.0.reset(seed)
        }

        fn call(&mut self, call: &Call) -> Result<Reply<CallResult>, TargetError> {
            self.1 += 1;
            if self.1 == 3 {
                loop {
                    std::thread::park();
                }
            }
            self.0.call(call)
        }

        fn deliver(&mut self, datagrams: &[Vec<u8>]) -> Result<Reply<()>, TargetError> {
            self.0.deliver(datagrams)
        }

        fn advance(&mut self, us: Micros) -> Result<Reply<()>, TargetError> {
            self.0.advance(us)
        }
    }

    #[test]
    fn a_stack_that_hangs_is_told_and_left_behind() {
        static OPENED: Mutex<u32> = Mutex::new(0);
        let open = || {
            let mut opened = OPENED.lock().expect("a number");
            *opened += 1;
            let policy = tcp_reference::stack::Policy::default();
            let first = if *opened == 1 { 0 } else { 100 };
            Ok(Fuzzer::with(Box::new(Stuck(Reference::new(policy.clone(), None), first)), policy.profile()))
        };
        let mut hung = 0;
        let plan = Plan { patience: Duration::from_millis(200), ..plan(End::Steps(2000)) };
        let tallies = hunt(plan, open, &AtomicBool::new(false), |news| hung += u32::from(matches!(news, News::Hangs(_))), |_| ());
        assert_eq!(hung, 1);
        assert!(tallies.iter().map(|t| t.steps).sum::<u64>() >= 2000);
    }
}
