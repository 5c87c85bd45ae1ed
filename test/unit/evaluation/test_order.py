"""What the papers report of one another, on outcomes made by hand."""

from __future__ import annotations

import pytest

from iseg3d_ros.evaluation.config import EvaluationConfig
from iseg3d_ros.evaluation.metrics import Row
from iseg3d_ros.evaluation.order import DISPLACED, SLIPS, Trial, difference, lines, verdict
from iseg3d_ros.evaluation.protocol import Outcome


def outcome(name: str, *ious: float) -> Outcome:
    found = Outcome(name, 1, [Row(0.0, (0.0,)), *(Row(float(k), (iou,)) for k, iou in enumerate(ious, 1))])
    found.calibration = {"AUROC@1": 0.9, "AUSE@1": 0.1, "ECE@1": 0.05}
    return found


def test_differences_are_of_the_scenes_both_have() -> None:
    first = [outcome("a", 0.6), outcome("b", 0.8), outcome("only here", 1.0)]
    second = [outcome("b", 0.5), outcome("a", 0.5)]
    mean, low, high = difference(first, second, 1)
    assert mean == pytest.approx(0.2)
    assert low == pytest.approx(0.1)
    assert high == pytest.approx(0.3)


def test_verdicts() -> None:
    assert verdict((0.02, 0.01, 0.03), 0) == "holds"
    assert verdict((-0.02, -0.03, -0.01), 0) == "does not hold"
    assert verdict((0.01, -0.01, 0.03), 0) == "holds, not certain"
    assert verdict((-0.01, -0.03, 0.01), 0) == "does not hold, not certain"
    assert verdict((-0.015, -0.019, -0.01), 2) == "holds"
    assert verdict((float("nan"),) * 3, 0) == "not measured"


def test_the_report_says_what_holds_and_what_has_no_weights(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:  # type: ignore[no-untyped-def]
    asked: list[tuple[str, str, float | None, float]] = []

    def measured(self: Trial, name: str, config: EvaluationConfig) -> list[Outcome]:
        asked.append((name, config.protocol, config.temperature, config.slips))
        better = 0.1 * (name in ("e2i3d", "clickenhance"))
        return [outcome(scene, 0.5 + better, 0.6 + better, 0.7 + better) for scene in ("a", "b", "c")]

    monkeypatch.setattr(Trial, "of", measured)
    models = dict.fromkeys(("agile3d", "e2i3d", "interobject3d", "clickenhance"), "weights")
    report = list(lines(Trial(models, ["scenes"], tmp_path, EvaluationConfig(budget=3))))
    rows = [line for line in report if line.startswith("| E²I3D ≥ AGILE3D")]
    said = [line.rsplit("|", 2)[1].strip() for line in rows]
    assert said == ["holds", "holds", "not measured: beyond the budget"]  # after 1, 3 and 5 clicks
    assert "60.0 (60.0 to 60.0) | 50.0 (50.0 to 50.0) | 10.0 (10.0 to 10.0)" in rows[0]
    assert sum("no weights of e2i3d_dense" in line for line in report) == 1
    assert sum("no weights of npiseg3d" in line for line in report) == 1
    assert ("clickenhance", "single", None, 0.0) in asked
    assert {t for name, protocol, t, _ in asked if name == "clickenhance" and protocol == "single"} >= set(DISPLACED)
    assert {slips for *_, slips in asked} == {0.0, *SLIPS}
