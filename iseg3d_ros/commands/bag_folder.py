"""`iseg3d bag FOLDER OUT --clicks FOLDER`: many recordings, here or on a cluster; those that are done are kept."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from iseg3d_ros.commands.progress import Progress


def holds_bags(path: Path) -> bool:
    """Whether it is a folder of recordings, not a recording itself."""
    return path.is_dir() and not (path / "metadata.yaml").is_file() and bool(_bags(path))


def run(arguments: argparse.Namespace) -> int:
    """Every bag that has no output yet."""
    if not arguments.clicks.is_dir() or arguments.export_folder is not None:
        raise ValueError("For a folder of bags, --clicks is a folder with a file NAME.json for each, and "
                         "--export-folder is not taken (each export lies beside its bag).")  # fmt: skip
    bags = _bags(arguments.input)
    if missing := [bag for bag in bags if not _clicks_of(bag, arguments).is_file()]:
        raise FileNotFoundError(f"{arguments.clicks} has no {missing[0].stem}.json, the clicks of {missing[0].name}.")
    arguments.output.mkdir(parents=True, exist_ok=True)
    todo = [bag for bag in bags if not _output_of(bag, arguments).exists()]
    progress = Progress(quiet=arguments.json)
    for number, (bag, clouds) in enumerate(_done(todo, arguments), len(bags) - len(todo) + 1):
        progress.clear()
        output = _output_of(bag, arguments)
        words = {"bag": str(bag), "output": str(output), "clouds": clouds}
        print(json.dumps(words) if arguments.json else f"{output}: {clouds} clouds", flush=True)
        progress.show(f"{number}/{len(bags)}")
    progress.clear()
    print(f"{arguments.output}: {len(bags)} bags, {len(todo)} of them new", file=sys.stderr)
    return 0


def _done(bags: list[Path], arguments: argparse.Namespace) -> Iterator[tuple[Path, int]]:
    from functools import partial

    from iseg3d_ros.ray_items import over_ray

    work = partial(_work, arguments)
    yield from over_ray(work, bags, arguments.ray) if arguments.ray else ((bag, work(bag)) for bag in bags)


def _work(arguments: argparse.Namespace, bag: Path) -> int:
    """One bag; its output appears under its name when it is whole, so that it can be done again at any time."""
    from iseg3d_ros.commands.bag import segment_bag

    changes = {"input": bag, "output": _output_of(bag, arguments), "clicks": _clicks_of(bag, arguments)}
    try:
        return segment_bag(argparse.Namespace(**{**vars(arguments), **changes}), Progress(quiet=True))
    except ValueError as error:
        raise ValueError(f"{bag.name}: {error} Mend it and run again: the run goes on here.") from error


def _bags(folder: Path) -> list[Path]:
    files = [*folder.glob("*.mcap"), *folder.glob("*.db3")]
    return sorted(files + [each.parent for each in folder.glob("*/metadata.yaml")])


def _output_of(bag: Path, arguments: argparse.Namespace) -> Path:
    output: Path = arguments.output / f"{bag.stem}.mcap"
    return output


def _clicks_of(bag: Path, arguments: argparse.Namespace) -> Path:
    clicks: Path = arguments.clicks / f"{bag.stem}.json"
    return clicks
