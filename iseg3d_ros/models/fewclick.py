"""Few-Click (Kang et al., 2026): a point transformer encodes the scene, a decoder turns every click into a mask.

Each click is a query: the feature of its voxel. Four stages, coarse to fine, let it look at the scene, at the other
clicks, and at what its present mask and class say. Masks of one object's clicks are merged, and argmax parts objects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from iseg3d_ros.clicks import Prompts
from iseg3d_ros.models.base import Network, Prediction, VoxelCloud
from iseg3d_ros.models.layers import binary_losses as binary_loss
from iseg3d_ros.models.layers.attention import FeedForward, best_of_clicks, mean_of_clicks
from iseg3d_ros.models.layers.backbone import Backbone
from iseg3d_ros.models.layers.click_unet import stacked
from iseg3d_ros.models.layers.encoded_scene import check_clicks, children, parents, parts, pool_mean, rows_of_clouds
from iseg3d_ros.models.layers.heads import MLP, MaskHead
from iseg3d_ros.models.layers.losses import mean_losses
from iseg3d_ros.models.layers.multi_head_attention import Attention
from iseg3d_ros.models.layers.position_codes import FourierCode, unit_cube
from iseg3d_ros.models.layers.ptv3 import PointTransformer, PointTransformerSettings
from iseg3d_ros.models.layers.relation import Relation, relations
from iseg3d_ros.models.settings import MOST_LAYERS, OURS, setting
from iseg3d_ros.sparse import SparseTensor


@dataclass(frozen=True)
class Level:
    """What a stage's clicks look at: keys and values at its scale.

    `parent` (V,) is the row here of every voxel of the cloud, None at full resolution; `count` a row's voxels.
    """

    keys: Tensor
    values: Tensor
    parent: Tensor | None
    count: Tensor | None

    def mean(self, values: Tensor) -> Tensor:
        """Values of the cloud's voxels, averaged here."""
        return values if self.parent is None or self.count is None else pool_mean(values, self.parent, self.count)


@dataclass(frozen=True)
class EncodedScene:
    """One cloud: its finest features F^L (V, width), position codes, and a level for each stage."""

    cloud: VoxelCloud
    features: Tensor
    position: Tensor
    levels: tuple[Level, ...]
    extent: Tensor


@dataclass(frozen=True)
class EncodedScenes:
    """Clouds that went through the encoder together."""

    clouds: tuple[EncodedScene, ...]


@dataclass(frozen=True)
class StageMasks:
    """A stage's answer for every click: mask logits (K, V) and class logits (K, prototypes), where it has any."""

    masks: Tensor
    classes: Tensor | None


# The paper gives 128.5 MB in single precision and a width of 256, four stages; PTv3's own sizes cut down to that.
SMALL: dict[str, Any] = OURS | {
    "stem": 32,
    "stem_kernel": 3,
    "planes": (48, 64, 96, 128, 96, 64, 64, 64),
    "blocks": (1, 1, 2, 1, 1, 1, 1, 1),
    "stem_blocks": 1,
    "patch": 256,
    "drop_path": 0.0,
    "width": 96,
    "heads": 6,
    "ffn": 384,
    "relation": True,
    "class_weight": 0.5,
}
TINY: dict[str, Any] = SMALL | {
    "stem": 16,
    "planes": (16, 32, 32, 48, 32, 32, 32, 32),
    "blocks": (1,) * 8,
    "patch": 64,
    "width": 32,
    "heads": 2,
    "ffn": 64,
    "relation_width": 24,
}


