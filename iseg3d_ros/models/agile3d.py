"""AGILE3D (Yue et al., ICLR 2024): the scene is encoded once; clicks are queries that attend to it and to others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from iseg3d_ros.clicks import Prompts
from iseg3d_ros.models.base import Network, Prediction, VoxelCloud
from iseg3d_ros.models.layers import cpu_attention
from iseg3d_ros.models.layers.attention import best_of_clicks, mean_of_clicks, sees
from iseg3d_ros.models.layers.backbone import Backbone
from iseg3d_ros.models.layers.click_attention import ClickAttention
from iseg3d_ros.models.layers.encoded_scene import (
    Encoded,
    EncodedCloud,
    Scale,
    check_clicks,
    children,
    parents,
    parts,
    pool_mean,
    rows_of_clouds,
)
from iseg3d_ros.models.layers.heads import MaskHead
from iseg3d_ros.models.layers.losses import deep_loss, mean_losses
from iseg3d_ros.models.layers.position_codes import FourierCode, unit_cube
from iseg3d_ros.models.layers.relation import Relation, relations
from iseg3d_ros.models.settings import MOST_LAYERS, SMALL_ATTENTION, TINY_ATTENTION, ClickAttentionSettings, setting
from iseg3d_ros.sparse import Maps, SparseTensor, sparse_batch


@dataclass(frozen=True)
class Agile3DSettings(ClickAttentionSettings):
    """The published sizes; our presets add the relation term and every voxel feature."""

    network = "agile3d"
    presets: ClassVar = {"small": SMALL_ATTENTION, "tiny": TINY_ATTENTION | {"layers": 2}}

    layers: int = setting(3, most=MOST_LAYERS)  # of attention, at full resolution


class Agile3D(Network):
    """The network. `scales` click-aware attentions, one here, whose refined scenes are summed before the mask head."""

    settings_class: ClassVar[type[ClickAttentionSettings]] = Agile3DSettings
    settings: Any

    def __init__(self, settings: ClickAttentionSettings) -> None:
        super().__init__(settings)
        self.backbone = Backbone(settings)
        layers, width = self.layers_of(settings), settings.width
        self.position = FourierCode(width, settings.gauss_scale)
        self.project = nn.ModuleList(nn.Linear(settings.planes[-1 - h], width) for h in range(len(layers)))
        self.attention = nn.ModuleList(self.click_attention(settings, count) for count in layers)
        self.head = MaskHead(width)
        self.relation = Relation(width, settings.relation_width) if settings.relation else None

    @staticmethod
    def layers_of(settings: Any) -> tuple[int, ...]:
        """Layers of attention at every scale, finest first: AGILE3D attends at full resolution only."""
        return (settings.layers,)

    def click_attentions(self) -> list[ClickAttention]:
        """The attention of every scale, finest first."""
        return cast("list[ClickAttention]", list(self.attention))

    @staticmethod
    def click_attention(settings: ClickAttentionSettings, layers: int) -> ClickAttention:
        """The attention of one scale."""
        return ClickAttention(settings, layers)

    def coupled(self) -> list[tuple[str, str]]:
        """Layers whose channels meet in products, so that pruning must keep them as wide as one another (and may make
        all of them narrower): queries and points are of one width at every scale."""
        layers = [len(attention.layers) for attention in self.click_attentions()]
        sides = [(f"project.{h}", "out") for h in range(len(layers))] + [("head.mlp.2", "out")]
        return sides + [(f"attention.{h}.layers.{count - 1}.norm4", "channels") for h, count in enumerate(layers)]

    # Encoding

    def encode(self, clouds: Sequence[VoxelCloud]) -> Encoded:
        """Backbone features of all clouds in one sparse tensor, then what each cloud's decoder starts from."""
        maps = Maps(sparse_batch([cloud.coords for cloud in clouds]))
        levels = self.backbone(SparseTensor(torch.cat([cloud.features for cloud in clouds]), maps))
        scales = [self.scale(h, levels[-1 - h], clouds) for h in range(len(self.project))]
        encoded = [
            EncodedCloud(cloud, tuple(of_cloud), (cloud.points.amax(0) - cloud.points.amin(0)).norm().clamp(min=1e-6))
            for cloud, *of_cloud in zip(clouds, *scales, strict=True)
        ]
        return Encoded(tuple(encoded), maps)

    def scale(self, h: int, level: SparseTensor, clouds: Sequence[VoxelCloud]) -> list[Scale]:
        """One scale of every cloud: projected features, positions, and the first layer's projections of them."""
        sizes = rows_of_clouds(level.coords, len(clouds))
        features = self.project[h](level.features).split(sizes)
        rows = [None] * len(clouds) if h == 0 else self.rows(level, clouds, sizes)
        attention, scales, coarsest = self.click_attentions()[h], [], h + 1 == len(self.project)
        for cloud, own, parent in zip(clouds, features, rows, strict=True):
            count = None if parent is None else children(parent, len(own))
            points = cloud.points if parent is None or count is None else pool_mean(cloud.points, parent, count)
            position = self.position(unit_cube(points, cloud.points))
            # A finer scale first looks at what the coarser one found: at inference its points are not projected at all.
            wanted = coarsest or not cpu_attention.should_fold(own)
            first = attention.first_view(own, position, coarsest) if wanted else None
            scales.append(Scale(own, position, parent, count, first))
        return scales

    @staticmethod
    def rows(level: SparseTensor, clouds: Sequence[VoxelCloud], sizes: list[int]) -> list[Tensor | None]:
        """Per cloud, the row within its own part of the level of each of its voxels."""
        whole = parents(level.maps, level.stride).split([len(cloud) for cloud in clouds])
        starts = [sum(sizes[:i]) for i in range(len(sizes))]
        return [rows - start for rows, start in zip(whole, starts, strict=True)]

    # Decoding

    def decode(
        self, encoded: Encoded, clicks: Sequence[Prompts], previous: Sequence[Tensor | None] | None = None
    ) -> list[Prediction]:
        """Masks of every cloud; AGILE3D keeps no memory of earlier masks."""
        check_clicks(encoded, clicks)
        masks = previous or [None] * len(clicks)
        return [self.masks(*each) for each in zip(encoded.clouds, clicks, masks, strict=True)]

    def masks(self, encoded: EncodedCloud, clicks: Prompts, previous: Tensor | None) -> Prediction:
        """Masks of one cloud."""
        term = self.relate(encoded, clicks)
        place = encoded.scales[0].position[clicks.voxel]
        refined = self.refine(encoded, clicks, place, term)
        similarity = refined.similarity(self.head.prototypes(refined.clicks))
        scores = best_of_clicks(similarity, self.query_labels(clicks), clicks.objects + 1)
        scores = scores if term is None else scores + term.T
        return Prediction(scores.T, tuple(each.T for each in refined.layers))

    def query_labels(self, clicks: Prompts) -> Tensor:
        """Labels of the learned background queries and of the clicks, as the tokens are ordered."""
        return torch.cat([clicks.label.new_zeros(self.click_attentions()[0].background_queries), clicks.label])

    def refine(self, encoded: EncodedCloud, clicks: Prompts, place: Tensor, term: Tensor | None) -> Refined:
        """Every scale's refined scene and clicks, the coarsest first: what it found, the next one begins with."""
        scenes, queries, layers = [], [], []
        attentions, seen, train = self.click_attentions(), None, torch.is_grad_enabled()
        for h in reversed(range(len(attentions))):
            scale = encoded.scales[h]
            tokens = attentions[h].tokens(scale, place, clicks)
            own = 0.0 if term is None else self.pooled_term(term, scale)
            last = h > 0 or (train and len(attentions) > 1)
            scene, refined, scores = attentions[h](scale, tokens, self.head, own, seen, last)
            scenes.append((scale, scene))
            queries.append(refined)
            layers += [scale.columns(each) for each in scores] if train else []
            if h:
                seen = between(scale, encoded.scales[h - 1], sees(scores[-1]))
        return Refined(scenes, sum(queries[1:], queries[0]), layers)

    @staticmethod
    def pooled_term(term: Tensor, scale: Scale) -> Tensor:
        """The relation term (labels, N) at a scale."""
        return term.T if scale.parent is None or scale.count is None else pool_mean(term, scale.parent, scale.count).T

    def relate(self, encoded: EncodedCloud, clicks: Prompts) -> Tensor | None:
        """The relation term (V, labels); None where the settings leave it out."""
        if self.relation is None:
            return None
        scene, labels = encoded.scales[0].features, clicks.objects + 1
        objects = mean_of_clicks(scene[clicks.voxel], clicks.label, labels)
        return torch.cat([
            self.relation(scene[part], objects, relations(encoded.cloud, scene, clicks, encoded.extent, part))
            for part in parts(len(scene), labels, scene.device)
        ])

    def loss(
        self,
        encoded: Encoded,
        clicks: Sequence[Prompts],
        targets: Sequence[Tensor],
        previous: Sequence[Tensor | None] | None = None,
    ) -> dict[str, Tensor]:
        """Cross entropy and Dice of the final and every intermediate mask."""
        predictions = self.decode(encoded, clicks, previous)
        return mean_losses([
            deep_loss(prediction, target, cloud.cloud, c, self.settings)
            for prediction, target, cloud, c in zip(predictions, targets, encoded.clouds, clicks, strict=True)
        ])


@dataclass(frozen=True)
class Refined:
    """Refined scenes by scale, refined clicks summed over the scales, and intermediate scores (labels, V)."""

    scenes: list[tuple[Scale, Tensor]]
    clicks: Tensor
    layers: list[Tensor]

    def scene(self) -> Tensor:
        """The aggregated scene at full resolution: E2I3D's Eq. 6."""
        spread = [scale.spread(scene) for scale, scene in self.scenes]
        return sum(spread[1:], spread[0])

    def similarity(self, prototypes: Tensor) -> Tensor:
        """Dot products (K, V) with the aggregated scene. Being linear, they are taken at each scale and then summed."""
        products = (scale.columns((prototypes @ scene.T).float()) for scale, scene in self.scenes)
        total = next(products)
        for product in products:
            total += product
        return total


def between(coarse: Scale, fine: Scale, values: Tensor) -> Tensor:
    """A scale's values (labels, N), given to the voxels of a finer one."""
    if coarse.parent is None or fine.parent is None or fine.count is None:
        return coarse.columns(values)
    rows = coarse.parent.new_zeros(len(fine.count)).scatter(0, fine.parent, coarse.parent)
    return values.index_select(1, rows)
