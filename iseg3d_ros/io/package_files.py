"""Where the files that are not code lie: weights, configuration and launch files.

There are three ways in, and each puts them elsewhere: beside the package in the source tree (also `pip install -e`),
inside the package after `pip install`, in the package's share folder after `colcon build`.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

# Not resolved: under a symlink install the links are where the files are.
_PACKAGE = Path(__file__).absolute().parents[1]


def weights_dir() -> Path:
    """The shipped weights, `<name>.safetensors` each."""
    return share_dir() / "weights"


def config_dir() -> Path:
    """The nodes' parameter files and the RViz configuration."""
    return share_dir() / "config"


@cache
def share_dir() -> Path:
    """The folder that holds `weights`, `config` and `launch`."""
    inside, beside = _PACKAGE / "share", _PACKAGE.parent
    if inside.is_dir():
        return inside
    if (beside / "package.xml").is_file():
        return beside
    for prefix in _PACKAGE.parents:  # <prefix>/lib/python3.12/site-packages/iseg3d_ros, or local/lib and dist-packages
        if (prefix / "share" / "iseg3d_ros" / "package.xml").is_file():
            return prefix / "share" / "iseg3d_ros"
    raise RuntimeError(
        f"no weights and configuration belong to the package at {_PACKAGE}: "
        "install it with pip or colcon, or run it from its repository"
    )
