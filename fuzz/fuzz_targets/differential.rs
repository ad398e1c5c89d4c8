//! Octets as a script for the two stacks that `FUZZ_TARGETS` names. All that it does stands in `tcp_harness::fuzz`.
#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use tcp_harness::fuzz::{COUNTERS, Differential, Mutator};

/// libFuzzer reads these beside the compiler's own counters.
#[unsafe(link_section = "__libfuzzer_extra_counters")]
static mut EXTRA: [u8; COUNTERS] = [0; COUNTERS];

thread_local! {
    static BOTH: RefCell<Differential> = RefCell::new(Differential::from_environment());
    static MUTATOR: RefCell<Mutator> = RefCell::new(Mutator::default());
}

fuzz_target!(
    init: BOTH.with_borrow(Differential::announce),
    |data: &[u8]| {
        // SAFETY: libFuzzer runs one input at a time on one thread and reads the counters between two of them.
        let counters = unsafe { &mut *(&raw mut EXTRA) };
        if let Err(told) = BOTH.with_borrow_mut(|both| both.run(data, counters)) {
            panic!("{told}");
        }
    }
);

fuzz_mutator!(|data: &mut [u8], size: usize, most: usize, seed: u32| {
    MUTATOR.with_borrow_mut(|mutator| mutator.mutate(data, size, seed, |data, size| fuzzer_mutate(data, size, most)))
});
