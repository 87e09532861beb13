#!/bin/sh
# Create .venv and install locked packages into it: sh tools/scripts/setup.sh requirements.txt ...
#
# Needs Python 3.11 or later. PYTHON selects an interpreter. .venv contains a copy of each installed list, so that
# unchanged lists are skipped.
set -eu
cd "$(dirname "$0")/../.."
venv=.venv

fail() {
    echo "$1" >&2
    exit 1
}

is_recent() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
has_venv() { "$1" -c 'import ensurepip, venv' 2>/dev/null; }

find_python() {
    recent=
    for python in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
        is_recent "$python" || continue
        recent=$python
        if has_venv "$python"; then return; fi
    done
    [ -z "$recent" ] ||
        fail "$recent lacks the venv or ensurepip module. Install it (Debian, Ubuntu: apt install python3-venv) and try again."
    [ -z "${PYTHON:-}" ] || fail "PYTHON=$PYTHON is not Python 3.11 or later."
    fail "Proofstone needs Python 3.11 or later. Install it, or set its path: make run PYTHON=/path/to/python3.13"
}

# An interrupted installation, or a removed Python, leaves a broken folder.
works() { "$venv/bin/python" -m pip --version >/dev/null 2>&1; }

create_venv() {
    find_python
    "$python" -m venv --clear "$venv" || fail "Cannot create the virtual environment $venv. See the output above."
}

is_installed() { [ -x "$venv/bin/python" ] && cmp -s "$1" "$venv/$1"; }

install() {
    echo "Installing packages from $1 into $venv ..." >&2
    "$venv/bin/python" -m pip install --quiet --no-input --disable-pip-version-check --require-hashes -r "$1" ||
        fail "Cannot install the packages from $1. See the output above."
    cp "$1" "$venv/$1"
}

for list in "$@"; do
    if ! is_installed "$list"; then
        works || create_venv
        install "$list"
    fi
done
