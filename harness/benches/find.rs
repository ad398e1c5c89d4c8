//! What fuzzing finds of the mutants, without the vectors and their stimuli, from seeds 1 to 5, counted in steps: figures that hold on any machine.
//!
//! ```sh
//! cargo bench --bench find                          # every 20th mutant
//! cargo bench --bench find -- --every 1 --jobs 2    # all of them
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use clap::Parser;
use tcp_harness::fuzz::stimuli;
use tcp_harness::mutants::{BEYOND_A_SCRIPT, Budget, Fuzzed, Scripts, fuzz, fuzzer};
use tcp_reference::stack::{MUTANTS, Mutant};

/// How much is measured.
#[derive(Parser)]
struct Args {
    /// Every how-manieth mutant is tried.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..))]
    every: u16,
    /// Only mutants whose names contain this.
    #[arg(long, default_value = "")]
    only: String,
    /// Each mutant is tried from so many seeds, beginning with 1.
    #[arg(long, default_value_t = 5)]
    seeds: u64,
    /// Steps after which a mutant counts as not found.
    #[arg(long, default_value_t = 2_000_000)]
    steps: u64,
    /// Mutants side by side.
    #[arg(long, default_value_t = 1)]
    jobs: usize,
    /// What is tried: all of these unless some are named.
    #[arg(long, value_parser = ["grammar", "guided", "vectors"])]
    scripts: Vec<String>,
    /// Minimises each finding too, and tells how many stimuli are left.
    #[arg(long)]
    minimise: bool,
    /// Prints a line for each mutant.
    #[arg(long)]
    each: bool,
    /// That `cargo bench` runs it.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let args = Args::parse();
    if !args.bench {
        // `cargo test` runs benches to see that they work.
        let steps = fuzz(MUTANTS.first().expect("a mutant"), budget(&args, 1, Scripts::Guided)).steps;
        return println!("found in {steps} steps");
    }
    let reachable = MUTANTS.iter().filter(|m| !BEYOND_A_SCRIPT.contains(&m.name) && m.name.contains(&args.only));
    let mutants: Vec<&'static Mutant> = reachable.step_by(usize::from(args.every)).collect();
    println!("{} mutants, seeds 1 to {}, at most {} steps each", mutants.len(), args.seeds, args.steps);
    println!(
        "{:36} {:>11} {:>8} {:>8} {:>8} {:>22} {:>14}",
        "scripts", "found", "median", "9 of 10", "most", "per million steps", "steps a second"
    );
    for (name, scripts, what) in [
        ("grammar", Scripts::Grammar, "grammar, without guidance"),
        ("guided", Scripts::Guided, "grammar, guided by what was reached"),
        ("vectors", Scripts::Vectors, "the vectors' stimuli, changed"),
    ] {
        if args.scripts.is_empty() || args.scripts.iter().any(|s| s == name) {
            measure(&args, &mutants, scripts, what);
        }
    }
}

fn budget(args: &Args, seed: u64, scripts: Scripts) -> Budget {
    Budget { seed, steps: args.steps, jobs: 1, scripts }
}

/// What became of a mutant from a seed.
struct Try {
    mutant: usize,
    seed: u64,
    found: bool,
    steps: u64,
    seconds: f64,
    /// Findings on the unbroken stack.
    alarms: Vec<String>,
    /// Stimuli of the finding, minimised.
    stimuli: Option<usize>,
    /// The minimised script.
    script: String,
}

