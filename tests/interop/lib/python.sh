#!/usr/bin/env bash
# python.sh PACKAGE==VERSION... : makes a virtual environment with these packages from PyPI beside node_modules, unless it
# is there already, and prints its interpreter.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=$PWD/.venv
for package in "$@"; do
    if [[ ! -e $venv/.installed-$package ]]; then
        [[ -x $venv/bin/python ]] || python3 -m venv "$venv"
        "$venv/bin/pip" install --quiet --disable-pip-version-check "$package" >&2
        touch "$venv/.installed-$package"
    fi
done
echo "$venv/bin/python"
