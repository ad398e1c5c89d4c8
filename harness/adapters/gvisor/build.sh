#!/usr/bin/env bash
# Builds the adapter to the given path. gVisor and Go are Debian 12's own packages: where they are installed, those are used; else they are fetched
# by apt-get download and unpacked beside the harness's builds, and nothing is installed.
set -euo pipefail
cd "$(dirname "$0")"
package=golang-gvisor-gvisor-dev
work="$PWD/../../../target/adapters-build/gvisor"
mkdir -p "$work"
work="$(cd "$work" && pwd)"
installed() { dpkg-query -W -f '${db:Status-Status} ${Version}' "$1" 2>/dev/null | sed -n 's/^installed //p' || true; }

version="$(installed $package)"
if [ -n "$version" ] && command -v go >/dev/null; then
    go=go
    paths=/usr/share/gocode
else
    if ! command -v apt-get >/dev/null || ! command -v dpkg >/dev/null; then
        echo "harness/adapters/gvisor: the sources of gVisor come from Debian 12's $package; there is no apt-get here" >&2
        exit 2
    fi
    # What the packages of netstack import, and Go itself.
    packages=($package golang-1.19-go golang-1.19-src golang-github-google-btree-dev golang-golang-x-sys-dev golang-golang-x-time-dev)
    if [ ! -e "$work/unpacked" ]; then
        rm -rf "$work/debs" "$work/root"
        mkdir -p "$work/debs" "$work/root" "$work/lists/partial"
        # Lists of its own: a container has none, and the machine's are root's to change.
        apt=(apt-get -qq -o APT::Sandbox::User=root -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work/lists")
        "${apt[@]}" update
        (cd "$work/debs" && "${apt[@]}" download "${packages[@]}")
        for deb in "$work"/debs/*.deb; do dpkg -x "$deb" "$work/root"; done
        dpkg-deb -f "$work"/debs/${package}_*.deb Version >"$work/unpacked"
        rm -rf "$work/debs" "$work/lists"
    fi
    version="$(cat "$work/unpacked")"
    export GOROOT="$work/root/usr/lib/go-1.19"
    go="$GOROOT/bin/go"
    paths="$work/root/usr/share/gocode"
fi
GO111MODULE=off GOPATH="$paths" GOFLAGS= GOCACHE="$work/cache" CGO_ENABLED=0 "$go" build -p 1 -trimpath -ldflags "-X main.version=${version%%-*}" -o "$1" .
