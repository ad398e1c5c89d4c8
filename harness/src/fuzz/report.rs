//! A discovery as text.

use std::fmt::{self, Write};

use tcp_reference::api::Micros;
use tcp_reference::finding::Finding;
use tcp_vectors::lint::LintKind;
use tcp_vectors::model::{CallStep, Header, Script, Step, StepKind, Vector, VectorCall};
use tcp_vectors::{lint, print};

use super::Case;
use crate::report::ladder::ladder;
use crate::report::text::cited;
use crate::session::Outcome;

/// A discovery, minimised, with what people are told of it.
#[derive(Clone, Debug)]
pub struct Report {
    /// What tells it from others.
    pub fingerprint: String,
    /// The stack's name, by which its expectations go.
    pub name: String,
    /// The stack's version.
    pub version: String,
    /// The smallest case that shows it, or, where it did not show again, the one in which it was seen.
    pub case: Case,
    /// Runs that it took to find that case.
    pub runs: usize,
    /// Whether it showed again.
    pub repeats: bool,
    /// The finding; `None` where the stack died.
    pub finding: Option<Finding>,
    /// That case's run.
    pub outcome: Outcome,
}

impl Report {
    /// The stack and its version.
    #[must_use]
    pub fn stack(&self) -> String {
        format!("{} {}", self.name, self.version)
    }

    /// Rule, paraphrase, what was seen and what would have been allowed, a line each.
    #[must_use]
    pub fn words(&self) -> String {
        let mut text = String::new();
        if let Some(f) = &self.finding {
            if let Some(rule) = f.rule.entry() {
                let _ = writeln!(text, "  {}", cited(rule));
            }
            let _ = writeln!(text, "  seen:    {}", f.seen);
            for (i, allowed) in f.allowed.iter().enumerate() {
                let _ = writeln!(text, "  {} {allowed}", if i == 0 { "allowed:" } else { "or:     " });
            }
        }
        if let Some(reason) = &self.outcome.reason {
            let _ = writeln!(text, "  {reason}");
        }
        text
    }

    /// The exchange, with the event that showed it marked.
    #[must_use]
    pub fn ladder(&self) -> String {
        ladder(&self.outcome, &self.finding.iter().map(|f| f.event).collect::<Vec<_>>())
    }

    /// The script as a vector for `harness replay`.
    #[must_use]
    pub fn script(&self) -> String {
        let rule = self.finding.as_ref().and_then(|f| f.rule.entry());
        let script = meaningful(&self.case.script);
        let header = Header {
            level: lint::level(rule.into_iter()).to_owned(),
            title: rule.map_or_else(|| "the stack lives on".to_owned(), |r| r.paraphrase.to_owned()),
            rules: self.finding.iter().map(|f| f.rule.to_string()).collect(),
            source: format!("fuzz, on {}", self.stack()),
            needs: needs(&script),
            families: vec![self.case.family],
            family_why: "so it was found".to_owned(),
            ..Header::default()
        };
        print::script(&script, &header)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (case, script) = (&self.case, self.script());
        writeln!(f, "new on {} over IPv{} with seed {}: {}", self.stack(), case.family, case.seed, self.fingerprint)?;
        write!(f, "{}{}", self.words(), self.ladder())?;
        writeln!(f, "the script, minimised in {} runs, as a vector for `harness replay`:\n\n{script}", self.runs)?;
        if self.repeats { Ok(()) } else { writeln!(f, "it did not show in {} more runs", self.runs + 1) }
    }
}

/// What a target must have for the script: its calls, and a virtual clock where it waits too long for a real one.
fn needs(script: &Script) -> Vec<String> {
    let lints = lint::vector(&Vector { steps: script.steps.clone(), ..Vector::default() });
    let calls = lints.iter().filter_map(|l| if let LintKind::MissingNeed(need) = l.kind { Some(need) } else { None });
    let waits: Micros = script.steps.iter().map(|s| s.after).fold(0, Micros::saturating_add);
    calls.chain((waits > LONGEST_WAIT).then_some("virtual-clock")).map(str::to_owned).collect()
}

/// The script without calls on sockets that no call before gave, which the session passes over in a script and refuses in a vector. The time
/// that passed before one stays.
fn meaningful(script: &Script) -> Script {
    let numbered = (1..).zip(&script.steps).map(|(line, s)| Step { line, ..s.clone() }).collect();
    let lints = lint::vector(&Vector { steps: numbered, ..Vector::default() });
    let unknown = |line: u32| lints.iter().any(|l| l.line == line && matches!(l.kind, LintKind::UnknownSocket(_)));
    let keep = |(line, s): (u32, &Step)| match &s.kind {
        StepKind::Call(CallStep { call: VectorCall::Socket, .. }) => Some(s.clone()),
        StepKind::Call(_) if unknown(line) => Some(Step { kind: StepKind::Wait, ..s.clone() }).filter(|s| s.after > 0),
        _ => Some(s.clone()),
    };
    Script { steps: (1..).zip(&script.steps).filter_map(keep).collect() }
}

/// Waits of a script, all together, that a stack on a real clock is made to sit out.
const LONGEST_WAIT: Micros = 10_000_000;
