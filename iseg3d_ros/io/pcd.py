"""PCD of the Point Cloud Library: ascii, binary and binary_compressed."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from iseg3d_ros.io import lzf
from iseg3d_ros.io.atomic_write import replacing
from iseg3d_ros.io.columns import Cloud, cloud_of, columns_of, numbers, pack, rows_of
from iseg3d_ros.io.ply import write_ascii

ENCODINGS = ("binary", "ascii", "binary_compressed")


@dataclass(frozen=True)
class Header:
    """What the header says: a numpy type and a count for each field, the points, how the data are written."""

    fields: tuple[tuple[str, str, int], ...]
    points: int
    encoding: str
    start: int

    def layout(self) -> np.dtype:
        """One row as a structured type; padding fields ('_') and repeated names get names of their own."""
        return np.dtype([(f"{name} {index}", kind, (count,)) for index, (name, kind, count) in enumerate(self.fields)])


def read(path: Path) -> Cloud:
    """Read the points of a PCD file."""
    data, where = path.read_bytes(), str(path)
    header = _header(data, where)
    body = data[header.start :]
    match header.encoding:
        case "ascii":
            columns = _ascii(body, header, where)
        case "binary":
            columns = _binary(body, header, where)
        case "binary_compressed":
            columns = _compressed(body, header, where)
        case _:
            raise ValueError(f"{where}: the PCD data format {header.encoding!r} is unknown.")
    return cloud_of(columns, where)


def _header(data: bytes, where: str) -> Header:
    end = data.find(b"\nDATA")
    stop = data.find(b"\n", end + 1)
    if end < 0 or stop < 0:
        raise ValueError(f"{where} is not a PCD file, or its header is truncated: there is no DATA line.")
    lines = [line.split() for line in data[:stop].decode("ascii", "replace").splitlines()]
    words = {line[0].upper(): line[1:] for line in lines if line and not line[0].startswith("#")}
    try:
        names = words.get("FIELDS") or words["COLUMNS"]
        counts = [int(word) for word in words.get("COUNT", ["1"] * len(names))]
        sizes = [int(word) for word in words["SIZE"]]
        kinds = [f"<{kind.lower()}{size}" for kind, size in zip(words["TYPE"], sizes, strict=True)]
        points = int(words["POINTS"][0]) if "POINTS" in words else int(words["WIDTH"][0]) * int(words["HEIGHT"][0])
        fields = tuple(zip(names, [np.dtype(kind).str for kind in kinds], counts, strict=True))
        if points < 0 or min(counts, default=0) < 0:
            raise ValueError("negative counts")
        return Header(fields, points, words["DATA"][0].lower(), stop + 1)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ValueError(f"{where}: its PCD header cannot be understood ({error}).") from error


def _named(rows: Mapping[str, np.ndarray] | np.ndarray, header: Header) -> dict[str, np.ndarray]:
    """The fields of one value a point, by name."""
    return {
        name: np.ascontiguousarray(rows[f"{name} {index}"][:, 0])
        for index, (name, _, count) in enumerate(header.fields)
        if count == 1 and name != "_"
    }


def _ascii(body: bytes, header: Header, where: str) -> dict[str, np.ndarray]:
    table = numbers(body, header.points, sum(count for *_, count in header.fields), where)
    rows, column = {}, 0
    for index, (name, kind, count) in enumerate(header.fields):
        rows[f"{name} {index}"] = _typed(table[:, column : column + count], name, kind)
        column += count
    return _named(rows, header)


def _typed(values: np.ndarray, name: str, kind: str) -> np.ndarray:
    # Some writers spell a packed colour out as an integer although its TYPE says F: 4.2e6 is no packed float.
    if name in ("rgb", "rgba") and kind.endswith("f4") and np.abs(values).max(initial=0) > 1:
        return values.astype(np.uint32)
    return values.astype(kind)


def _binary(body: bytes, header: Header, where: str) -> dict[str, np.ndarray]:
    layout = header.layout()
    if len(body) < layout.itemsize * header.points:
        there = len(body) // max(layout.itemsize, 1)
        raise ValueError(f"{where} is truncated: {header.points} points are promised, {there} are there.")
    return _named(np.frombuffer(body, layout, header.points), header)


def _compressed(body: bytes, header: Header, where: str) -> dict[str, np.ndarray]:
    """The fields stand one after the other (x of all points, then y …), compressed as a whole."""
    expected = header.layout().itemsize * header.points
    if len(body) < 8:
        raise ValueError(f"{where} is truncated: the sizes of its compressed data are not there.")
    packed, unpacked = struct.unpack_from("<II", body)
    if unpacked != expected or len(body) < 8 + packed:
        raise ValueError(f"{where} is truncated or damaged: its compressed data do not have the promised size.")
    try:
        plain = lzf.decompress(body[8 : 8 + packed], unpacked)
    except ValueError as error:
        raise ValueError(f"{where} is damaged: {error}") from error
    rows, start = {}, 0
    for index, (name, kind, count) in enumerate(header.fields):
        rows[f"{name} {index}"] = np.frombuffer(plain, kind, header.points * count, start).reshape(-1, max(count, 1))
        start += np.dtype(kind).itemsize * header.points * count
    return _named(rows, header)


def write(
    path: Path, cloud: Cloud, fields: Mapping[str, np.ndarray], encoding: str, comments: Sequence[str] = ()
) -> None:
    """Write the cloud; colours are packed as PCL does. `comments` are lines of ascii for the header."""
    if encoding not in ENCODINGS:
        raise ValueError(f"PCD files are {', '.join(ENCODINGS)}, not {encoding!r}.")
    columns = columns_of(cloud, fields)
    if cloud.rgb is not None:
        columns["rgb"] = pack(cloud.rgb)
    kinds = [values.dtype for values in columns.values()]
    lines = [
        "# .PCD v0.7 - Point Cloud Data file format",
        *(f"# {text}" for text in comments),
        "VERSION 0.7",
        f"FIELDS {' '.join(columns)}",
        f"SIZE {' '.join(str(kind.itemsize) for kind in kinds)}",
        f"TYPE {' '.join(kind.kind.upper() for kind in kinds)}",
        f"COUNT {' '.join('1' for _ in kinds)}",
        f"WIDTH {len(cloud)}",
        "HEIGHT 1",
        "VIEWPOINT 0 0 0 1 0 0 0",
        f"POINTS {len(cloud)}",
        f"DATA {encoding}",
    ]
    with replacing(path) as stream:
        stream.write(("\n".join(lines) + "\n").encode())
        if encoding == "ascii":
            write_ascii(stream, columns)
        elif encoding == "binary":
            stream.write(rows_of(columns).tobytes())
        else:
            plain = b"".join(values.astype(values.dtype.newbyteorder("<")).tobytes() for values in columns.values())
            packed = lzf.compress(plain)
            stream.write(struct.pack("<II", len(packed), len(plain)) + packed)
