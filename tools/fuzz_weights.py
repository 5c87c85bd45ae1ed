#!/usr/bin/env python3
"""Mutated weights files: each must load and give finite scores, or be refused with a sentence that names it.

    tools/fuzz_weights.py [--count 10000] [--seed 0] [WEIGHTS]

Without WEIGHTS a small network is made and saved. Headers are changed as JSON, values as bits and as NaN and infinity.
"""

from __future__ import annotations

import argparse
import json
import random
import struct
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import torch

from iseg3d_ros.clicks import Prompts
from iseg3d_ros.models import checkpoint
from iseg3d_ros.models.base import VoxelCloud
from iseg3d_ros.models.build import build, settings_of

ODD: tuple[Any, ...] = (None, True, -1, 0, 1, 7, 10**12, 1e308, "", "F64", "x", [], {}, [[]], [0, 0], [-1, 3], {"a": 1})


def original(folder: Path) -> Path:
    """A small network's file."""
    torch.manual_seed(0)
    path = folder / "small.safetensors"
    checkpoint.save(path, build(settings_of("agile3d", "tiny")))
    return path


def mutated(data: bytes, rng: random.Random) -> bytes:
    """One change of the header's JSON, of the card in it, of values, or of bytes anywhere."""
    (length,) = struct.unpack_from("<Q", data)
    start = 8 + length
    out = bytearray(data)
    match rng.randrange(5):
        case 0 | 1 as which:
            header = json.loads(data[8:start])
            if which:
                card = json.loads(header["__metadata__"]["card"])
                _change(card, rng)
                header["__metadata__"]["card"] = json.dumps(card)
            else:
                _change(header, rng)
            raw = json.dumps(header).encode()
            return struct.pack("<Q", len(raw)) + raw + data[start:]
        case 2:
            at = rng.randrange(start, len(data) - 4)
            values = (b"\xff\xff\xff\xff", b"\x00\x7c\x00\x7c", b"\x00\x00\x80\x7f", rng.randbytes(4))
            out[at : at + 4] = rng.choice(values)
        case 3:
            at = rng.randrange(len(data) if rng.random() < 0.5 else start)
            out[at] ^= 1 << rng.randrange(8)
        case _:
            at = rng.randrange(len(data))
            del out[at : at + rng.choice((1, 8, 1000, len(data)))]
    return bytes(out)


def _change(value: Any, rng: random.Random) -> None:
    """One place of a tree of dicts and lists gets another value, or goes."""
    while True:
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        if not keys:
            return
        key = rng.choice(keys)
        if isinstance(value[key], (dict, list)) and rng.random() < 0.8:
            value = value[key]
            continue
        if rng.random() < 0.2:
            del value[key]
        else:
            value[key] = rng.choice(ODD)
        return


def fault(path: Path) -> tuple[bool, str | None]:
    """Whether the file was taken, and what was wrong with that or with how it was refused."""
    try:
        network = checkpoint.load(path)
    except ValueError as error:
        said = str(error)
        well = type(error) is ValueError and str(path) in said
        return False, None if well else f"{type(error).__name__}: {said}"
    except Exception as error:
        return False, f"{type(error).__name__}: {error}"
    try:
        return True, None if _works(network) else "scores that are not finite"
    except Exception as error:
        return True, f"fails at work: {type(error).__name__}: {error}"


def _works(network: Any) -> bool:
    """Whether the scores of a small cloud with two clicks are finite."""
    generator = torch.Generator().manual_seed(0)
    coordinates = torch.unique(torch.randint(0, 12, (200, 3), generator=generator).int(), dim=0)
    features = torch.rand(len(coordinates), checkpoint.settings_from(network).in_channels, generator=generator)
    cloud = VoxelCloud(coordinates, coordinates.float() * 0.05, features, 0.05)
    with torch.inference_mode():
        answer = network.decode(network.encode([cloud]), [Prompts(torch.tensor([0, 5]), torch.tensor([1, 0]), 1)])
    return all(bool(torch.isfinite(t).all()) for t in _tensors(answer))


def _tensors(value: Any) -> list[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        return [value] if value.is_floating_point() else []
    if isinstance(value, (list, tuple)):
        return [tensor for each in value for tensor in _tensors(each)]
    return _tensors(list(vars(value).values())) if hasattr(value, "__dict__") else []


def fuzz(count: int, seed: int, folder: Path, given: Path | None = None) -> tuple[Counter[str], int]:
    """Faults by kind, and how many files were taken."""
    rng, found, taken = random.Random(seed), Counter[str](), 0
    data = (given or original(folder)).read_bytes()
    bad = folder / "bad.safetensors"
    for _ in range(count):
        bad.write_bytes(mutated(data, rng))
        loaded, wrong = fault(bad)
        taken += loaded
        if wrong:
            found[wrong.replace(str(bad), "FILE")[:200]] += 1
    return found, taken


def main() -> int:
    """Faults, most frequent first, and a line of figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path, nargs="?")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found, taken = fuzz(arguments.count, arguments.seed, Path(folder), arguments.weights)
    for wrong, times in found.most_common(20):
        print(f"{times:6d}  {wrong}")
    print(f"{arguments.count} mutated weights files: {taken} taken, {sum(found.values())} faults")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
