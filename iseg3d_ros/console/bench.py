"""What the desks of several people share: the scans, the work on each, pictures, progress, and who has which scan.

The list is in `.work/scans.json` of the folder for results: which scan was open, whose, what was found in each, how far
each is, and whether objects are carried over; pictures of the scans are beside it.
"""

from __future__ import annotations

import functools
import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from iseg3d_ros.cloud import READABLE, Cloud
from iseg3d_ros.console.local_backend import LocalWork
from iseg3d_ros.console.local_state import abilities
from iseg3d_ros.console.protocol import Category
from iseg3d_ros.console.scans import Scan
from iseg3d_ros.console.thumbnails import Illustrator, Thumbnails
from iseg3d_ros.console.updates import Job, Message
from iseg3d_ros.io.atomic_write import replacing
from iseg3d_ros.predictor import Predictor

STATES = ("", "done", "skipped")
REMEMBERED = 50  # people


@dataclass(frozen=True)
class Person:
    """Whoever sits at a desk: what their browser is known by, and the name that others see."""

    id: str = ""
    name: str = ""


class Desk(Protocol):
    """What the bench knows of a desk."""

    person: Person
    present: bool  # somebody's browser is connected

    def nudge(self) -> None:
        """The list has changed."""

    def tell(self, message: Message) -> None:
        """A sentence for whoever sits there."""


@dataclass(frozen=True, eq=False)
class Hold:
    """Whose a scan is, and since when (seconds since 1970)."""

    desk: Desk
    since: float


