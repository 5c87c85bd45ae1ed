"""The journal of one operator's work: what is acknowledged is on the disk, come a crash or a power cut.

`interaction/work_store.py` wires it to a session:

    journal, work = Journal.open(folder, tell)   # what is there: work.state, work.arrays, and work.actions after it
    future = journal.append(action, arrays)      # never waits; done when the action is on the disk
    if journal.due:
        journal.snapshot(state, arrays)          # compacts; never waits either
    journal.close()

An action is a dict of what JSON can say (click, add, rename, remove, select, undo, redo, clear …); one that brings a
cloud is appended with its `arrays`, which are on the disk before the action is, under a name made of their checksum. A
snapshot's arrays are written only if they are not there yet. Arrays must not be changed after they were handed over.
`append`'s future is done when the action is synced to the disk: publish `accepted` then, not before. Where the disk is
full, read-only, slow or taken away the future stays open and the writing is tried again; `trouble` says why, `tell` is
told once, and once more when all is well again.

A log of our own, not SQLite: in WAL mode with synchronous=FULL a commit took 1.1 to 1.4 times as long on the same disk
(both wait for one sync), a damaged page costs many records where here it costs one, and arrays would be copied into it.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from iseg3d_ros.io.disk import Disk
from iseg3d_ros.io.journal_files import Files, Recovered
from iseg3d_ros.io.journal_records import LONGEST, as_json

__all__ = ["Journal", "JournalError", "Recovered"]

BACKLOG = 1000  # actions that may wait for the disk; then it is stuck, and further ones are refused
FULL_BYTES, FULL_CLOUDS = 4 << 20, 4  # of the present file: then a snapshot is due
FIRST_REST, LONGEST_REST = 0.05, 2.0  # seconds between attempts to write


class JournalError(RuntimeError):
    """An action that is not, and will not be, on the disk; the sentence says why."""


@dataclass
class _Item:
    """What waits: an action, or a state for a snapshot, as JSON."""

    is_snapshot: bool
    value: str
    arrays: Mapping[str, np.ndarray] | None
    done: Future[int] = field(default_factory=Future)


class Journal:
    """Actions in, futures out; one thread of its own writes, and one sync serves all that came meanwhile."""

    def __init__(self, files: Files, tell: Callable[[str], None], held: contextlib.ExitStack) -> None:
        self._files, self._tell, self._held = files, tell, held
        self._waiting: deque[_Item] = deque()
        self._changed = threading.Condition()
        self._until: float | None = None  # when closing gives up
        self.trouble = ""  # why nothing can be written at present; empty: all is well
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    @classmethod
    def open(
        cls, folder: Path | str, tell: Callable[[str], None] = lambda sentence: None, disk: Disk | None = None
    ) -> tuple[Journal, Recovered]:
        """The journal of a folder and the work that it holds; JournalError only where another process has it open.

        Damaged, foreign and missing files are told and in the notes; none of them keeps the journal from opening.
        """
        folder, disk, held = Path(folder).expanduser().absolute(), disk or Disk(), contextlib.ExitStack()
        try:
            disk.make_folder(folder)
            alone = held.enter_context(disk.locked(folder / "lock"))
        except OSError:
            alone = True  # nothing can be written there at present, by nobody
        if not alone:
            raise JournalError(f"{folder} is in use by another process: end it, or choose another folder.")
        files = Files(folder, disk)
        recovered = files.recover()
        for note in recovered.notes:
            tell(note)
        return cls(files, tell, held), recovered

    def load(self, cloud: str) -> dict[str, np.ndarray]:
        """The arrays that an action came with; ValueError with a sentence where they are gone or damaged."""
        return self._files.load(cloud)

    @property
    def due(self) -> bool:
        """Whether enough has been done since the last snapshot for another."""
        return self._files.size > FULL_BYTES or self._files.clouds > FULL_CLOUDS

    def append(self, action: Mapping[str, Any], arrays: Mapping[str, np.ndarray] | None = None) -> Future[int]:
        """Leaves an action to be written; its future is done (with the action's number) when it is on the disk.

        ValueError for an action that JSON has no words for, JournalError where the disk is stuck or the journal closed.
        """
        return self._offer(_Item(False, as_json(action), arrays))

    def snapshot(self, state: Mapping[str, Any], arrays: Mapping[str, np.ndarray] | None = None) -> Future[int]:
        """Leaves the state after all actions appended so far to be written, in place of them."""
        return self._offer(_Item(True, as_json(state), arrays))

    def _offer(self, item: _Item) -> Future[int]:
        if len(item.value) > LONGEST - 1000:
            raise ValueError(f"A record of {len(item.value) >> 20} MB is longer than the journal's {LONGEST >> 20} MB.")
        with self._changed:
            if self._until is not None:
                raise JournalError("The journal is closed: nothing more can be accepted.")
            if len(self._waiting) >= BACKLOG:
                why = self.trouble or "the disk is stuck"
                raise JournalError(f"{len(self._waiting)} actions wait to be written: {why}. Nothing more is accepted.")
            self._waiting.append(item)
            self._changed.notify()
        return item.done

    def close(self, patience: float = 2.0) -> bool:
        """Writes what waits, for so many seconds at most; whether all of it is on the disk. The rest is refused."""
        with self._changed:
            if self._until is None:
                self._until = time.monotonic() + patience
            self._changed.notify()
        self._thread.join(patience + 0.3)
        with self._changed:
            left = [*self._waiting]
            self._waiting.clear()
        why = self.trouble or "the disk is slow"
        for item in left:
            _finish(item, JournalError(f"It could not be written before the end: {why}."))
        if not self._thread.is_alive():
            self._files.close()
            self._held.close()
        return not left

    def _run(self) -> None:
        rest = FIRST_REST
        while batch := self._next():
            try:
                last = self._write(batch)
            except Exception as error:  # whatever it is, the thread must live and say it
                if isinstance(error, ValueError):  # the item's own fault: arrays that cannot be kept
                    self._settle(batch[:1], error)
                    continue
                self._in_trouble(error)
                if batch[0].is_snapshot:  # the actions that it would replace are on the disk: it can do without
                    self._settle(batch, JournalError(f"There is no snapshot: {self.trouble}."))
                    continue
                if not self._pause(rest):
                    return
                rest = min(2 * rest, LONGEST_REST)
                continue
            rest = FIRST_REST
            if self.trouble:
                self.trouble = ""
                self._tell("The journal can be written again; all actions that waited are on the disk.")
            self._settle(batch, last)

    def _next(self) -> list[_Item]:
        """What can be written at once: a snapshot, or actions up to the next snapshot or cloud."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._until is not None)
            batch: list[_Item] = []
            for item in self._waiting:
                if batch and (item.is_snapshot or item.arrays is not None):
                    break
                batch.append(item)
                if item.is_snapshot:
                    break
            return batch

    def _write(self, batch: list[_Item]) -> int:
        first = batch[0]
        cloud = self._files.keep(first.arrays) if first.arrays is not None else None
        if first.is_snapshot:
            return self._files.compact(first.value, cloud)
        return self._files.append([(item.value, cloud if item is first else None) for item in batch])

    def _settle(self, batch: list[_Item], result: int | Exception) -> None:
        with self._changed:
            for item in batch:
                if self._waiting and self._waiting[0] is item:
                    self._waiting.popleft()
        for place, item in enumerate(batch):
            _finish(item, result if isinstance(result, Exception) else result - len(batch) + 1 + place)

    def _in_trouble(self, error: Exception) -> None:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        sentence = f"the journal in {self._files.folder} cannot be written ({why})"
        if sentence != self.trouble:
            self.trouble = sentence
            self._tell(f"{sentence[0].upper()}{sentence[1:]}: actions wait, and are not acknowledged until it can.")

    def _pause(self, rest: float) -> bool:
        """Waits before the next attempt; False: closing has waited long enough."""
        with self._changed:
            if self._until is None:
                self._changed.wait_for(lambda: self._until is not None, rest)
            else:
                self._changed.wait(min(rest, 0.1))
            return self._until is None or time.monotonic() < self._until


def _finish(item: _Item, result: int | Exception) -> None:
    """Sets the future; one that its owner cancelled, or that is done, is left alone."""
    if item.done.cancelled() or item.done.done():
        return
    with contextlib.suppress(Exception):  # a callback's error is its owner's
        if isinstance(result, Exception):
            item.done.set_exception(result)
        else:
            item.done.set_result(result)
