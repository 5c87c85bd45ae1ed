"""The segmenter's services: coroutines that await the inference thread, so that the executor goes on meanwhile.

Whatever goes wrong comes back as success=false and a sentence; no request can end the node.
"""

from __future__ import annotations

import threading
import time
from array import array
from collections.abc import Awaitable, Callable, Generator
from typing import Any, Protocol

import numpy as np
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.service import Service
from std_srvs.srv import SetBool, Trigger

from iseg3d_ros.interaction.safe_sets import sure_points
from iseg3d_ros.interaction.view import View
from iseg3d_ros.interaction.work_store import WorkStore
from iseg3d_ros.ros import conversion as messages
from iseg3d_ros.ros.cloud_preprocessing import CloudPreprocessor
from iseg3d_ros.ros.frames import frame_name
from iseg3d_ros.ros.inference_thread import Worker
from iseg3d_ros.ros.point_cloud2 import full_cloud, header
from iseg3d_ros.ros.settings import SegmenterSettings
from iseg3d_ros.ros.stateless import StatelessSegmentation, view_in
from iseg3d_ros.ros.subscriptions import Inputs
from iseg3d_ros.ros.work import Work
from iseg3d_ros.srv import AddObjects, GetObject, RemoveObject, SaveSession, SegmentCloud, SelectObject

PATIENCE = 2.0  # seconds that an answer waits for the disk
REFUSALS = (ValueError, RuntimeError, OSError, LookupError)


class Active(Protocol):
    """What the services need of the node while it is active; `None` stands for a node that is not."""

    work: Work
    worker: Worker[Any]
    inputs: Inputs
    store: WorkStore
    intake: CloudPreprocessor
    stateless: StatelessSegmentation
    settings: SegmenterSettings


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
        self._node, self._active = node, active
        group = ReentrantCallbackGroup()  # a service that waits must not keep the others waiting
        table: list[tuple[Any, str, Callable[[Any, Any], Awaitable[str]]]] = [
            (AddObjects, "add_objects", self._kept(self._add_objects)),
            (RemoveObject, "remove_object", self._kept(self._remove)),
            (SelectObject, "select_object", self._kept(self._select)),
            (SegmentCloud, "segment", self._segment),
            (GetObject, "get_object", self._get_object),
            (Trigger, "capture", self._kept(self._capture)),
            (Trigger, "undo", self._kept(self._verb(Work.undo))),
            (Trigger, "redo", self._kept(self._verb(Work.redo))),
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

    async def _get_object(self, request: Any, response: Any) -> str:
        active = self._active()

        def find() -> tuple[View, Any]:
            active.work.update_masks()
            if active.work.view is None:
                raise ValueError("nothing has been segmented yet: click on a cloud first")
            view = view_in(active.work.view, frame_name(request.target_frame), active.intake)
            item = view.object(request.id or view.active)
            if item is None:
                raise ValueError(_unknown(request.id, view))
            if view.measures(item.index) is None:
                raise ValueError(f"the object '{item.id}' has no points in the present cloud")
            response.cloud = full_cloud(view)
            response.indices = messages.unsigned(view.indices(item.index))
            sure = sure_points(view, item, active.settings.grasp_probability)
            response.sure_indices = messages.unsigned(sure)
            probabilities = view.result.probability[view.indices(item.index)]
            response.probabilities = array("f", probabilities.astype(np.float32).tobytes())
            response.object = messages.object_info(view, item)
            response.pose.header, response.pose.pose = header(view), response.object.pose
            return view, item

        await active.worker.call(find)
        return ""

    async def _save(self, request: Any, response: Any) -> str:
        active = self._active()
        folder = active.store.folder
        response.path = await active.worker.call(lambda: active.work.save(folder, request.path, request.format))
        return f"saved to {response.path}"

    async def _enable(self, request: Any, _response: Any) -> str:
        self._active().worker.enabled = bool(request.data)
        return "clouds and clicks are taken" if request.data else "clouds and clicks are ignored until enabled again"


def _unknown(wanted: str, view: View) -> str:
    known = ", ".join(item.id for item in view.objects) or "none yet"
    return f"there is no object '{wanted}': the objects are {known}" if wanted else "no object is active: give an id"


def sentence(error: BaseException) -> str:
    """An error as the operator reads it."""
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    return str(error.args[0]) if isinstance(error, LookupError) and error.args else str(error)
