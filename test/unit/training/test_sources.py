"""Training on every kind of data, in tiny files of each one's true layout; mixtures; splits by scene."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from data_layouts import LAYOUTS, blocks, own, s3dis

from iseg3d_ros.commands import main
from iseg3d_ros.data.folder import LabelledCloud, SceneFolder, write_scene
from iseg3d_ros.data.open import KINDS, open_data
from iseg3d_ros.data.open import LAYOUTS as LAYOUTS_EXPECTED
from iseg3d_ros.data.parts import part_of
from iseg3d_ros.models import checkpoint
from iseg3d_ros.training.config import AugmentConfig, DataConfig
from iseg3d_ros.training.samples import Crops, _draw
from iseg3d_ros.training.sources import sources_of

RECIPE = """network: agile3d
preset: tiny
options: {planes: [4, 4, 4, 4, 4, 4, 4, 4], stem: 4, width: 8, heads: 1, ffn: 8, layers: 1}
steps: 3
device: cpu
validate_steps: 1000
validate_scenes: 1
data: {max_voxels: 400, min_voxels: 300, min_points: 3, workers: 0}
clicks: {rounds: 1}
"""


def made(folder: Path, kind: str = "room") -> Path:
    """Two made scenes, one of held-out models."""
    for k, split in enumerate(("train", "val")):
        xyz, rgb, instance = blocks(k)
        cloud = LabelledCloud(f"{kind}{k}", xyz, rgb, None, instance, ("box", "box"), kind, np.zeros(3), split)
        write_scene(folder / f"{kind}{k}.scene", cloud)
    return folder


@pytest.mark.parametrize("kind", sorted(LAYOUTS))
def test_three_steps_on_every_kind_of_data(kind: str, tmp_path: Path) -> None:
    place = LAYOUTS[kind](tmp_path)
    recipe = tmp_path / "tiny_recipe.yaml"
    recipe.write_text(RECIPE)
    out = tmp_path / "run"
    assert main(["train", str(recipe), "--data", place, "--out", str(out)]) == 0
    network = checkpoint.load(out / "agile3d.safetensors")
    assert network.card["recipe"]["steps"] == 3
    assert any(name.endswith("IoU@1") for name in network.card["metrics"])  # measured on the part that was kept


def test_training_and_validation_never_share_a_scene(tmp_path: Path) -> None:
    for kind, write in LAYOUTS.items():
        place = write(tmp_path / kind) if not (tmp_path / kind).mkdir() else ""
        train, val = (set(part_of(place, part).names) for part in ("train", "val"))
        assert train and val and not train & val, kind
    area = tmp_path / "s3dis" / "Area_1"
    xyz, rgb, _ = blocks(7)
    for room in ("office_2", "office_3"):
        notes = area / room / "Annotations"
        notes.mkdir(parents=True)
        np.savetxt(notes / "chair_1.txt", np.c_[xyz, rgb], fmt="%.3f %.3f %.3f %d %d %d")
    train, val = (part_of(str(area), part).names for part in ("train", "val"))  # one area has no official split
    assert len(train) == 2 and len(val) == 1 and not set(train) & set(val)
    assert {name.split("/")[0] for name in part_of(str(tmp_path / "s3dis"), "train").names} == {"Area_1"}


def test_one_scene_cannot_be_split(tmp_path: Path) -> None:
    own(tmp_path)
    for file in ("scan0.ply", "scan1.pcd"):
        (tmp_path / file).unlink()
    with pytest.raises(ValueError, match="holds one scene, scan2: training needs at least two"):
        part_of(str(tmp_path), "train")


def test_places_are_mixed_by_their_weights_and_kinds_by_the_mixture(tmp_path: Path) -> None:
    for name in ("own", "made"):
        (tmp_path / name).mkdir()
    place = own(tmp_path / "own")
    made(tmp_path / "made"), made(tmp_path / "made", "tabletop")
    weights = {place: 3.0, str(tmp_path / "made"): 1.0}
    data = DataConfig(sources=weights, mixture={"room": 0.75, "tabletop": 0.25}, min_points=3)
    found = sources_of(data, "train")
    assert {name: source.weight for name, source in found.items()} == {"own": 3.0, "room": 0.75, "tabletop": 0.25}
    rng = np.random.default_rng(0)
    drawn = Counter(_draw(found, rng) for _ in range(2000))
    assert drawn["own"] / 2000 == pytest.approx(0.75, abs=0.04)
    assert drawn["room"] / 2000 == pytest.approx(0.1875, abs=0.04)


def test_a_damaged_file_is_named_and_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    place = own(tmp_path)
    held_out = part_of(place, "val").names
    damaged = next(tmp_path / f for f in ("scan0.ply", "scan1.pcd", "scan2.npz") if Path(f).stem not in held_out)
    damaged.write_bytes(damaged.read_bytes()[:200])
    crops = Crops(DataConfig(sources={place: 1.0}, min_points=3), AugmentConfig(), ("rgb",), 0, 1, 4)
    with caplog.at_level(logging.WARNING):
        assert all(len(crops[k]) == 1 for k in range(4))
    assert sum(damaged.name in message for message in caplog.messages) == 1
    for file in tmp_path.glob("scan*"):
        file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(RuntimeError, match="No object of 3 voxels in 100 scenes of .*scan"):
        Crops(DataConfig(sources={place: 1.0}, min_points=3), AugmentConfig(), ("rgb",), 0, 1, 1)[0]


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_layout_is_told_with_the_one_that_is_expected(kind: str, tmp_path: Path) -> None:
    (tmp_path / "readme.txt").write_text("nothing")
    with pytest.raises(ValueError, match="expected is") as caught:
        open_data(f"{kind}:{tmp_path}")
    assert LAYOUTS_EXPECTED[kind] in str(caught.value) and str(tmp_path) in str(caught.value)


def test_data_become_scenes_that_train_alike(tmp_path: Path) -> None:
    (tmp_path / "s3dis").mkdir()
    place, out = s3dis(tmp_path / "s3dis"), tmp_path / "scenes"
    assert main(["data", place, "--out", str(out)]) == 0
    scenes = SceneFolder(out)
    assert scenes.splits == ["train", "val"] and scenes[0].classes == part_of(place, "train")[0].cloud.classes
    np.testing.assert_array_equal(scenes[0].instance, part_of(place, "train")[0].cloud.instance)
    before = (out / scenes.paths[0].name).stat().st_mtime_ns
    assert main(["data", place, "--out", str(out)]) == 0
    assert (out / scenes.paths[0].name).stat().st_mtime_ns == before
    assert set(sources_of(DataConfig(sources={str(out): 1.0}), "train")) == {"room"}
