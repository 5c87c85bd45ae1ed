"""Surveyors' formats, by the packages that read and write them: LAS and LAZ by laspy, E57 by pye57."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from iseg3d_ros.io.exports import LabelledResult

LAS_STEP_METRES = 1e-4  # LAS stores whole numbers of this step
FIRST_CLASS, LAST_CLASS = 64, 255  # LAS 1.4 leaves these classes to users
UNCLASSIFIED = 1
RECORD_USER, RECORD_ID, RECORD_BYTES = "iseg3d", 1, 65535  # a variable length record


def write_las(path: Path, result: LabelledResult) -> None:
    """LAS 1.4: extra dimensions instance, probability, uncertainty; classes from 64 on; the objects in a record."""
    import laspy

    cloud, labels = result.cloud, result.labels
    there = np.isfinite(cloud.xyz).all(axis=1)  # LAS has no NaN
    header = laspy.LasHeader(point_format=6 if cloud.rgb is None else 7, version="1.4")
    header.offsets, header.scales = np.floor(cloud.xyz[there].min(axis=0)), np.full(3, LAS_STEP_METRES)
    header.add_extra_dim(laspy.ExtraBytesParams("instance", np.uint32))
    for name in result.fields:
        header.add_extra_dim(laspy.ExtraBytesParams(name, np.float32))
    codes = _class_codes(result)
    content = json.dumps({"objects": result.described(), "classes": codes}).encode()
    record = laspy.VLR(RECORD_USER, RECORD_ID, "objects as JSON", content)
    if len(content) > RECORD_BYTES:
        raise ValueError(f"{len(result.objects)} objects do not fit a LAS record of {RECORD_BYTES} bytes; use npz.")
    header.vlrs.append(record)
    las = laspy.LasData(header)
    las.x, las.y, las.z = cloud.xyz[there].astype(np.float64).T
    if cloud.rgb is not None:
        las.red, las.green, las.blue = cloud.rgb[there].T.astype(np.uint16) * 257  # 16 bits a channel
    if cloud.intensity is not None:
        las.intensity = _sixteen_bits(cloud.intensity[there])
    las["instance"] = labels[there].astype(np.uint32)
    for name, values in result.fields.items():
        las[name] = values[there].astype(np.float32)
    classes = {item.label: codes.get(item.category, UNCLASSIFIED) for item in result.objects}
    known, place = np.unique(labels[there], return_inverse=True)
    las.classification = np.array([classes.get(int(label), UNCLASSIFIED) for label in known], np.uint8)[place]
    las.write(str(path), do_compress=path.suffix.lower() == ".laz")


def _class_codes(result: LabelledResult) -> dict[str, int]:
    names = sorted({item.category for item in result.objects if item.category})
    if len(names) > LAST_CLASS - FIRST_CLASS + 1:
        raise ValueError(f"LAS has room for {LAST_CLASS - FIRST_CLASS + 1} classes, but there are {len(names)}.")
    return {name: FIRST_CLASS + index for index, name in enumerate(names)}


def _sixteen_bits(values: np.ndarray) -> np.ndarray:
    """Intensities between 0 and 1 spread over 16 bits, others rounded."""
    largest = float(np.nanmax(values, initial=0))
    return np.clip(np.nan_to_num(values) * (65535 if largest <= 1 else 1), 0, 65535).astype(np.uint16)


def write_e57(path: Path, result: LabelledResult) -> None:
    """A scan for the background and one for each object, named "label name (class)"; E57 has no other room for them."""
    import pye57

    path.unlink(missing_ok=True)  # it was made to hold the name
    file = pye57.E57(str(path), mode="w")
    try:
        named = {0: "0 background"}
        for item in result.objects:
            named[item.label] = f"{item.label} {item.name}" + (f" ({item.category})" if item.category else "")
        there = np.isfinite(result.cloud.xyz).all(axis=1)
        for label, name in named.items():
            chosen = there & (result.labels == label)
            if chosen.any():
                file.write_scan_raw(_scan(result, chosen), name=name)
    finally:
        file.close()


def _scan(result: LabelledResult, chosen: np.ndarray) -> dict[str, np.ndarray]:
    cloud = result.cloud
    columns = {f"cartesian{axis}": cloud.xyz[chosen, at].astype(np.float64) for at, axis in enumerate("XYZ")}
    if cloud.rgb is not None:
        columns |= {f"color{name}": cloud.rgb[chosen, at] for at, name in enumerate(("Red", "Green", "Blue"))}
    if cloud.intensity is not None:
        columns["intensity"] = np.nan_to_num(cloud.intensity[chosen].astype(np.float32))
    return {name: np.ascontiguousarray(values) for name, values in columns.items()}
