"""Classes that objects may have, from a YAML file: a list of names, or of name, colour and key.

    - chair
    - {name: table, colour: [255, 170, 0], key: t}
    - {name: car, attributes: {moving: [no, yes], seen: [wholly, partly]}}
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from iseg3d_ros.console.protocol import Category
from iseg3d_ros.io.picture import PALETTE


def read_category_file(path: Path) -> tuple[Category, ...]:
    """The classes in their order; ValueError where the file says something else."""
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is no YAML: {error}") from error
    if not isinstance(content, list) or not content:
        raise ValueError(f"{path} must hold a list of classes, one a line: '- chair'.")
    made = tuple(_category(path, number, entry) for number, entry in enumerate(content))
    for what in ("name", "key"):
        values = [getattr(each, what) for each in made if getattr(each, what)]
        if twice := {value for value in values if values.count(value) > 1}:
            raise ValueError(f"{path}: the {what} {min(twice)!r} stands there twice.")
    return made


def _category(path: Path, number: int, entry: Any) -> Category:
    red, green, blue = (int(value) for value in PALETTE[number % len(PALETTE)])
    match entry:
        case str(name) if name:
            return Category(name, (red, green, blue))
        case {"name": str(name), **rest} if name and not set(rest) - {"colour", "key", "attributes"}:
            colour: Any = rest.get("colour", [red, green, blue])
            key = rest.get("key", "")
            attributes: Any = rest.get("attributes", {})
            if isinstance(key, str) and _is_colour(colour) and _are_attributes(attributes):
                values = ((str(each), tuple(_word(word) for word in words)) for each, words in attributes.items())
                return Category(name, (colour[0], colour[1], colour[2]), key, tuple(values))
    known = "{name, colour: [r, g, b], key, attributes: {name: [value, value]}}"
    raise ValueError(f"{path}: entry {number + 1} is neither a name nor {known}: {entry!r}.")


def _is_colour(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(isinstance(v, int) and 0 <= v <= 255 for v in value)


def _are_attributes(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(words, list) and words and all(isinstance(word, str | int | float) for word in words)
        for words in value.values()
    )


def _word(value: object) -> str:
    """YAML reads yes and no as truth values."""
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
