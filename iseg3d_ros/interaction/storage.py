"""The work on disk: saved after every change, brought back after a crash, exported as labelled clouds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from iseg3d_ros.cloud import Cloud, write_cloud
from iseg3d_ros.interaction.current_cloud import Shown
from iseg3d_ros.interaction.session import Session
from iseg3d_ros.interaction.tracking import Mark
from iseg3d_ros.interaction.view import View
from iseg3d_ros.io.atomic_write import replacing
from iseg3d_ros.io.pointcloud2_read import Points
from iseg3d_ros.ros.settings import SegmenterSettings
from iseg3d_ros.ros.work import Work

EXPORTS = ("ply", "pcd", "npz", "label")
REST = 10  # times as long as writing took passes before the next: a slow disk is not kept busy
LAST = "last"  # the name under which work is saved by itself


@dataclass(frozen=True)
class Snapshot:
    """The work at one moment; nothing changes it."""

    shown: Shown
    places: dict[Mark, Mark]
    session: Session

    @property
    def state(self) -> object:
        """What makes it worth saving."""
        return self.session.objects, self.session.clicks, self.session.active

    @classmethod
    def of(cls, shown: Shown, work: Work) -> Snapshot:
        """Of the work as it is."""
        session = Session(work.session.predictor)
        session.take_up(work.session)
        return cls(shown, dict(work.stage.places), session)


class Saving:
    """One folder a node; a session is a JSON file with its clicks and names and an npz file with its cloud.

    What is saved by itself is written on a thread of its own: a slow disk does not slow the clicks.
    """

    def __init__(self, settings: Callable[[], SegmenterSettings], node: str, tell: Callable[[str], None]) -> None:
        self._settings, self._tell = settings, tell
        self._name = node.strip("/").replace("/", "_")
        self._last: Snapshot | None = None  # what was handed to the writer last
        self._writer: Writer | None = None

    @property
    def folder(self) -> Path:
        """Where the node's files are."""
        return Path(self._settings().session_directory).expanduser() / self._name

    def save_if_wanted(self, work: Work) -> None:
        """Has the work saved where it has changed; never waits."""
        session, shown = work.session, work.stage.shown
        if not self._settings().autosave or shown is None:
            return
        if self._last is None and not session.objects:
            return  # nothing was done yet: what an earlier run saved stays
        if self._last is not None and (session.objects, session.clicks, session.active) == self._last.state:
            return
        self._last = Snapshot.of(shown, work)
        self._writer = self._writer or Writer(self._write)
        self._writer.offer(self._last)

    def finish(self, work: Work) -> None:
        """Saves what still waits, whatever it takes: the node stops working."""
        self.save_if_wanted(work)
        if self._writer is not None:
            self._writer.finish()
            self._writer = None

    def _write(self, now: Snapshot, before: Snapshot | None) -> bool:
        """Whether it is written (`before` is what was last); a full disk is said, and does not stop the work."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if before is None or now.shown is not before.shown:
                _write_cloud(self.folder / f"{LAST}.npz", now.shown, now.places)
            now.session.save(self.folder / f"{LAST}.json")
        except OSError as error:
            self._tell(f"the work could not be saved in {self.folder}: {error.strerror or error}")
            return False
        return True

    def resume(self, work: Work) -> None:
        """Takes up the work that was saved last, if there is any."""
        try:
            shown, places = _read_cloud(self.folder / f"{LAST}.npz")
            work.session.restore(self.folder / f"{LAST}.json")
        except FileNotFoundError:
            self._tell(f"there is no saved work in {self.folder}: beginning anew")
            return
        except (ValueError, KeyError, OSError, EOFError, BadZipFile) as error:
            self._tell(f"the saved work cannot be taken up, beginning anew: {error}")
            return
        marks = [Mark(click.point, click.id) for click in work.session.clicks]
        work.resume(shown, {mark: places.get(mark, mark) for mark in marks})
        self._tell(f"took up {len(work.session.objects)} objects with {len(marks)} clicks from {self.folder}")

    def save(self, work: Work, path: str, kind: str) -> str:
        """Writes the work under a name; `kind` as in SaveSession. The path of the file."""
        work.settle()
        if work.view is None or work.stage.shown is None:
            raise ValueError("there is nothing to save yet: click on a cloud first")
        kind = kind or "session"
        if kind not in ("session", *EXPORTS):
            raise ValueError(f"the format '{kind}' is none of session, {', '.join(EXPORTS)}")
        target = self._target(path or time.strftime("%Y-%m-%d_%H-%M-%S"), "json" if kind == "session" else kind)
        if kind == "session":
            _write_cloud(target.with_suffix(".npz"), work.stage.shown, work.stage.places)
            work.session.save(target)
        else:
            _export(target, work.view)
        return str(target)

    def _target(self, path: str, suffix: str) -> Path:
        """A file inside the node's folder, whatever a request says."""
        folder = self.folder.resolve()
        target = (folder / path).resolve()
        if target.suffix != f".{suffix}":
            target = target.with_name(f"{target.name}.{suffix}")
        if folder not in target.parents:
            raise ValueError(f"'{path}' lies outside the session directory {folder}: give a name inside it")
        target.parent.mkdir(parents=True, exist_ok=True)
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


def _export(target: Path, view: View) -> None:
    """The labelled cloud; a .label file has a value for every point of the message, as its reader expects."""
    points, masks = view.points, view.masks
    if target.suffix == ".label":
        labels = points.at_message_places(masks.labels, 0)
        write_cloud(target, Cloud(np.zeros((len(labels), 3), np.float32), None, None, labels))
        return
    cloud = Cloud(np.ascontiguousarray(points.xyz), points.rgb, None, masks.labels)
    write_cloud(target, cloud, {"probability": masks.probability, "uncertainty": masks.uncertainty})


def _write_cloud(target: Path, shown: Shown, places: dict[Mark, Mark]) -> None:
    """Points, frame and stamp, and where clicks that were given on earlier clouds are in this one."""
    points = shown.points
    arrays: dict[str, np.ndarray] = {
        "xyz": points.xyz,
        "shape": np.array(points.shape),
        "frame": np.array(shown.frame),
        "stamp": np.array(shown.stamp),
        "clicks": np.array([[*mark.point, *now.point] for mark, now in places.items()], float).reshape(-1, 6),
        "ids": np.array([mark.id for mark in places], dtype=str),
    }
    for name, value in (("rgb", points.rgb), ("kept", points.kept), ("up", shown.up)):
        if value is not None:
            arrays[name] = value
    with replacing(target) as stream:
        np.savez(stream, **arrays)  # type: ignore[arg-type]


def _read_cloud(source: Path) -> tuple[Shown, dict[Mark, Mark]]:
    with np.load(source, allow_pickle=False) as arrays:
        missing = {"xyz", "shape", "frame", "stamp", "clicks", "ids"} - set(arrays)
        if missing:
            raise ValueError(f"{source} lacks {', '.join(sorted(missing))}")
        optional = {name: arrays.get(name) for name in ("rgb", "kept", "up")}
        height, width = (int(v) for v in arrays["shape"])
        points = Points(arrays["xyz"], optional["rgb"], None, optional["kept"], (height, width))
        shown = Shown(points, str(arrays["frame"]), int(arrays["stamp"]), optional["up"])
        places = {}
        for row, name in zip(arrays["clicks"].tolist(), arrays["ids"].tolist(), strict=True):
            places[Mark((row[0], row[1], row[2]), name)] = Mark((row[3], row[4], row[5]), name)
    return shown, places
