#!/usr/bin/env bash
# Builds the adapter to the given path. libslirp is Debian 12's own package: where it is installed, that is used; else it is fetched by apt-get
# download and unpacked beside the harness's builds, and nothing is installed.
set -euo pipefail
cd "$(dirname "$0")"
work="$PWD/../../../target/adapters-build/libslirp"
mkdir -p "$work"
work="$(cd "$work" && pwd)"
. ../debian.sh

if [ -z "$(installed libslirp-dev)" ]; then
    # libslirp, and what it is linked with besides the C library.
    unpack libslirp libslirp-dev libslirp0 libglib2.0-0 libpcre2-8-0
    # One folder for the linker and for the program: some packages are unpacked to /lib, some to /usr/lib.
    mkdir -p "$work/root/all"
    find "$work/root" -name '*.so*' -not -path "$work/root/all/*" -exec cp -a -t "$work/root/all" {} +
    export LIBSLIRP="$work/root/all"
fi
cargo build --locked --target-dir ../../../target
install ../../../target/debug/libslirp "$1"
