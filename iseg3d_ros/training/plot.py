"""A run's loss and early figures over its steps, as a picture."""

from __future__ import annotations

import csv
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402 (the headless back end must be chosen first)


def curves(out: Path) -> Path:
    """Draw `train.csv` and `validation.csv` of a run's folder side by side into `curve.png`."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4))
    _lines(left, _columns(out / "train.csv"), ["total"])
    left.set(title="training loss", xlabel="step", yscale="log")
    figures = _columns(out / "validation.csv")
    _lines(right, figures, [name for name in figures if "IoU" in name])
    right.set(title="held-out models", xlabel="step", ylabel="IoU", ylim=(0, 1))
    figure.tight_layout()
    figure.savefig(out / "curve.png", dpi=110)
    plt.close(figure)
    return out / "curve.png"


def _columns(path: Path) -> dict[str, list[float]]:
    if not path.exists():
        return {"step": []}
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: [float(row[name]) for row in rows] for name in (rows[0] if rows else {"step": 0})}


def _lines(axes: plt.Axes, columns: dict[str, list[float]], names: list[str]) -> None:
    for name in names:
        axes.plot(columns["step"], columns.get(name, []), label=name, marker="." if len(columns["step"]) < 30 else "")
    if names:
        axes.legend(fontsize=7)
    axes.grid(alpha=0.3)
