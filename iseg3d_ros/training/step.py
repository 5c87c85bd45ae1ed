"""One training step of any network: encode with gradient, let the simulated user click, compute the loss."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from iseg3d_ros.clicks import Prompts
from iseg3d_ros.models.base import Network
from iseg3d_ros.sparse import sparse_batch
from iseg3d_ros.training.config import ClickConfig
from iseg3d_ros.training.random_clicks import random_clicks, several
from iseg3d_ros.training.samples import TrainingSample
from iseg3d_ros.training.simulate import SimulatedUser, overwrite


class Step(nn.Module):
    """`forward` gives the losses of a batch; a module, so that it can be wrapped for data-parallel training."""

    def __init__(self, network: nn.Module, clicks: ClickConfig) -> None:
        super().__init__()
        self.network, self.clicks = network, clicks

    def forward(self, batch: Sequence[TrainingSample], seed: int, seeds: Sequence[int]) -> dict[str, Tensor]:
        """Losses by name; `total` is what to minimise. All chance comes from the step's seed and the clouds' seeds."""
        network: Network = self.network  # type: ignore[assignment]
        torch.manual_seed(seed)
        labels = torch.cat([sample.labels for sample in batch])
        user = SimulatedUser(sparse_batch([s.cloud.coords for s in batch]), labels, [s.objects for s in batch], seeds)
        encoded = network.encode([sample.cloud for sample in batch])
        clicks = self._scattered(batch, seeds) if self.clicks.scattered else self._first(batch, user)
        rounds = int(torch.randint(self.clicks.rounds + 1, (1,)))
        previous: list[Tensor | None] = [None] * len(batch)
        for _ in range(rounds):
            previous, clicks = self.correct(network, encoded, user, clicks, previous)
        classes = {"classes": [s.classes.to(labels.device) for s in batch]} if hasattr(network, "prototypes") else {}
        return network.loss(encoded, clicks, [s.labels for s in batch], previous, **classes)

    def _scattered(self, batch: Sequence[TrainingSample], seeds: Sequence[int]) -> list[Prompts]:
        """InterObject3D's own training clicks, which need no network."""
        generators = [torch.Generator(device=s.labels.device).manual_seed(k) for s, k in zip(batch, seeds, strict=True)]
        return [
            random_clicks(sample.cloud.coords, sample.labels, sample.objects, generator)
            for sample, generator in zip(batch, generators, strict=True)
        ]

    def _first(self, batch: Sequence[TrainingSample], user: SimulatedUser) -> list[Prompts]:
        """One click an object, or several, and some on the background."""
        clicks = user.first(self.clicks.centre_share)
        if self.clicks.first_clicks == 1 and not self.clicks.background_clicks:
            return clicks
        each = zip(batch, clicks, user.generators, strict=True)
        return [several(s.cloud.coords, s.labels, click, self.clicks, generator) for s, click, generator in each]

    @torch.no_grad()
    def correct(
        self,
        network: Network,
        encoded: object,
        user: SimulatedUser,
        clicks: list[Prompts],
        previous: list[Tensor | None],
    ) -> tuple[list[Tensor | None], list[Prompts]]:
        """One round of the user: look at the masks, answer the deepest errors."""
        labels = [p.logits.argmax(1) for p in network.decode(encoded, clicks, previous)]
        shown = torch.cat([overwrite(mask, click) for mask, click in zip(labels, clicks, strict=True)])
        return [*labels], user.correct(shown, clicks, self.clicks.clicks_per_round)
