"""Which formats the commands offer, without importing what writes them (`io.exports.FORMATS`; a test compares)."""

from __future__ import annotations

import argparse

FORMAT_NAMES = (
    "ply", "pcd", "npz", "npy", "bin", "label", "las", "laz", "e57", "mcap", "semantickitti", "kitti", "pointcept",
)  # fmt: skip


def add_overwrite(parser: argparse.ArgumentParser) -> None:
    """Declare what alone allows to replace a file or an exported folder."""
    parser.add_argument("--overwrite", action="store_true", help="replace what is there (else it is refused)")
