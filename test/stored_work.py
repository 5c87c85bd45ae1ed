"""A session with a store, as a node has them, and how its files are damaged; with a pretend predictor."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
from counting import Counting, cloud_of

from iseg3d_ros.interaction.current_cloud import CurrentCloud
from iseg3d_ros.interaction.session import InteractiveSession
from iseg3d_ros.interaction.work_store import FixedCloud, Resumed, WorkStore


class Work:
    """A session with a store, as a node has them."""

    def __init__(self, folder: Path, hash: str = "a", resume: bool = True, keeps_clouds: bool = True) -> None:
        self.said: list[str] = []
        self.predictor = Counting(hash=hash)
        self.session = InteractiveSession(self.predictor)  # type: ignore[arg-type]
        self.stage = FixedCloud(None if keeps_clouds else cloud_of(), {}, held=False)
        self.store = WorkStore(folder, self.stage, self.said.append, keeps_clouds=keeps_clouds)
        self.resumed: Resumed | None = None
        if resume:
            self.resumed = self.store.resume(self.session)
            if self.resumed is not None:
                self.stage.shown, self.stage.places = self.resumed.cloud, self.resumed.places
        self.store.follow(self.session)

    def take(self, cloud: CurrentCloud) -> None:
        self.stage.shown = cloud
        self.session.record({"action": "capture"})

    def click(self, x: float, id: str = "cup") -> None:
        self.session.click((x, 0.0, 0.0), id)
        self.stage.places[self.session.clicks[-1]] = self.session.clicks[-1]

    def segment(self) -> np.ndarray:
        assert self.stage.shown is not None
        marks = [self.stage.places[click] for click in self.session.clicks]
        return self.session.model.segment_cloud(self.stage.shown, marks, self.session.ids).labels

    def kill(self) -> None:
        """As after kill -9: nothing more is written, the lock is free."""
        assert self.store.wait(10) == ""
        journal = self.store._journal
        assert journal is not None
        journal.close()

    def everything(self) -> Any:
        there = self.session.every_click
        places = {click: place for click, place in self.stage.places.items() if click in there}
        return self.session.content()["states"], self.session.content()["present"], places


def mutate(path: Path, rng: random.Random) -> None:
    """Flips bits, cuts, repeats, or replaces a file."""
    data = bytearray(path.read_bytes())
    match rng.randrange(4):
        case 0 if data:
            for _ in range(rng.randrange(1, 4)):
                data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        case 1:
            del data[rng.randrange(len(data) + 1) :]
        case 2:
            at = rng.randrange(len(data) + 1)
            data[at:at] = data[: rng.randrange(len(data) + 1)]
        case _:
            data[:] = rng.randbytes(rng.randrange(200))
    path.write_bytes(bytes(data))
