"""The segmenter's services: coroutines that await the inference thread, so that the executor goes on meanwhile.

Whatever goes wrong comes back as success=false and a sentence; no request can end the node.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Awaitable, Callable, Generator
from typing import Any

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.service import Service
from std_srvs.srv import SetBool, Trigger

from iseg3d_ros.interaction.work_store import WorkStore
from iseg3d_ros.ros import conversion as messages
from iseg3d_ros.ros.object_answer import Active, answer_with_object, sentence
from iseg3d_ros.ros.peeking import Peeking
from iseg3d_ros.ros.proposing import fill
from iseg3d_ros.ros.work import Work
from iseg3d_ros.srv import (
    AddObjects,
    GetObject,
    GoToStep,
    PeekClick,
    ProposeObjects,
    RemoveObject,
    SaveSession,
    SegmentCloud,
    SelectObject,
)

PATIENCE = 2.0  # seconds that an answer waits for the disk
REFUSALS = (ValueError, RuntimeError, OSError, LookupError)


class Written:
    """Awaited: that all that was done is on the disk; RuntimeError says why it is not, or not within PATIENCE."""

    def __init__(self, store: WorkStore, wake: Callable[[], None]) -> None:
        self._store, self._said = store, [""]
        self._done = threading.Event()

        def kept(sentence: str) -> None:
            self._said[0] = sentence
            self._done.set()
            wake()

        store.when_kept(kept)

    def __await__(self) -> Generator[None, None, None]:
        end = time.monotonic() + PATIENCE
        while not self._done.is_set():
            if time.monotonic() > end:
                raise RuntimeError(self._store.not_yet())
            yield
        if self._said[0]:
            raise RuntimeError(self._said[0])


class Services:
    """All services; made and destroyed on the executor's thread."""

    def __init__(self, node: Node, active: Callable[[], Active]) -> None:
        """`active` gives the parts of an active node, or raises RuntimeError with a sentence."""
        self._node, self._active, self._peeking = node, active, Peeking()
        group = ReentrantCallbackGroup()  # a service that waits must not keep the others waiting
        table: list[tuple[Any, str, Callable[[Any, Any], Awaitable[str]]]] = [
            (AddObjects, "add_objects", self._kept(self._add_objects)),
            (RemoveObject, "remove_object", self._kept(self._remove)),
            (SelectObject, "select_object", self._kept(self._select)),
            (SegmentCloud, "segment", self._segment),
            (ProposeObjects, "propose", self._propose),
            (PeekClick, "peek", self._peek),
            (GetObject, "get_object", self._get_object),
            (Trigger, "capture", self._kept(self._capture)),
            (Trigger, "undo", self._kept(self._verb(Work.undo))),
            (Trigger, "redo", self._kept(self._verb(Work.redo))),
            (GoToStep, "go_to_step", self._kept(self._go_to_step)),
            (Trigger, "clear", self._kept(self._verb(Work.clear))),
            (SaveSession, "save", self._save),
            (SetBool, "enable", self._enable),
        ]
        self._services: list[Service] = [
            node.create_service(kind, f"~/{name}", self._guarded(handler), callback_group=group)
            for kind, name, handler in table
        ]

    def close(self) -> None:
        """Destroys the services."""
        for service in self._services:
            self._node.destroy_service(service)

    def _guarded(self, handler: Callable[[Any, Any], Awaitable[str]]) -> Callable[[Any, Any], Awaitable[Any]]:
        async def answer(request: Any, response: Any) -> Any:
            response.success = True
            try:
                response.message = await handler(request, response)
            except REFUSALS as error:
                response.success, response.message = False, sentence(error)
            except Exception as error:  # a fault of ours: the node lives on, the log has the traceback
                self._node.get_logger().error(f"a service failed: {error!r}")
                response.success, response.message = False, f"the segmenter failed: {error!r}"
            return response

        return answer

    def _kept(self, handler: Callable[[Any, Any], Awaitable[str]]) -> Callable[[Any, Any], Awaitable[str]]:
        """Answers once what was done is on the disk."""

        async def answer(request: Any, response: Any) -> str:
            active = self._active()
            message = await handler(request, response)
            await Written(active.store, active.worker.wake)
            return message

        return answer

    def _verb(self, verb: Callable[[Work], str]) -> Callable[[Any, Any], Awaitable[str]]:
        async def handler(_request: Any, _response: Any) -> str:
            active = self._active()
            return await active.worker.call(lambda: verb(active.work))

        return handler

    async def _go_to_step(self, request: Any, _response: Any) -> str:
        active = self._active()
        return await active.worker.call(lambda: active.work.go(request.revision, request.step))

    async def _capture(self, _request: Any, _response: Any) -> str:
        active = self._active()
        newest, at = active.worker.newest, active.worker.newest_at
        return await active.worker.call(lambda: active.work.capture(newest, at))

    async def _add_objects(self, request: Any, response: Any) -> str:
        active = self._active()
        clicks = [active.inputs.request(click) for click in request.clicks]
        outcome = await active.worker.call(
            lambda: active.work.add_objects(list(request.ids), list(request.names), clicks)
        )
        for name in ("success", "ids", "indices", "results"):
            setattr(response, name, getattr(outcome, name))
        return str(outcome.message)

    async def _remove(self, request: Any, _response: Any) -> str:
        active = self._active()
        return await active.worker.call(lambda: active.work.remove(request.id))

    async def _select(self, request: Any, _response: Any) -> str:
        active = self._active()
        return await active.worker.call(lambda: active.work.select(request.id))

    async def _segment(self, request: Any, response: Any) -> str:
        active = self._active()
        cloud = request.cloud if request.cloud.width * request.cloud.height else active.worker.newest
        if cloud is None:
            raise ValueError("the request holds no cloud, and none has arrived on ~/points yet")
        view, response.results = await active.worker.call(
            lambda: active.stateless.segment(cloud, list(request.clicks), active.settings.max_snap_distance)
        )
        refused = [result.reason for result in response.results if not result.accepted]
        response.success = not refused
        response.segmentation = messages.segmentation(view)
        return refused[0] if refused else f"{len(view.objects)} objects in {view.encode_ms + view.segment_ms:.0f} ms"

    async def _propose(self, request: Any, response: Any) -> str:
        active = self._active()
        given = request.cloud if request.cloud.width * request.cloud.height else None
        shown, newest = active.work.stage.shown, active.worker.newest
        if given is None and shown is None and newest is None:
            raise ValueError("the request holds no cloud, and none has arrived on ~/points yet")
        search = await active.worker.call(
            lambda: active.stateless.search(given or shown or newest, request.class_name, request.tries)
        )
        found = await active.worker.call(search)
        return fill(response, search.cloud, found, request.class_name, active.work.ids)

    async def _peek(self, request: Any, response: Any) -> str:
        active = self._active()
        return await active.worker.call(lambda: self._peeking.fill(active, request.click, response))

    async def _get_object(self, request: Any, response: Any) -> str:
        active = self._active()

        await active.worker.call(lambda: answer_with_object(active, request.id, request.target_frame, response))
        return ""

    async def _save(self, request: Any, response: Any) -> str:
        active = self._active()
        folder = active.store.folder
        response.path = await active.worker.call(lambda: active.work.save(folder, request.path, request.format))
        return f"saved to {response.path}"

    async def _enable(self, request: Any, _response: Any) -> str:
        self._active().worker.enabled = bool(request.data)
        return "clouds and clicks are taken" if request.data else "clouds and clicks are ignored until enabled again"
