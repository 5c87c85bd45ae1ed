"""`iseg3d prune runs/base/e2i3d.safetensors --parameters 5.7M --scenes out/scenes -o small.safetensors`."""

from __future__ import annotations

import argparse


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the sub-command."""
    parser = subparsers.add_parser("prune", help="prune a trained network", description=__doc__)
    parser.add_argument("weights", help="a checkpoint of any network")
    parser.add_argument("--parameters", required=True, help="what is to remain: 5.7M, or a plain number")
    parser.add_argument("--scenes", nargs="+", required=True, help="folders of made scenes to calibrate on")
    parser.add_argument("--count", type=int, default=32, help="calibration scenes")
    parser.add_argument("--voxels", type=int, default=20000, help="voxels of a calibration crop at most")
    parser.add_argument("--criterion", choices=("taylor", "l1", "random"), default="taylor")
    parser.add_argument("--ranking", choices=("heterogeneous", "uniform"), default="heterogeneous")
    parser.add_argument("--no-compensation", action="store_true", help="leave out the point weights of Eq. 3")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("-o", "--out", required=True, help="where to write the pruned checkpoint")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Prune, save, and say what remains."""
    from pathlib import Path

    from iseg3d_ros.models import checkpoint
    from iseg3d_ros.models.build import parameters
    from iseg3d_ros.pruning.calibrate import calibration
    from iseg3d_ros.pruning.prune import PruneConfig, prune

    network = checkpoint.load(arguments.weights, device=arguments.device)
    scenes = calibration(network, arguments.scenes, arguments.count, arguments.voxels, arguments.seed, arguments.device)
    config = PruneConfig(
        parameters=_count(arguments.parameters),
        criterion=arguments.criterion,
        compensate=not arguments.no_compensation,
        ranking=arguments.ranking,
        seed=arguments.seed,
    )
    small = prune(network, scenes, config)
    Path(arguments.out).parent.mkdir(parents=True, exist_ok=True)
    card = dict(network.card)
    recipe = {**card.get("recipe", {}), "pruned": f"{parameters(network):,} to {parameters(small):,} by {config}"}
    checkpoint.save(arguments.out, small, voxel=card.get("voxel", {}), recipe=recipe, metrics={})
    print(f"{arguments.out}: {parameters(small):,} parameters of {parameters(network):,} remain.")
    return 0


def _count(text: str) -> int:
    """5.7M, 800k or a plain number."""
    scale = {"M": 1e6, "m": 1e6, "k": 1e3, "K": 1e3}.get(text[-1:], 1.0)
    try:
        return round(float(text if scale == 1.0 else text[:-1]) * scale)
    except ValueError:
        raise ValueError(f"--parameters takes a number such as 5.7M, but got {text!r}.") from None
