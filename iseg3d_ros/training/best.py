"""Early stopping: the best averaged weights of a run so far, kept on disk, and whether it is time to end."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors.torch import load_file, save_file

from iseg3d_ros.io.atomic_write import replacing
from iseg3d_ros.training.state import Average


class Best:
    """Scores by step, the first of them that of the weights a run began with; nothing is kept without patience."""

    def __init__(self, out: Path, patience: int, average: Average) -> None:
        self.patience, self.average = patience, average
        self._weights, self._file = out / "best.safetensors", out / "best.json"
        self.scores: list[tuple[int, dict[str, float]]] = []
        if patience and self._file.is_file():
            self.scores = [(int(step), figures) for step, figures in json.loads(self._file.read_text())]

    @property
    def over(self) -> bool:
        """Whether the last `patience` validations were not better than one before them."""
        best = max(range(len(self.scores)), key=lambda k: _score(self.scores[k][1]), default=0)
        return bool(self.patience) and len(self.scores) - 1 - best >= self.patience

    def take(self, step: int, figures: dict[str, float]) -> None:
        """Note the figures of a validation; keep the averaged weights where they are the best yet."""
        if not self.patience or not figures or (self.scores and self.scores[-1][0] >= step):
            return
        if all(_score(figures) > _score(before) for _, before in self.scores):
            values = {name: value.detach().cpu().contiguous() for name, value in self.average.values.items()}
            part = self._weights.with_suffix(".part")
            save_file(values, part)
            part.replace(self._weights)
        self.scores.append((step, figures))
        with replacing(self._file) as stream:
            stream.write(json.dumps(self.scores).encode())

    def put_back(self) -> None:
        """The best weights in place of the average."""
        if self.patience and self._weights.is_file():
            for name, value in load_file(self._weights).items():
                self.average.values[name].copy_(value)

    def before(self) -> dict[str, float]:
        """The figures that the run began with, for the card."""
        return {f"before: {name}": value for name, value in self.scores[0][1].items()} if self.scores else {}


def _score(figures: dict[str, float]) -> float:
    return sum(figures.values()) / len(figures)
