"""Sentences that come again and again, said once in a while; each on one line."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from iseg3d_ros import limits


class Throttle:
    """Passes a sentence on at most once in `limits.REPEATS` seconds, and so many different ones; the rest is counted.

    What was held back is said with the next sentence that passes. May be called from any thread.
    """

    def __init__(self, say: Callable[[str], object], clock: Callable[[], float] = time.monotonic) -> None:
        self._say, self._clock = say, clock
        self._said: dict[str, float] = {}
        self._held_back = 0
        self._lock = threading.Lock()

    def __call__(self, sentence: str) -> None:
        """Says it, or counts it."""
        sentence = limits.one_line(sentence)
        with self._lock:
            now = self._clock()
            self._said = {each: at for each, at in self._said.items() if now - at < limits.REPEATS}
            if sentence in self._said or len(self._said) >= limits.SENTENCES:
                self._held_back += 1
                return
            self._said[sentence] = now
            held_back, self._held_back = self._held_back, 0
        self._say(sentence + (f" ({held_back} more like this, or others, were not logged)" if held_back else ""))
