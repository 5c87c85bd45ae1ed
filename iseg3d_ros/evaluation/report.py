"""A model's figures data set by data set, with intervals, by strata, and with the corrections that harmed most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from iseg3d_ros.evaluation.calibration import rank_correlation
from iseg3d_ros.evaluation.corrections import corrections, mean_over_scenes
from iseg3d_ros.evaluation.protocol import Outcome
from iseg3d_ros.evaluation.strata import NAMES
from iseg3d_ros.evaluation.table import masks_at

CLICKS = (1, 2, 3, 4, 5)
ANY = "all"


@dataclass(frozen=True)
class Correction:
    """What one click did to one object of a sample: IoU before and after, at the row of so many clicks an object."""

    sample: str
    object: int
    row: int
    clicks: float
    before: float
    after: float

    @property
    def loss(self) -> float:
        """IoU lost."""
        return self.before - self.after


def worst_corrections(outcomes: Sequence[Outcome], count: int = 10) -> list[Correction]:
    """The corrections that cost an object most, the worst first; at most one an object."""
    worst: dict[tuple[str, int], Correction] = {}
    for outcome in outcomes:
        for at in range(2, len(outcome.rows)):
            old, new = outcome.rows[at - 1], outcome.rows[at]
            for k, (before, after) in enumerate(zip(old.ious, new.ious, strict=True)):
                found = Correction(outcome.name, k + 1, at, new.clicks, before, after)
                known = worst.get((outcome.name, k))
                if found.loss > 0 and (known is None or found.loss > known.loss):
                    worst[outcome.name, k] = found
    return sorted(worst.values(), key=lambda each: -each.loss)[:count]


def report(models: Mapping[str, Mapping[str, Sequence[Outcome]]]) -> str:
    """Markdown of `{model: {data set: outcomes}}`: a row a model and data set, one a stratum, the worst corrections."""
    lines = [_heading(("model", "data", "objects")), "|" + "---|" * (len(CLICKS) + 11)]
    for model, sets in models.items():
        lines += [_row((model, data, str(sum(o.objects for o in found))), found) for data, found in sets.items()]
    lines += ["", "By strata (an object may be of several; IoU@k is the mean over objects):", ""]
    lines += ["| model | data | stratum | objects | " + " | ".join(f"IoU@{k}" for k in CLICKS) + " |"]
    lines += ["|" + "---|" * (4 + len(CLICKS))]
    for model, sets in models.items():
        for data, found in sets.items():
            lines += _strata_rows(model, data, found)
    lines += ["", "The corrections that harmed most:", ""]
    for model, sets in models.items():
        for each in worst_corrections([outcome for found in sets.values() for outcome in found]):
            change = f"{100 * each.before:.0f} → {100 * each.after:.0f}"
            lines.append(f"- {model}: {each.sample}, object {each.object}, click {each.clicks:g}: {change}")
    return "\n".join(lines) + "\n"


def _heading(first: Sequence[str]) -> str:
    columns = [*first, *(f"IoU@{k}" for k in CLICKS), "harm > 2", "harm > 10", "gain", "never .5", "never .8",
               "AUROC@1", "ECE@1", "Spearman"]  # fmt: skip
    return "| " + " | ".join(columns) + " |"


def _row(first: Sequence[str], outcomes: Sequence[Outcome]) -> str:
    cells = [_iou_with_interval(outcomes, k) for k in CLICKS]
    table = corrections(outcomes)
    for name in ("harm>2", "harm>10", "gain", "never 0.5", "never 0.8"):
        low, high = (table.get(f"{name} {side}", np.nan) for side in ("low", "high"))
        cells.append(f"{_percent(table.get(name, np.nan))} ({_percent(low)}–{_percent(high)})")
    for name in ("AUROC@1", "ECE@1"):
        values = [o.calibration[name] for o in outcomes if np.isfinite(o.calibration.get(name, np.nan))]
        cells.append(_percent(float(np.mean(values)) if values else np.nan))
    pairs = masks_at(outcomes)
    trust = rank_correlation([score for _, score in pairs], [iou for iou, _ in pairs])
    cells.append("–" if np.isnan(trust) else f"{trust:.2f}")
    return "| " + " | ".join([*first, *cells]) + " |"


def _iou_with_interval(outcomes: Sequence[Outcome], clicks: int) -> str:
    mean, low, high = mean_over_scenes(outcomes, lambda o: [row.iou for row in o.rows if row.clicks == clicks])
    return "–" if np.isnan(mean) else f"{_percent(mean)} ({_percent(low)}–{_percent(high)})"


def _strata_rows(model: str, data: str, outcomes: Sequence[Outcome]) -> list[str]:
    rows = []
    for stratum in (ANY, *NAMES, "none"):
        values: dict[int, list[float]] = {k: [] for k in CLICKS}
        for outcome in outcomes:
            for k, own in enumerate(outcome.strata):
                if stratum == ANY or stratum in own or (stratum == "none" and not own):
                    for row in outcome.rows:
                        if row.clicks in values:
                            values[int(row.clicks)].append(row.ious[k])
        if values[1]:
            cells = [_percent(float(np.mean(values[k]))) if values[k] else "–" for k in CLICKS]
            rows.append("| " + " | ".join([model, data, stratum, str(len(values[1])), *cells]) + " |")
    return rows


def _percent(value: float) -> str:
    return "–" if np.isnan(value) else f"{100 * value:.1f}"
