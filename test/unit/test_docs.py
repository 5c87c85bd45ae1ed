"""The documentation: every command and piece of Python in it is checked, as `make docs-check` does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from iseg3d_ros.ros import topics

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "tools" / "docs_check.py"


def test_what_the_documentation_says_can_be_typed() -> None:
    done = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_readme_has_every_topic_and_service() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert topics.markdown_topics(topics.SUBSCRIBED) in text
    assert topics.markdown_topics(topics.PUBLISHED) in text
    assert topics.markdown_services(topics.SERVICES) in text
    assert len(text.splitlines()) <= 250


def test_what_the_deployment_page_quotes_is_what_the_code_says() -> None:
    """The sentences in its table of optional packages; names in quotes are filled in by the code."""
    page = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    rows = page[page.index("## What is missing") :].splitlines()
    quoted = [text for row in rows if row.startswith("|") for text in re.findall(r"`([^`]{30,})`", row.split("|")[3])]
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "iseg3d_ros").rglob("*.py"))
    code = re.sub(r'"\s+f?"', "", code)  # sentences that go on in the next line
    code = re.sub(r"\{[^{}]*\}", "'{}'", code)
    assert len(quoted) >= 9
    assert not [text for text in quoted if text not in code and re.sub(r"'\w+'", "'{}'", text) not in code]
