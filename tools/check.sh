#!/bin/bash
# ruff, mypy, pytest: all three, whatever the first ones say, then one summary whose last line is pytest's own.
# Arguments go to pytest. The summary is also left in out/test-summary.txt.
set -u -o pipefail
cd "$(dirname "$0")/.." || exit 1
bin=.venv/bin
log=$(mktemp)
trap 'rm -f "$log"' EXIT
mkdir -p out && rm -f out/test-summary.txt
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"  # small tensors: a second thread costs more than it brings

$bin/ruff check . ; ruff=$?
$bin/mypy | tee "$log" ; mypy=$?
mypy_line=$(tail -1 "$log")
long=(test/ros/test_robot.py::test_a_standing_objects_pose_stays_while_the_robot_drives test/unit/test_docs.py::test_what_the_documentation_says_can_be_typed)  # minutes: in make test-long
$bin/python -m pytest --durations=10 "${long[@]/#/--deselect=}" "$@" 2>&1 | tee "$log" ; tests=$?

{
    echo
    echo "ruff:   $([ $ruff = 0 ] && echo ok || echo failed)"
    echo "mypy:   $mypy_line"
    echo "pytest: $([ $tests = 0 ] && echo ok || echo "failed (exit code $tests)")"
    grep -aE '^=+ .*(passed|failed|skipped|errors?|no tests ran|deselected).* =+$' "$log" | tail -1
} | tee out/test-summary.txt
[ $ruff = 0 ] && [ $mypy = 0 ] && [ $tests = 0 ]
