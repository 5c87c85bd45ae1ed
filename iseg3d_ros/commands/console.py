"""`iseg3d console scan.ply`: the page for a cloud file, several, a folder or a bag; without one, of a segmenter."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from iseg3d_ros.commands.model_arguments import add_model_options, model_options


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the arguments."""
    parser = subparsers.add_parser("console", help="open the operator's console in a browser", description=__doc__)
    parser.add_argument("clouds", type=Path, nargs="*", help="PLY, PCD, npz, npy, KITTI .bin files, folders, bags")
    parser.add_argument("--classes", type=Path, metavar="FILE", help="YAML list of the classes that objects may have")
    parser.add_argument("--labels", type=Path, metavar="PLACE", help="labels to correct: a file, or a folder of them")
    parser.add_argument("--topic", default="", help="of a bag: the topic with the clouds (default: the first)")
    parser.add_argument("--carry", action="store_true", help="find a scan's objects again in the next one")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 for all of the machine's")
    parser.add_argument("--port", type=int, default=8080, help="default: %(default)s, or the next free one")
    parser.add_argument("--export", type=Path, default=Path("out"), help="folder for saved files (default: out)")
    parser.add_argument("--model", default="", help="shipped weights by name, a weights file, or random_walker")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (default: %(default)s)")
    parser.add_argument("--voxel-size", type=float, default=0.0, metavar="METRES", help="0: it follows from the cloud")
    add_model_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl-C."""
    if not arguments.clouds:
        return _with_ros(arguments)
    import threading

    from iseg3d_ros.console.bench import Bench
    from iseg3d_ros.console.categories import read_category_file
    from iseg3d_ros.console.local_backend import LocalWork
    from iseg3d_ros.console.page import Console
    from iseg3d_ros.console.people import People
    from iseg3d_ros.console.scans import is_bag, scans_of
    from iseg3d_ros.console.server import serve

    categories = read_category_file(arguments.classes) if arguments.classes else ()
    given = (loader(arguments), arguments.model, arguments.export, categories)
    if arguments.labels and not arguments.labels.exists():
        raise FileNotFoundError(f"There are no labels at {arguments.labels}.")
    scans = scans_of(arguments.clouds, arguments.labels, arguments.topic)
    place = arguments.clouds[0]
    cloud = scans[0].read() if len(arguments.clouds) == 1 and not place.is_dir() and not is_bag(place) else None
    labels = scans[0].labels(cloud) if cloud is not None else None
    images = scans[0].images() if cloud is not None else ()
    server = serve(arguments.host, arguments.port)
    work = LocalWork(cloud, *given, labels, images) if cloud is not None else None
    console = Console(work, server) if work else People(Bench(scans, *given, carries=arguments.carry), server)
    print(f"The console is at {server.address} (Ctrl-C ends it)", flush=True)
    print(f"For looking only: {server.view_address}", flush=True)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        return 0
    finally:
        console.close()
        if work is not None:
            work.close()
    return 0


def loader(arguments: argparse.Namespace) -> Any:
    """How the work loads a model by its name."""

    def load(model: str, voxel_size: float) -> Any:
        from iseg3d_ros.predictor import Predictor
        from iseg3d_ros.sparse.threads import settle

        size = (voxel_size or arguments.voxel_size) or None
        settle()
        return Predictor.load(model or None, arguments.device, size, **model_options(arguments))

    return load


def _with_ros(arguments: argparse.Namespace) -> int:
    """The node, with the same address."""
    from iseg3d_ros.commands.run import main_of

    given = {"host": arguments.host, "port": arguments.port}
    words = [word for name, value in given.items() if value for word in ("-p", f"{name}:={value}")]
    return main_of("console")(["console", "--ros-args", *words]) or 0
