"""Sub-structures sorted into heterogeneous groups: the same kinds of layers, the same dimensions, the same edges."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from torch import nn

from iseg3d_ros.pruning.trace import Dependencies

Topology = tuple[object, ...]


def heterogeneous_groups(network: nn.Module, found: Dependencies) -> dict[Topology, list[int]]:
    """The prunable sub-structures of each topology, in a fixed order."""
    members: dict[int, set[tuple[str, str, int]]] = defaultdict(set)
    for side, structure in zip(found.sides, found.structure, strict=True):
        ids, counts = np.unique(structure, return_counts=True)
        for number, count in zip(ids, counts, strict=True):
            members[int(number)].add((side.layer, side.side, int(count)))
    modules = dict(network.named_modules())
    groups: dict[Topology, list[int]] = defaultdict(list)
    cache: dict[frozenset[tuple[str, str, int]], Topology] = {}
    for number in sorted(members):
        if not found.fixed[number]:
            key = frozenset(members[number])
            cache[key] = cache.get(key) or topology(members[number], modules, found)
            groups[cache[key]].append(number)
    return dict(groups)


def topology(parts: set[tuple[str, str, int]], modules: dict[str, nn.Module], found: Dependencies) -> Topology:
    """What two sub-structures must share to be compared: kinds of layers with dimensions, and kinds of edges."""
    kind = {layer: _kind(modules.get(layer)) for layer, _, _ in parts}
    vertices = sorted((kind[layer], side, count) for layer, side, count in parts)
    writers = {layer for layer, side, _ in parts if side == "out"}
    edges = sorted((kind[a], kind[b]) for a, b in found.edges if a in writers and b in kind)
    return (tuple(vertices), tuple(edges))


def _kind(module: nn.Module | None) -> str:
    if module is None:
        return "Parameter"  # of no layer: learned queries
    size = getattr(module, "kernel_size", "")
    return f"{type(module).__name__}{size}"
