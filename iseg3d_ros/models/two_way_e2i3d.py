"""E2I3D with a promptable decoder: its pruned backbone and click attention over two scales, one dialogue an object.

From the paper (Cong et al., AAAI 2026): a backbone pruned by heterogeneous groups, then click-aware attention at H = 2
scales (Eq. 5), whose refined scenes are summed at full resolution (Eq. 6), and everything fine-tuned. Ours: positions
relative to an object's first click, colours and surfaces compared with those at the clicks, a mask and a not-mask token
beside one token a click, the object's last mask as an input, and a loss at every click of a simulated dialogue
(`training.dialogues`).

Every object has a dialogue of its own: its clicks, and those clicks elsewhere that hit its mask. A click that concerns
no other object changes no other object. Of a mask only the pieces stay that one of its clicks holds. Masks compete at
the end by their logits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from iseg3d_ros.clicks import Prompts
from iseg3d_ros.models.base import Network, Prediction, VoxelCloud
from iseg3d_ros.models.layers.backbone import Backbone
from iseg3d_ros.models.layers.click_position import DISTANCE_CHANNELS, ClickPosition
from iseg3d_ros.models.layers.dialogue_scene import EncodedScene, EncodedScenes, Voxels, near_features
from iseg3d_ros.models.layers.encoded_scene import children, parents, pool_mean, rows_of_clouds
from iseg3d_ros.models.layers.looks import LIKE_CHANNELS, LOOK_CHANNELS, Looks, look_features
from iseg3d_ros.models.layers.two_way import CrossAttention, TwoWayBlock, in_blocks
from iseg3d_ros.models.settings import FEATURE_WIDTH, MOST_LAYERS, SMALL, TINY, ModelSettings, check_heads, setting
from iseg3d_ros.sparse import Maps, SparseTensor, sparse_batch

CARRIED_LOGIT = 3.0  # of a voxel that an earlier cloud's mask was carried to
LAST_SHARE = 0.3  # of the last mask's logits in those after a correction: what is right stays right more often
MANY, DOUBTFUL = 4096, -5.0  # so many voxels a CPU looks at only where the coarse scale's logits are above

Dialogue = tuple[tuple[int, int], ...]  # (voxel, 1 for the object or 0 against it), in the order of the clicks


@dataclass(frozen=True)
class TwoWayE2I3DSettings(ModelSettings):
    """Sizes of the decoder: `decoder_width` channels outside the attention, `decoder_inner` inside it."""

    network = "e2i3d"
    presets: ClassVar = {"small": SMALL | {"heads": 4, "looks": True}, "tiny": TINY | {"heads": 2, "looks": True}}

    decoder: str = setting("two_way", one_of=("two_way",))
    heads: int = setting(8, most=MOST_LAYERS)
    decoder_width: int = 96
    decoder_inner: int = 64
    looks: bool = False  # colours and surfaces are compared with those at the clicks
    sharpness: float = 1.0  # power that the shown probabilities are raised to, fitted on validation scenes

    def check(self) -> None:
        """Heads must divide the attention's width, too."""
        super().check()
        check_heads(self.decoder_inner, self.heads)
        if self.looks and (lacking := {"rgb", "has_colour", "normal"} - set(self.features)):
            raise ValueError(f"looks cannot be compared without the features {', '.join(sorted(lacking))}")


