//! Runs cases on one target and tells what is new from what is known.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use tcp_reference::api::{Family, Micros};
use tcp_reference::finding::{Class, Finding};
use tcp_reference::profile::Profile;
use tcp_reference::trace::Trace;
use tcp_vectors::model::{Oddity, Script, StepKind};

use super::known::Causes;
use super::report::Report;
use super::{Case, Minimised, minimise};
use crate::expectations::Expectations;
use crate::profile::profile_for;
use crate::session::{self, Options, Outcome};
use crate::target::{Capabilities, Clock, Target, TargetError};
use crate::targets::{self, TargetOptions, panics, smoltcp};

/// A target with an oracle over it, which is used for one case after another.
pub struct Fuzzer {
    target: Box<dyn Target>,
    options: Options,
    expectations: Expectations,
    causes: Causes,
    known: Known,
    /// Whether a broken SHOULD counts like a broken MUST.
    departures: Departures,
    tally: Tally,
}

/// What counts as known besides the expectations file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Known {
    /// Nothing: every finding is new each time.
    FromTheFile,
    /// What was new once, so that a long run lists each fault once.
    AfterTheFirst,
}

/// Whether a broken SHOULD counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Departures {
    /// It does not, though what follows it on its connection does not count either.
    PassOver,
    /// Like a broken MUST.
    Count,
}

/// What a case gave.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// No rule was broken.
    Nothing,
    /// Rules were broken in ways that are known of the target.
    Known,
    /// A rule was broken, or the stack died, in a way that is not known.
    New(Box<Discovery>),
    /// The case did not run: what the harness lacks. Never the stack's fault.
    NotPerformed(String),
}

/// A way to break a rule that is not known of the target.
#[derive(Clone, Debug)]
pub struct Discovery {
    /// The case that showed it.
    pub case: Case,
    /// What tells it from others: a finding's fingerprint, or the class of a dead stack with the place where it died, or of one that grows.
    pub fingerprint: String,
    /// The finding; `None` where the stack died or grew.
    pub finding: Option<Finding>,
    /// The run.
    pub outcome: Outcome,
}

impl Discovery {
    /// Whether it is no broken rule, but the stack's death or growth.
    #[must_use]
    pub fn is_death(&self) -> bool {
        self.fingerprint.starts_with(CLASS)
    }
}

/// What a fuzzer has done.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Cases that were run.
    pub cases: u64,
    /// Their steps.
    pub steps: u64,
    /// Segments of the stack that were judged.
    pub judged: u64,
    /// Segments of the stack that the oracle could not judge.
    pub unjudged: u64,
    /// Why not, with the number of cases.
    pub why_unjudged: BTreeMap<String, u64>,
    /// Cases that the target has no call for.
    pub unsupported: u64,
    /// Findings by fingerprint, known ones too, with the number of cases.
    pub findings: BTreeMap<String, u64>,
    /// The most explanations that the oracle held at a time.
    pub most_hypotheses: usize,
}

impl Fuzzer {
    /// The target with this name, in process where it can be, without a watchdog, with what is known of it.
    ///
    /// # Errors
    /// The target cannot run here, there is none of that name, or its expectations file is broken.
    pub fn new(name: &str) -> Result<Fuzzer, TargetError> {
        Fuzzer::knowing_of(targets::open(name, &TargetOptions { watchdog: None })?)
    }

    /// This target, with what is known of one of its name.
    ///
    /// # Errors
    /// What is known of it is broken.
    pub fn knowing_of(target: Box<dyn Target>) -> Result<Fuzzer, TargetError> {
        let name = &target.capabilities().name;
        let expectations = Expectations::of(name).map_err(|e| TargetError::Harness(e.to_string()))?;
        let causes = Causes::of(name).map_err(TargetError::Harness)?;
        let profile = profile_for(name);
        Ok(Fuzzer { expectations, causes, ..Fuzzer::with(target, profile) })
    }

    /// This target with this profile; nothing is known of it.
    #[must_use]
    pub fn with(target: Box<dyn Target>, profile: Profile) -> Fuzzer {
        // Panics of the stack in process become values from here on, whatever hook a fuzzer has set; all others still meet that hook.
        let _installed = panics::catch(|| ());
        let clock = target.capabilities().clock;
        let (tail, longest_tail) = match clock {
            Clock::Virtual => (TAIL, LONGEST_TAIL),
            Clock::Real => (0, 0),
        };
        let options = Options {
            // In process it costs little, and without it the oracle can only guess which of two faults a later segment shows.
            check_state: clock == Clock::Virtual,
            timeout: Duration::from_secs(20),
            tail,
            longest_tail,
            ..Options::new(Family::V4, 0, profile, clock)
        };
        Fuzzer {
            target,
            options,
            expectations: Expectations::default(),
            causes: Causes::default(),
            known: Known::FromTheFile,
            departures: Departures::PassOver,
            tally: Tally::default(),
        }
    }

