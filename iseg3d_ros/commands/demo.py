"""`iseg3d demo`: player, segmenter and console on a made scene, a scripted operator, a table, a page to go on with."""

from __future__ import annotations

import argparse
from pathlib import Path


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the arguments."""
    parser = subparsers.add_parser("demo", help="show the whole system on a made scene", description=__doc__)
    parser.add_argument("scene", nargs="?", default="", help="room (default), tabletop, street, or a cloud file")
    parser.add_argument("--scene", dest="named", default="", help="the same")
    parser.add_argument("--model", default="", help="a shipped model by name, or random_walker; the best by default")
    parser.add_argument("--host", default="127.0.0.1", help="address of the page; others than this need a token")
    parser.add_argument("--port", type=int, default=8080, help="default: %(default)s, or the next free one")
    parser.add_argument("--picture", type=Path, default=Path("out/demo.png"), help="default: %(default)s")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run it to its end, or until Ctrl-C on a terminal."""
    from iseg3d_ros.demo.run import run as demo

    scene = arguments.named or arguments.scene or "room"
    return demo(scene, arguments.model, arguments.host, arguments.port, arguments.picture)
