//! What an insta snapshot holds of a run: the exchange in relative numbers, one line a segment, with the oracle's verdict.

use std::collections::BTreeMap;
use std::fmt::Write;

use tcp_reference::api::{Call, CallResult, SocketId};
use tcp_reference::finding::{Class, Finding};
use tcp_reference::state::State;
use tcp_reference::trace::What;
use tcp_vectors::model::Vector;

use crate::report::exchange::{Detail, Line, Told, lines};
use crate::session::Outcome;
use crate::target::Clock;

/// The text of a run's snapshot. With a real clock it holds no times, no counts of repetitions, and nothing that depends on the machine.
#[must_use]
pub fn text(vector: &Vector, outcome: &Outcome, clock: Clock) -> String {
    let mut text = format!("{}\n\n", vector.header.title);
    let detail = match clock {
        Clock::Virtual => Detail::Settled { windows: true },
        Clock::Real => Detail::Settled { windows: false },
    };
    let mut said: Option<String> = None;
    for line in lines(outcome, detail, &[]) {
        let row = row(&line);
        match clock {
            Clock::Virtual => {
                let _ = writeln!(text, "{:>3}.{:06} {row}", line.at / 1_000_000, line.at % 1_000_000);
            }
            // How often a segment is sent again depends on when the run ended.
            Clock::Real if matches!(line.what, Told::Sent(_)) && said.as_ref() == Some(&row) => {
                if !text.ends_with(AGAIN) {
                    text.push_str(AGAIN);
                }
            }
            Clock::Real => {
                let _ = writeln!(text, "{row}");
                said = matches!(line.what, Told::Sent(_)).then_some(row);
            }
        }
    }
    text.push('\n');
    for (socket, state) in states(outcome) {
        let _ = writeln!(text, "socket {socket}: {state}");
    }
    for fingerprint in fingerprints(outcome.findings.iter().chain(&outcome.variants)) {
        let _ = writeln!(text, "{fingerprint}");
    }
    if let (Class::Unsupported | Class::NotPerformed | Class::Inconclusive, Some(reason)) = (outcome.class, &outcome.reason) {
        let _ = writeln!(text, "because: {reason}");
    }
    let _ = writeln!(text, "verdict: {}", outcome.class);
    text
}

/// The file's name of a vector's snapshot, without its ending: `area__slug`.
#[must_use]
pub fn name(id: &str) -> String {
    id.replace('/', "__")
}

/// The kernel's series, as in `6.18`, by which its snapshots are kept.
#[must_use]
pub fn series(version: &str) -> String {
    version.split(['.', '-']).take(2).collect::<Vec<&str>>().join(".")
}

fn row(line: &Line) -> String {
    let flow = &line.flow;
    match &line.what {
        Told::Arrived(what) => format!("<{flow} {what}"),
        Told::Sent(what) => format!(">{flow} {what}"),
        Told::Called(what) => what.clone(),
        Told::Noted(what) => format!("({what})"),
    }
}

/// The state that each connection had when it was last asked for.
fn states(outcome: &Outcome) -> BTreeMap<SocketId, State> {
    let told = outcome.trace.events.iter().filter_map(|e| match &e.what {
        What::Call { call: Call::State { socket }, result: CallResult::State(state) } => Some((*socket, *state)),
        _ => None,
    });
    told.collect()
}

/// Class and fingerprint of each finding, once.
fn fingerprints<'a>(findings: impl Iterator<Item = &'a Finding>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for finding in findings {
        let one = format!("{}: {}", finding.class, finding.fingerprint());
        if !all.contains(&one) {
            all.push(one);
        }
    }
    all
}

const AGAIN: &str = "  (again)\n";
