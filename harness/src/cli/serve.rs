//! `harness serve`: a target of the harness behind the target protocol.

use std::io;

use super::judge::{cannot_run, known_target};
use super::{FAULT, OK, USAGE, complain};
use crate::protocol::serve::serve as answer;
use crate::targets::{TargetOptions, open};

/// Speaks the protocol on standard input and output until the requests end.
pub(super) fn serve(target: &str) -> u8 {
    if let Err(why) = known_target(target) {
        complain(&why);
        return USAGE;
    }
    let mut target = match open(target, &TargetOptions { watchdog: None }) {
        Ok(target) => target,
        Err(error) => return cannot_run(target, &error),
    };
    match answer(target.as_mut(), io::stdin().lock(), io::stdout().lock()) {
        Ok(()) => OK,
        Err(error) => {
            complain(&format!("harness: {error}\n"));
            FAULT
        }
    }
}
