"""docs/papers.md names every table and equation of the papers, no cell of it is empty, and what it names is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from iseg3d_ros.evaluation.paper_data import PAPERS, tables_of

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "papers.md").read_text(encoding="utf-8")
HEADINGS = {"interobject3d": "InterObject3D", "clickenhance": "ClickEnhance", "npiseg3d": "NPISeg3D", "e2i3d": "E²I3D",
            "fewclick": "Few-Click"}  # fmt: skip
EQUATIONS = {"interobject3d": 1, "clickenhance": 5, "npiseg3d": 14, "e2i3d": 6, "fewclick": 11}


def section(paper: str) -> str:
    return next(part for part in PAGE.split("\n## ") if part.startswith(f"{HEADINGS[paper]} ("))


def test_no_cell_is_empty() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("|") and not line.startswith("|---")]
    assert len(rows) > 100
    for row in rows:
        assert len(row.strip("|").split(" | ")) == 4 and all(cell.strip() for cell in row.strip("|").split(" | ")), row


@pytest.mark.parametrize("paper", PAPERS)
def test_every_table_and_equation_has_a_row(paper: str) -> None:
    text = section(paper)
    for table in tables_of(paper):
        assert f"`{table.id}`" in text or f": {table.id}`" in text, table.id
        assert f"--only {table.id}" in text, table.id
    named: set[int] = set()
    for words in re.findall(r"Eqs?\. ([\d, andto]+)", text):
        numbers = [int(number) for number in re.findall(r"\d+", words)]
        named |= set(range(numbers[0], numbers[-1] + 1)) if " to " in words else set(numbers)
    assert set(range(1, EQUATIONS[paper] + 1)) <= named


def test_the_files_that_it_names_are_there() -> None:
    for name in re.findall(r"`((?!config/train/paper/NAME)(?:\w+/)+\w+\.(?:py|yaml))", PAGE):
        assert (ROOT / name).is_file() or (ROOT / "iseg3d_ros" / name).is_file(), name
