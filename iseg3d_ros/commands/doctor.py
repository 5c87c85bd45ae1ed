"""`iseg3d doctor`: what is installed, what is missing, and what to do about it, one line each."""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

OK, NOTE, BAD = "ok", "note", "bad"  # bad: something that the product cannot do without
NEEDED = ("torch", "numpy", "scipy", "safetensors", "yaml", "PIL")
OPTIONAL = {
    "spconv": ("faster sparse convolutions on NVIDIA GPUs", "pip install spconv-cu126 (cu120 for Python < 3.12)"),
    "triton": ("the Triton kernel on NVIDIA GPUs", "pip install triton"),
    "websockets": ("iseg3d console and demo", "pip install websockets"),
    "rosbags": ("iseg3d bag, and bags in the player", "pip install rosbags"),
    "laspy": ("exports as LAS", "pip install laspy"),
    "lazrs": ("exports as LAZ", "pip install lazrs"),
    "pye57": ("exports as E57", "pip install pye57"),
    "matplotlib": ("iseg3d evaluate --plot", "pip install matplotlib"),
}  # fmt: skip
DISTRIBUTIONS = {"yaml": "pyyaml", "PIL": "pillow"}
PORT = 8080  # of the console
LEAST_FREE_GB = 1.0


class Check(NamedTuple):
    """One line: what was looked at, how it stands, what was found, what to do."""

    name: str
    state: str
    found: str
    remedy: str = ""


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the arguments."""
    parser = subparsers.add_parser("doctor", help="say what is installed and what is missing", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print a list of objects")
    parser.set_defaults(run=run, light=True)


def run(arguments: argparse.Namespace) -> int:
    """Print all checks; exit code 1 where one is bad."""
    found = list(checks())
    if arguments.json:
        print(json.dumps([check._asdict() for check in found], indent=1))
    else:
        for check in found:
            remedy = f" -> {check.remedy}" if check.remedy else ""
            print(f"{check.state:5} {check.name:14} {check.found}{remedy}")
    return int(any(check.state == BAD for check in found))


def checks() -> Iterator[Check]:
    """All of them; none ends the others."""
    for examine in (_python, _packages, _weights, _device, _threads, _ros, _dds, _port, _places):
        try:
            yield from examine()
        except Exception as error:  # a broken installation fails in any way, and that is what is asked for
            text = " ".join(str(error).split()) or type(error).__name__
            yield Check(examine.__name__.strip("_"), BAD, f"could not be examined: {text}", "install the package anew")


def _python() -> Iterator[Check]:
    from iseg3d_ros import __version__

    old = sys.version_info < (3, 10)
    yield Check("python", BAD if old else OK, platform.python_version(), "use Python 3.10 or newer" if old else "")
    yield Check("iseg3d_ros", OK, f"{__version__} on {platform.system()} {platform.machine()}")


def _packages() -> Iterator[Check]:
    for name in NEEDED:
        there = importlib.util.find_spec(name) is not None
        remedy = "" if there else f"pip install {DISTRIBUTIONS.get(name, name)}"
        yield Check(name, OK if there else BAD, _version(name), remedy)
    for name, (purpose, remedy) in OPTIONAL.items():
        there = importlib.util.find_spec(name) is not None
        yield Check(name, OK if there else NOTE, f"{_version(name)} (for {purpose})", "" if there else remedy)


def _version(module: str) -> str:
    if importlib.util.find_spec(module) is None:
        return "not installed"
    names = importlib.metadata.packages_distributions() if hasattr(importlib.metadata, "packages_distributions") else {}
    return importlib.metadata.version(names[module][0]) if module in names else "installed"


def _weights() -> Iterator[Check]:
    from iseg3d_ros.io.package_files import weights_dir

    names = sorted(path.stem for path in weights_dir().glob("*.safetensors"))
    remedy = "" if names else "install the whole package; until then --model random_walker works"
    yield Check("weights", OK if names else NOTE, ", ".join(names) or "none", remedy)


def _device() -> Iterator[Check]:
    import torch

    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        name = torch.cuda.get_device_name()
        memory = f"{free / 2**30:.1f} of {total / 2**30:.1f} GiB free"
        yield Check("device", OK, f"{name}, {memory}, CUDA {torch.version.cuda}")
    elif shutil.which("nvidia-smi"):
        remedy = "install a torch built for your driver's CUDA version (nvidia-smi shows it)"
        yield Check("device", NOTE, f"cpu; there is a GPU driver, but torch {torch.__version__} finds no GPU", remedy)
    else:
        yield Check("device", OK, "cpu; no NVIDIA driver here")


def _threads() -> Iterator[Check]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    more = wanted.isdecimal() and int(wanted) > cores
    remedy = f"set OMP_NUM_THREADS to {cores} or less" if more else ""
    words = f"{cores} cores for this process, OMP_NUM_THREADS={wanted or 'unset'}"
    yield Check("threads", NOTE if more else OK, words, remedy)


def _ros() -> Iterator[Check]:
    setup = "source a ROS 2 installation, or run `make setup` in the repository"
    there = importlib.util.find_spec("rclpy") is not None
    distribution = os.environ.get("ROS_DISTRO", "no ROS_DISTRO set")
    words, remedy = (distribution, "") if there else ("not found (for the nodes)", setup)
    yield Check("rclpy", OK if there else NOTE, words, remedy)
    try:
        built = importlib.util.find_spec("iseg3d_ros.msg") is not None
    except ImportError:
        built = False
    remedy = "" if built else "`make setup` in the repository, or colcon build and source its workspace"
    yield Check("messages", OK if built else NOTE, "built" if built else "not built (for the nodes)", remedy)


def _dds() -> Iterator[Check]:
    setting = os.environ.get
    domain = setting("ROS_DOMAIN_ID", "0")
    valid = domain.isdecimal() and int(domain) <= 232
    words = f"domain {domain}, {setting('RMW_IMPLEMENTATION', 'default RMW')}, "
    words += f"discovery {setting('ROS_AUTOMATIC_DISCOVERY_RANGE', 'SUBNET')}"
    yield Check("dds", OK if valid else BAD, words, "" if valid else "set ROS_DOMAIN_ID to a number from 0 to 232")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as multicast:
        group = socket.inet_aton("239.255.0.1") + socket.inet_aton("0.0.0.0")  # the group that DDS discovers by
        try:
            multicast.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
            yield Check("multicast", OK, "239.255.0.1 can be joined")
        except OSError as error:
            remedy = "allow multicast, or set ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST or ROS_STATIC_PEERS"
            yield Check("multicast", NOTE, f"not possible ({error.strerror})", remedy)


def _port() -> Iterator[Check]:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", PORT))
            yield Check("port", OK, f"{PORT} is free")
        except OSError as error:
            yield Check("port", NOTE, f"{PORT}: {error.strerror}", "the console takes the next free one, or --port")


def _places() -> Iterator[Check]:
    temporary = Path(os.environ.get("TMPDIR", "/tmp"))
    places = (("folder", Path.cwd()), ("temporary", temporary), ("shared memory", Path("/dev/shm")))
    for name, place in places:
        if not place.is_dir():
            yield Check(name, NOTE, f"there is no {place}")
        elif not os.access(place, os.W_OK):
            remedy = "change to another folder, or ask for the permission"
            yield Check(name, NOTE, f"{place} cannot be written to", remedy)
        else:
            free = shutil.disk_usage(place).free / 1e9
            full = free < LEAST_FREE_GB and name != "shared memory"
            yield Check(name, NOTE if full else OK, f"{place}, {free:.1f} GB free", "make room" if full else "")
