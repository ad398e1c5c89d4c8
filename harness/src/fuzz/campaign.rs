//! What a fuzz target does with each input.

use super::{Fuzzer, Verdict, count};
use crate::target::TargetError;

/// A fuzzer's run on the target that the environment names. It says now and then what was done, and at its end.
pub struct Campaign {
    fuzzer: Fuzzer,
    target: String,
}

impl Campaign {
    /// The target named by `FUZZ_TARGET`; smoltcp without it. From here on a panic of a stack in process is a value, whatever hook was set.
    ///
    /// # Errors
    /// The target cannot run here, or there is none of that name.
    pub fn from_environment() -> Result<Campaign, String> {
        let target = std::env::var(VARIABLE).unwrap_or_else(|_| crate::targets::smoltcp::NAME.to_owned());
        match Fuzzer::new(&target) {
            Ok(fuzzer) => Ok(Campaign { fuzzer, target }),
            Err(TargetError::Unavailable(why)) => Err(format!("{VARIABLE}={target} cannot run here: {why}")),
            Err(TargetError::Crash(why) | TargetError::Hang(why) | TargetError::Flood(why) | TargetError::Harness(why)) => {
                Err(format!("{VARIABLE}={target}: {why}"))
            }
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
        let verdict = self.fuzzer.run_counted(data, |trace| count(trace, counters));
        if self.fuzzer.tally().cases.is_power_of_two() && self.fuzzer.tally().cases >= FIRST_WORD {
            eprintln!("{}: {}", self.target, self.fuzzer.tally());
        }
        match verdict {
            Verdict::Nothing | Verdict::Known => Ok(()),
            Verdict::New(discovery) => Err(format!("{}\n{}", self.fuzzer.told(&discovery), self.fuzzer.tally())),
            Verdict::NotPerformed(why) => Err(format!("not performed: {why}")),
        }
    }
}

impl Drop for Campaign {
    fn drop(&mut self) {
        eprintln!("{}: {}", self.target, self.fuzzer.tally());
    }
}

/// The variable that names the target.
const VARIABLE: &str = "FUZZ_TARGET";
/// How many cases there are before the first word.
const FIRST_WORD: u64 = 4096;
