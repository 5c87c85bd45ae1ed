"""Pictures of an evaluation: IoU over clicks for all models, and where masks are wrong and where they are doubted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import numpy as np  # noqa: E402 (the headless back end must be chosen first)
from matplotlib import pyplot as plt  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from iseg3d_ros.clicks import Click  # noqa: E402
from iseg3d_ros.evaluation.calibration import auroc, rank_correlation  # noqa: E402
from iseg3d_ros.evaluation.metrics import noc_at, object_ious  # noqa: E402
from iseg3d_ros.evaluation.protocol import Outcome, Task, evaluate  # noqa: E402
from iseg3d_ros.evaluation.table import masks_at  # noqa: E402
from iseg3d_ros.evaluation.user import Rule, error_regions  # noqa: E402
from iseg3d_ros.io.atomic_write import replacing  # noqa: E402
from iseg3d_ros.io.picture import picture  # noqa: E402

MISSED, TOO_MUCH, OTHER = (214, 39, 40), (31, 90, 200), (245, 165, 0)
TILE = (760, 540)
AROUND = 3.0  # times the objects' reach from their middle that is drawn


def curve(outcomes: Sequence[Outcome]) -> tuple[list[float], list[float]]:
    """Mean IoU over samples at whole average counts of clicks."""
    most = max((round(outcome.rows[-1].clicks) for outcome in outcomes), default=0)
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
    return _write(figure, path)


def draw_confidence(models: Mapping[str, Sequence[Outcome]], path: Path) -> Path:
    """A point for every object after every click: how good its mask is, against how good the model thinks it is."""
    figure, axes = plt.subplots(figsize=(5, 4.5))
    for name, outcomes in models.items():
        pairs = masks_at(outcomes)
        ious, scores = [iou for iou, _ in pairs], [score for _, score in pairs]
        axes.scatter(scores, ious, s=8, alpha=0.5, label=f"{name}: Spearman {rank_correlation(scores, ious):.2f}")
    axes.set(xlabel="mean probability of the mask's points", ylabel="IoU", xlim=(0, 1), ylim=(0, 1))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    return _write(figure, path)


def draw_sparsification(models: Mapping[str, Sequence[Outcome]], path: Path) -> Path:
    """The share of wrong points among those that stay when the most doubtful are left out, after one click an object;
    dashed: the best that any order could do."""
    figure, axes = plt.subplots(figsize=(6, 4))
    for name, outcomes in models.items():
        kept = [o.sparsification for o in outcomes if o.sparsification]
        colour = None
        for kind in ("doubt", "doubt variance", "best"):
            curves = [each[kind] for each in kept if kind in each]
            if not curves:
                continue
            mean = 100 * np.mean(curves, axis=0)
            style = {"doubt": "-", "doubt variance": ":", "best": "--"}[kind]
            label = {"doubt": f"{name}: entropy", "doubt variance": f"{name}: variance", "best": None}[kind]
            share = 100 * np.arange(len(mean)) / len(mean)
            colour = axes.plot(share, mean, style, color=colour, label=label, alpha=0.4 if kind == "best" else 1)[
                0
            ].get_color()
    axes.set(xlabel="most doubtful points left out, %", ylabel="wrong points among the others, %")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7)
    return _write(figure, path)


def draw_both(models: Mapping[str, Sequence[Outcome]], path: Path) -> Path:
    """Side by side: mean IoU against clicks an object, and the clicks that an IoU takes (NoC)."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4))
    qualities = np.linspace(0.5, 0.95, 19)
    for name, outcomes in models.items():
        left.plot(*curve(outcomes), marker=".", label=name)
        right.plot(qualities, [noc_at([o.rows for o in outcomes], float(q)) for q in qualities], label=name)
    left.set(xlabel="clicks per object", ylabel="IoU", ylim=(0, 1))
    right.set(xlabel="IoU", ylabel="clicks per object until then")
    for axes in (left, right):
        axes.grid(alpha=0.3)
    left.legend(fontsize=7)
    return _write(figure, path)


