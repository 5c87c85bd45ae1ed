"""One line of progress that is written anew, on a terminal; nothing elsewhere, so that logs stay readable."""

from __future__ import annotations

import sys

from iseg3d_ros import json_log


class Progress:
    """`show` replaces the line; `say` leaves a sentence above it, on a terminal and elsewhere."""

    def __init__(self, quiet: bool = False) -> None:
        self._shown = sys.stderr.isatty() and not quiet
        self._width = 0

    def show(self, text: str) -> None:
        """The new line."""
        if self._shown:
            print(f"\r{text[:200]:<{self._width}}", end="", file=sys.stderr, flush=True)
            self._width = len(text)

    def say(self, sentence: object) -> None:
        """A sentence that stays."""
        self.clear()
        json_log.say("INFO", "iseg3d", str(sentence))

    def clear(self) -> None:
        """No line."""
        if self._width:
            print(f"\r{'':<{self._width}}\r", end="", file=sys.stderr, flush=True)
            self._width = 0
