#!/bin/sh
# Makes a release: a folder with everything that a machine needs to run it.
#
#   build.sh FOLDER      from the top of the source tree; needs Python with venv
#
# What an earlier build left in FOLDER is replaced.
# The same sources give the same wheel, byte for byte: times come from SOURCE_DATE_EPOCH, the tools
# from requirements-build.txt.
set -eu
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
top=$(CDPATH= cd -- "$here/../.." && pwd)
folder=$1
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$top" log -1 --format=%ct 2>/dev/null || echo 315532800)}
export SOURCE_DATE_EPOCH

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/tools"
"$work/tools/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: \
    --require-hashes -r "$here/requirements-build.txt"
mkdir -p "$folder"
# Else two wheels would be one too many, and the old sums a file to sum.
rm -f -- "$folder"/regional_probe-*.whl "$folder/SHA256SUMS"
# A copy, because building leaves files behind.
mkdir "$work/source"
cp -R "$top/probe" "$top/pyproject.toml" "$top/README.md" "$work/source/"
find "$work/source" -name __pycache__ -type d -prune -exec rm -rf {} +
"$work/tools/bin/pip" wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation \
    --wheel-dir "$folder" "$work/source"

cp "$here/requirements.txt" "$here/venv.sh" "$folder/"
cp "$top/deploy/vm/regional-probe@.service" "$top/deploy/vm/sysusers.conf" \
    "$top/deploy/vm/regional-probe-release" "$folder/"
(cd "$folder" && sha256sum -- * >SHA256SUMS)
ls "$folder"/*.whl
