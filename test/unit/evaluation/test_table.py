"""One model's outcomes as figures, against outcomes made by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from iseg3d_ros.evaluation.metrics import Row
from iseg3d_ros.evaluation.protocol import Outcome
from iseg3d_ros.evaluation.table import summary, text


def outcome() -> Outcome:
    """Two objects, two clicks an object: rows at 0, 1, 1.5 and 2."""
    rows = [Row(0, (0.0, 0.0)), Row(1, (0.9, 0.4)), Row(1.5, (0.9, 0.6)), Row(2, (0.9, 0.8))]
    scores = [(0.5, 0.9), (0.5, 0.9), (0.9, 0.8)]
    made = Outcome("a", 2, rows, scores, encode_seconds=1.0, click_seconds=[0.1, 0.2, 0.4])
    made.calibration = {"ECE@1": 0.1, "AUROC@1": float("nan")}
    made.peak_mb = 300.0
    return made


def single() -> Outcome:
    made = Outcome("b", 1, [Row(0, (0.0,)), Row(1, (0.2,)), Row(2, (0.2,))], [(0.1,), (0.1,)], 3.0, [0.3, 0.5])
    made.calibration = {"ECE@1": 0.3, "AUROC@1": 0.8}
    made.peak_mb = 400.0
    return made


def test_iou_is_over_samples_and_miou_over_objects() -> None:
    table = summary([outcome(), single()])
    assert table["IoU@1"] == pytest.approx((0.65 + 0.2) / 2)
    assert table["mIoU@1"] == pytest.approx((0.9 + 0.4 + 0.2) / 3)


def test_ap_ranks_all_masks_by_their_confidence() -> None:
    table = summary([outcome(), single()])
    # At one click, by falling score: IoU 0.4, 0.9, 0.2 of three objects.
    assert table["AP50@1"] == pytest.approx(0.5 / 3, abs=1e-6)
    assert table["AP25@1"] == pytest.approx(2 / 3, abs=1e-6)
    # At two clicks: 0.9, 0.8, 0.2.
    assert table["AP50@2"] == pytest.approx(2 / 3, abs=1e-6)


def test_times_hold_the_encoding_and_the_clicks_up_to_there() -> None:
    long = outcome()
    long.rows += [Row(2 + k / 2, (0.9, 0.9)) for k in range(1, 7)]
    long.click_seconds += [1.0] * 20
    table = summary([long])
    assert table["t@5"] == pytest.approx(1.0 + 0.1 + 0.2 + 0.4 + 6 * 1.0)  # M clicks in one pass, then 4 M one by one
    assert "t@10" not in table
    assert summary([outcome()])["click_seconds"] == pytest.approx(0.2)
    assert summary([outcome(), single()])["encode_seconds"] == pytest.approx(2.0)


def test_calibration_is_averaged_where_it_is_defined() -> None:
    table = summary([outcome(), single()])
    assert table["ECE@1"] == pytest.approx(0.2)
    assert table["AUROC@1"] == pytest.approx(0.8)


def test_counts_and_peak_memory() -> None:
    table = summary([outcome(), single()])
    assert (table["samples"], table["objects"], table["peak_mb"]) == (2, 3, 400)
    assert summary([])["samples"] == 0


def test_the_table_leaves_out_what_no_model_has() -> None:
    lines = text({"net": {"parameters": 5_700_000, **summary([outcome()])}, "none": {"parameters": 0}}).splitlines()
    assert "IoU@5" not in lines[0] and "AUROC@1" not in lines[0]
    assert lines[1].split()[:4] == ["net", "5.7", "M", "65.0"]
    assert lines[2].split()[:3] == ["none", "0", "–"]
    assert len(set(map(len, lines))) == 1


def test_accuracy_is_the_mean_over_classes_not_over_objects() -> None:
    first = replace(outcome(), classes=("chair", "chair"), recalls=(0.2, 0.4))
    second = replace(outcome(), classes=("table",), recalls=(0.9,))
    assert summary([first, second])["mACC@1"] == pytest.approx((0.3 + 0.9) / 2)
