"""What the papers report of one another, of uncertainty and of imprecise clicks, tested on given weights.

All from one evaluation: objects together where the papers do so, one at a time where they do; intervals by bootstrap
over scenes, and of differences over the scenes' own differences.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from iseg3d_ros.evaluation.config import EvaluationConfig
from iseg3d_ros.evaluation.corrections import HARMS, corrections, mean_over_scenes
from iseg3d_ros.evaluation.metrics import iou_at
from iseg3d_ros.evaluation.protocol import Outcome
from iseg3d_ros.evaluation.run import outcomes, plan


@dataclass(frozen=True)
class Claim:
    """`better` is no worse than `worse` after so many clicks an object, but for `within` points of IoU."""

    text: str
    better: str
    worse: str
    clicks: tuple[int, ...]
    protocol: str = "multi"
    within: float = 0.0


CLAIMS = (
    Claim("E²I3D ≥ AGILE3D (E²I3D, Tabs. 1 and 2)", "e2i3d", "agile3d", (1, 3, 5)),
    Claim("pruned E²I3D within 2 points of its dense network (E²I3D, Tabs. 1 and 2)", "e2i3d", "e2i3d_dense", (5,),
          within=2.0),
    Claim("NPISeg3D ≥ AGILE3D at few clicks (NPISeg3D, Tab. 3)", "npiseg3d", "agile3d", (1, 2, 3)),
    Claim("ClickEnhance ≥ InterObject3D (ClickEnhance, Tab. IV)", "clickenhance", "interobject3d", (1, 3, 5), "single"),
)  # fmt: skip
DOUBTS = {"entropy": "", "variance over samples": " variance"}
DISPLACED = (0.0, 0.3, 0.5, 0.7, 1.0)  # temperatures of ClickEnhance's Eq. 5
SLIPS = (0.1, 0.3)
ROBUST = "clickenhance"


@dataclass
class Trial:
    """Weights by the papers' names, and the scenes; what was evaluated is kept in `rows.jsonl` of `out`."""

    models: Mapping[str, str]
    data: Sequence[str]
    out: Path
    config: EvaluationConfig
    workers: int = 0
    _done: dict[tuple[str, EvaluationConfig], list[Outcome]] = field(default_factory=dict)

    def of(self, name: str, config: EvaluationConfig) -> list[Outcome]:
        """One network's outcomes, measured once."""
        key = self.models[name], config
        if key not in self._done:
            parts = plan(self.data, config)
            self._done[key] = outcomes(self.models[name], parts, config, self.workers, self.out / "rows.jsonl")
        return self._done[key]


def lines(trial: Trial) -> Iterator[str]:
    """The report in Markdown, as it comes."""
    yield f"On {', '.join(trial.data)}; intervals: 95 % over scenes. Weights:"
    yield from (f"- {name}: {model}" for name, model in trial.models.items())
    yield from ("", "## Order", "")
    yield from ("| claim | clicks | IoU | IoU of the other | difference | verdict |", "|---" * 6 + "|")
    for claim in CLAIMS:
        yield from _claimed(trial, claim)
    yield from ("", "## Uncertainty after one click an object", "")
    yield from ("| network | doubt | AUROC of wrong points | AUSE | ECE |", "|---" * 5 + "|")
    for name in trial.models:
        yield from _judged(name, trial.of(name, trial.config))
    yield from ("", f"## Imprecise clicks: {ROBUST}, one object at a time", "")
    heads = [f"IoU@{k}" for k in _counts(trial)] + [f"{harm} points" for harm in HARMS]
    yield from ("| clicks | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|")
    if ROBUST in trial.models:
        yield from _disturbed(trial)


def _claimed(trial: Trial, claim: Claim) -> Iterator[str]:
    if missing := [name for name in (claim.better, claim.worse) if name not in trial.models]:
        yield f"| {claim.text} | | | | | no weights of {', '.join(missing)} |"
        return
    config = replace(trial.config, protocol=claim.protocol)
    first, second = trial.of(claim.better, config), trial.of(claim.worse, config)
    for k in claim.clicks:
        if k > trial.config.budget:
            yield f"| {claim.text} | {k} | – | – | – | not measured: beyond the budget |"
            continue
        both = [_percent(mean_over_scenes(found, iou_after(k))) for found in (first, second)]
        apart = difference(first, second, k)
        yield f"| {claim.text} | {k} | {both[0]} | {both[1]} | {_percent(apart)} | {verdict(apart, claim.within)} |"


def difference(first: Sequence[Outcome], second: Sequence[Outcome], clicks: int) -> tuple[float, float, float]:
    """The mean difference in IoU on the samples that both have, and its interval over scenes."""
    other = {outcome.name: iou_at([outcome.rows], clicks) for outcome in second}
    return mean_over_scenes(
        [outcome for outcome in first if outcome.name in other],
        lambda outcome: [iou_at([outcome.rows], clicks) - other[outcome.name]],
    )


def iou_after(clicks: int) -> Callable[[Outcome], list[float]]:
    """An outcome's IoU after so many clicks an object."""
    return lambda outcome: [iou_at([outcome.rows], clicks)]


def calibrated(name: str) -> Callable[[Outcome], list[float]]:
    """An outcome's figure of that name."""
    return lambda outcome: [outcome.calibration.get(name, np.nan)]


def verdict(apart: tuple[float, float, float], within: float) -> str:
    """Whether a difference (a fraction) is above minus `within` points; not certain where its interval is on both
    sides."""
    mean, low, high = (100 * value + within for value in apart)
    if np.isnan(mean):
        return "not measured"
    return ("holds" if mean >= 0 else "does not hold") + (", not certain" if low < 0 <= high else "")


def _judged(name: str, found: Sequence[Outcome]) -> Iterator[str]:
    calibration = _percent(mean_over_scenes(found, calibrated("ECE@1")))
    for doubt, suffix in DOUBTS.items():
        cells = [
            _percent(mean_over_scenes(found, calibrated(key)))
            for key in (f"AUROC{suffix}@1", f"AUSE{suffix}@1")
        ]
        if cells[0] != "–":
            yield f"| {name} | {doubt} | {' | '.join(cells)} | {calibration if not suffix else ''} |"


def _disturbed(trial: Trial) -> Iterator[str]:
    single = replace(trial.config, protocol="single")
    trials = {"in the middle of the largest error": single}
    trials |= {f"displaced, T = {t:g}": replace(single, temperature=t) for t in DISPLACED}
    trials |= {f"{share:.0%} on a wrong object": replace(single, slips=share) for share in SLIPS}
    for name, config in trials.items():
        found = trial.of(ROBUST, config)
        cells = [_percent(mean_over_scenes(found, iou_after(k))) for k in _counts(trial)]
        table = corrections(found)
        for harm in HARMS:
            cells.append(_percent(tuple(table.get(f"{harm}{side}", np.nan) for side in ("", " low", " high"))))
        yield f"| {name} | {' | '.join(cells)} |"


def _counts(trial: Trial) -> list[int]:
    return [k for k in (1, 3, 5, 10, 20) if k <= trial.config.budget]


def _percent(values: tuple[float, ...]) -> str:
    """A mean with its interval, in per cent."""
    mean, low, high = values
    return "–" if np.isnan(mean) else f"{100 * mean:.1f} ({100 * low:.1f} to {100 * high:.1f})"
