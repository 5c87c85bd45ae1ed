"""The tables of the papers out of our own evaluation: the papers' layout, ours beside the paper's own figures.

Everything that is evaluated is kept in `rows.jsonl` of the output's folder, so an interrupted run goes on there.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from iseg3d_ros.data.open import open_data
from iseg3d_ros.evaluation.config import EvaluationConfig
from iseg3d_ros.evaluation.corrections import mean_over_scenes, scene_of
from iseg3d_ros.evaluation.metrics import iou_at, noc_at
from iseg3d_ros.evaluation.paper_data import REAL_VOXEL, SEEN, Place, Row, Table, place_of_set, weights_of
from iseg3d_ros.evaluation.protocol import Outcome
from iseg3d_ros.evaluation.run import outcomes, plan
from iseg3d_ros.evaluation.table import summary

NOT_PER_CENT = ("NoC", "t@", "parameters", "megabytes", "latency", "click_seconds")


@dataclass(frozen=True)
class Cell:
    """A figure of ours with its 95 % interval over scenes, and the paper's."""

    ours: float = np.nan
    low: float = np.nan
    high: float = np.nan
    paper: float = np.nan

    def text(self) -> str:
        """As it stands in Markdown: ours, and the paper's in italics."""
        span = "" if np.isnan(self.low) else f" ({self.low:.1f}–{self.high:.1f})"
        own = "–" if np.isnan(self.ours) else f"{self.ours:.3g}{span}" if self.ours < 10 else f"{self.ours:.1f}{span}"
        return f"{own} / *{self.paper:g}*" if not np.isnan(self.paper) else own


@dataclass(frozen=True)
class Line:
    """A row on one data set: whose weights, the cells, and what there is to say."""

    name: str
    weights: str
    cells: dict[str, Cell]
    outcomes: Sequence[Outcome] = ()


@dataclass
class Maker:
    """Makes tables from what is there: a folder of data sets, one of made scenes, one of trained weights."""

    data: Path | None
    made: Path
    trained: Path
    shipped: Path
    out: Path
    budget: int = 20
    limit: int | None = None
    workers: int = 1
    device: str = "auto"
    ray: str | None = None  # address of a cluster, instead of processes
    _done: dict[tuple[str, str, EvaluationConfig], list[Outcome]] = field(default_factory=dict)

    def lines(self, table: Table, name: str) -> list[Line]:
        """One data set's part of a table."""
        place = place_of_set(name, table.protocol, self.data, self.made)
        return [self.line(table, label, row, name, place) for label, row in table.rows.items()]

    def line(self, table: Table, label: str, row: Row, name: str, place: Place) -> Line:
        """One row: measured, or with the reason why it is not."""
        columns = [column.format(at=row.at) for column in table.columns]
        paper = dict(zip(columns, row.paper.get(name, ()), strict=False))
        model, called = ("", "") if row.why else weights_of(row, self.trained, self.shipped)
        if not model:
            said = f"paper's figure, not run: {row.why}" if row.why else f"no weights yet: `{row.train}`"
            return Line(label, said, {c: Cell(paper=paper.get(c, np.nan)) for c in columns})
        if row.subset and place.made:
            called += "; all objects: made scenes have other classes"
        found = self.evaluated(table, row, model, place)
        found = found if not row.subset or place.made else of_class(found, row.subset, place.path)
        values = figures(found, model)
        return Line(label, called, {c: cell(c, found, values, paper.get(c, np.nan)) for c in columns}, found)

    def evaluated(self, table: Table, row: Row, model: str, place: Place) -> list[Outcome]:
        """The outcomes of one model on one place, measured once however many tables want them."""
        voxel = None if place.made else REAL_VOXEL
        config = EvaluationConfig(
            table.protocol, self.budget, table.rule if table.protocol == "single" else "agile3d", row.temperature,
            limit=self.limit, voxel_size=voxel, device=self.device, adapt=row.adapt, samples=row.samples,
        )  # fmt: skip
        key = (model, place.path, config)
        if key not in self._done:
            parts = plan([place.path], config)
            self._done[key] = outcomes(model, parts, config, self.workers, self.out / "rows.jsonl", self.ray)
        return self._done[key]


