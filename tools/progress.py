"""Runs a long command and shows that it lives: a line that is rewritten on a terminal, now and then one elsewhere."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time

# What a sourced ROS, another environment or the wheels' own start-up leaves behind must not reach this environment.
FOREIGN = "PYTHONPATH PYTHONHOME VIRTUAL_ENV LD_LIBRARY_PATH AMENT_PREFIX_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH "
FOREIGN += "_ROS_WHEELS_BOOTSTRAP_COMPLETE"
REASONS = (  # what pip, apt and cmake print, and what it means
    (r"No space left on device", "the disk is full"),
    (r"Temporary failure in name|NewConnectionError|Max retries|Network is unreachable", "the network is away"),
    (r"No matching distribution found for (\S+)", r"there is no \1 for this Python and machine"),
    (r"Permission denied: '?([^'\n]+)", r"\1 may not be written"),
    (r"ensurepip is not available", "python3-venv is not installed"),
    (r"fatal error: (\S+): No such file", r"the compiler does not find \1"),
)


class Failed(RuntimeError):
    """A step did not work: a sentence."""


def note(sentence: str) -> None:
    """Say something that should be read."""
    print(f"  note: {sentence}", flush=True)


def environment(**more: str) -> dict[str, str]:
    """The environment for what we start: ours, less what belongs to another Python."""
    return {key: value for key, value in os.environ.items() if key not in FOREIGN.split()} | more


def run(title: str, command: list[str], env: dict[str, str] | None = None) -> None:
    """Run the command with a sign of life; Failed with the reason if it ends badly."""
    begin, lines = time.monotonic(), [""]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=None if command[0] == "sudo" else subprocess.DEVNULL,
        text=True,
        errors="replace",
        env=environment() if env is None else env,
        start_new_session=command[0] != "sudo",  # sudo asks for a password at this terminal
    )
    ended = threading.Event()
    watcher = threading.Thread(target=_show, args=(title, lines, begin, ended), daemon=True)
    watcher.start()
    try:
        for line in process.stdout or ():
            if line.strip() and not line.startswith("WARNING"):
                lines.append(line.rstrip())
    except KeyboardInterrupt:
        os.killpg(process.pid, signal.SIGTERM) if command[0] != "sudo" else process.terminate()
        raise
    finally:
        code = process.wait()
        ended.set()
        watcher.join()
    if code:
        print(f"  {title}: failed\n    " + "\n    ".join(lines[-12:]), flush=True)
        raise Failed(f"{title}: {reason(chr(10).join(lines))}.")
    _line(f"  {title}: done in {time.monotonic() - begin:.0f} s", end="\n")


def reason(output: str) -> str:
    """Why a command failed, in words where we know them."""
    for pattern, words in REASONS:
        found = re.search(pattern, output)
        if found:
            return found.expand(words)
    return "see the lines above"


def _show(title: str, lines: list[str], begin: float, ended: threading.Event) -> None:
    terminal = sys.stdout.isatty()
    if not terminal:
        print(f"  {title} ...", flush=True)
    while not ended.wait(0.5 if terminal else 20):
        text = f"  {title} ({time.monotonic() - begin:.0f} s) {' '.join(lines[-1].split())[:70]}"
        _line(text, end="" if terminal else "\n")


def _line(text: str, end: str) -> None:
    print(f"\r\x1b[K{text}" if sys.stdout.isatty() else text, end=end, flush=True)
