//! `explain` and `doctor`.

use std::fmt::Write;

use tcp_reference::catalogue::{self, Observable, RuleId};
use tcp_reference::judged::{Judged, judged};
use tcp_reference::stack::Mutant;

use super::{FAULT, FINDINGS, OK, USAGE, complain, diagnose, print, rules};
use crate::doctor;
use crate::report::json::level;
use crate::select;

/// Prints a rule of the catalogue: how it is judged, the mutants that break it and the vectors that cite it.
pub(super) fn explain(id: &str) -> u8 {
    let Some(rule) = catalogue::rule(id) else {
        let near = select::near(id, catalogue::rules().iter().map(|r| r.id.0));
        let mut text = format!("harness: no rule is called {id:?}\n");
        if !near.is_empty() {
            let _ = writeln!(text, "near it are: {}", near.join(", "));
        }
        complain(&text);
        return USAGE;
    };
    let observable = match rule.observable {
        Observable::Wire => "on the wire",
        Observable::Timing => "by the times of segments",
        Observable::Api => "through the user's calls",
        Observable::Internal => "not from outside",
    };
    let mut text = format!("{}\n  {}\n", rule.id, rule.paraphrase);
    let _ = writeln!(text, "  level: {} ({})", level(rule.level), rule.keyword);
    let _ = writeln!(text, "  where: RFC {} section {}", rule.rfc, rule.section);
    let _ = writeln!(text, "  topic: {}; can be seen {observable}", rule.topic);
    let _ = writeln!(
        text,
        "  judged: {}",
        match judged(rule.id) {
            Some(Judged::As(rules)) => format!("findings name the rules that say the same:{}", lines(&rules)),
            how => rules::told(how.as_ref()),
        }
    );
    let breaking: Vec<&str> = Mutant::all().filter(|m| m.breaks.contains(&rule.id)).map(|m| m.name).collect();
    if !breaking.is_empty() {
        let _ = writeln!(text, "  broken on purpose by: {}", breaking.join(", "));
    }
    match select::all() {
        Ok(vectors) => {
            let citing: Vec<_> = vectors.iter().filter(|v| v.header.rules.iter().any(|r| r == id)).collect();
            let _ = writeln!(text, "  cited by {} vectors{}", citing.len(), if citing.is_empty() { "" } else { ":" });
            for vector in citing {
                let _ = writeln!(text, "    {}  {}", vector.id, vector.header.title);
            }
        }
        Err(error) => {
            diagnose(error.as_ref());
            return FAULT;
        }
    }
    print(&text);
    OK
}

/// Each rule in a line of its own.
fn lines(rules: &[RuleId]) -> String {
    rules.iter().fold(String::new(), |text, rule| text + "\n    " + rule.0)
}

/// Prints what each target needs and whether it is there.
pub(super) fn doctor() -> u8 {
    let checks = doctor::examine();
    let mut text = String::new();
    for check in &checks {
        let _ = writeln!(text, "{} {}: {}: {}", if check.ok { "ok     " } else { "missing" }, check.target, check.what, check.detail);
        if !check.ok {
            let _ = writeln!(text, "        remedy: {}", check.remedy);
        }
    }
    print(&text);
    if checks.iter().all(|c| c.ok) { OK } else { FINDINGS }
}
