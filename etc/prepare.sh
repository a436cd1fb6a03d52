# shellcheck shell=sh
# SPDX-License-Identifier: MIT
# prepare.sh - for etc/try, tests/run and the benchmark: gets packages, npm packages and builds in
# place, says what it does, and does nothing that is done already. Sourced, with $root set.

# Debian packages, by what they are for.
packages_build="gcc libc6-dev cmake ninja-build pkg-config libevent-dev libcurl4-openssl-dev
    liblua5.4-dev libsqlite3-dev libssl-dev"
packages_test="clang clang-tidy clang-format lua5.4 libcmocka-dev libmsgpack-dev python3
    python3-pytest python3-msgpack python3-jsonschema python3-pip nginx-light openssl"
packages_npm="nodejs npm"
packages_browser="chromium"
packages_bench="redis-server redis-tools nginx-light libyajl-dev libcmocka-dev libmsgpack-dev python3
    python3-msgpack procps"

if [ -t 1 ] && [ -z "${NO_COLOR-}" ] && [ "${TERM-dumb}" != dumb ]; then
    bold='\033[1m' green='\033[32m' red='\033[31m' dim='\033[2m' plain='\033[0m'
else
    bold='' green='' red='' dim='' plain=''
fi

headline() { printf "${bold}%s${plain}\n" "$*"; }
done_line() { printf "${green}✓${plain} %s\n" "$*"; }
fail_line() { printf "${red}✗${plain} %s\n" "$*" >&2; }
note() { printf "${dim}  %s${plain}\n" "$*"; }

seconds() { date +%s; }

# Runs a command with its output in a file; shows the file's end only when it fails.
#   quietly LOG COMMAND...
quietly() {
    quiet_log=$1
    shift
    if ! "$@" >"$quiet_log" 2>&1; then
        fail_line "failed: $*"
        tail -n 40 "$quiet_log" >&2
        return 1
    fi
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

is_installed() {
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# A Node that is there and new enough is used, wherever it came from.
has_node() {
    command -v npm >/dev/null && node -e 'process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)' 2>/dev/null
}

# need_packages NAME...
need_packages() {
    missing=''
    for package in "$@"; do
        case $package in nodejs | npm) ! has_node || continue ;; esac
        is_installed "$package" || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    if ! command -v apt-get >/dev/null; then
        fail_line "this needs Debian's packages:$missing"
        return 1
    fi
    if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
        fail_line "neither root nor sudo is there to install:$missing"
        return 1
    fi
    started=$(seconds)
    note "apt-get install$missing"
    quietly "$logs/apt-update" as_root apt-get update
    # shellcheck disable=SC2086 # a list of words
    quietly "$logs/apt-install" as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y --no-install-recommends $missing
    done_line "Debian packages installed in $(($(seconds) - started)) s"
}

# The packages of a folder, exactly as locked; the MCP servers of tests/npm if none is named.
need_npm() {
    npm_folder=$root/${1:-tests/npm}
    stamp=$npm_folder/node_modules/.locked
    [ "$(sha256sum <"$npm_folder/package-lock.json")" != "$(cat "$stamp" 2>/dev/null)" ] || return 0
    started=$(seconds)
    note "npm ci in ${1:-tests/npm}"
    quietly "$logs/npm" sh -c "cd '$npm_folder' && npm ci --loglevel=error"
    sha256sum <"$npm_folder/package-lock.json" >"$stamp"
    done_line "npm packages installed in $(($(seconds) - started)) s"
}

# need_build PRESET [CMAKE OPTION...]; of it all, or the target $build_target
need_build() {
    preset=$1
    shift
    started=$(seconds)
    cd "$root"
    if [ $# -gt 0 ] || [ ! -f "build/$preset/build.ninja" ]; then
        quietly "$logs/configure-$preset" cmake --preset "$preset" "$@"
    fi
    quietly "$logs/build-$preset" cmake --build --preset "$preset" --parallel "$jobs" \
        --target "${build_target:-all}"
    if grep -q 'no work to do' "$logs/build-$preset"; then
        done_line "build/$preset is up to date"
    else
        done_line "build/$preset built in $(($(seconds) - started)) s"
    fi
}

: "${jobs:=$(nproc)}"
logs=$root/build/logs
mkdir -p "$logs"
