"""The operators' pages over a `Work`: one thread reads its updates and passes them on to every page.

Nobody waits for anybody: the work leaves its newest update in a mailbox, and of what waits for a page only the newest
of each kind is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import traceback
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from iseg3d_ros.console import wire
from iseg3d_ros.console.exporting import packed, result_of
from iseg3d_ros.console.offered import Offered
from iseg3d_ros.console.photos import Photos
from iseg3d_ros.console.protocol import Watch, Work
from iseg3d_ros.console.requests import command_of, wanted_of
from iseg3d_ros.console.server import Server
from iseg3d_ros.console.tiles import Tiles
from iseg3d_ros.console.updates import (
    BusyUpdate,
    CloudUpdate,
    HistoryUpdate,
    ImagesUpdate,
    JobsUpdate,
    LabelsUpdate,
    LinkUpdate,
    Message,
    PeekUpdate,
    Place,
    ProposalsUpdate,
    StateUpdate,
    Update,
)
from iseg3d_ros.console.viewer import Viewer
from iseg3d_ros.io.camera_images import CameraImage

MOST = 1_500_000  # points that a page draws at most
LARGE = 500_000  # points from which on a cloud is sorted beside all else
KEPT = 4  # clouds on which a click may still come: newer ones may have been on their way
TOLD = (LinkUpdate, BusyUpdate, JobsUpdate, HistoryUpdate)


class Console:
    """Pages at `server.address` over a work, until `close`; without a server whoever has one calls `talk`."""

    def __init__(self, work: Work, server: Server | None, most_points: int = MOST) -> None:
        self.work, self.server = work, server
        self._most = most_points
        self._inbox = work.subscribe()
        self._viewers: list[Viewer] = []
        self._told: dict[type, Any] = {LinkUpdate: LinkUpdate(False, "Nothing has been heard yet.")}
        self._state, self._labels = StateUpdate(), None  # type: StateUpdate, LabelsUpdate | None
        self._tiles: Tiles | None = None
        self._proposals: Offered | None = None
        self._sorted: CloudUpdate | None = None  # the newest large cloud, while one is being sorted
        self._photos: Photos | None = None
        self._watched = False
        self._recent: OrderedDict[tuple[int, bool], Tiles] = OrderedDict()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="console", daemon=True)
        self._thread.start()
        if server is not None:
            server.handle(self.talk, photo=self.picture)

    def close(self) -> None:
        """Stop serving; the work is its owner's."""
        self._ended.set()
        self._inbox.call(lambda: None)
        self._thread.join(5)
        if self.server is not None:
            self.server.stop()

    # The thread that passes updates on

    def _run(self) -> None:
        while not self._ended.is_set():
            updates, calls = self._inbox.take(timeout=1.0)
            try:
                for call in calls:
                    call()
                self._take(updates)
            except Exception as error:  # one cloud that cannot be shown must not end the page
                traceback.print_exc()
                self._say(f"The page could not show something: {error!r}", True)

    def _take(self, updates: list[Update]) -> None:
        for update in updates:
            match update:
                case CloudUpdate():
                    self._take_cloud(update)
                case ImagesUpdate(images, offered):
                    self._take_images(images, offered)
                case StateUpdate():
                    self._state = update
                case LabelsUpdate():
                    self._labels = update
                case ProposalsUpdate():
                    self._proposals = Offered(update, self._tiles.cloud.xyz if self._tiles else np.zeros((0, 3)))
                case PeekUpdate():
                    self._tell(wire.peek_message(update, self._origin))
                case Message(text, refused):
                    self._say(text, refused)
                case _ if update != self._told.get(type(update)):
                    self._told[type(update)] = update
                    self._tell(_described(update))
        kinds = {type(update) for update in updates}
        if kinds & {CloudUpdate, StateUpdate}:
            self._tell(self._state_message())
        if self._proposals is not None and kinds & {CloudUpdate, LabelsUpdate, ProposalsUpdate}:
            self._tell(self._proposals.message(self._result, self._origin))
        if self._tiles is not None and kinds & {CloudUpdate, LabelsUpdate}:
            for viewer in self._viewers:
                viewer.show(self._tiles, self._result)

    def _take_images(self, images: Sequence[CameraImage], offered: bool) -> None:
        if self._tiles is None:
            return
        self._photos = Photos(images, self._tiles.cloud, offered)
        for viewer in self._viewers:
            viewer.offer(self._photos, self._photos.described(self._origin))

    def picture(self, key: int) -> bytes | None:
        """A camera image by its key, from any thread."""
        return None if self._photos is None else self._photos.jpeg(key)

    def _take_cloud(self, cloud: CloudUpdate) -> None:
        """Of a large one some points at once, then all, which another thread puts in order."""
        if len(cloud.xyz) <= LARGE:
            self._sorted = None
            self._show_tiles(Tiles.of(cloud))
            return
        self._show_tiles(Tiles.beginning(cloud))
        idle, self._sorted = self._sorted is None, cloud
        if idle:
            threading.Thread(target=self._sort, args=(cloud,), name="tiles", daemon=True).start()

    def _sort(self, cloud: CloudUpdate) -> None:
        tiles = Tiles.of(cloud)
        self._inbox.call(lambda: self._take_sorted(tiles))

    def _take_sorted(self, tiles: Tiles) -> None:
        """Show them, unless another cloud has come meanwhile; a large one of those is next."""
        newest, self._sorted = self._sorted, None
        if newest is tiles.cloud:
            self._show_tiles(tiles)
        elif newest is not None:
            self._take_cloud(newest)

    def _show_tiles(self, tiles: Tiles) -> None:
        if len(tiles) == 0:
            self._say("A cloud without a single point has come; the last one stays in sight.", True)
            return
        self._tiles = self._recent[tiles.cloud.serial, tiles.first] = tiles
        while len(self._recent) > KEPT:
            self._recent.popitem(last=False)
        for viewer in self._viewers:
            viewer.show(tiles, self._result)

    @property
    def _result(self) -> LabelsUpdate | None:
        """The labels, if they are this cloud's."""
        if self._labels is None or self._tiles is None or self._labels.serial != self._tiles.cloud.serial:
            return None
        return self._labels if len(self._labels.labels) == len(self._tiles.cloud.xyz) else None

    @property
    def _origin(self) -> np.ndarray:
        return np.zeros(3) if self._tiles is None else self._tiles.origin

    def _state_message(self) -> dict[str, Any]:
        return wire.state_message(self._state, self._origin)

    def _tell(self, content: dict[str, Any]) -> None:
        for viewer in self._viewers:
            viewer.tell(content)

    def _say(self, text: str, refused: bool = False) -> None:
        for viewer in self._viewers:
            viewer.add({"kind": "say", "text": text, "refused": refused})

    # Pages

    async def talk(self, connection: Any, works: bool) -> None:
        """One page, from its coming to its going."""
        viewer = Viewer(connection, works)
        sending = asyncio.create_task(viewer.run())
        self._inbox.call(lambda: self._join(viewer))
        try:
            async for raw in connection:
                with contextlib.suppress(ValueError):
                    request = json.loads(raw)
                    if isinstance(request, dict):
                        self._hear(viewer, request)
        finally:
            sending.cancel()
            self._inbox.call(lambda: self._leave(viewer))
            await asyncio.gather(sending, return_exceptions=True)

    def _join(self, viewer: Viewer) -> None:
        abilities = {**asdict(self.work.abilities), "works": viewer.works, "most": self._most}
        viewer.tell({"kind": "hello", **abilities})
        for update in self._told.values():
            viewer.tell(_described(update))
        viewer.tell(self._state_message())
        if self._tiles is not None:
            viewer.show(self._tiles, self._result)
        if self._proposals is not None:
            viewer.tell(self._proposals.message(self._result, self._origin))
        if self._photos is not None:
            viewer.offer(self._photos, self._photos.described(self._origin))
        self._viewers.append(viewer)

    def _leave(self, viewer: Viewer) -> None:
        self._viewers.remove(viewer)
        self._watch()

    def _watch(self) -> None:
        """Tell the work whether anybody looks at camera images."""
        watched = any(viewer.photo >= 0 for viewer in self._viewers)
        if watched != self._watched:
            self._watched = watched
            self.work.send(Watch(watched))

    def _hear(self, viewer: Viewer, request: dict[str, Any]) -> None:
        """One request of a page; those that only look may ask for points."""
        match request:
            case {"do": "ping"}:
                viewer.tell({"kind": "pong"})
            case {"do": "want", "serial": int(serial), "first": bool(first)}:
                viewer.want(wanted_of(request), serial, first)
            case {"do": "unsure", "on": bool(wanted)}:
                viewer.want_unsure(wanted)
            case {"do": "photo", "number": int(number)}:
                viewer.look_at(number)
                self._inbox.call(self._watch)
            case {"do": "download", "format": str(kind)}:
                self._inbox.call(lambda: self._download(viewer, kind))
            case _ if viewer.works:
                self._obey(viewer, request)

    def _obey(self, viewer: Viewer, request: dict[str, Any]) -> None:
        try:
            command = command_of(request, self._state, self._place, self._origin)
        except ValueError as error:
            viewer.add({"kind": "say", "text": str(error), "refused": True})
            return
        if command is not None:
            self.work.send(command)

    def _place(self, request: dict[str, Any]) -> Place:
        """The point that was clicked on."""
        match request:
            case {"serial": int(serial), "first": bool(first), "tile": int(tile), "index": int(index)}:
                tiles = self._recent.get((serial, first))
                if tiles is not None:
                    return tiles.place(tile, index)
            case {"serial": int(serial), "proposal": int(number)} if self._proposals is not None:
                return self._proposals.place(serial, number)
            case {"photo": int(number), "version": int(version), "u": int() | float() as u, "v": int() | float() as v}:
                if self._photos is not None and self._photos.version == version:
                    return self._photos.place(number, float(u), float(v))
                raise ValueError("The image that was clicked on has been replaced: click again.")
        raise ValueError("The cloud that was clicked on has been replaced: click again.")

    def _download(self, viewer: Viewer, kind: str) -> None:
        """Send the labelled cloud to a browser."""
        try:
            if self._tiles is None or self._result is None or not self._state.objects:
                raise ValueError("There is no result to download yet: click on something first.")
            result = result_of(self._tiles.cloud, self._state, self._result, self._tiles.up)
            name, content = packed(kind, result)
        except (ValueError, RuntimeError, OSError) as error:
            viewer.add({"kind": "say", "text": str(error), "refused": True})
            return
        viewer.add(wire.frame({"kind": "file", "name": name}, data=np.frombuffer(content, np.uint8)))


def _described(update: Any) -> dict[str, Any]:
    names = {LinkUpdate: "link", BusyUpdate: "busy", JobsUpdate: "jobs", HistoryUpdate: "history"}
    return {"kind": names[type(update)], **asdict(update)}
