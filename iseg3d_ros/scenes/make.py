"""Many scenes, in parallel processes: scene i depends on the seed and i alone, and what is there is not made again."""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from iseg3d_ros.data.folder import SUFFIX, LabelledCloud, read_header, write_scene
from iseg3d_ros.ray_items import over_ray
from iseg3d_ros.scenes.catalogue import Model, furniture

KINDS = ("room", "tabletop", "heap", "street", "object")  # a heap counts as a table top
HELD_OUT = 10  # every tenth scene is made of held-out models only


@dataclass(frozen=True)
class Order:
    """What to make; `models` is a prepared furniture file, or None for procedural things alone."""

    kind: str
    seed: int
    out: Path
    models: str | None


def make_scene(order: Order, index: int) -> LabelledCloud:
    """Scene `index` of an order; the same on every machine and with any number of workers."""
    split = "val" if index % HELD_OUT == HELD_OUT - 1 else "train"
    rng = np.random.default_rng(np.random.SeedSequence([order.seed, index]))
    models = furniture(order.models, split) if order.models else []
    cloud = _maker(order.kind, split)(rng, models)
    return replace(cloud, name=f"{order.kind}_{index:06d}", split=split)


def make(order: Order, count: int, workers: int, ray: str | None = None) -> Iterator[Path]:
    """Write the scenes that are missing; gives each one's file as it is done. `ray` is a cluster's address."""
    order.out.mkdir(parents=True, exist_ok=True)
    missing = [(order, index) for index in range(count) if not complete(path_of(order, index))]
    if ray is not None:
        yield from (path for _, path in over_ray(_write, missing, ray))
        return
    if workers <= 1 or len(missing) <= 1:
        yield from map(_write, missing)
        return
    with multiprocessing.get_context("spawn").Pool(min(workers, len(missing))) as pool:
        yield from pool.imap_unordered(_write, missing, chunksize=1)


def path_of(order: Order, index: int) -> Path:
    """Where a scene is written: the seed is in the name, so that orders of several seeds share a folder."""
    return order.out / f"{order.kind}_{order.seed}_{index:06d}{SUFFIX}"


def complete(path: Path) -> bool:
    """Whether a scene file is there and whole."""
    try:
        return bool(read_header(path))
    except (OSError, ValueError):
        return False


def with_progress(done: Iterator[Path], total: int) -> list[Path]:
    """All paths, with a line of progress on a terminal, or one every now and then elsewhere."""
    paths: list[Path] = []
    started = time.monotonic()
    for path in done:
        paths.append(path)
        rate = len(paths) / max(time.monotonic() - started, 1e-6) * 3600
        line = f"{len(paths)} of {total} scenes, {rate:,.0f} an hour"
        if sys.stderr.isatty():
            print(f"\r{line}", end="", file=sys.stderr, flush=True)
        elif len(paths) % 100 == 0 or len(paths) == total:
            print(line, file=sys.stderr, flush=True)
    if sys.stderr.isatty() and paths:
        print(file=sys.stderr)
    return paths


def _write(job: tuple[Order, int]) -> Path:
    order, index = job
    path = path_of(order, index)
    write_scene(path, make_scene(order, index))
    return path


def _maker(kind: str, split: str) -> Callable[[np.random.Generator, Sequence[Model]], LabelledCloud]:
    """The generator of a kind; imported here, since each needs Open3D."""
    match kind:
        case "room":
            from iseg3d_ros.scenes.room import room

            return room
        case "tabletop":
            from iseg3d_ros.scenes.tabletop import tabletop

            return tabletop
        case "heap":
            from iseg3d_ros.scenes.tabletop import heap_of_things

            return heap_of_things
        case "street":
            from iseg3d_ros.scenes.street import street

            return street
        case "object":
            from iseg3d_ros.scenes.shape import shape

            return partial(shape, split=split)
        case _:
            raise ValueError(f"There is no kind of scene called {kind!r}; choose one of {', '.join(KINDS)}.")
