"""What the console is told: immutable values, of which a newer one replaces an older one of its kind."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from iseg3d_ros.geometry.boxes import Box
from iseg3d_ros.io.camera_images import CameraImage

Place = tuple[float, float, float]
MESSAGES = 50  # sentences that wait at most; the oldest go


@dataclass(frozen=True, eq=False)
class CloudUpdate:
    """A cloud to show: `xyz` (N, 3) metres, `rgb` uint8 (N, 3) and `intensity` (N,) or None.

    `serial` differs from every other cloud's. `preview`: it is the newest one that arrived, not one that is held; there
    is no result for it.
    """

    serial: int
    xyz: np.ndarray
    rgb: np.ndarray | None
    frame: str = ""
    preview: bool = False
    intensity: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class LabelsUpdate:
    """The result for the cloud with that serial: int labels, float32 probability, uncertainty (nats), each (N,).

    `variance` of networks that sample.
    """

    serial: int
    labels: np.ndarray
    probability: np.ndarray
    uncertainty: np.ndarray
    variance: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class ObjectState:
    """One object; `index` is its label, `colour` its red, green, blue in 0..255."""

    id: str
    name: str
    index: int
    colour: tuple[int, int, int]
    points: int = 0
    confidence: float = float("nan")
    lost: bool = False
    clicks: tuple[Place, ...] = ()
    box: Box | None = None
    category: str = ""
    locked: bool = False
    attributes: tuple[tuple[str, str], ...] = ()
    boxed: bool = False  # its box was given by hand
    guesses: tuple[tuple[str, float], ...] = ()  # its likeliest classes, of models that know some, the likeliest first
    within: str = ""  # the id of the object that it is a part of


@dataclass(frozen=True)
class Suggestion:
    """Where the next click would help most, and the object that the model takes the place for ("": background)."""

    point: Place
    id: str


@dataclass(frozen=True, eq=False)
class StateUpdate:
    """The whole state of the work beside its masks; `classes`: those that the network knows by name."""

    objects: tuple[ObjectState, ...] = ()
    active: str = ""
    background: tuple[Place, ...] = ()
    suggestion: Suggestion | None = None
    can_undo: bool = False
    can_redo: bool = False
    mode: str = "frozen"
    model: str = ""
    encode_ms: float = 0.0
    segment_ms: float = 0.0
    classes: tuple[str, ...] = ()

    def object(self, wanted: str) -> ObjectState | None:
        """By id."""
        return next((item for item in self.objects if item.id == wanted), None)


@dataclass(frozen=True)
class Done:
    """One step of the history: what was done, and the object that it concerns; `colour` is () where that is unknown.

    `verb`, `id`, `name` and `more` are as in `interaction.steps.Step`.
    """

    verb: str
    id: str = ""
    name: str = ""
    more: str = ""
    colour: tuple[int, ...] = ()


@dataclass(frozen=True)
class HistoryUpdate:
    """The steps that can be undone and done again, the oldest first; the first `present` of them hold.

    `revision` is another one whenever the steps are; where one only goes along them it stays.
    """

    revision: int = 0
    steps: tuple[Done, ...] = ()
    present: int = 0


@dataclass(frozen=True)
class Proposed:
    """Where something could be an object, what, how sure that is, and a point that is on it (-1: the nearest)."""

    point: Place
    name: str
    score: float
    index: int = -1


@dataclass(frozen=True)
class ProposalsUpdate:
    """What could be an object in the cloud with that serial, the surest first."""

    serial: int
    proposals: tuple[Proposed, ...] = ()


@dataclass(frozen=True, eq=False)
class PeekUpdate:
    """What a click at `point` would hold in the cloud with that serial: some of the points (M, 3), none if nothing."""

    serial: int
    point: Place
    points: np.ndarray


@dataclass(frozen=True)
class LinkUpdate:
    """Whether there is somebody who segments, and a sentence for the operator where there is not."""

    connected: bool
    sentence: str = ""


@dataclass(frozen=True)
class BusyUpdate:
    """What is being done just now, in a few words; "" where nothing is."""

    stage: str = ""


@dataclass(frozen=True)
class Job:
    """One scan of a list: its name, what was found in it, how far it is ("", "done", "skipped"), its picture's version.

    0: there is no picture of it yet. `holder`: who else has it, since when (seconds since 1970).
    """

    name: str
    objects: int = 0
    review: str = ""
    picture: int = 0
    holder: str = ""
    since: float = 0.0


@dataclass(frozen=True)
class JobsUpdate:
    """The list of scans, which of them is open, and whether objects are carried over into the next one.

    `mine`: the open one may be changed here; `you`: what the others call whoever sits here.
    """

    jobs: tuple[Job, ...]
    current: int
    carries: bool = False
    mine: bool = True
    you: str = ""


@dataclass(frozen=True, eq=False)
class ImagesUpdate:
    """The camera images beside the cloud; `offered`: there would be some if somebody watched."""

    images: tuple[CameraImage, ...] = ()
    offered: bool = False


@dataclass(frozen=True)
class Message:
    """A sentence for the operator; `refused` ones answer a click or a command that was not carried out."""

    text: str
    refused: bool = False


Update = (
    CloudUpdate | ImagesUpdate | LabelsUpdate | ProposalsUpdate | PeekUpdate | StateUpdate | LinkUpdate | BusyUpdate
    | JobsUpdate | HistoryUpdate | Message
)  # fmt: skip


@dataclass
class Mailbox:
    """What waits for one reader: the newest update of each kind, sentences in order, and calls from other threads."""

    _newest: dict[type, Update] = field(default_factory=dict)
    _messages: deque[Message] = field(default_factory=lambda: deque(maxlen=MESSAGES))
    _calls: deque[Callable[[], None]] = field(default_factory=deque)
    _something: threading.Condition = field(default_factory=threading.Condition)

    def put(self, *updates: Update) -> None:
        """Leave updates, of which the reader sees all or none; never waits."""
        with self._something:
            for update in updates:
                if isinstance(update, Message):
                    self._messages.append(update)
                else:
                    self._newest[type(update)] = update
            self._something.notify_all()

    def call(self, function: Callable[[], None]) -> None:
        """Have the reader's thread call a function; never waits."""
        with self._something:
            self._calls.append(function)
            self._something.notify_all()

    def take(self, timeout: float | None = None) -> tuple[list[Update], list[Callable[[], None]]]:
        """All that waits: updates in the order in which they build on one another, then calls."""
        with self._something:
            self._something.wait_for(lambda: self._newest or self._messages or self._calls, timeout)
            order = (
                LinkUpdate, BusyUpdate, JobsUpdate, CloudUpdate, ImagesUpdate, StateUpdate, LabelsUpdate,
                HistoryUpdate, ProposalsUpdate, PeekUpdate,
            )  # fmt: skip
            updates: list[Update] = [self._newest[kind] for kind in order if kind in self._newest]
            updates += self._messages
            calls = list(self._calls)
            self._newest.clear()
            self._messages.clear()
            self._calls.clear()
        return updates, calls


class Board:
    """Where a work pins its updates: every reader has a mailbox of its own, which begins with what is pinned."""

    def __init__(self) -> None:
        self._pinned: dict[type, Update] = {}
        self._readers: list[Mailbox] = []
        self._lock = threading.Lock()

    def publish(self, *updates: Update) -> None:
        """Tell every reader, a cloud together with its labels; never waits for one."""
        with self._lock:
            self._pinned |= {type(update): update for update in updates if not isinstance(update, Message)}
            readers = list(self._readers)
        for reader in readers:
            reader.put(*updates)

    def subscribe(self) -> Mailbox:
        """A new reader's mailbox."""
        mailbox = Mailbox()
        with self._lock:
            self._readers.append(mailbox)
            for update in self._pinned.values():
                mailbox.put(update)
        return mailbox

    def unsubscribe(self, mailbox: Mailbox) -> None:
        """A reader that has gone."""
        with self._lock:
            self._readers = [reader for reader in self._readers if reader is not mailbox]
