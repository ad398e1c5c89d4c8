//! A run as one JSON document.

use serde_json::{Value, json};
use tcp_reference::api::Family;
use tcp_reference::catalogue::Level;

use crate::expectations::Expectations;
use crate::run::{Judged, Stale, Summary, Verdict};
use crate::select::Item;
use crate::target::Capabilities;

/// The document that `--format json` prints.
#[must_use]
pub fn document(
    capabilities: &Capabilities,
    items: &[Item],
    verdicts: &[Verdict],
    (stale, expectations): (&[Stale], &Expectations),
    summary: &Summary,
    (seed, exit): (u64, u8),
) -> Value {
    let results: Vec<Value> = verdicts.iter().filter_map(|v| items.get(v.done.item).map(|item| result(item, v))).collect();
    let classes: serde_json::Map<String, Value> = summary.classes.iter().map(|(c, n)| (c.name().to_owned(), json!(n))).collect();
    let gone: Vec<Value> = stale
        .iter()
        .filter_map(|s| {
            expectations
                .entries
                .get(s.entry)
                .map(|e| json!({"rule": e.rule.to_string(), "id": s.id, "family": family(s.family), "line": e.line}))
        })
        .collect();
    json!({
        "target": {"name": capabilities.name, "version": capabilities.version, "settings": capabilities.settings},
        "results": results,
        "summary": {
            "results": verdicts.len(),
            "classes": classes,
            "segments_judged": summary.judged,
            "segments_unjudged": summary.unjudged,
            "findings_expected": summary.expected,
            "findings_unexpected": summary.unexpected,
            "expectations": expectations.entries.len(),
            "expectations_gone": gone,
            "seed": seed,
            "exit_code": exit,
        },
    })
}

fn result(item: &Item, verdict: &Verdict) -> Value {
    let outcome = &verdict.done.outcome;
    let mut result = json!({
        "id": item.id(),
        "family": family(item.family),
        "class": outcome.class.name(),
        "seconds": outcome.took.as_secs_f64(),
        "segments_judged": outcome.stats.judged,
        "reason": outcome.reason,
        "findings": verdict.findings.iter().map(finding).collect::<Vec<Value>>(),
    });
    if let Some(death) = verdict.death {
        result["expected"] = json!(death.expected);
    }
    result
}

fn finding(judged: &Judged) -> Value {
    let f = &judged.finding;
    json!({
        "rule": f.rule.0,
        "level": level(f.rule.entry().map_or(Level::Spec, |r| r.level)),
        "class": f.class.name(),
        "state": f.state.name(),
        "fingerprint": f.fingerprint(),
        "expected": judged.expected,
        "kind": f.kind,
        "event": f.event,
        "at_us": f.at,
        "seen": f.seen,
        "allowed": f.allowed,
        "suspects": f.suspects.iter().map(|rule| rule.0).collect::<Vec<_>>(),
    })
}

/// A level's word.
#[must_use]
pub fn level(level: Level) -> &'static str {
    match level {
        Level::Must => "must",
        Level::Spec => "spec",
        Level::Should => "should",
        Level::May => "may",
        Level::Explains => "explains",
    }
}

fn family(family: Family) -> u8 {
    match family {
        Family::V4 => 4,
        Family::V6 => 6,
    }
}
