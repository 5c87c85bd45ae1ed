"""Work that an operator did in the console or with the node: the last cloud of a folder's journal, with its masks."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np

from iseg3d_ros.cloud import Cloud
from iseg3d_ros.data.sample import Sample, Samples, labelled
from iseg3d_ros.io.journal_files import Files
from iseg3d_ros.preprocessing.up_direction import rotation_to_z

_LABELS = "masks.labels"


def recognises(path: Path) -> bool:
    """Whether a folder is a journal, or holds folders of work with one."""
    return bool(_journals(path))


def sessions(path: Path) -> Samples:
    """One sample a journal; whatever is not labelled is background."""
    journals = _journals(path)
    names = [str(journal.relative_to(path)) if journal != path else path.name for journal in journals]
    return Samples(names, lambda k: _read(journals[k], names[k]))


def _journals(path: Path) -> list[Path]:
    found = {log.parent for pattern in ("", "journal*/", "*/journal*/") for log in path.glob(f"{pattern}journal-*.log")}
    return sorted(found)


def _read(journal: Path, name: str) -> Sample:
    with tempfile.TemporaryDirectory() as folder:  # recovering sets damaged files aside: not those of the work itself
        copy = shutil.copytree(journal, Path(folder) / "journal", ignore=shutil.ignore_patterns("lock"))
        arrays = Files(copy).recover().arrays or {}
    if "xyz" not in arrays or _LABELS not in arrays or len(arrays[_LABELS]) != len(arrays["xyz"]):
        raise ValueError(f"{journal} holds no finished masks: open the work in the console once more and close it, or "
                         "export it as PLY and train on the exported folder.")  # fmt: skip
    turn = np.eye(3) if arrays.get("up") is None else rotation_to_z(arrays["up"])
    xyz = (arrays["xyz"] @ turn.T.astype(np.float32)).astype(np.float32)
    return Sample(name, labelled(name, Cloud(xyz, arrays.get("rgb")), arrays[_LABELS], {}, "room"))
