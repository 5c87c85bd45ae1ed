"""Checks every command and every piece of Python in README.md and docs/: nothing that cannot be typed may stand there.

A command is checked against the program it names: sub-commands and options of iseg3d, targets of make, files,
arguments and nodes of ros2 launch and run, names and types of ros2 service call, extras of pip. A block that stands
below `<!-- run -->` is run, in a folder of its own that holds scan.ply and the examples; below `<!-- run with ROS -->`
where ROS is there. Links between pages must lead somewhere.
"""

from __future__ import annotations

import contextlib
import io
import os
import random
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np

from iseg3d_ros import commands
from iseg3d_ros.commands.run import NODES
from iseg3d_ros.ros.topics import SERVICES

ROOT = Path(__file__).resolve().parent.parent
FENCE = re.compile(
    r"^(?:<!-- (?P<run>run|run with ROS) -->\n+)?```(?P<language>\w*)\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL
)
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")
PROGRAMS = ("iseg3d", "make", "ros2", "pip", "python", "python3")


class Block(NamedTuple):
    """A fenced piece of a page."""

    page: str
    line: int
    language: str
    text: str
    runs: bool


def main() -> int:
    """Check all pages; 1 if anything is wrong."""
    faults, commands_seen = link_faults(), 0
    for block in blocks():
        where = f"{block.page}:{block.line}"
        if block.language == "python":
            faults += [f"{where}: {fault}" for fault in python_faults(block)]
            continue
        for command in split(block.text):
            commands_seen += 1
            faults += [f"{where}: `{command}`: {fault}" for fault in shell_faults(command)]
        if block.runs:
            faults += [f"{where}: {fault}" for fault in run_faults(["bash", "-euo", "pipefail", "-c", block.text])]
    print("\n".join(faults) or f"docs-check: {commands_seen} commands and all Python blocks are right")
    return bool(faults)


def blocks() -> Iterator[Block]:
    """The blocks of all pages."""
    for path in pages():
        page = path.read_text(encoding="utf-8")
        for found in FENCE.finditer(page):
            line = page.count("\n", 0, found.start("text")) + 1
            text, language = found["text"], found["language"]
            if not language and text.split()[:1] and text.split()[0] in PROGRAMS:
                language = "bash"
            if language in ("bash", "sh", "python"):
                runs = found["run"] == "run" or (found["run"] == "run with ROS" and find_spec("rclpy") is not None)
                yield Block(str(path.relative_to(ROOT)), line, language, text, runs)


def link_faults() -> list[str]:
    """Links and pictures that lead nowhere."""
    linked = [(page, target) for page in pages() for target in LINK.findall(page.read_text(encoding="utf-8"))]
    return [f"{page.name}: no file {target}" for page, target in linked if not (page.parent / target).exists()]


def pages() -> list[Path]:
    """All documentation."""
    return [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]


def split(text: str) -> list[str]:
    """The commands of a shell block: lines, with continued ones joined and comments gone."""
    lines = text.replace("\\\n", " ").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]


