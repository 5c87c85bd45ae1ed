"""The 35 semantic prototypes of Few-Click, and which one a class name of our scenes belongs to."""

from __future__ import annotations

import torch
from torch import Tensor

UNKNOWN = -100  # what a cross-entropy ignores

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


def prototype(name: str) -> int:
    """The prototype of a class name, or UNKNOWN."""
    name = name.lower()
    return next((k for k, words in enumerate(PROTOTYPES) if any(word in name for word in words)), UNKNOWN)


def prototypes(names: list[str]) -> Tensor:
    """One prototype a name, int64."""
    return torch.tensor([prototype(name) for name in names], dtype=torch.int64)
