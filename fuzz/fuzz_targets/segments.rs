//! Octets as a script for the stack that `FUZZ_TARGET` names, judged by the oracle. All that it does stands in `tcp_harness::fuzz`.
#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use tcp_harness::fuzz::{COUNTERS, Campaign, Mutator};

/// libFuzzer reads these beside the compiler's own counters.
#[unsafe(link_section = "__libfuzzer_extra_counters")]
static mut EXTRA: [u8; COUNTERS] = [0; COUNTERS];

thread_local! {
    static CAMPAIGN: RefCell<Campaign> = RefCell::new(campaign());
    static MUTATOR: RefCell<Mutator> = RefCell::new(Mutator::default());
}

#[cfg(not(feature = "lwip"))]
fn campaign() -> Campaign {
    Campaign::from_environment()
}

/// With lwIP in this process, where the sanitizer sees it.
#[cfg(feature = "lwip")]
fn campaign() -> Campaign {
    Campaign::from_environment_or(|name| if name == "lwip" { Some(Box::new(lwip_adapter::Lwip::default())) } else { None })
}

fuzz_target!(
    init: CAMPAIGN.with_borrow(Campaign::announce),
    |data: &[u8]| {
        // SAFETY: libFuzzer runs one input at a time on one thread and reads the counters between two of them.
        let counters = unsafe { &mut *(&raw mut EXTRA) };
        if let Err(told) = CAMPAIGN.with_borrow_mut(|campaign| campaign.run(data, counters)) {
            panic!("{told}");
        }
    }
);

fuzz_mutator!(|data: &mut [u8], size: usize, most: usize, seed: u32| {
    MUTATOR.with_borrow_mut(|mutator| mutator.mutate(data, size, seed, |data, size| fuzzer_mutate(data, size, most)))
});
