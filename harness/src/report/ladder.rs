//! The ladder diagram of an exchange.

use std::fmt::Write;

use super::exchange::{Detail, Told, lines};
use crate::session::Outcome;

/// The exchange, the peer to the left and the stack to the right, with these events marked.
#[must_use]
pub fn ladder(outcome: &Outcome, marked: &[usize]) -> String {
    let lines = lines(outcome, Detail::Whole, marked);
    let mut text = format!("  {:>11}   {:<46}   {}\n", "seconds", "peer", "stack under test");
    let skip = lines.len().saturating_sub(MOST_LINES);
    // What led to the first mark is worth more than what came long after it.
    let first = lines.iter().position(|l| marked.contains(&l.event)).unwrap_or(0);
    let from = skip.min(first.saturating_sub(MOST_LINES / 2));
    if from > 0 {
        let _ = writeln!(text, "  {:>11}   ({from} earlier lines left out)", "");
    }
    for line in lines.iter().skip(from).take(MOST_LINES) {
        let pointer = if marked.contains(&line.event) { "►" } else { " " };
        let flow = &line.flow;
        let (left, right) = match &line.what {
            Told::Arrived(what) => (format!("{flow}{}{what} ──►", gap(flow)), String::new()),
            Told::Sent(what) => (String::new(), format!("◄── {flow}{}{what}", gap(flow))),
            Told::Called(what) => (String::new(), format!("    {what}")),
            Told::Noted(what) => (String::new(), format!("    ({what})")),
        };
        let row = format!("{pointer} {:>11.6}   {left:<46}   {right}", seconds(line.at));
        let mark = if pointer == "►" { "   ◄◄ here" } else { "" };
        let _ = writeln!(text, "{}{mark}", row.trim_end());
    }
    if lines.len() > from + MOST_LINES {
        let _ = writeln!(text, "  {:>11}   ({} later lines left out)", "", lines.len() - from - MOST_LINES);
    }
    text
}

fn gap(flow: &str) -> &'static str {
    if flow.is_empty() { "" } else { " " }
}

#[expect(clippy::cast_precision_loss, reason = "a time for people to read")]
fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

/// Lines that are drawn at most.
const MOST_LINES: usize = 60;
