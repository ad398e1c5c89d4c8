//! `rules`: the catalogue, and how each rule of it is judged.

use std::collections::BTreeMap;
use std::fmt::Write;

use tcp_reference::catalogue::{self, Rule, RuleId};
use tcp_reference::judged::{Judged, judged};
use tcp_reference::stack::Mutant;
use tcp_vectors::model::Vector;

use super::{NOTHING, OK, RulesArgs, complain, files, print};
use crate::report::json::level;
use crate::select;

/// Prints a line for each rule, then the counts.
pub(super) fn rules(args: &RulesArgs) -> u8 {
    let vectors = match files::golden() {
        Ok(vectors) => vectors,
        Err(code) => return code,
    };
    let taken = |rule: &&Rule| {
        let by_word = args.filters.is_empty() || args.filters.iter().any(|w| w == rule.topic || select::glob(w, rule.id.0));
        let by_vector = args.vector.is_empty() || args.vector.iter().any(|w| cited_by(w, rule, &vectors));
        by_word && by_vector
    };
    let chosen: Vec<&Rule> = catalogue::rules().iter().filter(taken).collect();
    if chosen.is_empty() {
        complain("harness: no rule is selected\n");
        return NOTHING;
    }
    let mut text = String::new();
    let width = chosen.iter().map(|r| r.id.0.len()).max().unwrap_or(0);
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let _ = writeln!(text, "{:<width$}  {:<8} {:<18} {:>7} {:>7}  judged", "rule", "level", "section", "vectors", "mutants");
    for rule in &chosen {
        let how = judged(rule.id);
        *counts.entry(kind(how.as_ref())).or_insert(0) += 1;
        let section = format!("{} {}", rule.rfc, rule.section);
        let citing = vectors.iter().filter(|v| cites(v, rule.id)).count();
        let breaking = Mutant::all().filter(|m| m.breaks.contains(&rule.id)).count();
        let words = told(how.as_ref());
        let _ = writeln!(text, "{:<width$}  {:<8} {section:<18} {citing:>7} {breaking:>7}  {words}", rule.id.0, level(rule.level));
        let _ = writeln!(text, "{:width$}  {}", "", rule.paraphrase);
    }
    let parts: Vec<String> = KINDS.iter().filter_map(|k| counts.get(k).map(|n| format!("{n} {k}"))).collect();
    let _ = writeln!(text, "{} rules: {}", chosen.len(), parts.join(", "));
    print(&text);
    OK
}

/// Whether a vector that this word takes (an id, an area or a glob) cites the rule.
fn cited_by(word: &str, rule: &Rule, vectors: &[Vector]) -> bool {
    let filter = select::Filter { words: vec![word.to_owned()], ..select::Filter::default() };
    vectors.iter().any(|v| cites(v, rule.id) && filter.takes(v))
}

fn cites(vector: &Vector, rule: RuleId) -> bool {
    vector.header.rules.iter().any(|r| r == rule.0)
}

/// The ways of being judged, in the order of the counts.
const KINDS: [&str; 6] =
    ["named by findings", "as permissions", "under rules that say the same", "by vectors' own assertions", "excepted", "not judged yet"];

fn kind(how: Option<&Judged>) -> &'static str {
    match how {
        Some(Judged::Named) => KINDS[0],
        Some(Judged::Permission) => KINDS[1],
        Some(Judged::As(_)) => KINDS[2],
        Some(Judged::Asserted(_)) => KINDS[3],
        Some(Judged::Not(..)) => KINDS[4],
        None => KINDS[5],
    }
}

/// How a rule is judged, in a line.
pub(super) fn told(how: Option<&Judged>) -> String {
    match how {
        Some(Judged::Named) => "findings name it".to_owned(),
        Some(Judged::Permission) => "as a permission: without it a right stack would be found at fault".to_owned(),
        Some(Judged::As(rules)) => {
            let first: Vec<&str> = rules.iter().take(2).map(|r| r.0).collect();
            let more = if rules.len() > 2 { format!(" and {} more", rules.len() - 2) } else { String::new() };
            format!("findings name what says the same: {}{more}", first.join(", "))
        }
        Some(Judged::Asserted(vectors)) => format!("a vector asserts it: {}", vectors.join(", ")),
        Some(Judged::Not(ground, why)) => format!("no ({}): {why}", ground.word()),
        None => "not yet".to_owned(),
    }
}
