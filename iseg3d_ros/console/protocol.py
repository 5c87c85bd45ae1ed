"""Between the console and whoever does the work: commands in, updates out.

local_backend.py does it for a file, ros/console_backend.py through a running segmenter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from iseg3d_ros.clicks import Click
from iseg3d_ros.console.label_import import GivenLabels
from iseg3d_ros.console.updates import Mailbox

EXPORTS = ("ply", "pcd", "npz", "label")


@dataclass(frozen=True)
class AddClick:
    """A click on an object by its id, on the background (""), or, where it is `new`, on an object that it begins.

    `name`: what that one is called; "": by its number. `within`: the object that it is a part of; "": of none.
    """

    click: Click
    new: bool = False
    name: str = ""
    within: str = ""


@dataclass(frozen=True)
class Select:
    """Make an object the active one; "": none, so that the next click begins a new one."""

    id: str


@dataclass(frozen=True)
class Remove:
    """Remove an object with its clicks."""

    id: str


@dataclass(frozen=True)
class Rename:
    """Give an object another name."""

    id: str
    name: str


@dataclass(frozen=True)
class Classify:
    """Give an object one of the classes; "" for none."""

    id: str
    category: str


@dataclass(frozen=True)
class Merge:
    """Make two objects one: the second's clicks are the first's from now on."""

    into: str
    id: str


@dataclass(frozen=True)
class Describe:
    """Give an object's attribute a value; "" for none."""

    id: str
    attribute: str
    value: str


@dataclass(frozen=True)
class Lock:
    """Keep an object's points as they are: it takes no clicks and loses none; or let go of them again."""

    id: str
    locked: bool


@dataclass(frozen=True)
class Split:
    """Make the connected parts of an object objects of their own."""

    id: str


@dataclass(frozen=True, eq=False)
class Paint:
    """Give the points of a region to an object ("": to one that begins with it), or take them away from it.

    `hidden`: labels whose points are not shown, and so not meant.
    """

    region: Region
    id: str
    takes: bool = False
    hidden: tuple[int, ...] = ()


@dataclass(frozen=True)
class SetBox:
    """Give an object a box by hand: fifteen numbers, "aligned" with the cloud's axes, or "" for that of its points."""

    id: str
    box: tuple[float, ...] | str


@dataclass(frozen=True, eq=False)
class TakeLabels:
    """Begin with given labels; where something has been done already they are left alone."""

    given: GivenLabels


@dataclass(frozen=True)
class Undo:
    """Take the last step back."""


@dataclass(frozen=True)
class Redo:
    """Do it again."""


@dataclass(frozen=True)
class GoTo:
    """Go to a state of the history, as that many undos or redos would.

    `to`: so many steps after the list's beginning; `revision`: of the list that it was chosen in, see `HistoryUpdate`.
    """

    revision: int
    to: int


@dataclass(frozen=True)
class Clear:
    """Forget objects and clicks; can be undone."""


@dataclass(frozen=True)
class Capture:
    """Hold the newest cloud."""


@dataclass(frozen=True)
class Setup:
    """Work with another model, voxel size (0: chosen from the cloud) or way of taking clouds; clicks stay.

    An empty model or mode is the present one.
    """

    model: str
    voxel_size: float = 0.0
    mode: str = ""


@dataclass(frozen=True)
class Save:
    """Write the work ("session") or the labelled cloud (EXPORTS) to a file in the folder of whoever works."""

    name: str
    format: str


@dataclass(frozen=True)
class Open:
    """Take up a session, or the labels of a cloud, saved under a name; can be undone."""

    name: str


@dataclass(frozen=True)
class OpenScan:
    """Go to a scan of the list, by its number; what was done in this one is kept."""

    number: int


@dataclass(frozen=True)
class Review:
    """Say how far the open scan is: "done", "skipped", or "" for not yet."""

    state: str


@dataclass(frozen=True)
class Carry:
    """Whether the objects of the scan before are found again in one that is opened for the first time."""

    on: bool


@dataclass(frozen=True)
class TakeOver:
    """Make the open scan one's own, which somebody else has; they are told, with a word."""

    word: str


@dataclass(frozen=True)
class Introduce:
    """Say what one is called."""

    name: str


@dataclass(frozen=True)
class Propose:
    """Look for everything that could be an object, or for things of a class alone that the network knows.

    What else is asked for meanwhile goes between.
    """

    class_name: str = ""


@dataclass(frozen=True)
class Peek:
    """Show what a click would hold, and keep nothing of it; a later one, or anything else, takes its place."""

    click: Click
    new: bool = False


@dataclass(frozen=True)
class Watch:
    """Whether somebody looks at camera images: none need be listened to where nobody does."""

    on: bool


Command = (
    AddClick | Select | Remove | Rename | Classify | Describe | Merge | Lock | Split | Paint | SetBox | TakeLabels
    | Undo | Redo | Clear | Capture | Propose | Setup | Save | Open | OpenScan | Review | Carry | Watch | TakeOver
    | Introduce | Peek
    | GoTo
)  # fmt: skip


class Region(Protocol):
    """Something that was drawn, and the points that it means."""

    def points(self, xyz: np.ndarray, shown: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Indices of those of the shown points that it means."""


@dataclass(frozen=True)
class Category:
    """A class that objects may have: its name, its colour (red, green, blue in 0..255), and the key that gives it.

    `attributes`: names, and the values that each may have.
    """

    name: str
    colour: tuple[int, int, int]
    key: str = ""
    attributes: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True)
class Abilities:
    """What a work can do: its models, ways of taking clouds (none: the cloud is a file's), where it saves and how.

    `edits`: objects may be merged, split, locked, painted and given classes, of which `categories` are offered.
    `peeks`: it can show what a click would hold.
    """

    models: tuple[str, ...]
    modes: tuple[str, ...]
    saves_to: str
    formats: tuple[str, ...] = EXPORTS
    edits: bool = False
    categories: tuple[Category, ...] = ()
    peeks: bool = False


class Work(Protocol):
    """Who segments. Threads: `send` and `subscribe` may be called from any and never wait."""

    @property
    def abilities(self) -> Abilities:
        """What can be asked of it."""

    def subscribe(self) -> Mailbox:
        """Where its updates will be; what holds already is there at once."""

    def send(self, command: Command) -> None:
        """Ask for something. What becomes of it comes as updates, a refusal as a Message."""

    def close(self) -> None:
        """Stop working."""
