"""The work on disk: saved after every change, brought back after a crash, exported as labelled clouds."""

from __future__ import annotations

from collections.abc import Callable

from iseg3d_ros.ros.settings import SegmenterSettings
from iseg3d_ros.ros.work import Work


class Saving:
    def __init__(self, settings: Callable[[], SegmenterSettings], node: str, tell: Callable[[str], None]) -> None:
        self._settings, self._node, self._tell = settings, node, tell

    def save_if_wanted(self, work: Work) -> None:
        pass

    def resume(self, work: Work) -> None:
        pass

    def save(self, work: Work, path: str, kind: str) -> str:
        raise RuntimeError("later")
