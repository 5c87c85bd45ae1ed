"""NPISeg3D (Liu et al., ICML 2025): click prototypes modulated by latent variables of a hierarchical neural process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, normalize, one_hot

from iseg3d_ros.clicks import Prompts
from iseg3d_ros.models.agile3d import Agile3D
from iseg3d_ros.models.base import Prediction
from iseg3d_ros.models.layers import cpu_attention
from iseg3d_ros.models.layers.attention import ClickLayer, SceneProjections, best_of_clicks
from iseg3d_ros.models.layers.click_attention import ClickAttention
from iseg3d_ros.models.layers.encoded_scene import Encoded, EncodedCloud, Scale, check_clicks, parts
from iseg3d_ros.models.layers.heads import MLP
from iseg3d_ros.models.layers.latents import Gaussian, Latents, LatentSettings
from iseg3d_ros.models.layers.losses import click_weights, mask_loss, mean_losses
from iseg3d_ros.models.layers.multi_head_attention import Attention
from iseg3d_ros.models.settings import MOST_LAYERS, SMALL_ATTENTION, TINY_ATTENTION, ClickAttentionSettings, setting

COSINE_SCALE = 10.0  # sharpens Eq. 11's cosines, whose softmax would otherwise stay near uniform
PAIRS_PER_SCORE = 16  # a relation's pair holds tens of numbers, a sample's score is one
DETERMINISTIC = 0.5  # weight of the deterministic context and target branches in the public code


class ProcessLayer(ClickLayer):
    """Click-to-scene, feed-forward, click-to-click, scene-to-click; the click-to-click module is the attention's."""

    def __init__(self, width: int, heads: int, ffn: int) -> None:
        super().__init__(width, heads, ffn)
        del self.click_to_click, self.norm2


class ProcessAttention(ClickAttention):
    """AGILE3D's click attention in NPISeg3D's order, without the click-order code."""

    def __init__(self, settings: ClickAttentionSettings, layers: int) -> None:
        super().__init__(settings, layers, timed=False)
        width, heads = settings.width, settings.heads
        self.layers = nn.ModuleList(ProcessLayer(width, heads, settings.ffn) for _ in range(layers))
        self.click_to_click = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)

    def update_clicks(self, layer: ClickLayer, clicks: Tensor, place: Tensor, looked: Tensor) -> Tensor:
        """One layer's update of the queries by what they found in the scene."""
        clicks = layer.norm1(clicks + looked)
        clicks = layer.norm3(clicks + layer.ffn(clicks))
        placed = clicks + place
        updated: Tensor = self.norm2(clicks + self.click_to_click(placed, placed, clicks))
        return updated


class PreviousMask(nn.Module):
    """The previous mask as a code added to the points' features; labels beyond the coded ones add nothing.

    A one-hot label has few values, so the perceptron runs on these and the points look their code up.
    """

    def __init__(self, labels: int, width: int) -> None:
        super().__init__()
        self.labels = labels
        self.mlp = MLP(labels, width, width, width, width)

    def forward(self, scale: Scale, layer: ClickLayer, previous: Tensor) -> Scale:
        """The scale with the code added to its features and, by linearity, to the first layer's projections."""
        if cpu_attention.should_fold(scale.features) and not (previous > 0).any():
            return scale
        coded = ((previous < self.labels) & (previous > 0).any()).to(scale.features.dtype)[:, None]
        codes = self.mlp(torch.eye(self.labels, device=previous.device))
        row = previous.clamp(max=self.labels - 1)

        def added(projection: nn.Linear | None) -> Tensor:
            return (codes if projection is None else linear(codes, projection.weight)).index_select(0, row) * coded

        first, look, features = scale.first, layer.click_to_scene, scale.features + added(None)
        if first is None:
            return replace(scale, features=features)
        keys, values = added(look.key), added(look.value)
        if first.keys.ndim == 3:
            keys, values = look.heads_first(keys), look.heads_first(values)
        queries = None if first.queries is None else first.queries + added(layer.scene_to_click.query)
        return replace(
            scale, features=features, first=SceneProjections(first.keys + keys, first.values + values, queries)
        )


