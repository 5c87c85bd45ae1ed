"""The transform tree against scipy's rotations, and what it says when it cannot answer."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation, Slerp

from iseg3d_ros.geometry.transforms import SECOND, TransformTree, apply, interpolated, matrix, quaternion


def pose(rng: np.random.Generator) -> np.ndarray:
    return np.concatenate([rng.normal(size=3), Rotation.random(random_state=rng).as_quat()])


def test_matrix_and_quaternion() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        p = pose(rng)
        np.testing.assert_allclose(matrix(p)[:3, :3], Rotation.from_quat(p[3:]).as_matrix(), atol=1e-12)
        back = quaternion(matrix(p)[:3, :3])
        assert abs(abs(back @ p[3:]) - 1) < 1e-9 and back[3] >= 0
    assert abs(quaternion(np.diag([1.0, -1.0, -1.0]))[0]) == pytest.approx(1)


def test_interpolation_is_slerp() -> None:
    rng = np.random.default_rng(1)
    for part in (0.0, 0.2, 0.5, 1.0):
        a, b = pose(rng), pose(rng)
        expected = Slerp([0, 1], Rotation.from_quat([a[3:], b[3:]]))(part).as_matrix()
        got = matrix(interpolated(a, b, part))
        np.testing.assert_allclose(got[:3, :3], expected, atol=1e-9)
        np.testing.assert_allclose(got[:3, 3], a[:3] + part * (b[:3] - a[:3]))


def tree() -> tuple[TransformTree, dict[str, np.ndarray]]:
    rng = np.random.default_rng(2)
    poses = {name: pose(rng) for name in ("odom", "base", "lidar", "camera")}
    built = TransformTree()
    built.insert("map", "odom", 0, poses["odom"], static=True)
    built.insert("odom", "base", 10 * SECOND, poses["base"])
    built.insert("base", "lidar", 0, poses["lidar"], static=True)
    built.insert("base", "camera", 0, poses["camera"], static=True)
    return built, poses


def test_chains_up_and_down() -> None:
    built, poses = tree()
    m = {name: matrix(p) for name, p in poses.items()}
    point = np.array([1.0, 2.0, 3.0])
    np.testing.assert_allclose(
        apply(built.lookup("map", "lidar", 10 * SECOND), point), apply(m["odom"] @ m["base"] @ m["lidar"], point)
    )
    np.testing.assert_allclose(built.lookup("lidar", "camera"), np.linalg.inv(m["lidar"]) @ m["camera"])
    np.testing.assert_allclose(built.lookup("map", "lidar") @ built.lookup("lidar", "map"), np.eye(4), atol=1e-12)


def test_the_newest_transform_says_when_it_is_true() -> None:
    built, poses = tree()
    built.insert("odom", "base", 12 * SECOND, poses["base"])
    built.insert("base", "arm", 11 * SECOND, poses["camera"])
    expected = built.lookup("map", "arm", 11 * SECOND)
    found, stamp = built.newest("map", "arm")
    np.testing.assert_allclose(found, expected)
    assert stamp == 11 * SECOND
    assert built.newest("lidar", "camera")[1] == 0, "what is static holds always"
    with pytest.raises(LookupError, match="known frames"):
        built.newest("map", "nowhere")


def test_the_root_is_what_all_else_hangs_on() -> None:
    built, _ = tree()
    assert built.root("camera") == "map" == built.root("map")
    assert built.root("nowhere") == "nowhere"


def test_a_recording_that_begins_again_is_not_mixed_with_its_first_run() -> None:
    built, poses = tree()
    built.insert("odom", "base", 60 * SECOND, poses["base"] + [58, 0, 0, 0, 0, 0, 0])
    built.insert("odom", "base", 59 * SECOND + 1, poses["base"])  # out of order, not anew
    assert built.lookup("odom", "base")[0, 3] == poses["base"][0] + 58
    built.insert("odom", "base", 10 * SECOND, poses["base"])
    np.testing.assert_allclose(built.lookup("odom", "base"), matrix(poses["base"]))
    np.testing.assert_allclose(built.lookup("base", "lidar"), matrix(poses["lidar"]))
    with pytest.raises(LookupError, match="known up to 10"):
        built.lookup("odom", "base", 60 * SECOND)


def test_a_transform_from_far_in_the_future_disables_no_edge() -> None:
    built, poses = tree()
    built.insert("odom", "base", 2**31 * SECOND, poses["base"] + [1, 0, 0, 0, 0, 0, 0])
    built.insert("odom", "base", 11 * SECOND, poses["base"])
    np.testing.assert_allclose(built.lookup("odom", "base", 11 * SECOND), matrix(poses["base"]))


def test_between_two_times() -> None:
    built, poses = tree()
    later = poses["base"] + [2, 0, 0, 0, 0, 0, 0]
    built.insert("odom", "base", 12 * SECOND, later)
    half = built.lookup("odom", "base", 11 * SECOND)
    np.testing.assert_allclose(half[:3, 3], poses["base"][:3] + [1, 0, 0])
    np.testing.assert_allclose(built.lookup("odom", "base"), matrix(later))  # 0: the newest


def test_out_of_order_and_forgotten() -> None:
    built = TransformTree(keep_seconds=5)
    for t in (3, 1, 2, 20):
        built.insert("a", "b", t * SECOND, [t, 0, 0, 0, 0, 0, 1])
    with pytest.raises(LookupError, match=r"from 20\.000 s on only"):
        built.lookup("a", "b", 3 * SECOND)


@pytest.mark.parametrize(
    ("target", "source", "time", "words"),
    [
        ("map", "robot", 0, r"names the frame 'robot' \(known frames: base"),
        ("map", "lidar", 11 * SECOND, "'base' in 'odom' is known up to 10.000 s only"),
        ("map", "lidar", 9 * SECOND, "from 10.000 s on only"),
        ("map", "island", 0, "not connected"),
    ],
)
def test_sentences(target: str, source: str, time: int, words: str) -> None:
    built, _ = tree()
    built.insert("sea", "island", 0, [0, 0, 0, 0, 0, 0, 1], static=True)
    with pytest.raises(LookupError, match=words):
        built.lookup(target, source, time)


def test_rubbish_is_left_out() -> None:
    built, _ = tree()
    built.insert("base", "lidar", 0, [np.nan, 0, 0, 0, 0, 0, 1], static=True)
    built.insert("base", "lidar", 0, [0, 0, 0, 0, 0, 0, 0], static=True)
    built.insert("base", "base", 0, [0, 0, 0, 0, 0, 0, 1], static=True)
    assert np.isfinite(built.lookup("base", "lidar")).all()


def test_a_loop_of_parents_ends() -> None:
    built = TransformTree()
    built.insert("a", "b", 0, [0, 0, 0, 0, 0, 0, 1], static=True)
    built.insert("b", "a", 0, [0, 0, 0, 0, 0, 0, 1], static=True)
    with pytest.raises(LookupError):
        built.lookup("c", "a")
    assert built.lookup("a", "b").shape == (4, 4)
