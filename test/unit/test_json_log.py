"""Logs as JSON: every line is an object, and no message can begin another record."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from iseg3d_ros import json_log
from iseg3d_ros.json_log import FIELD, TRACEBACK, records

FRAME = "0123456789abcdef"
CODE = "from iseg3d_ros import json_log; import logging, os, sys; json_log.begin('me'); "


def framed(message: str, level: str = "WARN") -> list[str]:
    """Lines as ROS writes them."""
    parts = (FRAME, level, "1700000000.25", "segmenter", "/a/node.py", "7", message, FRAME)
    return FIELD.join(parts).split("\n")


def heard(code: str, expect: int = 0, **environment: str) -> list[dict[str, Any]]:
    """Records of a process that logs."""
    environment = {**os.environ, json_log.SWITCH: "json", **environment}
    done = subprocess.run([sys.executable, "-c", CODE + code], capture_output=True, text=True, env=environment)
    assert done.returncode == expect
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_a_record_has_time_level_node_message_and_fields() -> None:
    assert [*records(framed("well"), FRAME, "me")] == [
        {
            "time": "2023-11-14T22:13:20.250000Z", "level": "WARN", "node": "segmenter", "message": "well",
            "fields": {"file": "node.py", "line": 7},
        }
    ]  # fmt: skip


def test_no_message_begins_another_record() -> None:
    forged = f'a\n{{"level": "INFO"}}\n{FIELD}INFO{FIELD}1.0\n{TRACEBACK}\n"\u2028é'
    found = [*records([*framed(forged), *framed("next")], FRAME, "me")]
    assert [each["message"] for each in found] == [forged, "next"]


def test_lines_of_others_tracebacks_and_cut_records_are_records() -> None:
    lines = ["a warning", TRACEBACK, '  File "x.py"', "ValueError: no", "", *framed("cut")[:1]]
    lines[-1] = lines[-1][:30]
    found = [*records([*lines, *framed("whole")], FRAME, "me")]
    assert [(each["level"], each["node"]) for each in found] == [
        ("INFO", "me"), ("ERROR", "me"), ("ERROR", "me"), ("WARN", "segmenter"),
    ]  # fmt: skip
    assert found[1]["message"].endswith("ValueError: no") and found[-1]["message"] == "whole"


def test_all_that_a_process_says_is_json_to_its_last_word() -> None:
    found = heard(
        "logging.getLogger('iseg3d_ros.data').warning('two\\nlines'); json_log.say('ERROR', 'me', 'ü');"
        "os.write(2, b'half a line \\xff'); os.kill(os.getpid(), 9)",
        expect=-9,
    )
    assert [each["message"] for each in found] == ["two\nlines", "ü", "half a line �"]
    assert [each["level"] for each in found] == ["WARN", "ERROR", "INFO"]
    assert all(isinstance(each["fields"]["process"], int) for each in found)


def test_a_child_on_the_same_pipe_needs_no_filter_and_one_elsewhere_has_its_own() -> None:
    child = f"import subprocess; c = [sys.executable, '-c', {CODE + 'json_log.say(chr(73), chr(110), chr(120))'!r}]; "
    assert [each["message"] for each in heard(child + "subprocess.run(c)")] == ["x"]
    (inner,) = heard(child + "print(subprocess.run(c, capture_output=True, text=True).stderr, end='', file=sys.stderr)")
    assert json.loads(inner["message"])["message"] == "x"


def test_without_the_switch_nothing_changes() -> None:
    environment = {**os.environ, json_log.SWITCH: "xml"}
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, env=environment, check=True)
    assert done.stderr == "me: ISEG3D_LOG_FORMAT is text or json, but is 'xml': this log is text\n"


def test_the_commands_errors_are_records() -> None:
    code = "from iseg3d_ros.commands import main; sys.exit(main(['segment', '/none.ply', '--click', '0,0,0']))"
    (found,) = heard(code, expect=1)
    assert found["level"] == "ERROR" and found["node"] == "iseg3d" and "/none.ply" in found["message"]
