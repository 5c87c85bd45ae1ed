"""A session's work in a file of its own: JSON with a checksum, replaced as a whole."""

from __future__ import annotations

import json
from pathlib import Path

from iseg3d_ros.interaction.session_states import Json
from iseg3d_ros.io.atomic_write import replacing
from iseg3d_ros.io.journal_records import checksum


def write_session(path: Path, content: Json) -> None:
    """What `InteractiveSession.content` gave."""
    with replacing(path) as stream:
        stream.write(json.dumps({**content, "checksum": _checksum(content)}, indent=1).encode())


def read_session(path: Path) -> Json:
    """The same again; ValueError where something has changed it."""
    content: Json = json.loads(path.read_text(encoding="utf-8"))
    if isinstance(content, dict) and "checksum" in content and content.pop("checksum") != _checksum(content):
        raise ValueError("its checksum is another than its content's")
    return content


def _checksum(content: Json) -> str:
    return checksum(json.dumps(content, sort_keys=True).encode())
