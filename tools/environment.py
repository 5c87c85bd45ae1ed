#!/usr/bin/env python3
"""Makes `.venv`: Python packages, ROS 2 Jazzy from wheels, and this package's messages. `make` runs it every time.

Every step leaves a stamp in `.venv/.stamps` when it has ended, so a second run starts at once and an interrupted one
goes on where it stopped. It runs before anything is installed: standard library only, Python 3.8 syntax.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import ros_messages
import system
from progress import Failed, environment, note, run

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMPS = VENV / ".stamps"
TORCH = "torch==2.13.0"
ROS_PYTHONS = ((3, 12), (3, 11))  # what the ROS wheels are built for
OPTIONAL = {  # extras of setup.py, and what does not work without them
    "open3d": "making scenes",
    "console": "the operator's console in the browser",
    "bags": "reading and writing rosbag2 and mcap files",
    "scanners": "writing LAS, LAZ and E57 files",
    "train": "plots of training and evaluation",
    "dev": "make test and make lint",
    "docs": "make docs",
}
ROS_EXTRAS = ("ros", "ros-build")


def main() -> int:
    """Bring the environment up to date; 0 if at least the library works."""
    parser = argparse.ArgumentParser(description="Make or update the virtual environment of this repository.")
    parser.add_argument("--browser", action="store_true", help="also a browser, to test the console with")
    parser.add_argument("--python", default="", help="which Python (default: a 3.11 or 3.12)")
    options = parser.parse_args()
    with open(__file__, encoding="utf-8") as this:
        fcntl.flock(this, fcntl.LOCK_EX)  # a second `make` waits for the first
        try:
            return set_up(options.python, options.browser)
        except Failed as failure:
            print(f"Set-up stopped: {failure}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("\nSet-up interrupted: the next run goes on from here.", file=sys.stderr)
            return 130


def set_up(wanted: str, browser: bool) -> int:
    """All steps, in order."""
    python, version = find_python(wanted)
    with_ros = version in ROS_PYTHONS and sys.platform == "linux" and platform.machine() == "x86_64"
    if not with_ros:
        note(
            f"The ROS part needs Python 3.11 or 3.12 on x86-64 Linux; with Python {version[0]}.{version[1]} on "
            f"{platform.machine()} you get the library without it (choose another with PYTHON=python3.12)."
        )
    system.install(python, version, with_ros, browser, VENV / ".stamps")
    make_venv(python)
    pip("torch", [TORCH], f"PyTorch ({TORCH}): the largest download")
    packages([*OPTIONAL, *(ROS_EXTRAS if with_ros else ())])
    if with_ros:
        set_up_ros()
    return 0


def packages(extras: list[str]) -> None:
    """The package with all extras at once; if that fails one by one, to keep what works and name what does not."""
    try:
        pip("packages", ["-e", f"{ROOT}[{','.join(extras)}]"], "this package and what it needs")
    except Failed:
        pip("library", ["-e", str(ROOT)], "this package")
        for extra in extras:
            try:
                pip(extra, ["-e", f"{ROOT}[{extra}]"], extra)
            except Failed as failure:
                note(f"{failure} Without it these do not work: {OPTIONAL.get(extra, 'the ROS nodes')}.")


def set_up_ros() -> None:
    """Messages, on the ROS wheels; without a compiler a sentence, for the library works without them."""
    try:
        kinds = ("msg", "srv", "action")
        sources = [path for kind in kinds for path in sorted(ROOT.glob(f"{kind}/*.{kind}"))]
        transforms = ROOT / ".ci" / "tf2_msgs"
        with Step("tf2_msgs", (transforms / "CMakeLists.txt").read_text(encoding="utf-8")) as step:
            build(step, transforms)
        sources.append(ROOT / "CMakeLists.txt")
        with Step("messages", *(path.read_text(encoding="utf-8") for path in sources)) as step:
            build(step, ROOT)
    except Failed as failure:
        note(f"{failure} Without it there are no ROS nodes; the library works.")


def build(step: Step, source: Path) -> None:
    """Build the messages of one folder, if that is due."""
    if step.due:
        if not system.can_compile(VENV / "bin" / "python"):
            raise Failed("messages: building them needs a compiler: apt-get install g++ make python3-dev.")
        ros_messages.build(source, VENV)
        step.done()


def find_python(wanted: str) -> tuple[str, tuple[int, int]]:
    """A Python that the ROS wheels exist for, if there is one; otherwise the best that is there."""
    names = [wanted] if wanted else ["python3", "python3.12", "python3.11", sys.executable]
    found = [(path, version) for path, version in map(_version_of, names) if version]
    for good in (ROS_PYTHONS, ((3, 10), (3, 13))):
        for path, version in found:
            if version in good:
                return path, version
    raise Failed(
        "this needs Python 3.11 or 3.12 (3.10 and 3.13 give the library without ROS), and none was found"
        + (f" at {wanted}." if wanted else ". On Debian 12 and Ubuntu 24.04: apt-get install python3 python3-venv")
    )


def _version_of(name: str) -> tuple[str, tuple[int, int] | None]:
    path = shutil.which(name)
    if not path:
        return "", None
    code = "import sys; print(*sys.version_info[:2])"
    answer = subprocess.run([path, "-c", code], capture_output=True, text=True, check=False, env=environment())
    numbers = answer.stdout.split()
    return path, (int(numbers[0]), int(numbers[1])) if answer.returncode == 0 and len(numbers) == 2 else None


def make_venv(python: str) -> None:
    """Create `.venv`, or keep one that works; one that was moved, or half made, is made anew."""
    with Step("venv") as step:
        if step.due or not (VENV / "bin" / "python").exists():
            if not _venv_works() or (STAMPS / "venv").exists():
                shutil.rmtree(VENV, ignore_errors=True)
                run("virtual environment", [python, "-m", "venv", str(VENV)])
            (VENV / "COLCON_IGNORE").touch()  # its share/*/package.xml are not packages of a workspace
            step.done()


def _venv_works() -> bool:
    python = VENV / "bin" / "python"
    code = "import pip, sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))"
    return python.exists() and subprocess.run([python, "-c", code], capture_output=True, check=False).returncode == 0


def pip(name: str, requirements: list[str], title: str) -> None:
    """One pip step."""
    with Step(name, *requirements, (ROOT / "setup.py").read_text(encoding="utf-8")) as step:
        if step.due:
            forget_half_installed()
            command = [str(VENV / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check"]
            run(title, [*command, "--progress-bar", "off", *requirements])
            step.done()


def forget_half_installed() -> None:
    """Pip was killed in the middle of a package: what has no INSTALLER, written last, is installed again."""
    for info in VENV.glob("lib/python3*/site-packages/*.dist-info"):
        if not (info / "INSTALLER").exists():
            shutil.rmtree(info)


class Step:
    """A step with a stamp: due until it was done with the same inputs at the same place."""

    def __init__(self, name: str, *inputs: str) -> None:
        self.path = STAMPS / name
        self.key = hashlib.sha256("\n".join([str(ROOT), *inputs]).encode()).hexdigest()

    def __enter__(self) -> Step:
        self.due = not (self.path.is_file() and self.path.read_text(encoding="utf-8") == self.key)
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is written unless the step said that it is done."""

    def done(self) -> None:
        """Write the stamp, in one piece."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_suffix(".part")
        part.write_text(self.key, encoding="utf-8")
        os.replace(part, self.path)


if __name__ == "__main__":
    sys.exit(main())
