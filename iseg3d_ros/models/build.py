"""A network from its settings: the one place that knows which class carries which published name."""

from __future__ import annotations

from typing import Any

from torch import nn

from iseg3d_ros.models.agile3d import Agile3D
from iseg3d_ros.models.base import Network
from iseg3d_ros.models.clickenhance import ClickEnhance
from iseg3d_ros.models.e2i3d import E2I3D
from iseg3d_ros.models.fewclick import FewClick
from iseg3d_ros.models.interobject3d import InterObject3D
from iseg3d_ros.models.npiseg3d import NPISeg3D
from iseg3d_ros.models.settings import ModelSettings
from iseg3d_ros.models.two_way_e2i3d import TwoWayE2I3D

CLASSES: tuple[type[Network], ...] = (InterObject3D, Agile3D, E2I3D, TwoWayE2I3D, ClickEnhance, NPISeg3D, FewClick)
NETWORKS = tuple(dict.fromkeys(each.settings_class.network for each in CLASSES))


def build(settings: ModelSettings) -> Network:
    """A freshly initialised network."""
    return next(each for each in CLASSES if each.settings_class is type(settings))(settings)


def settings_class(network: Any, decoder: Any = None) -> type[ModelSettings]:
    """The settings of the network of this name; of two, those with this decoder."""
    named = [each.settings_class for each in CLASSES if each.settings_class.network == network]
    if not named:
        raise ValueError(f"there is no network {network!r}; choose one of {', '.join(NETWORKS)}")
    return next((each for each in named if getattr(each, "decoder", None) == decoder), named[0])


def settings_of(network: str, preset: str = "small", **changes: Any) -> ModelSettings:
    """The settings of a network at a preset's size, with single values changed."""
    kind = settings_class(network, changes.get("decoder"))
    return kind.of({"preset": preset} | kind.presets.get(preset, {}) | changes)


def settings_from_json(values: dict[str, Any]) -> ModelSettings:
    """Settings out of a JSON object; unknown names and values out of range are refused."""
    if "network" not in values:
        raise ValueError("the model settings name no network")
    own = {name: value for name, value in values.items() if name != "network"}
    return settings_class(values["network"], values.get("decoder")).of(own)


def parameters(network: nn.Module) -> int:
    """How many numbers the network learned."""
    return sum(parameter.numel() for parameter in network.parameters())
