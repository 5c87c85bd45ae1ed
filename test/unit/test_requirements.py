"""The hashed requirements hold what setup.py asks for, every file with its hash, and name no index."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import REPOSITORY

FOLDER = REPOSITORY / "requirements"
EXTRAS = {"library": (), "console": ("console",), "everything": ("console", "train", "bags", "scanners", "ray")}


def pinned(path: Path) -> dict[str, list[str]]:
    """Names with the hashes of their files."""
    blocks = re.split(r"\n(?=\S)", path.read_text())
    rows = [re.match(r"([A-Za-z0-9._-]+)==(\S+)", block) for block in blocks]
    assert all(rows), [block for block, row in zip(blocks, rows, strict=True) if not row]
    return {row[1].lower(): re.findall(r"--hash=sha256:([0-9a-f]{64})\b", block)
            for row, block in zip(rows, blocks, strict=True) if row}  # fmt: skip


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.txt")), ids=lambda path: path.stem)
def test_every_file_has_a_hash_and_no_index_is_named(path: Path) -> None:
    assert all(pinned(path).values())
    assert "://" not in path.read_text() and "-url" not in path.read_text()


@pytest.mark.parametrize("name", EXTRAS)
def test_they_hold_what_is_asked_for(name: str) -> None:
    text = (REPOSITORY / "setup.py").read_text()
    asked = re.search(r"install_requires=\[(.*?)\]", text)
    assert asked is not None
    wanted = asked[1]
    for extra in EXTRAS[name]:
        found = re.search(rf'"{extra}": \[(.*?)\]\s*,\n', text)
        assert found is not None
        wanted += "," + found[1]
    names = {re.match(r"[A-Za-z0-9._-]+", word)[0].lower() for word in re.findall(r'"([^"]+)"', wanted)}  # type: ignore[index]
    assert names and names <= set(pinned(FOLDER / f"{name}.txt"))


def test_the_nodes_middleware_is_among_them() -> None:
    assert {"ros-jazzy-rclpy", "ros-jazzy-rmw-fastrtps-cpp"} <= set(pinned(FOLDER / "ros.txt"))


def test_the_licence_of_each_is_listed_for_its_version() -> None:
    rows = re.findall(r"^\| (\S+) \| (\S+) \| (\S.*) \|$", (FOLDER / "LICENCES.md").read_text(), re.MULTILINE)
    listed = {name: version for name, version, licence in rows if "not stated" not in licence}
    lines = (line for path in FOLDER.glob("*.txt") for line in path.read_text().splitlines())
    pins = {row[1].lower(): row[2] for line in lines if (row := re.match(r"([A-Za-z0-9._-]+)==(\S+)", line))}
    assert pins.items() <= listed.items()
