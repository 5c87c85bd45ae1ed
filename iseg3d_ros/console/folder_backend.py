"""One person's desk at a bench of many scans: one of them is open, the next one is encoded ahead.

Each scan has a `LocalWork` of its own, so everything is kept as for a single file. A scan that somebody else has at
their desk can be looked at; commands are refused until it is taken over.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import replace

from iseg3d_ros import limits
from iseg3d_ros.cloud import Cloud
from iseg3d_ros.console.bench import STATES, Bench, Person
from iseg3d_ros.console.carrying import carried
from iseg3d_ros.console.local_backend import LocalWork
from iseg3d_ros.console.protocol import (
    Abilities,
    Carry,
    Command,
    Introduce,
    OpenScan,
    Peek,
    Review,
    Save,
    TakeLabels,
    TakeOver,
    Watch,
)
from iseg3d_ros.console.updates import (
    Board,
    BusyUpdate,
    CloudUpdate,
    HistoryUpdate,
    JobsUpdate,
    LabelsUpdate,
    LinkUpdate,
    Mailbox,
    Message,
    StateUpdate,
    Update,
)

Wish = OpenScan | Review | Carry | TakeOver | Introduce
LOOK = 0.5  # seconds between two looks at what is to do


class FolderWork:
    """A `Work` whose cloud changes; commands go to the scan that is open."""

    def __init__(self, bench: Bench, person: Person | None = None, present: bool = False) -> None:
        self.person, self.present = person or Person(), present
        self._bench, self._board = bench, Board()
        self._shown: dict[type, Update] = {}  # what the scan that is open has said last, by kind
        self._inbox = Mailbox()
        self._wishes: queue.Queue[Wish | Callable[[], None] | None] = queue.Queue()
        self._current = bench.join(self)
        self._wishes.put(OpenScan(self._current))
        self._thread = threading.Thread(target=self._run, name="scans", daemon=True)
        self._thread.start()

    @property
    def abilities(self) -> Abilities:
        """As those of a file."""
        return self._bench.abilities

    def subscribe(self) -> Mailbox:
        """A mailbox that begins with the present state."""
        return self._board.subscribe()

    def send(self, command: Command) -> None:
        """To the scan that is open, or about the list."""
        if isinstance(command, Wish):
            self._wish(command)
        elif not isinstance(command, Watch | Save) and not self._bench.has(self, self._current):
            if not isinstance(command, Peek):
                self.tell(Message(self._bench.whose(self._current), refused=True))
        elif work := self._bench.open_work(self._current):
            work.send(command)

    def picture(self, number: int) -> bytes | None:
        """The PNG file of a scan's picture."""
        return self._bench.picture(number)

    def tell(self, message: Message) -> None:
        """A sentence for whoever sits here."""
        self._board.publish(message)

    def nudge(self) -> None:
        """The list has changed: tell it, on this desk's thread."""
        self._wish(self._tell)

    def close(self) -> None:
        """End after the commands under way."""
        self._wish(None)
        self._thread.join(10)
        self._bench.leave(self)

    def _wish(self, wish: Wish | Callable[[], None] | None) -> None:
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
                    self.tell(Message(str(error), refused=True))
            updates, calls = self._inbox.take(LOOK)
            for call in calls:
                call()
            if updates:
                self._board.publish(*updates)
                self._note(updates)

    def _obey(self, wish: Wish | Callable[[], None]) -> None:
        match wish:
            case OpenScan(number):
                self._open(number)
            case Carry(on):
                self._bench.carry(on)
            case Review(state) if state in STATES:
                if not self._bench.has(self, self._current):
                    raise ValueError(self._bench.whose(self._current))
                self._illustrate()
                self._bench.note(self._current, review=state)
            case TakeOver(word):
                self._bench.take_over(self, self._current, word)
            case Introduce(name):
                self.person = replace(self.person, name=limits.checked_name(name))
                self._bench.changed()
            case _ if callable(wish):
                wish()

    def _open(self, number: int) -> None:
        if not 0 <= number < len(self._bench.scans):
            raise ValueError(f"There is no scan {number + 1}: there are {len(self._bench.scans)}.")
        self._board.publish(BusyUpdate(f"reading {self._bench.scans[number].name}"))
        try:
            self._bench.on_the_way(self, number)
            work = self._bench.work(self, number)
            if self._bench.carries and abs(number - self._current) == 1:
                self._carry_into(work)
        finally:
            self._board.publish(BusyUpdate())
        self._illustrate()
        if before := self._bench.open_work(self._current):
            before.unsubscribe(self._inbox)
        self._current, self._shown = number, {}
        self._board.publish(StateUpdate(), HistoryUpdate())  # nothing of the scan before
        self._inbox = work.subscribe()
        self._bench.opened(self, number)

    def _carry_into(self, work: LocalWork) -> None:
        """Ask the next scan's work to begin with the objects of the one that is open, where it has none of its own."""
        cloud, state, labels = (self._shown.get(kind) for kind in (CloudUpdate, StateUpdate, LabelsUpdate))
        match cloud, state, labels:
            case CloudUpdate(), StateUpdate(objects=[_, *_]), LabelsUpdate():
                name = self._bench.scans[self._current].name
                self._board.publish(BusyUpdate(f"carrying {len(state.objects)} objects over"))
                try:
                    given = carried(cloud, state, labels, work.cloud, name)
                except Exception as error:  # a scan in which nothing can be followed is opened all the same
                    self.tell(Message(f"Nothing could be carried over: {error!r}", refused=True))
                    return
                if given:
                    work.send(TakeLabels(given))

    def _illustrate(self) -> None:
        """A picture of the open scan with its objects."""
        cloud, labels = self._shown.get(CloudUpdate), self._shown.get(LabelsUpdate)
        if isinstance(cloud, CloudUpdate):
            found = labels.labels if isinstance(labels, LabelsUpdate) else None
            labelled = Cloud(cloud.xyz, cloud.rgb, None, found)
            self._bench.illustrate(self._current, lambda: labelled)

    def _note(self, updates: list[Update]) -> None:
        """Count what was found; once this scan is ready the next one is read and encoded, and all are drawn."""
        for update in updates:
            self._shown[type(update)] = update
            if isinstance(update, StateUpdate) and update.model:
                self._bench.note(self._current, objects=len(update.objects))
            if isinstance(update, LinkUpdate) and update.connected:
                self._read_ahead()

    def _read_ahead(self) -> None:
        if self._current + 1 < len(self._bench.scans):
            try:
                self._bench.work(self, self._current + 1)
            except (ValueError, OSError, RuntimeError) as error:
                self.tell(Message(f"The next scan cannot be read: {error}"))
        for number in range(len(self._bench.scans)):
            self._bench.illustrate(number)

    def _tell(self) -> None:
        jobs, mine = self._bench.jobs(self), self._bench.has(self, self._current)
        self._board.publish(JobsUpdate(jobs, self._current, self._bench.carries, mine, self.person.name))
