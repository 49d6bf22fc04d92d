#!/bin/sh
# Make a virtual environment with pip: make_venv.sh FOLDER PYTHON.
#
# Takes PYTHON if it is 3.11 or newer, else the first of the usual names that is. An environment
# that works already is kept. Where the venv module lacks ensurepip (Debian and Ubuntu without
# python3-venv), the system's pip is asked to install pip into it; where there is none either, one
# message says what to install. Nothing half-made is left behind.
set -eu
folder=$1
wanted=$2

say() { printf '%s\n' "$*" >&2; }

if "$folder/bin/python" -c 'import sys; import pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
then
    exit 0
fi
if [ -e "$folder" ] && [ ! -e "$folder/pyvenv.cfg" ]; then
    say "$folder exists and is no virtual environment: move it away, or name another: make VENV=..."
    exit 1
fi

python=
for name in "$wanted" python3.13 python3.12 python3.11 python3.14; do
    if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        python=$name
        break
    fi
done
if [ -z "$python" ]; then
    have=$("$wanted" --version 2>&1) || have="not there"
    say "Headrace needs Python 3.11 or newer. $wanted is: $have."
    say "Name another one: make PYTHON=/path/to/python3.12 ..."
    exit 1
fi
[ "$python" = "$wanted" ] || say "$wanted is older than 3.11 or not there: using $python"

rm -rf "$folder"
if "$python" -c 'import ensurepip, venv' 2>/dev/null && "$python" -m venv "$folder"; then
    exit 0
fi
rm -rf "$folder"
if "$python" -c 'import venv, pip' 2>/dev/null &&
    "$python" -m venv --without-pip "$folder" &&
    "$python" -m pip --python "$folder/bin/python" --disable-pip-version-check -qq install pip
then
    exit 0
fi
rm -rf "$folder"
say "$python cannot make a virtual environment with pip (no ensurepip, and no pip of its own)."
say "On Debian or Ubuntu: sudo apt-get install python3-venv. Then run make again."
say "Or name a complete Python: make PYTHON=/path/to/python3.12 ..."
exit 1
