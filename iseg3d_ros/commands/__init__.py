"""The `iseg3d` command: one module a sub-command (`-` is `_`), imported only when it is asked for.

Exit codes: 0 done, 1 failed (one sentence on standard error), 2 the command line cannot be understood, 130 interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Sequence

from iseg3d_ros import json_log
from iseg3d_ros.commands.words import check_options, joined, nearest

# Name of the sub-command, which is its module's name, and its line in `iseg3d --help`.
COMMANDS = (
    ("segment", "label a cloud file from clicks"),
    ("propose", "find what could be an object, or all objects of a class"),
    ("models", "list the networks: size, weights, source"),
    ("bench", "measure something and print figures"),
    ("run", "run a ROS node without the ros2 command"),
    ("scenes", "make labelled training scenes"),
    ("data", "convert public data sets to scenes"),
    ("train", "train a network"),
    ("prune", "prune a trained network"),
    ("evaluate", "measure a network with simulated clicks"),
    ("tables", "make the papers' tables and figures"),
    ("order", "test what the papers report of one another on given weights"),
    ("bag", "segment a whole rosbag offline"),
    ("console", "open the operator's console in a browser"),
    ("demo", "show the whole system on a made scene"),
    ("doctor", "say what is installed, what is missing, and what to do about it"),
    ("support-bundle", "pack what a helper needs to know into one file"),
    ("completion", "print the completion script of a shell"),
)
EXIT_CODES = "exit codes: 0 done, 1 failed, 2 wrong command line, 130 interrupted"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one sub-command; a sentence on standard error and exit code 1 where it fails."""
    words = list(sys.argv[1:] if argv is None else argv)
    if _wanted(words) != "run":  # whose words are a node's
        words = joined(words)
    debug = "--debug" in words
    try:
        arguments = parser(words).parse_args(words)
        json_log.begin("iseg3d")
        if not getattr(arguments, "light", False):
            _keep_freed()
        return int(arguments.run(arguments) or 0)
    except BrokenPipeError:  # the reader of our output went away, as `| head` does
        with contextlib.suppress(OSError):
            sys.stdout.close()
        return 0
    except KeyboardInterrupt:
        json_log.say("INFO", "iseg3d", "interrupted")
        return 130
    except (ValueError, RuntimeError, OSError, ImportError) as error:
        if debug:
            traceback.print_exc()
        json_log.say("ERROR", "iseg3d", sentence(error))
        return 1


def _keep_freed() -> None:
    """Not before the words are understood: it imports torch."""
    from iseg3d_ros.sparse.freed_memory import keep_freed

    keep_freed()


def sentence(error: BaseException) -> str:
    """What went wrong, in one line."""
    if isinstance(error, ModuleNotFoundError):
        return f"This command needs the Python package {error.name!r}, which is not installed."
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}."
    return " ".join(str(error).split()) or type(error).__name__


def parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """The argument parser; only the sub-command named in `words` is imported and declares its arguments."""
    root = _root()
    subparsers = root.add_subparsers(title="commands", metavar="COMMAND", required=True)
    wanted, known = _wanted(words), [name for name, _ in installed()]
    if wanted is not None and wanted not in known:
        root.error(f"there is no command {wanted!r}{nearest(wanted, known)} (iseg3d --help lists them)")
    for name, summary in installed():
        if name == wanted:
            _declare(name, subparsers)
            if name != "run":
                check_options(subparsers.choices[name], words)
        else:
            subparsers.add_parser(name, help=summary)
    return root


def whole_parser() -> dict[str, argparse.ArgumentParser]:
    """The parsers of all sub-commands by name, for completion scripts."""
    subparsers = _root().add_subparsers()
    for name, _ in installed():
        _declare(name, subparsers)
    return dict(subparsers.choices)


def installed() -> list[tuple[str, str]]:
    """Name and summary of the sub-commands that this installation has."""
    return [row for row in COMMANDS if importlib.util.find_spec(_module(row[0])) is not None]


def _module(command: str) -> str:
    return f"{__name__}.{command.replace('-', '_')}"


def _root() -> argparse.ArgumentParser:
    root = argparse.ArgumentParser(
        prog="iseg3d", description="Interactive 3D segmentation from clicks.", epilog=EXIT_CODES
    )
    root.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return root


def _wanted(words: Sequence[str]) -> str | None:
    return next((word for word in words if not word.startswith("-")), None)


def _declare(name: str, subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    importlib.import_module(_module(name)).add(subparsers)
    # `iseg3d segment --debug` works as `iseg3d --debug segment` does.
    subparsers.choices[name].add_argument(
        "--debug", action="store_true", default=argparse.SUPPRESS, help="show the traceback of an error"
    )
