"""The documentation: every command and piece of Python in it is checked, as `make docs-check` does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "tools" / "docs_check.py"


@pytest.mark.skipif(not SCRIPT.exists(), reason="the documentation is not beside the tests (an installed workspace)")
def test_what_the_documentation_says_can_be_typed() -> None:
    done = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
