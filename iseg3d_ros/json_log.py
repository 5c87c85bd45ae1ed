"""Logs as JSON for a fleet's collector: with ISEG3D_LOG_FORMAT=json a process writes its log one object a line.

A small process of its own stands between standard error and whoever reads it, so that everything is caught: ROS' C
libraries, tracebacks, the last words of a process that is killed. Records of a log are framed by a word that nobody
else knows, so that no line break in a message begins another record; lines without a frame are records as well.

    {"time": "2026-01-31T12:00:00.123456Z", "level": "WARN", "node": "segmenter", "message": "…", "fields": {…}}
"""

from __future__ import annotations

import atexit
import codecs
import contextlib
import json
import logging
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from typing import Any

SWITCH, FRAME = "ISEG3D_LOG_FORMAT", "ISEG3D_LOG_FRAME"
FIELD = "\x1f"  # between the parts of a framed record
LONGEST = 1 << 20  # characters of a record; what is longer is written in pieces
GRACE = 1.0  # seconds that the end of a process waits for its last lines to be written
TRACEBACK = "Traceback (most recent call last):"


def begin(name: str) -> None:
    """Puts the filter before standard error, where the switch says so; once a process, and before ROS begins."""
    wanted = os.environ.get(SWITCH, "") or "text"
    if wanted not in ("text", "json"):
        say("WARN", name, f"{SWITCH} is text or json, but is {wanted!r}: this log is text")
    if wanted != "json" or _frame():
        return
    frame = secrets.token_hex(8)
    reader, writer = os.pipe()
    command = [sys.executable, "-I", __file__, frame, name]
    end = subprocess.Popen(command, stdin=reader, stdout=2, start_new_session=True)
    own = os.dup(2)
    os.dup2(writer, 2)
    os.close(reader)
    os.close(writer)
    parts = ("{severity}", "{time}", "{name}", "{file_name}", "{line_number}", "{message}")
    os.environ |= {
        FRAME: f"{frame} {_place()}",  # children that write to the same pipe use the same frame
        "RCUTILS_CONSOLE_OUTPUT_FORMAT": FIELD.join([frame, *parts, frame]),
        "RCUTILS_LOGGING_USE_STDOUT": "0",
        "RCUTILS_COLORIZED_OUTPUT": "0",
    }
    logging.lastResort = Framed(logging.WARNING)
    atexit.register(_end, end, own)


def say(level: str, name: str, sentence: str) -> None:
    """A record on standard error: framed, or `name: sentence` where logs are text."""
    frame = _frame()
    parts = (frame, level, repr(time.time()), name, "", "", sentence, frame)
    print(FIELD.join(parts) if frame else f"{name}: {sentence}", file=sys.stderr, flush=True)


class Framed(logging.Handler):
    """What the library logs, where no node says it."""

    def emit(self, record: logging.LogRecord) -> None:
        """One record."""
        say(record.levelname, record.name, self.format(record))


def _frame() -> str:
    """The word around records; empty where standard error does not lead to a filter."""
    frame, _, place = os.environ.get(FRAME, "").partition(" ")
    return frame if place == _place() else ""


def _place() -> str:
    """What standard error is."""
    try:
        status = os.fstat(2)
    except OSError:
        return "closed"
    return f"{status.st_dev}:{status.st_ino}"


def _end(end: subprocess.Popen[bytes], own: int) -> None:
    sys.stderr.flush()
    os.dup2(own, 2)
    with contextlib.suppress(subprocess.TimeoutExpired):
        end.wait(GRACE)


# The filter: a program of its own, which needs the standard library alone


def records(lines: Iterable[str], frame: str, name: str) -> Iterator[dict[str, Any]]:
    """Framed records, tracebacks as one record each, and every other line."""
    held: list[str] = []  # lines of one record so far
    for line in lines:
        begins = line.startswith(frame + FIELD)
        if held and begins:  # whoever wrote the record before was killed in its midst
            yield whole(held, frame, name)
            held = []
        if not (held or begins or line == TRACEBACK):
            if line:
                yield plain(line, name)
            continue
        held.append(line)
        ends = not line.startswith((" ", TRACEBACK)) if held[0] == TRACEBACK else line.endswith(FIELD + frame)
        if ends or sum(map(len, held)) > LONGEST:
            yield whole(held, frame, name)
            held = []
    if held:
        yield whole(held, frame, name)


def whole(lines: list[str], frame: str, name: str) -> dict[str, Any]:
    """A record of ROS' log or of ours, or a traceback."""
    text = "\n".join(lines)
    parts = text.removesuffix(FIELD + frame).split(FIELD, 6)
    if parts[0] != frame or len(parts) < 7:
        return plain(text.removeprefix(frame), name, "ERROR")
    _, level, seconds, logger, file, number, message = parts
    fields = {"file": os.path.basename(file), "line": int(number)} if number.isdigit() else {}
    return record(float(seconds), level.replace("WARNING", "WARN"), logger, message, fields)


def plain(text: str, name: str, level: str = "INFO") -> dict[str, Any]:
    """A line that is no record: progress, a warning of Python's, what another library prints."""
    return record(time.time(), level, name, text, {"unframed": True})


def record(seconds: float, level: str, name: str, message: str, fields: dict[str, Any]) -> dict[str, Any]:
    """As it is written."""
    at = datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return {"time": at, "level": level, "node": name, "message": message, "fields": fields}


def main() -> int:
    """From standard input to standard output, until nobody writes any more."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the last words of whoever writes are still to come
    frame, name = sys.argv[1:]
    fields = {"process": os.getppid()}
    with contextlib.suppress(BrokenPipeError):
        for line in records(_lines(), frame, name):
            print(json.dumps(line | {"fields": fields | line["fields"]}, ensure_ascii=True), flush=True)
    return 0


def _lines() -> Iterator[str]:
    """Lines of bounded length; a carriage return ends one as well, as progress on a terminal is written."""
    rest, decoder = "", codecs.getincrementaldecoder("utf-8")("replace")
    while piece := os.read(0, 1 << 16):
        *lines, rest = re.split(r"[\r\n]", rest + decoder.decode(piece))
        yield from lines
        if len(rest) > LONGEST:
            yield rest
            rest = ""
    if rest:
        yield rest


if __name__ == "__main__":
    sys.exit(main())