@dataclass(frozen=True)
class FewClickSettings(PointTransformerSettings):
    """Sizes of the encoder, Point Transformer V3, and of the mask decoder."""

    network = "fewclick"
    presets: ClassVar = {"small": SMALL, "tiny": TINY}

    planes: tuple[int, ...] = (64, 128, 256, 384, 256, 128, 64, 64)
    blocks: tuple[int, ...] = setting((2,) * 8, most=MOST_LAYERS)
    momentum: float = 0.01
    width: int = 256
    ce_weight: float = 5.0
    layers: int = setting(4, most=MOST_LAYERS)  # stages
    prototypes: int = 35
    masked_attention: bool = True  # the public code's; False: every click sees all points in every stage
    class_weight: float = 2.0
    # What the ablations of Tab. 4 leave out, or exchange
    encoder: str = setting("ptv3", one_of=("ptv3", "unet"))  # unet: the sparse Res16UNet of the other papers
    adaptor: bool = True
    spatial: bool = True  # E_p in the adaptor
    semantic: bool = True  # E_s in the adaptor
    mask_head: bool = True  # False: masks are products of queries and points themselves
    class_head: bool = True  # False: no class, and no semantic embedding


class FewClick(Network):
    """The network; `prototypes` are the semantic prototype embeddings P_s."""

    settings_class = FewClickSettings
    settings: FewClickSettings

    def __init__(self, settings: FewClickSettings) -> None:
        super().__init__(settings)
        width = settings.width
        self.encoder: nn.Module = PointTransformer(settings) if settings.encoder == "ptv3" else Backbone(settings)
        self.project = nn.ModuleList(nn.Linear(channels, width) for channels in settings.planes[4:])
        self.position = FourierCode(width, settings.gauss_scale)
        self.sign = nn.Embedding(2, width)  # a click on the background asks for another mask than one on an object
        self.stages = nn.ModuleList(Stage(width, settings.heads, settings.ffn) for _ in range(settings.layers))
        merged = (1 + settings.spatial + (settings.semantic and settings.class_head)) * width
        adaptors = settings.layers - 1 if settings.adaptor else 0
        self.adaptors = nn.ModuleList(MLP(merged, width, width) for _ in range(adaptors))
        self.mask_head = MaskHead(width) if settings.mask_head else None
        if settings.class_head:
            self.class_norm = nn.LayerNorm(width)
            self.class_mlp = MLP(width, width, width)
            self.prototypes = nn.Parameter(torch.randn(settings.prototypes, width) * width**-0.5)
        self.relation = Relation(width, settings.relation_width) if settings.relation else None

    # Encoding

    def encode(self, clouds: Sequence[VoxelCloud]) -> EncodedScenes:
        """Eq. 1: features of every scale; with them all that the stages need and no click changes."""
        levels = self.encoder(stacked(clouds))
        sizes = [len(cloud) for cloud in clouds]
        projected = [linear(level.features) for linear, level in zip(self.project, levels, strict=True)]
        fine = projected[-1].split(sizes)
        per_stage = [
            self._levels(cast(Stage, stage), features, level, clouds)
            for stage, features, level in zip(self.stages, projected, levels, strict=True)
        ]
        return EncodedScenes(tuple(
            EncodedScene(cloud, own, self._code(cloud.points, cloud), tuple(scales), _extent(cloud))
            for cloud, own, *scales in zip(clouds, fine, *per_stage, strict=True)
        ))  # fmt: skip

    def _levels(
        self, stage: Stage, features: Tensor, level: SparseTensor, clouds: Sequence[VoxelCloud]
    ) -> list[Level]:
        """One scale of every cloud."""
        sizes = rows_of_clouds(level.coords, len(clouds))
        found = []
        for own, rows, cloud in zip(features.split(sizes), _rows(level, sizes, clouds), clouds, strict=True):
            count = None if rows is None else children(rows, len(own))
            points = cloud.points if rows is None or count is None else pool_mean(cloud.points, rows, count)
            found.append(Level(*stage.project(own, self._code(points, cloud)), rows, count))
        return found

    def _code(self, points: Tensor, cloud: VoxelCloud) -> Tensor:
        code: Tensor = self.position(unit_cube(points, cloud.points))
        return code

    # Decoding

    def decode(
        self, encoded: EncodedScenes, clicks: Sequence[Prompts], previous: Sequence[Tensor | None] | None = None
    ) -> list[Prediction]:
        """Masks of all objects from all clicks in one pass; no memory of earlier masks."""
        check_clicks(encoded, clicks)
        each = zip(encoded.clouds, clicks, strict=True)
        answers = [(self.answer(scene, click)[-1], click) for scene, click in each]
        return [
            Prediction(merge(a.masks, click), classes=None if a.classes is None else of_objects(a.classes, click))
            for a, click in answers
        ]

    def answer(self, scene: EncodedScene, clicks: Prompts) -> list[StageMasks]:
        """Every stage's masks and classes of one cloud's clicks; without gradient the last stage's alone."""
        term = self.relate(scene, clicks)
        query = scene.features[clicks.voxel] + self.sign((clicks.label > 0).long())  # Eq. 2
        place = scene.position[clicks.voxel]
        answers: list[StageMasks] = []
        for i, (stage, level) in enumerate(zip(self.stages, scene.levels, strict=True)):
            seen = self._visible(answers[-1], level) if answers else None
            query = stage(query, place, level, clicks, seen)  # Eq. 3
            answers = [*(answers if torch.is_grad_enabled() else ()), self.segment(query, scene, clicks, term)]
            if i < len(self.adaptors):
                query = self.adapt(i, query, scene, answers[-1])
        return answers

    def segment(self, query: Tensor, scene: EncodedScene, clicks: Prompts, term: Tensor | None) -> StageMasks:
        """The mask head (Eq. 5) and the class head (Eq. 6)."""
        own = query if self.mask_head is None else self.mask_head.prototypes(query)
        masks = (own @ scene.features.T).float()
        masks = masks if term is None else masks + term.T[clicks.label]
        if not self.settings.class_head:
            return StageMasks(masks, None)
        return StageMasks(masks, self.class_mlp(self.class_norm(query)) @ self.prototypes.T)

    def adapt(self, i: int, query: Tensor, scene: EncodedScene, answer: StageMasks) -> Tensor:
        """The conditional query adaptor (Eq. 7): what the mask covers and what the class is, merged into the query."""
        pieces = [query]
        if self.settings.spatial:
            pieces.append(mask_pool(answer.masks, scene.features))
        if self.settings.semantic and answer.classes is not None:
            pieces.append(self.prototypes[answer.classes.argmax(1)].to(query.dtype))
        adapted: Tensor = self.adaptors[i](torch.cat(pieces, 1))
        return adapted

    def _visible(self, answer: StageMasks, level: Level) -> Tensor | None:
        """(K, rows), 0 or minus infinity: a click looks at its present mask, or everywhere where that is empty."""
        if not self.settings.masked_attention:
            return None
        inside = level.mean((answer.masks.T > 0).float()).T >= 0.5
        visible = inside | ~inside.any(1, keepdim=True)
        return answer.masks.new_zeros(visible.shape).masked_fill(~visible, -torch.inf)

    def relate(self, scene: EncodedScene, clicks: Prompts) -> Tensor | None:
        """The relation term (V, labels) of our own presets."""
        if self.relation is None:
            return None
        objects = mean_of_clicks(scene.features[clicks.voxel], clicks.label, clicks.objects + 1)
        return torch.cat([
            self.relation(
                scene.features[part], objects, relations(scene.cloud, scene.features, clicks, scene.extent, part)
            )
            for part in parts(len(scene.features), clicks.objects + 1, scene.features.device)
        ])  # fmt: skip

    # Learning

    def loss(
        self,
        encoded: EncodedScenes,
        clicks: Sequence[Prompts],
        targets: Sequence[Tensor],
        previous: Sequence[Tensor | None] | None = None,
        classes: Sequence[Tensor | None] | None = None,
    ) -> dict[str, Tensor]:
        """Eq. 8 at every stage; `classes` int64 (M,) are the objects' prototypes, negative or None where unknown."""
        check_clicks(encoded, clicks)
        known = classes or [None] * len(clicks)
        return mean_losses([
            self._loss(self.answer(scene, click), click, target, of)
            for scene, click, target, of in zip(encoded.clouds, clicks, targets, known, strict=True)
        ])  # fmt: skip

    def _loss(
        self, answers: list[StageMasks], clicks: Prompts, target: Tensor, classes: Tensor | None
    ) -> dict[str, Tensor]:
        truth = (target[:, None] == clicks.label).float()
        bce = torch.stack([binary_loss.cross_entropy(a.masks.T, truth) for a in answers]).mean()
        dice = torch.stack([binary_loss.dice(a.masks.T, truth) for a in answers]).mean()
        ce = torch.stack([class_loss(a.classes, clicks, classes) for a in answers]).mean()
        settings = self.settings
        total = settings.ce_weight * bce + settings.dice_weight * dice + settings.class_weight * ce
        return {"total": total, "bce": bce.detach(), "dice": dice.detach(), "class": ce.detach()}


