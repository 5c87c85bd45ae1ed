"""Several people at one server: everybody has a desk of their own, which their browser is known by."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

from iseg3d_ros import limits
from iseg3d_ros.console.bench import Bench, Person
from iseg3d_ros.console.folder_backend import FolderWork
from iseg3d_ros.console.page import MOST, Console
from iseg3d_ros.console.server import Server

DESKS = 20  # of which those that nobody has sat at for longest are given up first
PATIENCE = 5.0  # seconds in which a page says whose it is


class Place:
    """A desk with the pages over it."""

    def __init__(self, bench: Bench, person: Person | None, most_points: int) -> None:
        self.desk = FolderWork(bench, person, present=person is not None)
        self.console = Console(self.desk, None, most_points)
        self.pages = 0

    def close(self) -> None:
        """End both."""
        self.console.close()
        self.desk.close()


class People:
    """Pages over a bench of scans, until `close`; the first scan is opened at once, for whoever comes first."""

    def __init__(self, bench: Bench, server: Server, most_points: int = MOST) -> None:
        self.server = server
        self._bench, self._most = bench, most_points
        self._spare: Place | None = Place(bench, None, most_points)
        self._latest = self._spare
        self._places: dict[str, Place] = {}  # by the person's id, in the order in which somebody came
        server.handle(self._talk, scan=bench.picture, photo=self._photo)

    def close(self) -> None:
        """Stop serving and end all desks."""
        self.server.stop()
        for place in [*self._places.values(), *([self._spare] if self._spare else [])]:
            place.close()

    async def _talk(self, connection: Any, works: bool) -> None:
        """One page; one for looking only sees the desk at which somebody came last."""
        place = self._place(await _introduced(connection)) if works else None
        if place is None:
            await self._latest.console.talk(connection, False)
            return
        place.pages += 1
        place.desk.present = True
        self._latest = place
        try:
            await place.console.talk(connection, True)
        finally:
            place.pages -= 1
            place.desk.present = place.pages > 0

    def _place(self, person: Person) -> Place | None:
        """A person's desk; None where there is no room for another."""
        place = self._places.pop(person.id, None)
        if place is None and self._spare is not None:
            place, self._spare = self._spare, None
            place.desk.person = self._named(person)
            place.desk.nudge()
        if place is None:
            if len(self._places) >= DESKS:
                empty = next((id for id, each in self._places.items() if not each.pages), None)
                if empty is None:
                    return None
                threading.Thread(target=self._places.pop(empty).close, daemon=True).start()
            place = Place(self._bench, self._named(person), self._most)
        self._places[person.id] = place
        return place

    def _named(self, person: Person) -> Person:
        return Person(person.id, person.name or self._bench.name_of(person.id) or f"Operator {len(self._places) + 1}")

    def _photo(self, key: int) -> bytes | None:
        """A camera image of any desk; from any thread."""
        places = [*self._places.values(), *([self._spare] if self._spare else [])]
        return next((image for place in places if (image := place.console.picture(key)) is not None), None)


async def _introduced(connection: Any) -> Person:
    """Whose page it is; nobody's where it does not say so at once."""
    try:
        said = json.loads(await asyncio.wait_for(connection.recv(), PATIENCE))
    except (ValueError, TimeoutError, asyncio.TimeoutError):
        return Person()
    match said:
        case {"do": "hello", "person": str(person), "name": str(name)}:
            return Person(person[: limits.NAME], "".join(each for each in name if each.isprintable())[: limits.NAME])
    return Person()
