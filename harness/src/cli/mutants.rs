//! `mutants`: the kill matrix.

use std::fmt::Write;

use tcp_reference::stack::Mutant;

use super::{FAULT, FINDINGS, MutantsArgs, NOTHING, OK, complain, files, print};
use crate::mutants::{Budget, Killed, Scripts, Survivor, Trial, classed, trials};
use crate::run::processors;
use crate::select;

/// Tries mutants and prints what became of each.
pub(super) fn mutants(args: &MutantsArgs) -> u8 {
    let chosen: Vec<&'static Mutant> = select::mutants(&args.filters).collect();
    if chosen.is_empty() {
        complain("harness: no mutant is selected; `harness list --mutants` lists them\n");
        return NOTHING;
    }
    let vectors = match files::golden() {
        Ok(vectors) => vectors,
        Err(code) => return code,
    };
    let known = match classed() {
        Ok(known) => known,
        Err(why) => {
            complain(&format!("harness: {why}\n"));
            return FAULT;
        }
    };
    let jobs = args.jobs.map_or_else(processors, usize::from);
    let trials = trials(&chosen, &vectors, Budget { seed: args.seed, steps: args.steps, jobs, scripts: Scripts::Vectors });
    let mut text = String::new();
    for (title, held_out) in [("", false), ("held out:\n", true)] {
        let of: Vec<&Trial> = trials.iter().filter(|t| t.mutant.is_held_out() == held_out).collect();
        if !of.is_empty() {
            text += title;
            matrix(&mut text, &of, &known);
        }
    }
    let unclassed = trials.iter().filter(|t| t.killed == Killed::Not && excuse(&known, t).is_none()).count();
    let stale: Vec<&str> =
        trials.iter().filter(|t| t.killed != Killed::Not && excuse(&known, t).is_some()).map(|t| t.mutant.name).collect();
    if !stale.is_empty() {
        let _ = writeln!(text, "found out although harness/survivors.toml says that they live: {}", stale.join(", "));
    }
    print(&text);
    if unclassed == 0 && stale.is_empty() { OK } else { FINDINGS }
}

fn excuse<'a>(known: &'a [Survivor], trial: &Trial) -> Option<&'a Survivor> {
    known.iter().find(|s| s.mutant == trial.mutant.name)
}

/// A line for each mutant, then the rates.
fn matrix(text: &mut String, trials: &[&Trial], known: &[Survivor]) {
    let width = trials.iter().map(|t| t.mutant.name.len()).max().unwrap_or(0);
    for trial in trials {
        let how = match &trial.killed {
            Killed::By(vector) => vector.clone(),
            Killed::After(steps) => format!("fuzzing, {steps} steps"),
            Killed::Not => match excuse(known, trial) {
                Some(survivor) => format!("SURVIVES, {:?}: {}", survivor.class, survivor.reason),
                None => "SURVIVES".to_owned(),
            },
        };
        let breaks: Vec<&str> = trial.mutant.breaks.iter().map(|r| r.0).collect();
        let named = match (trial.blame(), trial.named.first()) {
            (Some(0), _) => "named first".to_owned(),
            (Some(place), _) => format!("named in place {}", place + 1),
            (None, Some(other)) => format!("named instead: {other}"),
            (None, None) => "nothing named".to_owned(),
        };
        let _ = writeln!(text, "{:<width$}  {how:<58}  {named:<14}  breaks {}", trial.mutant.name, breaks.join(" "));
    }
    let count = |which: &dyn Fn(&&&Trial) -> bool| trials.iter().filter(which).count();
    let survivors = count(&|t| t.killed == Killed::Not);
    let killed = trials.len() - survivors;
    let by_vectors = count(&|t| matches!(t.killed, Killed::By(_)));
    let excused = count(&|t| t.killed == Killed::Not && excuse(known, t).is_some());
    let first = count(&|t| t.blame() == Some(0));
    let among_three = count(&|t| t.blame().is_some_and(|place| place < 3));
    let _ = writeln!(
        text,
        "{} mutants: {killed} found out ({}), {by_vectors} by vectors, {} by fuzzing; {survivors} survive, {excused} of them classed",
        trials.len(),
        share(killed, trials.len()),
        killed - by_vectors
    );
    let _ = writeln!(
        text,
        "the broken rule is named first for {first} ({}), among the first three for {among_three} ({})\n",
        share(first, killed),
        share(among_three, killed)
    );
}

/// A share in tenths of a percent.
fn share(part: usize, whole: usize) -> String {
    let thousandths = (part * 1000).checked_div(whole).unwrap_or(1000);
    format!("{}.{} %", thousandths / 10, thousandths % 10)
}
