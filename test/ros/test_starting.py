"""How the nodes start, also badly: parameters of the wrong kind, an interruption, another distribution's rclpy."""

from __future__ import annotations

import ast
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import NodeProcess, domain, missing_ros

if missing_ros():
    pytest.skip(missing_ros(), allow_module_level=True)

from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from ros_operator import node_process, operator, segmenter_process

import iseg3d_ros

PACKAGE = Path(iseg3d_ros.__file__).parent
NAMES = json.loads((Path(__file__).parent / "rclpy_names.json").read_text())
pytestmark = pytest.mark.usefixtures("ros_domain")


@pytest.mark.parametrize("distribution", NAMES)
def test_what_is_imported_of_rclpy_is_there_in_other_distributions(distribution: str) -> None:
    """Names as the sources of each distribution's rclpy define them; what may be missing is imported in a `try`."""
    missing = []
    for path in sorted((PACKAGE / "ros").glob("*.py")):
        tree = ast.parse(path.read_text())
        guarded = {id(inner) for node in ast.walk(tree) if isinstance(node, ast.Try) for inner in ast.walk(node)}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("rclpy") and id(node) not in guarded:
                known = NAMES[distribution].get(node.module, [])
                missing += [f"{path.name}: {node.module}.{a.name}" for a in node.names if a.name not in known]
    assert not missing


def test_events_come_from_where_humble_has_them() -> None:
    code = """
import sys, types
import rclpy.event_handler, rclpy.lifecycle
humble = types.ModuleType("rclpy.qos_event")
humble.SubscriptionEventCallbacks = rclpy.event_handler.SubscriptionEventCallbacks
sys.modules["rclpy.qos_event"], sys.modules["rclpy.event_handler"] = humble, None
import iseg3d_ros.ros.segmenter_node
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize(
    ("parameter", "words"),
    [
        ("max_points:=many", "the parameter max_points is of the wrong type: give it a whole number"),
        ("crop_radius:=5", "the parameter crop_radius is of the wrong type: give it a number with a point"),
        ("lost_after:=7.0", "the parameter lost_after is out of its range"),
    ],
)
def test_a_parameter_of_the_wrong_kind_is_one_sentence(tmp_path: Path, parameter: str, words: str) -> None:
    process = node_process(tmp_path, "segmenter", parameter)
    assert process.process.wait(60) == 1
    assert words in process.output
    assert "Traceback" not in process.output and len(process.output.splitlines()) <= 2


@pytest.mark.parametrize("swallowed", [False, True], ids=["raised", "swallowed"])
def test_an_interruption_while_the_model_loads_is_no_error(tmp_path: Path, swallowed: bool) -> None:
    """Ctrl-C ends ROS at once, also where the interruption itself is lost in a library that was loading."""
    code = f"""
import os, signal, sys, time
from iseg3d_ros.ros import segmenter_node
load = segmenter_node.load_model

def interrupted(*arguments):
    try:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.5)
    except KeyboardInterrupt:
        if not {swallowed}:
            raise
        time.sleep(0.5)
    return load(*arguments)

segmenter_node.load_model = interrupted
sys.exit(segmenter_node.main(["--ros-args", "-p", "autostart:=true", "-p", "model:=random_walker"]))
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stderr and "iseg3d_ros:" not in ended.stderr, ended.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_node_at_once(tmp_path: Path, number: signal.Signals) -> None:
    """By the processor's time, since the wall's depends on what else runs."""
    process = segmenter_process(tmp_path, "autosave:=false").process
    words = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    before = (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
    process.send_signal(number)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0 and used.ru_utime + used.ru_stime - before < 0.6


def test_services_answer_while_the_model_loads(tmp_path: Path) -> None:
    """Nav2's lifecycle manager, and whoever asks for parameters, must not take a node that loads for a dead one."""
    code = """
import sys, time
from pathlib import Path
from iseg3d_ros.ros import segmenter_node
load = segmenter_node.load_model

def slowly(*arguments):
    while not Path("go on").exists():
        time.sleep(0.05)
    return load(*arguments)

segmenter_node.load_model = slowly
sys.exit(segmenter_node.main(["--ros-args", "-p", "model:=random_walker"]))
"""
    with domain() as number, operator(number) as robot:
        process = NodeProcess([sys.executable, "-c", code], tmp_path / "log")
        try:
            change = robot.node.create_client(ChangeState, "/segmenter/change_state")
            robot.until(change.service_is_ready, what="the segmenter")
            robot.spin(0.3)  # it must have met this client as well, or its answer is dropped
            configure = ChangeState.Request(transition=Transition(id=Transition.TRANSITION_CONFIGURE))
            configured = change.call_async(configure)
            robot.spin(0.5)
            state = robot.call("get_state", GetState).current_state.id
            assert not configured.done() and state == State.PRIMARY_STATE_UNCONFIGURED
            again = robot.call("change_state", ChangeState, transition=configure.transition)
            assert not again.success, "once is enough"
            (tmp_path / "go on").touch()
            robot.until(configured.done, what="the configured segmenter")
            assert configured.result().success
            assert robot.call("get_state", GetState).current_state.id == State.PRIMARY_STATE_INACTIVE
        finally:
            (tmp_path / "go on").touch()
            process.end()
