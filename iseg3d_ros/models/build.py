"""A network from its settings: the one place that knows which class carries which published name."""

from __future__ import annotations

from torch import nn

from iseg3d_ros.models.settings import ModelSettings


def build(settings: ModelSettings) -> nn.Module:
    """A freshly initialised network (see `models.base.Network` for its verbs)."""
    match settings.network:
        case "interobject3d":
            from iseg3d_ros.models.interobject3d import InterObject3D

            return InterObject3D(settings)
        case "agile3d":
            from iseg3d_ros.models.agile3d import Agile3D

            return Agile3D(settings)
        case "e2i3d":
            if settings.decoder == "two_way":
                from iseg3d_ros.models.two_way_e2i3d import TwoWayE2I3D

                return TwoWayE2I3D(settings)
            from iseg3d_ros.models.e2i3d import E2I3D

            return E2I3D(settings)
        case "clickenhance":
            from iseg3d_ros.models.clickenhance import ClickEnhance

            return ClickEnhance(settings)
        case "npiseg3d":
            from iseg3d_ros.models.npiseg3d import NPISeg3D

            return NPISeg3D(settings)
        case "fewclick":
            from iseg3d_ros.models.fewclick import FewClick

            return FewClick(settings)
        case _:
            raise ValueError(f"there is no network {settings.network!r}")


def parameters(network: nn.Module) -> int:
    """How many numbers the network learned."""
    return sum(parameter.numel() for parameter in network.parameters())
