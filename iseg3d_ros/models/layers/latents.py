"""NPISeg3D's hierarchical latent variables and its probabilistic prototype modulator (its Eqs. 6 to 8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from iseg3d_ros.models.layers.attention import mean_of_clicks
from iseg3d_ros.models.layers.heads import MLP
from iseg3d_ros.models.layers.multi_head_attention import Attention
from iseg3d_ros.models.settings import ClickAttentionSettings, setting


@dataclass(frozen=True)
class Gaussian:
    """Independent normal distributions."""

    mean: Tensor
    deviation: Tensor

    def sample(self, count: int, generator: torch.Generator | None) -> Tensor:
        """`count` reparameterised samples, in front."""
        noise = torch.randn((count, *self.mean.shape), generator=generator, device=self.mean.device)
        return self.mean + self.deviation * noise

    def divergence(self, prior: Gaussian) -> Tensor:
        """KL[self || prior], summed over all dimensions."""
        ratio = (self.deviation / prior.deviation).square()
        apart = ((self.mean - prior.mean) / prior.deviation).square()
        return 0.5 * (ratio + apart - 1 - ratio.log()).sum()


class ToGaussian(nn.Module):
    """Two two-layer perceptrons: mean, and deviation through a softplus."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mean = MLP(width, width, width)
        self.deviation = MLP(width, width, width)

    def forward(self, x: Tensor) -> Gaussian:
        """A distribution a row, in single precision."""
        return Gaussian(self.mean(x).float(), softplus(self.deviation(x).float()) + 1e-4)


class SceneAggregator(nn.Module):
    """Eq. 6: one pre-norm transformer block over [scene; background; objects], read at the scene's token."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention_norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.mlp_norm = nn.LayerNorm(width)
        self.inner = nn.Linear(width, 4 * width)
        self.outer = nn.Linear(4 * width, width)
        self.last_norm = nn.LayerNorm(width)
        self.latent = ToGaussian(width)

    def forward(self, objects: Tensor) -> Gaussian:
        """Distribution of z_s from the prototypes (labels, width), background first."""
        tokens = self.norm(torch.cat([objects.mean(0, keepdim=True), objects]))
        x = self.attention_norm(tokens)
        tokens = tokens + self.attention(x, x, x)
        inner = self.inner(self.mlp_norm(tokens))
        tokens = tokens + self.outer(inner * (1.702 * inner).sigmoid())  # QuickGELU
        latent: Gaussian = self.latent(self.last_norm(tokens[0]))
        return latent


@dataclass(frozen=True)
class LatentSettings(ClickAttentionSettings):
    """How the object latents depend on the scene's."""

    scene_share: float = 0.2  # alpha of Eq. 7
    # Eq. 7's input: "paper" a z + (1 - a) sum of clicks; "code" a z * mean + (1 - a) mean
    latent: str = setting("paper", one_of=("paper", "code"))


class Latents(nn.Module):
    """Scene and object latents out of click prototypes, and the modulation of the prototypes by them."""

    def __init__(self, settings: LatentSettings) -> None:
        super().__init__()
        width = settings.width
        self.share, self.form = settings.scene_share, settings.latent
        self.scene = SceneAggregator(width, settings.heads)
        self.object = ToGaussian(width)
        self.film = MLP(width, width, 2 * width)
        last = cast(nn.Linear, self.film[-1])
        nn.init.normal_(last.weight, std=1e-2)
        with torch.no_grad():  # begin close to the deterministic head: gamma 1, beta 0
            last.bias.copy_(torch.cat([torch.ones(width), torch.zeros(width)]))

    def of_scene(self, prototypes: Tensor, label: Tensor, labels: int) -> Gaussian:
        """p(z_s | clicks), Eq. 6."""
        scene: Gaussian = self.scene(mean_of_clicks(prototypes, label, labels))
        return scene

    def of_objects(self, z_scene: Tensor, prototypes: Tensor, label: Tensor, labels: int) -> Gaussian:
        """p(z_o | z_s, clicks) of every label, Eq. 7."""
        mean = mean_of_clicks(prototypes, label, labels).float()
        if self.form == "code":
            context = self.share * z_scene * mean + (1 - self.share) * mean
        else:
            count = (label == torch.arange(labels, device=label.device)[:, None]).sum(1, keepdim=True)
            context = self.share * z_scene + (1 - self.share) * mean * count
        latent: Gaussian = self.object(context)
        return latent

    def modulate(self, prototypes: Tensor, label: Tensor, z_objects: Tensor) -> Tensor:
        """Modulated prototypes (samples, K, width), Eq. 8."""
        gamma, beta = self.film(z_objects).chunk(2, -1)
        return gamma[:, label] * prototypes + beta[:, label]
