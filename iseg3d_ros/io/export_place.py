"""Where a result goes: nothing that is there is written over, and a name stands only for what is whole."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from iseg3d_ros.io.atomic_write import umask

CONTENTS = "export.json"  # what an exported folder holds: only such a folder is ever replaced


def check_place(path: Path, overwrite: bool, folder: bool = False) -> None:
    """Refuse, before any work, a place that the result could not be put to."""
    parent = path.absolute().parent
    if not parent.is_dir():
        raise ValueError(f"The folder {parent} does not exist: make it, or name another place for {path.name}.")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise ValueError(f"The folder {parent} cannot be written to: name another place, or ask for the permission.")
    if not os.path.lexists(path):
        return
    if not overwrite:
        raise FileExistsError(f"{path} is there already: name another place, or give --overwrite to replace it.")
    if folder:
        _check_replaceable(path)
    elif path.is_dir():
        raise ValueError(f"{path} is a folder: name the file to write.")


def _check_replaceable(path: Path) -> None:
    """Only a folder that was exported, with nothing in it that was not, may go."""
    try:
        known = {CONTENTS, *json.loads((path / CONTENTS).read_text(encoding="utf-8"))["files"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FileExistsError(f"{path} was not written by an export, so it is not replaced: name a new one.") from error
    there = {str(file.relative_to(path)) for file in path.rglob("*") if not file.is_dir()}
    if foreign := sorted(there - known):
        raise FileExistsError(
            f"{path} also holds {foreign[0]}, which the export did not write, so it is not replaced: name a new folder."
        )


@contextlib.contextmanager
def new_file(path: Path, overwrite: bool) -> Iterator[Path]:
    """A path of the same suffix to write to; the file takes its name, synced, when the block ends without an error."""
    check_place(path, overwrite)
    parent = path.absolute().parent
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=f".part{path.suffix}", dir=parent)
    os.close(descriptor)
    part = Path(name)
    try:
        yield part
        os.chmod(part, 0o666 & ~umask())
        _sync(part)
        if overwrite:
            os.replace(part, path)
        else:
            _take_free_name(part, path)
        _sync(parent)
    finally:
        part.unlink(missing_ok=True)


def _take_free_name(part: Path, path: Path) -> None:
    """A hard link is refused where the name was taken meanwhile; a rename would replace it."""
    try:
        os.link(part, path)
    except FileExistsError as error:
        raise FileExistsError(f"{path} appeared meanwhile and was left as it is: name another place.") from error
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EACCES, errno.EMLINK):
            raise
        check_place(path, False)  # a file system without links, as on memory sticks
        os.replace(part, path)


class NewFolder:
    """A folder that takes its name once it is whole.

    If the name was taken meanwhile the work stays in `part` and the error says so; after another error it goes.
    """

    def __init__(self, path: Path, overwrite: bool) -> None:
        check_place(path, overwrite, folder=True)
        self.path, self._overwrite = path, overwrite

    def __enter__(self) -> Path:
        parent = self.path.absolute().parent
        self.part = Path(tempfile.mkdtemp(prefix=f".{self.path.name}.", suffix=".part", dir=parent))
        return self.part

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            shutil.rmtree(self.part, ignore_errors=True)
            return
        os.chmod(self.part, 0o777 & ~umask())
        for file in self.part.rglob("*"):
            _sync(file)
        try:
            self._take_name()
        except OSError as error:
            raise OSError(f"{self.path} could not be made ({error}); everything is in {self.part}.") from error
        _sync(self.path.absolute().parent)

    def _take_name(self) -> None:
        if not os.path.lexists(self.path):
            os.rename(self.part, self.path)
            return
        check_place(self.path, self._overwrite, folder=True)
        earlier = Path(tempfile.mkdtemp(prefix=f".{self.path.name}.", suffix=".old", dir=self.path.absolute().parent))
        os.rename(self.path, earlier)  # an empty folder gives way; both are on the disk until the new one has the name
        try:
            os.rename(self.part, self.path)
        except OSError:
            os.rename(earlier, self.path)
            raise
        shutil.rmtree(earlier, ignore_errors=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
