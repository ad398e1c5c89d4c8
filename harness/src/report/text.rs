//! A run as text: failures in full, and a summary by section.

use std::fmt::Write;

use tcp_reference::catalogue::{self, Rule};
use tcp_reference::finding::{Class, Finding};

use super::json::level;
use super::ladder::ladder;
use crate::expectations::{Expectation, Expectations};
use crate::run::{Judged, Stale, Summary, Verdict};
use crate::select::Item;
use crate::session::{ASSERTION, Outcome};
use crate::target::Capabilities;

/// Colours for a terminal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Colour {
    /// Escape sequences.
    On,
    /// None.
    Off,
}

impl Colour {
    /// A text in the colour of its class.
    #[must_use]
    pub fn class(self, class: Class) -> String {
        let code = match class {
            Class::Conforms => "32",
            Class::Variant | Class::Unsupported => "36",
            Class::Departs | Class::Inconclusive => "33",
            Class::Violates | Class::NotPerformed | Class::Crash | Class::Hang | Class::Flood => "31;1",
        };
        self.paint(class.name(), code)
    }

    /// A heading.
    #[must_use]
    pub fn bold(self, text: &str) -> String {
        self.paint(text, "1")
    }

    fn paint(self, text: &str, code: &str) -> String {
        match self {
            Colour::On => format!("\x1b[{code}m{text}\x1b[0m"),
            Colour::Off => text.to_owned(),
        }
    }
}

/// One line for one result.
#[must_use]
pub fn line(item: &Item, outcome: &Outcome, colour: Colour) -> String {
    let rules: Vec<String> = outcome.findings.iter().chain(&outcome.variants).map(Finding::fingerprint).collect();
    let mut text = format!("{} IPv{} {}", colour.class(outcome.class), item.family, item.id());
    if !rules.is_empty() {
        let _ = write!(text, ": {}", rules.join(", "));
    }
    if let Some(reason) = &outcome.reason {
        let _ = write!(text, ": {}", reason.lines().next().unwrap_or_default());
    }
    text
}

/// Everything about a result that fails the run: rules, ladder, what was seen and allowed, and how to see it again.
#[must_use]
pub fn failure(item: &Item, verdict: &Verdict, command: &str, colour: Colour) -> String {
    let outcome = &verdict.done.outcome;
    let mut text = format!("{} {} over IPv{}: {}", colour.class(outcome.class), item.id(), item.family, item.vector.header.title);
    text.truncate(text.trim_end_matches([' ', ':']).len());
    text.push('\n');
    if let Some(reason) = &outcome.reason {
        for line in reason.lines().take(MOST_REASON_LINES) {
            let _ = writeln!(text, "  {line}");
        }
    }
    for judged in &verdict.findings {
        text += &finding(judged, colour);
    }
    let mut marks: Vec<usize> = verdict.findings.iter().map(|j| j.finding.event).collect();
    marks.dedup();
    text += &ladder(outcome, &marks);
    let _ = writeln!(text, "  again: {command}");
    text
}

/// A finding with its rule in words.
fn finding(judged: &Judged, colour: Colour) -> String {
    let f = &judged.finding;
    let known = if judged.expected { " (known of this target)" } else { "" };
    let mut text = format!("  {} {} in {}{known}\n", colour.class(f.class), colour.bold(f.rule.0), f.state);
    if let Some(rule) = f.rule.entry() {
        let _ = writeln!(text, "    {}", cited(rule));
    } else if f.rule == ASSERTION {
        let _ = writeln!(text, "    the vector's own assertion; its header names no rule of the catalogue");
    }
    let _ = writeln!(text, "    seen:    {}", f.seen);
    for (i, allowed) in f.allowed.iter().enumerate() {
        let _ = writeln!(text, "    {} {allowed}", if i == 0 { "allowed:" } else { "or:     " });
    }
    for suspect in &f.suspects {
        let says = suspect.entry().map_or("", |r| r.paraphrase);
        let _ = writeln!(text, "    perhaps: {suspect} instead: {says}");
    }
    text
}