def draw_maps(
    predictor: Any,
    task: Task,
    path: Path,
    clicks: Sequence[int] = (1, 5),
    rule: Rule = error_regions,
    seed: int = 0,
) -> Path:
    """A row for each count of clicks an object: masks, what is wrong with them, entropy, variance if any."""
    rows: list[list[tuple[str, NDArray[np.uint8]]]] = []

    def watch(count: int, result: Any, given: Sequence[Click]) -> None:
        if count in clicks:
            rows.append(_row(count, task, result, list(given)))

    evaluate(predictor, task, max(clicks), rule, seed, watch)
    if not rows:
        raise ValueError(f"{task.name}: none of its objects has a voxel, so there is nothing to draw.")
    height, width = len(rows) * TILE[1] / 100 + 0.4 * len(rows), len(rows[0]) * TILE[0] / 100
    figure, grid = plt.subplots(len(rows), len(rows[0]), figsize=(width, height), squeeze=False)
    for axes, (title, image) in zip(grid.ravel(), (tile for row in rows for tile in row)):
        axes.imshow(image)
        axes.set_title(title, fontsize=15)
        axes.axis("off")
    return _write(figure, path)


def _row(count: int, task: Task, result: Any, clicks: Sequence[Click]) -> list[tuple[str, NDArray[np.uint8]]]:
    iou = np.mean(object_ious(result.labels, task.truth, task.objects))
    wrong = result.labels != task.truth
    most = float(np.log(task.objects + 1))
    found = auroc(result.uncertainty, wrong)
    worth = "" if np.isnan(found) else f", AUROC {100 * found:.0f}"
    given = f"{count} click{'s' * (count > 1)} an object, IoU {100 * iou:.1f}"
    tiles = [
        (given, _tile(task, labels=result.labels, clicks=clicks)),
        (f"wrong: {100 * wrong.mean():.1f} % (red missed, blue too much, orange another's)",
         _tile(task, errors(task, result.labels))),
        (f"entropy, pale 0 to black {most:.2f} nats{worth}", _tile(task, heat(result.uncertainty / most))),
    ]  # fmt: skip
    if result.variance is not None:
        top = max(float(result.variance.max()), 1e-9)
        tiles.append((f"variance, to {top:.2g}", _tile(task, heat(result.variance / top))))
    return tiles


def errors(task: Task, labels: NDArray[np.int32]) -> NDArray[np.uint8]:
    """The cloud in grey, with what is missed, too much, or another object's in colour."""
    grey = np.full(len(labels), 190) if task.rgb is None else 110 + 0.5 * task.rgb.mean(axis=1)
    colours = np.repeat(grey[:, None], 3, axis=1).astype(np.uint8)
    wrong = labels != task.truth
    colours[wrong & (labels == 0)] = MISSED
    colours[wrong & (task.truth == 0)] = TOO_MUCH
    colours[wrong & (labels > 0) & (task.truth > 0)] = OTHER
    return colours


def heat(values: np.ndarray) -> NDArray[np.uint8]:
    """Values from 0 to 1 as colours from pale to black."""
    return matplotlib.colormaps["inferno_r"](np.clip(values, 0, 1), bytes=True)[:, :3]


def _tile(
    task: Task,
    colours: NDArray[np.uint8] | None = None,
    labels: NDArray[np.int32] | None = None,
    clicks: Sequence[Click] = (),
) -> NDArray[np.uint8]:
    rgb, near = task.rgb if colours is None else colours, surroundings(task)
    rgb, labels = None if rgb is None else rgb[near], None if labels is None else labels[near]
    return picture(task.xyz[near], rgb, labels, clicks, up=task.up, size=TILE)


def surroundings(task: Task) -> NDArray[np.bool_]:
    """The points that are drawn: those about the objects, so that a cup is seen in a hall."""
    own = task.xyz[task.truth > 0]
    middle = np.nanmean(own, axis=0)
    reach = float(np.nanmax(np.linalg.norm(own - middle, axis=1)))
    near: NDArray[np.bool_] = np.linalg.norm(task.xyz - middle, axis=1) <= AROUND * reach
    return near


def _write(figure: Figure, path: Path) -> Path:
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with replacing(path) as stream:
            figure.savefig(stream, format="png", dpi=110)
    except OSError as error:
        raise OSError(f"{path}: could not be written ({error.strerror or error}).") from error
    finally:
        plt.close(figure)
    return path
