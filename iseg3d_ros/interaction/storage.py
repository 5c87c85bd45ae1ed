"""The session on disk: saved after every change, brought back after a crash, exported as labelled clouds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from iseg3d_ros.clicks import Click
from iseg3d_ros.cloud import Cloud, write_cloud
from iseg3d_ros.interaction.current_cloud import CurrentCloud
from iseg3d_ros.interaction.scene_model import Stored
from iseg3d_ros.interaction.session import InteractiveSession
from iseg3d_ros.io.atomic_write import replacing
from iseg3d_ros.io.pointcloud2_read import Points
from iseg3d_ros.predictor import Segmentation

EXPORTS = ("ply", "pcd", "npz", "label")
REST = 10  # times as long as writing took passes before the next: a slow disk is not kept busy
LAST = "last"  # the name under which the session is saved by itself


@dataclass(frozen=True)
class Snapshot:
    """The session at one moment; nothing changes it."""

    cloud: CurrentCloud
    places: dict[Click, Click]
    session: InteractiveSession
    masks: Stored | None = None

    @property
    def state(self) -> object:
        """What makes it worth saving."""
        return self.session.objects, self.session.clicks, self.session.active

    @classmethod
    def of(cls, session: InteractiveSession, cloud: CurrentCloud, places: dict[Click, Click]) -> Snapshot:
        """Of the session as it is."""
        copy = InteractiveSession(session.predictor)
        copy.take_up(session)
        return cls(cloud, dict(places), copy, session.model.latest)


class Storage:
    """One folder: a session is a JSON file with its clicks and names, an npz file with its cloud, one with its masks.

    What is saved by itself is written on a thread of its own: a slow disk does not slow the clicks.
    """

    def __init__(self, folder: Path, notify: Callable[[str], object], called: str = "session directory") -> None:
        """`called` is what sentences call the folder."""
        self.folder, self._notify, self._called = folder, notify, called
        self._last: Snapshot | None = None  # what was handed to the writer last
        self._writer: Writer | None = None

    def autosave(self, session: InteractiveSession, cloud: CurrentCloud | None, places: dict[Click, Click]) -> None:
        """Have the session saved where it has changed; never waits."""
        if cloud is None or (self._last is None and not session.objects):
            return  # nothing was done yet: what an earlier run saved stays
        if self._last is not None and (session.objects, session.clicks, session.active) == self._last.state:
            return
        self._last = Snapshot.of(session, cloud, places)
        self._writer = self._writer or Writer(self._write)
        self._writer.offer(self._last)

    def finish(self) -> None:
        """Wait until all is written."""
        if self._writer is not None:
            self._writer.finish()
            self._writer = None

    def resume(
        self, session: InteractiveSession, given: CurrentCloud | None = None
    ) -> tuple[CurrentCloud, dict[Click, Click]] | None:
        """Take up the session that was saved last, if there is any: its cloud, and where its clicks are in it.

        `given`: the same cloud, where the caller has it already.
        """
        try:
            stored, places = _read_cloud(self.folder / f"{LAST}.npz")
            session.restore(self.folder / f"{LAST}.json")
        except FileNotFoundError:
            self._notify(f"there is no saved work in {self.folder}: beginning anew")
            return None
        except (ValueError, KeyError, OSError, EOFError, BadZipFile) as error:
            self._notify(f"the saved work cannot be taken up, beginning anew: {error}")
            return None
        cloud = given or stored
        self._take_up_masks(session, cloud)
        self._notify(f"took up {len(session.objects)} objects with {len(session.clicks)} clicks from {self.folder}")
        return cloud, {click: places.get(click, click) for click in session.clicks}

    def save(self, path: str, kind: str, now: Snapshot, result: Segmentation) -> str:
        """Write the session, or the labelled cloud in one of EXPORTS, under a name; the path of the file."""
        kind = kind or "session"
        if kind not in ("session", *EXPORTS):
            raise ValueError(f"the format '{kind}' is none of session, {', '.join(EXPORTS)}")
        target = inside(self.folder, path, "json" if kind == "session" else kind, self._called)
        target.parent.mkdir(parents=True, exist_ok=True)
        if kind == "session":
            _write_cloud(target.with_suffix(".npz"), now.cloud, now.places)
            now.session.save(target)
        else:
            export(target, now.cloud.points, result)
        return str(target)

    def _write(self, now: Snapshot, before: Snapshot | None) -> bool:
        """Whether it is written (`before` is what was last); a full disk is said, and does not stop the work."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if before is None or now.cloud is not before.cloud:
                _write_cloud(self.folder / f"{LAST}.npz", now.cloud, now.places)
            if now.masks is not None and (before is None or now.masks is not before.masks):
                _write_masks(self.folder / f"{LAST}.masks.npz", now.masks)
            now.session.save(self.folder / f"{LAST}.json")
        except OSError as error:
            self._notify(f"the work could not be saved in {self.folder}: {error.strerror or error}")
            return False
        return True

    def _take_up_masks(self, session: InteractiveSession, cloud: CurrentCloud) -> None:
        try:
            stored = _read_masks(self.folder / f"{LAST}.masks.npz", len(cloud.points))
        except (ValueError, KeyError, OSError, EOFError, BadZipFile):
            return  # version 0.1 wrote none: they are computed
        session.model.store(stored, cloud)
        if session.predictor is not None and stored.hash != session.predictor.hash:
            self._notify(
                "the saved masks were computed by another model or other weights: they stay as they were until the "
                "next click, or until the model is chosen anew"
            )