/// A rule in one line: level, what it says, and where.
#[must_use]
pub fn cited(rule: &Rule) -> String {
    format!("{} ({}): {} [RFC {} section {}]", level(rule.level), rule.keyword, rule.paraphrase, rule.rfc, rule.section)
}

/// What is known of the target and happened: a line for each fault, and how to see one in full. Entries with the same rule and reason are one
/// fault.
#[must_use]
pub fn known(summary: &Summary, expectations: &Expectations, in_full: impl Fn(usize) -> String) -> String {
    let mut faults: Vec<(&Expectation, usize)> = Vec::new();
    for (place, happened) in &summary.known {
        let Some(entry) = expectations.entries.get(*place) else { continue };
        match faults.iter_mut().find(|(e, _)| (&e.rule, &e.reason) == (&entry.rule, &entry.reason)) {
            Some((_, times)) => *times += happened.times,
            None => faults.push((entry, happened.times)),
        }
    }
    let mut text = String::new();
    for (entry, times) in &faults {
        let says = catalogue::rules()
            .iter()
            .find(|r| entry.rule.take(r.id.0))
            .map_or(String::new(), |r| format!(" ({})", short(r.paraphrase, 60)));
        let _ = writeln!(text, "known, {times} times: {}{says}: {}", entry.rule, short(&entry.reason, 120));
    }
    if let Some((_, happened)) = summary.known.first_key_value() {
        let _ = writeln!(text, "one of these in full, with its clause in {}: {}\n", expectations.file, in_full(happened.item));
    }
    text
}

/// The first so many characters, cut at a word.
fn short(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let cut: String = text.chars().take(most).collect();
    let end = cut.rfind(' ').unwrap_or(cut.len());
    format!("{}…", cut[..end].trim_end_matches([',', ';', ':', ' ']))
}

/// Expectations that no longer happen.
#[must_use]
pub fn gone(stale: &[Stale], expectations: &Expectations) -> String {
    let mut text = String::new();
    for s in stale {
        if let Some(e) = expectations.entries.get(s.entry) {
            let _ = writeln!(
                text,
                "{}:{}: {} was expected of {} over IPv{} and did not happen; if the target was mended, remove the entry or name the versions it holds for",
                expectations.file, e.line, e.rule, s.id, s.family
            );
        }
    }
    text
}

/// The summary: results by section and class, segments judged, what is known of the target.
#[must_use]
pub fn summary(capabilities: &Capabilities, summary: &Summary, expectations: &Expectations, profile: &[String], colour: Colour) -> String {
    let mut text = format!("{}\n", colour.bold(&format!("{} {}", capabilities.name, capabilities.version)));
    for setting in &capabilities.settings {
        let _ = writeln!(text, "  set: {setting}");
    }
    for reason in profile {
        let _ = writeln!(text, "  profile: {reason}");
    }
    let width = summary.sections.keys().map(String::len).max().unwrap_or(0);
    for (section, classes) in &summary.sections {
        let counts: Vec<String> = classes.iter().map(|(c, n)| format!("{n} {c}")).collect();
        let segments = summary.section_segments.get(section).copied().unwrap_or(0);
        let _ = writeln!(text, "  {section:<width$}  {}; {segments} segments judged", counts.join(", "));
    }
    let counts: Vec<String> = summary.classes.iter().map(|(c, n)| format!("{n} {}", colour.class(*c))).collect();
    let total: usize = summary.classes.values().sum();
    let _ = writeln!(text, "{total} results: {}", if counts.is_empty() { "none".to_owned() } else { counts.join(", ") });
    let _ = writeln!(
        text,
        "{} segments judged, {} not; {} findings known of this target ({} entries), {} not known",
        summary.judged,
        summary.unjudged,
        summary.expected,
        expectations.entries.len(),
        summary.unexpected
    );
    text
}

/// Lines of a dead stack's last words.
const MOST_REASON_LINES: usize = 12;
