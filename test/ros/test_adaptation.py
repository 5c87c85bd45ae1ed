"""Online adaptation over DDS: a segmenter with an InterObject3D of this test learns from corrections, and forgets."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import domain, missing_ros

if missing_ros():
    pytest.skip(missing_ros(), allow_module_level=True)

from geometry_msgs.msg import Point
from ros_operator import Operator, node_process, operator, scene
from sensor_msgs.msg import PointCloud2
from std_srvs.srv import Trigger

from iseg3d_ros.clicks import Click
from iseg3d_ros.io.pointcloud2_read import read_field
from iseg3d_ros.models.adaptation import Adapted, adapting
from iseg3d_ros.models.build import build, settings_of
from iseg3d_ros.models.checkpoint import save
from iseg3d_ros.predictor import Predictor, Segmentation

RED, TABLE = (0.0, 0.0, 0.105), (-0.4, -0.4, 0.0)
VOXEL = 0.06
pytestmark = pytest.mark.timeout(500)


@pytest.fixture(scope="module", params=[0.0, 20.0], ids=["alone", "with the walker"])
def weights(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained network, whose card names the walker's share or does not."""
    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("weights") / "untrained.safetensors"
    save(path, build(settings_of("interobject3d", "tiny")), recipe={"walker": request.param})
    return path


@pytest.fixture
def robot(weights: Path, tmp_path: Path) -> Iterator[Operator]:
    """An operator, and a segmenter that adapts."""
    with domain() as number, operator(number) as one:
        given = (f"weights:={weights}", "device:=cpu", f"voxel_size:={VOXEL}", "adapt:=true")
        process = node_process(tmp_path, "segmenter", "autostart:=true", f"session_directory:={tmp_path}", *given)
        try:
            process.wait_for("ready: clouds on", 200)
            one.follow("~/labelled", PointCloud2)
            yield one
        finally:
            process.end()


def heard(robot: Operator, expected: Segmentation, what: str) -> None:
    """Waits for the labelled cloud with these probabilities."""

    def same(message: PointCloud2) -> bool:
        return np.allclose(read_field(message, "probability"), expected.probability, atol=1e-3)

    robot.until(lambda: robot.heard["~/labelled"] and same(robot.heard["~/labelled"][-1]), 120, what)


def library(predictor: Predictor, places: list[Point]) -> list[Segmentation]:
    """What the library says after each of the clicks: on the red cube, on the table."""
    clicks = [Click((p.x, p.y, p.z), label) for p, label in zip(places, (1, 0), strict=True)]
    xyz, rgb, _ = scene()
    encoded = predictor.encode(xyz, rgb)
    first = predictor.segment(encoded, clicks[:1])
    return [first, predictor.segment(encoded, clicks, first)]


def test_corrections_teach_and_a_new_scene_forgets(robot: Operator, weights: Path) -> None:
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    xyz, rgb, _ = scene()
    robot.arrive(xyz, rgb)
    first = robot.click(RED)
    assert first is not None and first.accepted
    second = robot.click(TABLE, "~/click/negative")
    assert second is not None and second.accepted
    fixed = Predictor.load(weights, "cpu", VOXEL)
    learning = Predictor.load(weights, "cpu", VOXEL)
    learning.network = adapting(learning.network)
    places = [first.point, second.point]
    (before, _), (same, taught) = library(fixed, places), library(learning, places)
    unadapted = library(fixed, places)[1]
    np.testing.assert_allclose(same.probability, before.probability, atol=1e-5)
    assert np.abs(taught.probability - unadapted.probability).max() > 0.01, "the correction changes the network"
    heard(robot, taught, "the adapted masks")
    assert robot.call("undo", Trigger).success
    heard(robot, before, "the masks before any correction")
    assert robot.call("clear", Trigger).success
    robot.arrive(xyz, rgb)
    robot.click(RED)
    heard(robot, before, "nothing learned is left in the next scene")
    robot.click(TABLE, "~/click/negative")
    heard(robot, taught, "the same corrections teach the same")
    assert hashlib.sha256(weights.read_bytes()).hexdigest() == digest


def test_the_loaded_network_stays_as_it_is(weights: Path) -> None:
    predictor = Predictor.load(weights, "cpu", VOXEL)
    predictor.network = adapting(predictor.network)
    wrapped = getattr(predictor.network, "walker", None) and predictor.network.network or predictor.network
    assert isinstance(wrapped, Adapted)
    before = {name: value.clone() for name, value in wrapped.network.state_dict().items()}
    library(predictor, [Point(x=0.0, y=0.0, z=0.105), Point(x=-0.4, y=-0.4, z=0.0)])
    after = wrapped.network.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
