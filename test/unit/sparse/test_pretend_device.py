"""Everything on a device that is not there: nothing mixed, and waits and operators counted, for they are its speed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from model_scenes import boxes_on_a_table, first_clicks
from pretend_device import NAME, Counts, pretend_device

from iseg3d_ros.io.package_files import weights_dir
from iseg3d_ros.models.adaptation import Adapted
from iseg3d_ros.models.build import NETWORKS, build, settings_of
from iseg3d_ros.models.checkpoint import load
from iseg3d_ros.pruning.importance import importance
from iseg3d_ros.pruning.prune import PruneConfig, forward, mask, prune, surroundings
from iseg3d_ros.pruning.trace import dependencies
from iseg3d_ros.sparse import Maps, backend, choice, implicit_gemm, sparse_batch
from iseg3d_ros.training.config import ClickConfig
from iseg3d_ros.training.samples import TrainingSample
from iseg3d_ros.training.step import Step
from iseg3d_ros.training.validate import iou_by_clicks

# Bounds of the shipped networks: operators and waits of an encoding in plain torch, of one with our kernel, of a click.
# The aim is 400 and 4 for an encoding, 120 and 2 for a click.
BOUNDS = {
    "agile3d": ((285, 3), (215, 3), (335, 1)),
    "clickenhance": ((30, 2), (30, 2), (460, 2)),
    "e2i3d": ((350, 3), (260, 3), (280, 5)),
    "fewclick": ((960, 4), (950, 4), (500, 1)),
    "interobject3d": ((30, 2), (30, 2), (310, 2)),
    "npiseg3d": ((285, 3), (215, 3), (410, 2)),
}


@pytest.fixture
def counts() -> Iterator[Counts]:
    with backend("torch"), pretend_device() as found:
        yield found


@pytest.fixture
def our_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pretend device computes with `implicit_gemm`, which on it is plain torch within one operator."""
    monkeypatch.setattr(choice.implicit_gemm, "available", lambda device: device == NAME)


def test_devices_do_not_mix(counts: Counts) -> None:
    ours = torch.ones(3, 2).to(NAME)
    for wrong in (lambda: ours + torch.ones(3, 2), lambda: torch.cat([ours, torch.ones(1, 2)]), lambda: ours.numpy()):
        with pytest.raises((RuntimeError, TypeError)):
            wrong()
    assert float((ours * 2 + torch.tensor(1.0)).sum()) == 18.0  # a single number may come from the host


def test_waits_and_operators_are_counted(counts: Counts) -> None:
    ours = torch.arange(6, device=NAME)
    counts.clear()
    assert (ours.view(2, 3)[1] + 1).tolist() == [4, 5, 6]
    assert counts.totals == (1, 1, 0)  # one sum; views start nothing; the list waits
    assert ours[ours > 2].shape == (3,) and len(ours.nonzero()) == 5
    assert counts.waits.total() == 3
    torch.tensor([1, 2], device=NAME)
    assert counts.uploads.total() == 1


@pytest.mark.parametrize("name", sorted(BOUNDS))
@pytest.mark.parametrize("way", ["torch", "triton"])
def test_shipped_networks(name: str, way: str, counts: Counts, our_kernel: None) -> None:
    network = load(weights_dir() / f"{name}.safetensors").eval()
    cloud, label = boxes_on_a_table(network.settings)
    clicks = first_clicks(label, 1)
    again = torch.cat([clicks.voxel, clicks.voxel[:1] + 1]), torch.cat([clicks.label, clicks.label[:1]])
    clicks = replace(clicks, voxel=again[0], label=again[1])
    with torch.inference_mode():
        wanted = network.decode(network.encode([cloud]), [clicks])[0].logits
        network.to(NAME)
        there, clicked = cloud.to(NAME), clicks.to(NAME)
        with backend(way):
            encoding = counted(counts, lambda: network.encode([there]))
            network.decode(encoding[0], [replace(clicked, voxel=clicked.voxel[:-1], label=clicked.label[:-1])])
            click = counted(counts, lambda: network.decode(encoding[0], [clicked]))  # a further one
    assert click[0][0].logits.device.type == NAME
    assert torch.equal(click[0][0].logits.cpu().argmax(1), wanted.argmax(1))
    bounds = BOUNDS[name][0 if way == "torch" else 1], BOUNDS[name][2]
    for (_, operators, waits), (most_operators, most_waits) in zip((encoding, click), bounds, strict=True):
        assert operators <= most_operators and waits <= most_waits, f"{operators} operators, waits: {counts.waits}"


def counted(counts: Counts, work: Any) -> tuple[Any, int, int]:
    """What it gives, and the operators and waits that it took."""
    counts.clear()
    result = work()
    return result, *counts.totals[:2]


def test_kernel_maps_wait_three_times(counts: Counts) -> None:
    cells = torch.cartesian_prod(*[torch.arange(20)] * 3)[::3]
    coords = sparse_batch([cells, cells + 3]).to(NAME)
    counts.clear()
    maps = Maps(coords).prepare()
    assert counts.waits.total() == 3, counts.waits
    for stride in (1, 2, 4, 8, 16):
        near = Maps(coords.cpu()).submanifold(stride, 3).neighbours
        assert torch.equal(maps.submanifold(stride, 3).neighbours.cpu(), near)


