//! What tests of the kernel do where it cannot be a target.

use std::io::Write;

use tcp_harness::target::TargetError;

/// Fails under `REQUIRE_KERNEL`, else says that this test has tested nothing. The test harness swallows what tests print, so the words go
/// past it: what is written to the stream itself is not captured.
#[allow(dead_code, reason = "the vectors' tests are listed as ignored instead")]
#[track_caller]
pub(crate) fn is_missing(why: &str) {
    assert!(!required(), "the kernel cannot be a target here, and REQUIRE_KERNEL is set: {why}");
    let at = std::panic::Location::caller();
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let told = writeln!(
        std::io::stderr(),
        "\n!!! SKIPPED {test} ({}:{}): the kernel cannot be a target here: {}\n!!! `cargo run -- doctor` says more; REQUIRE_KERNEL=1 makes this a failure",
        at.file(),
        at.line(),
        why.trim()
    );
    told.expect("standard error takes it");
}

/// What was opened of the kernel; where it is not to be had, as [`is_missing`].
#[allow(dead_code, reason = "not every test opens something of the kernel itself")]
#[track_caller]
pub(crate) fn present<T>(opened: Result<T, TargetError>) -> Option<T> {
    match opened {
        Ok(opened) => Some(opened),
        Err(TargetError::Unavailable(why)) => {
            is_missing(&why);
            None
        }
        Err(other) => panic!("{other:?}"),
    }
}

/// Whether a run without the kernel would be no run.
pub(crate) fn required() -> bool {
    std::env::var_os("REQUIRE_KERNEL").is_some_and(|v| !v.is_empty())
}
