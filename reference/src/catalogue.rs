//! The catalogue: every requirement of RFC 9293 and its companions, one entry each. Code that decides something cites an entry by its id.

use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

/// A rule's id, as in `RFC9293:MUST-14`. Ids that code cites are checked against the catalogue by a test.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleId(pub &'static str);

impl RuleId {
    /// The catalogue's entry; `None` for an id that is not in it.
    #[must_use]
    pub fn entry(self) -> Option<&'static Rule> {
        rule(self.0)
    }
}

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Debug for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// How binding a rule is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Level {
    /// MUST, MUST NOT.
    Must,
    /// A processing rule of section 3.10 or another normative sentence without a keyword.
    Spec,
    /// SHOULD, SHOULD NOT, RECOMMENDED.
    Should,
    /// MAY.
    May,
    /// Errata, ambiguities, notes and differences: they explain, they do not bind.
    Explains,
}

/// How a rule can be seen to hold.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Observable {
    /// On the wire.
    Wire,
    /// By the times of segments.
    Timing,
    /// Through the user's calls.
    Api,
    /// Not from outside.
    Internal,
}

/// One entry of the catalogue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rule {
    /// The id.
    pub id: RuleId,
    /// How binding it is.
    pub level: Level,
    /// The level in the source's own word, as in `MUST NOT`.
    pub keyword: &'static str,
    /// The RFC's number.
    pub rfc: &'static str,
    /// The section in it.
    pub section: &'static str,
    /// What it says, in other words.
    pub paraphrase: &'static str,
    /// What it is about.
    pub topic: &'static str,
    /// How it can be seen to hold.
    pub observable: Observable,
}

/// Every rule, in the catalogue's order.
#[must_use]
pub fn rules() -> &'static [Rule] {
    &CATALOGUE.0
}

/// The rule with this id.
#[must_use]
pub fn rule(id: &str) -> Option<&'static Rule> {
    CATALOGUE.1.get(id).map(|&i| &CATALOGUE.0[i])
}

static CATALOGUE: LazyLock<(Vec<Rule>, HashMap<&'static str, usize>)> = LazyLock::new(|| {
    let rules: Vec<Rule> = include_str!("requirements.tsv").lines().skip(1).filter_map(parse).collect();
    let index = rules.iter().enumerate().map(|(i, r)| (r.id.0, i)).collect();
    (rules, index)
});

fn parse(line: &'static str) -> Option<Rule> {
    let mut fields = line.split('\t');
    let mut next = || fields.next();
    let (id, keyword, rfc, section, paraphrase, topic, observable) = (next()?, next()?, next()?, next()?, next()?, next()?, next()?);
    let level = match keyword {
        "MUST" | "MUST NOT" => Level::Must,
        "SPEC" | "RULE" => Level::Spec,
        "SHOULD" | "SHOULD NOT" | "RECOMMENDED" => Level::Should,
        "MAY" => Level::May,
        "ERRATUM" | "AMBIGUITY" | "DIFF" | "NOTE" | "ROBUST" => Level::Explains,
        _ => return None,
    };
    let observable = match observable {
        "wire" => Observable::Wire,
        "timing" => Observable::Timing,
        "api" => Observable::Api,
        "internal" => Observable::Internal,
        _ => return None,
    };
    Some(Rule { id: RuleId(id), level, keyword, rfc, section, paraphrase, topic, observable })
}

#[cfg(test)]
mod tests {
    use super::rules;

    #[test]
    fn every_row_is_an_entry_once() {
        assert_eq!(rules().len(), include_str!("requirements.tsv").lines().count() - 1);
        let mut ids: Vec<_> = rules().iter().map(|r| r.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 478);
    }
}
