"""Writes test/slow_tests.txt, the tests that `make test-fast` leaves out, from pytest's own list of durations.

    python -m pytest test/unit --durations=0 | python tools/slow_tests.py

A test is slow if its set-up, call and end together, of its slowest parameters, take more than LIMIT seconds.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path

LIMIT = 0.7
FILE = Path(__file__).resolve().parent.parent / "test" / "slow_tests.txt"
LINE = re.compile(r"^(\d+\.\d+)s (?:setup|call|teardown)\s+(test/\S+::\S.*)$")


def main() -> None:
    """Read durations, write the list."""
    seconds: Counter[str] = Counter()
    for found in map(LINE.match, sys.stdin):
        if found:
            seconds[found[2]] += float(found[1])  # type: ignore[assignment]
    slow = sorted({name.split("[")[0] for name, spent in seconds.items() if spent > LIMIT})
    FILE.write_text("\n".join(slow) + "\n", encoding="utf-8")
    left = sum(spent for name, spent in seconds.items() if name.split("[")[0] not in slow)
    print(f"{len(slow)} slow tests; the others take {left:.0f} s of {sum(seconds.values()):.0f} s")


if __name__ == "__main__":
    main()