@dataclass(frozen=True)
class Process:
    """One cloud after the attention: what the neural-process head works with."""

    prototypes: Tensor
    label: Tensor
    labels: int
    scene: Tensor
    term: Tensor | None
    layers: list[Tensor]


@dataclass(frozen=True)
class NPISeg3DSettings(LatentSettings):
    """The neural process beside AGILE3D's sizes; our presets take the latent's form from the public code."""

    network = "npiseg3d"
    presets: ClassVar = {
        "small": SMALL_ATTENTION | {"layers": 3, "latent": "code", "train_samples": 2},
        "tiny": TINY_ATTENTION | {"layers": 2, "latent": "code", "train_samples": 2, "target_clicks": 10},
    }

    layers: int = setting(4, most=MOST_LAYERS)
    samples: int = setting(10, most=1000)
    train_samples: int = 10
    cosine: bool = False  # Eq. 11 as printed; the public code's dot product trains under cross entropy
    kl_weight: float = 0.005
    previous_mask: bool = True
    mask_labels: int = 15
    target_clicks: int = 50  # clicks an object in the target set of the posterior


class NPISeg3D(Agile3D):
    """Clicks are the context set; during training sampled points of every object are the target set of the posterior.

    At inference latents come from the prior, out of a generator seeded anew for every call (`seed`), so that the same
    clicks give the same masks. `progress` (0 to 1) is how far training has come: the KL weight grows with it.
    """

    settings_class = NPISeg3DSettings

    def __init__(self, settings: NPISeg3DSettings) -> None:
        super().__init__(settings)
        self.uses_previous = settings.previous_mask
        self.latents = Latents(settings)
        self.previous = PreviousMask(settings.mask_labels, settings.width) if settings.previous_mask else None
        self.seed = 0
        self.progress = 1.0

    @staticmethod
    def click_attention(settings: ClickAttentionSettings, layers: int) -> ClickAttention:
        """NPISeg3D's order of layers."""
        return ProcessAttention(settings, layers)

    def masks(self, encoded: EncodedCloud, clicks: Prompts, previous: Tensor | None) -> Prediction:
        """Mean mask over samples from the prior, and its variance where no gradient is kept."""
        process = self.process(encoded, clicks, previous)
        generator = torch.Generator(process.scene.device).manual_seed(self.seed)
        z_scene = self.prior_scene(process).sample(1, generator)[0]
        prior = self.latents.of_objects(z_scene, process.prototypes, process.label, process.labels)
        modulated = self.latents.modulate(
            process.prototypes, process.label, prior.sample(self.settings.samples, generator), generator
        )
        variance = None if torch.is_grad_enabled() else self.variance(process, modulated)
        layers = tuple(each.T for each in process.layers)
        return Prediction(self.mean_scores(process, modulated).T, layers, variance)

    def process(self, encoded: EncodedCloud, clicks: Prompts, previous: Tensor | None) -> Process:
        """Attention over the scene with the previous mask added to it."""
        if self.previous is not None and previous is not None:
            scale = self.previous(encoded.scales[0], self.click_attentions()[0].first(), previous)
            encoded = replace(encoded, scales=(scale,))
        term = self.relate(encoded, clicks)
        refined = self.refine(encoded, clicks, encoded.scales[0].position[clicks.voxel], term)
        prototypes, label = self.head.prototypes(refined.clicks), self.query_labels(clicks)
        return Process(prototypes, label, clicks.objects + 1, refined.scene(), term, refined.layers)

    def prior_scene(self, process: Process) -> Gaussian:
        """p(z_s | X_C)."""
        return self.latents.of_scene(process.prototypes, process.label, process.labels)

    # The mask head: Eqs. 11, 13 and 14

    def similarity(self, prototypes: Tensor, scene: Tensor) -> Tensor:
        """Eq. 11's similarity (K, V) of prototypes and points."""
        if not self.settings.cosine:
            return (prototypes @ scene.T).float()
        return COSINE_SCALE * (normalize(prototypes.float(), dim=-1) @ normalize(scene.float(), dim=-1).T)

    def scores(self, process: Process, similarity: Tensor) -> Tensor:
        """Best of each object's clicks (labels, V), with the relation term."""
        best = best_of_clicks(similarity, process.label, process.labels)
        return best if process.term is None else best + process.term.T

    def mean_scores(self, process: Process, modulated: Tensor) -> Tensor:
        """Eq. 11: the mean over samples, then the best click. The dot product's mean is that of the mean prototype."""
        if not self.settings.cosine:
            return self.scores(process, self.similarity(modulated.mean(0), process.scene))
        each = self.similarity(modulated.flatten(0, 1), process.scene).unflatten(0, modulated.shape[:2])
        return self.scores(process, each.mean(0))

    def variance(self, process: Process, modulated: Tensor) -> Tensor:
        """Eqs. 13 and 14 (V,): variance over the samples, worst click of the worst object."""
        cosine, scene, worst = self.settings.cosine, process.scene, []
        samples = modulated if cosine else modulated - modulated.mean(0)  # a dot product's mean is known beforehand
        pairs = samples.shape[0] * samples.shape[1]
        for part in parts(len(scene), max(1, pairs // PAIRS_PER_SCORE), scene.device):
            values = self.similarity(samples.flatten(0, 1), scene[part]).unflatten(0, samples.shape[:2])
            spread = values.var(0, unbiased=False) if cosine else values.square_().mean(0)
            worst.append(spread.amax(0))
        return torch.cat(worst)

    # Training: the evidence lower bound, Eqs. 9 and 10

    def loss(
        self,
        encoded: Encoded,
        clicks: Sequence[Prompts],
        targets: Sequence[Tensor],
        previous: Sequence[Tensor | None] | None = None,
        generator: torch.Generator | None = None,
    ) -> dict[str, Tensor]:
        """Segmentation loss under the posterior, deterministic branches, and the two KL terms."""
        check_clicks(encoded, clicks)
        masks = previous or [None] * len(clicks)
        losses = []
        for cloud, c, target, mask in zip(encoded.clouds, clicks, targets, masks, strict=True):
            weight = click_weights(cloud.cloud, c, self.settings.click_radius * cloud.cloud.size)
            process = self.process(cloud, c, mask)
            losses.append(self.bound(process, target, weight, generator))
        return mean_losses(losses)

    def bound(
        self, process: Process, target: Tensor, weight: Tensor, generator: torch.Generator | None
    ) -> dict[str, Tensor]:
        """One cloud's loss, Eq. 10."""
        points, label = self.target_set(target, process.labels, generator)
        prototypes = self.head.prototypes(process.scene[points])
        posterior_scene = self.latents.of_scene(prototypes, label, process.labels)
        prior_scene = self.prior_scene(process)
        z_scene = posterior_scene.sample(1, generator)[0]
        posterior = self.latents.of_objects(z_scene, prototypes, label, process.labels)
        prior = self.latents.of_objects(z_scene, process.prototypes, process.label, process.labels)
        modulated = self.latents.modulate(
            process.prototypes, process.label, posterior.sample(self.settings.train_samples, generator), generator
        )
        divergence = posterior_scene.divergence(prior_scene) + posterior.divergence(prior)
        sampled = [self.scores(process, self.similarity(sample, process.scene)) for sample in modulated]

        def loss(scores: Tensor) -> Tensor:
            return mask_loss(scores.T, target, weight, self.settings)

        bound = torch.stack([loss(scores) for scores in sampled]).mean()
        context = loss(self.scores(process, self.similarity(process.prototypes, process.scene)))
        of_targets = best_of_clicks(self.similarity(prototypes, process.scene), label, process.labels)
        deep = [loss(scores) for scores in process.layers]
        kl_weight = self.settings.kl_weight * (0.1 + 0.9 * self.progress)
        total = bound + DETERMINISTIC * (context + loss(of_targets)) + sum(deep) + kl_weight * divergence
        return {"total": total, "mask": bound.detach(), "divergence": divergence.detach()}

    def target_set(
        self, target: Tensor, labels: int, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        """Points (T,) drawn with repetition, `target_clicks` a label, and their labels.

        A label that the target lacks gets arbitrary points, which say nothing; training never asks for one.
        """
        member = one_hot(target, labels).T.float() + 1e-12
        points = torch.multinomial(member, self.settings.target_clicks, replacement=True, generator=generator)
        label = torch.arange(labels, device=target.device)[:, None].expand_as(points)
        return points.flatten(), label.flatten()
