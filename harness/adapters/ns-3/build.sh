#!/usr/bin/env bash
# Builds the adapter to the given path. ns-3 is Debian 12's own package: where it is installed, that is used; else it is fetched by apt-get
# download and unpacked beside the harness's builds, and nothing is installed.
set -euo pipefail
cd "$(dirname "$0")"
work="$PWD/../../../target/adapters-build/ns-3"
mkdir -p "$work"
work="$(cd "$work" && pwd)"
. ../debian.sh

if ! command -v g++ >/dev/null; then
    echo "harness/adapters/ns-3: there is no g++ here; ns-3 needs Debian 12's" >&2
    exit 2
fi
version="$(installed libns3-dev)"
paths=()
if [ -z "$version" ] || [ -z "$(installed nlohmann-json3-dev)" ]; then
    # ns-3, what its internet module is linked with besides the libraries of C and C++, and the adapter's JSON.
    unpack ns-3 libns3-dev libns3.37 libgsl27 libgslcblas0 nlohmann-json3-dev
    version="$(cat "$work/unpacked")"
    libraries="$work/root/usr/lib/$(dpkg-architecture -qDEB_HOST_MULTIARCH 2>/dev/null || gcc -print-multiarch)"
    paths=(-isystem "$work/root/usr/include" -L "$libraries" -Wl,-rpath-link,"$libraries" -Wl,--disable-new-dtags,-rpath,"$libraries")
fi
g++ -std=c++17 -O1 -g1 -Wall -Wextra -DNS3_VERSION="\"${version%%-*}\"" -o "$1" main.cc stack.cc sockets.cc "${paths[@]}" \
    -lns3-virtual-net-device -lns3-internet -lns3-traffic-control -lns3-network -lns3-core
