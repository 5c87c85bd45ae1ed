"""The loop on small made scenes: it learns, resumes exactly, survives a kill, and trains data-parallel."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from iseg3d_ros.data.folder import LabelledCloud, write_scene
from iseg3d_ros.models import checkpoint
from iseg3d_ros.training.config import ClickConfig, DataConfig, OptimiserConfig, TrainConfig, load
from iseg3d_ros.training.loop import train
from iseg3d_ros.training.plot import _columns
from iseg3d_ros.training.samples import make_sample


def made_scene(seed: int, split: str = "train") -> LabelledCloud:
    """A table top with three coloured boxes."""
    rng = np.random.default_rng(seed)
    table = np.c_[rng.uniform(-0.3, 0.3, (4000, 2)), np.zeros(4000)]
    clouds, instance, rgb = [table], [np.zeros(4000, np.int32)], [np.full((4000, 3), 120)]
    for k, x in enumerate((-0.2, 0.0, 0.2)):
        box = rng.uniform(0, 1, (1200, 3)) * rng.uniform(0.06, 0.12, 3)
        face = rng.integers(0, 3, 1200)
        box[np.arange(1200), face] = np.round(box[np.arange(1200), face] / 0.1) * 0.1
        clouds.append(box + [x - 0.05, rng.uniform(-0.1, 0.05), 0.01])
        instance.append(np.full(1200, k + 1, np.int32))
        rgb.append(np.tile(rng.integers(0, 255, 3), (1200, 1)))
    xyz = np.concatenate(clouds).astype(np.float32)
    colours = np.concatenate(rgb).astype(np.uint8)
    names = ("box", "carton", "can")
    return LabelledCloud(
        f"scene{seed}", xyz, colours, None, np.concatenate(instance), names, "tabletop", np.zeros(3, np.float32), split
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scenes")
    for seed in range(5):
        write_scene(folder / f"tabletop_{seed}.scene", made_scene(seed, "val" if seed == 4 else "train"))
    return folder


def quick(folder: Path, out: Path, **changes: object) -> TrainConfig:
    data = DataConfig(
        scenes=(str(folder),), mixture={"tabletop": 1.0}, max_voxels=1500, max_objects=3, workers=0,
        voxel={"tabletop": (0.012, 0.02)},
    )  # fmt: skip
    config = TrainConfig(
        "e2i3d", "tiny", steps=6, device="cpu", out=str(out), validate_steps=1000, validate_scenes=1, log_steps=2,
        data=data, optimiser=OptimiserConfig(learning_rate=3e-3, ema=0.9),
    )  # fmt: skip
    return replace(config, **changes)  # type: ignore[arg-type]


def test_a_run_learns_and_leaves_weights_logs_and_a_plot(folder: Path, tmp_path: Path) -> None:
    weights = train(quick(folder, tmp_path, steps=40))
    rows = _columns(tmp_path / "train.csv")
    assert np.mean(rows["total"][-5:]) < 0.8 * np.mean(rows["total"][:5])
    assert (tmp_path / "curve.png").stat().st_size > 5000
    network = checkpoint.load(weights)
    assert network.card["recipe"]["steps"] == 40
    assert set(_columns(tmp_path / "validation.csv")) >= {"tabletop IoU@1", "tabletop IoU@5"}


def test_an_interrupted_run_ends_as_an_uninterrupted_one(folder: Path, tmp_path: Path) -> None:
    train(quick(folder, tmp_path / "whole"))
    train(quick(folder, tmp_path / "parts"), stop_after=3)
    train(quick(folder, tmp_path / "parts"))
    whole, parts = (load_file(tmp_path / name / "state.safetensors") for name in ("whole", "parts"))
    assert whole.keys() == parts.keys()
    for name, value in whole.items():
        torch.testing.assert_close(parts[name], value, rtol=0, atol=0, msg=name)


def test_kill_9_loses_nothing_that_was_saved(folder: Path, tmp_path: Path) -> None:
    config = tmp_path / "run.yaml"
    config.write_text(
        "network: e2i3d\npreset: tiny\nsteps: 100000\ndevice: cpu\nsave_seconds: 0\n"
        "data: {mixture: {tabletop: 1.0}, max_voxels: 800, workers: 0, voxel: {tabletop: [0.02, 0.03]}}\n"
    )
    command = [sys.executable, "-m", "iseg3d_ros.commands", "train", str(config)]
    command += ["--out", str(tmp_path / "run"), "--scenes", str(folder)]
    run = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    state, deadline = tmp_path / "run" / "state.safetensors", time.monotonic() + 90
    while not state.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(1.0)  # somewhere in the middle of saving: it saves after every step
    run.send_signal(signal.SIGKILL)
    run.wait()
    out = subprocess.run([*command, "--steps", "100001", "--stop-after", "1"], capture_output=True, text=True)
    assert out.returncode == 0, out.stderr


def test_a_cut_off_state_is_refused_in_words(folder: Path, tmp_path: Path) -> None:
    train(quick(folder, tmp_path), stop_after=1)
    state = tmp_path / "state.safetensors"
    state.write_bytes(state.read_bytes()[:-1000])
    with pytest.raises(ValueError, match="no whole training state"):
        train(quick(folder, tmp_path))


def test_unknown_and_wrong_settings_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text("network: e2i3d\nlearning: 1\n")
    with pytest.raises(ValueError, match="unknown setting learning"):
        load(path)
    path.write_text("steps: many\n")
    with pytest.raises(ValueError, match="steps must be int"):
        load(path)
    path.write_text("data: {workers: 0}\n")
    assert load(path, **{"data.max_voxels": 5}).data.max_voxels == 5


def test_samples_hold_objects_large_enough_and_relabelled() -> None:
    config = quick(Path("unused"), Path("unused"))
    sample = make_sample(made_scene(0), config.data, config.augment, ("rgb", "one"), np.random.default_rng(0))
    assert sample is not None
    counts = torch.bincount(sample.labels, minlength=sample.objects + 1)
    assert len(counts) == sample.objects + 1
    assert (counts[1:] >= config.data.min_points).all()
    assert len(sample.cloud) <= config.data.max_voxels * 1.2


def test_crops_are_drawn_between_the_least_and_the_most_voxels() -> None:
    config = quick(Path("unused"), Path("unused"))
    data = replace(config.data, min_voxels=400, max_voxels=1600)
    rng = np.random.default_rng(0)
    samples = [make_sample(made_scene(0), data, config.augment, ("rgb", "one"), rng) for _ in range(24)]
    sizes = np.array([len(sample.cloud) for sample in samples if sample is not None])
    assert sizes.min() < 700 and sizes.max() > 1000 and sizes.max() < 1600 * 1.2


WORKER = """
import gc, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_loop import CURVE, quick
from iseg3d_ros.training.loop import train
import torch

