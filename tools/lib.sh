# What the scripts share: packages, the build, tshark with the fresh plugin. Sourced by bash.
#
# SPDX-License-Identifier: GPL-2.0-or-later

set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${BUILD_DIR:-$root/build}

BUILD_PACKAGES=(tshark wireshark-dev cmake ninja-build gcc pkg-config libglib2.0-dev zlib1g-dev)
PAGE_PACKAGES=(python3 python3-jinja2 libjs-dygraphs)
TEST_PACKAGES=("${PAGE_PACKAGES[@]}" libcmocka-dev python3-pytest python3-scapy python3-jsonschema dpkg-dev file tcpreplay
               iproute2 chromium lintian parallel tcpdump openssh-server python3-yaml)

# Wireshark's windows on a screen of their own.
GUI_PACKAGES=(wireshark xvfb xauth imagemagick xdotool openbox fonts-dejavu-core)

# What a build for the project itself is given, and a user's is not: warnings are errors.
STRICT=(-DCMAKE_COMPILE_WARNING_AS_ERROR=ON)

die() { echo "$*" >&2; exit 1; }

# quietly COMMAND...: its output is shown only where it fails.
quietly() {
    local log status=0
    log=$(mktemp)
    "$@" >"$log" 2>&1 || { status=$?; cat "$log" >&2; }
    rm -f "$log"
    return "$status"
}

# install_missing PACKAGE...: nothing to do and no root needed where all are there.
install_missing() {
    local missing=() package run=()
    command -v dpkg-query >/dev/null || {
        echo "Not a Debian system: going on as if these were installed: $*" >&2
        return
    }
    for package; do
        dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    echo "Installing ${missing[*]}"
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || die "Missing packages: ${missing[*]}. Install them as root and start again."
        run=(sudo)
    fi
    run+=(env DEBIAN_FRONTEND=noninteractive apt-get)
    quietly "${run[@]}" update
    quietly "${run[@]}" install -y --no-install-recommends "${missing[@]}"
}

# build_plugin [TARGET [CMAKE-ARGUMENT...]]: configures (again) and builds; TARGET "" is all.
build_plugin() {
    local target=${1-} generator=()
    shift $(($# > 0))
    [ -e "$build/CMakeCache.txt" ] || ! command -v ninja >/dev/null || generator=(-G Ninja)
    quietly cmake -S "$root" -B "$build" "${generator[@]}" "$@"
    quietly cmake --build "$build" --parallel ${target:+--target "$target"}
}

# load_plugin CAPTURE: from here on tshark (below) has the fresh plugin, and $capture is the capture where this tshark can
# read it. Wireshark heeds WIRESHARK_PLUGIN_DIR (it takes the place of the global plugin folder) for ordinary users
# only: root's tshark runs as nobody, on copies. No personal setting or plugin interferes.
load_plugin() {
    local version
    [ -r "$1" ] || die "Cannot read $1"
    capture=$(realpath -- "$1")
    stage=$(mktemp -d)
    trap 'rm -rf "$stage"' EXIT
    version=$(cat "$build/wireshark-version") # that it was built for: asking tshark would cost a start
    mkdir -p "$stage/plugins/$version/epan" "$stage/home" "$stage/capture"
    cp "$build/facetime.so" "$stage/plugins/$version/epan/"
    unprivileged=()
    if [ "$(id -u)" = 0 ]; then
        cp "$capture" "$stage/capture/"
        capture=$stage/capture/$(basename "$capture")
        chmod -R a+rX "$stage"
        chown 65534:65534 "$stage/home"
        unprivileged=(setpriv --reuid=65534 --regid=65534 --clear-groups)
    fi
}

# load_installed CAPTURE: the same with the tshark of this system, or the one that TSHARK names, and the plugin it has.
load_installed() {
    [ -r "$1" ] || die "Cannot read $1"
    capture=$(realpath -- "$1")
    stage=$(mktemp -d)
    trap 'rm -rf "$stage"' EXIT
    tshark() { command "${TSHARK:-tshark}" "$@"; }
}

tshark() {
    "${unprivileged[@]}" env -u XDG_CONFIG_HOME -u WIRESHARK_CONFIG_DIR HOME="$stage/home" \
        WIRESHARK_PLUGIN_DIR="$stage/plugins" tshark "$@"
}
