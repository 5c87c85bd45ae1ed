"""What an operator does to a session beyond its own verbs, each as one step to undo; and the classes of its objects."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from iseg3d_ros.interaction.session import InteractiveSession
from iseg3d_ros.io.atomic_write import replacing

CATEGORIES = "classes.json"  # beside the journal: object to class


def merge(session: InteractiveSession, into: str, id: str) -> None:
    """The clicks of one object on another, as one step."""
    if into == id:
        raise ValueError("An object cannot be merged with itself: choose another one first.")
    clicks = [click.point for click in session.clicks if click.id == id]
    with session.step():
        session.remove(id)
        for point in clicks:
            session.click(point, into)
        session.select(into)


def take_up(session: InteractiveSession, path: Path, points: int) -> None:
    """The objects and clicks of a saved session instead of the present ones, as one step."""
    if not path.is_file():
        raise ValueError(f"There is no saved session {path}: give the name that it was saved under.")
    with np.load(path.with_suffix(".npz"), allow_pickle=False) as arrays:
        if len(arrays["xyz"]) != points:
            raise ValueError(f"{path} is the work on another cloud, of {len(arrays['xyz'])} points: open that one.")
    saved = InteractiveSession(session.predictor)
    saved.restore(path)
    with session.step():
        session.clear()
        for item in saved.objects:
            session.add(item.name, item.id)
        for click in saved.clicks:
            session.click(click.point, click.id)
        session.select(saved.active)


def read_categories(folder: Path) -> dict[str, str]:
    """The classes of the objects as they were kept; none where there is no such file, or a damaged one."""
    try:
        content = json.loads((folder / CATEGORIES).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(id): str(name) for id, name in content.items()} if isinstance(content, dict) else {}


def write_categories(folder: Path, categories: dict[str, str]) -> None:
    """Keep the classes of the objects."""
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / CATEGORIES) as stream:
        stream.write(json.dumps(categories).encode())
