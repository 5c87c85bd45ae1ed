"""Who hears of the work on the inference thread."""

from __future__ import annotations

from typing import Protocol

from iseg3d_ros.msg import ClickResult


class Listener(Protocol):
    """Who hears of the work: the node."""

    def notify_operator(self, sentence: str) -> None:
        """Something for the operator."""

    def click_result(self, result: ClickResult) -> None:
        """What became of a click."""

    def updated(self) -> None:
        """Masks are up to date, and out."""

    def failed(self, error: Exception) -> None:
        """A cloud could not be taken, or the model failed on one."""
