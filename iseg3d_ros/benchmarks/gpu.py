"""All that is to be known about a GPU, in one command of four minutes: right or wrong, how fast, how much memory.

`iseg3d bench gpu [--json] [--device cpu] [--quick]`. Results are written after every part (`--option out=FILE`, by
default out/gpu.json), and a part that fails does not end the others; `--option only=PART,...` runs some. The table at
the end says which goals were met; they are meant for a GPU of the H100's class, and their times are judged on a GPU
alone. It needs torch, numpy, scipy, safetensors and pyyaml, and Triton or spconv where they are to be measured.
`--device cpu --quick` rehearses every line.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from iseg3d_ros.benchmarks._gpu_parts import PARTS
from iseg3d_ros.io.atomic_write import replacing
from iseg3d_ros.predictor import device_of


@dataclass(frozen=True)
class Goal:
    """What a figure is to be: at most or at least so much; `timed` ones hold for a GPU alone."""

    figure: str
    value: float
    at_most: bool
    timed: bool = True

    def verdict(self, figures: dict[str, float], on_gpu: bool) -> str:
        """passed, FAILED, or why it cannot be told."""
        if self.figure not in figures:
            return "not measured"
        if self.timed and not on_gpu:
            return "estimated until measured on a GPU"
        met = figures[self.figure] <= self.value if self.at_most else figures[self.figure] >= self.value
        return "passed" if met else "FAILED"


GOALS = (
    Goal("equal_least", 0.995, at_most=False, timed=False),
    Goal("loss_ratio", 0.9, at_most=True, timed=False),
    Goal("room_first_mask_ms", 25, at_most=True),
    Goal("room_further_click_ms", 8, at_most=True),
    Goal("street_first_mask_ms", 40, at_most=True),
    Goal("live_ms", 40, at_most=True),
    Goal("t5_ratio_e2i3d_5.7m", 8, at_most=False),
    Goal("spconv_ratio", 1.0, at_most=False),
    Goal("crops_per_second", 250, at_most=False),
)


def run(device: str = "auto", quick: bool = False, out: str = "out/gpu.json", only: str = "") -> dict[str, float]:
    """Every part's figures, `failed_parts`, and a table of the goals' verdicts."""
    place = device_of(device)
    wanted = [name for name in only.split(",") if name] or list(PARTS)
    if unknown := [name for name in wanted if name not in PARTS]:
        raise ValueError(f"The benchmark has no part {unknown[0]!r}; its parts are {', '.join(PARTS)}.")
    figures: dict[str, float] = {"failed_parts": 0.0}
    report: dict[str, Any] = {"machine": machine(place), "figures": figures, "errors": {}}
    for name in wanted:
        start = time.perf_counter()
        try:
            figures |= PARTS[name](place, quick)
        except Exception as error:  # the other parts' figures are worth having, whatever failed here
            figures["failed_parts"] += 1
            report["errors"][name] = traceback.format_exc()
            print(f"{name} failed: {type(error).__name__}: {error}", file=sys.stderr)
        figures[f"seconds_{name}"] = time.perf_counter() - start
        report["goals"] = {goal.figure: goal.verdict(figures, place.type == "cuda") for goal in GOALS}
        write(Path(out), report)
    print(table(figures, place.type == "cuda"))
    return figures


def machine(device: torch.device) -> dict[str, str]:
    """What it was measured on."""
    found = {"device": str(device), "torch": torch.__version__, "python": sys.version.split()[0]}
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        found |= {"name": properties.name, "memory": f"{properties.total_memory / 2**30:.0f} GiB"}
    return found


def write(path: Path, report: dict[str, Any]) -> None:
    """All so far, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        file.write(json.dumps(report, indent=1).encode())


def table(figures: dict[str, float], on_gpu: bool) -> str:
    """A line a goal: what was measured, what is wanted, and the verdict."""
    lines = [f"{'goal':28}{'measured':>12}  {'wanted':>10}  verdict"]
    for goal in GOALS:
        value = f"{figures[goal.figure]:.4g}" if goal.figure in figures else "–"
        wanted = f"{'≤' if goal.at_most else '≥'} {goal.value:g}"
        lines.append(f"{goal.figure:28}{value:>12}  {wanted:>10}  {goal.verdict(figures, on_gpu)}")
    return "\n".join(lines)
