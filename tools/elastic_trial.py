#!/usr/bin/env python3
"""kill -9 of one of two workers of torchrun in mid-training: all start anew, and go on from the last step saved.

    tools/elastic_trial.py [--kills 10]

Each time that a step more is logged one of the two is killed, in turn.
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


def trial(folder: Path, kills: int, patience: float) -> str:
    """What is wrong; empty: nothing."""
    for seed in range(5):
        write_scene(folder / f"tabletop_{seed}.scene", made_scene(seed, "val" if seed == 4 else "train"))
    out, script, wanted = folder / "run", folder / "worker.py", 2 * kills + 2
    script.write_text(WORKER)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--max-restarts", str(kills)]
    command += ["--standalone", "--monitor-interval", "0.1", str(script), str(TEST / "unit" / "training")]
    environment = {**os.environ, "GLOO_SOCKET_IFNAME": "lo"}
    run = subprocess.Popen([*command, str(folder), str(out), str(wanted)], env=environment)
    try:
        for number in range(kills):
            end, before = time.monotonic() + patience, len(steps(out))
            while len(steps(out)) < before + 2:
                if time.monotonic() > end or run.poll() is not None:
                    return f"no step within {patience:g} s after {number} kills; {steps(out)} are logged"
                time.sleep(0.02)
            os.kill(int((out / f"worker_{number % 2}_{number}").read_text().split()[0]), signal.SIGKILL)
            print(f"killed worker {number % 2}; steps {steps(out)}", flush=True)
        if (code := run.wait(patience)) != 0:
            return f"torchrun ended with {code}"
    except subprocess.TimeoutExpired:
        return f"no end within {patience:g} s"
    finally:
        run.kill()
        for path in out.glob("worker_*"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(path.read_text().split()[0]), signal.SIGKILL)
    went_on = [int((out / f"worker_0_{number}").read_text().split()[1]) for number in range(kills + 1)]
    logged = steps(out)
    whole = sorted(set(logged)) == list(range(1, wanted + 1)) and len(logged) <= wanted + kills
    return "" if whole and went_on == sorted(set(went_on)) else f"went on from steps {went_on}, logged {logged}"


def main() -> int:
    """One line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1)
    parser.add_argument("--patience", type=float, default=240.0, help="seconds for each kill")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        trouble = trial(Path(folder), arguments.kills, arguments.patience)
    print(f"{arguments.kills} kills: {trouble or 'training went on from the last step saved each time'}")
    return int(bool(trouble))


if __name__ == "__main__":
    sys.exit(main())
