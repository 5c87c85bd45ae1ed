"""`iseg3d models`: every network, its size, whether weights are shipped, and the paper it comes from.

`--ladder`: what every size of E²I3D's ladder costs on this machine, and how good it is where weights of it are there.
"""

from __future__ import annotations

import argparse
import importlib
import json
from pathlib import Path
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

# What tells weights of one network apart: click map and cubes, click loss, samples, prototypes, extensions
OPTIONS = ("click_map", "cubes", "fades", "click_encoder", "click_loss", "samples", "prototypes", "relation", "decoder")


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the arguments."""
    parser = subparsers.add_parser("models", help="list the networks: size, weights, source", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print a list of objects")
    parser.add_argument("--ladder", action="store_true", help="measure what each of E²I3D's sizes costs: minutes")
    parser.add_argument("--weights", type=Path, default=Path("runs/paper/e2i3d"), metavar="DIR",
                        help="of --ladder: where `iseg3d train` has left sizes (default: %(default)s)")  # fmt: skip
    parser.add_argument("--voxels", type=int, default=20_000, help="of --ladder's room (default: %(default)s)")
    parser.add_argument("--device", default="cpu", help="of --ladder: cpu or cuda (default: %(default)s)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the list."""
    rows = ladder(arguments) if arguments.ladder else models()
    if arguments.json:
        print(json.dumps(rows))
        return 0
    if arguments.ladder:
        print("  size parameters     file   work   encode    masks    click  weights")
        for row in rows:
            print(_rung(row))
        return 0
    for row in rows:
        count = f"{row['parameters'] / 1e6:6.2f} M" if row["parameters"] else "       –"
        print(f"{row['name']:14} {row['preset'] or '–':6} {count}  {row['weights'] or 'no weights':28} {row['paper']}")
        if row["weights"] and row["options"]:
            print(" " * 15 + ", ".join(f"{name} {_plain(value)}" for name, value in row["options"].items()))
    return 0


def _plain(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def ladder(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Every rung's cost, measured; and the figures on the card of its weights, where there are any."""
    from iseg3d_ros.models.checkpoint import read_card

    measured = importlib.import_module("iseg3d_ros.benchmarks.ladder")  # as `iseg3d bench` does
    rows = []
    for name, figures in measured.ladder(arguments.voxels, arguments.device).items():
        folder = arguments.weights / f"e2i3d_{'whole' if name == '40.5M' else name}"
        file = folder / "e2i3d.safetensors"
        metrics = read_card(file).get("metrics") if file.is_file() else None
        rows.append({"size": name, **figures, "weights": str(file) if file.is_file() else None, "metrics": metrics})
    return rows


def _rung(row: dict[str, Any]) -> str:
    known = "none: `iseg3d train config/train/paper/e2i3d.yaml --parameters " + row["size"] + "`"
    if row["weights"]:
        known = " ".join([row["weights"], *(f"{name} {value:.3f}" for name, value in (row["metrics"] or {}).items())])
    return (
        f"{row['size']:>6} {row['parameters'] / 1e6:8.2f} M {row['megabytes']:5.1f} MB {row['work_share']:6.1%} "
        f"{1e3 * row['encode_seconds']:5.0f} ms {1e3 * row['first_mask_seconds']:5.0f} ms "
        f"{1e3 * row['click_seconds']:5.0f} ms  {known}"
    )


def models() -> list[dict[str, Any]]:
    """Shipped weights as they are, and every network at each preset that has none."""
    from iseg3d_ros.models.build import NETWORKS
    from iseg3d_ros.models.settings import PRESETS

    rows = [_shipped(path) for path in _files()]
    there = {(row["name"], row["preset"]) for row in rows}
    rows += [_built(name, preset) for name in NETWORKS for preset in PRESETS if (name, preset) not in there]
    walker: dict[str, Any] = {"name": "random_walker", "preset": None, "parameters": 0, "weights": None, "options": {}}
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
        "options": _options(card["settings"]),
    }


def _built(name: str, preset: str) -> dict[str, Any]:
    """Counted on the meta device: nothing is allocated."""
    import torch

    from iseg3d_ros.models.build import build, parameters, settings_of

    with torch.device("meta"):
        settings = settings_of(name, preset)
        count = parameters(build(settings))
    options = _options(settings.to_json())
    return {
        "name": name, "preset": preset, "parameters": count, "weights": None, "paper": PAPERS[name], "options": options
    }  # fmt: skip


def _options(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: settings[name] for name in OPTIONS if name in settings}