    /// The same fuzzer without the causes that are known of the target.
    #[must_use]
    pub fn all_is_new(self) -> Fuzzer {
        Fuzzer { causes: Causes::default(), ..self }
    }

    /// The same fuzzer with what an expectations file says of the target, beside the causes that the fuzzer knows of it.
    #[must_use]
    pub fn expecting(self, expectations: Expectations) -> Fuzzer {
        Fuzzer { expectations, ..self }
    }

    /// The same fuzzer with another profile for the oracle.
    #[must_use]
    pub fn profiled(mut self, profile: Profile) -> Fuzzer {
        self.options.profile = profile;
        self
    }

    /// The stack under test.
    #[must_use]
    pub fn capabilities(&self) -> &Capabilities {
        self.target.capabilities()
    }

    /// The same fuzzer with another notion of what is known.
    #[must_use]
    pub fn knowing(self, known: Known) -> Fuzzer {
        Fuzzer { known, ..self }
    }

    /// The same fuzzer with another notion of what counts.
    #[must_use]
    pub fn counting(self, departures: Departures) -> Fuzzer {
        Fuzzer { departures, ..self }
    }

    /// The case that these octets stand for.
    pub fn run(&mut self, data: &[u8]) -> Verdict {
        self.judge(&Case::decode(data))
    }

    /// As [`Fuzzer::judge`]; `watch` sees what happened.
    pub fn judge_counted(&mut self, case: &Case, watch: impl FnOnce(&Trace)) -> Verdict {
        let outcome = self.outcome(case);
        watch(&outcome.trace);
        self.judged(case, outcome)
    }

    /// Runs a case and sorts what it gave.
    pub fn judge(&mut self, case: &Case) -> Verdict {
        let outcome = self.outcome(case);
        self.judged(case, outcome)
    }

    /// Sorts what a case's run gave.
    pub fn judged(&mut self, case: &Case, outcome: Outcome) -> Verdict {
        self.tally.count(case, &outcome);
        if outcome.class == Class::NotPerformed {
            return Verdict::NotPerformed(outcome.reason.unwrap_or_default());
        }
        let mut seen = false;
        let mut new = None;
        for (fingerprint, finding) in faults(&outcome, self.departures) {
            let times = self.tally.findings.entry(fingerprint.clone()).or_insert(0);
            *times += 1;
            let repeated = self.known == Known::AfterTheFirst && *times > 1;
            seen = true;
            if new.is_none() && !repeated && !self.expects(case.family, &outcome.trace, &fingerprint, finding) {
                new = Some((fingerprint, finding.cloned()));
            }
        }
        match new {
            Some((fingerprint, finding)) => {
                let case = Case { script: self.fitted(&case.script), ..case.clone() };
                Verdict::New(Box::new(Discovery { case, fingerprint, finding, outcome }))
            }
            None if seen => Verdict::Known,
            None => Verdict::Nothing,
        }
    }

    /// Runs a case; nothing is counted.
    pub fn outcome(&mut self, case: &Case) -> Outcome {
        self.options.family = case.family;
        self.options.seed = case.seed;
        let script = self.fitted(&case.script);
        let mut outcome = session::run_script(&mut *self.target, &script, &self.options);
        outcome.grown = self.target.growth().filter(|octets| *octets > MOST_GROWTH);
        if let Some(octets) = outcome.grown {
            // Else every case from here on would be blamed for it.
            self.target.renew();
            let told = format!("the stack's process holds {} MiB more than after its first reset", octets >> 20);
            outcome.reason = Some(outcome.reason.map_or_else(|| told.clone(), |reason| format!("{reason}\n{told}")));
        }
        outcome
    }

    /// The script as this target and the oracle can take it: no wait that a real clock would make long; no more than [`MOST_TOGETHER`]
    /// segments that arrive together; and no wrong checksum for smoltcp where it is built with `--cfg fuzzing`, as cargo-fuzz does, because
    /// then it verifies none.
    fn fitted(&self, script: &Script) -> Script {
        let real = self.target.capabilities().clock == Clock::Real;
        let unverified = FUZZING && self.target.capabilities().name == smoltcp::NAME;
        let mut script = script.clone();
        let mut together = 0;
        for step in &mut script.steps {
            if real {
                step.after = step.after.min(LONGEST_REAL_WAIT);
            }
            let StepKind::Inject(spec) = &mut step.kind else {
                together = 0;
                continue;
            };
            spec.joined &= together < MOST_TOGETHER;
            together = if spec.joined { together + 1 } else { 1 };
            if unverified {
                spec.oddity = spec.oddity.filter(|o| !matches!(o, Oddity::BadChecksum | Oddity::Truncated(_)));
            }
        }
        script
    }

