"""Clicks on parts of an object that stands alone."""

from __future__ import annotations

import numpy as np
import pytest
from tables import stool

from iseg3d_ros import Click, Predictor
from iseg3d_ros.interaction.part_level import PartLevel


def test_parts_take_nothing_outside_their_object() -> None:
    xyz, truth = stool()
    level = PartLevel.of(Predictor.load("random_walker"), xyz, None, truth > 0, up=(0, 0, 1))
    clicks = [Click((0.1, 0.1, 0.48), 1), Click((0.03, 0.0, 0.2), 2)]
    result = level.segment(clicks)
    assert result.labels.shape == truth.shape
    assert not result.labels[truth == 0].any()
    assert (result.probability[truth == 0] == 1).all()
    for part in (1, 2):
        both = ((result.labels == part) & (truth == part)).sum()
        assert both / ((result.labels == part) | (truth == part)).sum() > 0.9
    again = level.segment(clicks, previous=result)
    assert np.array_equal(again.labels, result.labels)


def test_an_object_that_is_not_there_has_no_parts() -> None:
    xyz, truth = stool()
    with pytest.raises(ValueError, match="segment the object first"):
        PartLevel.of(Predictor.load("random_walker"), xyz, None, truth > 5)
    with pytest.raises(ValueError, match="shape"):
        PartLevel.of(Predictor.load("random_walker"), xyz, None, truth[:9] > 0)
