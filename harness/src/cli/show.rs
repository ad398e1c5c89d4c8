//! `list` and `show`.

use std::fmt::Write;
use std::time::Duration;

use tcp_reference::stack::Mutant;
use tcp_vectors::golden;
use tcp_vectors::model::{Base, Num, Step, StepKind, Vector};
use tcp_vectors::print as vector_print;

use super::judge::{did_you_mean, names};
use super::{FAULT, ListArgs, NOTHING, OK, ShowArgs, UNAVAILABLE, USAGE, complain, diagnose, files, print};
use crate::run::{Settings, perform};
use crate::select::{self, Filter, Item};
use crate::session::{Outcome, View};
use crate::target::TargetError;
use crate::targets::{TargetOptions, open};

/// Lists vectors: id and title.
pub(super) fn list(args: &ListArgs) -> u8 {
    if args.mutants {
        return mutants(&args.filters, &args.rule);
    }
    let vectors = match files::golden() {
        Ok(vectors) => vectors,
        Err(code) => return code,
    };
    let filter = Filter { words: args.filters.clone(), rules: args.rule.clone(), ..Filter::default() };
    let taken: Vec<&Vector> = vectors.iter().filter(|v| filter.takes(v)).collect();
    let width = taken.iter().map(|v| v.id.len()).max().unwrap_or(0).min(60);
    let mut text = String::new();
    for vector in &taken {
        let _ = writeln!(text, "{:<width$}  {}", vector.id, vector.header.title);
    }
    print(&text);
    for word in filter.idle(&vectors) {
        complain(&format!("harness: nothing is selected by {word:?}{}\n", did_you_mean(word, names(&vectors))));
    }
    if taken.is_empty() {
        complain("harness: no vector is selected\n");
        return NOTHING;
    }
    OK
}

/// Lists the mutants with the rules that they break: those whose name or one of whose rules a word takes, and that break one of these rules.
fn mutants(words: &[String], rules: &[String]) -> u8 {
    let taken: Vec<&Mutant> = select::mutants(words).filter(|m| rules.is_empty() || rules.iter().any(|r| select::breaks(m, r))).collect();
    if taken.is_empty() {
        complain("harness: no mutant is selected; `harness list --mutants` lists them all\n");
        return NOTHING;
    }
    let width = taken.iter().map(|m| m.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for mutant in taken {
        let breaks: Vec<&str> = mutant.breaks.iter().map(|r| r.0).collect();
        let _ = writeln!(text, "{:<width$}  {}", mutant.name, breaks.join(" "));
    }
    print(&text);
    OK
}

/// Prints a vector as text.
pub(super) fn show(args: &ShowArgs) -> u8 {
    let Some(found) = golden().iter().find(|g| g.id == args.id) else {
        if cells(&args.id) {
            return OK;
        }
        let near = select::near(&args.id, golden().iter().map(|g| g.id.as_str()));
        let mut text = format!("harness: no vector is called {:?}\n", args.id);
        if !near.is_empty() {
            let _ = writeln!(text, "near it are: {}", near.join(", "));
        }
        complain(&text);
        return USAGE;
    };
    let Some(name) = &args.target else {
        print(&found.text);
        return OK;
    };
    let vector = match found.vector() {
        // A number for each step, whatever line it came from: by it the run's numbers are found again.
        Ok(vector) => Vector { steps: (1..).zip(vector.steps).map(|(line, step)| Step { line, ..step }).collect(), ..vector },
        Err(error) => {
            diagnose(error.as_ref());
            return FAULT;
        }
    };
    let mut target = match open(name, &TargetOptions::default()) {
        Ok(target) => target,
        Err(TargetError::Unavailable(why)) => {
            complain(&format!("harness: {name} cannot run here: {why}\n"));
            return UNAVAILABLE;
        }
        Err(TargetError::Harness(why)) => {
            complain(&format!("harness: {why}\n"));
            return USAGE;
        }
        Err(TargetError::Crash(why) | TargetError::Hang(why) | TargetError::Flood(why) | TargetError::Unsupported(why)) => {
            complain(&format!("harness: {name} could not be started: {why}\n"));
            return FAULT;
        }
    };
    let settings = Settings { target: name.clone(), jobs: Some(1), seed: args.seed, timeout: Duration::from_secs(200), profile: None };
    let item = Item { vector, family: args.family, file: None };
    let outcome = perform(target.as_mut(), &item, &settings);
    let filled = filled(&item.vector, &outcome);
    print(&vector_print::vector(&filled));
    OK
}

/// Lists the vectors of the template with this id, where it is one's.
fn cells(id: &str) -> bool {
    let cells: Vec<&str> =
        golden().iter().map(|g| g.id.as_str()).filter(|c| c.strip_prefix(id).is_some_and(|rest| rest.starts_with('@'))).collect();
    if cells.is_empty() {
        return false;
    }
    let mut text = format!("{id} is a template; `harness show` prints each of its {} vectors:\n", cells.len());
    for cell in cells {
        let _ = writeln!(text, "  {cell}");
    }
    print(&text);
    true
}

/// The vector with every number as packetdrill wants it, relative to the two ISNs, as they came up in a run.
fn filled(vector: &Vector, outcome: &Outcome) -> Vector {
    let mut steps = vector.steps.clone();
    for step in &mut steps {
        fill(step, outcome);
    }
    Vector { steps, ..vector.clone() }
}

fn fill(step: &mut Step, outcome: &Outcome) {
    let view_at = |flow: u8| outcome.views.iter().find(|v| v.line == step.line && v.flow == flow).map(|v| &v.view);
    match &mut step.kind {
        StepKind::Inject(spec) => {
            if let Some(view) = view_at(spec.flow) {
                spec.seq = plain(spec.seq, Base::Irs, view);
                spec.ack = spec.ack.map(|a| plain(a, Base::Iss, view));
            }
        }
        StepKind::Icmp(spec) => {
            if let Some(view) = view_at(spec.flow) {
                spec.seq = plain(spec.seq, Base::Iss, view);
            }
        }
        StepKind::Expect(spec) => {
            if let Some(view) = view_at(spec.flow) {
                spec.seq = spec.seq.map(|s| plain(s, Base::Iss, view));
                spec.ack = spec.ack.map(|a| plain(a, Base::Irs, view));
            }
        }
        StepKind::Call(_) | StepKind::AssertState(_) | StepKind::Wait => {}
    }
}

/// The number relative to an ISN, where it lies ahead of it.
fn plain(num: Num, base: Base, view: &View) -> Num {
    let offset = view.resolve(num).offset_from(view.resolve(Num { base, offset: 0 }));
    if num.base == Base::Zero || offset < 0 { num } else { Num { base, offset } }
}
