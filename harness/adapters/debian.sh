# Debian packages without installing them, for the build scripts beside it: `. ../debian.sh`.

# What is installed of a package: its version, or nothing.
installed() { dpkg-query -W -f '${db:Status-Status} ${Version}' "$1" 2>/dev/null | sed -n 's/^installed //p' || true; }

# Unpacks packages below $work/root, once, and leaves the first one's version in $work/unpacked: unpack ADAPTER PACKAGE…
unpack() {
    local adapter="$1" apt deb
    shift
    if ! command -v apt-get >/dev/null || ! command -v dpkg >/dev/null; then
        echo "harness/adapters/$adapter: it comes from Debian 12's $1; there is no apt-get here" >&2
        exit 2
    fi
    if [ -e "$work/unpacked" ]; then return; fi
    rm -rf "$work/debs" "$work/root"
    mkdir -p "$work/debs" "$work/root" "$work/lists/partial"
    # Lists of its own: a container has none, and the machine's are root's to change.
    apt=(apt-get -qq -o APT::Sandbox::User=root -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work/lists")
    "${apt[@]}" update
    (cd "$work/debs" && "${apt[@]}" download "$@")
    for deb in "$work"/debs/*.deb; do dpkg -x "$deb" "$work/root"; done
    dpkg-deb -f "$work/debs/$1"_*.deb Version >"$work/unpacked"
    rm -rf "$work/debs" "$work/lists"
}
