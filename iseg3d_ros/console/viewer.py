"""One connected page: what it holds of the cloud and its labels, and what waits to be sent to it.

Only the newest of each kind waits: a slow browser skips what has been replaced, and nobody waits for it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iseg3d_ros.console import wire
from iseg3d_ros.console.photos import Photos
from iseg3d_ros.console.tiles import Tiles
from iseg3d_ros.console.updates import LabelsUpdate

CHUNK = 40_000  # points in a message: smaller ones wait between two of these
START = 60_000  # points of all tiles together that come first
SENTENCES = 50
UNSURE = 255 / np.log(2)  # of uncertainty in nats: one bit and more are the brightest


@dataclass(frozen=True, eq=False)
class Shown:
    """What a page is shown: a cloud, its labels, and of each tile the labels that the page has of it already."""

    tiles: Tiles
    labels: LabelsUpdate | None
    held: dict[int, NDArray[np.uint16]] = field(default_factory=dict)

    def changes(self, unsure: bool) -> bytes | None:
        """The labels that differ from those the page has: where few do, with their places; else all of a tile."""
        rows: list[list[int]] = []
        places: list[NDArray[np.uint32]] = []
        values: list[NDArray[np.uint16]] = []
        for tile, before in self.held.items():
            now = self._of(tile, 0, len(before))
            changed = np.flatnonzero(now != before).astype(np.uint32)
            few = 3 * len(changed) < len(now)
            if len(changed) or unsure:
                rows.append([tile, len(changed) if few else len(now), int(few), len(now)])
                places += [changed] if few else []
                values.append(now[changed] if few else now)
            self.held[tile] = now
        if not rows:
            return None
        arrays: dict[str, NDArray[Any]] = {"places": _joined(places, np.uint32), "values": _joined(values, np.uint16)}
        if unsure:
            arrays["unsure"] = _joined([self._doubts(tile, 0, count) for tile, _, _, count in rows], np.uint8)
        return wire.frame({**self._head("labels"), "tiles": rows}, **arrays)

    def chunk(self, wanted: dict[int, int], unsure: bool) -> bytes | None:
        """More points of the tile that lacks most of what is wanted."""
        sizes = np.diff(self.tiles.begins)
        lacking = {
            tile: len(self.held.get(tile, ())) / count
            for tile, count in wanted.items()
            if len(self.held.get(tile, ())) < min(count, int(sizes[tile]))
        }
        if not lacking:
            return None
        tile = min(lacking, key=lacking.__getitem__)
        held = self.held.get(tile, np.zeros(0, np.uint16))
        most = CHUNK if len(held) else min(CHUNK, START // len(sizes) + 1)
        first, last = len(held), min(len(held) + most, wanted[tile], int(sizes[tile]))
        chosen = self.tiles.indices(tile, first, last)
        labels = self._of(tile, first, last)
        position, colour = self.tiles.positions(tile, chosen), self.tiles.colours(chosen)
        arrays: dict[str, NDArray[Any]] = {"position": position, "colour": colour, "label": labels}
        if unsure:
            arrays["unsure"] = self._doubts(tile, first, last)
        self.held[tile] = np.concatenate([held, labels])
        return wire.frame({**self._head("points"), "tile": tile, "from": first}, **arrays)

    def _head(self, kind: str) -> dict[str, Any]:
        return {"kind": kind, "serial": self.tiles.cloud.serial, "first": self.tiles.first}

    def _of(self, tile: int, first: int, last: int) -> NDArray[np.uint16]:
        chosen = self.tiles.indices(tile, first, last)
        if self.labels is None:
            return np.zeros(len(chosen), np.uint16)
        return self.labels.labels[chosen].astype(np.uint16)

    def _doubts(self, tile: int, first: int, last: int) -> NDArray[np.uint8]:
        chosen = self.tiles.indices(tile, first, last)
        if self.labels is None:
            return np.zeros(len(chosen), np.uint8)
        return np.clip(UNSURE * np.nan_to_num(self.labels.uncertainty[chosen]), 0, 255).astype(np.uint8)


def _joined(parts: list[NDArray[Any]], kind: type) -> NDArray[Any]:
    return np.concatenate(parts) if parts else np.zeros(0, kind)


class Viewer:
    """All methods but `run` may be called from any thread."""

    def __init__(self, connection: Any, works: bool) -> None:
        self.works = works  # else it only looks
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._newest: dict[str, str] = {}
        self._queue: deque[str | bytes] = deque(maxlen=SENTENCES)
        self._shown: Shown | None = None
        self._wanted: dict[int, int] = {}
        self._relabel = self._unsure = self._remask = False
        self._photos: Photos | None = None
        self.photo = -1  # which image the page shows

    def tell(self, content: dict[str, Any]) -> None:
        """A small message; a newer one of its kind replaces it."""
        self._call(lambda: self._newest.__setitem__(content["kind"], wire.message(content)))

    def add(self, content: dict[str, Any] | bytes) -> None:
        """One that is not replaced."""
        self._call(lambda: self._queue.append(content if isinstance(content, bytes) else wire.message(content)))

    def show(self, tiles: Tiles, labels: LabelsUpdate | None) -> None:
        """Another cloud, or the same with other labels."""
        self._call(lambda: self._show(tiles, labels))

    def offer(self, photos: Photos, described: dict[str, Any]) -> None:
        """Other camera images."""

        def offered() -> None:
            self._newest["photos"] = wire.message(described)
            self._photos, self._remask = photos, True

        self._call(offered)

    def look_at(self, photo: int) -> None:
        """Which image the page shows, with its masks; -1: none."""
        self.photo, self._remask = photo, True
        self._changed.set()

    def want(self, wanted: dict[int, int], serial: int, first: bool) -> None:
        """How many points of which tiles the page would draw, the most wanted first."""
        tiles = self._shown.tiles if self._shown else None
        if tiles is not None and (tiles.cloud.serial, tiles.first) == (serial, first):
            self._wanted = {tile: count for tile, count in wanted.items() if 0 <= tile < tiles.count}
            self._changed.set()

    def want_unsure(self, wanted: bool) -> None:
        """Whether the page shows the uncertainty: it is not sent otherwise."""
        self._unsure, self._relabel = wanted, True
        self._changed.set()

    async def run(self) -> None:
        """Send until the page has gone."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            while (data := await self._next()) is not None:
                await self._connection.send(data)

    def _call(self, change: Any) -> None:
        def changed() -> None:
            change()
            self._changed.set()

        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(changed)

    def _show(self, tiles: Tiles, labels: LabelsUpdate | None) -> None:
        if self._shown is None or tiles is not self._shown.tiles:
            self._wanted = {0: START} if tiles.first else {}  # the page will ask for nothing else
            self._newest["cloud"] = wire.message(tiles.described())
            self._shown = Shown(tiles, labels)
        else:
            self._shown = Shown(tiles, labels, self._shown.held)
        self._relabel = self._remask = True

    async def _next(self) -> str | bytes | None:
        if self._newest:
            return self._newest.pop(next(iter(self._newest)))
        if self._queue:
            return self._queue.popleft()
        if self._shown is None:
            return None
        if self._relabel:
            self._relabel = False
            changed = await asyncio.to_thread(self._shown.changes, self._unsure)
            if changed is not None:
                return changed
        if self._remask:
            self._remask = False
            masks = await self._masks(self._shown.labels)
            if masks is not None:
                return masks
        return await asyncio.to_thread(self._shown.chunk, dict(self._wanted), self._unsure)

    async def _masks(self, labels: LabelsUpdate | None) -> bytes | None:
        photos, number = self._photos, self.photo
        return None if photos is None or number < 0 else await asyncio.to_thread(photos.masks, number, labels)
