#!/usr/bin/env bash
#
# environment.sh run|dev - makes .venv and brings it to what the lock says.
#
# "dev" is a superset of "run": an environment that once had the development
# tools keeps them. Hashes are checked for every file. Nothing is done, within
# milliseconds, when the lock is the one that was installed last.
#
# Settings, from the environment:
#   PYTHON   the interpreter to build with (default: the first one found that
#            is new enough and has venv)

set -euo pipefail
cd "$(dirname "$0")/.."

VENV=.venv
OLDEST=3.11
CANDIDATES='python3 python3.14 python3.13 python3.12 python3.11 python'

say() { printf '%s\n' "baitwell: $*" >&2; }
die() { say "$@"; exit 1; }

version_of() { "$1" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null; }

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

# ensurepip too: Debian ships a venv that cannot make an environment.
has_venv() { "$1" -c 'import venv, ensurepip' 2>/dev/null; }

find_python() {
    local name seen='' without=''
    for name in ${PYTHON:-$CANDIDATES}; do
        command -v "$name" >/dev/null 2>&1 || continue
        version_of "$name" >/dev/null || continue
        if ! new_enough "$name"; then
            seen="$seen $name=$(version_of "$name")"
        elif ! has_venv "$name"; then
            without=${without:-$name}
        else
            echo "$name"
            return 0
        fi
    done
    if [ -n "$without" ]; then
        die "$without has no venv module: install it (Debian, Ubuntu: apt install python3-venv)" \
            "or name another Python: make PYTHON=/path/to/python3"
    fi
    die "Python $OLDEST or newer is needed, found${seen:- none}: install one," \
        "or name it: make PYTHON=/path/to/python3"
}

create() {
    local python
    python=$(find_python)
    say "building $VENV with $python ($(version_of "$python"))"
    rm -rf "$VENV"
    "$python" -m venv "$VENV" || die "$python could not make $VENV: see above"
}

usable() {
    [ -x "$VENV/bin/python" ] && version_of "$VENV/bin/python" >/dev/null || return 1
    # A Python that was named wins over the one the environment was built with.
    [ -z "${PYTHON:-}" ] || [ "$(version_of "$PYTHON")" = "$(version_of "$VENV/bin/python")" ]
}

# A mirror that pip was told of (common where the public index is slow) is
# meant for uv as well.
use_index_of_pip() {
    local index
    [ -z "${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-}" ] || return 0
    index=${PIP_INDEX_URL:-$("$VENV/bin/python" -m pip config get global.index-url 2>/dev/null || true)}
    [ -z "$index" ] || export UV_DEFAULT_INDEX=$index
}

sync() {
    local set=$1 lock=requirements/$1.txt installed=$VENV/installed-$1.txt
    if cmp -s "$lock" "$installed"; then return 0; fi
    say "installing what requirements/$set.txt names, hashes checked"
    rm -f "$VENV"/installed-run.txt
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check \
        --require-hashes --requirement requirements/uv.txt ||
        die "could not install uv: is the package index within reach?"
    use_index_of_pip
    # compiled once here: else every start compiles all of it again where Python may not write bytecode
    "$VENV/bin/uv" pip sync --quiet --compile-bytecode --require-hashes --python "$VENV/bin/python" "$lock" ||
        die "could not install the packages of $lock: see above, then try again"
    cp "$lock" "$installed"
}

main() {
    local set=${1:-}
    case $set in run | dev) ;; *) die "usage: requirements/environment.sh run|dev" ;; esac
    usable || create
    if [ "$set" = run ] && [ -e "$VENV/installed-dev.txt" ]; then set=dev; fi
    sync "$set"
}

main "$@"
