//! What the oracle says: findings as values, never panics.

use std::fmt;

use crate::api::Micros;
use crate::catalogue::{Level, RuleId};
use crate::segment::Tuple;
use crate::state::State;

/// How a run or a finding counts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Class {
    /// Nothing to say.
    Conforms,
    /// A MAY was taken, or one of several permitted answers.
    Variant,
    /// A SHOULD was broken.
    Departs,
    /// A MUST or a processing rule was broken.
    Violates,
    /// The oracle cannot tell.
    Inconclusive,
    /// The target declares that it lacks what the vector needs.
    Unsupported,
    /// The stimulus did not come about: the harness's own failing.
    NotPerformed,
    /// The stack died.
    Crash,
    /// The stack did not answer.
    Hang,
    /// The stack would not stop sending.
    Flood,
}

impl Class {
    /// The name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Class::Conforms => "conforms",
            Class::Variant => "variant",
            Class::Departs => "departs",
            Class::Violates => "violates",
            Class::Inconclusive => "inconclusive",
            Class::Unsupported => "unsupported",
            Class::NotPerformed => "not-performed",
            Class::Crash => "crash",
            Class::Hang => "hang",
            Class::Flood => "flood",
        }
    }

    /// The class of a finding on a rule of this level.
    #[must_use]
    pub fn of(level: Level) -> Class {
        match level {
            Level::Must | Level::Spec => Class::Violates,
            Level::Should => Class::Departs,
            Level::May | Level::Explains => Class::Variant,
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One rule broken (or one permitted variant worth a word) at one event of a trace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// The rule.
    pub rule: RuleId,
    /// Other rules, the likeliest first and two at most: that one of them was broken would explain what was seen as well.
    pub suspects: Vec<RuleId>,
    /// How it counts.
    pub class: Class,
    /// The state of the connection, as the oracle understood it, when the rule was broken.
    pub state: State,
    /// The connection.
    pub tuple: Option<Tuple>,
    /// Index into the trace of the event that showed it: the offending segment, or the one by which a demanded one was overdue.
    pub event: usize,
    /// Index of the event that caused what was demanded, where there is one.
    pub cause: Option<usize>,
    /// When, on the target's clock.
    pub at: Micros,
    /// The kind of event and the field, for the fingerprint: a few fixed words without numbers.
    pub kind: &'static str,
    /// What was seen.
    pub seen: String,
    /// What would have been allowed, each alternative in a line.
    pub allowed: Vec<String>,
}

impl Finding {
    /// The suspects beside the accused rule: of these, the likeliest first, each once and two at most.
    #[must_use]
    pub fn suspects(accused: RuleId, rules: impl IntoIterator<Item = RuleId>) -> Vec<RuleId> {
        let mut suspects = Vec::new();
        for rule in rules {
            if rule != accused && !suspects.contains(&rule) && suspects.len() < MOST_SUSPECTS {
                suspects.push(rule);
            }
        }
        suspects
    }

    /// Rule, state and kind of event: two findings with one fingerprint are the same fault.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        format!("{}@{}#{}", self.rule, self.state, self.kind)
    }
}

/// Suspects named beside the accused rule.
const MOST_SUSPECTS: usize = 2;
