"""Builds the wheel, installs it into an empty environment, and segments a cloud there with what was installed.

Nothing of the source tree is on the path then: what the wheel lacks is found here. The environment is removed again.
`--system-site-packages` takes PyTorch and its kin from the Python that runs this, instead of downloading them.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TRIAL = """
import sys
import numpy as np
import iseg3d_ros
from iseg3d_ros import Click, Predictor
assert iseg3d_ros.__file__.startswith(sys.prefix), iseg3d_ros.__file__
rng = np.random.default_rng(0)
table = np.c_[rng.uniform(-0.5, 0.5, (8000, 2)), np.zeros(8000)]
ball = rng.normal(size=(2000, 3))
ball = ball / np.linalg.norm(ball, axis=1, keepdims=True) * 0.1 + (0.2, 0.1, 0.1)
xyz = np.r_[table, ball].astype(np.float32)
for model in ("random_walker", None):
    predictor = Predictor.load(model) if model else Predictor.load()
    result = predictor.segment(predictor.encode(xyz), [Click((0.2, 0.1, 0.2), 1), Click((-0.3, -0.3, 0.0), 0)])
    print(model or "default model", (result.labels[8000:] == 1).mean(), "of the ball")
    assert (result.labels[8000:] == 1).mean() > 0.5
print("installed:", iseg3d_ros.__version__)
"""


def main(options: list[str]) -> int:
    """Build, install, use; any failure ends it."""
    dist = ROOT / "out" / "dist"
    dist.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, "-m", "build", "--outdir", str(dist), str(ROOT)], check=True)
    newest = max(dist.glob("*.whl"), key=lambda path: path.stat().st_mtime)
    with tempfile.TemporaryDirectory(prefix="iseg3d_wheel_") as folder:
        subprocess.run([sys.executable, "-m", "venv", *options, folder], check=True)
        python = f"{folder}/bin/python"
        subprocess.run([python, "-m", "pip", "install", "-q", str(newest)], check=True)
        subprocess.run([python, "-I", "-c", TRIAL], cwd=folder, check=True)
        subprocess.run([f"{folder}/bin/iseg3d", "models"], cwd=folder, check=True)
    print(f"{newest.name}: {newest.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
