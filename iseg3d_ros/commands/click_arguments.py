"""Clicks and names as they are given on a command line or in a clicks file, checked before anything is imported."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

CLICKS_HELP = (
    '[{"point": [x, y, z], "object": "cup", "class": "mug"}, ...] for one cloud, {"scan.ply": [...], ...} for many; '
    'the object "" is the background'
)


class ClickArgument(NamedTuple):
    """Where, and on which object: 0 is the background."""

    point: tuple[float, float, float]
    object: int


class NameArgument(NamedTuple):
    """An object's name and class."""

    label: int
    name: str
    category: str = ""


class CloudClicks(NamedTuple):
    """All that is said of one cloud."""

    clicks: tuple[ClickArgument, ...]
    names: tuple[NameArgument, ...]


def click_of(text: str) -> ClickArgument:
    """A click written as x,y,z:object; without the object it is on object 1."""
    place, _, label = text.partition(":")
    try:
        number = int(label) if label else 1
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: after the colon stands the object's whole number") from error
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text!r}: objects are 0 (background), 1, 2, …")
    return ClickArgument(triple(place), number)


def triple(text: str) -> tuple[float, float, float]:
    """Three numbers separated by commas."""
    try:
        x, y, z = (float(word) for word in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not three numbers separated by commas") from error
    if not all(math.isfinite(value) for value in (x, y, z)):
        raise argparse.ArgumentTypeError(f"{text!r}: the three numbers must be finite")
    return x, y, z


def name_of(text: str) -> NameArgument:
    """A name written as object=name or object=name:class."""
    number, equals, rest = text.partition("=")
    name, _, category = rest.partition(":")
    if not equals or not number.isdecimal() or int(number) < 1 or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not OBJECT=NAME or OBJECT=NAME:CLASS, such as 1=cup:mug")
    return NameArgument(int(number), name, category)


def metres(text: str) -> float:
    """A length above 0."""
    try:
        value = float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of metres") from error
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r}: a length in metres must be above 0")
    return value


def from_words(clicks: Sequence[ClickArgument], names: Sequence[NameArgument]) -> CloudClicks:
    """What the options say; an object without a name is called by its number."""
    labels = sorted({click.object for click in clicks if click.object})
    if not labels:
        raise ValueError("All clicks are on the background (object 0): click an object, such as --click 0.4,0.1,0.9:1.")
    given = {name.label: name for name in names}
    if unknown := sorted(set(given) - set(labels)):
        raise ValueError(f"--name speaks of object {unknown[0]}, but no click is on it.")
    return CloudClicks(tuple(clicks), tuple(given.get(label, NameArgument(label, str(label))) for label in labels))


def read_clicks(path: Path) -> dict[str, CloudClicks]:
    """A clicks file: clicks by the name of their cloud, under "" where it speaks of one cloud only."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        rows = content if isinstance(content, dict) else {"": content}
        return {name: _cloud(items, name) for name, items in rows.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path} is no clicks file ({error}); it holds {CLICKS_HELP}.") from error


def _cloud(items: list[dict[str, Any]], where: str) -> CloudClicks:
    """Objects are numbered in the order of their first click; whole numbers stay as they are."""
    if not isinstance(items, list):
        raise ValueError(f"{where or 'the file'}: clicks are a list")
    given = [item["object"] for item in items]
    numbers = {value: value for value in given if _is_number(value)}
    free = iter(range(1, len(given) + len(numbers) + 1))
    for value in given:
        if value not in numbers:
            numbers[value] = 0 if value == "" else next(n for n in free if n not in numbers.values())
    clicks = tuple(ClickArgument(_point(item["point"]), numbers[item["object"]]) for item in items)
    if not any(click.object for click in clicks):
        raise ValueError(f"{where or 'the file'}: there is no click on an object")
    category = {item["object"]: str(item["class"]) for item in items if item.get("class")}
    names = [NameArgument(n, str(value), category.get(value, "")) for value, n in numbers.items() if n]
    return CloudClicks(clicks, tuple(sorted(names)))


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise ValueError(f"an object is a name or a whole number, not {value!r}")
    if isinstance(value, int) and value < 0:
        raise ValueError(f"objects are 0 (background), 1, 2, …, not {value}")
    return isinstance(value, int)


def _point(value: Sequence[float]) -> tuple[float, float, float]:
    x, y, z = (float(number) for number in value)
    if not all(math.isfinite(number) for number in (x, y, z)):
        raise ValueError(f"the point {value} is not finite")
    return x, y, z
