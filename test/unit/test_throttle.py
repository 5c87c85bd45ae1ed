"""Logs stay short, and one line a sentence."""

from __future__ import annotations

from iseg3d_ros import limits
from iseg3d_ros.throttle import Throttle


def test_a_flood_is_a_few_lines() -> None:
    said: list[str] = []
    now = [0.0]
    throttle = Throttle(said.append, lambda: now[0])
    for _ in range(10_000):
        throttle("the same")
    for number in range(10_000):
        throttle(f"another: {number}")
    assert len(said) == limits.SENTENCES
    now[0] += limits.REPEATS
    throttle("the same")
    assert "(9999 more" in said[1] and said[-1].startswith(f"the same ({10_000 - limits.SENTENCES + 1} more")


def test_no_line_can_be_forged_and_none_is_endless() -> None:
    said: list[str] = []
    throttle = Throttle(said.append)
    throttle("no frame 'a\n[INFO] all is well\x1b[2J\u2028'")
    throttle("x" * 1_000_000)
    assert said[0] == "no frame 'a\\n[INFO] all is well\\x1b[2J\\u2028'"
    assert len(said[1]) < 1100 and not any(sentence.splitlines()[1:] for sentence in said)
