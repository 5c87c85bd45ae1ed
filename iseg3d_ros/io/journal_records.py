"""How the journal looks on disk: records with a checksum each, and files of arrays named by their own checksum.

A record is a head of 25 bytes (magic, format, kind, sequence number, length, checksum over all else) and JSON in ASCII.
The magic's first byte is never part of JSON, so behind a damaged record the next one is found by looking for it.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np

MAGIC = b"\xffIJ"
FORMAT = 1
HEAD = struct.Struct("<3sBcQI")
CHECKSUM = 8  # bytes
SNAPSHOT, ACTION, BEGIN = b"S", b"A", b"B"  # BEGIN: a file that goes on from the files before it
LONGEST = 64 << 20  # bytes of one record
PATIENCE = 8  # times its own length a damaged file is read through at most


@dataclass(frozen=True)
class Record:
    """One record: `body` is {"action" or "state": …, "cloud": name of its arrays or None}."""

    version: int
    kind: bytes
    sequence: int
    body: dict[str, Any]


@dataclass(frozen=True)
class Scan:
    """What a file holds: its records in order, the bytes of damaged places between them, where the last one ends."""

    records: list[Record]
    damaged: int
    end: int


def as_json(value: Any) -> str:
    """JSON in ASCII; ValueError for what JSON has no place for, NaN and infinity among it."""
    try:
        return json.dumps(value, separators=(",", ":"), allow_nan=False)
    except (TypeError, RecursionError) as error:
        raise ValueError(f"The journal keeps what JSON can say: {error}.") from error


def encode(kind: bytes, sequence: int, name: str, value: str, cloud: str | None) -> bytes:
    """A record of {name: value, "cloud": cloud}; `value` is JSON already."""
    payload = f'{{"{name}":{value},"cloud":{as_json(cloud)}}}'.encode("ascii")
    if len(payload) > LONGEST:
        raise ValueError(f"A record of {len(payload) >> 20} MB is longer than the journal's {LONGEST >> 20} MB.")
    head = HEAD.pack(MAGIC, FORMAT, kind, sequence, len(payload))
    return head + blake2b(head + payload, digest_size=CHECKSUM).digest() + payload


def scan(data: bytes) -> Scan:
    """Every whole record; what lies between is counted, what follows the last is the caller's to cut."""
    records: list[Record] = []
    end = damaged = 0
    at, budget = data.find(MAGIC), (PATIENCE * len(data)) + LONGEST
    while at >= 0 and budget > 0:
        record, size = _decode(data, at)
        budget -= size
        if record is None:
            at = data.find(MAGIC, at + 1)
            continue
        records.append(record)
        damaged, end = damaged + at - end, at + size
        at = data.find(MAGIC, end)
    return Scan(records, damaged, end)


def _decode(data: bytes, at: int) -> tuple[Record | None, int]:
    """The record that begins there, if one does, and how many bytes were looked at."""
    start = at + HEAD.size + CHECKSUM
    if start > len(data):
        return None, 1
    _, version, kind, sequence, length = HEAD.unpack_from(data, at)
    if version > FORMAT or kind not in (SNAPSHOT, ACTION, BEGIN) or length > min(LONGEST, len(data) - start):
        return None, 1
    size = HEAD.size + CHECKSUM + length
    payload = data[start : start + length]
    right = blake2b(data[at : at + HEAD.size] + payload, digest_size=CHECKSUM).digest()
    if data[at + HEAD.size : start] != right:
        return None, size
    try:
        body = migrated(version, json.loads(payload))
    except (ValueError, RecursionError):
        return None, size
    return Record(version, kind, sequence, body), size


# From a format to the next: {"action" or "state": …, "cloud": …} as format n wrote it, as format n + 1 writes it.
MIGRATIONS: dict[int, Any] = {}


def migrated(version: int, body: Any) -> dict[str, Any]:
    """A body as the present format has it."""
    for step in range(version, FORMAT):
        if step not in MIGRATIONS:
            raise ValueError(f"there is no way from format {step}")
        body = MIGRATIONS[step](body)
    if not isinstance(body, dict):
        raise ValueError("a record is no JSON object")
    return body


def is_newer(data: bytes) -> bool:
    """Whether a file without a record of ours was begun by a later version."""
    return data.startswith(MAGIC) and len(data) > len(MAGIC) and data[len(MAGIC)] > FORMAT


def pack(arrays: Mapping[str, np.ndarray]) -> tuple[str, bytes]:
    """Arrays as one file, and the name that it has by its checksum."""
    plain = {name: np.asarray(values, order="C") for name, values in arrays.items()}
    table = [[name, values.dtype.str, list(values.shape)] for name, values in plain.items()]
    if any(values.dtype.kind not in "biufUS" for values in plain.values()):
        raise ValueError("The journal keeps arrays of numbers and text only.")
    header = as_json(table).encode("ascii")
    data = b"".join([struct.pack("<I", len(header)), header, *(values.tobytes() for values in plain.values())])
    return checksum(data), data


def unpack(data: bytes) -> dict[str, np.ndarray]:
    """The arrays of a file, as views of it; ValueError where they do not fit it."""
    try:
        (length,) = struct.unpack_from("<I", data)
        table, start, found = json.loads(data[4 : 4 + length]), 4 + length, {}
        for name, kind, shape in table:
            dtype = np.dtype(kind)
            if dtype.kind not in "biufUS" or any(type(n) is not int or n < 0 for n in shape):
                raise ValueError(f"{name} is no plain array")
            count = math.prod(shape)
            found[str(name)] = np.frombuffer(data, dtype, count, start).reshape(shape)
            start += dtype.itemsize * count
    except (struct.error, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"the arrays cannot be understood ({error})") from error
    return found


def checksum(data: bytes) -> str:
    """The name of a file of arrays."""
    return blake2b(data, digest_size=16).hexdigest()
