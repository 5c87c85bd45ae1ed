#!/bin/bash
# Tests that wait for something, again and again beside a busy machine: tools/stress_tests.sh TIMES PYTEST-ARGUMENTS
# One busy loop a core runs meanwhile. The last line says how many runs failed; the output of those is in out/stress/.
set -u
cd "$(dirname "$0")/.." || exit 1
times=$1; shift
mkdir -p out/stress
loops=()
for _ in $(seq "$(nproc)"); do (while :; do :; done) & loops+=($!); done
trap 'kill "${loops[@]}" 2>/dev/null' EXIT
failed=0
for run in $(seq "$times"); do
    if ! .venv/bin/python -m pytest -q -p no:cacheprovider "$@" >"out/stress/$run.log" 2>&1; then failed=$((failed + 1)); else rm "out/stress/$run.log"; fi
done
echo "$failed of $times runs failed"
[ $failed = 0 ]