def shell_faults(command: str) -> list[str]:
    """What is wrong with a command line."""
    try:
        words = shlex.split(command, comments=True)
    except ValueError as error:
        return [str(error)]
    while words and re.fullmatch(r"\w+=.*", words[0]):
        words.pop(0)
    words = words[: next((i for i, word in enumerate(words) if word in ("|", ">", "&&", "&", ";", "2>&1")), len(words))]
    match [os.path.basename(words[0]), *words[1:]] if words else []:
        case ["iseg3d", *rest]:
            return iseg3d_faults(rest)
        case ["make", *targets]:
            known = set(re.findall(r"^(\w[\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
            return [f"no target {target}" for target in targets if "=" not in target and target not in known]
        case ["ros2", "launch", "iseg3d_ros", file, *arguments]:
            return launch_faults(file, arguments)
        case ["ros2", "run", "iseg3d_ros", node, *_]:
            return [] if node in NODES else [f"no node {node}"]
        case ["ros2", "service", "call", name, kind, *_]:
            services = {service.name.replace("~", "/segmenter"): service.type for service in SERVICES}
            return [] if services.get(name) == kind else [f"no service {name} of type {kind}"]
        case ["pip", "install", *arguments]:
            return extra_faults(arguments)
        case [("python" | "python3" | "bash"), script, *_] if script.endswith((".py", ".sh")):
            return [] if (ROOT / script).is_file() else [f"no file {script}"]
    return []


def iseg3d_faults(words: list[str]) -> list[str]:
    """Let the command's own parser judge."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            commands.parser(words).parse_args(words)
        except SystemExit as error:
            return [said.getvalue().strip().splitlines()[-1]] if error.code else []
        except ImportError as error:
            return [str(error)]
    return []


def launch_faults(file: str, arguments: list[str]) -> list[str]:
    """Whether there is the launch file, and whether the arguments are among those that all of them share."""
    if not (ROOT / "launch" / file).is_file():
        return [f"no launch file {file}"]
    declared = (ROOT / "iseg3d_ros" / "ros" / "launching.py").read_text()
    names = [argument.split(":=")[0] for argument in arguments if ":=" in argument]
    return [f"no launch argument {name}" for name in names if f'"{name}"' not in declared]


def extra_faults(arguments: list[str]) -> list[str]:
    """Whether setup.py has the extras."""
    extras = re.findall(r'^    "([\w-]+)": \[', (ROOT / "setup.py").read_text(), re.MULTILINE)
    asked = [name for word in arguments for found in re.findall(r"^\.\[(.+)\]$", word) for name in found.split(",")]
    return [f"no extra {name}" for name in asked if name not in extras]


def python_faults(block: Block) -> list[str]:
    """Compile it; run it where the page says so."""
    try:
        compile(block.text, block.page, "exec")
    except SyntaxError as error:
        return [f"line {error.lineno}: {error.msg}"]
    return run_faults([sys.executable, "-c", block.text]) if block.runs else []


def run_faults(command: list[str]) -> list[str]:
    """Run in a folder with a small cloud; what it leaves running in the background ends with it."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("w+") as said:
        write_scan(Path(folder, "scan.ply"))
        Path(folder, "examples").symlink_to(ROOT / "examples")
        env = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        env |= {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST", "ROS_DOMAIN_ID": str(random.randint(215, 231))}
        env |= {"HOME": folder}
        process = subprocess.Popen(
            command, cwd=folder, env=env, stdout=said, stderr=said, stdin=subprocess.DEVNULL, start_new_session=True
        )
        try:
            code = process.wait(300)
        finally:
            end_group(process.pid)
        said.seek(0)
        return [f"ends with {code}: {said.read().strip().splitlines()[-3:]}"] if code else []


def end_group(group: int) -> None:
    """End all processes of a session: politely, then for good."""
    for kind in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, kind)
            for _ in range(30):
                time.sleep(0.1)
                os.killpg(group, 0)


def write_scan(path: Path) -> None:
    """A ball and a box on a table top, coloured, ascii PLY."""
    rng = np.random.default_rng(0)
    table = np.c_[rng.uniform(-0.6, 0.6, (20000, 2)), np.full(20000, 0.7)]
    ball = rng.normal(size=(4000, 3))
    ball = ball / np.linalg.norm(ball, axis=1, keepdims=True) * 0.1 + (0.4, 0.1, 0.8)
    box = rng.uniform(-0.08, 0.08, (4000, 3)) + (-0.3, -0.2, 0.78)
    colours = np.repeat([[170, 140, 110], [220, 40, 30], [40, 80, 200]], [20000, 4000, 4000], axis=0)
    header = "ply\nformat ascii 1.0\nelement vertex 28000\n" + "".join(f"property float {axis}\n" for axis in "xyz")
    header += "".join(f"property uchar {name}\n" for name in ("red", "green", "blue")) + "end_header\n"
    rows = [f"{x:.4f} {y:.4f} {z:.4f} {r} {g} {b}" for (x, y, z), (r, g, b) in zip(np.r_[table, ball, box], colours)]
    path.write_text(header + "\n".join(rows) + "\n", encoding="ascii")


if __name__ == "__main__":
    sys.exit(main())
