"""Small pictures of scans with their objects, for the list: drawn without a display, kept as PNG files."""

from __future__ import annotations

import hashlib
import io
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np

from iseg3d_ros.cloud import Cloud
from iseg3d_ros.console.thinning import thin
from iseg3d_ros.io.atomic_write import replacing
from iseg3d_ros.io.picture import PAPER, picture

SIZE = (144, 96)  # pixels; shown half as large
MOST = 60_000  # points that are drawn


class Thumbnails:
    """The pictures of scans by their names, in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def version(self, name: str) -> int:
        """What tells a picture from those before it; 0 where there is none."""
        try:
            return int(self._path(name).stat().st_mtime * 1000)
        except OSError:
            return 0

    def read(self, name: str) -> bytes | None:
        """The PNG file."""
        try:
            return self._path(name).read_bytes()
        except OSError:
            return None

    def draw(self, name: str, cloud: Cloud) -> None:
        """Make it anew, with the cloud's labels where it has some."""
        from PIL import Image

        xyz, rgb, labels = cloud.xyz, cloud.rgb, cloud.labels
        good = np.flatnonzero(np.isfinite(xyz).all(axis=1))
        chosen = good[thin(np.ascontiguousarray(xyz[good], np.float32), MOST)]
        labels = None if labels is None or not labels.any() else labels[chosen]
        image = picture(xyz[chosen], None if rgb is None else rgb[chosen], labels, size=SIZE)
        drawn = (image < PAPER).any(axis=2)
        stream = io.BytesIO()
        Image.fromarray(np.dstack([image, np.where(drawn, 255, 0).astype(np.uint8)])).save(stream, "PNG")
        self._folder.mkdir(parents=True, exist_ok=True)
        with replacing(self._path(name)) as file:
            file.write(stream.getvalue())

    def _path(self, name: str) -> Path:
        return self._folder / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.png"


class Illustrator:
    """Draws on a thread of its own, one picture after the other; `drawn` is called after each."""

    def __init__(self, pictures: Thumbnails, drawn: Callable[[], object]) -> None:
        self._pictures, self._drawn = pictures, drawn
        self._waiting: OrderedDict[str, Callable[[], Cloud]] = OrderedDict()
        self._failed: set[str] = set()
        self._changed = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="pictures of scans", daemon=True)
        self._thread.start()

    def draw(self, name: str, read: Callable[[], Cloud], now: bool = False) -> None:
        """Have the picture of a scan drawn, before all that wait where it is to be `now`; never waits."""
        with self._changed:
            if name in self._failed or (name in self._waiting and not now):
                return
            self._waiting[name] = read
            self._waiting.move_to_end(name, last=not now)
            self._changed.notify()

    def close(self) -> None:
        """End after the picture under way."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        self._thread.join(10)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._ended)
                if self._ended:
                    return
                name, read = self._waiting.popitem(last=False)
            try:
                self._pictures.draw(name, read())
                self._drawn()
            except Exception:  # whatever is wrong with a scan is said when it is opened
                self._failed.add(name)
