"""The work on many scans, one after the other: a list with its progress, the next scan encoded ahead.

Each scan has a `LocalWork` of its own, so everything is kept as for a single file. The list itself is in
`.work/scans.json` of the folder for results: which scan was open, what was found in each, how far each is, and whether
objects are carried over; pictures of the scans are beside it.
"""

from __future__ import annotations

import functools
import json
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from iseg3d_ros.cloud import READABLE, Cloud
from iseg3d_ros.console.carrying import carried
from iseg3d_ros.console.local_backend import LocalWork, shipped
from iseg3d_ros.console.protocol import Abilities, Carry, Category, Command, OpenScan, Review, TakeLabels
from iseg3d_ros.console.scans import Scan
from iseg3d_ros.console.thumbnails import Illustrator, Thumbnails
from iseg3d_ros.console.updates import (
    Board,
    BusyUpdate,
    CloudUpdate,
    Job,
    JobsUpdate,
    LabelsUpdate,
    LinkUpdate,
    Mailbox,
    Message,
    StateUpdate,
    Update,
)
from iseg3d_ros.io.atomic_write import replacing
from iseg3d_ros.io.exports import FORMATS
from iseg3d_ros.predictor import Predictor

Wish = OpenScan | Review | Carry
LOOK = 0.5  # seconds between two looks at what is to do
STATES = ("", "done", "skipped")


