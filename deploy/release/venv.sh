#!/bin/sh
# Builds a virtual environment with one release of the agent: on a VM and in the image alike.
#
#   venv.sh FOLDER REQUIREMENTS WHEEL
#
# Every package comes as a wheel whose hash stands in REQUIREMENTS: nothing is compiled, and no
# code of a package runs while it is installed. The wheel of the agent itself is checked by its
# caller, who knows its hash. Needs Python 3.11 or newer with venv (Debian: python3-venv).
set -eu
folder=$1 requirements=$2 wheel=$3
python=${PYTHON:-python3}

"$python" -m venv "$folder"
pip="$folder/bin/python -m pip --disable-pip-version-check --no-input"
$pip install --quiet --no-compile --no-deps --only-binary :all: --require-hashes -r "$requirements"
# --no-index: nothing but this very file.
$pip install --quiet --no-compile --no-deps --no-index "$wheel"
$pip check
# An agent needs no installer; setuptools is there with older versions of Python.
$pip uninstall --quiet --yes pip setuptools 2>/dev/null || $pip uninstall --quiet --yes pip

# The folder is never written again: bytecode now, and it counts whatever the files' times are.
"$folder/bin/python" -m compileall -q -j 0 --invalidation-mode unchecked-hash "$folder/lib"
"$folder/bin/probe" --version
