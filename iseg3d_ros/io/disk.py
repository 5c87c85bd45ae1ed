"""The few operations of a file system that the journal needs, so that a test can stand in for a disk that loses power.

A write is on the disk after `sync` of its file; a name that was made, moved or removed after `sync_folder`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


class Disk:
    """The machine's own file system."""

    def names(self, folder: Path) -> list[str]:
        """The names in a folder; none where there is no folder."""
        try:
            return sorted(os.listdir(folder))
        except FileNotFoundError:
            return []

    def read(self, path: Path) -> bytes:
        """A whole file."""
        return path.read_bytes()

    def make_folder(self, folder: Path) -> None:
        """A folder and those above it, on the disk when this returns."""
        if folder.is_dir():
            return
        self.make_folder(folder.parent)
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
        self.sync_folder(folder.parent)

    def create(self, path: Path) -> int:
        """An empty file, opened for writing."""
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)

    def open(self, path: Path) -> int:
        """A file that is there, opened for writing."""
        return os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)

    def write(self, file: int, at: int, data: bytes) -> None:
        """All of the data at a place in the file."""
        view = memoryview(data)
        while view:
            done = os.pwrite(file, view, at)
            view, at = view[done:], at + done

    def truncate(self, file: int, size: int) -> None:
        """The file's new length."""
        os.ftruncate(file, size)

    def sync(self, file: int) -> None:
        """Returns when what was written to the file is on the disk."""
        os.fsync(file)

    def close(self, file: int) -> None:
        """The end of writing; says nothing about the disk."""
        os.close(file)

    def is_at(self, file: int, path: Path) -> bool:
        """Whether the open file is still the one of that name: a deleted one can be written and synced all the same."""
        try:
            return os.path.samestat(os.fstat(file), os.stat(path))
        except FileNotFoundError:
            return False

    def rename(self, old: Path, new: Path) -> None:
        """Gives a file another name, in place of what had it."""
        os.replace(old, new)

    def remove(self, path: Path) -> None:
        """Takes a file away; nothing happens where there is none."""
        path.unlink(missing_ok=True)

    def sync_folder(self, folder: Path) -> None:
        """Returns when the folder's names are on the disk."""
        file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(file)
        finally:
            os.close(file)

    @contextlib.contextmanager
    def locked(self, path: Path) -> Iterator[bool]:
        """Whether this process alone holds the lock of that name; it is given back at the end, even after kill -9."""
        import fcntl

        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(file)
