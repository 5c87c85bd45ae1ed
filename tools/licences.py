#!/usr/bin/env python3
"""Writes requirements/LICENCES.md: the licence of every package that requirements/ pins, as its own metadata states it.

    tools/licences.py

What is installed here is asked first, then what ROS's package.xml says, then the wheel that pip would take, of which
only the metadata are read.
"""

from __future__ import annotations

import email
import importlib.metadata
import io
import json
import re
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
import zipfile
from email.message import Message
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent.parent / "requirements"
LINE = re.compile(r"([A-Za-z0-9_.\-]+)==([^\s;\\]+)")
BY_HAND = {  # what states nothing in its metadata, and where it is said
    "cuda-toolkit": "NVIDIA CUDA Toolkit EULA (docs.nvidia.com/cuda/eula)",
    "ros-fastcdr": "Apache-2.0 (LICENSE of eProsima/Fast-CDR)",
    "ros-fastrtps": "Apache-2.0 (LICENSE of eProsima/Fast-DDS)",
}
LONGEST = 120  # characters of a licence that is told in the metadata themselves; of longer texts the first line


class Ranged(io.RawIOBase):
    """A file on a server, of which parts are read."""

    def __init__(self, url: str) -> None:
        self._url, self._at = url, 0
        request = urllib.request.Request(url, method="HEAD")
        self._size = int(urllib.request.urlopen(request, timeout=30).headers["Content-Length"])

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """Where the next part begins."""
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place."""
        self._at = (0, self._at, self._size)[whence] + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        """A part; a server that knows no ranges sends all of it."""
        end = min(self._size, self._at + len(buffer))
        if end <= self._at:
            return 0
        wanted = {"Range": f"bytes={self._at}-{end - 1}"}
        answer = urllib.request.urlopen(urllib.request.Request(self._url, headers=wanted), timeout=60)
        part = answer.read() if answer.status == 206 else answer.read()[self._at : end]
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)


def pinned() -> dict[str, str]:
    """Name to version, of all files together."""
    found = (LINE.match(line) for file in sorted(FOLDER.glob("*.txt")) for line in file.read_text().splitlines())
    return {match[1].lower().replace("_", "-"): match[2] for match in found if match}


def stated(metadata: Message | Any) -> str:
    """The licence that a package's metadata name, "" where they name none."""
    if expression := metadata.get("License-Expression"):
        return str(expression)
    classes = [value.split(" :: ")[-1] for value in metadata.get_all("Classifier") or [] if "License ::" in value]
    named = [each for each in classes if each != "OSI Approved"]
    text = (metadata.get("License") or "").strip().split("\n")[0]
    return ", ".join(named) or ("" if text in ("UNKNOWN", "") or text.startswith("%") else text[:LONGEST])


def installed(name: str) -> str:
    """What the package says that is installed here."""
    try:
        return stated(importlib.metadata.metadata(name))
    except importlib.metadata.PackageNotFoundError:
        return ""


def of_ros(name: str) -> str:
    """What the package.xml of a ROS wheel says."""
    parts = name.removeprefix("ros-").replace("-", "_")
    for each in (parts, parts.removeprefix("jazzy_")):
        for root in (Path(sys.prefix), *Path(sys.prefix).glob("lib/python3*/site-packages")):
            file = root / "share" / each / "package.xml"
            if file.is_file():
                return ", ".join(re.findall(r"<license[^>]*>([^<]+)</license>", file.read_text(encoding="utf-8")))
    return ""


def of_wheels(names: dict[str, str]) -> dict[str, str]:
    """What the wheels say that pip would take."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--no-deps", "--quiet"]
        wanted = [f"{name}=={version}" for name, version in names.items()]
        subprocess.run([*command, "--report", str(report), *wanted], check=True)
        chosen = json.loads(report.read_text(encoding="utf-8"))["install"]
    found = {}
    for each in chosen:
        metadata = email.message_from_bytes(metadata_of(each["download_info"]["url"]))
        found[each["metadata"]["name"].lower().replace("_", "-")] = stated(metadata)
    return found


def metadata_of(url: str) -> bytes:
    """The metadata inside a wheel, or a source package."""
    if not url.endswith(".whl"):
        with tarfile.open(fileobj=io.BytesIO(urllib.request.urlopen(url).read())) as source:
            file = source.extractfile(next(name for name in source.getnames() if name.endswith("/PKG-INFO")))
            return file.read() if file else b""
    local = not url.startswith("http")
    whole: Any = io.BytesIO(urllib.request.urlopen(url).read()) if local else io.BufferedReader(Ranged(url), 1 << 16)
    with zipfile.ZipFile(whole) as wheel:
        return wheel.read(next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")))


def main() -> int:
    """Write the list; 1 where a licence is stated nowhere."""
    pins = pinned()
    known = {name: installed(name) or (of_ros(name) if name.startswith("ros-") else "") for name in pins}
    known |= of_wheels({name: version for name, version in pins.items() if not known[name] and name not in BY_HAND})
    known |= {name: licence for name, licence in BY_HAND.items() if not known.get(name)}
    rows = [f"| {name} | {pins[name]} | {known[name] or '**not stated**'} |" for name in sorted(pins)]
    head = "The licence of every package that these files pin, as its own metadata state it (`tools/licences.py`)."
    table = "\n".join(["| package | version | licence |", "|---|---|---|", *rows])
    (FOLDER / "LICENCES.md").write_text(f"{head}\n\n{table}\n", encoding="utf-8")
    silent = [name for name in pins if not known[name]]
    print(f"{len(pins)} packages; without a stated licence: {', '.join(silent) or 'none'}")
    return 1 if silent else 0


if __name__ == "__main__":
    sys.exit(main())
