#!/bin/bash
# The long trials, one after the other: kill -9 at any moment, mutated clouds and weights, tests beside a busy machine.
# tools/long.sh [NAME …] runs those of that name only. MINUTES (default 30) is what a trial that knows no end may take.
set -u
cd "$(dirname "$0")/.." || exit 1
python=.venv/bin/python
minutes=${MINUTES:-30}
mkdir -p out/long
declare -A trials=(
    [kill]="$python tools/kill_trial.py"
    [kill-node]="$python tools/kill_work.py node"
    [kill-console]="$python tools/kill_work.py console"
    [soak]="$python tools/soak.py"
    [hostile]="$python tools/hostile_messages.py"
    [hostile-wire]="$python tools/hostile_messages.py --wire"
    [clouds]="$python tools/fuzz_clouds.py"
    [weights]="$python tools/fuzz_weights.py"
    [minutes]="$python -m pytest -q test/ros/test_robot.py::test_a_standing_objects_pose_stays_while_the_robot_drives test/unit/test_docs.py::test_what_the_documentation_says_can_be_typed"
    [stress]="tools/stress_tests.sh 50 test/ros test/unit/test_demo.py"
)
failed=0
for name in "${@:-kill kill-node kill-console soak hostile hostile-wire clouds weights minutes stress}"; do
    for one in $name; do
        command=${trials[$one]:-}
        script=$(echo "$command" | grep -oE '(tools|test)/[a-z_/]+\.(py|sh)' | head -1)
        if [ -z "$script" ] || [ ! -f "$script" ]; then echo "$one: there is no ${script:-such trial}"; failed=1; continue; fi
        echo "== $one: $command"
        timeout --kill-after=60 $((minutes * 60)) $command 2>&1 | tee "out/long/$one.log"
        code=${PIPESTATUS[0]}
        [ "$code" = 0 ] || [ "$code" = 124 ] || failed=1
        echo "== $one ended with $code"
    done
done
exit $failed
