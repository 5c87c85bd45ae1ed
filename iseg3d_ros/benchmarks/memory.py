"""How much memory a cloud takes: the peak of a process of its own for each size of cloud."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

SIZES = (200_000, 2_000_000)

# Two walls, a floor and scattered specks; one encoding, three clicks. Libraries, weights and the cloud count.
PROGRAM = """
import resource, sys
import numpy as np
from iseg3d_ros import Click, Predictor
from iseg3d_ros.sparse.freed_memory import keep_freed
from iseg3d_ros.models.build import build, settings_of
from iseg3d_ros.models.random_walker import RandomWalker
points, name, preset = int(sys.argv[1]), sys.argv[2], sys.argv[3]
if sys.argv[4] == "keep":  # as the command and the nodes do
    keep_freed()
rng = np.random.default_rng(0)
xyz = rng.uniform((0, 0, 0), (6, 5, 0.02), (points, 3)).astype(np.float32)
xyz[: points // 2] = rng.uniform((0, 0, 0), (6, 0.02, 2.7), (points // 2, 3))
few = points // 8
xyz[:few] = rng.uniform((2, 2, 0), (3, 3, 1), (few, 3)).round(0) + rng.normal(0, 0.02, (few, 3))
rgb = rng.integers(0, 255, (points, 3), dtype=np.uint8)
network = RandomWalker() if name == "random_walker" else build(settings_of(name, preset)).eval()
predictor = Predictor(network, name)
scene = predictor.encode(xyz, rgb, (0, 0, 1))
clicks = [Click((2.0, 2.0, 0.0), 1), Click((5.0, 4.0, 0.01), 0), Click((3.0, 3.0, 1.0), 1)]
for count in (1, 2, 3):
    predictor.segment(scene, clicks[:count])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(peak / 1024, len(scene.voxels))
"""


def run(
    model: str = "random_walker", preset: str = "small", sizes: Sequence[int] = SIZES, keep: bool = True
) -> dict[str, float]:
    """`peak_mb_<points>`: megabytes of the whole process on the CPU; `voxels_<points>`: what the model saw.

    `keep=false` lets the process give back what it frees, as a program does that does not ask for `keep_freed`.
    """
    figures: dict[str, float] = {}
    for points in sizes:
        words = [str(points), model, preset, "keep" if keep else "free"]
        command = [sys.executable, "-W", "ignore", "-c", PROGRAM, *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise RuntimeError(f"The process that was to be measured failed: {last}")
        peak, voxels = map(float, done.stdout.split())
        figures |= {f"peak_mb_{points}": peak, f"voxels_{points}": voxels}
    return figures
