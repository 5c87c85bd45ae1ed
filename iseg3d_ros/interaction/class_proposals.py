"""All chairs at once: proposals of a class, each to be accepted with a click. An extension: no paper has it.

Few-Click's class head says of any click which of its semantic prototypes the thing under it is. So points spread over
the scene are asked, each as a click of its own; of the masks that are likely of the wanted class those stay that
overlap no likelier one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from iseg3d_ros.clicks import Click, Prompts
from iseg3d_ros.interaction.proposals import Proposal, Searching, finished
from iseg3d_ros.models.fewclick import FewClick
from iseg3d_ros.models.layers.sampling import farthest
from iseg3d_ros.models.vocabulary import class_names
from iseg3d_ros.predictor import Predictor
from iseg3d_ros.preprocessing.scene import Scene

ASKED = 192  # points of a scene that are asked
AT_ONCE = 16  # of them in one pass: they see one another, as an operator's clicks do
LEAST_PROBABILITY = 0.3
LEAST_VOXELS = 20
OVERLAP = 0.3  # of the smaller mask: two proposals that share more are one


def classes_of(predictor: Predictor) -> list[str]:
    """The names of the classes that the predictor's network knows."""
    network: Any = predictor.network
    if not isinstance(network, FewClick):
        raise ValueError(f"{predictor.name} knows no classes; only fewclick does, without --adapt and --tile.")
    return class_names(network.card or {}, network.settings.prototypes)


def known_classes(predictor: Predictor) -> tuple[str, ...]:
    """The same, to be offered: none where the network knows none."""
    return tuple(classes_of(predictor)) if isinstance(predictor.network, FewClick) else ()


def check_class(predictor: Predictor, name: str) -> list[str]:
    """The classes that the network knows, of which this must be one."""
    names = classes_of(predictor)
    if name not in names:
        raise ValueError(f"There is no class {name!r}; the classes are {', '.join(names)}.")
    return names


def proposals_of_class(
    predictor: Predictor, scene: Scene, name: str, least: float = LEAST_PROBABILITY, asked: int = ASKED
) -> list[Proposal]:
    """Things of the class, the likeliest first; a score is the probability of the class and of the mask."""
    return finished(search_class(predictor, scene, name, least, asked))


def search_class(
    predictor: Predictor, scene: Scene, name: str, least: float = LEAST_PROBABILITY, asked: int = ASKED
) -> Searching:
    """The same in steps, so that whoever works on the same thread can do something between them."""
    names = check_class(predictor, name)
    network, encoded, placement = predictor.opened(scene)
    points = torch.from_numpy(scene.voxels.points)
    rows = farthest(points, points[:1], min(asked, len(points)))
    found: list[tuple[float, NDArray[np.int64]]] = []
    done = 0
    for part in rows.split(AT_ONCE):
        yield done, len(rows)
        with placement.at_work():
            found += _likely(network, encoded.clouds[0], part.to(placement.device), names.index(name), least)
        done += len(part)
    found.sort(key=lambda pair: -pair[0])
    kept = _apart(found, len(points))
    return [
        Proposal(_click(scene, voxels, number), _points(scene, voxels), probability)
        for number, (probability, voxels) in enumerate(kept, 1)
    ]


def _likely(network: FewClick, scene: Any, rows: Tensor, wanted: int, least: float) -> list[tuple[float, Any]]:
    """Probability and voxels of what is clicked at each row, where that is likely of the wanted class."""
    clicks = Prompts(rows, torch.arange(1, len(rows) + 1, device=rows.device), len(rows))
    answer = network.answer(scene, clicks)[-1]
    if answer.classes is None:
        return []
    chance = answer.classes.float().softmax(1)[:, wanted]
    found = []
    for k in (chance >= least).nonzero()[:, 0].tolist():
        logit = answer.masks[k]
        inside = logit > 0
        if int(inside.sum()) >= LEAST_VOXELS and bool(inside[rows[k]]):
            sure = float(chance[k] * logit[inside].float().sigmoid().mean())
            found.append((sure, inside.nonzero()[:, 0].cpu().numpy()))
    return found


def _apart(found: Sequence[tuple[float, NDArray[np.int64]]], voxels: int) -> list[tuple[float, NDArray[np.int64]]]:
    """Those that overlap no likelier one by more than OVERLAP of the smaller."""
    kept: list[tuple[float, NDArray[np.int64], NDArray[np.bool_]]] = []
    for probability, rows in found:
        mask = np.zeros(voxels, bool)
        mask[rows] = True
        if all((mask & other).sum() <= OVERLAP * min(len(rows), len(own)) for _, own, other in kept):
            kept.append((probability, rows, mask))
    return [(probability, rows) for probability, rows, _ in kept]


def _points(scene: Scene, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """The points of voxels."""
    points = np.flatnonzero(np.isin(scene.voxels.inverse, rows))
    return points if scene.kept is None else scene.kept[points]


def _click(scene: Scene, rows: NDArray[np.int64], number: int) -> Click:
    """At the voxel farthest from everything outside the mask, where a person would click."""
    inside, outside = scene.voxels.points[rows], np.delete(scene.voxels.points, rows, axis=0)
    best = int(cKDTree(outside).query(inside)[0].argmax()) if len(outside) else 0
    x, y, z = (float(value) for value in inside[best].astype(np.float64) @ scene.rotation + scene.origin)
    return Click((x, y, z), number)
