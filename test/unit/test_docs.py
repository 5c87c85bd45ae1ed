"""The documentation: every command and piece of Python in it is checked, as `make docs-check` does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import docs_pages  # noqa: E402

SCRIPT = ROOT / "tools" / "docs_check.py"


def test_what_the_documentation_says_can_be_typed() -> None:
    done = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_pages_made_from_the_source_are_up_to_date() -> None:
    behind = [path.name for path, text in docs_pages.wanted().items() if path.read_text(encoding="utf-8") != text]
    assert not behind, "run make docs-pages"


@pytest.mark.parametrize("name", ["parameters segmenter", "published topics", "services", "messages"])
def test_a_change_of_the_source_changes_the_page(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs" / "ros.md").read_text(encoding="utf-8")
    monkeypatch.setitem(docs_pages.PARTS, name, lambda: "| something | else |")
    assert "| something | else |" in docs_pages.filled(page) != page


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 160


def test_every_page_is_in_the_site() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = [path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")]
    assert not [page for page in pages if f": {page}\n" not in navigation]


def test_the_hosted_checks_use_what_there_is() -> None:
    """Scripts and targets that the workflows name exist; the fast tests run on every Python that setup.py names."""
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert all((ROOT / name).is_file() for name in re.findall(r"\btools/\w+\.py", workflow))
    assert all(f"\n{target}:" in makefile for target in re.findall(r"run: make ([\w-]+)", workflow))
    assert '["3.10", "3.11", "3.12", "3.13"]' in workflow


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
