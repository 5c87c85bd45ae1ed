"""A disk in memory that loses power: what was not synced may be there, wholly, in part, or not at all.

Every operation is logged. `states_after` gives disks as a power cut after any number of them may leave them: a file
has what was written before its last sync, and any of the writes since, in pieces of a sector; a folder has the names of
its last sync, and any of the changes since.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from iseg3d_ros.io.disk import Disk

SECTOR = 64  # bytes that are written whole; small, so that small records are torn too


@dataclass
class Inode:
    """A file: its bytes as programs see them, as they surely are on the disk, and the operations in between."""

    now: bytearray = field(default_factory=bytearray)
    synced: bytes = b""
    pending: list[tuple[int, bytes] | int] = field(default_factory=list)  # a write at a place, or a new length


class SimulatedDisk(Disk):
    """Counts operations; at number `dies_at` the power goes: that one and all later ones raise `PowerCut`."""

    def __init__(self, names: dict[Path, Inode] | None = None) -> None:
        self.now: dict[Path, Inode] = dict(names or {})
        self.synced: dict[Path, Inode] = dict(self.now)
        self.changes: list[tuple[Path, Inode | None]] = []  # of names, since the last sync of the folder
        self.count, self.dies_at = 0, -1
        self.fails: OSError | None = None  # raised by all that writes, while it is set
        self._open: dict[int, Inode] = {}
        self._next = 3

    def _step(self) -> None:
        if self.count == self.dies_at:
            raise PowerCut
        if self.fails is not None:
            raise self.fails
        self.count += 1

    def names(self, folder: Path) -> list[str]:
        return sorted(path.name for path in self.now if path.parent == folder)

    def read(self, path: Path) -> bytes:
        if path not in self.now:
            raise FileNotFoundError(2, "No such file", str(path))
        return bytes(self.now[path].now)

    def make_folder(self, folder: Path) -> None:
        pass

    def create(self, path: Path) -> int:
        self._step()
        inode = Inode()
        self._name(path, inode)
        return self._handle(inode)

    def open(self, path: Path) -> int:
        return self._handle(self.now[path])

    def _handle(self, inode: Inode) -> int:
        self._next += 1
        self._open[self._next] = inode
        return self._next

    def write(self, file: int, at: int, data: bytes) -> None:
        self._step()
        inode = self._open[file]
        inode.pending.append((at, bytes(data)))
        _put(inode.now, at, data)

    def truncate(self, file: int, size: int) -> None:
        self._step()
        inode = self._open[file]
        inode.pending.append(size)
        _cut(inode.now, size)

    def sync(self, file: int) -> None:
        self._step()
        inode = self._open[file]
        inode.synced, inode.pending = bytes(inode.now), []

    def close(self, file: int) -> None:
        self._open.pop(file)

    def is_at(self, file: int, path: Path) -> bool:
        return self.now.get(path) is self._open[file]

    def rename(self, old: Path, new: Path) -> None:
        self._step()
        inode = self.now[old]
        self._name(old, None)
        self._name(new, inode)

    def remove(self, path: Path) -> None:
        self._step()
        if path in self.now:
            self._name(path, None)

    def _name(self, path: Path, inode: Inode | None) -> None:
        self.changes.append((path, inode))
        _apply(self.now, path, inode)

    def sync_folder(self, folder: Path) -> None:
        self._step()
        self.synced, self.changes = dict(self.now), []

    @contextlib.contextmanager
    def locked(self, path: Path) -> Iterator[bool]:
        yield True

    def after_power_cut(self, rng: random.Random | None) -> SimulatedDisk:
        """A disk as it may be now; without a generator what is lost is all that can be."""
        names = dict(self.synced)
        for path, inode in self.changes:
            if rng and rng.random() < 0.5:
                _apply(names, path, inode)
        found = {}
        for path, inode in names.items():
            data = _survivor(inode, rng)
            found[path] = Inode(bytearray(data), data)
        return SimulatedDisk(found)


class PowerCut(BaseException):
    """The end; no program handles it."""


def _survivor(inode: Inode, rng: random.Random | None) -> bytes:
    data = bytearray(inode.synced)
    for change in inode.pending if rng else ():
        assert rng
        if isinstance(change, int):
            if rng.random() < 0.5:
                _cut(data, change)
            continue
        at, written = change
        whole = rng.choice(("none", "all", "some", "beginning"))
        stop = rng.randrange(len(written) + 1) if whole == "beginning" else len(written)
        for start in range(0, stop, SECTOR):
            if whole in ("all", "beginning") or (whole == "some" and rng.random() < 0.5):
                _put(data, at + start, written[start : min(start + SECTOR, stop)])
    return bytes(data)


def _put(data: bytearray, at: int, piece: bytes) -> None:
    if len(data) < at:
        data.extend(bytes(at - len(data)))
    data[at : at + len(piece)] = piece


def _cut(data: bytearray, size: int) -> None:
    del data[size:]
    data.extend(bytes(size - len(data)))


def _apply(names: dict[Path, Inode], path: Path, inode: Inode | None) -> None:
    if inode is None:
        names.pop(path, None)
    else:
        names[path] = inode
