"""From refined clicks and points to masks: AGILE3D's mask head, and the relation term of our own presets."""

from __future__ import annotations

from torch import Tensor, nn

from iseg3d_ros.models.layers.attention import best_of_clicks


class MLP(nn.Sequential):
    """Linear layers with ReLU between them."""

    def __init__(self, *widths: int) -> None:
        layers: list[nn.Module] = []
        for i, (inner, outer) in enumerate(zip(widths, widths[1:], strict=False)):
            layers += [nn.ReLU()] if i else []
            layers.append(nn.Linear(inner, outer))
        super().__init__(*layers)


class MaskHead(nn.Module):
    """Each click becomes a linear classifier of the points; an object's score is the best of its clicks'."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.mlp = MLP(width, width, width)

    def prototypes(self, clicks: Tensor) -> Tensor:
        """The classifiers (K, width)."""
        prototypes: Tensor = self.mlp(self.norm(clicks))
        return prototypes

    def forward(self, clicks: Tensor, points: Tensor, label: Tensor, labels: int) -> Tensor:
        """Scores (labels, N)."""
        return best_of_clicks((self.prototypes(clicks) @ points.T).float(), label, labels)
