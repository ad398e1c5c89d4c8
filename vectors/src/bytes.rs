//! Octets of a fuzzer and scripts.