def last(destroy=torch.distributed.destroy_process_group):
    held = [object for object in gc.get_objects() if type(object) is torch.nn.parallel.DistributedDataParallel]
    assert not held, "a network that holds the group outlives it"
    destroy()

torch.distributed.destroy_process_group = last
torch.set_num_threads(1)
train(quick(Path(sys.argv[2]), Path(sys.argv[3]), batch=1, **CURVE))
"""

# Corrections go where the error is largest, which rounding decides while nothing is learnt: first clicks only.
CURVE = {"steps": 3, "log_steps": 1, "clicks": ClickConfig(rounds=0)}


def test_two_processes_train_as_one_with_twice_the_batch(folder: Path, tmp_path: Path) -> None:
    here = str(Path(__file__).resolve().parent)
    environment = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port()), "WORLD_SIZE": "2"}
    environment["GLOO_SOCKET_IFNAME"] = "lo"
    arguments = [sys.executable, "-c", WORKER, here, str(folder), str(tmp_path / "two")]
    peers = [subprocess.Popen(arguments, env={**environment, "RANK": str(k), "LOCAL_RANK": str(k)}) for k in range(2)]
    assert [peer.wait(timeout=240) for peer in peers] == [0, 0]
    train(quick(folder, tmp_path / "one", batch=2, **CURVE))
    one, two = (_columns(tmp_path / name / "train.csv")["gradient"] for name in ("one", "two"))
    assert len(one) == 3 and two == pytest.approx(one, rel=0.01)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_plain_interobject_training_scatters_its_clicks(folder: Path, tmp_path: Path) -> None:
    config = quick(folder, tmp_path, network="interobject3d", steps=2)
    train(replace(config, clicks=replace(config.clicks, rounds=0, scattered=True)))
    assert _columns(tmp_path / "train.csv")["step"] == [2]


def test_the_prior_of_a_neural_process_gains_weight_with_progress(folder: Path, tmp_path: Path) -> None:
    weights = train(quick(folder, tmp_path, network="npiseg3d", steps=2))
    assert checkpoint.load(weights).progress == 1.0  # what inference uses does not depend on how far training came
