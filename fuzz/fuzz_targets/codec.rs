//! Octets as a datagram: reading never panics, and what was read is built anew the same.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tcp_harness::fuzz::checks::codec(data));
