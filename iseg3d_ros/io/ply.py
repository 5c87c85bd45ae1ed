"""PLY: ascii and binary of both byte orders, any scalar properties, other elements skipped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np

from iseg3d_ros.io.atomic_write import replacing
from iseg3d_ros.io.columns import Cloud, as_bytes, cloud_of, columns_of, numbers, rows_of

TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2", "ushort": "u2",
    "uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4", "float": "f4", "float32": "f4",
    "double": "f8", "float64": "f8", "int64": "i8", "uint64": "u8",
}  # fmt: skip
NAMES = {
    "i1": "char", "u1": "uchar", "i2": "short", "u2": "ushort", "i4": "int", "u4": "uint", "f4": "float",
    "f8": "double",
}  # fmt: skip
ENCODINGS = {"binary": "binary_little_endian", "ascii": "ascii", "binary_big_endian": "binary_big_endian"}
ORDERS: dict[str, Literal["<", ">"]] = {"binary_little_endian": "<", "binary_big_endian": ">"}


@dataclass
class Element:
    """One element of the header: `properties` (name, type, type of the list's length or None)."""

    name: str
    count: int
    properties: list[tuple[str, str, str | None]] = field(default_factory=list)


def read(path: Path) -> Cloud:
    """Read the vertices of a PLY file."""
    data = path.read_bytes()
    encoding, elements, start = _header(data, str(path))
    at = next((index for index, element in enumerate(elements) if element.name == "vertex"), None)
    if at is None:
        raise ValueError(f"{path} has no vertices, so there are no points in it.")
    if encoding == "ascii":
        columns = _ascii(data[start:], elements[: at + 1], str(path))
    else:
        order = ORDERS[encoding]
        for element in elements[:at]:
            start += _rows(data, start, element, order, str(path)).nbytes
        columns = _columns(_rows(data, start, elements[at], order, str(path)))
    return cloud_of(columns, str(path))


def tables(path: Path) -> dict[str, np.ndarray]:
    """All elements of a binary PLY file, faces too, as structured arrays by name."""
    data = path.read_bytes()
    encoding, elements, start = _header(data, str(path))
    if encoding == "ascii":
        raise ValueError(f"{path} is an ascii PLY; its faces are read from binary files only, so convert it.")
    found = {}
    for element in elements:
        found[element.name] = _rows(data, start, element, ORDERS[encoding], str(path))
        start += found[element.name].nbytes
    return found


def _header(data: bytes, where: str) -> tuple[str, list[Element], int]:
    if not data.startswith(b"ply"):
        raise ValueError(f"{where} is not a PLY file: it does not begin with 'ply'.")
    end = data.find(b"end_header")
    stop = data.find(b"\n", end)
    if end < 0 or stop < 0:
        raise ValueError(f"{where} is truncated: its header has no end.")
    encoding, elements = "", []
    for line in data[:end].decode("ascii", "replace").splitlines()[1:]:
        try:
            match line.split():
                case ["format", name, *_]:
                    encoding = name
                case ["element", name, count]:
                    elements.append(Element(name, _natural(count)))
                case ["property", "list", length, kind, name]:
                    elements[-1].properties.append((name, TYPES[kind], TYPES[length]))
                case ["property", kind, name]:
                    elements[-1].properties.append((name, TYPES[kind], None))
        except (KeyError, IndexError, ValueError) as error:
            raise ValueError(f"{where}: the header line {line.strip()!r} cannot be understood.") from error
    if encoding not in ENCODINGS.values():
        raise ValueError(f"{where}: the PLY format {encoding!r} is unknown.")
    return encoding, elements, stop + 1


def _natural(word: str) -> int:
    if not word.isdigit() or len(word) > 15:
        raise ValueError(f"{word} is no count")
    return int(word)


def _rows(data: bytes, start: int, element: Element, order: str, where: str) -> np.ndarray:
    """All rows of one element as a view; lists must all have the length of the first row's."""
    layout = _layout(data, start, element, order, where)
    if len(data) - start < layout.itemsize * element.count:
        there = (len(data) - start) // max(layout.itemsize, 1)
        raise ValueError(f"{where} is truncated: {element.count} of {element.name} are promised, {there} are there.")
    rows = np.frombuffer(data, layout, element.count, start)
    for name, _, length in element.properties:
        if length and element.count and (rows[f"{name} length"] != rows[f"{name} length"][0]).any():
            raise ValueError(
                f"{where}: the lists {name!r} of {element.name!r} differ in length and stand before the points or in "
                "them; save the file with its vertices first and without lists."
            )
    return rows


def _layout(data: bytes, start: int, element: Element, order: str, where: str) -> np.dtype:
    fields: list[tuple[str, str] | tuple[str, str, tuple[int]]] = []
    for name, kind, length in element.properties:
        if length is None:
            fields.append((name, order + kind))
            continue
        offset = start + np.dtype(fields).itemsize
        width = np.dtype(order + length)
        if element.count and len(data) < offset + width.itemsize:
            raise ValueError(f"{where} is truncated: the list {name!r} is not there.")
        many = int(np.frombuffer(data, width, 1, offset)[0]) if element.count else 0
        if not 0 <= many <= len(data):
            raise ValueError(f"{where} is damaged: the list {name!r} has {many} entries.")
        fields += [(f"{name} length", order + length), (name, order + kind, (many,))]
    try:
        return np.dtype(fields)
    except ValueError as error:
        raise ValueError(f"{where}: the properties of {element.name!r} cannot be understood: {error}.") from error


def _columns(rows: np.ndarray) -> dict[str, np.ndarray]:
    """Scalar properties in the machine's byte order."""
    names = [name for name in rows.dtype.names or () if rows.dtype[name].shape == () and not name.endswith(" length")]
    return {name: rows[name].astype(rows.dtype[name].newbyteorder("=")) for name in names}


def _ascii(text: bytes, elements: list[Element], where: str) -> dict[str, np.ndarray]:
    skip = sum(element.count for element in elements[:-1])
    if skip:  # one line a row, as every writer does
        text = text.split(b"\n", skip)[-1]
    vertex = elements[-1]
    if any(length for _, _, length in vertex.properties):
        raise ValueError(f"{where}: its vertices hold lists, which an ascii file of points should not.")
    table = numbers(text, vertex.count, len(vertex.properties), where)
    return {name: table[:, index].astype(kind) for index, (name, kind, _) in enumerate(vertex.properties)}


def write(
    path: Path, cloud: Cloud, fields: Mapping[str, np.ndarray], encoding: str, comments: Sequence[str] = ()
) -> None:
    """Write the cloud's points as vertices; `comments` are lines of ascii for the header."""
    if encoding not in ENCODINGS:
        raise ValueError(f"PLY files are {', '.join(ENCODINGS)}, not {encoding!r}.")
    columns = columns_of(cloud, {})
    if cloud.rgb is not None:
        columns.update(zip(("red", "green", "blue"), as_bytes(cloud.rgb).T, strict=True))
    columns.update({name: values for name, values in columns_of(cloud, fields).items() if name in fields})
    lines = ["ply", f"format {ENCODINGS[encoding]} 1.0", *(f"comment {text}" for text in comments)]
    lines.append(f"element vertex {len(cloud)}")
    lines += [f"property {NAMES[values.dtype.str[1:]]} {name}" for name, values in columns.items()]
    with replacing(path) as stream:
        stream.write(("\n".join(lines) + "\nend_header\n").encode())
        if encoding == "ascii":
            write_ascii(stream, columns)
        else:
            stream.write(rows_of(columns, ORDERS[ENCODINGS[encoding]]).tobytes())


def write_ascii(stream: BinaryIO, columns: Mapping[str, np.ndarray]) -> None:
    """One line a point, with as many digits as the numbers need."""
    formats = [f"%.{17 if c.dtype.itemsize > 4 else 9}g" if c.dtype.kind == "f" else "%d" for c in columns.values()]
    np.savetxt(stream, rows_of(columns), fmt=" ".join(formats))
