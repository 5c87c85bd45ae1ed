"""Interactive 3D segmentation of point clouds for robots: click, and get the object."""

from __future__ import annotations

from importlib import import_module
from pkgutil import extend_path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from iseg3d_ros.clicks import Click
    from iseg3d_ros.cloud import Cloud, read_cloud, write_cloud
    from iseg3d_ros.interaction.session import Session
    from iseg3d_ros.predictor import Predictor, Scene, Segmentation

__all__ = ["Click", "Cloud", "Predictor", "Scene", "Segmentation", "Session", "read_cloud", "write_cloud"]

# The generated message modules (iseg3d_ros.msg, .srv, .action) may live in another folder of the same name.
__path__ = extend_path(__path__, __name__)
__version__ = "0.2.0"

_HOMES = {
    "Click": "clicks", "Cloud": "cloud", "read_cloud": "cloud", "write_cloud": "cloud",
    "Predictor": "predictor", "Scene": "predictor", "Segmentation": "predictor", "Session": "interaction.session",
}  # fmt: skip


def __getattr__(name: str) -> object:
    """Import on first use: `import iseg3d_ros` alone costs nothing, and the command starts at once."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
