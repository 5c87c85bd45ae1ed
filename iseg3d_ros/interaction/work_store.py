"""One store for node, console and command line: whatever was acknowledged is in a journal, and is there again at start.

`resume` (or `open`, to begin anew), then `follow` the session: every action goes to the journal before it counts.
`when_kept` calls back once it is on the disk: acknowledge then. `rest` after each result compacts where it pays.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from iseg3d_ros.interaction.current_cloud import CurrentCloud
from iseg3d_ros.interaction.replay import BEGIN, Replay, flat
from iseg3d_ros.interaction.session import Action, InteractiveSession
from iseg3d_ros.interaction.state_files import read_state_files
from iseg3d_ros.interaction.stored_arrays import MASKS, Places, cloud_arrays, mask_arrays
from iseg3d_ros.io.journal import Journal, JournalError, Recovered

FOLDER = "journal"  # below the folder of the work
SIBLINGS = 20  # further folders that are tried where another process has the first
REST, LEAST_REST = 10, 2.0  # between states that are written for the masks' sake: times their duration, seconds
PATIENCE = 0.7  # seconds that the end waits for the disk


class Stage(Protocol):
    """The cloud that the clicks are on; node and console each have their own."""

    @property
    def shown(self) -> CurrentCloud | None:
        """The cloud; None before the first."""

    @property
    def places(self) -> Places:
        """Where the clicks are in it."""

    held: bool


@dataclass
class FixedCloud:
    """The stage of work on a file: one cloud for ever, on which every click is where it was given."""

    shown: CurrentCloud | None
    places: Places
    held: bool = True


@dataclass(frozen=True)
class Resumed:
    """The cloud of resumed work (None: it could not be read), where the clicks are in it, whether it is held."""

    cloud: CurrentCloud | None
    places: Places
    held: bool


class WorkStore:
    """Used by the session's own thread; `when_kept` calls back on the journal's."""

    def __init__(
        self,
        folder: Path,
        stage: Stage,
        tell: Callable[[str], None],
        wanted: Callable[[], bool] = lambda: True,
        keeps_clouds: bool = True,
    ) -> None:
        """`wanted`: whether work is kept at present. `keeps_clouds`: False where the cloud is in a file of its own."""
        self.folder, self._stage, self._tell = folder, stage, tell
        self._wanted, self._keeps_clouds = wanted, keeps_clouds
        self._journal: Journal | None = None
        self._based = False  # whether the journal leads to the session as it is
        self._cloud: CurrentCloud | None = None  # the one that the journal's last action is on
        self._last: Future[int] | None = None
        self._changed = False  # since the last state was written
        self._next_state = 0.0  # time.monotonic() from which on another may be

    @property
    def trouble(self) -> str:
        """Why nothing can be written at present; empty: all is well."""
        return self._journal.trouble if self._journal is not None else ""

    def open(self) -> None:
        """Opens the journal to begin anew, so that what is wrong with the disk is told now."""
        try:
            self._open()
        except JournalError as error:
            self._tell(str(error))

    def resume(self, session: InteractiveSession) -> Resumed | None:
        """Take up the work that the folder holds, of version 0.1 too; None where there is none."""
        try:
            journal, recovered = self._open()
        except JournalError as error:
            self._tell(str(error))
            return None
        replay = Replay(session, None if self._keeps_clouds else self._stage.shown)
        if recovered.state is None and not recovered.actions:
            return self._finish(replay) if read_state_files(self.folder, replay, self._tell) else None
        if recovered.state is not None:
            replay.state(recovered.state, recovered.arrays)
        for action, cloud in zip(recovered.actions, recovered.clouds, strict=True):
            replay.action(action, _load(journal, cloud, replay) if cloud else None)
        resumed = self._finish(replay)
        self._cloud, self._based, self._changed = resumed.cloud, True, bool(recovered.actions)
        return resumed

    def _open(self) -> tuple[Journal, Recovered]:
        """The journal of the folder, or of one beside it where another process has that one open."""
        refused = JournalError(f"{self.folder} is in use by other processes.")
        for number in range(1, SIBLINGS + 1):
            place = self.folder / (FOLDER if number == 1 else f"{FOLDER}-{number}")
            try:
                self._journal, recovered = Journal.open(place, self._tell)
            except JournalError as error:
                refused = error
                continue
            if number > 1:
                self._tell(f"{refused} This work is kept in {place} meanwhile.")
            return self._journal, recovered
        raise refused

    def follow(self, session: InteractiveSession) -> None:
        """Every action of this session is kept from now on."""
        session.on_change = lambda action: self._record(session, action)

    def when_kept(self, call: Callable[[str], None]) -> None:
        """Call with "" when all actions so far are on the disk, or with a sentence when they never will be."""

        def done(future: Future[int]) -> None:
            error = future.exception()
            call("" if error is None else str(error))

        if self._last is None:
            call("")
        else:
            self._last.add_done_callback(done)

    def wait(self, seconds: float) -> str:
        """Waits until all actions so far are on the disk; a sentence where they are not, or not within the time."""
        event, said = threading.Event(), [""]

        def kept(sentence: str) -> None:
            said[0] = sentence
            event.set()

        self.when_kept(kept)
        return said[0] if event.wait(seconds) else self.not_yet()

    def not_yet(self) -> str:
        """That what was done waits for the disk."""
        return f"It was done, but is not on the disk: {self.trouble or 'the disk is slow'}. It is tried again."

    def rest(self, session: InteractiveSession, now: bool = False) -> None:
        """Has the state written with its masks, where that is due or (at most now and then) something has changed."""
        journal = self._journal
        if journal is None or not self._based or self._next_state == math.inf:
            return
        if not (journal.due or self._changed and (now or time.monotonic() >= self._next_state)):
            return
        start = time.monotonic()

        def written(future: Future[int]) -> None:
            self._changed |= future.exception() is not None
            end = time.monotonic()
            self._next_state = end + max(LEAST_REST, REST * (end - start))

        try:
            future = journal.snapshot(self._state(session), self._arrays(session))
        except (JournalError, ValueError):
            return  # the actions that it would replace are there, or wait
        self._next_state, self._changed = math.inf, False
        future.add_done_callback(written)

    def close(self, session: InteractiveSession) -> None:
        """Ends with the state written, if the disk takes it in time."""
        if self._journal is not None:
            self.rest(session, now=True)
            self._journal.close(PATIENCE)
            self._journal = None
        session.on_change = None

    def _record(self, session: InteractiveSession, action: Action) -> None:
        if not self._wanted():
            self._based = False
            return
        if self._journal is None:
            self._open()
        if not self._based:
            self._append({"action": BEGIN, **self._state(session)}, self._arrays(session))
            self._based, self._cloud = True, self._stage.shown
        brings = self._keeps_clouds and self._stage.shown is not self._cloud and _is_on_a_cloud(action)
        cloud = self._stage.shown if brings else None
        self._append(action, None if cloud is None else cloud_arrays(cloud, self._stage.places))
        self._cloud = cloud or self._cloud
        self._changed = True

    def _append(self, action: Action, arrays: dict[str, np.ndarray] | None) -> None:
        assert self._journal is not None
        self._last = self._journal.append(action, arrays)
        self._last.add_done_callback(self._written)

    def _written(self, future: Future[int]) -> None:
        if future.exception() is not None:
            self._based = False  # what comes next does not follow from what is there

    def _state(self, session: InteractiveSession) -> dict[str, Any]:
        return {"session": session.content(), "held": self._stage.held}

    def _arrays(self, session: InteractiveSession) -> dict[str, np.ndarray] | None:
        shown = self._stage.shown
        if shown is None:
            return None
        arrays = cloud_arrays(shown, self._stage.places) if self._keeps_clouds else {}
        if (masks := session.model.latest_of(shown)) is not None:
            arrays |= {MASKS + name: values for name, values in mask_arrays(masks).items()}
        return arrays or None

    def _finish(self, replay: Replay) -> Resumed:
        places, session = replay.finish(), replay.session
        for note in replay.notes:
            self._tell(note)
        self._tell(f"took up {len(session.objects)} objects with {len(session.clicks)} clicks from {self.folder}")
        return Resumed(replay.cloud, places, replay.held)


def _is_on_a_cloud(action: Action) -> bool:
    return any(each["action"] in ("click", "capture") for each in flat(action))


def _load(journal: Journal, cloud: str, replay: Replay) -> dict[str, np.ndarray] | None:
    try:
        return journal.load(cloud)
    except ValueError as error:
        replay.lose_cloud(str(error))
        return None
