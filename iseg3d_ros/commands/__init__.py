"""The `iseg3d` command: one module a sub-command, imported only when it is asked for."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Sequence

from iseg3d_ros.sparse.freed_memory import keep_freed

# Name of the sub-command, which is its module's name, and its line in `iseg3d --help`.
COMMANDS = (
    ("segment", "label a cloud file from clicks"),
    ("models", "list the networks: size, weights, source"),
    ("bench", "measure something and print figures"),
    ("run", "run a ROS node without the ros2 command"),
    ("scenes", "make labelled training scenes"),
    ("data", "convert public data sets to scenes"),
    ("train", "train a network"),
    ("prune", "prune a trained network"),
    ("evaluate", "measure a network with simulated clicks"),
    ("bag", "segment a whole rosbag offline"),
    ("console", "open the operator's console in a browser"),
    ("demo", "show the whole system on a made scene"),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one sub-command; a sentence on standard error and exit code 1 where it fails."""
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words
    keep_freed()
    try:
        arguments = parser(words).parse_args(words)
        return int(arguments.run(arguments) or 0)
    except BrokenPipeError:  # the reader of our output went away, as `| head` does
        with contextlib.suppress(OSError):
            sys.stdout.close()
        return 0
    except KeyboardInterrupt:
        print("iseg3d: interrupted", file=sys.stderr)
        return 130
    except (ValueError, RuntimeError, OSError, ImportError) as error:
        if debug:
            traceback.print_exc()
        print(f"iseg3d: {sentence(error)}", file=sys.stderr)
        return 1


def sentence(error: BaseException) -> str:
    """What went wrong, in one line."""
    if isinstance(error, ModuleNotFoundError):
        return f"This command needs the Python package {error.name!r}, which is not installed."
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}."
    return " ".join(str(error).split()) or type(error).__name__


def parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """The argument parser; only the sub-command named in `words` is imported and declares its arguments."""
    root = argparse.ArgumentParser(prog="iseg3d", description="Interactive 3D segmentation from clicks.")
    root.add_argument("--debug", action="store_true", help="show the traceback of an error")
    subparsers = root.add_subparsers(title="commands", metavar="COMMAND", required=True)
    wanted = next((word for word in words if not word.startswith("-")), None)
    for name, summary in COMMANDS:
        if importlib.util.find_spec(f"{__name__}.{name}") is None:
            continue  # a part that this installation does not have
        if name == wanted:
            _declare(name, subparsers)
        else:
            subparsers.add_parser(name, help=summary)
    return root


def _declare(name: str, subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    importlib.import_module(f"{__name__}.{name}").add(subparsers)
    # `iseg3d segment --debug` works as `iseg3d --debug segment` does.
    subparsers.choices[name].add_argument(
        "--debug", action="store_true", default=argparse.SUPPRESS, help="show the traceback of an error"
    )
