"""What pip cannot bring: a compiler, Python's headers, some libraries, a browser. With apt where that is allowed."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from progress import Failed, environment, note, run


class Package(NamedTuple):
    """A system package that is missing."""

    name: str
    purpose: str


def install(python: str, version: tuple[int, int], with_ros: bool, browser: bool, stamps: Path) -> None:
    """Install what is missing, or say in one sentence what and how. Only a missing `venv` stops everything."""
    missing = list(_missing(python, version, with_ros, browser))
    tried = stamps / ("system-" + hashlib.sha256(repr(missing).encode()).hexdigest()[:12])
    if not missing or tried.exists():
        return
    names = [package.name for package in missing]
    prefix = _apt()
    if prefix is not None:
        _apt_get(prefix, names)
        missing = list(_missing(python, version, with_ros, browser))
    if missing:
        command = "apt-get install " + " ".join(package.name for package in missing)
        purposes = ", ".join(f"{package.name} ({package.purpose})" for package in missing)
        note(f"Not installed: {purposes}. An administrator can run: {command}")
    if not has(python, "import venv, ensurepip"):
        package = f"python{version[0]}.{version[1]}-venv"
        raise Failed(f"{python} cannot make a virtual environment; install {package}")
    if missing and (stamps / "venv").exists():  # what stays missing is not tried again on every run
        tried.touch()


def can_compile(python: Path) -> bool:
    """Whether the messages can be built."""
    return bool(shutil.which("g++") and shutil.which("make")) and _headers(str(python))


def _missing(python: str, version: tuple[int, int], with_ros: bool, browser: bool) -> list[Package]:
    dotted = f"python{version[0]}.{version[1]}"
    table = [
        (has(python, "import venv, ensurepip"), f"{dotted}-venv", "the virtual environment"),
        (not with_ros or shutil.which("g++"), "g++", "the ROS messages"),
        (not with_ros or shutil.which("make"), "make", "the ROS messages"),
        (not with_ros or _headers(python), f"{dotted}-dev", "the ROS messages"),
        (_library("libgomp.so.1"), "libgomp1", "Open3D"),
        (_library("libusb-1.0.so.0"), "libusb-1.0-0", "Open3D"),
        (_library("libGL.so.1"), "libgl1", "Open3D"),
        (_library("libX11.so.6"), "libx11-6", "Open3D"),
        (not browser or find_browser() or _is_ubuntu(), "chromium", "tests and pictures of the console"),
    ]
    return [Package(name, purpose) for there, name, purpose in table if not there]


def find_browser() -> str | None:
    """The path of a Chromium."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def has(python: str, code: str) -> bool:
    """Whether that Python can run the code."""
    return subprocess.run([python, "-c", code], capture_output=True, check=False, env=environment()).returncode == 0


def _headers(python: str) -> bool:
    return has(python, "import os, sysconfig; os.stat(sysconfig.get_paths()['include'] + '/Python.h')")


def _library(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def _is_ubuntu() -> bool:  # its chromium is a snap, which neither containers nor playwright can start
    release = Path("/etc/os-release")
    return release.exists() and "ID=ubuntu" in release.read_text(encoding="utf-8")


def _apt() -> list[str] | None:
    """How apt-get may be called here: as root, through sudo, or not at all."""
    if not shutil.which("apt-get"):
        return None
    if os.geteuid() == 0:
        return ["env", "DEBIAN_FRONTEND=noninteractive"]
    if shutil.which("sudo"):
        silent = subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode == 0
        if silent or sys.stdin.isatty():
            return ["sudo", "DEBIAN_FRONTEND=noninteractive"]
    return None


def _apt_get(prefix: list[str], names: list[str]) -> None:
    try:
        run("package lists (apt-get update)", [*prefix, "apt-get", "update", "-q"])
    except Failed as failure:
        note(str(failure))  # old lists may do
    for name in names:  # one by one: one that does not exist here must not keep the others away
        try:
            command = [*prefix, "apt-get", "install", "-q", "-y", "--no-install-recommends", name]
            run(f"apt-get install {name}", command)
        except Failed as failure:
            note(str(failure))
