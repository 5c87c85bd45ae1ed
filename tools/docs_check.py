"""Checks every command and every piece of Python in README.md and docs/: nothing that cannot be typed may stand there.

A command is checked against the program it names: sub-commands and options of iseg3d, targets of make, files,
arguments and nodes of ros2 launch and run, extras of pip. A block that stands below `<!-- run -->` is run, in a folder
of its own that holds scan.ply.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from iseg3d_ros import commands
from iseg3d_ros.commands.run import NODES

ROOT = Path(__file__).resolve().parent.parent
FENCE = re.compile(
    r"^(?P<run><!-- run -->\n+)?```(?P<language>bash|sh|python)\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL
)


class Block(NamedTuple):
    """A fenced piece of a page."""

    page: str
    line: int
    language: str
    text: str
    runs: bool


def main() -> int:
    """Check all pages; 1 if anything is wrong."""
    faults, commands_seen = [], 0
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
    for path in [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]:
        text = path.read_text(encoding="utf-8")
        for found in FENCE.finditer(text):
            line = text.count("\n", 0, found.start("text")) + 1
            yield Block(str(path.relative_to(ROOT)), line, found["language"], found["text"], bool(found["run"]))


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
    """Whether the launch file, or the one it includes, declares the arguments."""
    path = ROOT / "launch" / file
    if not path.is_file():
        return [f"no launch file {file}"]
    declared = path.read_text() + (ROOT / "launch" / "segment.launch.py").read_text()
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
    """Run in a folder with a small cloud."""
    with tempfile.TemporaryDirectory() as folder:
        write_scan(Path(folder, "scan.ply"))
        env = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=300, check=False)
    return [f"ends with {done.returncode}: {done.stderr.strip().splitlines()[-1:]}"] if done.returncode else []


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
