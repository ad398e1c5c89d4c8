#!/usr/bin/env bash
# Builds the adapter to the given path. Needs cargo only.
set -euo pipefail
cd "$(dirname "$0")"
cargo build --locked --target-dir ../../../target
install ../../../target/debug/ipstack "$1"