@dataclass(frozen=True)
class Made:
    """A finished table: its parts by data set."""

    table: Table
    parts: dict[str, tuple[Place, list[Line]]]
    budget: int = 20

    @cached_property
    def columns(self) -> list[str]:
        """Columns as the head names them."""
        return [column.format(at="k") for column in self.table.columns]

    def markdown(self) -> str:
        """Heading, what it was measured on, and a block a data set."""
        out = [f"## {self.table.caption}", ""]
        out += [self.table.note + ".", ""] if self.table.note else []
        few = f"; ours with at most {self.budget} clicks an object, the papers' with 20" if self.budget < 20 else ""
        for name, (place, lines) in self.parts.items():
            where = place.path.removeprefix("scenes:")
            on = f"made scenes in {where}, as the data set is not there" if place.made else place.path
            out += [f"**{self.table.data[name]}**: ours on {on}; *the paper's* in italics{few}.", ""]
            out += ["| method | " + " | ".join(self.columns) + " | weights |", "|---" * (len(self.columns) + 2) + "|"]
            for line in lines:
                cells = [line.name, *(each.text() for each in line.cells.values()), line.weights]
                out += ["| " + " | ".join(cells) + " |"]
            out += [""]
        return "\n".join(out)

    def rows(self) -> Iterator[list[Any]]:
        """For the CSV file: one figure a row."""
        for name, (place, lines) in self.parts.items():
            for line in lines:
                for column, c in line.cells.items():
                    numbers = ["" if np.isnan(v) else round(v, 4) for v in (c.ours, c.low, c.high, c.paper)]
                    on = "made" if place.made else "real"
                    yield [self.table.id, name, on, line.name, column, *numbers, line.weights]


CSV_HEAD = ["table", "data", "measured on", "method", "figure", "ours", "low", "high", "paper", "weights"]


def make(maker: Maker, table: Table) -> Made:
    """One table on all its data sets."""
    parts = {}
    for name in table.data:
        place = place_of_set(name, table.protocol, maker.data, maker.made)
        parts[name] = (place, maker.lines(table, name))
    return Made(table, parts, maker.budget)


def csv_of(tables: Sequence[Made]) -> str:
    """All figures of some tables."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CSV_HEAD)
    writer.writerows(row for made in tables for row in made.rows())
    return stream.getvalue()


def figures(found: Sequence[Outcome], model: str) -> dict[str, float]:
    """Every figure that the papers print, in their units."""
    count = _parameters(model)
    first = [o.encode_seconds + o.click_seconds[0] for o in found if o.click_seconds]
    values = summary(found)
    values = {name: value if name.startswith(NOT_PER_CENT) else 100 * value for name, value in values.items()}
    return values | {
        "parameters": count / 1e6, "megabytes": 4 * count / 1e6,
        "latency": float(np.median(first)) if first else np.nan,
    }  # fmt: skip


@lru_cache(maxsize=64)
def _parameters(model: str) -> int:
    from iseg3d_ros.models.checkpoint import read_card
    from iseg3d_ros.predictor import weights_file

    return int(read_card(weights_file(model))["parameters"])


def cell(column: str, found: Sequence[Outcome], values: dict[str, float], paper: float) -> Cell:
    """A figure; IoU and NoC with an interval."""
    low = high = np.nan
    kind, _, at = column.partition("@")
    if kind in ("IoU", "NoC") and len({scene_of(o) for o in found}) > 1 and column in values:
        low, high = _interval(kind, float(at), found)
    return Cell(values.get(column, np.nan), low, high, paper)


def _interval(kind: str, at: float, found: Sequence[Outcome]) -> tuple[float, float]:
    def value(outcome: Outcome) -> list[float]:
        rows = [outcome.rows]
        return [100 * iou_at(rows, at) if kind == "IoU" else noc_at(rows, at / 100)]

    return mean_over_scenes(found, value)[1:]


def of_class(found: Sequence[Outcome], subset: str, path: str) -> list[Outcome]:
    """Single objects of a class, or of the seen or unseen ones."""
    classes = _classes(path)
    chosen = []
    for outcome in found:
        scene, _, number = outcome.name.partition(" #")
        name = classes(scene, int(number))
        wanted = {"seen": name in SEEN, "unseen": name not in SEEN}.get(subset, name == subset)
        chosen += [outcome] if wanted else []
    return chosen


@lru_cache(maxsize=8)
def _classes(path: str) -> Any:
    samples = open_data(path)
    places = {name: k for k, name in enumerate(samples.names)}

    @lru_cache(maxsize=256)
    def names(scene: str) -> tuple[str, ...]:
        return samples[places[scene]].cloud.classes

    return lambda scene, number: names(scene)[number - 1]
