//! What is known of a target: findings that stand in its expectations file, each with its reason.

use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use tcp_reference::api::Family;
use tcp_reference::catalogue;
use tcp_reference::finding::Finding;

use crate::file_error::FileError;
use crate::fuzz::known::{Cause, Causes};
use crate::select::glob;
use crate::session::ASSERTION;

/// The expectations for one target.
#[derive(Clone, Debug, Default)]
pub struct Expectations {
    /// The entries in the file's order.
    pub entries: Vec<Expectation>,
    /// The file's name, for messages.
    pub file: String,
    /// What the fuzzer keeps finding, by cause: a user's file may hold both.
    pub(crate) causes: Causes,
}

/// A glob, or several where one cause shows in many places.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(from = "OneOrMore")]
pub struct Globs(Vec<String>);

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl From<OneOrMore> for Globs {
    fn from(globs: OneOrMore) -> Globs {
        match globs {
            OneOrMore::One(glob) => Globs(vec![glob]),
            OneOrMore::More(globs) => Globs(globs),
        }
    }
}

impl Globs {
    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether one of them matches the whole text.
    #[must_use]
    pub fn take(&self, text: &str) -> bool {
        self.iter().any(|g| glob(g, text))
    }

    /// The class of a dead stack, where it stands in a rule's place.
    #[must_use]
    pub fn class(&self) -> Option<&str> {
        self.iter().find_map(|g| g.strip_prefix("class:"))
    }
}

impl fmt::Display for Globs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}

/// A finding that is known.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// The vectors that show it: an id or a glob, or a list of them. Each that is performed must show it.
    pub vector: Globs,
    /// The rule: an id or a glob, or a list of them. A dead stack's entry says `class:crash`, `class:hang` or `class:flood`.
    pub rule: Globs,
    /// The kind of event, as in the fingerprint, or a list; any where it is left out.
    pub kind: Option<Globs>,
    /// One IP version alone: 4 or 6.
    pub family: Option<u8>,
    /// Versions of the target that it holds for, each a glob: there the finding is known.
    pub versions: Vec<String>,
    /// Those of them on which it was seen, each a glob: only there it is missed where it does not happen. All of them where it is left out.
    pub verified: Option<Vec<String>>,
    /// Why it is the stack and not the oracle.
    pub reason: String,
    /// The clause, quoted.
    pub clause: String,
    /// Where else it is written down: an upstream issue, a line of source, a message.
    pub citation: String,
    /// The line of the file on which it begins; filled in after reading.
    #[serde(skip)]
    pub line: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    expect: Vec<toml::Spanned<Expectation>>,
    #[serde(default)]
    cause: Vec<toml::Spanned<Cause>>,
}

impl Expectations {
    /// The embedded file of a target; empty for one that has none.
    ///
    /// # Errors
    /// The embedded file is broken.
    pub fn of(target: &str) -> Result<Expectations, Box<FileError>> {
        let own = LISTS.iter().find(|(name, _)| *name == target);
        own.map_or_else(|| Ok(Expectations::default()), |(name, text)| Expectations::read(&file(name), text))
    }

    /// Reads a file's text.
    ///
    /// # Errors
    /// It is not TOML, or an entry lacks something; the error says where and what to do.
    pub fn read(file: &str, text: &str) -> Result<Expectations, Box<FileError>> {
        let error = |span: Option<Range<usize>>, message: String, help: &str| Box::new(FileError::new(file, text, span, message, help));
        let parsed: File = toml::from_str(text).map_err(|e| error(e.span(), e.message().to_owned(), ENTRIES))?;
        let mut entries = Vec::new();
        for spanned in parsed.expect {
            let span = spanned.span();
            let mut entry = spanned.into_inner();
            entry.line = text.get(..span.start).unwrap_or_default().matches('\n').count() + 1;
            check(&entry).map_err(|(message, help)| error(Some(span), message, help))?;
            entries.push(entry);
        }
        let mut causes = Causes::default();
        for spanned in parsed.cause {
            let span = spanned.span();
            let cause = spanned.into_inner();
            cause.check().map_err(|message| error(Some(span), message, "`harness adopt --expect` writes such entries"))?;
            causes.cause.push(cause);
        }
        Ok(Expectations { entries, file: file.to_owned(), causes })
    }

    /// The entries that speak of none of these vectors, each with its glob that does so: a renamed one, or a typing error, by which a finding
    /// would be new and no entry missed.
    #[must_use]
    pub fn idle<'a>(&'a self, ids: &[&str]) -> Vec<(&'a Expectation, &'a str)> {
        let globs = self.entries.iter().flat_map(|e| e.vector.iter().map(move |g| (e, g)));
        globs.filter(|(_, g)| !ids.iter().any(|id| glob(g, id))).collect()
    }

    /// Whether the finding is known.
    #[must_use]
    pub fn knows(&self, id: &str, family: Family, version: &str, finding: &Finding) -> bool {
        self.entry_of(id, family, version, finding).is_some()
    }

    /// The place of the first entry that knows the finding.
    #[must_use]
    pub fn entry_of(&self, id: &str, family: Family, version: &str, finding: &Finding) -> Option<usize> {
        self.entries.iter().position(|e| e.holds_for(id, family, version) && e.is(finding))
    }

    /// The place of the first entry that knows that the stack dies, hangs or floods at this vector.
    #[must_use]
    pub fn entry_of_class(&self, id: &str, family: Family, version: &str, class: &str) -> Option<usize> {
        self.entries.iter().position(|e| e.holds_for(id, family, version) && e.rule.class() == Some(class))
    }
}

