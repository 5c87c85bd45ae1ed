"""The journal's folder: files `journal-<n>.log`, each a snapshot and the actions after it, and `cloud-<checksum>.bin`.

Two generations are kept, so that a damaged snapshot is made good by the one before it and the actions of both files.
A new file is written under another name, synced, renamed, and the folder synced; only then is anything older removed.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from iseg3d_ros.io.disk import Disk
from iseg3d_ros.io.journal_records import (
    ACTION,
    BEGIN,
    FORMAT,
    SNAPSHOT,
    Record,
    checksum,
    encode,
    is_newer,
    pack,
    scan,
    unpack,
)  # fmt: skip

LOG = re.compile(r"journal-(\d{8})\.log$")
CLOUD = re.compile(r"cloud-([0-9a-f]{32})\.bin$")
GENERATIONS = 2
LEAP = 1 << 32  # added to the numbers of actions where a file could not be read: its own must not come again


@dataclass(frozen=True)
class Recovered:
    """What a folder held: the last snapshot's state and arrays (None: there was none), the actions after it, in order.

    An action that came with arrays names them in `clouds` at its own place (else None); `Journal.load` reads them.
    `notes` are sentences for the operator: what was damaged, missing or set aside.
    """

    state: Any = None
    arrays: dict[str, np.ndarray] | None = None
    actions: list[dict[str, Any]] = field(default_factory=list)
    clouds: list[str | None] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Files:
    """Reads the folder once, then writes it; every write is on the disk when it returns, or raises OSError."""

    def __init__(self, folder: Path, disk: Disk | None = None) -> None:
        self.folder, self.disk = folder, disk or Disk()
        self.sequence = 0  # of the last record
        self._generation = 0
        self._image = bytearray()  # what the present file holds, to write it anew where it was taken away
        self._file: int | None = None
        self._unsure = False  # whether bytes past the image may be in the file
        self._refers: dict[int, set[str]] = {}  # the clouds that a generation's records name
        self._clouds: dict[str, Mapping[str, np.ndarray]] = {}  # those of the present one, to write them anew
        self._there: set[str] = set()  # those known to be whole on the disk
        self._bases: set[int] = set()  # the generations that begin with a state
        self._unreadable = False  # a file may be ours and could not be read: nothing that it may name is removed

    # Reading

    def recover(self) -> Recovered:
        """The work as it was; nothing damaged or foreign keeps it from being read."""
        notes: list[str] = []
        found: dict[int, list[Record]] = {}
        try:
            names = self.disk.names(self.folder)
        except OSError as error:
            return Recovered(notes=[f"The journal in {self.folder} cannot be read: {error.strerror or error}."])
        for name in names:
            if match := LOG.match(name):
                records = self._read(self.folder / name, int(match[1]), notes)
                if records is not None:
                    found[int(match[1])] = records
            elif name.endswith(".part") and (LOG.match(name[:-5]) or CLOUD.match(name[:-5])):
                with contextlib.suppress(OSError):
                    self.disk.remove(self.folder / name)
        for number, rows in found.items():
            self._refers[number] = {str(row.body["cloud"]) for row in rows if row.body.get("cloud")}
            self._bases |= {number} if any(row.kind == SNAPSHOT for row in rows) else set()
        return self._together([record for number in sorted(found) for record in found[number]], notes)

    def _read(self, path: Path, number: int, notes: list[str]) -> list[Record] | None:
        self._generation = max(self._generation, number)
        try:
            data = self.disk.read(path)
        except OSError as error:
            notes.append(f"{path} cannot be read ({error.strerror or error}); its actions are missing.")
            self._image, self._unreadable = bytearray(), True
            return None
        result = scan(data)
        if not result.records:
            self._image = bytearray()
            notes.append(self._set_aside(path, data))
            return None
        if result.damaged:
            notes.append(f"{path} is damaged: {result.damaged} bytes between its records cannot be used.")
        if result.end < len(data):
            notes.append(f"{path} ended in {len(data) - result.end} bytes of an unfinished or damaged record, now cut.")
        if any(record.version < FORMAT for record in result.records):
            self._keep_older(path.with_name(f"{path.name}.format-{result.records[0].version}"), data, notes)
        self._image, self._unsure = bytearray(data[: result.end]), True  # of the last file in the end
        return result.records

    def _keep_older(self, copy: Path, data: bytes, notes: list[str]) -> None:
        """The file as an older version of the program wrote it; that version can go on with the copy."""
        try:
            if copy.name not in self.disk.names(self.folder):
                self._write_new(copy, data)
                notes.append(f"The journal has an older format: it was taken over, and kept as {copy}.")
        except OSError as error:
            notes.append(f"The journal has an older format, and no copy could be kept: {error.strerror or error}.")

    def _set_aside(self, path: Path, data: bytes) -> str:
        """Another name for a file that is not ours, so that nothing is written over it; what was done, in words."""
        why = "was written by a later version" if is_newer(data) else "is no journal, or damaged beyond use"
        taken = {*self.disk.names(self.folder)}
        name = next(n for n in (f"{path.name}.aside-{i}" for i in range(len(taken) + 1)) if n not in taken)
        try:
            self.disk.rename(path, path.with_name(name))
            self.disk.sync_folder(self.folder)
        except OSError as error:
            return f"{path} {why}, and cannot be set aside ({error.strerror or error}); it is left as it is."
        return f"{path} {why}: it was set aside as {name}."

    def _together(self, records: list[Record], notes: list[str]) -> Recovered:
        """The newest snapshot and what came after it, whichever file holds it."""
        snapshots = sorted((r for r in records if r.kind == SNAPSHOT), key=lambda record: record.sequence)
        last = snapshots[-1] if snapshots else None  # of two with one number, that of the later file
        start = last.sequence if last else 0
        after = {r.sequence: r for r in records if r.kind == ACTION and r.sequence > start}
        rows = [after[number] for number in sorted(after)]
        begun = {record.sequence for record in records if record.kind == BEGIN}
        steps = zip([start, *sorted(after)], sorted(after))
        missing = sum(now - before - 1 for before, now in steps if now - 1 not in begun or now - before < LEAP)
        if missing:
            notes.append(f"{missing} actions in {self.folder} are damaged and missing; all others are there.")
        self.sequence = max([start, *after]) + (LEAP if self._unreadable else 0)
        arrays = self._arrays(last.body.get("cloud"), notes) if last else None
        state = last.body.get("state") if last else None
        actions = [row.body.get("action") or {} for row in rows]
        return Recovered(state, arrays, actions, [row.body.get("cloud") for row in rows], notes)

    def _arrays(self, name: Any, notes: list[str]) -> dict[str, np.ndarray] | None:
        if not name:
            return None
        try:
            arrays = self.load(str(name))
            self._clouds[str(name)] = arrays
            return arrays
        except ValueError as error:
            notes.append(str(error))
            return None

    def load(self, name: str) -> dict[str, np.ndarray]:
        """The arrays of that name; ValueError with a sentence where they are gone or damaged."""
        path = self._cloud(name)
        if not CLOUD.match(path.name):
            raise ValueError(f"{name!r} is no name of a cloud in {self.folder}.")
        try:
            data = self.disk.read(path)
        except OSError as error:
            raise ValueError(f"The cloud {path} cannot be read: {error.strerror or error}.") from error
        if checksum(data) != name:
            raise ValueError(f"The cloud {path} is damaged: its checksum is another than its name says.")
        return unpack(data)

    def _cloud(self, name: str) -> Path:
        return self.folder / f"cloud-{name}.bin"

    # Writing

    @property
    def size(self) -> int:
        """Bytes of the present file."""
        return len(self._image)

    @property
    def clouds(self) -> int:
        """How many clouds the present file's records name."""
        return len(self._refers.get(self._generation, ()))

    def keep(self, arrays: Mapping[str, np.ndarray]) -> str:
        """Arrays on the disk, under the name that is returned; those that are there already are not written again."""
        name, data = pack(arrays)
        self._write_cloud(name, data)
        self._clouds[name] = arrays
        return name

    def _write_cloud(self, name: str, data: bytes) -> None:
        path = self._cloud(name)
        if name in self._there or self._is_whole(path, name):
            self._there.add(name)
            return
        self.disk.make_folder(self.folder)
        self._write_new(path, data)
        self._there.add(name)

    def _is_whole(self, path: Path, name: str) -> bool:
        with contextlib.suppress(OSError):
            if path.name in self.disk.names(self.folder) and checksum(self.disk.read(path)) == name:
                self.disk.sync_folder(self.folder)
                return True
        return False

    def _write_new(self, path: Path, data: bytes) -> None:
        """A file that has its name only when all of it is on the disk."""
        part = path.with_name(f"{path.name}.part")
        try:
            file = self.disk.create(part)
            try:
                self.disk.write(file, 0, data)
                self.disk.sync(file)
            finally:
                self.disk.close(file)
            self.disk.rename(part, path)
        except OSError:
            with contextlib.suppress(OSError):
                self.disk.remove(part)
            raise
        self.disk.sync_folder(self.folder)

    def append(self, actions: list[tuple[str, str | None]]) -> int:
        """Actions (JSON, name of their cloud) at the end of the present file, in one sync; the last one's number."""
        if not self._image:
            self._begin(encode(BEGIN, self.sequence, "state", "null", None), set())
        chunk = b"".join(encode(ACTION, self.sequence + 1 + i, "action", *action) for i, action in enumerate(actions))
        if self._file is None:
            self._reopen()
        assert self._file is not None
        path = self._path(self._generation)
        if self._unsure:
            self.disk.truncate(self._file, len(self._image))
        self._unsure = True
        self.disk.write(self._file, len(self._image), chunk)
        self.disk.sync(self._file)
        if not self.disk.is_at(self._file, path):
            self._let_go()
            raise FileNotFoundError(2, "the file was taken away", str(path))
        self._unsure = False
        self._image += chunk
        self._refers.setdefault(self._generation, set()).update(cloud for _, cloud in actions if cloud)
        self.sequence += len(actions)
        return self.sequence

    def _path(self, generation: int) -> Path:
        return self.folder / f"journal-{generation:08d}.log"

    def _reopen(self) -> None:
        """The present file, opened, or written anew with what it held, clouds and all, where it is gone or changed."""
        path = self._path(self._generation)
        with contextlib.suppress(FileNotFoundError):
            if self.disk.read(path)[: len(self._image)] == self._image:
                file, self._unsure = self.disk.open(path), True
                self.disk.sync(file)  # what an earlier run wrote may be in the machine's memory only
                self._anchor()
                self._file = file
                return
        wanted = self._refers.get(self._generation, set())
        self._there -= wanted
        for name in wanted & set(self._clouds):
            self.keep(self._clouds[name])
        self._begin(bytes(self._image), wanted)

    def _anchor(self) -> None:
        """The folder's names on the disk, and its own name, which an earlier run may have left in memory only."""
        self.disk.sync_folder(self.folder)
        with contextlib.suppress(PermissionError):
            self.disk.sync_folder(self.folder.parent)

    def compact(self, state: str, cloud: str | None) -> int:
        """A new generation that begins with this state (JSON); of the older ones all but one are removed."""
        image = encode(SNAPSHOT, self.sequence, "state", state, cloud)
        self._begin(image, {cloud} if cloud else set())
        self._prune()
        return self.sequence

    def _begin(self, image: bytes, refers: set[str]) -> None:
        self.disk.make_folder(self.folder)
        names, number = {*self.disk.names(self.folder)}, self._generation + 1
        while self._path(number).name in names:  # never over another's file
            number += 1
        self._write_new(self._path(number), image)
        self._let_go()
        self._generation, self._image, self._unsure = number, bytearray(image), False
        self._refers[number] = set(refers)
        self._bases |= {number} if scan(image).records[0].kind == SNAPSHOT else set()
        self._anchor()
        self._file = self.disk.open(self._path(number))

    def _prune(self) -> None:
        """Leaves the last two states with what follows them, and their clouds; what resists, stays until next time."""
        oldest = sorted(self._bases)[-GENERATIONS:][0] if len(self._bases) >= GENERATIONS else 0
        gone = {number for number in self._refers if number < oldest}
        self._refers = {number: refers for number, refers in self._refers.items() if number >= oldest}
        self._bases = {number for number in self._bases if number >= oldest}
        named = set().union(*self._refers.values())
        self._clouds = {n: arrays for n, arrays in self._clouds.items() if n in self._refers[self._generation]}
        with contextlib.suppress(OSError):
            for name in self.disk.names(self.folder):
                log, cloud = LOG.match(name), CLOUD.match(name)
                surplus = cloud and cloud[1] not in named and not self._unreadable
                if surplus or (log and int(log[1]) in gone):
                    self.disk.remove(self.folder / name)
                    self._there -= {cloud[1]} if cloud else set()

    def _let_go(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                self.disk.close(self._file)
            self._file = None

    close = _let_go
