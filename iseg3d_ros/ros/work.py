"""One operator's work over clouds: clicks in, a view of masks and objects out. Lives on the inference thread alone."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from std_msgs.msg import Header

from iseg3d_ros import limits
from iseg3d_ros.clicks import Click
from iseg3d_ros.interaction.cloud_source import CloudSource
from iseg3d_ros.interaction.current_cloud import CurrentCloud
from iseg3d_ros.interaction.session import InteractiveSession
from iseg3d_ros.interaction.storage import place_to_save, save_work
from iseg3d_ros.interaction.view import View, list_objects
from iseg3d_ros.interaction.work_store import Resumed
from iseg3d_ros.msg import Click as ClickMessage
from iseg3d_ros.msg import ClickResult
from iseg3d_ros.predictor import Segmentation
from iseg3d_ros.ros.click_request import ClickRequest, CloudMessage
from iseg3d_ros.ros.cloud_preprocessing import CloudPreprocessor, snap
from iseg3d_ros.ros.conversion import point
from iseg3d_ros.ros.inference_thread import Answer, NotYet
from iseg3d_ros.ros.listener import Listener
from iseg3d_ros.ros.node_support import stamp_of
from iseg3d_ros.ros.publishers import Outputs
from iseg3d_ros.ros.settings import SegmenterSettings
from iseg3d_ros.srv import AddObjects

REFUSED = (ValueError, LookupError, RuntimeError)


class Work:
    """Verbs change clouds, objects and clicks; `update_masks` segments what has changed and shows it."""

    def __init__(
        self,
        session: InteractiveSession,
        settings: Callable[[], SegmenterSettings],
        intake: CloudPreprocessor,
        outputs: Outputs,
        listener: Listener,
    ) -> None:
        self.session, self._outputs = session, outputs
        self.stage = CloudSource(settings().source, intake.finish)
        self.view: View | None = None
        self._settings, self._intake, self._listener = settings, intake, listener
        self._ordinals: dict[str, int] = {}
        self._frames_clicked: set[str] = set()
        self._since: float | None = None  # when the oldest change that is not settled came
        self._message = ""

    @property
    def ids(self) -> list[str]:
        """The objects' ids in the order of their labels."""
        return self.session.ids

    def turn(self, newest: CloudMessage | None, at: float, calls: Sequence[Answer[Any]]) -> bool:
        """All that waits for the inference thread: the newest cloud, then calls, then masks, once for all of it.

        Whether the cloud's transform may still come: then it is to be handed over again.
        """
        patience, late = self._intake.patience, False
        patience.begin_turn(at)
        with self._going_on():
            try:
                if newest is not None:
                    self._cloud(newest, at)
            except NotYet:
                late = True
        for call in calls:
            patience.since = call.asked
            call.run()
        with self._going_on():
            self.update_masks()
        return late

    @contextmanager
    def _going_on(self) -> Iterator[None]:
        """A cloud on which the model fails must not end the node."""
        try:
            yield
        except Exception as error:
            self._listener.failed(error)

    # Clouds

    def _cloud(self, message: CloudMessage, at: float) -> None:
        self.stage.settings = self._settings().source
        self.session.model.focus = self._settings().focus
        if self.stage.wants(at):
            cloud = self._intake.placed(message, at)
            if self.stage.on_cloud(cloud, at, self.session.clicks, self.ids):
                self._change("", at)

    def capture(self, newest: CloudMessage | None, at: float) -> str:
        """Takes the newest cloud; objects and clicks that are found in it again stay."""
        if self._settings().scene == "live":
            return "live mode takes every cloud by itself: there is nothing to capture"
        shown = self._candidate(newest, at)
        self._take(shown)
        self.session.record({"action": "capture", "frame": shown.frame, "stamp": shown.stamp})
        return self._change(f"captured a cloud of {len(shown.points)} points")

    def _candidate(self, newest: CloudMessage | None, at: float) -> CurrentCloud:
        self.stage.settings = self._settings().source
        wanted = None if newest is None or self.stage.accumulates() else self._intake.placed(newest, at)
        return self.stage.candidate(wanted)

    def _take(self, cloud: CurrentCloud) -> None:
        self.stage.take(cloud, self.session.clicks, self.ids)
        self._intake.remember(cloud, self._frames_clicked | {self._settings().fixed_frame, "map", "odom"})

    # Clicks

    def click(self, request: ClickRequest) -> ClickResult:
        """One click of the operator; refused ones change nothing and say why."""
        result = self._judged(request)
        self._listener.click_result(result)
        return result

    def _judged(self, request: ClickRequest) -> ClickResult:
        result = ClickResult(click=request.click, distance=float("nan"))
        try:
            self._place(request, result)
        except REFUSED as error:
            result.accepted, result.reason = False, str(error)
            self._listener.notify_operator(f"click refused: {error}")
        return result

    def _place(self, request: ClickRequest, result: ClickResult) -> None:
        given, held = request.click, self.stage.held
        shown, taken = self.shown_for(request)
        result.header = Header(frame_id=shown.frame, stamp=stamp_of(shown.stamp))
        snapped, result.distance = snap(shown, self._intake, given, request.frame, self._settings().max_snap_distance)
        result.point = point(snapped)
        try:
            with self.session.step():
                if not taken:
                    self._take(shown)
                now, place = self._now(shown, snapped)
                x, y, z = (float(v) for v in place)
                result.id = self._object_of(given)
                self.session.click((x, y, z), result.id)
        except REFUSED:
            self.stage.held = held  # a refused click keeps no cloud
            raise
        now.note(Click((x, y, z), result.id))
        if request.frame and len(self._frames_clicked) < limits.FRAMES:
            self._frames_clicked.add(request.frame)
        result.accepted = True
        self._change("", request.at)

    def shown_for(self, request: ClickRequest) -> tuple[CurrentCloud, bool]:
        """The cloud that a click is meant for, and whether it is taken already; the first click takes the newest."""
        bound = self.stage.bound(request.stamp)
        if bound is not None and (self.stage.held or self._settings().scene == "live"):
            return bound, True
        return self._candidate(request.newest, request.newest_at), False

    def _now(self, bound: CurrentCloud, snapped: np.ndarray) -> tuple[CurrentCloud, np.ndarray]:
        """The cloud that is shown now, and where a point of the cloud that was clicked on is in it."""
        shown = self.stage.shown or bound
        if shown is bound:
            return shown, snapped
        return shown, shown.points.xyz[shown.nearest(shown.from_earlier(bound, snapped.astype(np.float64)))[0]]

    def _object_of(self, given: ClickMessage) -> str:
        """The id that a click goes to; new objects are made here."""
        match given.label:
            case ClickMessage.NEGATIVE:
                return ""
            case ClickMessage.NEW_OBJECT:
                if given.id in self.ids:
                    raise ValueError(f"there is an object '{given.id}' already: click on it with label POSITIVE")
                return self.session.add(id=given.id)
            case ClickMessage.POSITIVE:
                wanted = given.id or self.session.active
                if given.id and given.id not in self.ids:
                    known = ", ".join(self.ids) or "none yet"
                    raise ValueError(f"there is no object '{given.id}' (the objects are {known}): use label NEW_OBJECT")
                return wanted or self.session.add()
        raise ValueError(f"label {given.label} is none of NEGATIVE (0), POSITIVE (1) and NEW_OBJECT (2)")

    # Objects

    def add_objects(self, ids: list[str], names: list[str], clicks: list[ClickRequest]) -> AddObjects.Response:
        """Objects with their clicks, as one step; existing ids are kept."""
        if names and len(names) != len(ids):
            raise ValueError(f"there are {len(ids)} ids but {len(names)} names: give one each, or no names at all")
        if not ids and not clicks:
            raise ValueError("the request names no object and holds no click")
        if twice := sorted({name for name in ids if name and ids.count(name) > 1}):
            raise ValueError(f"the request names {', '.join(twice)} more than once: an id stands for one object")
        added: list[str] = []
        with self.session.step():
            for wanted, name in zip(ids, names or [""] * len(ids), strict=True):
                added.append(self._add(wanted, name))
            if len(added) == 1:
                self.session.select(added[0])
            results = [self._click_of_step(request, added) for request in clicks]
        for result in results:
            self._listener.click_result(result)  # not before the step counts
        self._change("")
        refused = [result.reason for result in results if not result.accepted]
        message = refused[0] if refused else f"added {', '.join(added) or 'clicks'}"
        indices = [self.ids.index(name) + 1 for name in added]
        return AddObjects.Response(success=not refused, message=message, ids=added, indices=indices, results=results)

    def _add(self, wanted: str, name: str) -> str:
        if wanted in self.ids:
            if name:
                self.session.rename(wanted, name)
            return wanted
        return self.session.add(name=name, id=wanted)

    def _click_of_step(self, request: ClickRequest, added: list[str]) -> ClickResult:
        """A click that belongs to a request: without an id it goes to the request's only object."""
        click = request.click
        if click.label == ClickMessage.POSITIVE and not click.id and len(added) == 1:
            click.id = added[0]
        elif click.label == ClickMessage.POSITIVE and not click.id and len(added) > 1:
            reason = "a click without id among several objects: say which of them it is on"
            return ClickResult(click=click, accepted=False, reason=reason, distance=float("nan"))
        return self._judged(request)

    def remove(self, wanted: str) -> str:
        """Removes an object with its clicks."""
        name = self._known(wanted)
        self.session.remove(name)
        return self._change(f"removed {name}")

    def select(self, wanted: str) -> str:
        """Makes an object the active one; an empty id: none."""
        self.session.select(self._known(wanted) if wanted else "")
        return self._change(f"{wanted} is active" if wanted else "no object is active: the next click begins a new one")

    def _known(self, wanted: str) -> str:
        name = wanted or self.session.active
        if name not in self.ids:
            known = ", ".join(self.ids) or "none yet"
            raise ValueError(f"there is no object '{name}': the objects are {known}" if name else "no object is active")
        return name

    # History

    def undo(self) -> str:
        """Takes the last step back."""
        self.session.undo()
        self.stage.held |= bool(self.session.clicks)
        return self._change("undone")

    def redo(self) -> str:
        """Does the last undone step again."""
        self.session.redo()
        return self._change("done again")

    def go(self, revision: int, step: int) -> str:
        """Goes to a state of the history, as that many undos or redos would."""
        by = self.session.history.way(revision, step)
        self.session.go(by)
        self.stage.held |= bool(self.session.clicks)
        return self._change(f"{abs(by)} steps {'undone' if by < 0 else 'done again'}")

    def clear(self) -> str:
        """Forgets objects and clicks; the next click takes a new cloud."""
        self.session.clear()
        self.stage.held = False
        return self._change("cleared")

    # What follows

    def update_masks(self) -> None:
        """Segments and shows what has changed since the last time."""
        shown, since = self.stage.shown, self._since
        if since is None or shown is None:
            return
        self._since = None
        ids = self.ids
        clicks = shown.placed(self.session.clicks)
        result = self.session.model.segment_cloud(shown, clicks, ids)
        shown.masks = (result.labels, ids)
        self.view = self._view(shown, result, clicks)
        self._outputs.show(self.view, since)
        self._listener.updated()

    def _view(self, shown: CurrentCloud, result: Segmentation, clicks: list[Click]) -> View:
        session, model = self.session, self.session.model
        past = session.history.states if not self._ordinals else ()  # of work that was taken up: colours stay
        for item in (*itertools.chain.from_iterable(state.objects for state in past), *session.objects):
            self._ordinals.setdefault(item.id, len(self._ordinals))
        names = {item.id: item.name for item in session.objects}
        message, self._message = self._message, ""
        return View(
            serial=self.view.serial + 1 if self.view else 0,
            cloud=shown,
            up=shown.upwards,
            result=result,
            objects=list_objects(self.ids, clicks, names, self._ordinals, self.stage.lost, self.stage.searching),
            active=session.active,
            background=tuple(click for click in clicks if not click.id),
            can_undo=session.can_undo, can_redo=session.can_redo,
            mode=self._settings().scene, model=model.name, message=message,
            encode_ms=model.encode_ms, segment_ms=model.segment_ms,
            history=session.history, ordinals=self._ordinals,
        )  # fmt: skip

    def resume(self, found: Resumed) -> None:
        """A saved cloud with the clicks that the session holds already."""
        if found.cloud is not None:
            self.stage.restore(found.cloud, found.places)
            self.stage.held = found.held
        self._change("took up the saved work")

    def save(self, folder: Path, path: str, kind: str) -> str:
        """Write the session or its labelled cloud under a name; the path of the file."""
        target = place_to_save(folder, path, kind or "session", "session directory")
        self.update_masks()
        if self.view is None or self.stage.shown is None:
            raise ValueError("there is nothing to save yet: click on a cloud first")
        return save_work(target, self.session, self.stage.shown, self.view.result)

    def refresh(self) -> None:
        """Shows everything anew, as after an activation."""
        if self.stage.shown is not None:
            self._change("")

    def _change(self, message: str, at: float | None = None) -> str:
        """Notes that masks are to be updated."""
        self._message = message or self._message
        if self._since is None:
            self._since = time.perf_counter() if at is None else at
        return message
