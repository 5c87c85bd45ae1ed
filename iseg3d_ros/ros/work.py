"""One operator's work over clouds: clicks in, a view of masks and objects out. Lives on the inference thread alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from geometry_msgs.msg import PoseStamped
from std_msgs.msg import Header

from iseg3d_ros.clicks import Click
from iseg3d_ros.interaction.cloud_source import CloudSource, PlacedCloud, SourceSettings
from iseg3d_ros.interaction.current_cloud import CurrentCloud
from iseg3d_ros.interaction.session import InteractiveSession
from iseg3d_ros.interaction.storage import Snapshot, Storage
from iseg3d_ros.interaction.view import View, list_objects
from iseg3d_ros.msg import Click as ClickMessage
from iseg3d_ros.msg import ClickResult
from iseg3d_ros.predictor import Segmentation
from iseg3d_ros.ros.cloud_preprocessing import CloudPreprocessor, snap
from iseg3d_ros.ros.conversion import point
from iseg3d_ros.ros.frames import frame_name
from iseg3d_ros.ros.node_support import stamp_of
from iseg3d_ros.ros.settings import SegmenterSettings
from iseg3d_ros.ros.subscriptions import Arrival, ClickRequest, click_at

REFUSED = (ValueError, LookupError, RuntimeError)


class Listener(Protocol):
    """Who hears of the work: the node."""

    def show(self, view: View, since: float, convert_ms: float) -> None:
        """A new view; `since` is time.perf_counter() at the click or cloud that caused it."""

    def notify_operator(self, sentence: str) -> None:
        """Something for the operator."""

    def click_result(self, result: ClickResult) -> None:
        """What became of a click."""


@dataclass
class Added:
    """What became of a request to add objects."""

    success: bool
    message: str
    ids: list[str]
    indices: list[int]
    results: list[ClickResult] = field(default_factory=list)


class Work:
    """Verbs change clouds, objects and clicks; `update_masks` segments what has changed and shows it."""

    def __init__(
        self,
        session: InteractiveSession,
        settings: Callable[[], SegmenterSettings],
        intake: CloudPreprocessor,
        listener: Listener,
    ) -> None:
        self.session = session
        self.stage = CloudSource(source_settings(settings()), intake.finish)
        self.view: View | None = None
        self._settings, self._intake, self._listener = settings, intake, listener
        self._ordinals: dict[str, int] = {}
        self._frames_clicked: set[str] = set()
        self._before: tuple[CurrentCloud, np.ndarray, list[str]] | None = None  # the masks of the last settling
        self._since: float | None = None  # when the oldest change that is not settled came
        self._message = ""

    @property
    def ids(self) -> list[str]:
        """The objects' ids in the order of their labels."""
        return self.session.ids

    # Clouds

    def cloud(self, arrival: Arrival) -> None:
        """A cloud has come."""
        self.stage.settings = source_settings(self._settings())
        if self.stage.wants(arrival.at) and self.stage.on_cloud(self._place_cloud(arrival), arrival.at, self.ids):
            self._change("", arrival.at)

    def _place_cloud(self, arrival: Arrival) -> PlacedCloud:
        return self._intake.place(self._intake.process(arrival.message))

    def capture(self, newest: Arrival | None) -> str:
        """Takes the newest cloud; objects and clicks that are found in it again stay."""
        if self._settings().scene == "live":
            return "live mode takes every cloud by itself: there is nothing to capture"
        self.stage.settings = source_settings(self._settings())
        wanted = None if newest is None or self.stage.accumulates() else self._place_cloud(newest)
        shown = self.stage.capture(wanted, self.ids)
        self.session.record({"action": "capture", "frame": shown.frame, "stamp": shown.stamp})
        self._intake.remember(shown, self._frames_clicked | {self._settings().fixed_frame, "map", "odom"})
        return self._change(f"captured a cloud of {len(shown.points)} points")

    # Clicks

    def click(self, request: ClickRequest) -> ClickResult:
        """One click of the operator; refused ones change nothing and say why."""
        result = ClickResult(click=request.click, distance=float("nan"))
        try:
            self._place(request, result)
        except REFUSED as error:
            result.accepted, result.reason = False, str(error)
            self._listener.notify_operator(f"click refused: {error}")
        self._listener.click_result(result)
        return result

    def _place(self, request: ClickRequest, result: ClickResult) -> None:
        given = request.click
        shown = self._shown_for(request)
        result.header = Header(frame_id=shown.frame, stamp=stamp_of(shown.stamp))
        snapped, result.distance = snap(shown, self._intake, given, request.frame, self._settings().max_snap_distance)
        result.point = point(snapped)
        x, y, z = (float(v) for v in self._now(shown, snapped))
        with self.session.step():
            result.id = self._object_of(given)
            self.session.click((x, y, z), result.id)
        self.stage.note(Click((x, y, z), result.id))
        result.accepted = True
        self._change("", request.at)

    def _shown_for(self, request: ClickRequest) -> CurrentCloud:
        """The cloud that a click is meant for; the first click takes the newest one."""
        bound = self.stage.bound(request.stamp)
        if bound is None or (not self.stage.held and self._settings().scene != "live"):
            self.capture(request.newest)
            bound = self.stage.shown
        assert bound is not None  # capture raises where there is no cloud
        if request.frame:
            self._frames_clicked.add(request.frame)
        return bound

    def _now(self, bound: CurrentCloud, snapped: np.ndarray) -> np.ndarray:
        """A point of the cloud that was clicked on, as a point of the cloud that is shown now."""
        shown = self.stage.shown
        if shown is None or shown is bound:
            return snapped
        return shown.points.xyz[shown.nearest(self.stage.into_shown(bound, snapped.astype(np.float64)))[0]]

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

    def goal(self, goal: PoseStamped, newest: Arrival | None) -> None:
        """A pose on the ground chooses the object that stands there, or begins a new one."""
        frame = frame_name(goal.header.frame_id)
        request = ClickRequest(click_at((0, 0, 0), frame, goal.header.stamp), newest, time.perf_counter())
        try:
            shown = self._shown_for(request)
            given = goal.pose.position
            place = self._intake.locate(shown, np.array([given.x, given.y, given.z]), frame)
            column = shown.column(place, self._intake.axis(shown, frame), self._settings().column_radius)
            if len(column) == 0:
                raise ValueError("goal: nothing stands in that column (column_radius says how wide it is)")
        except REFUSED as error:
            self._listener.notify_operator(str(error))
            return
        wanted = self._labelled_there(shown, column)
        if wanted:
            self._listener.notify_operator(self.select(wanted))
            return
        click = click_at(shown.points.xyz[column[0]], shown.frame, stamp_of(shown.stamp))
        click.label = ClickMessage.NEW_OBJECT
        self.click(replace(request, click=click))

    def _labelled_there(self, shown: CurrentCloud, column: np.ndarray) -> str:
        """The object that most of a column's labelled points belong to, as far as they are many."""
        if self._before is None or self._before[0] is not shown:
            return ""
        _, labels, ids = self._before
        counts = np.bincount(labels[column], minlength=len(ids) + 1)
        best = int(counts[1:].argmax()) + 1 if len(counts) > 1 else 0
        return ids[best - 1] if best and counts[best] * 5 > len(column) and ids[best - 1] in self.ids else ""

    # Objects

    def add_objects(self, ids: list[str], names: list[str], clicks: list[ClickRequest]) -> Added:
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
        self._change("")
        refused = [result.reason for result in results if not result.accepted]
        message = refused[0] if refused else f"added {', '.join(added) or 'clicks'}"
        return Added(not refused, message, added, [self.ids.index(name) + 1 for name in added], results)

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
        return self.click(request)

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
        if not self.session.can_undo:
            raise ValueError("there is nothing to undo")
        self.session.undo()
        self.stage.held |= bool(self.session.clicks)
        return self._change("undone")

    def redo(self) -> str:
        """Does the last undone step again."""
        if not self.session.can_redo:
            raise ValueError("there is nothing to redo")
        self.session.redo()
        return self._change("done again")

    def clear(self) -> str:
        """Forgets objects and clicks; the next click takes a new cloud."""
        self.session.clear()
        self.stage.held = False
        return self._change("cleared")

    # What follows

    def update_masks(self) -> bool:
        """Segments and shows what has changed since the last time; whether anything had."""
        shown, since = self.stage.shown, self._since
        if since is None or shown is None:
            return False
        self._since = None
        ids = self.ids
        clicks = self.stage.place_clicks(self.session.clicks, ids)
        result = self.session.model.segment_cloud(shown, clicks, ids)
        self._before = (shown, result.labels, ids)
        self.stage.remember_masks(result.labels, ids)
        self.view = self._view(shown, result, clicks)
        self._listener.show(self.view, since, shown.convert_ms)
        return True

    def _view(self, shown: CurrentCloud, result: Segmentation, clicks: list[Click]) -> View:
        session, model = self.session, self.session.model
        for item in session.objects:
            self._ordinals.setdefault(item.id, len(self._ordinals))
        names = {item.id: item.name for item in session.objects}
        message, self._message = self._message, ""
        return View(
            serial=self.view.serial + 1 if self.view else 0,
            frame=shown.frame,
            stamp=shown.stamp,
            layouts=shown.layouts,
            up=model.up(shown),
            result=result,
            objects=list_objects(self.ids, clicks, names, self._ordinals, self.stage.lost),
            active=session.active,
            background=tuple(click for click in clicks if not click.id),
            can_undo=session.can_undo,
            can_redo=session.can_redo,
            mode=self._settings().scene,
            model=model.name,
            encode_ms=model.encode_ms,
            segment_ms=model.segment_ms,
            message=message,
        )

    def resume(self, shown: CurrentCloud, places: dict[Click, Click]) -> None:
        """A saved cloud with the clicks that the session holds already."""
        self.stage.restore(shown, places)
        self._change("took up the saved work")

    def save(self, storage: Storage, path: str, kind: str) -> str:
        """Write the session or its labelled cloud under a name; the path of the file."""
        self.update_masks()
        shown = self.stage.shown
        if self.view is None or shown is None:
            raise ValueError("there is nothing to save yet: click on a cloud first")
        return storage.save(path, kind, Snapshot.of(self.session, shown, self.stage.places), self.view.result)

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


def source_settings(wanted: SegmenterSettings) -> SourceSettings:
    """The parameters that concern where clouds come from."""
    return SourceSettings(
        wanted.scene, wanted.max_rate, wanted.lost_after, wanted.accumulate_seconds, wanted.accumulate_voxel,
        wanted.max_points,
    )  # fmt: skip
