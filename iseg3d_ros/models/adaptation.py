"""Online adaptation (InterObject3D, section III): the user's corrections are training examples of the scene at hand.

After Kontogianni, Gygli, Uijlings, Ferrari, "Continuous adaptation for interactive object segmentation by learning
from corrections" (ECCV 2020), adaptation to a single instance: a few gradient steps on

    cross entropy at the clicked voxels + lambda * cross entropy against the mask before any correction,

whose second, dense term keeps what the clicks do not contradict. Learning rate 5e-5 and lambda 0.1 as in the paper.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from iseg3d_ros.clicks import Prompts
from iseg3d_ros.models.base import Network, Prediction, VoxelCloud


@dataclass
class Memory:
    """What one batch of scenes has taught so far; it goes when the scene goes."""

    seen: list[Prompts] | None = None
    network: Network | None = None
    optimiser: torch.optim.Optimizer | None = None


@dataclass(frozen=True)
class AdaptedScene:
    """The wrapped network's encoding, and the parameters as this scene has changed them."""

    encoded: Any
    memory: Memory = field(default_factory=Memory)


class Adapted(Network):
    """Any network, adapting at test time.

    `learning_rate` is the paper's for its 37.9 M parameters; smaller networks move enough only at larger rates.
    `bound` is how far the weights may drift from the shipped ones, as a share of their norm.
    The wrapped network is never changed: each encoded scene owns a copy, which lives as long as the scene does.
    What depends on clicks adapts; what `encode` keeps stays. Clicks that do not continue those seen before (an undo,
    another object set) start over from the shipped weights, so that an answer depends on the scene and the clicks
    given in turn, and on nothing else.
    """

    def __init__(
        self, network: Network, *, learning_rate: float = 5e-5, keep: float = 0.1, steps: int = 10, bound: float = 0.05
    ) -> None:
        super().__init__(network.settings, network.card)
        self.network = network
        self.uses_previous = network.uses_previous
        self.learning_rate, self.keep, self.steps, self.bound = learning_rate, keep, steps, bound

    def encode(self, clouds: Sequence[VoxelCloud]) -> AdaptedScene:
        """As the wrapped network, which has learned nothing about these clouds yet."""
        with torch.inference_mode(False), torch.no_grad():  # what is kept must be fit for a gradient later
            return AdaptedScene(self.network.encode(clouds))

    def decode(
        self, encoded: AdaptedScene, clicks: Sequence[Prompts], previous: Sequence[Tensor | None] | None = None
    ) -> list[Prediction]:
        """Learn from the corrections that are new, then give the masks."""
        memory = encoded.memory
        if memory.seen is not None and not _continues(memory.seen, clicks):
            self.reset(encoded)
        if not _same(memory.seen, clicks) and any(len(click) > len(_first(click)) for click in clicks):
            self._learn(encoded, clicks, previous)
        memory.seen = list(clicks)
        return self._answer(memory.network or self.network, encoded, clicks, previous)

    def loss(
        self,
        encoded: AdaptedScene,
        clicks: Sequence[Prompts],
        targets: Sequence[Tensor],
        previous: Sequence[Tensor | None] | None = None,
    ) -> dict[str, Tensor]:
        """The wrapped network's own loss."""
        return self.network.loss(encoded.encoded, clicks, targets, previous)

    def reset(self, encoded: AdaptedScene) -> None:
        """Back to the shipped weights for this scene."""
        memory = encoded.memory
        memory.seen, memory.network, memory.optimiser = None, None, None

    def _learn(
        self, encoded: AdaptedScene, clicks: Sequence[Prompts], previous: Sequence[Tensor | None] | None
    ) -> None:
        """Some steps on the clicks so far; batch statistics stay as they are at test time."""
        memory = encoded.memory
        before = self._answer(self.network, encoded, [_first(click) for click in clicks])
        first = [prediction.logits.argmax(1) for prediction in before]
        with torch.inference_mode(False), torch.enable_grad():
            clicks = [Prompts(c.voxel.clone(), c.label.clone(), c.objects) for c in clicks]  # fit for a gradient
            if memory.network is None or memory.optimiser is None:
                memory.network = copy.deepcopy(self.network).eval().requires_grad_(True)
                memory.optimiser = torch.optim.Adam(memory.network.parameters(), self.learning_rate)
            for _ in range(self.steps):
                predictions = memory.network.decode(encoded.encoded, clicks, previous)
                each = zip(predictions, clicks, first, strict=True)
                loss = torch.stack([correction_loss(p.logits, c, mask, self.keep) for p, c, mask in each]).mean()
                memory.optimiser.zero_grad(set_to_none=True)
                loss.backward()
                memory.optimiser.step()
                self._bind(memory.network)

    @torch.no_grad()
    def _bind(self, network: Network) -> None:
        """Draw weights that drifted beyond the bound back towards the shipped ones, to the bound."""
        shipped: list[Tensor] = list(self.network.parameters())
        own: list[Tensor] = list(network.parameters())
        drift = [new - old for new, old in zip(own, shipped, strict=True)]
        far = torch.stack(torch._foreach_norm(drift)).norm()
        most = self.bound * torch.stack(torch._foreach_norm(shipped)).norm()
        if far > most:
            for new, old, by in zip(own, shipped, drift, strict=True):
                new.copy_(old + by * (most / far))

    @staticmethod
    def _answer(
        network: Network,
        encoded: AdaptedScene,
        clicks: Sequence[Prompts],
        previous: Sequence[Tensor | None] | None = None,
    ) -> list[Prediction]:
        with torch.inference_mode(False), torch.no_grad():
            return network.decode(encoded.encoded, clicks, previous)


