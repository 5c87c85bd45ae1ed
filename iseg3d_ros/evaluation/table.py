"""A model's outcomes as the figures that the papers print, and all models' figures as one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from iseg3d_ros.evaluation.calibration import rank_correlation
from iseg3d_ros.evaluation.corrections import corrections
from iseg3d_ros.evaluation.metrics import average_precision, figures, mean_average_precision
from iseg3d_ros.evaluation.protocol import Outcome

COLUMNS = (
    "parameters", "IoU@1", "IoU@2", "IoU@3", "IoU@5", "IoU@10", "IoU@15", "NoC@80", "NoC@85", "NoC@90",
    "harm>2", "harm>10", "gain", "AUROC@1", "ECE@1", "encode_seconds", "click_seconds", "peak_mb", "samples",
)  # fmt: skip
# Clicks an object at which masks are judged as instance segmentation (InterObject3D's Tab. I, Few-Click's Tab. 2).
AP_AT = (1, 2, 3, 5, 10, 20)


def summary(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Every figure of one model: fractions for IoU and AP, clicks for NoC, seconds for times; NaN is left out."""
    samples = [outcome.rows for outcome in outcomes]
    table = figures(samples) | corrections(outcomes) | _precision(outcomes) | _times(outcomes) | _calibration(outcomes)
    table |= _accuracy(outcomes)
    table |= {"samples": len(outcomes), "objects": sum(outcome.objects for outcome in outcomes)}
    table["peak_mb"] = max((outcome.peak_mb for outcome in outcomes), default=float("nan"))
    return {name: round(float(value), 6) for name, value in table.items() if np.isfinite(value)}


def _precision(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """AP of the masks after so many clicks an object, all objects of all samples ranked together, whatever their class.

    mIoU is the mean over objects; IoU@k is the mean over samples.
    """
    table = {}
    for k in AP_AT:
        pairs = masks_at(outcomes, k)
        ious, scores = [iou for iou, _ in pairs], [score for _, score in pairs]
        if pairs:
            table[f"AP@{k}"] = mean_average_precision(ious, scores)
            table[f"AP50@{k}"] = average_precision(ious, scores, 0.5)
            table[f"AP25@{k}"] = average_precision(ious, scores, 0.25)
            table[f"mIoU@{k}"] = float(np.mean(ious))
    pairs = masks_at(outcomes)
    table["Spearman"] = rank_correlation([score for _, score in pairs], [iou for iou, _ in pairs])
    return table


def _accuracy(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """mACC: of each class the mean share of its objects' points that their masks hold after one click; their mean."""
    classes: dict[str, list[float]] = {}
    for outcome in outcomes:
        for name, recall in zip(outcome.classes, outcome.recalls, strict=False):
            classes.setdefault(name, []).append(recall)
    return {"mACC@1": float(np.mean([np.mean(recalls) for recalls in classes.values()]))} if classes else {}


def masks_at(outcomes: Sequence[Outcome], clicks: int = 0) -> list[tuple[float, float]]:
    """IoU and confidence of every object's mask after so many clicks an object; 0: after each whole number of them."""
    return [
        pair
        for outcome in outcomes
        for row, scores in zip(outcome.rows[1:], outcome.scores, strict=False)
        if (row.clicks == clicks if clicks else row.clicks % 1 == 0)
        for pair in zip(row.ious, scores, strict=True)
    ]


def _times(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Seconds from the cloud to the masks after so many clicks an object (E²I3D's Tab. 3), and the median of one click.

    Where nothing is wrong any more no click is given, and none is timed.
    """
    table = {}
    for k in (5, 10, 15):
        spent = [o.encode_seconds + sum(o.click_seconds[: (k - 1) * o.objects + 1]) for o in outcomes
                 if len(o.rows) > (k - 1) * o.objects + 1]  # fmt: skip
        table[f"t@{k}"] = float(np.mean(spent)) if spent else float("nan")
    clicks = [seconds for outcome in outcomes for seconds in outcome.click_seconds]
    table["encode_seconds"] = float(np.median([o.encode_seconds for o in outcomes])) if outcomes else float("nan")
    table["click_seconds"] = float(np.median(clicks)) if clicks else float("nan")
    return table


def _calibration(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Means over samples; one without a wrong point has no AUROC."""
    names = sorted({name for outcome in outcomes for name in outcome.calibration})
    values = {n: [o.calibration[n] for o in outcomes if np.isfinite(o.calibration.get(n, np.nan))] for n in names}
    return {name: float(np.mean(found)) for name, found in values.items() if found}


def text(models: Mapping[str, Mapping[str, float]]) -> str:
    """One row a model, per cent for IoU, AUROC and ECE, as wide as needed."""
    shown = [column for column in COLUMNS if any(column in figures for figures in models.values())]
    rows = [["model", *(_heading(column) for column in shown)]]
    rows += [[name, *(_cell(column, values.get(column)) for column in shown)] for name, values in models.items()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows)


def _heading(column: str) -> str:
    return {"encode_seconds": "encode ms", "click_seconds": "click ms", "peak_mb": "peak MB"}.get(column, column)


def _cell(column: str, value: float | None) -> str:
    if value is None:
        return "–"
    match column:
        case "parameters":
            return f"{value / 1e6:.1f} M" if value else "0"
        case "samples" | "peak_mb":
            return f"{value:.0f}"
        case "encode_seconds" | "click_seconds":
            return f"{1e3 * value:.0f}"
    return f"{value:.2f}" if column.startswith("NoC") else f"{100 * value:.1f}"
