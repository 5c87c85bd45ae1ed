"""The short form of tools/kill_work.py: kill -9 of the real segmenter and of the real console's server."""

from __future__ import annotations

import subprocess
import sys

import pytest
from conftest import REPOSITORY, missing_ros


@pytest.mark.timeout(600)
@pytest.mark.parametrize("what", ["node", "console"])
def test_nothing_acknowledged_is_lost(what: str) -> None:
    if what == "node" and missing_ros():
        pytest.skip(missing_ros())
    command = [sys.executable, str(REPOSITORY / "tools" / "kill_work.py"), what, "--times", "4", "--seed", "7"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 kill -9" in done.stdout and " 0 lost" in done.stdout and " 0 starts refused" in done.stdout
