from __future__ import annotations

import base64
import io
import re

import numpy as np
from PIL import Image

from iseg3d_ros.clicks import Click
from iseg3d_ros.io.notebook import PALETTE, SIZE, show
from iseg3d_ros.predictor import Predictor


def test_a_notebook_gets_a_picture_and_a_table() -> None:
    rng = np.random.default_rng(0)
    xyz = np.concatenate([rng.normal(0, 0.1, (800, 3)), rng.normal(0, 0.1, (800, 3)) + [1.5, 0, 0]]).astype(np.float32)
    predictor = Predictor.load("random_walker", "cpu", 0.05)
    scene = predictor.encode(xyz)
    clicks = [Click((0.0, 0.0, 0.0), 2), Click((1.5, 0.0, 0.0), 0)]
    shown = show(scene, predictor.segment(scene, clicks), clicks, {2: "<b>cup</b>"})
    page = shown._repr_html_()
    encoded = re.search(r"base64,([^\"]+)", page)
    assert encoded is not None
    image = np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded[1]))))
    assert image.shape == (SIZE[1], SIZE[0], 3)
    assert (np.abs(image.astype(int) - PALETTE[1]).sum(axis=2) < 120).sum() > 50, "the object has its colour"
    assert "&lt;b&gt;cup" in page and "<b>" not in page and "<script" not in page
    assert repr(shown).startswith("<b>cup</b>: ") and "1,600 points" in repr(shown)
