#!/usr/bin/env bash
# Builds the adapter to the given path. gVisor and Go are Debian 12's own packages: where they are installed, those are used; else they are fetched
# by apt-get download and unpacked beside the harness's builds, and nothing is installed.
set -euo pipefail
cd "$(dirname "$0")"
package=golang-gvisor-gvisor-dev
work="$PWD/../../../target/adapters-build/gvisor"
mkdir -p "$work"
work="$(cd "$work" && pwd)"
. ../debian.sh

version="$(installed $package)"
if [ -n "$version" ] && command -v go >/dev/null; then
    go=go
    paths=/usr/share/gocode
else
    # What the packages of netstack import, and Go itself.
    unpack gvisor $package golang-1.19-go golang-1.19-src golang-github-google-btree-dev golang-golang-x-sys-dev golang-golang-x-time-dev
    version="$(cat "$work/unpacked")"
    export GOROOT="$work/root/usr/lib/go-1.19"
    go="$GOROOT/bin/go"
    paths="$work/root/usr/share/gocode"
fi
GO111MODULE=off GOPATH="$paths" GOFLAGS= GOCACHE="$work/cache" CGO_ENABLED=0 "$go" build -p 1 -trimpath -ldflags "-X main.version=${version%%-*}" -o "$1" .
