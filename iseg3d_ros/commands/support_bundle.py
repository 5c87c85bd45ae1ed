"""`iseg3d support-bundle`: one zip of what a helper needs to know. Clouds are left out unless asked for.

In it: what `iseg3d doctor` finds, the versions of all packages, the environment variables of ROS and of the package,
and of the sessions their journals, which hold clicks and names. Look through it before you send it.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

WORDS = (".log", ".json")  # journals and states: clicks, names, no points
PREFIXES = ("ROS", "RMW", "FASTRTPS", "FASTDDS", "CYCLONEDDS", "OMP_", "MALLOC", "CUDA_", "ISEG3D")
SECRET = ("TOKEN", "PASSWORD", "SECRET", "KEY")
LARGEST = 64_000_000  # bytes of one file


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the arguments."""
    parser = subparsers.add_parser(
        "support-bundle", help="pack what a helper needs to know into one file", description=__doc__
    )
    parser.add_argument("-o", "--output", type=Path, default=Path(f"iseg3d_{time.strftime('%Y%m%d_%H%M%S')}.zip"))
    parser.add_argument("--sessions", type=Path, default=Path("~/.ros/iseg3d"), help="the node's session_directory")
    parser.add_argument("--parameters", type=Path, nargs="*", default=[], metavar="FILE", help="YAML files to pack too")
    parser.add_argument("--clouds", action="store_true", help="the clouds that the journals refer to as well")
    parser.set_defaults(run=run, light=True)


def run(arguments: argparse.Namespace) -> int:
    """Pack, and say what is in it."""
    if arguments.output.exists():
        raise ValueError(f"{arguments.output} is there already: name another file.")
    for path in arguments.parameters:
        if not path.is_file():
            raise FileNotFoundError(f"there is no file {path}")
    arguments.output.absolute().parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(arguments.output, "x", zipfile.ZIP_DEFLATED) as bundle:
        for name, text in _facts():
            bundle.writestr(name, text)
        for path in arguments.parameters:
            bundle.write(path, f"parameters/{path.name}")
        left_out = _pack(bundle, arguments.sessions.expanduser(), arguments.clouds)
        bundle.writestr("left_out.txt", "\n".join([*left_out, ""]))
        names = bundle.namelist()
    print(f"{arguments.output}: {len(names)} files ({', '.join(names[:3])} …), {len(left_out)} left out")
    return 0


def _facts() -> Iterator[tuple[str, str]]:
    from iseg3d_ros.commands.doctor import checks

    yield "doctor.json", json.dumps([check._asdict() for check in checks()], indent=1)
    found = {each.metadata["Name"] or "?": each.version for each in importlib.metadata.distributions()}
    yield "packages.txt", "".join(f"{name}=={version}\n" for name, version in sorted(found.items()))
    kept = {name: value for name, value in os.environ.items() if name.startswith(PREFIXES)}
    hidden = {name: "…" if any(word in name for word in SECRET) else value for name, value in sorted(kept.items())}
    yield "environment.json", json.dumps(hidden, indent=1)


def _pack(bundle: zipfile.ZipFile, sessions: Path, clouds: bool) -> list[str]:
    """Journals, with all beside them if `clouds`; what was left out, and why."""
    left_out = []
    for path in sorted(sessions.rglob("*")) if sessions.is_dir() else ():
        name = path.relative_to(sessions)
        if path.is_symlink() or not path.is_file():
            continue
        if not clouds and path.suffix not in WORDS:
            left_out.append(f"{name}: may hold a cloud")
        elif path.stat().st_size > LARGEST:
            left_out.append(f"{name}: larger than {LARGEST // 1_000_000} MB")
        else:
            bundle.write(path, f"sessions/{name}")
    return left_out
