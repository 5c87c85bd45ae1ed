"""What is asked of a loaded network: refused in words by those that do not know it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from iseg3d_ros import Click, Predictor
from iseg3d_ros.models.vocabulary import PROTOTYPES, read_vocabulary


def cloud() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    floor, thing = np.c_[rng.uniform(-0.5, 0.5, (6000, 2)), np.zeros(6000)], rng.uniform(-0.1, 0.1, (2000, 3))
    xyz = np.r_[floor, thing + [0, 0, 0.1]]
    return xyz.astype(np.float32), rng.integers(0, 255, (8000, 3)).astype(np.uint8)


def masks(**options: object) -> np.ndarray:
    predictor = Predictor.load(device="cpu", **options)  # type: ignore[arg-type]
    return predictor.segment(predictor.encode(*cloud()), [Click((0.0, 0.0, 0.2), 1)]).probability


def test_the_cubes_of_the_clicks() -> None:
    plain, same = masks(name="interobject3d"), masks(name="interobject3d", cubes=(1.0, 4.0, 16.0))
    wider = masks(name="interobject3d", cubes=(3.0, 8.0, 32.0))
    assert np.array_equal(plain, same)
    assert not np.array_equal(plain, wider)
    with pytest.raises(ValueError, match="3 click cubes .1, 4, 16 voxels., not 1"):
        Predictor.load("interobject3d", "cpu", cubes=(1.0,))
    with pytest.raises(ValueError, match="no click cubes"):
        Predictor.load("agile3d", "cpu", cubes=(1.0,))


def test_a_vocabulary_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "words.txt"
    rows = [", ".join((f"Thing {k}", *words)) for k, words in enumerate(PROTOTYPES)]
    file.write_text("# ours\n\n" + "\n".join(rows) + "  # the rest\n")
    predictor = Predictor.load("fewclick", "cpu", vocabulary=file)
    result = predictor.segment(predictor.encode(*cloud()), [Click((0.0, 0.0, 0.2), 1)])
    assert len(result.classes[1]) == 3
    assert all(name.startswith("Thing ") for name, _ in result.classes[1])
    plain = Predictor.load("fewclick", "cpu")
    own = plain.segment(plain.encode(*cloud()), [Click((0.0, 0.0, 0.2), 1)]).classes[1]
    assert [p for _, p in own] == [p for _, p in result.classes[1]]


def test_vocabularies_that_do_not_fit(tmp_path: Path) -> None:
    file = tmp_path / "words.txt"
    file.write_text("chair, stool\ntable\n")
    assert read_vocabulary(file) == (("chair", "stool"), ("table",))
    with pytest.raises(ValueError, match="names 2 classes, but these weights know 35"):
        Predictor.load("fewclick", "cpu", vocabulary=file)
    with pytest.raises(ValueError, match="knows no classes"):
        Predictor.load("agile3d", "cpu", vocabulary=file)
    file.write_text("chair\nchair, seat\n")
    with pytest.raises(ValueError, match="twice"):
        read_vocabulary(file)
    file.write_text("# nothing\n")
    with pytest.raises(ValueError, match="names no class"):
        read_vocabulary(file)
