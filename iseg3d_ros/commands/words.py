"""The words of a command line before argparse sees them: negative coordinates, and what was meant by a mistyped one."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Iterable, Sequence

NUMBER = re.compile(r"-[\d.]")  # how a negative number begins, and a point whose x is negative
LEAST_LIKENESS = 0.6


def joined(words: Sequence[str]) -> list[str]:
    """`--click -1,3,0.8:1` as `--click=-1,3,0.8:1`: argparse would take the second word for an option."""
    out: list[str] = []
    for index, word in enumerate(words):
        if word == "--":
            return [*out, *words[index:]]
        if NUMBER.match(word) and out and out[-1].startswith("--") and "=" not in out[-1]:
            out[-1] += f"={word}"
        else:
            out.append(word)
    return out


def nearest(word: str, known: Iterable[str]) -> str:
    """What to add to a refusal: "; did you mean X?", or nothing."""
    close = difflib.get_close_matches(word, list(known), 1, LEAST_LIKENESS)
    return f"; did you mean {close[0]}?" if close else ""


def check_options(parser: argparse.ArgumentParser, words: Sequence[str]) -> None:
    """Refuse a long option that the parser does not have, with the one that was meant, before anything else is said.

    Beginnings of options are options, as argparse has it.
    """
    known = [option for option in parser._option_string_actions if option.startswith("--")]
    for word in words:
        if word == "--":
            return
        name = word.partition("=")[0]
        if name.startswith("--") and not any(option.startswith(name) for option in known):
            parser.error(f"there is no option {name}{nearest(name, known)}")
