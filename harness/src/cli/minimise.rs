//! `minimise`: the smallest script that still breaks the rule that a file's script breaks.

use std::path::Path;

use tcp_reference::api::Family;

use super::{FAULT, FINDINGS, NOTHING, USAGE, complain, files, fuzz, judge, print};
use crate::expectations::Expectations;
use crate::fuzz::{Case, Fuzzer, Verdict};
use crate::run::Strictness;

/// Prints the script of a file, made smaller under the fingerprint of its first finding, known or not.
pub(super) fn minimise(file: &Path, target: &str, seed: u64, level: Strictness) -> u8 {
    if let Err(why) = judge::known_target(target) {
        complain(&why);
        return USAGE;
    }
    let vectors = match files::vectors(file, "`minimise` wants a readable .pkt file in UTF-8") {
        Ok(vectors) => vectors,
        Err(code) => return code,
    };
    let [vector] = &vectors[..] else {
        complain(&format!("harness: {}: a template stands for {} vectors; `minimise` wants one\n", file.display(), vectors.len()));
        return USAGE;
    };
    let mut fuzzer = match Fuzzer::new(target) {
        // Whatever is known of the target is worth a smaller script too.
        Ok(fuzzer) => fuzzer.all_is_new().expecting(Expectations::default()).counting(fuzz::counting(level)),
        Err(error) => return judge::cannot_run(target, &error),
    };
    let family = vector.header.families.first().copied().unwrap_or(Family::V4);
    let case = Case { script: vector.script(), family, seed };
    match fuzzer.judge(&case) {
        Verdict::New(discovery) => {
            let report = fuzzer.report(&discovery);
            let (steps, before) = (report.case.script.steps.len(), case.script.steps.len());
            let again = if report.repeats { "" } else { "; it did not show again, so this is the whole script" };
            complain(&format!("harness: {}: {steps} of {before} steps, in {} runs{again}\n", report.fingerprint, report.runs));
            print(&report.script());
            FINDINGS
        }
        Verdict::Nothing | Verdict::Known => {
            complain(&format!("harness: {}: its script breaks no rule on {target}; there is nothing to make smaller\n", file.display()));
            NOTHING
        }
        Verdict::NotPerformed(why) => {
            complain(&format!("harness: {}: not performed: {why}\n", file.display()));
            FAULT
        }
    }
}
