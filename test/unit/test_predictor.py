from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from iseg3d_ros import Click, Predictor, Scene, Segmentation
from iseg3d_ros.predictor import device_of, weights_file
from iseg3d_ros.preprocessing.scene import kind_of

BALL, CUBE, TABLE = (0.0, 0.0, 0.24), (0.35, 0.1, 0.12), (-0.4, -0.3, 0.0)


def table_top(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A table with a ball and a box on it: points, colours, labels."""
    rng = np.random.default_rng(seed)
    table = np.c_[rng.uniform(-0.6, 0.6, (20000, 2)), np.zeros(20000)]
    ball = rng.normal(size=(6000, 3))
    ball = ball / np.linalg.norm(ball, axis=1, keepdims=True) * 0.12 + [0, 0, 0.12]
    box = rng.uniform(-1, 1, (6000, 3))
    side = rng.integers(0, 3, 6000)
    box[np.arange(6000), side] = np.where(side == 2, 1, np.sign(box[np.arange(6000), side]))  # it stands on its bottom
    box = box * 0.06 + [0.35, 0.1, 0.06]
    xyz = np.concatenate([table, ball, box]) + rng.normal(0, 0.001, (32000, 3))
    labels = np.repeat([0, 1, 2], [20000, 6000, 6000]).astype(np.int32)
    colour = np.array([[150, 140, 130], [200, 30, 30], [30, 60, 200]], np.uint8)[labels]
    return xyz.astype(np.float32), colour, labels


def iou(found: np.ndarray, truth: np.ndarray, label: int) -> float:
    return ((found == label) & (truth == label)).sum() / ((found == label) | (truth == label)).sum()


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor.load("random_walker")


@pytest.fixture(scope="module")
def scene(predictor: Predictor) -> Scene:
    return predictor.encode(*table_top()[:2])


def test_one_click_an_object_is_enough_here(predictor: Predictor, scene: Scene) -> None:
    truth = table_top()[2]
    result = predictor.segment(scene, [Click(BALL, 1), Click(CUBE, 2)])
    assert scene.kind == "tabletop"
    assert min(iou(result.labels, truth, label) for label in (1, 2)) > 0.9
    assert result.labels.dtype == np.int32
    assert result.probability.dtype == result.uncertainty.dtype == np.float32
    assert result.labels.shape == result.probability.shape == result.uncertainty.shape == (len(truth),)
    assert result.objects == 2
    assert 1 / 3 <= result.probability.min() <= result.probability.max() <= 1
    assert 0 <= result.uncertainty.min() <= result.uncertainty.max() <= np.log(3) + 1e-5


def turn(angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


@pytest.mark.parametrize("angle", [0.6, np.pi / 2, np.pi])
def test_any_orientation_and_place(predictor: Predictor, angle: float) -> None:
    xyz, rgb, truth = table_top()
    move = np.array([0.1, 0.2, 1.3])
    place = xyz @ turn(angle).T + move
    clicks = [Click(tuple(turn(angle) @ point + move), label) for point, label in ((BALL, 1), (CUBE, 2))]
    result = predictor.segment(predictor.encode(place, rgb, up=turn(angle)[:, 2]), clicks)
    assert min(iou(result.labels, truth, label) for label in (1, 2)) > 0.9


def test_coordinates_at_ten_million(predictor: Predictor) -> None:
    xyz, rgb, truth = table_top()
    far = np.array([1e7, -2e7, 300.0])
    scene = predictor.encode(xyz.astype(np.float64) + far, rgb)
    result = predictor.segment(scene, [Click(tuple(far + BALL), 1), Click(tuple(far + CUBE), 2)])
    assert min(iou(result.labels, truth, label) for label in (1, 2)) > 0.9
    if result.suggested_click is not None:
        assert np.abs(np.array(result.suggested_click.point) - far).max() < 2


def test_nan_and_cropped_points_get_label_zero() -> None:
    xyz, rgb, truth = table_top()
    xyz[::10] = np.nan
    xyz[5] = np.inf
    predictor = Predictor.load("random_walker", crop_radius=0.5)
    with pytest.warns(UserWarning) as warned:
        scene = predictor.encode(xyz, rgb)
    assert any("NaN" in str(item.message) for item in warned)
    assert any("crop radius of 0.5 m" in note for note in scene.notes)
    result = predictor.segment(scene, [Click(BALL, 1)])
    outside = ~np.isfinite(xyz).all(axis=1) | (np.linalg.norm(np.nan_to_num(xyz, posinf=9), axis=1) > 0.5)
    assert not result.labels[outside].any()
    assert not result.probability[outside].any()
    assert iou(result.labels[~outside], truth[~outside], 1) > 0.9
    assert np.isfinite(xyz[scene.voxels.representative]).all()


def test_too_many_voxels_become_larger_with_a_warning() -> None:
    xyz, rgb, truth = table_top()
    predictor = Predictor.load("random_walker", voxel_size=0.01, max_voxels=4000)
    with pytest.warns(UserWarning, match="more than 4000 voxels"):
        scene = predictor.encode(xyz, rgb)
    assert len(scene.voxels) <= 4000
    assert iou(predictor.segment(scene, [Click(BALL, 1)]).labels, truth, 1) > 0.8


def test_clicked_voxels_carry_their_label(predictor: Predictor, scene: Scene) -> None:
    xyz = table_top()[0]
    clicks = [Click(BALL, 1), Click(tuple(map(float, xyz[100])), 2), Click(tuple(map(float, xyz[21000])), 0)]
    result = predictor.segment(scene, clicks)
    assert (result.labels[100], result.labels[21000]) == (2, 0)
    assert result.probability[100] == 1
    assert result.uncertainty[100] == 0


def test_the_later_click_in_a_voxel_counts(predictor: Predictor, scene: Scene) -> None:
    voxel = scene.voxel_of(Click(BALL))
    points = scene.voxels.inverse == voxel
    result = predictor.segment(scene, [Click(BALL, 1), Click(BALL, 0), Click(CUBE, 1)])
    assert not result.labels[points].any()


def test_a_clicked_point_is_in_its_own_voxel(scene: Scene) -> None:
    xyz = table_top()[0]
    for point in range(0, len(xyz), 997):
        assert scene.voxel_of(Click(tuple(map(float, xyz[point])))) == scene.voxels.inverse[point]


def test_object_numbers_may_have_gaps(predictor: Predictor, scene: Scene) -> None:
    dense = predictor.segment(scene, [Click(BALL, 1), Click(CUBE, 2)])
    gaps = predictor.segment(scene, [Click(BALL, 3), Click(CUBE, 40)], previous=dense)
    assert set(np.unique(gaps.labels)) == {0, 3, 40}
    assert gaps.objects == 40
    np.testing.assert_array_equal(np.array([0, 3, 40])[dense.labels], gaps.labels)


@pytest.mark.parametrize("clicks", [[], [Click(TABLE, 0)]])
def test_without_an_object_all_is_background(predictor: Predictor, scene: Scene, clicks: list[Click]) -> None:
    result = predictor.segment(scene, clicks)
    assert not result.labels.any()
    assert (result.probability == 1).all()
    assert result.suggested_click is None
    assert result.objects == 0


def test_segment_is_pure_and_threads_agree(predictor: Predictor, scene: Scene) -> None:
    wanted = [predictor.segment(scene, [Click(BALL, 1), Click(CUBE, 2)][: n + 1]) for n in range(2)]
    fresh = predictor.encode(*table_top()[:2])
    found: list[Segmentation | None] = [None] * 8

    def work(k: int) -> None:
        found[k] = predictor.segment(fresh, [Click(BALL, 1), Click(CUBE, 2)][: k % 2 + 1])

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for k, result in enumerate(found):
        assert result is not None
        np.testing.assert_array_equal(result.labels, wanted[k % 2].labels)


@pytest.mark.parametrize("count", [1, 2, 3, 12])
def test_a_handful_of_points(predictor: Predictor, count: int) -> None:
    xyz = np.random.default_rng(1).random((count, 3)).astype(np.float32)
    scene = predictor.encode(xyz)
    result = predictor.segment(scene, [Click(tuple(map(float, xyz[0])), 1)])
    assert result.labels[0] == 1
    assert np.isfinite(result.uncertainty).all()


@pytest.mark.parametrize(
    ("xyz", "rgb", "up", "says"),
    [
        (np.zeros((5, 2)), None, None, "shape"),
        (np.zeros(5), None, None, "shape"),
        (np.zeros((0, 3)), None, None, "no points"),
        (np.full((5, 3), np.nan), None, None, "finite"),
        (np.zeros((5, 3), object), None, None, "numbers"),
        (np.zeros((5, 3)), np.zeros((4, 3), np.uint8), None, "Colours have the shape"),
        (np.zeros((5, 3)), np.zeros((5, 3), np.float32), None, "uint8"),
        (np.zeros((5, 3)), None, (0, 0, 0), "up direction"),
        (np.zeros((5, 3)), None, (0, 1), "up direction"),
    ],
)
def test_bad_clouds_are_a_sentence(
    predictor: Predictor, xyz: np.ndarray, rgb: np.ndarray, up: object, says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        predictor.encode(xyz, rgb, up)


@pytest.mark.parametrize(
    ("click", "says"),
    [
        (Click((5.0, 0, 0), 1), r"4\.\d+ m from the nearest point"),
        (Click((np.nan, 0, 0), 1), "finite numbers"),
        (Click(("a", 0, 0), 1), "three numbers"),
        (Click((0, 0), 1), "three finite numbers"),
        (Click(BALL, -1), "whole number"),
        (Click(BALL, 1.5), "whole number"),
        (Click(BALL, True), "whole number"),
    ],
)
def test_bad_clicks_are_a_sentence(predictor: Predictor, scene: Scene, click: Click, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        predictor.segment(scene, [click])


def test_previous_labels_of_another_cloud_are_refused(predictor: Predictor, scene: Scene) -> None:
    with pytest.raises(ValueError, match="previous labels"):
        predictor.segment(scene, [Click(BALL, 1)], previous=np.zeros(7, np.int32))


def test_missing_weights_devices_and_sizes_are_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no weights called 'e3i2d'"):
        Predictor.load("e3i2d")
    with pytest.raises(FileNotFoundError, match="random_walker"):
        weights_file(tmp_path / "none.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"\x10" * 50)
    with pytest.raises(ValueError, match=r"bad\.safetensors"):
        Predictor.load(tmp_path / "bad.safetensors")
    with pytest.raises(ValueError, match="no device"):
        device_of("tpu9")
    with pytest.raises(ValueError, match="voxel size"):
        Predictor.load("random_walker", voxel_size=-1)


def test_without_a_name_the_best_there_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("iseg3d_ros.predictor.weights_dir", lambda: tmp_path)
    assert Predictor.load().name == "random_walker"
    assert Predictor.load().parameters == 0


def test_a_network_from_its_file(tmp_path: Path) -> None:
    import torch

    from iseg3d_ros.models import checkpoint
    from iseg3d_ros.models.build import build, settings_of

    torch.manual_seed(0)
    network = build(settings_of("e2i3d", "tiny")).eval()
    checkpoint.save(tmp_path / "mine.safetensors", network, voxel={"tabletop": 0.02, "room": 0.04})
    predictor = Predictor.load(tmp_path / "mine.safetensors", device="cpu")
    xyz, rgb, _ = table_top()
    scene = predictor.encode(xyz, rgb)
    assert scene.voxels.size == 0.02
    assert predictor.parameters > 1000
    clicks = [Click(BALL, 1), Click(CUBE, 2), Click(TABLE, 0)]
    first = predictor.segment(scene, clicks)
    second = predictor.segment(scene, clicks, previous=first)
    assert first.labels.shape == second.labels.shape == (len(xyz),)
    assert np.isfinite(first.uncertainty).all()


@pytest.mark.parametrize(
    ("size", "kind"), [((0.8, 0.6, 0.3), "tabletop"), ((5, 4, 2.5), "room"), ((80, 60, 8), "street")]
)
def test_kind_of_scene_by_size(size: tuple[float, float, float], kind: str) -> None:
    xyz = np.random.default_rng(0).uniform(-0.5, 0.5, (5000, 3)) * size
    assert kind_of(xyz) == kind


def test_few_click_says_what_its_objects_may_be(tmp_path: Path) -> None:
    from iseg3d_ros.models import checkpoint
    from iseg3d_ros.models.build import build, settings_of
    from iseg3d_ros.models.vocabulary import PROTOTYPES, class_names

    checkpoint.save(tmp_path / "few.safetensors", build(settings_of("fewclick", "tiny")))
    few = Predictor.load(tmp_path / "few.safetensors", "cpu", 0.03)
    xyz, rgb, _ = table_top()
    scene = few.encode(xyz, rgb)
    result = few.segment(scene, [Click(CUBE, 7), Click(BALL, 3), Click(TABLE, 0)])
    assert set(result.classes) == {3, 7}  # by the numbers of the clicks
    names = {words[0] for words in PROTOTYPES}
    for rows in result.classes.values():
        assert len(rows) == 3 and {name for name, _ in rows} <= names
        assert 1 >= rows[0][1] >= rows[1][1] >= rows[2][1] > 0
    assert few.segment(scene, []).classes == {}
    assert class_names({"classes": ["mug", "pen"]}, 2) == ["mug", "pen"]
    assert class_names({}, 2) == ["class 0", "class 1"]


def test_networks_that_sample_take_a_number_and_a_seed(tmp_path: Path) -> None:
    from iseg3d_ros.models import checkpoint
    from iseg3d_ros.models.build import build, settings_of

    for name in ("npiseg3d", "agile3d"):
        checkpoint.save(tmp_path / f"{name}.safetensors", build(settings_of(name, "tiny")))
    xyz, rgb, _ = table_top()

    def variance(**options: int) -> np.ndarray:
        predictor = Predictor.load(tmp_path / "npiseg3d.safetensors", "cpu", 0.03, **options)
        found = predictor.segment(predictor.encode(xyz, rgb), [Click(BALL, 1), Click(TABLE, 0)]).variance
        assert found is not None
        return found

    first = variance(samples=4, seed=1)
    np.testing.assert_array_equal(variance(samples=4, seed=1), first)
    assert not np.array_equal(variance(samples=4, seed=2), first)
    assert not np.array_equal(variance(samples=8, seed=1), first) and not variance(samples=1).any()
    with pytest.raises(ValueError, match="draws no samples"):
        Predictor.load(tmp_path / "agile3d.safetensors", "cpu", samples=3)
    with pytest.raises(ValueError, match="1 to 1000"):
        Predictor.load(tmp_path / "npiseg3d.safetensors", "cpu", samples=0)


def test_adaptation_is_bounded_and_can_be_reset(tmp_path: Path) -> None:
    from iseg3d_ros.models import checkpoint
    from iseg3d_ros.models.build import build, settings_of

    checkpoint.save(tmp_path / "inter.safetensors", build(settings_of("interobject3d", "tiny")))
    xyz, rgb, _ = table_top()
    clicks = [Click(BALL, 1), Click(TABLE, 0), Click(CUBE, 0)]
    plain = Predictor.load(tmp_path / "inter.safetensors", "cpu", 0.03)
    adapted = Predictor.load(tmp_path / "inter.safetensors", "cpu", 0.03, adapt=True, adapt_bound=0.02)
    scene = adapted.encode(xyz, rgb)
    fixed = plain.segment(plain.encode(xyz, rgb), clicks).probability
    learned = adapted.segment(scene, clicks).probability
    assert adapted.network.bound == 0.02 and not np.array_equal(learned, fixed)
    adapted.reset(scene)
    np.testing.assert_allclose(adapted.segment(scene, clicks).probability, learned, atol=1e-5)  # learned anew, alike
    adapted.reset(scene)
    first = plain.segment(plain.encode(xyz, rgb), clicks[:1]).probability
    np.testing.assert_allclose(adapted.segment(scene, clicks[:1]).probability, first, atol=1e-5)
    for options, words in (({"adapt_bound": 0.0}, "above 0"),):
        with pytest.raises(ValueError, match=words):
            Predictor.load(tmp_path / "inter.safetensors", "cpu", adapt=True, **options)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no weights that could adapt"):
        Predictor.load("random_walker", adapt=True)
