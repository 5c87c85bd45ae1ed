"""The work on many scans, one after the other: a list with its progress, the next scan encoded ahead.

Each scan has a `LocalWork` of its own, so everything is kept as for a single file. The list itself is in
`.work/scans.json` of the folder for results: which scan was open, what was found in each, and how far each is.
"""

from __future__ import annotations

import functools
import json
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from iseg3d_ros.cloud import READABLE, read_cloud
from iseg3d_ros.console.local_backend import LocalWork, shipped
from iseg3d_ros.console.protocol import Abilities, Category, Command, OpenScan, Review
from iseg3d_ros.console.updates import (
    Board,
    BusyUpdate,
    Job,
    JobsUpdate,
    LinkUpdate,
    Mailbox,
    Message,
    StateUpdate,
    Update,
)
from iseg3d_ros.io.atomic_write import replacing
from iseg3d_ros.io.exports import FORMATS
from iseg3d_ros.predictor import Predictor

LOOK = 0.5  # seconds between two looks at what is to do
STATES = ("", "done", "skipped")


class FolderWork:
    """A `Work` whose cloud changes; commands go to the scan that is open. Two more at most are held in memory."""

    def __init__(
        self, paths: Sequence[Path], load: Callable[[str, float], Predictor], model: str, folder: Path,
        categories: Sequence[Category] = (),
    ) -> None:  # fmt: skip
        if not paths:
            raise ValueError(f"There is no scan to open; the formats are {', '.join(READABLE)}.")
        self._paths, self._model, self._folder = list(paths), model, folder
        self._load = _once(load)
        self._categories = tuple(categories)
        self._board = Board()
        self._jobs, self._current = self._remembered()
        self._works: dict[int, LocalWork] = {}
        self._inbox = Mailbox()
        self._wishes: queue.Queue[OpenScan | Review | None] = queue.Queue()
        self._wishes.put(OpenScan(self._current))
        self._thread = threading.Thread(target=self._run, name="scans", daemon=True)
        self._thread.start()

    @property
    def abilities(self) -> Abilities:
        """As those of a file."""
        return Abilities(shipped(), (), str(self._folder), tuple(FORMATS), True, self._categories)

    def subscribe(self) -> Mailbox:
        """A mailbox that begins with the present state."""
        return self._board.subscribe()

    def send(self, command: Command) -> None:
        """To the scan that is open, or about the list."""
        if isinstance(command, OpenScan | Review):
            self._wish(command)
        elif work := self._works.get(self._current):
            work.send(command)

    def close(self) -> None:
        """End after the commands under way."""
        self._wish(None)
        self._thread.join(10)
        for work in self._works.values():
            work.close()

    def _wish(self, wish: OpenScan | Review | None) -> None:
        self._wishes.put(wish)
        self._inbox.call(lambda: None)

    def _run(self) -> None:
        while True:
            while not self._wishes.empty():
                wish = self._wishes.get()
                if wish is None:
                    return
                try:
                    self._obey(wish)
                except (ValueError, OSError) as error:
                    self._board.publish(Message(str(error), refused=True))
            updates, _ = self._inbox.take(LOOK)
            if updates:
                self._board.publish(*updates)
                self._note(updates)

    def _obey(self, wish: OpenScan | Review) -> None:
        if isinstance(wish, OpenScan):
            self._open(wish.number)
        elif wish.state in STATES:
            self._jobs[self._current] = replace(self._jobs[self._current], review=wish.state)
            self._tell()

    def _open(self, number: int) -> None:
        if not 0 <= number < len(self._paths):
            raise ValueError(f"There is no scan {number + 1}: there are {len(self._paths)}.")
        self._board.publish(BusyUpdate(f"reading {self._paths[number].name}"))
        try:
            work = self._work(number)
        finally:
            self._board.publish(BusyUpdate())
        if before := self._works.get(self._current):
            before.unsubscribe(self._inbox)
        self._current = number
        for far in [each for each in self._works if abs(each - number) > 1]:
            self._works.pop(far).close()
        self._board.publish(StateUpdate())  # nothing of the scan before
        self._inbox = work.subscribe()
        self._tell()

    def _work(self, number: int) -> LocalWork:
        if number not in self._works:
            cloud = read_cloud(self._paths[number])
            self._works[number] = LocalWork(cloud, self._load, self._model, self._folder, self._categories)
        return self._works[number]

    def _note(self, updates: list[Update]) -> None:
        """Count what was found; once this scan is ready the next one is read and encoded."""
        for update in updates:
            if isinstance(update, StateUpdate) and update.model:
                found = len(update.objects)
                if found != self._jobs[self._current].objects:
                    self._jobs[self._current] = replace(self._jobs[self._current], objects=found)
                    self._tell()
            if isinstance(update, LinkUpdate) and update.connected and self._current + 1 < len(self._paths):
                try:
                    self._work(self._current + 1)
                except (ValueError, OSError) as error:
                    self._board.publish(Message(f"The next scan cannot be read: {error}"))

    def _tell(self) -> None:
        self._board.publish(JobsUpdate(tuple(self._jobs), self._current))
        self._list.parent.mkdir(parents=True, exist_ok=True)
        content = {
            "open": self._paths[self._current].name,
            "scans": {job.name: {"objects": job.objects, "review": job.review} for job in self._jobs},
        }
        with replacing(self._list) as stream:
            stream.write(json.dumps(content, indent=1).encode())

    @property
    def _list(self) -> Path:
        return self._folder / ".work" / "scans.json"

    def _remembered(self) -> tuple[list[Job], int]:
        try:
            content = json.loads(self._list.read_text(encoding="utf-8"))
            known, last = dict(content["scans"]), str(content["open"])
        except (OSError, ValueError, KeyError, TypeError):
            known, last = {}, ""
        names = [path.name for path in self._paths]
        jobs = [_job(name, known.get(name)) for name in names]
        return jobs, names.index(last) if last in names else 0


def scans_of(places: Sequence[Path]) -> list[Path]:
    """The cloud files that were named, and those in the folders that were named, in order."""
    found: list[Path] = []
    for place in places:
        if place.is_dir():
            found += sorted(path for path in place.iterdir() if path.suffix.lower() in READABLE)
        else:
            found.append(place)
    return found


def _job(name: str, known: object) -> Job:
    match known:
        case {"objects": int(objects), "review": str(review)} if review in STATES:
            return Job(name, objects, review)
    return Job(name)


def _once(load: Callable[[str, float], Predictor]) -> Callable[[str, float], Predictor]:
    """Every model is loaded once, for all scans."""
    lock, cached = threading.Lock(), functools.cache(load)

    def loaded(model: str, voxel_size: float) -> Predictor:
        with lock:
            return cached(model, voxel_size)

    return loaded
