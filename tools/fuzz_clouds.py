#!/usr/bin/env python3
"""Mutated cloud files of every format: each must be read, or refused with a sentence that names it and says what to do.

    tools/fuzz_clouds.py [--count 100000] [--seed 0] [--memory 2]

The process may take so many gigabytes of address space more; a file that wants more than that is a fault as well.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

import numpy as np

from iseg3d_ros.cloud import REMEDY, Cloud, read_cloud, write_cloud

SLOW = 5.0  # processor seconds for one small file
WORDS = (b"0", b"-1", b"99999999999", b"4294967295", b"nan", b"inf", b"float", b"double", b"list uchar int", b"ascii",
         b"\n", b" ", b"\0", b"\xff", b"binary_compressed", b"'O'", b"(10000000000, 3)", b"element vertex 4",
         b"1e400", b"\x00\x00\x00\x00", b"\xff\xff\xff\xff", b"POINTS", b"property", b"{", b"(" * 300)  # fmt: skip


def originals(folder: Path) -> list[Path]:
    """A small good file of every kind."""
    rng = np.random.default_rng(0)
    cloud = Cloud(rng.normal(size=(40, 3)).astype(np.float32), rng.integers(0, 256, (40, 3), dtype=np.uint8),
                  rng.random(40).astype(np.float32), rng.integers(0, 4, 40).astype(np.int32))  # fmt: skip
    kinds = [(".ply", "binary"), (".ply", "ascii"), (".ply", "binary_big_endian"), (".pcd", "binary"),
             (".pcd", "ascii"), (".pcd", "binary_compressed"), (".npz", "binary"), (".npy", "binary"),
             (".bin", "binary")]  # fmt: skip
    paths = []
    for suffix, encoding in kinds:
        paths.append(folder / f"{encoding}{suffix}")
        write_cloud(paths[-1], cloud, encoding=encoding)
    np.savez(folder / "plain.npz", xyz=cloud.xyz, labels=cloud.labels)
    np.save(folder / "table.npy", cloud.xyz)
    return [*paths, folder / "plain.npz", folder / "table.npy"]


def mutated(data: bytes, rng: random.Random) -> bytes:
    """One to four changes: bits, bytes, numbers, words, lost, moved and repeated pieces."""
    out = bytearray(data)
    for _ in range(rng.randrange(1, 5)):
        size = len(out)
        at = rng.randrange(min(size, 400) if rng.random() < 0.6 else size) if size else 0
        to = min(size, at + rng.choice((1, 2, 4, 8, 30, 200, size)))
        match rng.randrange(7):
            case 0 if at < size:
                out[at] ^= 1 << rng.randrange(8)
            case 1:
                out[at:to] = rng.randbytes(to - at)
            case 2:
                del out[at:to]
            case 3:
                out[at:at] = out[at:to]
            case 4:
                word = rng.choice(WORDS)
                out[at : at + rng.choice((0, len(word)))] = word
            case 5:
                out[at:to] = bytes(to - at)
            case _:
                del out[rng.randrange(size + 1) :]
    return bytes(out)


def fault(path: Path, taken: Counter[str] | None = None) -> str | None:
    """What is wrong with how a file was taken; None: it was read, or refused as it should be (counted in `taken`)."""
    start = time.process_time()
    try:
        cloud = read_cloud(path)
        wrong = None if cloud.xyz.shape == (len(cloud), 3) else "a cloud of an odd shape"
        if taken is not None:
            taken["read"] += 1
    except ValueError as error:
        said = str(error)
        well = type(error) is ValueError and str(path) in said and "\n" not in said
        wrong = None if well and (REMEDY in said or "no points" in said) else f"ValueError: {said}"
    except Exception as error:
        wrong = f"{type(error).__name__}: {error}"
    return wrong or ("slow" if time.process_time() - start > SLOW else None)


def fuzz(count: int, seed: int, folder: Path) -> tuple[Counter[str], int]:
    """So many mutated files; the faults by kind and file, and how many files could be read all the same."""
    warnings.simplefilter("ignore")  # of numpy, for numbers that overflow
    rng, found, taken = random.Random(seed), Counter[str](), Counter[str]()
    wholes = [(path, path.read_bytes()) for path in originals(folder)]
    for number in range(count):
        path, data = wholes[number % len(wholes)]
        bad = path.with_name(f"bad_{path.name}")
        bad.write_bytes(mutated(data, rng))
        wrong = fault(bad, taken)
        if wrong:
            found[f"{path.name}: {wrong[:200]}"] += 1
    return found, taken["read"]


def main() -> int:
    """Faults, most frequent first, and a line of figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--memory", type=float, default=2.0)
    arguments = parser.parse_args()
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + int(arguments.memory * (1 << 30))
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    with tempfile.TemporaryDirectory() as folder:
        found, read = fuzz(arguments.count, arguments.seed, Path(folder))
    for wrong, times in found.most_common(20):
        print(f"{times:6d}  {wrong}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(f"{arguments.count} mutated files: {read} could be read, {sum(found.values())} faults, peak {peak} MB")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