def adapting(network: Any, **options: float) -> Adapted:
    """The network, wrapped so that it learns from the operator's corrections while they are given."""
    if not isinstance(network, Network) or not any(True for _ in network.parameters()):
        raise ValueError("It has no weights that could adapt: choose another model, or leave adaptation out.")
    if not options.get("bound", 1.0) > 0:
        raise ValueError(f"The bound of adaptation must be above 0, but is {options['bound']}.")
    return Adapted(network, **options)  # type: ignore[arg-type]


def correction_loss(logits: Tensor, clicks: Prompts, first: Tensor, keep: float) -> Tensor:
    """Cross entropy at the clicks, plus `keep` times that against the first mask at all other voxels."""
    logits = logits.float()
    corrected = cross_entropy(logits[clicks.voxel], clicks.label)
    target = first.index_fill(0, clicks.voxel, -100)
    kept = cross_entropy(logits, target, ignore_index=-100, reduction="sum") / (target >= 0).sum().clamp(min=1)
    return corrected + keep * kept


def _first(clicks: Prompts) -> Prompts:
    """The first click of every object; where no object has any, the first click of all."""
    order = torch.arange(len(clicks), device=clicks.label.device)
    earlier = (clicks.label[:, None] == clicks.label) & (order < order[:, None])
    chosen = ~earlier.any(1) & (clicks.label > 0)
    chosen = chosen if bool(chosen.any()) else order == 0
    return Prompts(clicks.voxel[chosen], clicks.label[chosen], clicks.objects)


def _continues(seen: Sequence[Prompts], clicks: Sequence[Prompts]) -> bool:
    """Whether every cloud's clicks begin with those seen before."""
    return len(seen) == len(clicks) and all(
        old.objects == new.objects
        and len(old) <= len(new)
        and torch.equal(old.voxel, new.voxel[: len(old)])
        and torch.equal(old.label, new.label[: len(old)])
        for old, new in zip(seen, clicks, strict=True)
    )


def _same(seen: Sequence[Prompts] | None, clicks: Sequence[Prompts]) -> bool:
    return seen is not None and _continues(seen, clicks) and _continues(clicks, seen)
