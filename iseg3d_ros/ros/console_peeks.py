"""What a click on a robot's cloud would hold: asked of the segmenter while a cursor rests, one question at a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from iseg3d_ros.console.protocol import Peek
from iseg3d_ros.console.updates import PeekUpdate
from iseg3d_ros.ros.console_conversion import HeardClouds, click_message
from iseg3d_ros.srv import PeekClick

PATIENCE = 3.0  # seconds after which no answer is waited for any more


class ConsolePeeks:
    """Of the questions that come while one is under way the newest is asked next. On the executor's thread."""

    def __init__(self, client: Any, clouds: HeardClouds, publish: Callable[..., None]) -> None:
        self._client, self._clouds, self._publish = client, clouds, publish
        self._asked: Any = None  # the future of the question under way
        self._since = 0.0
        self._next: Peek | None = None

    def look(self, peek: Peek) -> None:
        """Ask about a click, or keep it in mind while another one is asked about."""
        if self._asked is not None and time.monotonic() - self._since < PATIENCE:
            self._next = peek
            return
        if self._asked is not None:
            self._client.remove_pending_request(self._asked)
        self._next = self._asked = None
        shown = self._clouds.shown
        if shown.preview or not self._client.service_is_ready():
            return
        serial, self._since = self._clouds.serial, time.monotonic()
        self._asked = self._client.call_async(PeekClick.Request(click=click_message(peek.click, peek.new, shown)))
        self._asked.add_done_callback(lambda future: self._answered(future, peek, serial))

    def forget(self) -> None:
        """Something else is asked for: what waits is of no use any more."""
        self._next = None

    def _answered(self, future: Any, peek: Peek, serial: int) -> None:
        if future is not self._asked:
            return
        self._asked, waits = None, self._next
        answer = None if future.exception() is not None else future.result()
        if answer is not None and answer.success and serial == self._clouds.serial:
            points = np.array([[each.x, each.y, each.z] for each in answer.points], np.float32).reshape(-1, 3)
            self._publish(PeekUpdate(serial, peek.click.point, points))
        if waits is not None:
            self.look(waits)
