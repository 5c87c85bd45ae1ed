"""`iseg3d models`: every network, its size, whether weights are shipped, and the paper it comes from."""

from __future__ import annotations

import argparse
import json
from typing import Any

PAPERS = {
    "interobject3d": "Kontogianni et al., Interactive Object Segmentation in 3D Point Clouds",
    "agile3d": "Yue et al., AGILE3D: Attention Guided Interactive Multi-object 3D Segmentation",
    "e2i3d": "Cong et al., Towards Efficient and Effective Interactive 3D Segmentation",
    "clickenhance": "Wen et al., ClickEnhance: Efficient 3D Interactive Segmentation with Click-Specific Encoder and "
    "Contrastive Learning",
    "npiseg3d": "Liu et al., Probabilistic Interactive 3D Segmentation with Hierarchical Neural Processes",
    "fewclick": "Kang et al., Few-Click-Driven Interactive 3D Segmentation with Semantic Embedding",
    "random_walker": "after Grady, Random Walks for Image Segmentation",
}


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the arguments."""
    parser = subparsers.add_parser("models", help="list the networks: size, weights, source", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print a list of objects")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the list."""
    rows = models()
    if arguments.json:
        print(json.dumps(rows))
        return 0
    for row in rows:
        count = f"{row['parameters'] / 1e6:6.2f} M" if row["parameters"] else "       –"
        print(f"{row['name']:14} {row['preset'] or '–':6} {count}  {row['weights'] or 'no weights':28} {row['paper']}")
    return 0


def models() -> list[dict[str, Any]]:
    """Shipped weights as they are, and every network at each preset that has none."""
    from iseg3d_ros.models.build import NETWORKS
    from iseg3d_ros.models.settings import PRESETS

    rows = [_shipped(path) for path in _files()]
    there = {(row["name"], row["preset"]) for row in rows}
    rows += [_built(name, preset) for name in NETWORKS for preset in PRESETS if (name, preset) not in there]
    walker = {"name": "random_walker", "preset": None, "parameters": 0, "weights": None}
    return [*rows, {**walker, "paper": PAPERS["random_walker"]}]


def _files() -> list[Any]:
    from iseg3d_ros.io.package_files import weights_dir

    return sorted(weights_dir().glob("*.safetensors"))


def _shipped(path: Any) -> dict[str, Any]:
    from iseg3d_ros.models.checkpoint import read_card

    card = read_card(path)
    return {
        "name": card["network"],
        "preset": card["preset"],
        "parameters": card["parameters"],
        "weights": path.name,
        "paper": PAPERS.get(card["network"]),
    }


def _built(name: str, preset: str) -> dict[str, Any]:
    """Counted on the meta device: nothing is allocated."""
    import torch

    from iseg3d_ros.models.build import build, parameters, settings_of

    with torch.device("meta"):
        count = parameters(build(settings_of(name, preset)))
    return {"name": name, "preset": preset, "parameters": count, "weights": None, "paper": PAPERS[name]}
