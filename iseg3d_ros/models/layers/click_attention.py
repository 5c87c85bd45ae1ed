"""AGILE3D's attention between clicks and one scale of the scene: click-to-scene, click-to-click, scene-to-click."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor, nn

from iseg3d_ros.clicks import Prompts
from iseg3d_ros.models.layers.attention import ClickLayer, SceneProjections, sees
from iseg3d_ros.models.layers.encoded_scene import Scale
from iseg3d_ros.models.layers.heads import MaskHead
from iseg3d_ros.models.layers.position_codes import OrderCode
from iseg3d_ros.models.settings import ClickAttentionSettings


@dataclass(frozen=True)
class Tokens:
    """Click queries: the learned background queries first, then the user's clicks in their order."""

    content: Tensor
    place: Tensor
    label: Tensor
    labels: int


class ClickAttention(nn.Module):
    """The click-aware attention over one scale of the scene."""

    def __init__(self, settings: ClickAttentionSettings, layers: int, timed: bool = True) -> None:
        super().__init__()
        width = settings.width
        self.background_queries = settings.background_queries
        self.background_content = nn.Parameter(torch.randn(settings.background_queries, width))
        self.background_place = nn.Parameter(torch.randn(settings.background_queries, width))
        self.order = OrderCode(width, settings.clicks_in_time) if timed else None
        self.layers = nn.ModuleList(ClickLayer(width, settings.heads, settings.ffn) for _ in range(layers))

    def first(self) -> ClickLayer:
        """The layer whose view of the scene no click changes."""
        return cast(ClickLayer, self.layers[0])

    def tokens(self, scale: Scale, place: Tensor, clicks: Prompts) -> Tokens:
        """Queries from the scene's features at the clicks; `place` is the position code of the clicked points."""
        background = clicks.label.new_zeros(len(self.background_content))
        place = place if self.order is None else place + self.order(len(clicks))
        return Tokens(
            torch.cat([self.background_content, scale.features[scale.at(clicks.voxel)]]),
            torch.cat([self.background_place, place]),
            torch.cat([background, clicks.label]),
            clicks.objects + 1,
        )

    def first_view(self, scene: Tensor, position: Tensor, everything: bool) -> SceneProjections:
        """The first layer's projections of a scene, which no click changes.

        Where the first look is at `everything`, what the learned queries find is the same for all clicks as well.
        """
        layer = self.first()
        made = layer.project(scene, position)
        if not everything or made.queries is not None:
            return made
        attention = layer.click_to_scene
        queries = attention.query(self.background_content + self.background_place)
        return replace(made, background=attention.attend(queries, made.keys, made.values))

    def forward(
        self, scale: Scale, tokens: Tokens, head: MaskHead, term: Tensor | float, seen: Tensor | None, last: bool
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Refined scene, refined clicks, and each layer's scores (labels, N); `last` asks for the last layer's too.

        `seen` (labels, N) says what the clicks see in the first layer: everything, where it is None.
        """
        scene, clicks, scores = scale.features, tokens.content, list[Tensor]()
        for i, layer in enumerate(cast("list[ClickLayer]", self.layers)):
            view = layer.view(scene, scale.position, None if i else scale.first)
            looked = layer.look(clicks, tokens.place, view, tokens.label, seen)
            clicks = self.update_clicks(layer, clicks, tokens.place, looked)
            scene = layer.update_scene(view, clicks, tokens.place)
            if last or i + 1 < len(self.layers):
                scores.append(head(clicks, scene, tokens.label, tokens.labels) + term)
            if i + 1 < len(self.layers):
                seen = sees(scores[-1])
        return scene, clicks, scores

    def update_clicks(self, layer: ClickLayer, clicks: Tensor, place: Tensor, looked: Tensor) -> Tensor:
        """One layer's update of the queries by what they found in the scene."""
        return layer.update_clicks(clicks, place, looked)
