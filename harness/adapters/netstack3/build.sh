#!/usr/bin/env bash
# Builds the adapter to the given path. Needs cargo only. netstack3's crates state a newer compiler (1.97) than they need: 1.95 builds them, but its
# incremental compilation dies of the stack's types.
set -euo pipefail
cd "$(dirname "$0")"
CARGO_INCREMENTAL=0 cargo build --locked --ignore-rust-version --target-dir ../../../target
install ../../../target/debug/netstack3 "$1"