    /// The smallest case with the same fingerprint that can be found in a bounded number of runs.
    pub fn minimised(&mut self, discovery: &Discovery) -> Minimised {
        let fingerprint = discovery.fingerprint.clone();
        minimise(&discovery.case, |case| faults(&self.outcome(case), self.departures).iter().any(|(f, _)| *f == fingerprint))
    }

    /// A discovery, minimised, as a person reads it.
    pub fn report(&mut self, discovery: &Discovery) -> Report {
        let minimised = self.minimised(discovery);
        let outcome = self.outcome(&minimised.case);
        let found = faults(&outcome, self.departures).into_iter().find(|(f, _)| *f == discovery.fingerprint);
        let finding = found.as_ref().map(|(_, finding)| finding.cloned());
        let Capabilities { name, version, .. } = self.target.capabilities();
        let (fingerprint, runs, name, version) = (discovery.fingerprint.clone(), minimised.runs, name.clone(), version.clone());
        match finding {
            Some(finding) => Report { fingerprint, name, version, case: minimised.case, runs, repeats: true, finding, outcome },
            // On a real clock it may not show again: what was seen is told as it was.
            None => Report {
                fingerprint,
                name,
                version,
                case: discovery.case.clone(),
                runs,
                repeats: false,
                finding: discovery.finding.clone(),
                outcome: discovery.outcome.clone(),
            },
        }
    }

    /// What was done so far.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Whether it is known that the stack hangs over this IP version.
    #[must_use]
    pub fn expects_hang(&self, family: Family) -> bool {
        self.expects(family, &Trace::default(), "class:hang", None)
    }

    /// Whether it is known, at whichever vector: a fuzzer's scripts have no names.
    fn expects(&self, family: Family, trace: &Trace, fingerprint: &str, finding: Option<&Finding>) -> bool {
        let version = &self.target.capabilities().version;
        let class = fingerprint.strip_prefix(CLASS).and_then(|rest| rest.split(' ').next());
        let known = |causes: &Causes| causes.know(fingerprint, version, finding, trace);
        known(&self.causes)
            || known(&self.expectations.causes)
            || self.expectations.entries.iter().any(|e| {
                e.holds_on(family, version)
                    && match finding {
                        Some(finding) => e.is(finding),
                        None => e.rule.class().is_some() && e.rule.class() == class,
                    }
            })
    }
}

/// What a run gave that counts as a failure, each with its fingerprint: of each connection the first rule that was broken, in the order in
/// which they showed, then the stack's death and its growth.
///
/// What comes after the first fault on a connection may be no more than its consequence. Another script shows it alone if it is a fault of
/// its own; vectors, which are few, are judged to their end.
fn faults(outcome: &Outcome, departures: Departures) -> Vec<(String, Option<&Finding>)> {
    let mut faulty = Vec::new();
    let mut faults: Vec<(String, Option<&Finding>)> = Vec::new();
    for finding in outcome.findings.iter().filter(|f| matches!(f.class, Class::Violates | Class::Departs)) {
        if faulty.contains(&finding.tuple) {
            continue;
        }
        faulty.push(finding.tuple);
        if finding.class == Class::Violates || departures == Departures::Count {
            faults.push((finding.fingerprint(), Some(finding)));
        }
    }
    if matches!(outcome.class, Class::Crash | Class::Hang | Class::Flood) {
        faults.push((format!("class:{} {}", outcome.class, place(outcome)), None));
    }
    if outcome.grown.is_some() {
        faults.push((GROWTH.to_owned(), None));
    }
    faults
}

/// Where a stack died, as far as its last words tell: a panic's text begins with its place.
fn place(outcome: &Outcome) -> &str {
    let words = outcome.reason.as_deref().unwrap_or_default().lines().next().unwrap_or_default();
    words.strip_prefix("panicked at ").map_or("", |place| place.trim_end_matches(':'))
}

impl Tally {
    fn count(&mut self, case: &Case, outcome: &Outcome) {
        self.cases += 1;
        self.steps += u64::try_from(case.script.steps.len()).unwrap_or(0);
        self.judged += outcome.stats.judged;
        self.unjudged += outcome.stats.unjudged;
        self.most_hypotheses = self.most_hypotheses.max(outcome.stats.most_hypotheses);
        match outcome.class {
            Class::Unsupported => self.unsupported += 1,
            Class::Inconclusive => {
                let why = outcome.reason.clone().unwrap_or_default();
                *self.why_unjudged.entry(why).or_insert(0) += 1;
            }
            _ => {}
        }
    }