impl Expectation {
    /// Whether it speaks of this IP version on this version of the target.
    #[must_use]
    pub fn holds_on(&self, family: Family, version: &str) -> bool {
        self.family.is_none_or(|f| (f == 4) == (family == Family::V4)) && self.versions.iter().any(|v| glob(v, version))
    }

    /// Whether it speaks of this vector over this IP version on this version of the target.
    #[must_use]
    pub fn holds_for(&self, id: &str, family: Family, version: &str) -> bool {
        self.holds_on(family, version) && self.vector.take(id)
    }

    /// Whether it must happen at this vector over this IP version on this version of the target.
    #[must_use]
    pub fn must_happen(&self, id: &str, family: Family, version: &str) -> bool {
        let verified = self.verified.as_ref().is_none_or(|all| all.iter().any(|v| glob(v, version)));
        verified && self.holds_for(id, family, version)
    }

    /// Whether this is the finding it speaks of.
    #[must_use]
    pub fn is(&self, finding: &Finding) -> bool {
        self.rule.take(finding.rule.0) && self.kind.as_ref().is_none_or(|k| k.take(finding.kind))
    }
}

/// Where a target's file stands in the tree; `None` where it has none.
pub(crate) fn listed(target: &str) -> Option<String> {
    LISTS.iter().find(|(name, _)| *name == target).map(|(name, _)| file(name))
}

fn file(target: &str) -> String {
    format!("harness/expectations/{target}.toml")
}

/// Each target's file.
const LISTS: [(&str, &str); 8] = [
    ("gvisor", include_str!("../expectations/gvisor.toml")),
    ("ipstack", include_str!("../expectations/ipstack.toml")),
    ("libslirp", include_str!("../expectations/libslirp.toml")),
    ("ns-3", include_str!("../expectations/ns-3.toml")),
    ("linux-kernel", include_str!("../expectations/linux-kernel.toml")),
    ("lwip", include_str!("../expectations/lwip.toml")),
    ("netstack3", include_str!("../expectations/netstack3.toml")),
    ("smoltcp", include_str!("../expectations/smoltcp.toml")),
];

const ENTRIES: &str = "an entry is `[[expect]]` with vector, rule, versions, reason, clause and citation, or `[[cause]]` with what, clause, script, \
                       versions and fingerprints";

fn check(entry: &Expectation) -> Result<(), (String, &'static str)> {
    let blank = |globs: &Globs| globs.iter().all(|g| g.trim().is_empty());
    let empty = [
        ("vector", blank(&entry.vector)),
        ("rule", blank(&entry.rule)),
        ("reason", entry.reason.trim().is_empty()),
        ("clause", entry.clause.trim().is_empty()),
    ];
    for (name, empty) in empty {
        if empty {
            return Err((
                format!("`{name}` is empty"),
                "every known finding names its vector and rule, quotes the clause and gives a reason",
            ));
        }
    }
    if entry.versions.is_empty() {
        return Err(("`versions` is empty".to_owned(), "name the versions of the target that it holds for, as in versions = [\"0.14.*\"]"));
    }
    if entry.verified.as_ref().is_some_and(Vec::is_empty) {
        return Err((
            "`verified` is empty".to_owned(),
            "name the versions on which it was seen, as in verified = [\"6.18.*\"], or leave it out where that is all of `versions`",
        ));
    }
    if !matches!(entry.family, None | Some(4 | 6)) {
        return Err(("`family` is neither 4 nor 6".to_owned(), "leave it out for both"));
    }
    for rule in entry.rule.iter() {
        let class = rule.starts_with("class:");
        if class && !["class:crash", "class:hang", "class:flood"].contains(&rule) {
            return Err((format!("{rule:?} is no class of a dead stack"), "there are class:crash, class:hang and class:flood"));
        }
        let own = rule == ASSERTION.0;
        if !class && !own && !catalogue::rules().iter().any(|r| glob(rule, r.id.0)) {
            return Err((format!("no rule is called {rule:?}"), "`harness explain RULE` finds ids that are near"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Expectations;
    use tcp_reference::api::Family;

    #[test]
    fn every_entry_speaks_of_a_vector() {
        let ids: Vec<&str> = tcp_vectors::golden().iter().map(|g| g.id.as_str()).collect();
        for target in crate::targets::known() {
            let known = Expectations::of(target.name).unwrap_or_else(|e| panic!("{e}"));
            let idle: Vec<String> = known.idle(&ids).iter().map(|(e, g)| format!("{}:{}: {g}", known.file, e.line)).collect();
            assert!(idle.is_empty(), "no vector is called so:\n{}", idle.join("\n"));
        }
    }

    /// The tests pass on any recent kernel: what is known is known on each, and missed only where it was seen.
    #[test]
    fn what_is_known_of_linux_is_known_of_every_kernel() {
        let known = Expectations::of("linux-kernel").unwrap_or_else(|e| panic!("{e}"));
        for e in &known.entries {
            let id = e.vector.iter().next().unwrap_or_default().replace('*', "x");
            for version in ["5.15.0-100-generic", "6.1.0-13-amd64", "6.18.44", "7.0.1"] {
                assert!(e.holds_for(&id, Family::V4, version) || e.family == Some(6), "{} on {version}", e.line);
                assert_eq!(e.must_happen(&id, Family::V4, version), version.starts_with("6.18.") && e.family != Some(6), "{}", e.line);
            }
        }
    }
}
