//! `harness target-check`: what an adapter's author got wrong, and how to mend it.

use std::fmt::Write;
use std::time::Duration;

use super::{FINDINGS, OK, USAGE, complain, print};
use crate::adapter::{Check, Found, examine};
use crate::protocol::Identity;
use crate::targets::exec::PREFIX;

/// Examines the adapter that `target` starts, `exec:COMMAND`.
pub(super) fn target_check(target: &str, limit: Duration) -> u8 {
    let words = target.strip_prefix(PREFIX).and_then(|command| shell_words::split(command).ok()).filter(|words| !words.is_empty());
    let Some(words) = words else {
        complain(&format!("harness: {target:?} is no adapter: write exec:COMMAND, in quotes where the command has arguments\n"));
        return USAGE;
    };
    let (identity, checks) = examine(&words, limit);
    print(&report(identity.as_ref(), &checks));
    if checks.iter().any(|c| matches!(c.found, Found::Wrong(_))) { FINDINGS } else { OK }
}

fn report(identity: Option<&Identity>, checks: &[Check]) -> String {
    let mut text = String::new();
    if let Some(Identity { name, version, clock, .. }) = identity {
        let clock = format!("{clock:?}").to_lowercase();
        let _ = writeln!(text, "{name} {version}, {clock} clock");
    }
    for Check { what, found, remedy } in checks {
        match found {
            Found::Right => {
                let _ = writeln!(text, "right    {what}");
            }
            Found::Skipped(why) => {
                let _ = writeln!(text, "skipped  {what}: {why}");
            }
            Found::Wrong(why) => {
                let _ = writeln!(text, "wrong    {what}\n  seen:   {}\n  remedy: {remedy}", why.replace('\n', "\n  "));
            }
        }
    }
    let wrong = checks.iter().filter(|c| matches!(c.found, Found::Wrong(_))).count();
    let _ = writeln!(text, "{} checks, {wrong} wrong", checks.len());
    text
}