def small(name: str) -> Any:
    torch.manual_seed(0)
    planes = (8, 8, 12, 12, 12, 8, 8, 8)
    return build(settings_of(name, "small", planes=planes, stem=8, blocks=(1,) * 8))


def sample(network: Any) -> TrainingSample:
    cloud, label = boxes_on_a_table(network.settings)
    classes = torch.zeros(4, dtype=torch.int64)
    return TrainingSample(cloud, label, label, classes, 3, "tabletop").to(NAME)


@pytest.mark.parametrize("name,way", [*((name, "torch") for name in sorted(NETWORKS)), ("e2i3d", "triton")])
def test_training_step(name: str, way: str, counts: Counts, our_kernel: None) -> None:
    """As on a CPU: the same loss, and gradients for every parameter that has one there."""
    network = small(name).train()
    one = Step(network, ClickConfig(rounds=1))([sample(network).to("cpu")], 0, [0])["total"]
    one.backward()
    wanted = {key: each.grad for key, each in network.named_parameters() if each.grad is not None}
    moved = small(name).train().to(NAME)
    with backend(way):
        loss = Step(moved, ClickConfig(rounds=1))([sample(network)], 0, [0])["total"]
        loss.backward()
    torch.optim.AdamW(moved.parameters()).step()
    got = {key: each.grad for key, each in moved.named_parameters() if each.grad is not None}
    assert set(got) == set(wanted) and all(each.device.type == NAME for each in got.values())
    if name != "npiseg3d":  # which samples
        assert float(loss) == pytest.approx(float(one), rel=1e-3)


def test_pruning_and_its_mask(counts: Counts) -> None:
    network = small("interobject3d").to(NAME)
    scene = sample(network)
    clicks = first_clicks(scene.labels.cpu()).to(NAME)
    found = dependencies(network, forward(network, *surroundings(scene.cloud, clicks, 60)))
    config = PruneConfig(round(0.9 * sum(each.numel() for each in network.parameters())))
    pruned = prune(network, [(scene.cloud, clicks, scene.labels)], config, found)
    assert {each.device.type for each in pruned.parameters()} == {NAME}
    mask(network, found, np.arange(len(importance(network, found, "l1"))) % 4 > 0)
    assert network.decode(network.encode([scene.cloud]), [clicks])[0].logits.device.type == NAME


def test_adaptation_and_validation(counts: Counts) -> None:
    network = small("agile3d").eval().to(NAME)
    scene = sample(network)
    clicks = first_clicks(scene.labels.cpu(), 1)
    adapted = Adapted(network, steps=1)
    encoded = adapted.encode([scene.cloud])
    again = torch.cat([clicks.voxel, clicks.voxel[:1] + 1]), torch.cat([clicks.label, clicks.label[:1]])
    more = replace(clicks, voxel=again[0], label=again[1])
    for each in (clicks, more):
        assert adapted.decode(encoded, [each.to(NAME)])[0].logits.device.type == NAME
    assert np.isfinite(iou_by_clicks(network, scene)).all()


def test_auto_is_measured_once_a_device(
    counts: Counts, our_kernel: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    seconds, asked = {"torch": 2.0, "triton": 1.0}, []
    monkeypatch.setattr(choice, "_seconds", lambda name, device: asked.append(name) or seconds[name])
    for _ in range(2):  # the second time from the file
        choice.measured.cache_clear()
        with backend("auto"):
            assert choice.resolved(torch.device(NAME)) == "triton"
    assert asked == ["torch", "triton"] and choice.measurements().is_file()
    choice.measured.cache_clear()


def test_a_back_end_that_fails_is_not_taken(
    counts: Counts, our_kernel: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def fails(*_: object) -> None:
        raise RuntimeError("out of resources")

    monkeypatch.setattr(implicit_gemm, "product", fails)
    monkeypatch.setattr(choice, "WIDTHS", (4,))
    monkeypatch.setattr(choice, "TURNS", 1)
    choice.measured.cache_clear()
    with backend("auto"):
        assert choice.resolved(torch.device(NAME)) == "torch"
    choice.measured.cache_clear()


def test_autocast_and_memory_are_as_on_a_gpu(counts: Counts) -> None:
    ours = torch.ones(4, 4).to(NAME)
    with torch.autocast(NAME, torch.float16):
        assert (ours @ ours).dtype == (ours @ ours).softmax(0).dtype == torch.float16
        assert torch.stack([ours, ours]).dtype == torch.float32
    held = counts.memory.now
    more, view = ours + 1, ours[1:]
    assert counts.memory.now == held + 64 and counts.memory.peak >= held + 64
    del more
    assert counts.memory.now == held and view.shape == (3, 4)
    counts.memory.limit = held + 63
    with pytest.raises(torch.OutOfMemoryError, match="64 bytes wanted"):
        ours + 1
