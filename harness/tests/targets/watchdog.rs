//! The watchdog: a stack that hangs or dies is told, and starts again at the next reset.

use std::time::Duration;

use tcp_harness::target::{Capabilities, Reply, Target, TargetError};
use tcp_harness::targets::smoltcp::SmolTcp;
use tcp_harness::targets::watchdog::Watchdog;
use tcp_harness::targets::{TargetOptions, known, open};
use tcp_reference::api::{Call, CallResult, Family, Micros};

use crate::peer;

/// smoltcp, but an advance by 1 hangs and an advance by 2 ends the thread.
struct Naughty(SmolTcp);

impl Target for Naughty {
    fn capabilities(&self) -> &Capabilities {
        self.0.capabilities()
    }
    fn reset(&mut self, seed: u64) -> Result<(), TargetError> {
        self.0.reset(seed)
    }
    fn call(&mut self, call: &Call) -> Result<Reply<CallResult>, TargetError> {
        self.0.call(call)
    }
    fn deliver(&mut self, datagrams: &[Vec<u8>]) -> Result<Reply<()>, TargetError> {
        self.0.deliver(datagrams)
    }
    fn advance(&mut self, us: Micros) -> Result<Reply<()>, TargetError> {
        match us {
            1 => loop {
                std::thread::park();
            },
            2 => panic!("a target that panics"),
            _ => self.0.advance(us),
        }
    }
}

/// A naughty target under a watchdog of this patience.
fn watched(patience: Duration) -> Watchdog {
    Watchdog::new(patience, || Ok(Box::new(Naughty(SmolTcp::new())))).expect("starts")
}

#[test]
fn a_hang_ends_at_reset() {
    let mut target = watched(Duration::from_secs(2));
    assert!(matches!(target.advance(1), Err(TargetError::Hang(_))));
    assert!(matches!(target.advance(9), Err(TargetError::Hang(_))), "not before it is reset");
    peer::passive_open_data_close(&mut target, Family::V4);
}

/// A panic that prints its backtrace takes its time on a busy machine: the watchdog must not call it a hang.
#[test]
fn a_crash_ends_at_reset() {
    let mut target = watched(Duration::from_secs(60));
    assert!(matches!(target.advance(2), Err(TargetError::Crash(_))));
    peer::passive_open_data_close(&mut target, Family::V6);
}

#[test]
fn a_target_that_cannot_start() {
    let made = Watchdog::new(Duration::from_secs(2), || Err(TargetError::Unavailable("no".to_owned())));
    assert!(matches!(made, Err(TargetError::Unavailable(_))));
}

#[test]
fn opened_by_name() {
    assert!(known().iter().any(|t| t.name == "smoltcp"));
    for watchdog in [None, Some(Duration::from_secs(5))] {
        let mut target = open("smoltcp", &TargetOptions { watchdog }).expect("opens");
        assert_eq!(target.capabilities().name, "smoltcp");
        peer::abort(target.as_mut(), Family::V4);
    }
    let Err(TargetError::Harness(text)) = open("nonesuch", &TargetOptions::default()) else { panic!("opened") };
    assert!(text.contains("smoltcp"), "{text}");
}
