//! A discovery as text.

use std::fmt::Write;

use tcp_reference::finding::Finding;
use tcp_vectors::{model::Header, print};

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
    let header = Header {
        title: format!("found by the fuzzer on {}", target.name),
        rules: finding.map(|f| f.rule.to_string()).into_iter().collect(),
        source: "fuzz".to_owned(),
        families: vec![case.family],
        ..Header::default()
    };
    let _ = writeln!(text, "the script, minimised in {} runs, as a vector:\n\n{}", minimised.runs, print::script(&case.script, &header));
    text
}
