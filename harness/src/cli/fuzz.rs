//! `fuzz`: random scripts on a target until the time is over, each new way to break a rule minimised and written down.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tcp_reference::api::Family;

use super::{FAULT, FINDINGS, FuzzArgs, OK, UNAVAILABLE, USAGE, complain, judge, print};
use crate::fuzz::folder::{Campaign, Folder, FolderError};
use crate::fuzz::{Case, Departures, End, Fuzzer, Known, News, Plan, Progress, Report, hunt};
use crate::run::Strictness;
use crate::session::Outcome;
use crate::target::TargetError;

/// Fuzzes a target.
pub(super) fn fuzz(args: &FuzzArgs) -> u8 {
    let (opener, stack) = match opener(args) {
        Ok(opened) => opened,
        Err(code) => return code,
    };
    let folder = Folder::new(&args.findings);
    let (campaign, corpus) = match begun(&folder, &args.stack.target) {
        Ok(begun) => begun,
        Err(code) => return code,
    };
    let stop = Arc::new(AtomicBool::new(false));
    if let Err(error) = on_interrupt(&stop) {
        complain(&format!("harness: an interrupt will end the run without a summary: {error}\n"));
    }
    let end = args.steps.map_or(End::After(args.time), End::Steps);
    let plan = Plan {
        seed: args.seed.wrapping_add(campaign.runs.wrapping_mul(SEEDS_APART)),
        jobs: args.jobs.map_or_else(crate::run::processors, usize::from),
        end,
        corpus,
        patience: Duration::from_secs(args.timeout),
    };
    let mut hunting = Hunting::new(args, stack, folder, campaign);
    let began = Instant::now();
    let display = RefCell::new(Display::new());
    let tallies = hunt(plan, opener, &stop, |news| hunting.hear(news, &display), |progress| display.borrow_mut().show(progress));
    display.borrow_mut().clear();
    hunting.end(&tallies, began.elapsed())
}

/// The stack under test, as far as what it is told about.
struct Stack {
    name: String,
    version: String,
    /// IP versions over which it is known to hang.
    hangs: Vec<Family>,
}

/// What opens a fuzzer for each job, and which stack it is; whatever is wrong with target, profile or expectations has been said.
fn opener(args: &FuzzArgs) -> Result<(impl Fn() -> Result<Fuzzer, TargetError> + Send + Sync + 'static, Stack), u8> {
    judge::known_target(&args.stack.target).map_err(|why| {
        complain(&why);
        USAGE
    })?;
    let first = Fuzzer::new(&args.stack.target).map_err(|error| {
        let code = judge::cannot_run(&args.stack.target, &error);
        if code == UNAVAILABLE && args.stack.require_target { FINDINGS } else { code }
    })?;
    let capabilities = first.capabilities().clone();
    print(&format!("fuzzing {} {}\n", capabilities.name, capabilities.version));
    let profile = judge::profile_of(args.stack.profile.as_deref(), &capabilities.name)?;
    let expectations = judge::expectations_of(args.stack.expectations.as_deref(), &capabilities.name)?;
    let (target, level) = (args.stack.target.clone(), args.level);
    let first = first.expecting(expectations.clone());
    let hangs = [Family::V4, Family::V6].into_iter().filter(|family| first.expects_hang(*family)).collect();
    let stack = Stack { name: capabilities.name, version: capabilities.version, hangs };
    let open = move || {
        let fuzzer = Fuzzer::new(&target)?.knowing(Known::AfterTheFirst).counting(counting(level));
        Ok(fuzzer.profiled(profile.clone()).expecting(expectations.clone()))
    };
    Ok((open, stack))
}

/// Whether a broken SHOULD is a finding.
pub(super) fn counting(level: Strictness) -> Departures {
    if level == Strictness::Must { Departures::PassOver } else { Departures::Count }
}

/// What earlier runs left in the folder.
fn begun(folder: &Folder, target: &str) -> Result<(Campaign, Vec<Case>), u8> {
    let read = || Ok((folder.campaign()?, folder.corpus()?));
    let (mut campaign, corpus) = read().map_err(|error: FolderError| {
        complain(&format!("harness: {error}; remove it, or name another folder with --findings\n"));
        USAGE
    })?;
    if campaign.runs > 0 && campaign.target != target {
        complain(&format!("harness: the folder holds what was found on {}; name another one with --findings\n", campaign.target));
        return Err(USAGE);
    }
    target.clone_into(&mut campaign.target);
    Ok((campaign, corpus))
}

/// The first interrupt ends the hunt, the second the process.
fn on_interrupt(stop: &Arc<AtomicBool>) -> Result<(), ctrlc::Error> {
    let stop = Arc::clone(stop);
    ctrlc::set_handler(move || {
        if stop.swap(true, Ordering::Relaxed) {
            std::process::exit(i32::from(FAULT));
        }
    })
}

/// A run of the command.
struct Hunting<'a> {
    args: &'a FuzzArgs,
    stack: Stack,
    folder: Folder,
    campaign: Campaign,
    /// By fingerprint, where each was written.
    found: BTreeMap<String, String>,
    not_performed: BTreeMap<String, u64>,
    failed: Option<String>,
}

