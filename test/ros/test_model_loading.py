"""From parameters to a model. In this process, without DDS."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import missing_ros

if missing_ros():
    pytest.skip(missing_ros(), allow_module_level=True)

from iseg3d_ros.clicks import Click
from iseg3d_ros.interaction.current_cloud import CurrentCloud
from iseg3d_ros.io.pointcloud2_read import Points
from iseg3d_ros.models.adaptation import Adapted
from iseg3d_ros.models.build import build, settings_of
from iseg3d_ros.models.checkpoint import save
from iseg3d_ros.models.tiled import Tiled
from iseg3d_ros.ros.model_loading import load_model
from iseg3d_ros.ros.settings import SegmenterSettings


def shown() -> CurrentCloud:
    xyz = np.random.default_rng(0).uniform(-0.3, 0.3, (2000, 3)).astype(np.float32)
    return CurrentCloud(
        Points(xyz, np.full((2000, 3), 9, np.uint8), None, np.arange(2000) * 2, (1, 4000)), "map", 7, None
    )


def test_adaptation_is_a_parameter(tmp_path: Path) -> None:
    save(tmp_path / "tiny.safetensors", build(settings_of("interobject3d", "tiny")))
    settings = SegmenterSettings(weights=str(tmp_path / "tiny.safetensors"), device="cpu", voxel_size=0.05, adapt=True)
    said: list[str] = []
    model = load_model(settings, said.append, said.append).model
    assert isinstance(model.predictor.network, Adapted) and "tiny is ready" in said[-1]
    cloud = shown()
    points = [tuple(float(v) for v in cloud.points.xyz[i]) for i in (0, 50, 99)]
    marks = [Click(points[0], "a"), Click(points[1], ""), Click(points[2], "a")]  # type: ignore[arg-type]
    masks = model.segment_cloud(cloud, marks, ["a"])
    assert masks.labels[0] == 1 and masks.labels[50] == 0
    with pytest.raises(ValueError, match="no weights that could adapt"):
        load_model(SegmenterSettings(model="random_walker", adapt=True), said.append, said.append)
    with pytest.raises(ValueError, match="numbers separated by commas"):
        load_model(replace(settings, cubes="wide"), said.append, said.append)
    tiled = load_model(replace(settings, adapt=False, cubes="2,4,16", tile=5.0), said.append, said.append)
    network = tiled.model.predictor.network
    assert isinstance(network, Tiled) and network.edge == 5.0
    assert network.settings.cubes == (2.0, 4.0, 16.0)
    with pytest.raises(FileNotFoundError, match="where there is no file"):
        load_model(SegmenterSettings(weights="/nowhere"), said.append, said.append)
