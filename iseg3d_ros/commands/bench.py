"""`iseg3d bench WHAT [--json] [--device NAME] [--quick]`: measure something, in one run, and print its figures."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import pkgutil
import sys
from pathlib import Path


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the arguments."""
    parser = subparsers.add_parser("bench", help="measure something and print figures", description=__doc__)
    parser.add_argument("what", choices=benchmarks(), help="what to measure")
    parser.add_argument("--json", action="store_true", help="print one flat JSON object")
    parser.add_argument(
        "--option", action="append", default=[], type=option, metavar="NAME=VALUE", help="an option of the benchmark"
    )
    parser.add_argument("--device", help="where to measure: cpu, cuda; the same as --option device=NAME")
    parser.add_argument("--quick", action="store_true", help="a rehearsal at small sizes, where a benchmark has one")
    parser.set_defaults(run=run)


def benchmarks() -> list[str]:
    """The modules in iseg3d_ros/benchmarks."""
    folder = Path(__file__).parents[1] / "benchmarks"
    return sorted(module.name for module in pkgutil.iter_modules([str(folder)]) if not module.name.startswith("_"))


def option(text: str) -> tuple[str, object]:
    """name=value; the value is read as JSON where it is JSON."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


def run(arguments: argparse.Namespace) -> int:
    """Run the benchmark; whatever it prints goes to standard error, the figures to standard output."""
    options = dict(arguments.option)
    if arguments.device:
        options["device"] = arguments.device
    if arguments.quick:
        options["quick"] = True
    module = importlib.import_module(f"iseg3d_ros.benchmarks.{arguments.what}")
    with contextlib.redirect_stdout(sys.stderr):
        try:
            figures = module.run(**options)
        except TypeError as error:
            if options and "argument" in str(error):
                raise ValueError(f"The benchmark {arguments.what!r} does not take these options: {error}.") from error
            raise
    if arguments.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:32} {value:.6g}")
    return 0
