//! What the fuzzer keeps finding on a target, by cause.
//!
//! The expectations of the vectors name one vector and rule each. A fuzzer meets the same causes by a hundred ways, so its list goes the other
//! way round: a cause with its clause and smallest script, and the fingerprints by which it shows.

mod trigger;

use serde::Deserialize;
use tcp_reference::catalogue;
use tcp_reference::finding::Finding;
use tcp_reference::trace::Trace;

use crate::select::glob;
use trigger::Trigger;

/// The causes that are known of a target.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Causes {
    #[serde(default)]
    cause: Vec<Cause>,
}

/// One fault of a stack.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cause {
    /// What the stack does.
    what: String,
    /// The clause that it breaks.
    clause: String,
    /// The shortest way to see it.
    script: String,
    /// Versions of the target that it holds for, each a glob.
    versions: Vec<String>,
    /// What sets it off, where its fingerprints alone do not tell it from other faults.
    after: Option<Trigger>,
    /// The fingerprints by which it shows, each a glob.
    fingerprints: Vec<String>,
}

impl Causes {
    /// The embedded list of a target; empty for one that has none.
    ///
    /// # Errors
    /// The list is broken: what is wrong and where.
    pub(super) fn of(target: &str) -> Result<Causes, String> {
        match target {
            crate::targets::smoltcp::NAME => Causes::read("harness/src/fuzz/known/smoltcp.toml", include_str!("known/smoltcp.toml")),
            crate::targets::linux::NAME => {
                Causes::read("harness/src/fuzz/known/linux-kernel.toml", include_str!("known/linux-kernel.toml"))
            }
            _ => Ok(Causes::default()),
        }
    }

    fn read(file: &str, text: &str) -> Result<Causes, String> {
        let causes: Causes = toml::from_str(text).map_err(|e| format!("{file}: {e}"))?;
        for cause in &causes.cause {
            if [&cause.what, &cause.clause, &cause.script].iter().any(|s| s.trim().is_empty()) || cause.versions.is_empty() {
                return Err(format!("{file}: {:?} lacks its clause, its script or its versions", cause.what));
            }
            for fingerprint in &cause.fingerprints {
                let (rule, place) = fingerprint.split_once('@').unwrap_or((fingerprint, ""));
                if !place.contains('#') || !catalogue::rules().iter().any(|r| glob(rule, r.id.0)) {
                    return Err(format!("{file}: {fingerprint:?} is not rule@state#kind with a rule of the catalogue"));
                }
            }
        }
        Ok(causes)
    }

    /// Whether this fingerprint is known of this version, by the finding and the trace in which it showed.
    pub(super) fn know(&self, fingerprint: &str, version: &str, finding: Option<&Finding>, trace: &Trace) -> bool {
        let set_off = |c: &Cause| {
            let (by, on) = finding.map_or((usize::MAX, None), |f| (f.event, f.tuple));
            c.after.is_none_or(|trigger| trigger.happened(trace, by, on))
        };
        let listed = |c: &&Cause| c.versions.iter().any(|v| glob(v, version)) && c.fingerprints.iter().any(|f| glob(f, fingerprint));
        self.cause.iter().filter(listed).any(set_off)
    }
}

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
    }
}
