"""The page's words: one name, one sentence, and each in both languages."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import iseg3d_ros

WORDS = (Path(iseg3d_ros.__file__).parent / "console" / "web" / "words.js").read_text(encoding="utf-8")


def keys(language: str) -> list[str]:
    """The names in one language's table, as often as they stand there."""
    table = WORDS[WORDS.index(f"{language}") :]
    table = re.sub(r'"(?:[^"\\]|\\.)*"', '""', table)
    return re.findall(r"[{,\s](\w+): \"\"", table[: table.index("\n};")])


def test_no_word_has_two_meanings_and_both_languages_have_all() -> None:
    english, german = (keys(start) for start in ("const ENGLISH", "const GERMAN"))
    assert len(english) > 100
    for found in (english, german):
        assert [name for name, count in Counter(found).items() if count > 1] == []
    assert set(english) == set(german)
