"""`iseg3d prune runs/base/e2i3d.safetensors --parameters 5.7M --scenes out/scenes -o small.safetensors`."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the sub-command."""
    parser = subparsers.add_parser("prune", help="prune a trained network", description=__doc__)
    parser.add_argument("weights", help="a checkpoint of any network")
    size = parser.add_mutually_exclusive_group(required=True)
    size.add_argument("--parameters", help="what is to remain: 5.7M, 800k, or a plain number")
    size.add_argument("--share", type=float, help="what is to remain as a share of the network's parameters: 0.5")
    parser.add_argument("--scenes", nargs="+", required=True, help="folders of made scenes to calibrate on")
    parser.add_argument("--kinds", nargs="+", default=[], help="of scenes: room, tabletop, street; all where not given")
    parser.add_argument("--count", type=int, default=32, help="calibration scenes")
    parser.add_argument("--voxels", type=int, default=20000, help="voxels of a calibration crop at most")
    parser.add_argument("--criterion", choices=("taylor", "l1", "random"), default="taylor")
    parser.add_argument("--ranking", choices=("heterogeneous", "uniform"), default="heterogeneous")
    parser.add_argument(
        "--economy", type=float, default=0.0,
        help="0: rank by importance, as the paper does; 1: by importance a multiplication, for a faster network",
    )  # fmt: skip
    parser.add_argument("--no-compensation", action="store_true", help="leave out the point weights of Eq. 3")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("-o", "--out", required=True, help="where to write the pruned checkpoint")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Prune, save, and say what remains."""
    import torch

    from iseg3d_ros.models import checkpoint
    from iseg3d_ros.models.build import parameters
    from iseg3d_ros.pruning.calibrate import calibration
    from iseg3d_ros.pruning.prune import PruneConfig, prune

    _writable(Path(arguments.out))  # before minutes are spent
    if arguments.device != "cpu" and not torch.cuda.is_available():
        raise ValueError(f"torch sees no GPU here, so --device {arguments.device} cannot be used; leave it out.")
    network: Any = checkpoint.load(arguments.weights, device=arguments.device)
    config = PruneConfig(
        parameters=_target(arguments, parameters(network)),
        criterion=arguments.criterion,
        compensate=not arguments.no_compensation,
        ranking=arguments.ranking,
        economy=_economy(arguments.economy),
        seed=arguments.seed,
    )
    scenes = calibration(
        network, arguments.scenes, arguments.count, arguments.voxels, arguments.seed, arguments.device, arguments.kinds
    )
    small = prune(network, scenes, config)
    recipe = {**network.card.get("recipe", {}), "pruned": f"from {parameters(network):,} parameters by {config}"}
    checkpoint.save(arguments.out, small, voxel=network.card.get("voxel"), recipe=recipe)
    print(f"{arguments.out}: {parameters(small):,} parameters of {parameters(network):,} remain.")
    return 0


def _target(arguments: argparse.Namespace, whole: int) -> int:
    """Parameters that are to remain."""
    from iseg3d_ros.pruning.prune import count_of

    if arguments.share is None:
        return count_of(arguments.parameters)
    if not 0 < arguments.share < 1:
        raise ValueError(f"--share takes a number between 0 and 1, but got {arguments.share:g}.")
    return round(arguments.share * whole)


def _economy(value: float) -> float:
    if not 0 <= value <= 4:
        raise ValueError(f"--economy takes a number from 0 to 4, but got {value:g}.")
    return value


def _writable(path: Path) -> None:
    """Refuse a place that no file can be written to."""
    if path.is_dir():
        raise ValueError(f"{path} is a folder; name the file to write, for example {path / 'small.safetensors'}.")
    path.parent.mkdir(parents=True, exist_ok=True)
    if not os.access(path.parent, os.W_OK):
        raise ValueError(f"The folder {path.parent} cannot be written to; choose another place with --out.")
