"""LZF, the compression of PCD files, one step a token: no kept-up library of it has wheels."""

from __future__ import annotations

import numpy as np

LITERALS = 32  # the longest run of plain bytes that one control byte can announce


def decompress(data: bytes, size: int) -> bytes:
    """The `size` bytes that were compressed; tokens, not bytes, are looped over."""
    out, at, end = bytearray(), 0, len(data)
    try:
        while at < end:
            control = data[at]
            at += 1
            if control < LITERALS:
                out += data[at : at + control + 1]
                at += control + 1
                continue
            length = control >> 5
            if length == 7:
                length += data[at]
                at += 1
            distance = ((control & 31) << 8) + data[at] + 1
            at, length = at + 1, length + 2
            start = len(out) - distance
            if start < 0 or len(out) > size:
                raise ValueError("the compressed data point outside themselves.")
            piece = out[start : start + length]
            out += piece if distance >= length else (piece * (length // distance + 1))[:length]
    except IndexError as error:
        raise ValueError("the compressed data end too early.") from error
    if len(out) != size:
        raise ValueError(f"the compressed data give {len(out)} bytes where {size} are promised.")
    return bytes(out)


def compress(data: bytes) -> bytes:
    """Valid LZF of plain runs only: 3 % longer than the data, but any reader takes it and it is quick to make."""
    whole = len(data) // LITERALS * LITERALS
    rows = np.frombuffer(data[:whole], np.uint8).reshape(-1, LITERALS)
    runs = np.insert(rows, 0, LITERALS - 1, axis=1).tobytes()
    rest = data[whole:]
    return runs + (bytes([len(rest) - 1]) + rest if rest else b"")
