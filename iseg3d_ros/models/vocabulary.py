"""The words of Few-Click's semantic prototypes, and their names: the first word of each. Ours are 35, as the paper's.

A file of one's own has a line for each prototype, words separated by commas; empty lines and what follows a # say
nothing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# The first word found in the class name decides; the order goes from the special to the general.
PROTOTYPES: tuple[tuple[str, ...], ...] = (
    ("floor", "ground", "road", "pavement", "carpet", "rug"),
    ("ceiling",),
    ("wall", "fence", "railing"),
    ("door",),
    ("window", "curtain", "blind"),
    ("armchair", "sofa", "couch"),
    ("chair", "stool", "bench"),
    ("desk",),
    ("table",),
    ("bed",),
    ("bookcase", "shelf", "shelves"),
    ("cabinet", "wardrobe", "chest", "drawer", "cupboard", "dresser"),
    ("fridge", "oven", "cooker", "washer", "dishwasher", "microwave", "hood"),
    ("sink", "basin"),
    ("toilet", "bidet"),
    ("bath", "shower"),
    ("lamp", "light", "chandelier"),
    ("monitor", "tv", "television", "screen", "computer", "laptop"),
    ("picture", "painting", "mirror", "poster", "clock"),
    ("book",),
    ("carton", "box", "case"),
    ("can", "cylinder", "bottle", "jar"),
    ("cup", "mug", "glass", "bowl", "plate", "dish", "pot", "pan"),
    ("tool", "hammer", "screwdriver", "wrench", "drill"),
    ("ball", "sphere", "toy", "fruit"),
    ("plant", "flower", "vase"),
    ("bicycle", "bike", "motor", "scooter", "rider"),
    ("truck", "bus", "van", "trailer"),
    ("car", "vehicle"),
    ("person", "pedestrian", "man", "woman", "child", "people"),
    ("tree", "hedge", "bush", "vegetation"),
    ("pole", "sign", "lamppost", "bollard", "traffic"),
    ("building", "house", "facade"),
    ("bin", "basket", "bucket", "hydrant", "mailbox", "cone"),
    ("object", "clutter"),
)


def class_names(card: Mapping[str, Any], count: int) -> list[str]:
    """Names of a network's prototypes: those on its card (`classes`), or ours where it has as many as we have."""
    given = card.get("classes")
    if isinstance(given, list) and len(given) == count:
        return [str(name) for name in given]
    return [words[0] for words in PROTOTYPES] if count == len(PROTOTYPES) else [f"class {k}" for k in range(count)]


def read_vocabulary(file: str | os.PathLike[str]) -> tuple[tuple[str, ...], ...]:
    """The words of each prototype of a file, in small letters but for the first, its name."""
    try:
        lines = Path(file).expanduser().read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} is no text: a vocabulary has a line of words for each class.") from error
    rows = [[word.strip() for word in line.split("#")[0].split(",") if word.strip()] for line in lines]
    found = tuple((row[0], *(word.lower() for word in row[1:])) for row in rows if row)
    if not found:
        raise ValueError(f"{file} names no class: a vocabulary has a line of words for each.")
    if len({row[0] for row in found}) < len(found):
        raise ValueError(f"{file} names a class twice.")
    return found
