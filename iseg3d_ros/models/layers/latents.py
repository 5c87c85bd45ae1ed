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
    object_latent: bool = True  # z_o; False: every object's latent depends on the scene's alone (Tab. 4)
    # How latents change the prototypes: Eq. 8, or what Tabs. 4 to 6 compare it with
    modulation: str = setting("film", one_of=("film", "concat", "add", "sum", "deterministic", "dropout"))
    dropout: float = 0.1  # rate of the modulation "dropout" (MC dropout, Tab. 6)

    def check(self) -> None:
        """Something must be left after dropout, too."""
        super().check()
        if self.dropout >= 1:
            raise ValueError(f"dropout must be below 1, but is {self.dropout}")


class Latents(nn.Module):
    """Scene and object latents out of click prototypes, and the modulation of the prototypes by them.

    Besides Eq. 8's scale and shift (film): a perceptron over prototype and latent (concat), a perceptron's answer to
    the latent added (add), the latent itself added (sum: no modulator), scale and shift from the objects' mean
    prototypes (deterministic), and dropout in the latents' place.
    """

    def __init__(self, settings: LatentSettings) -> None:
        super().__init__()
        width = settings.width
        self.share, self.form = settings.scene_share, settings.latent
        self.scene = SceneAggregator(width, settings.heads)
        self.object = ToGaussian(width)
        self.whole, self.way, self.dropout = settings.object_latent, settings.modulation, settings.dropout
        if self.way in ("film", "deterministic"):
            self.film = MLP(width, width, 2 * width)
            last = cast(nn.Linear, self.film[-1])
            nn.init.normal_(last.weight, std=1e-2)
            with torch.no_grad():  # begin close to the deterministic head: gamma 1, beta 0
                last.bias.copy_(torch.cat([torch.ones(width), torch.zeros(width)]))
        elif self.way in ("concat", "add"):
            self.blend = MLP(width * (2 if self.way == "concat" else 1), width, width)

    def of_scene(self, prototypes: Tensor, label: Tensor, labels: int) -> Gaussian:
        """p(z_s | clicks), Eq. 6."""
        scene: Gaussian = self.scene(mean_of_clicks(prototypes, label, labels))
        return scene

    def of_objects(self, z_scene: Tensor, prototypes: Tensor, label: Tensor, labels: int) -> Gaussian:
        """p(z_o | z_s, clicks) of every label, Eq. 7."""
        mean = mean_of_clicks(prototypes, label, labels).float()
        if not self.whole:
            context = z_scene.expand_as(mean)
        elif self.form == "code":
            context = self.share * z_scene * mean + (1 - self.share) * mean
        else:
            count = (label == torch.arange(labels, device=label.device)[:, None]).sum(1, keepdim=True)
            context = self.share * z_scene + (1 - self.share) * mean * count
        latent: Gaussian = self.object(context)
        return latent

    def modulate(
        self, prototypes: Tensor, label: Tensor, z_objects: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        """Modulated prototypes (samples, K, width): Eq. 8, or what stands in its place."""
        z = z_objects[:, label]
        if self.way == "concat":
            blended: Tensor = prototypes + self.blend(torch.cat([prototypes.expand_as(z), z], -1))
            return blended
        if self.way in ("add", "sum"):
            return prototypes + (self.blend(z) if self.way == "add" else z)
        if self.way == "dropout":
            kept = torch.rand(z.shape, generator=generator, device=z.device) >= self.dropout
            return prototypes * kept / (1 - self.dropout)
        if self.way == "deterministic":
            z_objects = mean_of_clicks(prototypes, label, z_objects.shape[1]).float().expand_as(z_objects)
        gamma, beta = self.film(z_objects).chunk(2, -1)
        return gamma[:, label] * prototypes + beta[:, label]
