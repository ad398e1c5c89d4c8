//! A discovery as text.

use std::fmt::Write;

use tcp_reference::finding::Finding;
use tcp_vectors::model::{CallStep, Header, Script, Step, StepKind, Vector, VectorCall};
use tcp_vectors::{lint, print};

use super::Minimised;
use crate::report::ladder::ladder;
use crate::report::text::cited;
use crate::session::Outcome;
use crate::target::Capabilities;

/// Rule, paraphrase, what was seen and allowed, the ladder, and the script as a vector.
pub(super) fn told(
    target: &Capabilities,
    minimised: &Minimised,
    fingerprint: &str,
    finding: Option<&Finding>,
    outcome: &Outcome,
) -> String {
    let case = &minimised.case;
    let mut text = format!("new on {} {} over IPv{} with seed {}: {fingerprint}\n", target.name, target.version, case.family, case.seed);
    if let Some(f) = finding {
        if let Some(rule) = f.rule.entry() {
            let _ = writeln!(text, "  {}", cited(rule));
        }
        let _ = writeln!(text, "  seen:    {}", f.seen);
        for (i, allowed) in f.allowed.iter().enumerate() {
            let _ = writeln!(text, "  {} {allowed}", if i == 0 { "allowed:" } else { "or:     " });
        }
    }
    if let Some(reason) = &outcome.reason {
        let _ = writeln!(text, "  {reason}");
    }
    text += &ladder(outcome, &finding.map(|f| f.event).into_iter().collect::<Vec<_>>());
    let rule = finding.and_then(|f| f.rule.entry());
    let header = Header {
        level: lint::level(rule.into_iter()).to_owned(),
        title: format!("found by the fuzzer on {}", target.name),
        rules: finding.map(|f| f.rule.to_string()).into_iter().collect(),
        source: "fuzz".to_owned(),
        families: vec![case.family],
        family_why: "so it was found".to_owned(),
        ..Header::default()
    };
    let script = print::script(&meaningful(&case.script), &header);
    let _ = writeln!(text, "the script, minimised in {} runs, as a vector for `harness replay`:\n\n{script}", minimised.runs);
    text
}

/// The script without calls on sockets that no call before gave, which the session passes over in a script and refuses in a vector. The time
/// that passed before one stays.
fn meaningful(script: &Script) -> Script {
    let numbered = (1..).zip(&script.steps).map(|(line, s)| Step { line, ..s.clone() }).collect();
    let lints = lint::vector(&Vector { steps: numbered, ..Vector::default() });
    let unknown = |line: u32| lints.iter().any(|l| l.line == line && matches!(l.kind, lint::LintKind::UnknownSocket(_)));
    let keep = |(line, s): (u32, &Step)| match &s.kind {
        StepKind::Call(CallStep { call: VectorCall::Socket, .. }) => Some(s.clone()),
        StepKind::Call(_) if unknown(line) => Some(Step { kind: StepKind::Wait, ..s.clone() }).filter(|s| s.after > 0),
        _ => Some(s.clone()),
    };
    Script { steps: (1..).zip(&script.steps).filter_map(keep).collect() }
}
