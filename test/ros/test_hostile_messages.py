"""The short form of tools/hostile_messages.py: every message is taken or refused with a sentence, whatever fails."""

from __future__ import annotations

import subprocess
import sys

import pytest
from conftest import REPOSITORY, missing_ros

if missing_ros():
    pytest.skip(missing_ros(), allow_module_level=True)


@pytest.mark.timeout(900)
def test_hostile_messages_and_failing_models(ros_domain: int) -> None:
    command = [sys.executable, str(REPOSITORY / "tools" / "hostile_messages.py"), "--count", "20000"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 faults" in done.stdout
