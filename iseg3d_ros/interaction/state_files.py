"""Work as version 0.1 saved it by itself: last.json, last.npz, and later last.masks.npz. Read, never written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from iseg3d_ros.interaction.replay import Replay
from iseg3d_ros.interaction.session_states import from_json
from iseg3d_ros.interaction.stored_arrays import MASKS, cloud_of, masks_of, read_arrays

LAST = "last"


def read_state_files(folder: Path, replay: Replay, tell: Callable[[str], None]) -> bool:
    """Whether there was such work, which the replay has now; damaged files are told and stay as they are."""
    source = folder / f"{LAST}.json"
    if not source.is_file():
        return False
    try:
        content = json.loads(source.read_text(encoding="utf-8"))
        from_json(content)
        arrays = _arrays(folder, replay)
    except Exception as error:  # whatever a reader makes of a damaged file: it must not stop a start
        tell(f"the saved work {source} cannot be taken up, and stays as it is: {error or type(error).__name__}")
        return False
    replay.state({"session": content, "held": True}, arrays, places_all=False)
    return True


def _arrays(folder: Path, replay: Replay) -> dict[str, Any]:
    """Cloud and masks."""
    arrays: dict[str, Any] = {}
    count = 0 if replay.cloud is None else len(replay.cloud.points)
    if replay.cloud is None:
        arrays = read_arrays(folder / f"{LAST}.npz")
        count = len(cloud_of(arrays)[0].points)
    try:
        masks = read_arrays(folder / f"{LAST}.masks.npz")
        masks_of(masks, count)
    except Exception:  # version 0.1 wrote none: they are computed
        return arrays
    return arrays | {MASKS + name: values for name, values in masks.items()}