#[expect(clippy::cast_precision_loss, reason = "figures for people to read")]
fn measure(args: &Args, mutants: &[&'static Mutant], scripts: Scripts, what: &str) {
    let tries = tried(args, mutants, scripts);
    let steps: u64 = tries.iter().map(|t| t.steps).sum();
    let seconds: f64 = tries.iter().map(|t| t.seconds).sum();
    let mut took: Vec<u64> = tries.iter().map(|t| if t.found { t.steps } else { u64::MAX }).collect();
    took.sort_unstable();
    let found = tries.iter().filter(|t| t.found).count();
    let quantile = |tenths: usize| match took.get((took.len() * tenths / 10).min(took.len().saturating_sub(1))) {
        Some(&steps) if steps < u64::MAX => steps.to_string(),
        _ => "never".to_owned(),
    };
    println!(
        "{what:36} {:>11} {:>8} {:>8} {:>8} {:>22.1} {:>14.0}",
        format!("{found} of {}", tries.len()),
        quantile(5),
        quantile(9),
        quantile(10),
        found as f64 * 1e6 / steps.max(1) as f64,
        steps as f64 / seconds
    );
    let mut missed: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    tries.iter().filter(|t| !t.found).for_each(|t| missed.entry(t.mutant).or_default().push(t.seed.to_string()));
    for (mutant, seeds) in missed {
        println!("    not found: {} from seed {}", mutants[mutant].name, seeds.join(", "));
    }
    if args.minimise {
        minimised(&tries, mutants);
    }
    for alarm in tries.iter().flat_map(|t| &t.alarms).collect::<BTreeSet<_>>() {
        println!("    FALSE ALARM, on the unbroken stack: {alarm}");
    }
    if args.each {
        for (i, mutant) in mutants.iter().enumerate() {
            let of = tries.iter().filter(|t| t.mutant == i);
            let words: Vec<String> = of.map(|t| if t.found { t.steps.to_string() } else { "-".to_owned() }).collect();
            println!("    {:48} {}", mutant.name, words.join(", "));
        }
    }
}

/// How long the minimised findings are.
fn minimised(tries: &[Try], mutants: &[&'static Mutant]) {
    let mut lengths: BTreeMap<usize, usize> = BTreeMap::new();
    tries.iter().filter_map(|t| t.stimuli).for_each(|n| *lengths.entry(n).or_insert(0) += 1);
    let words: Vec<String> = lengths.iter().map(|(stimuli, findings)| format!("{stimuli}: {findings}")).collect();
    println!("    findings by the stimuli that are left: {}", words.join(", "));
    for t in tries.iter().filter(|t| t.stimuli.is_some_and(|n| n > MOST_STIMULI)) {
        println!("    {} from seed {} with {} stimuli", mutants[t.mutant].name, t.seed, t.stimuli.unwrap_or(0));
        println!("{}", t.script);
    }
}

/// Stimuli of a minimised finding at most.
const MOST_STIMULI: usize = 8;

fn tried(args: &Args, mutants: &[&'static Mutant], scripts: Scripts) -> Vec<Try> {
    let jobs: Vec<(usize, u64)> = (0..mutants.len()).flat_map(|m| (1..=args.seeds).map(move |seed| (m, seed))).collect();
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..args.jobs.max(1) {
            scope.spawn(|| {
                while let Some(&(mutant, seed)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let began = Instant::now();
                    let Fuzzed { discovery, steps, false_alarms } = fuzz(mutants[mutant], budget(args, seed, scripts));
                    let seconds = began.elapsed().as_secs_f64();
                    let alarms = false_alarms.iter().map(|alarm| fuzzer(mutants[mutant], None).report(alarm).to_string()).collect();
                    let report =
                        discovery.as_ref().filter(|_| args.minimise).map(|d| fuzzer(mutants[mutant], Some(mutants[mutant])).report(d));
                    let script = report.as_ref().map(ToString::to_string).unwrap_or_default();
                    let stimuli = report.map(|r| stimuli(&r.case.script));
                    let tried = Try { mutant, seed, found: discovery.is_some(), steps, seconds, alarms, stimuli, script };
                    done.lock().expect("a list").push(tried);
                }
            });
        }
    });
    let mut tries = done.into_inner().expect("a list");
    tries.sort_by_key(|t| (t.mutant, t.seed));
    tries
}