class FolderWork:
    """A `Work` whose cloud changes; commands go to the scan that is open. Two more at most are held in memory."""

    def __init__(
        self, scans: Sequence[Scan], load: Callable[[str, float], Predictor], model: str, folder: Path,
        categories: Sequence[Category] = (), carries: bool = False,
    ) -> None:  # fmt: skip
        """`carries`: objects of a scan are found again in the next one that is opened for the first time."""
        if not scans:
            raise ValueError(f"There is no scan to open; the formats are {', '.join(READABLE)}, and bags.")
        self._scans, self._model, self._folder, self._carries = list(scans), model, folder, carries
        self._load = _once(load)
        self._categories = tuple(categories)
        self._board = Board()
        self._pictures = Thumbnails(folder / ".work" / "pictures")
        self._jobs, self._current = self._remembered()
        self._works: dict[int, LocalWork] = {}
        self._shown: dict[type, Update] = {}  # what the scan that is open has said last, by kind
        self._inbox = Mailbox()
        self._illustrator = Illustrator(self._pictures, lambda: self._inbox.call(self._tell))
        self._wishes: queue.Queue[Wish | None] = queue.Queue()
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
        if isinstance(command, Wish):
            self._wish(command)
        elif work := self._works.get(self._current):
            work.send(command)

    def picture(self, number: int) -> bytes | None:
        """The PNG file of a scan's picture; None while there is none. Any thread may ask."""
        return self._pictures.read(self._scans[number].name) if 0 <= number < len(self._scans) else None

    def close(self) -> None:
        """End after the commands under way."""
        self._illustrator.close()
        self._wish(None)
        self._thread.join(10)
        for work in self._works.values():
            work.close()

    def _wish(self, wish: Wish | None) -> None:
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
                except (ValueError, OSError, RuntimeError) as error:
                    self._board.publish(Message(str(error), refused=True))
            updates, calls = self._inbox.take(LOOK)
            for call in calls:
                call()
            if updates:
                self._board.publish(*updates)
                self._note(updates)

    def _obey(self, wish: Wish) -> None:
        if isinstance(wish, OpenScan):
            self._open(wish.number)
        elif isinstance(wish, Carry):
            self._carries = wish.on
            self._tell()
        elif wish.state in STATES:
            self._jobs[self._current] = replace(self._jobs[self._current], review=wish.state)
            self._illustrate()
            self._tell()

    def _open(self, number: int) -> None:
        if not 0 <= number < len(self._scans):
            raise ValueError(f"There is no scan {number + 1}: there are {len(self._scans)}.")
        self._board.publish(BusyUpdate(f"reading {self._scans[number].name}"))
        try:
            work = self._work(number)
            if self._carries and abs(number - self._current) == 1:
                self._carry_into(work)
        finally:
            self._board.publish(BusyUpdate())
        self._illustrate()
        if before := self._works.get(self._current):
            before.unsubscribe(self._inbox)
        self._current, self._shown = number, {}
        for far in [each for each in self._works if abs(each - number) > 1]:
            self._works.pop(far).close()
        self._board.publish(StateUpdate())  # nothing of the scan before
        self._inbox = work.subscribe()
        self._tell()

    def _work(self, number: int) -> LocalWork:
        if number not in self._works:
            scan = self._scans[number]
            cloud = scan.read()
            given = self._beside(lambda: scan.labels(cloud), "labels", None)
            images = self._beside(scan.images, "camera images", ())
            self._works[number] = LocalWork(
                cloud, self._load, self._model, self._folder, self._categories, given, images
            )
        return self._works[number]

    def _beside(self, read: Callable[[], Any], what: str, otherwise: Any) -> Any:
        """What belongs to a scan; it can be worked on without that, too."""
        try:
            return read()
        except (ValueError, OSError) as error:
            self._board.publish(Message(f"Without its {what}: {error}", refused=True))
            return otherwise

    def _carry_into(self, work: LocalWork) -> None:
        """Ask the next scan's work to begin with the objects of the one that is open, where it has none of its own."""
        cloud, state, labels = (self._shown.get(kind) for kind in (CloudUpdate, StateUpdate, LabelsUpdate))
        match cloud, state, labels:
            case CloudUpdate(), StateUpdate(objects=[_, *_]), LabelsUpdate():
                name = self._scans[self._current].name
                self._board.publish(BusyUpdate(f"carrying {len(state.objects)} objects over"))
                try:
                    given = carried(cloud, state, labels, work.cloud, name)
                except Exception as error:  # a scan in which nothing can be followed is opened all the same
                    self._board.publish(Message(f"Nothing could be carried over: {error!r}", refused=True))
                    return
                if given:
                    work.send(TakeLabels(given))

    def _illustrate(self) -> None:
        """A picture of the open scan with its objects."""
        cloud, labels = self._shown.get(CloudUpdate), self._shown.get(LabelsUpdate)
        if isinstance(cloud, CloudUpdate):
            found = labels.labels if isinstance(labels, LabelsUpdate) else None
            labelled = Cloud(cloud.xyz, cloud.rgb, None, found)
            self._illustrator.draw(self._scans[self._current].name, lambda: labelled, now=True)

    def _note(self, updates: list[Update]) -> None:
        """Count what was found; once this scan is ready the next one is read and encoded, and all are drawn."""
        for update in updates:
            self._shown[type(update)] = update
            if isinstance(update, StateUpdate) and update.model:
                found = len(update.objects)
                if found != self._jobs[self._current].objects:
                    self._jobs[self._current] = replace(self._jobs[self._current], objects=found)
                    self._tell()
            if isinstance(update, LinkUpdate) and update.connected:
                self._read_ahead()

    def _read_ahead(self) -> None:
        if self._current + 1 < len(self._scans):
            try:
                self._work(self._current + 1)
            except (ValueError, OSError, RuntimeError) as error:
                self._board.publish(Message(f"The next scan cannot be read: {error}"))
        for scan in self._scans:
            if not self._pictures.version(scan.name):
                self._illustrator.draw(scan.name, scan.read)

    def _tell(self) -> None:
        jobs = tuple(replace(job, picture=self._pictures.version(job.name)) for job in self._jobs)
        self._board.publish(JobsUpdate(jobs, self._current, self._carries))
        self._list.parent.mkdir(parents=True, exist_ok=True)
        content = {
            "open": self._scans[self._current].name,
            "carries": self._carries,
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
            content, known, last = {}, {}, ""
        self._carries |= content.get("carries") is True
        names = [scan.name for scan in self._scans]
        jobs = [_job(name, known.get(name)) for name in names]
        return jobs, names.index(last) if last in names else 0


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
