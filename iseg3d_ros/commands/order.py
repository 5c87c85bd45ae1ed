"""`iseg3d order out/val`: whether what the papers report of one another holds for given weights, on given scenes.

E²I3D against AGILE3D and against its dense network, NPISeg3D against AGILE3D at few clicks, ClickEnhance against
InterObject3D; what the networks' doubt is worth (AUROC, ECE, sparsification curves); ClickEnhance under displaced and
wrong clicks, as IoU and as harm. Interrupted, the same command goes on.
"""

from __future__ import annotations

import argparse
from pathlib import Path

NAMES = ("agile3d", "e2i3d", "e2i3d_dense", "npiseg3d", "fewclick", "interobject3d", "clickenhance")


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the arguments."""
    parser = subparsers.add_parser("order", help="test what the papers report of one another", description=__doc__)
    parser.add_argument("data", nargs="+", help="folders of labelled scenes, as `iseg3d evaluate` takes them")
    parser.add_argument("--weights", nargs="+", default=[], metavar="NAME=FILE",
                        help=f"of {', '.join(NAMES)}; shipped ones where none are named")  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("out/order"), help="order.md, sparsification.png, rows.jsonl")
    parser.add_argument("--budget", type=int, default=5, help="clicks an object (default: %(default)s)")
    parser.add_argument("--limit", type=int, help="the first N scenes of each data set")
    parser.add_argument("--most-objects", type=int, default=5, help="a scene's targets (default: %(default)s)")
    parser.add_argument("--voxel-size", type=float, metavar="METRES", help="instead of the models' own choice")
    parser.add_argument("--workers", type=int, default=0, help="processes; 0: this one alone")
    parser.add_argument("--device", default="auto")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Evaluate what is missing and write the report."""
    from iseg3d_ros.evaluation.config import EvaluationConfig
    from iseg3d_ros.evaluation.order import Trial, lines
    from iseg3d_ros.evaluation.plots import draw_sparsification
    from iseg3d_ros.io.atomic_write import replacing

    config = EvaluationConfig(
        budget=arguments.budget, limit=arguments.limit, most_objects=arguments.most_objects,
        voxel_size=arguments.voxel_size, device=arguments.device, objects="random",
    )  # fmt: skip
    arguments.out.mkdir(parents=True, exist_ok=True)
    trial = Trial(_models(arguments.weights), arguments.data, arguments.out, config, arguments.workers)
    written = []
    for line in lines(trial):
        print(line, flush=True)
        written.append(line)
    with replacing(arguments.out / "order.md") as stream:
        stream.write(("\n".join(written) + "\n").encode())
    found = {name: trial.of(name, config) for name in trial.models}
    print(draw_sparsification(found, arguments.out / "sparsification.png"))
    return 0


def _models(words: list[str]) -> dict[str, str]:
    """Files by the papers' names: those given, else the shipped ones."""
    from iseg3d_ros.io.package_files import weights_dir
    from iseg3d_ros.predictor import weights_file

    given: dict[str, str] = {}
    for word in words:
        name, equals, file = word.partition("=")
        if not equals or name not in NAMES:
            raise ValueError(f"--weights takes NAME=FILE with one of {', '.join(NAMES)}, but got {word!r}.")
        given[name] = str(weights_file(file))
    shipped = {name: name for name in NAMES if (weights_dir() / f"{name}.safetensors").is_file()}
    return {name: (shipped | given)[name] for name in NAMES if name in shipped | given}
