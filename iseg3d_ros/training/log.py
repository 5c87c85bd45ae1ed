"""What a run leaves to look at: CSV files of losses and early figures, and a plot of both."""

from __future__ import annotations

import csv
import sys
from collections import deque
from pathlib import Path

from torch import Tensor

from iseg3d_ros.training.config import TrainConfig
from iseg3d_ros.training.state import Progress, describe


class Log:
    """Writes `train.csv` and `validation.csv` in the run's folder and a line to the terminal now and then."""

    def __init__(self, out: Path, config: TrainConfig) -> None:
        self.out, self.every = out, config.log_steps
        self.losses: deque[dict[str, Tensor]] = deque(maxlen=config.log_steps)
        self.busy: deque[float] = deque(maxlen=config.log_steps)
        self.mark: tuple[int, float] | None = None
        self.means: dict[str, float] = {}  # of every loss over the last steps: for the card
        (out / "config.json").write_text(describe(config))

    def step(self, progress: Progress, losses: dict[str, Tensor], rate: float, busy: float) -> None:
        """Remember one step; every few steps, write their mean (the only place where the device is waited for)."""
        self.losses.append(losses)
        self.busy.append(busy)
        self.mark = self.mark or (progress.step - 1, progress.seconds - busy)
        if progress.step % self.every:
            return
        mean = {name: _mean([row[name] for row in self.losses if name in row]) for name in losses}
        self.means = {name: round(value, 5) for name, value in mean.items() if name != "gradient"}
        steps, seconds = progress.step - self.mark[0], max(progress.seconds - self.mark[1], 1e-9)
        row = {"step": progress.step, "seconds": round(progress.seconds, 1), "rate": rate}
        row |= {"steps_per_second": round(steps / seconds, 3), "busy": round(sum(self.busy) / seconds, 3), **mean}
        self.mark = (progress.step, progress.seconds)
        _append(self.out / "train.csv", row)
        print("  ".join(f"{k} {v:.4g}" for k, v in row.items()), file=sys.stderr, flush=True)

    def validation(self, progress: Progress, figures: dict[str, float]) -> None:
        """Write early figures."""
        _append(self.out / "validation.csv", {"step": progress.step, "seconds": round(progress.seconds, 1), **figures})
        print("  ".join(f"{k} {v:.3f}" for k, v in figures.items()), file=sys.stderr, flush=True)

    def plot(self) -> None:
        """Draw both files as `curve.png` where matplotlib is installed."""
        try:
            from iseg3d_ros.training.plot import curves
        except ImportError:
            return
        curves(self.out)


def _mean(values: list[Tensor]) -> float:
    return float(sum(values[1:], values[0]) / len(values))


def _append(path: Path, row: dict[str, float]) -> None:
    """Add a row; a file of other columns (an older run's) is kept aside, not mixed."""
    if path.exists() and path.read_text().split("\n", 1)[0] != ",".join(row):
        path.replace(path.with_suffix(".old.csv"))
    new = not path.exists()
    with open(path, "a", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        if new:
            writer.writeheader()
        writer.writerow(row)