impl<'a> Hunting<'a> {
    fn new(args: &'a FuzzArgs, stack: Stack, folder: Folder, campaign: Campaign) -> Hunting<'a> {
        Hunting { args, stack, folder, campaign, found: BTreeMap::new(), not_performed: BTreeMap::new(), failed: None }
    }

    fn hear(&mut self, news: News, display: &RefCell<Display>) {
        match news {
            News::Found(report) => self.write(&report, display),
            News::Kept(case) => {
                let kept = self.folder.keep(&case);
                self.noted(kept);
            }
            News::Hangs(case) if self.stack.hangs.contains(&case.family) => {
                *self.campaign.seen.entry(HANG.to_owned()).or_insert(0) += 1;
            }
            News::Hangs(case) => {
                let reason = format!("the stack did not answer for {} s", self.args.timeout);
                let fingerprint = HANG.to_owned();
                let outcome = Outcome::not_performed(reason);
                let (name, version) = (self.stack.name.clone(), self.stack.version.clone());
                self.write(&Report { fingerprint, name, version, case, runs: 0, repeats: false, finding: None, outcome }, display);
            }
            News::NotPerformed(why) => *self.not_performed.entry(why).or_insert(0) += 1,
            News::Failed(error) => self.failed = Some(error.why().to_owned()),
        }
    }

    /// Writes a finding down, unless another job was faster.
    fn write(&mut self, report: &Report, display: &RefCell<Display>) {
        if self.found.contains_key(&report.fingerprint) {
            return;
        }
        let put = self.folder.put(report, &self.args.stack.target);
        let place = put.as_ref().map_or_else(|_| "not written".to_owned(), |path| path.display().to_string());
        display.borrow_mut().clear();
        print(&format!("\nnew: {}\n{}{}  written to {place}\n", report.fingerprint, report.words(), report.ladder()));
        self.found.insert(report.fingerprint.clone(), place);
        self.noted(put.map(|_| ()));
    }

    fn noted(&mut self, result: Result<(), FolderError>) {
        if let Err(error) = result {
            self.failed = Some(error.to_string());
        }
    }

    fn end(mut self, tallies: &[crate::fuzz::Tally], took: Duration) -> u8 {
        let (mut judged, mut unjudged) = (0, 0);
        let (before, mut cases, mut steps) = (self.campaign.runs, 0, 0);
        for tally in tallies {
            (cases, steps) = (cases + tally.cases, steps + tally.steps);
            (judged, unjudged) = (judged + tally.judged, unjudged + tally.unjudged);
            for (fingerprint, times) in &tally.findings {
                *self.campaign.seen.entry(fingerprint.clone()).or_insert(0) += times;
            }
        }
        self.campaign.runs += 1;
        self.campaign.cases += cases;
        self.campaign.steps += steps;
        let put = self.folder.put_campaign(&self.campaign);
        self.noted(put);
        let known: Vec<&String> = self.campaign.seen.keys().filter(|f| !self.found.contains_key(*f)).collect();
        let per_second = u128::from(steps) * 1000 / took.as_millis().max(1);
        let mut text = format!(
            "\n{cases} cases, {steps} steps in {:.1} s ({per_second} a second); {judged} segments judged, {unjudged} not\n",
            took.as_secs_f64()
        );
        for (why, times) in &self.not_performed {
            text += &format!("not performed, {times} times: {why}\n");
        }
        text += &format!("{} known of this target or of {before} earlier runs, {} new\n", known.len(), self.found.len());
        for (fingerprint, place) in &self.found {
            let times = self.campaign.seen.get(fingerprint).copied().unwrap_or(1);
            text += &format!("  {fingerprint} in {times} cases: {place}\n");
        }
        print(&text);
        if let Some(why) = &self.failed {
            complain(&format!("harness: {why}\n"));
            return FAULT;
        }
        if self.found.is_empty() { OK } else { FINDINGS }
    }
}

/// One line on a terminal that says how far it is; nothing elsewhere.
struct Display {
    terminal: bool,
    shown: Option<Instant>,
}

impl Display {
    fn new() -> Display {
        Display { terminal: io::stderr().is_terminal(), shown: None }
    }

    fn show(&mut self, progress: Progress) {
        if !self.terminal || self.shown.is_some_and(|at| at.elapsed() < EACH) {
            return;
        }
        self.shown = Some(Instant::now());
        let Progress { steps, cases, reached, elapsed } = progress;
        let per_second = u128::from(steps) * 1000 / elapsed.as_millis().max(1);
        let mut out = io::stderr().lock();
        let _gone =
            write!(out, "\r\x1b[K{} s: {cases} cases, {steps} steps, {per_second} a second; {reached} kinds of answers", elapsed.as_secs())
                .and_then(|()| out.flush());
    }

    fn clear(&mut self) {
        if self.terminal && self.shown.take().is_some() {
            let _gone = write!(io::stderr().lock(), "\r\x1b[K");
        }
    }
}

/// The fingerprint of a stack that hangs.
const HANG: &str = "class:hang";
/// How often the line changes.
const EACH: Duration = Duration::from_millis(200);
/// Between the seeds of one run and the next.
const SEEDS_APART: u64 = 0x9e37_79b9_7f4a_7c15;