    /// Unjudged segments in a million.
    #[must_use]
    pub fn unjudged_in_a_million(&self) -> u64 {
        (self.unjudged * 1_000_000).checked_div(self.judged + self.unjudged).unwrap_or(0)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ten_thousandths = self.unjudged_in_a_million().div_ceil(100);
        write!(
            f,
            "{} cases, {} steps, {} segments judged, {} not ({}.{:02} %), {} cases with calls that the target lacks",
            self.cases,
            self.steps,
            self.judged,
            self.unjudged,
            ten_thousandths / 100,
            ten_thousandths % 100,
            self.unsupported
        )?;
        for (why, cases) in &self.why_unjudged {
            write!(f, "\n  not judged in {cases} cases: {why}")?;
        }
        for (fingerprint, cases) in &self.findings {
            write!(f, "\n  {fingerprint} in {cases} cases")?;
        }
        Ok(())
    }
}

#[allow(unexpected_cfgs, reason = "cargo-fuzz sets it for every crate")]
const FUZZING: bool = cfg!(fuzzing);
/// How long a run goes on behind its last step where nothing is owed: past the longest delay of an ACK.
const TAIL: Micros = 600_000;
/// How long it goes on where something is owed: past a few retransmissions.
const LONGEST_TAIL: Micros = 20_000_000;
/// Segments that arrive together at most; the oracle follows every order in which a stack may answer them.
const MOST_TOGETHER: usize = 6;
/// What the fingerprint begins with where no rule was broken.
const CLASS: &str = "class:";
/// The fingerprint of a process that grows.
const GROWTH: &str = "class:growth";
/// Octets that a stack's process may grow by. A script gives a stack less than 200 KiB, and each reset frees it; a garbage collector may let some
/// hundred times as much lie for a while.
const MOST_GROWTH: u64 = 256 << 20;
/// The longest wait of a step on a real clock.
const LONGEST_REAL_WAIT: Micros = 2_000;

#[cfg(test)]
mod tests {
    use tcp_reference::api::{Call, CallResult, Micros};
    use tcp_reference::stack::Policy;

    use super::{Fuzzer, GROWTH, MOST_GROWTH, Verdict};
    use crate::fuzz::Generator;
    use crate::target::{Capabilities, Reply, Target, TargetError};
    use crate::targets::reference::Reference;

    /// A right stack whose process grows with each reset.
    struct Leaking {
        stack: Reference,
        each: u64,
        grown: u64,
    }

    impl Target for Leaking {
        fn capabilities(&self) -> &Capabilities {
            self.stack.capabilities()
        }

        fn reset(&mut self, seed: u64) -> Result<(), TargetError> {
            self.grown += self.each;
            self.stack.reset(seed)
        }

        fn call(&mut self, call: &Call) -> Result<Reply<CallResult>, TargetError> {
            self.stack.call(call)
        }

        fn deliver(&mut self, datagrams: &[Vec<u8>]) -> Result<Reply<()>, TargetError> {
            self.stack.deliver(datagrams)
        }

        fn advance(&mut self, us: Micros) -> Result<Reply<()>, TargetError> {
            self.stack.advance(us)
        }

        fn growth(&self) -> Option<u64> {
            Some(self.grown)
        }

        fn renew(&mut self) {
            self.grown = 0;
        }
    }

    #[test]
    fn a_process_that_grows_without_bound_is_a_finding_of_its_own() {
        let policy = Policy::default();
        let grows = |each| {
            let stack = Reference::new(policy.clone(), None);
            Fuzzer::with(Box::new(Leaking { stack, each, grown: 0 }), policy.profile())
        };
        let mut generator = Generator::new(1);
        // Little by little: told where the bound is passed, and from there on counted anew.
        let mut leaking = grows(MOST_GROWTH / 10);
        let told: Vec<usize> =
            (1..=33).filter(|_| matches!(leaking.judge(&generator.case()), Verdict::New(d) if d.fingerprint == GROWTH)).collect();
        assert_eq!(told, [11, 22, 33]);
        // All at once: the smallest script shows it.
        let mut bursting = grows(MOST_GROWTH + 1);
        let Verdict::New(discovery) = bursting.judge(&generator.case()) else { panic!("nothing new") };
        let report = bursting.report(&discovery);
        assert!(discovery.is_death() && report.repeats && report.words().contains("256 MiB more"), "{report}");
        assert!(matches!(grows(0).judge(&generator.case()), Verdict::Nothing));
    }
}
