//! Octets as a vector's text, and as a script: parsing never panics, and what was parsed comes back when it was printed.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tcp_harness::fuzz::checks::language(data));
