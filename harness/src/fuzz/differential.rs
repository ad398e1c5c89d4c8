//! Two stacks, the same scripts, each judged by the oracle of its own. Where both conform and took different ways, the rule that leaves the choice is
//! counted; what one of them breaks is a finding on that one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{Case, Fuzzer, Refusal, Verdict, count};
use crate::cli::USAGE;

/// Two fuzzers that get the same cases.
pub struct Differential {
    names: [String; 2],
    fuzzers: [Fuzzer; 2],
    differences: Differences,
}

/// By rule and the two ways, in how many cases the two stacks differed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Differences {
    names: [String; 2],
    cases: u64,
    ways: BTreeMap<(String, [String; 2]), u64>,
}

impl Differential {
    /// The targets that `FUZZ_TARGETS` names, two with a comma between them; without it smoltcp and the reference stack. Where one of them is not there
    /// or cannot run here, says so and ends the process, as [`Campaign::from_environment`](super::Campaign::from_environment) does.
    #[must_use]
    pub fn from_environment() -> Differential {
        let targets = std::env::var(VARIABLE).unwrap_or_else(|_| "smoltcp,reference".to_owned());
        Differential::on(&targets).unwrap_or_else(|refusal| {
            eprintln!("{}", refusal.why);
            std::process::exit(i32::from(refusal.code))
        })
    }

    /// These targets, with a comma between them.
    ///
    /// # Errors
    /// There are not two of them, or one cannot run here.
    pub fn on(targets: &str) -> Result<Differential, Refusal> {
        let Some((a, b)) = targets.split_once(',').filter(|(_, b)| !b.contains(',')) else {
            return Err(Refusal { code: USAGE, why: format!("{VARIABLE}={targets}: wants two targets, as in smoltcp,reference") });
        };
        let open = |name: &str| Fuzzer::new(name).map_err(|error| Refusal::of(&format!("{VARIABLE}: {name}"), &error));
        let names = [a.to_owned(), b.to_owned()];
        let differences = Differences { names: names.clone(), ..Differences::default() };
        Ok(Differential { fuzzers: [open(a)?, open(b)?], names, differences })
    }

    /// Says what is fuzzed.
    pub fn announce(&self) {
        eprintln!("fuzzing {} and {}; {VARIABLE} chooses two others", self.names[0], self.names[1]);
    }

    /// Runs a case on both.
    ///
    /// # Errors
    /// The text of a finding that is not known of the stack on which it showed.
    pub fn run(&mut self, data: &[u8], counters: &mut [u8]) -> Result<(), String> {
        let case = Case::decode(data);
        let half = counters.len() / 2;
        let mut ways = [BTreeSet::new(), BTreeSet::new()];
        for (i, fuzzer) in self.fuzzers.iter_mut().enumerate() {
            let outcome = fuzzer.outcome(&case);
            // Each stack has counters of its own.
            let from = i * half;
            if let Some(own) = counters.get_mut(from..from + half) {
                count(&outcome.trace, own);
            }
            ways[i] = outcome.variants.iter().map(|v| (v.rule.to_string(), v.kind.to_owned())).collect();
            match fuzzer.judged(&case, outcome) {
                Verdict::Nothing | Verdict::Known => {}
                Verdict::New(discovery) => return Err(fuzzer.report(&discovery).to_string()),
                Verdict::NotPerformed(why) => return Err(format!("not performed: {why}")),
            }
        }
        self.differences.note(&ways);
        if self.differences.cases.is_power_of_two() && self.differences.cases >= FIRST_WORD {
            eprintln!("{}", self.differences);
        }
        Ok(())
    }

    /// What was seen so far.
    #[must_use]
    pub fn differences(&self) -> &Differences {
        &self.differences
    }
}

impl Drop for Differential {
    fn drop(&mut self) {
        eprintln!("{}", self.differences);
    }
}

impl Differences {
    /// A rule by which each went a way of its own in the same case.
    fn note(&mut self, ways: &[BTreeSet<(String, String)>; 2]) {
        self.cases += 1;
        let of = |side: &BTreeSet<(String, String)>, rule: &str| {
            let words: Vec<&str> = side.iter().filter(|(r, _)| r == rule).map(|(_, word)| word.as_str()).collect();
            words.join(" and ")
        };
        let rules: BTreeSet<&String> = ways[0].iter().chain(&ways[1]).map(|(rule, _)| rule).collect();
        for rule in rules {
            let both = [of(&ways[0], rule), of(&ways[1], rule)];
            if both[0] != both[1] && both.iter().all(|words| !words.is_empty()) {
                *self.ways.entry((rule.clone(), both)).or_insert(0) += 1;
            }
        }
    }

    /// How many kinds of differences there were.
    #[must_use]
    pub fn kinds(&self) -> usize {
        self.ways.len()
    }
}

impl fmt::Display for Differences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cases; {} permitted differences between {} and {}", self.cases, self.ways.len(), self.names[0], self.names[1])?;
        for ((rule, [a, b]), times) in &self.ways {
            write!(f, "\n  {rule}: {a}, {b}, in {times} cases")?;
        }
        Ok(())
    }
}

/// The variable that names the targets.
const VARIABLE: &str = "FUZZ_TARGETS";
/// How many cases there are before the first word.
const FIRST_WORD: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::Differential;
    use crate::fuzz::{COUNTERS, Generator};

    #[test]
    fn smoltcp_and_the_reference_differ_where_they_may() {
        let mut both = Differential::on("smoltcp,reference").unwrap_or_else(|r| panic!("{r:?}"));
        let mut generator = Generator::new(3);
        let mut counters = [0; COUNTERS];
        for _ in 0..300 {
            // What smoltcp breaks besides is none of this test's.
            let _found = both.run(&generator.case().encode(), &mut counters);
        }
        let told = both.differences().to_string();
        assert!(both.differences().kinds() > 0 && told.contains("RFC5961:3-1: reset-by-rfc793, challenge-ack"), "{told}");
        assert!(counters[..COUNTERS / 2].iter().any(|c| *c > 0) && counters[COUNTERS / 2..].iter().any(|c| *c > 0));
    }

    #[test]
    fn anything_but_two_targets_is_refused() {
        for (targets, says) in [("smoltcp", "wants two"), ("a,b,c", "wants two"), ("smoltcp,nonesuch", "no target is called")] {
            let refusal = Differential::on(targets).err().unwrap_or_else(|| panic!("{targets} is taken"));
            assert!(refusal.why.contains(says), "{refusal:?}");
        }
    }
}
