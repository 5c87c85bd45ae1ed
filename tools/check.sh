#!/bin/bash
# ruff, mypy, pytest: all three, whatever the first ones say, then one summary whose last line is pytest's own.
# The tests go in two lanes at once: those of the library, and those of nodes and pages, which mostly wait.
# Arguments go to pytest; if they name files, there is one lane. The summary is also left in out/test-summary.txt.
set -u -o pipefail
cd "$(dirname "$0")/.." || exit 1
bin=.venv/bin
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
mkdir -p out && rm -f out/test-summary.txt
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"  # small tensors: a second thread costs more than it brings
long=(  # minutes each: in make test-long
    test/ros/test_robot.py::test_a_standing_objects_pose_stays_while_the_robot_drives
    test/unit/test_docs.py::test_what_the_documentation_says_can_be_typed
)

lane() {  # name, then what goes to pytest; every line is told with the lane's name
    local name=$1
    shift
    $bin/python -m pytest --durations=10 "${long[@]/#/--deselect=}" "$@" 2>&1 | tee "$logs/$name" | sed -u "s/^/$name| /"
}

$bin/ruff check . ; ruff=$?
$bin/mypy | tee "$logs/mypy" ; mypy=$?
named=no
for one in "$@"; do [ -e "${one%%::*}" ] && named=yes; done
if [ $named = yes ]; then
    lane tests "$@" ; tests=$?
else
    lane nodes -o cache_dir=.pytest_cache/nodes test/ros test/browser "$@" & nodes=$!
    lane library test/unit "$@" ; tests=$?
    wait $nodes ; other=$?
    # 5: none of a lane's tests is wanted (-k), which is no failure while the other lane has some
    [ $tests = 5 ] && tests=$other
    [ $tests = 0 ] && [ $other != 5 ] && tests=$other
fi

{
    echo
    echo "ruff:   $([ $ruff = 0 ] && echo ok || echo failed)"
    echo "mypy:   $(tail -1 "$logs/mypy")"
    echo "pytest: $([ $tests = 0 ] && echo ok || echo "failed (exit code $tests)")"
    cd "$logs" && grep -aE '^=+ .*(passed|failed|skipped|errors?|no tests ran|deselected).* =+$' $(ls | grep -v mypy)
} | tee out/test-summary.txt
[ $ruff = 0 ] && [ $mypy = 0 ] && [ $tests = 0 ]