class Bench:
    """Used by the threads of all desks; a work is closed when no desk is near it."""

    def __init__(
        self, scans: Sequence[Scan], load: Callable[[str, float], Predictor], model: str, folder: Path,
        categories: Sequence[Category] = (), carries: bool = False,
    ) -> None:  # fmt: skip
        """`carries`: objects of a scan are found again in the next one that is opened for the first time."""
        if not scans:
            raise ValueError(f"There is no scan to open; the formats are {', '.join(READABLE)}, and bags.")
        self.scans, self.carries = list(scans), carries
        self.abilities = abilities(folder, categories)
        self._load, self._model, self._folder, self._categories = _once(load), model, folder, tuple(categories)
        self._lock, self._reading = threading.RLock(), threading.Lock()
        self._opening: dict[Desk, int] = {}  # scans that desks are on their way to
        self._works: dict[int, LocalWork] = {}
        self._desks: dict[Desk, int] = {}  # and the scan that is open at each
        self._held: dict[int, Hold] = {}
        self._pictures = Thumbnails(folder / ".work" / "pictures")
        self._illustrator: Illustrator | None = None
        self._people: dict[str, dict[str, str]] = {}
        self._jobs, self._last = self._remembered()

    # Desks

    def join(self, desk: Desk) -> int:
        """A desk more; the scan to begin with: the person's own last one, the last one of all, or a free one."""
        with self._lock:
            names = [scan.name for scan in self.scans]
            mine = self._people.get(desk.person.id, {}).get("open", "")
            free = [number for number in range(len(names)) if not self._taken(number, desk)]
            alone = not any(other.present for other in self._desks)
            known = mine if mine in names else names[self._last] if alone else ""
            fresh = [number for number in free if not self._jobs[number].review and number not in self._held]
            number = names.index(known) if known else next(iter(fresh or free), self._last)
            self._desks[desk] = number
            if not self._taken(number, desk):
                self._held[number] = Hold(desk, time.time())
            return number

    def leave(self, desk: Desk) -> None:
        """A desk less; what nobody needs any longer is closed."""
        illustrator = None
        with self._lock:
            self._desks.pop(desk, None)
            self._opening.pop(desk, None)
            self._held = {number: hold for number, hold in self._held.items() if hold.desk is not desk}
            if not self._desks:
                illustrator, self._illustrator = self._illustrator, None
        self._close_far()
        if illustrator is not None:
            illustrator.close()
        self.changed()

    def opened(self, desk: Desk, number: int) -> None:
        """A desk has gone to a scan: it is its own where nobody has it, and the one before is free."""
        with self._lock:
            self._desks[desk] = self._last = number
            self._held = {each: hold for each, hold in self._held.items() if hold.desk is not desk or each == number}
            if not self._taken(number, desk) and not self.has(desk, number):
                self._held[number] = Hold(desk, time.time())
            self._opening.pop(desk, None)
        self._close_far()
        self.changed()

    def has(self, desk: Desk, number: int) -> bool:
        """Whether a scan is a desk's own; never waits."""
        hold = self._held.get(number)
        return hold is not None and hold.desk is desk

    def take_over(self, desk: Desk, number: int, word: str) -> None:
        """Make a scan a desk's own; whoever had it is told, with a word."""
        with self._lock:
            before = self._held.get(number)
            self._held[number] = Hold(desk, time.time())
        if before is not None and before.desk is not desk:
            said = f": {word}" if word else "."
            text = f"{called(desk)} has taken {self.scans[number].name} over{said}"
            before.desk.tell(Message(text, refused=True))
        self.changed()

    def whose(self, number: int) -> str:
        """A sentence on who has a scan."""
        hold = self._held.get(number)
        if hold is None:
            return "This scan is nobody's yet: take it over first."
        since = time.strftime("%H:%M", time.localtime(hold.since))
        return f"{called(hold.desk)} has had this scan since {since}: take it over first. Nothing was done."

    def _taken(self, number: int, desk: Desk) -> bool:
        """Whether somebody else is at work on a scan."""
        hold = self._held.get(number)
        return hold is not None and hold.desk is not desk and hold.desk.present

    # Scans

    def work(self, desk: Desk, number: int) -> LocalWork:
        """The work on a scan, which is read where it is not in memory."""
        say = desk.tell
        with self._reading:
            if number not in self._works:
                scan = self.scans[number]
                cloud = scan.read()
                given = _beside(lambda: scan.labels(cloud), "labels", None, say)
                images = _beside(scan.images, "camera images", (), say)
                self._works[number] = LocalWork(
                    cloud, self._load, self._model, self._folder, self._categories, given, images
                )
            return self._works[number]

    def on_the_way(self, desk: Desk, number: int) -> None:
        """A desk is about to open a scan, whose work must not be closed meanwhile."""
        with self._lock:
            self._opening[desk] = number

    def open_work(self, number: int) -> LocalWork | None:
        """The work on a scan, if it is in memory."""
        return self._works.get(number)

    def _close_far(self) -> None:
        with self._reading, self._lock:
            near = {current + step for current in self._desks.values() for step in (-1, 0, 1)}
            near |= set(self._opening.values())
            far = [self._works.pop(number) for number in [*self._works] if number not in near]
        for work in far:
            work.close()

    # The list

    def jobs(self, desk: Desk) -> tuple[Job, ...]:
        """Every scan as a desk sees it."""
        with self._lock:
            return tuple(self._job(number, job, desk) for number, job in enumerate(self._jobs))

    def _job(self, number: int, job: Job, desk: Desk) -> Job:
        hold = self._held.get(number)
        picture = self._pictures.version(job.name)
        if hold is None or hold.desk is desk:
            return replace(job, picture=picture)
        return replace(job, picture=picture, holder=called(hold.desk), since=hold.since)

    def note(self, number: int, **changes: Any) -> None:
        """What was found in a scan (`objects`), or how far it is (`review`)."""
        with self._lock:
            changed = replace(self._jobs[number], **changes)
            if changed == self._jobs[number]:
                return
            self._jobs[number] = changed
        self.changed()

    def carry(self, on: bool) -> None:
        """Whether objects are carried over from now on."""
        self.carries = on
        self.changed()

    def changed(self) -> None:
        """Tell all desks, and keep it."""
        with self._lock:
            desks = list(self._desks)
            self._keep()
        for desk in desks:
            desk.nudge()

    # Pictures

    def picture(self, number: int) -> bytes | None:
        """The PNG file of a scan's picture; None while there is none. Any thread may ask."""
        return self._pictures.read(self.scans[number].name) if 0 <= number < len(self.scans) else None

    def illustrate(self, number: int, read: Callable[[], Cloud] | None = None) -> None:
        """Draw a scan as it is now, or, where it has no picture, as its file is."""
        scan = self.scans[number]
        if read is None and self._pictures.version(scan.name):
            return
        with self._lock:
            if self._illustrator is None:
                self._illustrator = Illustrator(self._pictures, self.changed)
            self._illustrator.draw(scan.name, read or scan.read, now=read is not None)

    # What is kept

    @property
    def _list(self) -> Path:
        return self._folder / ".work" / "scans.json"

    def _keep(self) -> None:
        for desk, number in self._desks.items():
            if desk.person.id:
                self._people.pop(desk.person.id, None)
                self._people[desk.person.id] = {"name": desk.person.name, "open": self.scans[number].name}
        self._people = dict([*self._people.items()][-REMEMBERED:])
        self._list.parent.mkdir(parents=True, exist_ok=True)
        content = {
            "open": self.scans[self._last].name,
            "carries": self.carries,
            "scans": {job.name: {"objects": job.objects, "review": job.review} for job in self._jobs},
            "people": self._people,
        }
        with replacing(self._list) as stream:
            stream.write(json.dumps(content, indent=1).encode())

    def _remembered(self) -> tuple[list[Job], int]:
        try:
            content = json.loads(self._list.read_text(encoding="utf-8"))
            known, last, people = dict(content["scans"]), str(content["open"]), dict(content.get("people", {}))
            self._people = {id: {"name": str(row["name"]), "open": str(row["open"])} for id, row in people.items()}
        except (OSError, ValueError, KeyError, TypeError):
            content, known, last = {}, {}, ""
        self.carries |= content.get("carries") is True
        names = [scan.name for scan in self.scans]
        jobs = [_job(name, known.get(name)) for name in names]
        return jobs, names.index(last) if last in names else 0

    def name_of(self, person: str) -> str:
        """What a person was called last."""
        return self._people.get(person, {}).get("name", "")


def called(desk: Desk) -> str:
    """A desk's person by name."""
    return desk.person.name or "Somebody"


def _job(name: str, known: object) -> Job:
    match known:
        case {"objects": int(objects), "review": str(review)} if review in STATES:
            return Job(name, objects, review)
    return Job(name)


def _beside(read: Callable[[], Any], what: str, otherwise: Any, say: Callable[[Message], object]) -> Any:
    """What belongs to a scan; it can be worked on without that, too."""
    try:
        return read()
    except (ValueError, OSError) as error:
        say(Message(f"Without its {what}: {error}", refused=True))
        return otherwise


def _once(load: Callable[[str, float], Predictor]) -> Callable[[str, float], Predictor]:
    """Every model is loaded once, for all scans."""
    lock, cached = threading.Lock(), functools.cache(load)

    def loaded(model: str, voxel_size: float) -> Predictor:
        with lock:
            return cached(model, voxel_size)

    return loaded
