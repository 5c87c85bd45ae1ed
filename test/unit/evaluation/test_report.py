"""Figures by data set and stratum, and the corrections that harmed most."""

from __future__ import annotations

from iseg3d_ros.evaluation.metrics import Row
from iseg3d_ros.evaluation.protocol import Outcome
from iseg3d_ros.evaluation.report import report, worst_corrections


def outcome(name: str, *ious: float, strata: tuple[str, ...] = ()) -> Outcome:
    rows = [Row(float(k), (iou,)) for k, iou in enumerate((0.0, *ious))]
    return Outcome(name, 1, rows, strata=(strata,), calibration={"AUROC@1": 0.9, "ECE@1": 0.05})


def test_the_worst_corrections_come_first_and_one_an_object() -> None:
    found = worst_corrections([outcome("a #1", 0.9, 0.5, 0.2), outcome("b #1", 0.4, 0.9), outcome("c #1", 0.8, 0.7)], 5)
    assert [(each.sample, each.clicks) for each in found] == [("a #1", 2.0), ("c #1", 2.0)]
    assert found[0].loss > found[1].loss


def test_a_lost_first_mask_is_no_correction() -> None:
    assert worst_corrections([outcome("a #1", 0.9)]) == []


def test_the_report_has_a_row_a_data_set_a_stratum_and_a_correction() -> None:
    rooms = [outcome("r1 #1", 0.5, 0.4, strata=("small",)), outcome("r2 #1", 0.7, 0.8)]
    text = report({"net": {"rooms": rooms, "streets": [outcome("s #3", 1.0, 1.0)]}})
    assert "| net | rooms | 2 | 60.0 (50.0–70.0) |" in text
    assert "| net | rooms | small | 1 | 50.0 | 40.0 |" in text
    assert "| net | rooms | none | 1 | 70.0 |" in text
    assert "- net: r1 #1, object 1, click 2: 50 → 40" in text
    assert "| net | streets | 1 |" in text
