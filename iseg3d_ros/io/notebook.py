"""A result as a notebook shows it: a picture and a table, in one piece of HTML without scripts."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from iseg3d_ros.io.picture import PALETTE, picture

if TYPE_CHECKING:
    from iseg3d_ros.clicks import Click
    from iseg3d_ros.preprocessing.scene import Scene

SIZE = (800, 540)
NO_NAMES: Mapping[int, str] = {}
HEAD = ("", "object", "points", "probability", "uncertainty (nats)")


class Shown:
    """What `show` gives: Jupyter draws its HTML, a terminal prints the table."""

    def __init__(self, image: np.ndarray, rows: Sequence[tuple[int, str, int, float, float]], note: str) -> None:
        self.image, self.rows, self.note = image, tuple(rows), note

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{word}</th>" for word in HEAD)
        rows = "".join(_row(*row) for row in self.rows)
        return (
            f'<img alt="The labelled cloud" width="{self.image.shape[1]}" src="data:image/png;base64,{self._png()}">'
            f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table><p>{html.escape(self.note)}</p>"
        )

    def _png(self) -> str:
        from PIL import Image

        stream = io.BytesIO()
        Image.fromarray(self.image).save(stream, "PNG")
        return base64.b64encode(stream.getvalue()).decode()

    def __repr__(self) -> str:
        lines = [f"{name}: {points} points, probability {sure:.2f}, uncertainty {doubt:.2f} nats"
                 for _, name, points, sure, doubt in self.rows]  # fmt: skip
        return "\n".join([*lines, self.note])


def _row(label: int, name: str, points: int, sure: float, doubt: float) -> str:
    red, green, blue = PALETTE[(label - 1) % len(PALETTE)]
    swatch = f'<td style="background:rgb({red},{green},{blue});width:1em"></td>'
    return f"<tr>{swatch}<td>{html.escape(name)}</td><td>{points:,}</td><td>{sure:.2f}</td><td>{doubt:.2f}</td></tr>"


def show(
    scene: Scene,
    result: Any,
    clicks: Sequence[Click] = (),
    names: Mapping[int, str] = NO_NAMES,
    rgb: np.ndarray | None = None,
) -> Shown:
    """A result to look at: the scene's voxels in the objects' colours, and what is known of each object.

    `result` is the predictor's `Segmentation`, which stands above this module; `rgb` are the colours of the cloud that
    was encoded; clicks are drawn as marks.
    """
    some = scene.voxels.representative
    places = scene.voxels.points @ scene.rotation + scene.origin  # as the cloud was given
    up = scene.rotation.T @ [0.0, 0.0, 1.0]
    image = picture(places, None if rgb is None else rgb[some], result.labels[some], clicks, up.tolist(), SIZE)
    rows = []
    for label in np.unique(result.labels[result.labels > 0]):
        mine = result.labels == label
        sure, doubt = float(result.probability[mine].mean()), float(result.uncertainty[mine].mean())
        rows.append((int(label), names.get(int(label), f"object {label}"), int(mine.sum()), sure, doubt))
    hint = result.suggested_click
    where = "" if hint is None else " A click would help most at " + ", ".join(f"{v:.3f}" for v in hint.point) + "."
    return Shown(image, rows, f"{scene.points:,} points, {len(scene.voxels):,} voxels.{where}")