def inside(folder: Path, name: str, suffix: str, called: str = "folder") -> Path:
    """A file of that name in the folder, or below it; ValueError where the name leads out of it."""
    name = name.strip() or time.strftime("%Y-%m-%d_%H-%M-%S")
    if "\0" in name:
        raise ValueError("A file's name holds no zero byte.")
    folder = folder.resolve()
    target = (folder / name).resolve()
    if target.suffix != f".{suffix}":
        target = target.with_name(f"{target.name}.{suffix}")
    if folder not in target.parents:
        raise ValueError(f"{name!r} lies outside the {called} {folder}: give a name inside it.")
    return target


class Writer:
    """A thread that writes the newest snapshot, and the last one of all; what comes meanwhile replaces what waits."""

    def __init__(self, write: Callable[[Snapshot, Snapshot | None], bool]) -> None:
        self._write = write
        self._waiting: Snapshot | None = None
        self._ends = False
        self._something = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="saving", daemon=True)
        self._thread.start()

    def offer(self, snapshot: Snapshot) -> None:
        """Leaves a snapshot to be written; never waits."""
        with self._something:
            self._waiting = snapshot
            self._something.notify()

    def finish(self) -> None:
        """Waits until all is written."""
        with self._something:
            self._ends = True
            self._something.notify()
        self._thread.join()

    def _run(self) -> None:
        before: Snapshot | None = None
        while True:
            with self._something:
                self._something.wait_for(lambda: self._waiting is not None or self._ends)
                now, self._waiting = self._waiting, None
            if now is None:
                return
            start = time.monotonic()
            before = now if self._write(now, before) else None
            with self._something:
                self._something.wait_for(lambda: self._ends, timeout=REST * (time.monotonic() - start))


def export(target: Path, points: Points, result: Segmentation) -> None:
    """The labelled cloud; a .label file has a value for every point of the message, as its reader expects."""
    if target.suffix == ".label":
        labels = points.at_message_places(result.labels, 0)
        write_cloud(target, Cloud(np.zeros((len(labels), 3), np.float32), None, None, labels))
        return
    cloud = Cloud(np.ascontiguousarray(points.xyz), points.rgb, None, result.labels)
    write_cloud(target, cloud, {"probability": result.probability, "uncertainty": result.uncertainty})


def _write_masks(target: Path, stored: Stored) -> None:
    result = stored.result
    arrays: dict[str, np.ndarray] = {
        "hash": np.array(stored.hash),
        "clicks": np.array([[*point, label] for point, label in stored.key], float).reshape(-1, 4),
        "labels": result.labels,
        "probability": result.probability,
        "uncertainty": result.uncertainty,
    }
    if stored.up is not None:
        arrays["up"] = stored.up
    if result.variance is not None:
        arrays["variance"] = result.variance
    if result.suggested_click is not None:
        arrays["suggested"] = np.array([*result.suggested_click.point, result.suggested_click.object], float)
    with replacing(target) as stream:
        np.savez(stream, **arrays)  # type: ignore[arg-type]


def _read_masks(source: Path, points: int) -> Stored:
    with np.load(source, allow_pickle=False) as arrays:
        labels, variance, suggested = arrays["labels"], arrays.get("variance"), arrays.get("suggested")
        if labels.shape != (points,):
            raise ValueError(f"{source} belongs to another cloud")
        hint = None if suggested is None else _numbered(suggested.tolist())
        result = Segmentation(
            labels, arrays["probability"], arrays["uncertainty"], variance, hint, int(labels.max(initial=0)), 0.0
        )
        clicks = [_numbered(row) for row in arrays["clicks"].tolist()]
        key = tuple((click.point, int(click.object)) for click in clicks)
        return Stored(key, result, str(arrays["hash"]), arrays.get("up"))


def _numbered(row: list[float]) -> Click:
    x, y, z, label = row
    return Click((x, y, z), int(label))


def _write_cloud(target: Path, cloud: CurrentCloud, places: dict[Click, Click]) -> None:
    """Points, frame and stamp, and where clicks that were given on earlier clouds are in this one."""
    points = cloud.points
    arrays: dict[str, np.ndarray] = {
        "xyz": points.xyz,
        "shape": np.array(points.shape),
        "frame": np.array(cloud.frame),
        "stamp": np.array(cloud.stamp),
        "clicks": np.array([[*click.point, *now.point] for click, now in places.items()], float).reshape(-1, 6),
        "ids": np.array([click.id for click in places], dtype=str),
    }
    for name, value in (("rgb", points.rgb), ("kept", points.kept), ("up", cloud.up)):
        if value is not None:
            arrays[name] = value
    with replacing(target) as stream:
        np.savez(stream, **arrays)  # type: ignore[arg-type]


def _read_cloud(source: Path) -> tuple[CurrentCloud, dict[Click, Click]]:
    with np.load(source, allow_pickle=False) as arrays:
        missing = {"xyz", "shape", "frame", "stamp", "clicks", "ids"} - set(arrays)
        if missing:
            raise ValueError(f"{source} lacks {', '.join(sorted(missing))}")
        optional = {name: arrays.get(name) for name in ("rgb", "kept", "up")}
        height, width = (int(v) for v in arrays["shape"])
        points = Points(arrays["xyz"], optional["rgb"], None, optional["kept"], (height, width))
        shown = CurrentCloud(points, str(arrays["frame"]), int(arrays["stamp"]), optional["up"])
        places = {}
        for row, name in zip(arrays["clicks"].tolist(), arrays["ids"].tolist(), strict=True):
            places[Click((row[0], row[1], row[2]), name)] = Click((row[3], row[4], row[5]), name)
    return shown, places