class TwoWayE2I3D(Network):
    """The network. It keeps its own masks, click by click, and takes no previous ones."""

    settings_class = TwoWayE2I3DSettings
    settings: TwoWayE2I3DSettings

    def __init__(self, settings: TwoWayE2I3DSettings) -> None:
        super().__init__(settings)
        width, inner, heads = settings.decoder_width, settings.decoder_inner, settings.heads
        self.backbone = Backbone(settings)
        self.project = nn.ModuleList(nn.Linear(channels, width) for channels in settings.planes[4:])
        self.norm = nn.LayerNorm(width)
        self.position = ClickPosition(width, beside=LOOK_CHANNELS * settings.looks)
        self.mask_tokens = nn.Parameter(torch.randn(2, width) * 0.5)  # mask, not mask
        self.sign = nn.Parameter(torch.randn(2, width) * 0.5)  # click against, click on the object
        self.order = nn.Parameter(torch.zeros(2, width))  # the first, the newest click
        self.last_mask = nn.Parameter(torch.randn(width) * 0.02)
        near = DISTANCE_CHANNELS + LIKE_CHANNELS * settings.looks
        self.coarse_block, self.fine_block = (TwoWayBlock(width, inner, heads, near) for _ in range(2))
        self.final = CrossAttention(width, inner, heads)
        self.token_norm, self.voxel_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.voxel_mlp = _mlp(width)
        self.heads = nn.ModuleList(_mlp(width) for _ in range(2))  # of the mask and of the not-mask token
        self.bias = nn.Parameter(torch.tensor(-1.0))

    # Encoding

    def encode(self, clouds: Sequence[VoxelCloud]) -> EncodedScenes:
        """Features of every voxel at both scales; expensive, once per cloud."""
        maps = Maps(sparse_batch([cloud.coords for cloud in clouds]))
        levels = self.backbone(SparseTensor(torch.cat([cloud.features for cloud in clouds]), maps))
        stride8, stride4, stride2, own = (p(level.features) for p, level in zip(self.project, levels, strict=True))
        above2 = maps.parent(2)
        coarse = stride2 + (stride4 + stride8[maps.parent(4)])[above2]
        parent = parents(maps, 2)
        count = children(parent, len(coarse))
        fine = self.norm(own + coarse[parent])
        coarse = self.norm(coarse + pool_mean(own, parent, count))
        points = torch.cat([cloud.points for cloud in clouds])
        coarse_points = pool_mean(points, parent, count)
        looks = [self._looks(cloud.features) for cloud in clouds] if self.settings.looks else [None] * len(clouds)
        sizes, coarse_sizes = [len(cloud) for cloud in clouds], rows_of_clouds(levels[2].coords, len(clouds))
        scenes, at, coarse_at = [], 0, 0
        for cloud, look, size, coarse_size in zip(clouds, looks, sizes, coarse_sizes, strict=True):
            rows, coarse_rows = slice(at, at + size), slice(coarse_at, coarse_at + coarse_size)
            above = parent[rows] - coarse_at
            scenes.append(EncodedScene(Voxels(
                fine[rows], coarse[coarse_rows], cloud.points, coarse_points[coarse_rows], above, cloud.size, look,
                look and self._pooled(look, above, count[coarse_rows]),
            )))  # fmt: skip
            at, coarse_at = at + size, coarse_at + coarse_size
        return EncodedScenes(tuple(scenes))

    def _looks(self, features: Tensor) -> Looks:
        """What voxels look like, from the channels of their features."""
        names = self.settings.features
        parts = dict(zip(names, features.split([FEATURE_WIDTH[name] for name in names], 1), strict=True))
        return Looks.of(parts["rgb"], parts["has_colour"], parts["normal"])

    @staticmethod
    def _pooled(looks: Looks, parent: Tensor, count: Tensor) -> Looks:
        """Mean looks; a mean of normals of either sign is not asked for."""
        return Looks.of(*(pool_mean(values, parent, count) for values in (looks.colour, looks.known, looks.normal)))

    # Decoding

    def decode(
        self, encoded: EncodedScenes, clicks: Sequence[Prompts], previous: Sequence[Tensor | None] | None = None
    ) -> list[Prediction]:
        """Masks of every cloud. `previous` is not used: the masks before the last click follow from the clicks."""
        return [self._masks(scene, given) for scene, given in zip(encoded.clouds, clicks, strict=True)]

    def _masks(self, scene: EncodedScene, clicks: Prompts) -> Prediction:
        """The objects' masks after all clicks, one click after the other; what was computed before is remembered."""
        dialogues: list[Dialogue] = [()] * clicks.objects
        masks: list[Tensor | None] = [None] * clicks.objects
        for voxel, label in torch.stack([clicks.voxel, clicks.label], 1).tolist():
            for index, mask in enumerate(masks):
                own = index + 1 == label
                if own or (mask is not None and self._covers(scene, dialogues[index], mask, voxel)):
                    dialogues[index] += ((voxel, int(own)),)
                    masks[index] = self.mask(scene, dialogues[index])
        background = scene.voxels.points.new_zeros(len(scene.voxels.points))
        columns = [background, *(torch.full_like(background, -20.0) if mask is None else mask for mask in masks)]
        return Prediction(torch.stack(columns, 1), sharpness=self.settings.sharpness)

    def resume(
        self, encoded: EncodedScenes, clicks: Sequence[Prompts], carried: Sequence[Tensor]
    ) -> list[Prediction]:
        """Masks that go on from labels int64 (V,), carried into each cloud from an earlier one: one pass an object with
        all clicks that concern it, instead of one a click. An object without carried points begins anew."""
        return [self._resumed(*each) for each in zip(encoded.clouds, clicks, carried, strict=True)]

    def _resumed(self, scene: EncodedScene, clicks: Prompts, carried: Tensor) -> Prediction:
        fresh = self._masks(scene, clicks.without(torch.unique(carried)))
        columns = list(fresh.logits.unbind(1))
        for label in range(1, clicks.objects + 1):
            own = carried == label
            if own.any():
                columns[label] = self._from_carried(scene, clicks, label, own)
        return Prediction(torch.stack(columns, 1), sharpness=self.settings.sharpness)

    def _from_carried(self, scene: EncodedScene, clicks: Prompts, label: int, own: Tensor) -> Tensor:
        """One object's logits from the mask that was carried for it."""
        before = torch.where(own, CARRIED_LOGIT, -CARRIED_LOGIT)
        concerns = (clicks.label == label) | own[clicks.voxel]
        sign = (clicks.label == label).long()
        order = torch.argsort(1 - sign, stable=True)  # an own click is the first
        order = order[concerns[order]]
        if len(order) == 0 or not sign[order[0]]:
            return before
        voxel, sign = clicks.voxel[order][None], sign[order][None]
        return self._pass(scene, voxel, sign, int(voxel[0, 0]), before[None])

    def _covers(self, scene: EncodedScene, dialogue: Dialogue, mask: Tensor, voxel: int) -> bool:
        """Whether a dialogue's mask has a voxel; a device is asked once."""
        key = ("covers", dialogue, voxel)
        kept = scene.memory.get(key) or ((mask[voxel] > 0).cpu(),)
        scene.memory.keep(key, *kept)
        return bool(kept[0])

    def mask(self, scene: EncodedScene, dialogue: Dialogue) -> Tensor:
        """The logits (V,) of one object after its dialogue."""
        kept = scene.memory.get(dialogue)
        if kept is not None:
            return kept[0]
        before = None if len(dialogue) == 1 else self.mask(scene, dialogue[:-1])[None]
        voxel, sign = torch.tensor(dialogue, device=scene.voxels.points.device).T[:, None]
        logits = self._pass(scene, voxel, sign, dialogue[0][0], before)
        logits = logits if before is None else torch.lerp(logits, before[0], LAST_SHARE)
        logits = self._connected(scene, dialogue, logits)
        scene.memory.keep(dialogue, logits)
        return logits

    @staticmethod
    def _connected(scene: EncodedScene, dialogue: Dialogue, logits: Tensor) -> Tensor:
        """The mask without the pieces that no click on the object holds, left as doubtful as they were."""
        mask = (logits > 0).cpu().numpy()
        seeds = [voxel for voxel, sign in dialogue if sign]
        mask[seeds] = True
        kept = torch.from_numpy(scene.links.pieces_with(mask, seeds)).to(logits.device)
        return torch.where(kept, logits, -logits.abs())

    def _pass(self, scene: EncodedScene, clicked: Tensor, sign: Tensor, number: int, before: Tensor | None) -> Tensor:
        """Logits (V,) of one object, whose first click is voxel `number`."""
        voxels, key = scene.voxels, ("started", number)  # a number of the host, so that no device is asked for it
        sparse = clicked.device.type == "cpu" and len(voxels.points) >= MANY
        kept = scene.memory.get(key)
        if kept is None:
            kept = (self._begun(voxels, clicked[:, 0]),) if sparse else self.start(voxels, clicked[:, 0])
            scene.memory.keep(key, *kept)
        if sparse:
            return self._where_in_doubt(voxels, kept[0], clicked, sign, before)
        return self.masks((kept[0], kept[1]), voxels, clicked, sign, before)[-1][0].float()

    def _where_in_doubt(
        self, voxels: Voxels, coarse: Tensor, clicked: Tensor, sign: Tensor, before: Tensor | None
    ) -> Tensor:
        """The same where every voxel costs time: the fine scale looks only into coarse voxels that may hold some of
        the object or of its last mask; the others stand for what is in them."""
        first = self._tokens(self._seen_from(voxels.at(clicked[0]), voxels, clicked[:, 0]), sign)
        click = self._of_clicks(voxels, clicked)
        tokens, found, scene, near = self._coarse_scale(voxels, coarse, first, click, sign, before)
        logits = self._logits(tokens, scene)[0].float()
        doubtful = (logits > DOUBTFUL).index_fill_(0, voxels.parent[clicked[0]], True)
        if before is not None:
            doubtful[voxels.parent[before[0] > -CARRIED_LOGIT]] = True
        rows, others = doubtful[voxels.parent].nonzero()[:, 0], (~doubtful).nonzero()[:, 0]
        logits, closer = logits[voxels.parent], voxels.at(rows)
        fine = self._seen_from(closer, voxels, clicked[:, 0])
        last = None if before is None else before[:, rows]
        weight = children(voxels.parent, len(doubtful))[others].flatten().float().log()
        rest = scene[:, others], near[..., others], weight
        logits[rows] = self._fine_scale(closer, fine, found, tokens, first, click, sign, last, rest)[-1][0].float()
        return logits

    def start(self, voxels: Voxels, first: Tensor) -> tuple[Tensor, Tensor]:
        """Fine and coarse voxels (B, V, C) as each of B objects sees them: relative to its first click (B,)."""
        return self._seen_from(voxels, voxels, first), self._begun(voxels, first)

    def _begun(self, voxels: Voxels, first: Tensor) -> Tensor:
        """The coarse ones of these."""
        looks = self._difference(voxels, voxels, first)
        seen = None if looks is None else voxels.pooled(looks)
        offset = voxels.coarse_points - voxels.points[first][:, None]
        coarse: Tensor = voxels.coarse + self.position(offset, voxels.size, seen)
        return coarse

    def _seen_from(self, some: Voxels, voxels: Voxels, first: Tensor) -> Tensor:
        """Some of the fine voxels (B, m, C) as objects see them whose first clicks (B,) are among `voxels`."""
        offset = some.points - voxels.points[first][:, None]
        fine: Tensor = some.fine + self.position(offset, some.size, self._difference(some, voxels, first))
        return fine

    @staticmethod
    def _difference(some: Voxels, voxels: Voxels, first: Tensor) -> Tensor | None:
        if some.looks is None:
            return None
        offset = some.points - voxels.points[first][:, None]
        return look_features(some.looks, offset, voxels.looks_of(first), some.size)

    @staticmethod
    def _of_clicks(voxels: Voxels, clicked: Tensor) -> tuple[Tensor, Looks | None]:
        """Where clicks are, and what they look like."""
        return voxels.points[clicked], voxels.looks_of(clicked) if voxels.looks else None

    def masks(
        self, start: tuple[Tensor, Tensor], voxels: Voxels, clicked: Tensor, sign: Tensor, before: Tensor | None
    ) -> list[Tensor]:
        """Logits (B, V) of B objects' masks after the coarse scale and at the end, from K clicks each (B, K).

        `before` (B, V) are the logits that the operator saw when giving the newest click; None at the first one.
        """
        fine, coarse = start
        first = self._tokens(fine.gather(1, clicked[..., None].expand(-1, -1, fine.shape[2])), sign)
        click = self._of_clicks(voxels, clicked)
        tokens, found, *_ = self._coarse_scale(voxels, coarse, first, click, sign, before)
        return self._fine_scale(voxels, fine, found, tokens, first, click, sign, before)

    def _coarse_scale(
        self, voxels: Voxels, coarse: Tensor, first: Tensor, click: tuple[Tensor, Looks | None], sign: Tensor,
        before: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
        """Refined tokens, what the coarse voxels found, the coarse scene after it, and how near it is to the clicks."""
        if before is not None:
            coarse = torch.addcmul(coarse, voxels.pooled(_shown(before))[..., None], self.last_mask)
        near = near_features(voxels.coarse_points, voxels.coarse_looks, *click, voxels.size)
        tokens, answer = self.coarse_block(first, first, coarse, near, sign)
        found = in_blocks(lambda rows: answer(coarse[:, rows], rows), coarse.shape[1])
        scene = in_blocks(lambda rows: self.coarse_block.norm4(coarse[:, rows] + found[:, rows]), coarse.shape[1])
        return tokens, found, scene, near

    def _fine_scale(
        self, voxels: Voxels, fine: Tensor, found: Tensor, tokens: Tensor, first: Tensor,
        click: tuple[Tensor, Looks | None], sign: Tensor, before: Tensor | None,
        rest: tuple[Tensor, Tensor, Tensor] | None = None,
    ) -> list[Tensor]:  # fmt: skip
        """Logits of these voxels after the coarse scale (in training) and at the end. `rest` is what tokens see beside
        them: coarse voxels, how near these are, and the logarithms of how many fine ones each stands for."""
        seen, count = None if before is None else _shown(before)[..., None], fine.shape[1]

        def summed(rows: slice) -> Tensor:  # Eq. 6: the scales' scenes
            total = fine[:, rows] + found[:, voxels.parent[rows]]
            if seen is not None:
                total = torch.addcmul(total, seen[:, rows], self.last_mask)
            normed: Tensor = self.coarse_block.norm4(total)
            return normed

        scene, weight = in_blocks(summed, count), None
        logits = [self._logits(tokens, scene)] if torch.is_grad_enabled() else []
        near = near_features(voxels.points, voxels.looks, *click, voxels.size)
        if rest is not None:
            scene, near = torch.cat([scene, rest[0]], 1), torch.cat([near, rest[1]], -1)
            weight = pad(rest[2], (count, 0))
        tokens, answer = self.fine_block(tokens, first, scene, near, sign, weight)
        refined = in_blocks(
            lambda rows: self.fine_block.norm4(scene[:, rows] + answer(scene[:, rows], rows)), scene.shape[1]
        )
        tokens = self.token_norm(tokens + self.final.tokens_to_voxels(tokens + first, refined, weight=weight))
        last = in_blocks(lambda rows: self._logits(tokens, self._at_last(refined[:, :count][:, rows])), count)
        return [*logits, last]

    def _at_last(self, voxels: Tensor) -> Tensor:
        normed: Tensor = self.voxel_norm(voxels + self.voxel_mlp(voxels))
        return normed

    def _tokens(self, at_clicks: Tensor, sign: Tensor) -> Tensor:
        """Mask, not-mask, and one token a click: its voxel as the object sees it, its sign, first or newest."""
        count = sign.shape[1]
        first, newest = (pad(row[None], (0, 0, at, count - 1 - at)) for row, at in zip(self.order, (0, count - 1)))
        clicks = at_clicks + self.sign[sign] + first + newest
        return torch.cat([self.mask_tokens.expand(len(sign), -1, -1), clicks], 1)

    def _logits(self, tokens: Tensor, fine: Tensor) -> Tensor:
        """How much more a voxel is like the mask token than like the not-mask token."""
        direction = self.heads[0](tokens[:, 0]) - self.heads[1](tokens[:, 1])
        scores = (fine @ direction[..., None])[..., 0]
        return scores.float() * (4 / fine.shape[2] ** 0.5) + self.bias


def _shown(before: Tensor) -> Tensor:
    """A mask as the network sees it, between -1 and 1."""
    return 2 * before.sigmoid() - 1


def _mlp(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))
