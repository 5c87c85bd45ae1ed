"""The work on a cloud file without ROS: a session on a thread of its own."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import queue
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from iseg3d_ros import limits
from iseg3d_ros.cloud import Cloud
from iseg3d_ros.console.exporting import new_file, result_of
from iseg3d_ros.console.label_import import GivenLabels, is_labels, labels_of
from iseg3d_ros.console.local_state import StateMaker, abilities, up_of
from iseg3d_ros.console.peeking import Peeks
from iseg3d_ros.console.protocol import (
    Abilities,
    Capture,
    Carry,
    Category,
    Command,
    Introduce,
    Open,
    OpenScan,
    Paint,
    Peek,
    Propose,
    Review,
    Save,
    SetBox,
    Setup,
    Split,
    TakeLabels,
    TakeOver,
    Watch,
)
from iseg3d_ros.console.search import Search
from iseg3d_ros.console.session_commands import carry_out
from iseg3d_ros.console.session_edits import (
    paint,
    set_box,
    split,
    take_labels,
    take_up,
)
from iseg3d_ros.console.updates import (
    Board,
    BusyUpdate,
    CloudUpdate,
    ImagesUpdate,
    LabelsUpdate,
    LinkUpdate,
    Mailbox,
    Message,
)
from iseg3d_ros.interaction.current_cloud import CurrentCloud
from iseg3d_ros.interaction.session import InteractiveSession
from iseg3d_ros.interaction.storage import inside, save_session
from iseg3d_ros.interaction.work_store import FixedCloud, WorkStore
from iseg3d_ros.io.camera_images import CameraImage
from iseg3d_ros.io.exports import export
from iseg3d_ros.io.pointcloud2_read import Points
from iseg3d_ros.predictor import Predictor, Segmentation

PATIENCE = 2.0  # seconds that the page waits for the disk before it says so
REFUSALS = (ValueError, RuntimeError, OSError, LookupError)

next_serial = itertools.count(1).__next__  # tells the clouds of all works of this process apart


class LocalWork:
    """`load(model, voxel_size)` makes the predictor, on the worker's thread; the page is there meanwhile."""

    def __init__(
        self, cloud: Cloud, load: Callable[[str, float], Predictor], model: str, folder: Path,
        categories: Sequence[Category] = (), given: GivenLabels | None = None, images: Sequence[CameraImage] = (),
    ) -> None:  # fmt: skip
        """`categories`: classes that objects may have; `given`: labels to begin with, where nothing is kept yet.

        `images`: what cameras saw of the cloud.
        """
        self._given = given
        self._cloud, self._load, self._folder, self._offered = cloud, load, folder, tuple(categories)
        self._board = Board()
        points = Points(cloud.xyz, cloud.rgb, cloud.intensity, None, (1, len(cloud.xyz)))
        self._current = CurrentCloud(points, "", 0, None)
        self._update = CloudUpdate(next_serial(), cloud.xyz, cloud.rgb, intensity=cloud.intensity)
        self._session: InteractiveSession | None = None
        self._encode_ms = 0.0
        self._search: Search | None = None
        self._peeks: Peeks | None = None
        self._states = StateMaker(cloud.xyz)
        self._commands: queue.Queue[Command | None] = queue.Queue()
        self._commands.put(Setup(model))
        self._thread = threading.Thread(target=self._run, name="session", daemon=True)
        self._board.publish(LinkUpdate(False, "The cloud is being prepared."))
        self._board.publish(self._update, ImagesUpdate(tuple(images)))
        self._thread.start()

    @cached_property
    def _store(self) -> WorkStore:
        folder = self._folder / ".work" / digest_of(self._cloud)
        return WorkStore(folder, FixedCloud(self._current, {}), self._say, keeps_clouds=False)

    @property
    def cloud(self) -> Cloud:
        """The one that is worked on."""
        return self._cloud

    @property
    def abilities(self) -> Abilities:
        """What can be done with a file."""
        return abilities(self._folder, self._offered)

    def subscribe(self) -> Mailbox:
        """A mailbox that begins with the present state."""
        return self._board.subscribe()

    def unsubscribe(self, mailbox: Mailbox) -> None:
        """A reader that has gone."""
        self._board.unsubscribe(mailbox)

    def send(self, command: Command) -> None:
        """Queue a command."""
        self._commands.put(command)

    def close(self) -> None:
        """End after the command under way."""
        self._commands.put(None)
        self._thread.join(5)
        if self._session is not None:
            self._store.close(self._session)

    def _run(self) -> None:
        while (command := self._next()) is not None:
            try:
                self._do(command)
                while self._commands.queue and (waiting := self._commands.queue[0]) is not None:
                    self._commands.get()
                    self._do(waiting)  # what has queued up meanwhile costs one segmentation
            except REFUSALS as error:
                self._board.publish(Message(_sentence(error), refused=True))
            except Exception as error:  # a model that fails must not end the page
                self._board.publish(Message(f"The model failed: {error!r}. Undo, or choose another one.", refused=True))
            self._show()

    def _next(self) -> Command | None:
        """The next command that does something; until one comes, the newest peek is answered and a search goes on."""
        peek: Peek | None = None
        while True:
            if self._commands.empty() and peek is not None:
                self._answer(peek)
                peek = None
            elif self._commands.empty() and self._search is not None:
                if not self._search.step():
                    self._search = None
            else:
                command = self._commands.get()
                if not isinstance(command, Peek):
                    return command
                peek = command

    def _answer(self, peek: Peek) -> None:
        with contextlib.suppress(Exception):  # nobody has asked for anything: nothing need be said
            if self._peeks is not None and (seen := self._peeks.look(peek)):
                self._board.publish(seen)

    def _do(self, command: Command) -> None:
        if isinstance(command, Setup):
            self._search = None
            self._set_up(command)
            return
        if isinstance(command, Watch | Peek):  # one that has waited is of no use
            return
        session = self._ready()
        match command:
            case Split(id):
                count = split(session, self._labels_now(session), id)
                self._board.publish(Message(f"Split into {count} parts."))
            case Paint(region, id, takes, hidden):
                labels = self._labels_now(session)
                shown = self._there & ~np.isin(labels, hidden) if hidden else self._there
                paint(session, labels, region.points(self._cloud.xyz, shown), id, takes)
            case SetBox(id, box):
                set_box(session, self._cloud.xyz, self._labels_now(session), id, box)
            case TakeLabels(given):
                self._begin_with(session, given)
            case Propose(name):
                self._search = Search(session, self._update, self._board, name)
            case OpenScan() | Review() | Carry() | TakeOver() | Introduce():
                raise ValueError("There is one scan only: open a folder to go through several.")
            case Save(name, kind):
                self._board.publish(Message(f"Saved {self._save(session, name, kind)}."))
            case Open(name):
                self._open(session, name)
            case Capture():
                raise ValueError("The cloud comes from a file: there is none to capture.")
            case _:
                carry_out(session, command, lambda: self._labels_now(session), self._offered)

    def _begin_with(self, session: InteractiveSession, given: GivenLabels) -> None:
        """Labels for work that has not begun yet."""
        if session.objects or session.clicks or session.can_undo or session.can_redo:
            return
        take_labels(session, given)
        self._board.publish(Message(f"Took {len(given.objects)} objects from {given.source}: clicks correct them."))

    def _open(self, session: InteractiveSession, name: str) -> None:
        """A session, or the labels of a file that has another suffix than a session's."""
        path = self._folder / name
        if not is_labels(path):
            take_up(session, inside(self._folder, name, "json"), len(self._cloud))
            return
        path = inside(self._folder, name, path.suffix.removeprefix("."))
        given = labels_of(self._cloud, path, path)
        if given is None:
            raise ValueError(f"{path} labels no object.")
        take_labels(session, given)

    def _labels_now(self, session: InteractiveSession) -> np.ndarray:
        return session.segment().labels

    @cached_property
    def _there(self) -> NDArray[np.bool_]:
        """The points that can be touched."""
        there: NDArray[np.bool_] = np.isfinite(self._cloud.xyz).all(axis=1)
        return there

    def _ready(self) -> InteractiveSession:
        if self._session is None:
            raise RuntimeError("There is no model yet; choose one.")
        return self._session

    def _set_up(self, wanted: Setup) -> None:
        """Another predictor for the same clicks; where it cannot be had, all stays as it is."""
        with warnings.catch_warnings(record=True) as notes:
            warnings.simplefilter("always")
            self._board.publish(BusyUpdate("loading the model"))
            session = InteractiveSession(self._load(wanted.model, wanted.voxel_size))
            session.model.keep(limits.FILE_RESULTS)
            self._board.publish(BusyUpdate(f"encoding {len(self._cloud):,} points".replace(",", " ")))
            start = time.perf_counter()
            session.prepare(self._current)
            self._encode_ms = 1e3 * (time.perf_counter() - start)
        if self._session is not None:
            session.take_up(self._session)
        else:
            self._store.resume(session)
        self._store.follow(session)
        self._session, self._peeks = session, Peeks(session, self._update)
        if self._given is not None:
            self._begin_with(session, self._given)
        for note in notes:
            if issubclass(note.category, UserWarning):
                self._board.publish(Message(str(note.message)))
        self._board.publish(Message(f"Segmenting with {session.predictor.name}."))

    def _show(self) -> None:
        self._board.publish(BusyUpdate())
        session = self._session
        if session is None:
            self._board.publish(LinkUpdate(False, "No model could be loaded; choose another one under Model."))
            return
        self._board.publish(LinkUpdate(True))
        try:
            result = session.segment()
        except Exception as error:
            self._board.publish(Message(f"The model failed: {_sentence(error)} Undo the last click.", refused=True))
            return
        if not_kept := self._store.wait(PATIENCE):
            self._board.publish(Message(not_kept, refused=True))
        self._store.rest(session)
        state = self._states.state(session, result, self._encode_ms)
        self._board.publish(state, self._labels(result), self._states.history(session))

    def _labels(self, result: Segmentation) -> LabelsUpdate:
        return LabelsUpdate(self._update.serial, result.labels, result.probability, result.uncertainty, result.variance)

    def _save(self, session: InteractiveSession, name: str, kind: str) -> Path:
        """Write to a new file or folder: what is there stays."""
        target = new_file(self._folder, name, kind)
        if kind == "session":
            save_session(target, session, self._current, {click: click for click in session.clicks})
            return target
        result = session.segment()
        state = self._states.state(session, result, self._encode_ms)
        export(target, kind, result_of(self._update, state, self._labels(result), up_of(session)))
        return target

    def _say(self, sentence: str) -> None:
        self._board.publish(Message(sentence[:1].upper() + sentence[1:] + "."))


def digest_of(cloud: Cloud) -> str:
    """What tells a cloud from another: work is kept under it."""
    digest = hashlib.sha256(cloud.xyz.tobytes())
    digest.update(b"" if cloud.rgb is None else cloud.rgb.tobytes())
    return digest.hexdigest()[:16]


def _sentence(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}."
    return str(error) or type(error).__name__
