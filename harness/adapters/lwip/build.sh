#!/usr/bin/env bash
# Builds the adapter to the given path. Needs cargo and a C compiler; lwIP's sources come with the lwip crate.
set -euo pipefail
cd "$(dirname "$0")"
cargo build --locked --target-dir ../../../target
install ../../../target/debug/lwip "$1"
