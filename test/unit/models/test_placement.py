"""Half precision, and what is done where memory ends, on a device that is not there."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from pretend_device import NAME, pretend_device

from iseg3d_ros import Click, Predictor, Scene
from iseg3d_ros.io.package_files import weights_dir
from iseg3d_ros.models.checkpoint import load
from iseg3d_ros.models.placement import Placement, limit_memory, on_cpu
from iseg3d_ros.sparse import backend

Points = tuple[np.ndarray, np.ndarray, list[Click]]


def boxes() -> Points:
    """Boxes on a table, each of a colour, and a click on each."""
    rng = np.random.default_rng(0)
    parts, colours, clicks = [np.c_[rng.uniform(-0.5, 0.5, (9000, 2)), np.zeros(9000)]], [np.full((9000, 3), 120)], []
    for k in range(3):
        box = rng.uniform(0, 1, (2500, 3))
        box[np.arange(2500), rng.integers(0, 3, 2500)] = 1
        parts.append(box * 0.15 + [0.25 * k - 0.35, 0.1 * k - 0.2, 0])
        colours.append(np.tile([200 - 90 * k, 40, 90 * k], (2500, 1)))
        clicks.append(Click((0.25 * k - 0.27, 0.1 * k - 0.12, 0.15), k + 1))
    return np.concatenate(parts).astype(np.float32), np.concatenate(colours).astype(np.uint8), clicks


def predictor(name: str, device: str = "cpu", precision: str = "auto") -> Predictor:
    network = load(weights_dir() / f"{name}.safetensors").eval().to(device)
    return Predictor(network, name, device, voxel_size=0.012, precision=precision)


def answer(wanted: Predictor) -> tuple[Scene, np.ndarray]:
    xyz, rgb, clicks = boxes()
    torch.manual_seed(0)
    scene = wanted.encode(xyz, rgb)
    return scene, wanted.segment(scene, clicks).labels


@pytest.mark.parametrize("name", sorted(path.stem for path in weights_dir().glob("*.safetensors")))
def test_half_precision_gives_the_same_labels(name: str) -> None:
    full, half = (answer(predictor(name, precision=precision))[1] for precision in ("full", "half"))
    assert set(full) == {0, 1, 2, 3}
    assert np.mean(full == half) >= 0.995


def test_auto_is_half_on_a_gpu_alone() -> None:
    kinds = {"cpu": False, "cuda": True}
    assert {kind: Placement.of(torch.device(kind)).half for kind in kinds} == kinds
    assert not Placement.of(torch.device("cuda"), "full").half
    with pytest.raises(ValueError, match="no precision 'quarter'; use auto, full, half"):
        Placement.of(torch.device("cpu"), "quarter")


def test_half_precision_really_is() -> None:
    types: dict[str, torch.dtype] = {}
    for precision in ("full", "half"):
        with Placement.of(torch.device("cpu"), precision).at_work():
            types[precision] = (torch.ones(2, 2) @ torch.ones(2, 2)).dtype
    assert types == {"full": torch.float32, "half": torch.bfloat16}


def peak(precision: str, most: int | None = None) -> int:
    """Bytes that one answer needs."""
    with backend("torch"), pretend_device() as counts:
        one = predictor("e2i3d", NAME, precision)
        if most is not None:
            one.preparation = dataclasses.replace(one.preparation, max_voxels=most)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            answer(one)
        return counts.memory.peak


def within(memory: int) -> tuple[Predictor, Scene, np.ndarray]:
    with backend("torch"), pretend_device(memory), pytest.warns(UserWarning, match="memory"):
        one = predictor("e2i3d", NAME, "full")
        return one, *answer(one)


def test_larger_voxels_where_memory_ends() -> None:
    one, scene, labels = within(int(0.8 * peak("full")))
    assert (one.device.type, one.placement.half) == (NAME, False)
    assert one.placement.most_voxels and len(scene.voxels) <= one.placement.most_voxels
    assert any(note.startswith(f"The memory of {NAME}") for note in scene.notes)
    assert {1, 2, 3} <= set(labels)


def test_the_cpu_in_the_end() -> None:
    """The network fits, and nothing else does: voxels, half precision, the CPU, a sentence each; the GPU's answer."""
    xyz, rgb, clicks = boxes()
    with backend("torch"), pretend_device() as counts:
        one = predictor("e2i3d", NAME, "full")
        counts.memory.limit = counts.memory.now + 1000
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            scene = one.encode(xyz, rgb)
        sentences = [str(each.message) for each in said]
        for text in ("voxels are larger", "from now on in half precision", "from now on on the CPU"):
            assert sum(text in each for each in sentences) == 1, sentences
            assert any(text in note for note in scene.notes)
        assert one.device.type == "cpu" and one.network.device.type == NAME
        labels = one.segment(scene, clicks).labels
        assert not one.encode(xyz, rgb).notes  # what was said once is not said again
    assert np.array_equal(labels, answer(predictor("e2i3d"))[1])


def test_memory_that_ends_at_a_click() -> None:
    """The scene was encoded on the device; the click finds no room, and is answered on the CPU, with a sentence."""
    xyz, rgb, clicks = boxes()
    said: list[str] = []
    with backend("torch"), pretend_device() as counts:
        one = predictor("e2i3d", NAME, "full")
        one.say = said.append
        scene = one.encode(xyz, rgb)
        counts.memory.limit = counts.memory.now + 1000
        first = one.segment(scene, clicks).labels
        assert np.array_equal(first, one.segment(scene, clicks).labels)
    assert ["half precision" in said[0], "on the CPU" in said[1], len(said)] == [True, True, 2]
    assert np.array_equal(first, answer(predictor("e2i3d"))[1])


def test_a_cpu_has_no_smaller_place() -> None:
    class Hungry(torch.nn.Module):
        settings: Any = load(weights_dir() / "e2i3d.safetensors").settings

        def encode(self, clouds: Any) -> Any:
            raise torch.OutOfMemoryError("all gone")

    with pytest.raises(torch.OutOfMemoryError, match="all gone"):
        Predictor(Hungry()).encode(*boxes()[:2])


def test_a_copy_on_the_cpu_takes_nothing_of_the_device() -> None:
    with pretend_device() as counts:
        network = load(weights_dir() / "e2i3d.safetensors").to(NAME)
        held = counts.memory.now
        copied = on_cpu(network)
        assert counts.memory.now == held and held > 4 * 10**6
        assert on_cpu(copied) is copied
    assert {each.device.type for each in copied.state_dict().values()} == {"cpu"}


def test_a_share_of_memory_is_a_share() -> None:
    limit_memory(torch.device("cpu"), 0.5)  # a CPU has none to share out
    with pytest.raises(ValueError, match=r"between 0 and 1, but is 1\.5"):
        limit_memory(torch.device("cuda"), 1.5)
