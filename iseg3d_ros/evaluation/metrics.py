"""The papers' figures out of the rows that the protocol wrote: IoU@k, NoC@q, average precision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

IOU_AT = (1, 2, 3, 5, 7, 10, 15, 20)
NOC_AT = (0.50, 0.65, 0.80, 0.85, 0.90)
# The overlaps of "AP". ScanNet's page says 0.50 to 0.95, but its script, with which the papers' tables are made, leaves
# the last one out.
AP_OVERLAPS = tuple(k / 100 for k in range(50, 95, 5))


@dataclass(frozen=True)
class Row:
    """The state of one sample after `clicks` clicks an object on average: the IoU of each of its objects."""

    clicks: float
    ious: tuple[float, ...]

    @property
    def iou(self) -> float:
        """The sample's IoU: the mean over its objects, background left out."""
        return float(np.mean(self.ious))


def object_ious(labels: NDArray[np.int32], truth: NDArray[np.int32], objects: int) -> tuple[float, ...]:
    """Intersection over union at points for the objects 1..objects."""
    width = objects + 1
    table = np.bincount(truth.astype(np.int64) * width + labels, minlength=width * width).reshape(width, width)
    both, either = np.diag(table), table.sum(0) + table.sum(1) - np.diag(table)
    return tuple(float(value) for value in both[1:] / np.maximum(either[1:], 1))


def object_recalls(labels: NDArray[np.int32], truth: NDArray[np.int32], objects: int) -> tuple[float, ...]:
    """Of each object 1..objects the share of its points that its mask holds."""
    found = np.bincount(truth[labels == truth], minlength=objects + 1)
    return tuple(float(value) for value in (found / np.maximum(np.bincount(truth, minlength=objects + 1), 1))[1:])


def iou_at(samples: Sequence[Sequence[Row]], clicks: float) -> float:
    """The mean over samples of the IoU in the row with exactly that average count of clicks; NaN where none has it."""
    values = [row.iou for rows in samples for row in rows if abs(row.clicks - clicks) < 1e-9]
    return float(np.mean(values)) if values else float("nan")


def noc_at(samples: Sequence[Sequence[Row]], quality: float) -> float:
    """Mean over samples of the first average count of clicks at which the IoU reaches `quality`; else the last row's.

    Rows at zero clicks do not count: a first mask costs one click an object.
    """
    return float(np.mean([_first(rows, quality) for rows in samples])) if samples else float("nan")


def _first(rows: Sequence[Row], quality: float) -> float:
    reached = [row.clicks for row in rows if row.clicks > 0 and row.iou >= quality]
    return min(reached) if reached else max(row.clicks for row in rows)


def average_precision(ious: Sequence[float], scores: Sequence[float], threshold: float) -> float:
    """AP of masks that each belong to one known object: the area under precision over recall, by falling score."""
    if not ious:
        return float("nan")
    order = np.argsort(-np.asarray(scores), kind="stable")
    hits = np.asarray(ious)[order] >= threshold
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float((envelope * hits).sum() / len(hits))


def mean_average_precision(ious: Sequence[float], scores: Sequence[float]) -> float:
    """AP averaged over the overlaps 0.50, 0.55 … 0.90, as ScanNet's script does."""
    return float(np.mean([average_precision(ious, scores, overlap) for overlap in AP_OVERLAPS]))


def figures(samples: Sequence[Sequence[Row]]) -> dict[str, float]:
    """IoU@k and NoC@q of one model, as the tables print them; fractions, not per cent."""
    table = {f"IoU@{k}": iou_at(samples, k) for k in IOU_AT}
    return table | {f"NoC@{round(100 * q)}": noc_at(samples, q) for q in NOC_AT}
