#!/bin/sh
# Makes .venv and installs a locked list of packages into it, once: sh tools/scripts/setup.sh requirements.txt
#
# Needs Python 3.11 or later and nothing else. PYTHON names another interpreter than the first suitable one.
# A copy of each installed list lies in .venv, so that an unchanged list costs one comparison.
set -eu
cd "$(dirname "$0")/../.."
venv=.venv

fail() {
    echo "$1" >&2
    exit 1
}

is_recent() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
makes_venvs() { "$1" -c 'import ensurepip, venv' 2>/dev/null; }

find_python() {
    recent=
    for python in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
        is_recent "$python" || continue
        recent=$python
        if makes_venvs "$python"; then return; fi
    done
    [ -z "$recent" ] ||
        fail "$recent lacks the venv or ensurepip module (Debian and Ubuntu: apt install python3-venv); install it and try again."
    [ -z "${PYTHON:-}" ] || fail "PYTHON=$PYTHON is no Python 3.11 or later."
    fail "Proofstone needs Python 3.11 or later; install one, or name it: make run PYTHON=/path/to/python3.13."
}

# An interrupted attempt, or a Python that has been removed since, leaves a folder that does not work.
works() { "$venv/bin/python" -m pip --version >/dev/null 2>&1; }

make_venv() {
    find_python
    "$python" -m venv --clear "$venv" || fail "The virtual environment $venv could not be made; the lines above say why."
}

is_installed() { [ -x "$venv/bin/python" ] && cmp -s "$1" "$venv/$1"; }

install() {
    echo "Installing the packages of $1 into $venv (once) ..." >&2
    "$venv/bin/python" -m pip install --quiet --no-input --disable-pip-version-check -r "$1" ||
        fail "The packages of $1 could not be installed; the lines above say why."
    cp "$1" "$venv/$1"
}

for list in "$@"; do
    if ! is_installed "$list"; then
        works || make_venv
        install "$list"
    fi
done
