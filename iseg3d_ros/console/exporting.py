"""What the console exports: the labelled cloud with the objects' names, classes and boxes, in every format of `io`."""

from __future__ import annotations

import io
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from iseg3d_ros.console.updates import CloudUpdate, LabelsUpdate, StateUpdate
from iseg3d_ros.interaction.storage import inside
from iseg3d_ros.io.columns import Cloud
from iseg3d_ros.io.exports import FORMATS, ExportedObject, LabelledResult, export


def result_of(cloud: CloudUpdate, state: StateUpdate, labels: LabelsUpdate, up: np.ndarray) -> LabelledResult:
    """A result as the exports take it."""
    labelled = Cloud(cloud.xyz, cloud.rgb, cloud.intensity, labels.labels.astype(np.int32))
    objects = tuple(
        ExportedObject(item.index, item.name, item.category, item.attributes, item.box if item.boxed else None)
        for item in state.objects
    )
    return LabelledResult(labelled, objects, labels.probability, labels.uncertainty, up.tolist(), labels.variance)


def packed(kind: str, result: LabelledResult) -> tuple[str, bytes]:
    """A file's name and content; a folder comes as a zip archive."""
    if kind not in FORMATS:
        raise ValueError(f"The format {kind!r} is none of {', '.join(FORMATS)}.")
    with tempfile.TemporaryDirectory() as folder:
        form = FORMATS[kind]
        target = Path(folder, "labelled" if form.folder else f"labelled.{kind}")
        export(target, kind, result)
        if not form.folder:
            return target.name, target.read_bytes()
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as writer:
            for file in sorted(target.rglob("*")):
                writer.write(file, file.relative_to(folder))
    return f"labelled_{kind}.zip", archive.getvalue()


def new_file(folder: Path, name: str, kind: str) -> Path:
    """Where a session or an export of this name goes; ValueError where something is there already."""
    if kind != "session" and kind not in FORMATS:
        raise ValueError(f"The format {kind!r} is none of session, {', '.join(FORMATS)}.")
    target = inside(folder, name, "json" if kind == "session" else kind)
    if kind != "session" and FORMATS[kind].folder:
        target = target.with_suffix("")
    if target.exists():
        raise ValueError(f"{target} is there already: choose another name. Nothing was written.")
    target.parent.mkdir(parents=True, exist_ok=True)
    return target
