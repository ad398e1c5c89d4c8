#!/usr/bin/env bash
# Builds an adapter for each release beside the given path, as smoltcp-0.6.0 and so on; TCP_HARNESS_SMOLTCP_RELEASES names fewer. Needs cargo only.
# Each has a manifest of its own under target/, with the lock file of the workspace, so that what the harness needs is built once.
set -euo pipefail
cd "$(dirname "$0")"
here="$PWD"
root="$(cd ../../.. && pwd)"
mkdir -p "$(dirname "$1")"
out="$(cd "$(dirname "$1")" && pwd)"
for release in ${TCP_HARNESS_SMOLTCP_RELEASES:-0.6.0 0.7.0 0.7.3 0.7.4 0.7.5 0.8.0 0.12.0 0.13.0}; do
    case "$release" in
        0.6.*) api=more-lifetimes ;;
        0.7.*) api=ethernet ;;
        0.8.*) api=owning ;;
        *) api=borrowing ;;
    esac
    manifest="$root/target/smoltcp-releases/$release"
    mkdir -p "$manifest"
    # What the release does not have is left out of its features.
    case "$api" in
        more-lifetimes | ethernet) drop='s/"smoltcp\/medium-ip"//' ;;
        *) drop='s/"smoltcp\/ethernet"//' ;;
    esac
    sed -e "s/\"=0.13.0\"/\"=$release\"/" -e "$drop" -e "s|\"\.\./\.\./\.\./reference\"|\"$root/reference\"|" -e "s|\"\.\./\.\.\"|\"$root/harness\"|" \
        Cargo.toml >"$manifest/Cargo.toml"
    printf '\n[[bin]]\nname = "smoltcp-%s"\npath = "%s/src/main.rs"\n' "${release//./-}" "$here" >>"$manifest/Cargo.toml"
    cp "$root/Cargo.lock" "$manifest/Cargo.lock"
    cargo build --manifest-path "$manifest/Cargo.toml" --features "$api" --target-dir "$root/target"
    install "$root/target/debug/smoltcp-${release//./-}" "$out/smoltcp-$release"
done
