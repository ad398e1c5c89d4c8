#!/usr/bin/env bash
# Builds the adapter to the given path. libslirp is Debian 12's own package: where it is installed, that is used; else it is fetched by apt-get
# download and unpacked beside the harness's builds, and nothing is installed.
set -euo pipefail
cd "$(dirname "$0")"
work="$PWD/../../../target/adapters-build/libslirp"
mkdir -p "$work"
work="$(cd "$work" && pwd)"
installed() { dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed; }

if ! installed libslirp-dev; then
    if ! command -v apt-get >/dev/null || ! command -v dpkg >/dev/null; then
        echo "harness/adapters/libslirp: libslirp comes from Debian 12's libslirp-dev; there is no apt-get here" >&2
        exit 2
    fi
    # libslirp, and what it is linked with besides the C library.
    packages=(libslirp-dev libslirp0 libglib2.0-0 libpcre2-8-0)
    if [ ! -e "$work/unpacked" ]; then
        rm -rf "$work/debs" "$work/root"
        mkdir -p "$work/debs" "$work/root" "$work/lists/partial"
        # Lists of its own: a container has none, and the machine's are root's to change.
        apt=(apt-get -qq -o APT::Sandbox::User=root -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work/lists")
        "${apt[@]}" update
        (cd "$work/debs" && "${apt[@]}" download "${packages[@]}")
        for deb in "$work"/debs/*.deb; do dpkg -x "$deb" "$work/root"; done
        # One folder for the linker and for the program: some packages are unpacked to /lib, some to /usr/lib.
        mkdir -p "$work/root/all"
        find "$work/root" -name '*.so*' -not -path "$work/root/all/*" -exec cp -a -t "$work/root/all" {} +
        touch "$work/unpacked"
        rm -rf "$work/debs" "$work/lists"
    fi
    export LIBSLIRP="$work/root/all"
fi
cargo build --locked --target-dir ../../../target
install ../../../target/debug/libslirp "$1"