class Stage(nn.Module):
    """The transformer block of a stage (Eq. 3): click to scene, click to click, feed-forward; post-norm."""

    def __init__(self, width: int, heads: int, ffn: int) -> None:
        super().__init__()
        self.look = Attention(width, heads)
        self.look_norm = nn.LayerNorm(width)
        self.cluster = nn.Linear(width, width)
        self.meet = Attention(width, heads)
        self.meet_norm = nn.LayerNorm(width)
        self.ffn = FeedForward(width, ffn)
        self.ffn_norm = nn.LayerNorm(width)

    def project(self, features: Tensor, position: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of a scale, which no click changes."""
        return self.look.key(features + position), self.look.value(features)

    def forward(self, query: Tensor, place: Tensor, level: Level, clicks: Prompts, seen: Tensor | None) -> Tensor:
        """Queries after looking at the scene and at one another; clicks of one object also share their mean."""
        looked = self.look.attend(self.look.query(query + place), level.keys, level.values, seen)
        query = self.look_norm(query + looked)
        mean = mean_of_clicks(query, clicks.label, clicks.objects + 1)[clicks.label]
        placed = query + place + self.cluster(mean)
        query = self.meet_norm(query + self.meet(placed, placed, query))
        out: Tensor = self.ffn_norm(query + self.ffn(query))
        return out


def mask_pool(masks: Tensor, features: Tensor) -> Tensor:
    """The spatial embedding E_p (K, C): mean feature of what a mask covers, weighted by its probability there."""
    weight = masks.sigmoid() * (masks > 0)
    return (weight / weight.sum(1, keepdim=True).clamp(min=1e-6)).to(features.dtype) @ features


def merge(masks: Tensor, clicks: Prompts) -> Tensor:
    """Scores (V, M + 1) from masks (K, V): an object's best click; background 0, or its own clicks' where higher."""
    scores = best_of_clicks(masks, clicks.label, clicks.objects + 1)
    return torch.cat([scores[:1].clamp(min=0), scores[1:]]).T


def of_objects(classes: Tensor, clicks: Prompts) -> Tensor:
    """Class scores (M, C) of each object: the log of the mean over its own clicks of their probabilities."""
    mean = mean_of_clicks(classes.float().softmax(1), clicks.label, clicks.objects + 1)[1:]
    return mean.clamp(min=1e-9).log()


def class_loss(logits: Tensor | None, clicks: Prompts, classes: Tensor | None) -> Tensor:
    """Eq. 11 over the clicks on objects of known class; zero where there are none.

    With fewer prototypes than there are classes, the last one is that of all further classes.
    """
    if classes is None or logits is None:
        return torch.zeros((), device=clicks.voxel.device)
    known = torch.cat([classes.new_full((1,), -1), classes])[clicks.label].clamp(max=logits.shape[1] - 1)
    each = cross_entropy(logits.float(), known.clamp(min=0), reduction="none") * (known >= 0)
    return each.sum() / (known >= 0).sum().clamp(min=1)


def _rows(level: SparseTensor, sizes: list[int], clouds: Sequence[VoxelCloud]) -> list[Tensor | None]:
    """Per cloud, the row within its own part of a level of each of its voxels; None at full resolution."""
    if level.stride == 1:
        return [None] * len(clouds)
    whole = parents(level.maps, level.stride).split([len(cloud) for cloud in clouds])
    return [rows - sum(sizes[:i]) for i, rows in enumerate(whole)]


def _extent(cloud: VoxelCloud) -> Tensor:
    return (cloud.points.amax(0) - cloud.points.amin(0)).norm().clamp(min=1e-6)
