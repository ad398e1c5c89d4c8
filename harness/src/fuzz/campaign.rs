//! What a fuzz target does with each input.

use std::ffi::OsStr;
use std::path::Path;

use super::{Case, Fuzzer, Verdict, count};
use crate::cli::{FAULT, UNAVAILABLE, USAGE};
use crate::target::{Target, TargetError};

/// A fuzzer's run on the target that the environment names. It says now and then what was done, and at its end.
pub struct Campaign {
    fuzzer: Fuzzer,
    target: String,
    /// What ends it.
    stop: Stop,
}

/// What ends a run, if `FUZZ_STOP` says so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stop {
    /// A finding that is not known.
    Finding,
    /// A stack's death alone: broken rules are counted, for stacks that break many.
    Death,
}

impl Campaign {
    /// The target named by `FUZZ_TARGET`; without it the one by which the program's own name ends, as in `segments_reference`, else smoltcp. From here on a panic of a stack in process is a value, whatever hook was set.
    /// Where there is no such target, or it cannot run here, says so and ends the process with the command's exit code for that: there is
    /// nothing to fuzz, and a panic would look like a finding.
    #[must_use]
    pub fn from_environment() -> Campaign {
        Campaign::from_environment_or(|_| None)
    }

    /// As [`Campaign::from_environment`], with targets of the fuzz target's own: stacks that the harness has in a process of their own only.
    #[must_use]
    pub fn from_environment_or(own: impl FnOnce(&str) -> Option<Box<dyn Target>>) -> Campaign {
        let program = std::env::current_exe().unwrap_or_default();
        let target = std::env::var(VARIABLE).unwrap_or_else(|_| of_program(&program).to_owned());
        let fuzzer = own(&target).map_or_else(|| Fuzzer::new(&target), Fuzzer::knowing_of);
        Campaign::of(&target, fuzzer).unwrap_or_else(|refusal| {
            eprintln!("{}", refusal.why);
            std::process::exit(i32::from(refusal.code))
        })
    }

    /// The target with this name.
    ///
    /// # Errors
    /// The target cannot run here, or there is none of that name.
    pub fn on(target: &str) -> Result<Campaign, Refusal> {
        Campaign::of(target, Fuzzer::new(target))
    }

    fn of(target: &str, fuzzer: Result<Fuzzer, TargetError>) -> Result<Campaign, Refusal> {
        let refusal = |code: u8, why: String| Refusal { code, why: format!("{VARIABLE}={target}: {why}") };
        match fuzzer {
            Ok(fuzzer) => match std::env::var(STOP).as_deref() {
                Err(_) | Ok("finding") => Ok(Campaign { fuzzer, target: target.to_owned(), stop: Stop::Finding }),
                Ok("death") => Ok(Campaign { fuzzer, target: target.to_owned(), stop: Stop::Death }),
                Ok(other) => Err(refusal(USAGE, format!("{STOP}={other}: what ends the run is \"finding\", as without it, or \"death\""))),
            },
            Err(error) => Err(Refusal::of(&format!("{VARIABLE}={target}"), &error)),
        }
    }

    /// Says what is fuzzed.
    pub fn announce(&self) {
        eprintln!("fuzzing {}; {VARIABLE} chooses another target", self.target);
    }

    /// Runs an input and counts what happened.
    ///
    /// # Errors
    /// The text of a finding that is not known: rule, ladder and script.
    pub fn run(&mut self, data: &[u8], counters: &mut [u8]) -> Result<(), String> {
        let verdict = self.fuzzer.judge_counted(&Case::decode(data), |trace| count(trace, counters));
        if self.fuzzer.tally().cases.is_power_of_two() && self.fuzzer.tally().cases >= FIRST_WORD {
            eprintln!("{}: {}", self.target, self.fuzzer.tally());
        }
        match verdict {
            Verdict::Nothing | Verdict::Known => Ok(()),
            Verdict::New(discovery) if self.stop == Stop::Death && !discovery.is_death() => Ok(()),
            Verdict::New(discovery) => Err(format!("{}\n{}", self.fuzzer.report(&discovery), self.fuzzer.tally())),
            Verdict::NotPerformed(why) => Err(format!("not performed: {why}")),
        }
    }
}

/// The target that a program is for. Where fuzzers run in bulk nobody sets variables for one of them: there a copy has a name of its own.
fn of_program(path: &Path) -> &str {
    let name = path.file_stem().and_then(OsStr::to_str).unwrap_or_default();
    name.split_once('_').map_or(crate::targets::smoltcp::NAME, |(_, target)| target)
}

/// Why there is nothing to fuzz.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// The process's exit code, as of the `harness` command.
    pub code: u8,
    /// What is wrong and what to do.
    pub why: String,
}

impl Refusal {
    /// Of a target that could not be opened; `what` says which was asked for.
    pub(super) fn of(what: &str, error: &TargetError) -> Refusal {
        let (code, cannot) = match error {
            TargetError::Unavailable(_) => (UNAVAILABLE, "it cannot run here: "),
            TargetError::Harness(_) => (USAGE, ""),
            TargetError::Crash(_) | TargetError::Hang(_) | TargetError::Flood(_) | TargetError::Unsupported(_) => (FAULT, ""),
        };
        Refusal { code, why: format!("{what}: {cannot}{}", error.why()) }
    }
}

impl Drop for Campaign {
    fn drop(&mut self) {
        eprintln!("{}: {}", self.target, self.fuzzer.tally());
    }
}

/// The variable that names the target.
const VARIABLE: &str = "FUZZ_TARGET";
/// The variable that says what ends the run.
const STOP: &str = "FUZZ_STOP";
/// How many cases there are before the first word.
const FIRST_WORD: u64 = 4096;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Campaign, of_program};

    #[test]
    fn a_program_is_for_the_target_that_it_is_called_by() {
        assert_eq!(of_program(Path::new("/out/segments")), "smoltcp");
        assert_eq!(of_program(Path::new("/a_b/segments_reference")), "reference");
        assert_eq!(of_program(Path::new("")), "smoltcp");
    }

    #[test]
    fn a_target_that_is_not_there_is_refused() {
        for (target, says) in [("nonesuch", "there are smoltcp, reference"), ("mutant:foo", "harness list --mutants")] {
            let refusal = Campaign::on(target).err().unwrap_or_else(|| panic!("{target} is there"));
            assert_eq!(refusal.code, 2, "{refusal:?}");
            assert!(refusal.why.starts_with(&format!("FUZZ_TARGET={target}: ")) && refusal.why.contains(says), "{refusal:?}");
        }
    }
}
