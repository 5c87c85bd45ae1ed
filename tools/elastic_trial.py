#!/usr/bin/env python3
"""kill -9 of one of two workers of torchrun in mid-training: all start anew, and go on from the last step saved.

    tools/elastic_trial.py [--victim 0]
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "test"))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "test" / "unit" / "training"))

from test_loop import made_scene

from iseg3d_ros.data.folder import write_scene
from iseg3d_ros.training.plot import _columns

STEPS = 5
TEST = Path(__file__).resolve().parent.parent / "test"
WORKER = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from safetensors import safe_open
from test_loop import CURVE, quick
from iseg3d_ros.training.loop import train
import torch

out = Path(sys.argv[3])
state, rank = out / "state.safetensors", os.environ["RANK"]
done = safe_open(state, "pt").metadata()["step"] if state.exists() else "0"
out.mkdir(exist_ok=True)
(out / f"worker_{rank}_{os.environ['TORCHELASTIC_RESTART_COUNT']}").write_text(f"{os.getpid()} {done}")
torch.set_num_threads(1)
train(quick(Path(sys.argv[2]), out, batch=1, save_seconds=-1.0, **{**CURVE, "steps": int(sys.argv[4])}))
"""


def steps(out: Path) -> list[float]:
    """Those that are logged so far."""
    return list(_columns(out / "train.csv")["step"]) if (out / "train.csv").is_file() else []


def trial(folder: Path, victim: int, patience: float) -> str:
    """What is wrong; empty: nothing."""
    for seed in range(5):
        write_scene(folder / f"tabletop_{seed}.scene", made_scene(seed, "val" if seed == 4 else "train"))
    out, script = folder / "run", folder / "worker.py"
    script.write_text(WORKER)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--max-restarts", "2"]
    command += ["--standalone", "--monitor-interval", "0.1", str(script), str(TEST / "unit" / "training")]
    environment = {**os.environ, "GLOO_SOCKET_IFNAME": "lo"}
    run = subprocess.Popen([*command, str(folder), str(out), str(STEPS)], env=environment)
    try:
        end = time.monotonic() + patience
        while len(steps(out)) < 2 and time.monotonic() < end and run.poll() is None:
            time.sleep(0.02)
        os.kill(int((out / f"worker_{victim}_0").read_text().split()[0]), signal.SIGKILL)
        if (code := run.wait(patience)) != 0:
            return f"torchrun ended with {code}"
    except subprocess.TimeoutExpired:
        return f"no end within {patience:g} s"
    finally:
        run.kill()
        for path in out.glob("worker_*"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(path.read_text().split()[0]), signal.SIGKILL)
    went_on, logged = int((out / "worker_0_1").read_text().split()[1]), steps(out)
    whole = sorted(set(logged)) == list(range(1, STEPS + 1)) and len(logged) <= STEPS + 1
    return "" if went_on >= 1 and whole else f"went on from step {went_on}, logged {logged}"


def main() -> int:
    """One line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--victim", type=int, choices=(0, 1), default=1, help="rank of the worker that is killed")
    parser.add_argument("--patience", type=float, default=240.0, help="seconds for each half of the trial")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        trouble = trial(Path(folder), arguments.victim, arguments.patience)
    print(f"worker {arguments.victim} killed: {trouble or 'training went on from the last step saved'}")
    return int(bool(trouble))


if __name__ == "__main__":
    sys.exit(main())
