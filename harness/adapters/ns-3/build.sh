#!/usr/bin/env bash
# Builds the adapter to the given path. ns-3 is Debian 12's own package: where it is installed, that is used; else it is fetched by apt-get
# download and unpacked beside the harness's builds, and nothing is installed.
set -euo pipefail
cd "$(dirname "$0")"
work="$PWD/../../../target/adapters-build/ns-3"
mkdir -p "$work"
work="$(cd "$work" && pwd)"
installed() { dpkg-query -W -f '${db:Status-Status} ${Version}' "$1" 2>/dev/null | sed -n 's/^installed //p' || true; }

if ! command -v g++ >/dev/null; then
    echo "harness/adapters/ns-3: there is no g++ here; ns-3 needs Debian 12's" >&2
    exit 2
fi
version="$(installed libns3-dev)"
paths=()
if [ -z "$version" ] || [ -z "$(installed nlohmann-json3-dev)" ]; then
    if ! command -v apt-get >/dev/null || ! command -v dpkg >/dev/null; then
        echo "harness/adapters/ns-3: ns-3 comes from Debian 12's libns3-dev; there is no apt-get here" >&2
        exit 2
    fi
    # ns-3, what its internet module is linked with besides the libraries of C and C++, and the adapter's JSON.
    packages=(libns3-dev libns3.37 libgsl27 libgslcblas0 nlohmann-json3-dev)
    if [ ! -e "$work/unpacked" ]; then
        rm -rf "$work/debs" "$work/root"
        mkdir -p "$work/debs" "$work/root" "$work/lists/partial"
        # Lists of its own: a container has none, and the machine's are root's to change.
        apt=(apt-get -qq -o APT::Sandbox::User=root -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work/lists")
        "${apt[@]}" update
        (cd "$work/debs" && "${apt[@]}" download "${packages[@]}")
        for deb in "$work"/debs/*.deb; do dpkg -x "$deb" "$work/root"; done
        dpkg-deb -f "$work"/debs/libns3-dev_*.deb Version >"$work/unpacked"
        rm -rf "$work/debs" "$work/lists"
    fi
    version="$(cat "$work/unpacked")"
    libraries="$work/root/usr/lib/$(dpkg-architecture -qDEB_HOST_MULTIARCH 2>/dev/null || gcc -print-multiarch)"
    paths=(-isystem "$work/root/usr/include" -L "$libraries" -Wl,-rpath-link,"$libraries" -Wl,--disable-new-dtags,-rpath,"$libraries")
fi
g++ -std=c++17 -O1 -g1 -Wall -Wextra -DNS3_VERSION="\"${version%%-*}\"" -o "$1" main.cc stack.cc sockets.cc "${paths[@]}" \
    -lns3-virtual-net-device -lns3-internet -lns3-traffic-control -lns3-network -lns3-core
