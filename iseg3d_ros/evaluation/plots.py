"""Pictures of an evaluation: IoU over clicks for all models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import numpy as np  # noqa: E402 (the headless back end must be chosen first)
from matplotlib import pyplot as plt  # noqa: E402

from iseg3d_ros.evaluation.protocol import Outcome  # noqa: E402


def curve(outcomes: Sequence[Outcome]) -> tuple[list[float], list[float]]:
    """Mean IoU over samples at whole average counts of clicks."""
    most = max((int(outcome.rows[-1].clicks) for outcome in outcomes), default=0)
    clicks = list(range(most + 1))
    ious = [[row.iou for o in outcomes for row in o.rows if abs(row.clicks - k) < 1e-9] for k in clicks]
    return [float(k) for k in clicks], [float(np.mean(values)) if values else float("nan") for values in ious]


def draw_curves(models: Mapping[str, Sequence[Outcome]], path: Path) -> Path:
    """One line a model: mean IoU against clicks an object."""
    figure, axes = plt.subplots(figsize=(6, 4))
    for name, outcomes in models.items():
        axes.plot(*curve(outcomes), marker=".", label=name)
    axes.set(xlabel="clicks per object", ylabel="IoU", ylim=(0, 1))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)
    return path
