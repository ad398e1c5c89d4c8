//! What the fuzzer keeps finding on a target, by cause.
//!
//! The expectations of the vectors name one vector and rule each. A fuzzer meets the same causes by a hundred ways, so its list goes the other
//! way round: a cause with its clause and smallest script, and the fingerprints by which it shows.

mod trigger;

use serde::{Deserialize, Serialize};
use tcp_reference::catalogue;
use tcp_reference::finding::Finding;
use tcp_reference::trace::Trace;

use crate::select::glob;
use trigger::Trigger;

/// The causes that are known of a target.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Causes {
    #[serde(default)]
    pub(crate) cause: Vec<Cause>,
}

/// One fault of a stack.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cause {
    /// What the stack does.
    pub(crate) what: String,
    /// The clause that it breaks.
    pub(crate) clause: String,
    /// The shortest way to see it.
    pub(crate) script: String,
    /// Versions of the target that it holds for, each a glob.
    pub(crate) versions: Vec<String>,
    /// What sets it off, where its fingerprints alone do not tell it from other faults.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) after: Option<Trigger>,
    /// The fingerprints by which it shows, each a glob.
    pub(crate) fingerprints: Vec<String>,
}

impl Causes {
    /// The embedded list of a target; empty for one that has none.
    ///
    /// # Errors
    /// The list is broken: what is wrong and where.
    pub(crate) fn of(target: &str) -> Result<Causes, String> {
        LISTS.iter().find(|(name, _)| *name == target).map_or_else(|| Ok(Causes::default()), |(name, text)| Causes::read(&file(name), text))
    }

    /// Reads a list's text.
    ///
    /// # Errors
    /// It is broken: what is wrong and where.
    pub(crate) fn read(file: &str, text: &str) -> Result<Causes, String> {
        let causes: Causes = toml::from_str(text).map_err(|e| format!("{file}: {e}"))?;
        causes.cause.iter().try_for_each(Cause::check).map_err(|why| format!("{file}: {why}"))?;
        Ok(causes)
    }

    /// Whether this fingerprint is known of this version, by the finding and the trace in which it showed.
    pub(crate) fn know(&self, fingerprint: &str, version: &str, finding: Option<&Finding>, trace: &Trace) -> bool {
        let set_off = |c: &Cause| {
            let (by, on) = finding.map_or((usize::MAX, None), |f| (f.event, f.tuple));
            c.after.is_none_or(|trigger| trigger.happened(trace, by, on))
        };
        let listed = |c: &&Cause| c.versions.iter().any(|v| glob(v, version)) && c.fingerprints.iter().any(|f| glob(f, fingerprint));
        self.cause.iter().filter(listed).any(set_off)
    }
}

impl Cause {
    /// Says what it lacks.
    ///
    /// # Errors
    /// A field is empty, or a fingerprint is not of its form.
    pub(crate) fn check(&self) -> Result<(), String> {
        if [&self.what, &self.clause, &self.script].iter().any(|s| s.trim().is_empty())
            || self.versions.is_empty()
            || self.fingerprints.is_empty()
        {
            return Err(format!("{:?} lacks its clause, its script, its versions or its fingerprints", self.what));
        }
        for fingerprint in &self.fingerprints {
            let (rule, place) = fingerprint.split_once('@').unwrap_or((fingerprint, ""));
            let dead = DEATHS.iter().any(|class| fingerprint.starts_with(class));
            if !dead && (!place.contains('#') || !catalogue::rules().iter().any(|r| glob(rule, r.id.0))) {
                return Err(format!(
                    "{fingerprint:?} is neither rule@state#kind with a rule of the catalogue nor class:crash, hang, flood or growth"
                ));
            }
        }
        Ok(())
    }
}

/// Where a target's list stands in the tree; `None` where it has none.
pub(crate) fn listed(target: &str) -> Option<String> {
    LISTS.iter().find(|(name, _)| *name == target).map(|(name, _)| file(name))
}

fn file(target: &str) -> String {
    format!("harness/src/fuzz/known/{target}.toml")
}

const DEATHS: [&str; 4] = ["class:crash", "class:hang", "class:flood", "class:growth"];

/// Each target's list.
const LISTS: [(&str, &str); 8] = [
    ("gvisor", include_str!("known/gvisor.toml")),
    ("ipstack", include_str!("known/ipstack.toml")),
    ("linux-kernel", include_str!("known/linux-kernel.toml")),
    ("libslirp", include_str!("known/libslirp.toml")),
    ("lwip", include_str!("known/lwip.toml")),
    ("netstack3", include_str!("known/netstack3.toml")),
    ("ns-3", include_str!("known/ns-3.toml")),
    ("smoltcp", include_str!("known/smoltcp.toml")),
];

#[cfg(test)]
mod tests {
    use super::Causes;
    use tcp_reference::trace::Trace;

    #[test]
    fn the_list_is_whole_and_says_what_is_wrong_with_another() {
        let causes = Causes::of("smoltcp").unwrap_or_else(|e| panic!("{e}"));
        let knows = |fingerprint, version| causes.know(fingerprint, version, None, &Trace::default());
        assert!(knows("RFC9293:MUST-57@CLOSED#reply", "0.14.0"));
        assert!(!knows("RFC9293:MUST-57@CLOSED#reply", "0.15.0"));
        assert!(!knows("class:crash src/socket/tcp.rs:1", "0.14.0"));
        let entry = "[[cause]]\nwhat='w'\nclause='c'\nscript='s'\nversions=['*']\nfingerprints=['RFC9293:MUST-570@*#reply']";
        assert!(Causes::read("f", entry).is_err_and(|e| e.contains("MUST-570")));
        let death = entry.replace("RFC9293:MUST-570@*#reply", "class:crash src/x.rs:7");
        let death = Causes::read("f", &death).unwrap_or_else(|e| panic!("{e}"));
        assert!(death.know("class:crash src/x.rs:7", "1", None, &Trace::default()));
        assert!(!death.know("class:crash src/x.rs:8", "1", None, &Trace::default()));
    }
}
