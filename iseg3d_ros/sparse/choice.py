"""Which implementation computes a convolution: plain torch, our Triton kernel, or spconv.

"auto" is plain torch on a CPU. On a GPU it is the one that a short measurement at first use found fastest on this
device (`measured`); the result is kept in the user's cache, with the versions it holds for.
"""

from __future__ import annotations

import importlib.metadata
import json
import logging
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from iseg3d_ros.io.atomic_write import replacing
from iseg3d_ros.sparse import implicit_gemm, spconv_convolution

BACKENDS = ("auto", "torch", "triton", "spconv")
WIDTHS = (32, 64)  # channels of the convolutions that are measured
TURNS = 5
_chosen: ContextVar[str | None] = ContextVar("sparse_backend", default=None)
_log = logging.getLogger(__name__)


def chosen() -> str:
    """The back end asked for: by `backend(...)`, else by the environment's ISEG3D_SPARSE, else "auto"."""
    return _chosen.get() or _checked(os.environ.get("ISEG3D_SPARSE", "auto"))


def resolved(device: torch.device) -> str:
    """The back end on a device: "auto" becomes the one that was measured to be fastest there."""
    name = chosen()
    if name != "auto":
        return name
    return "torch" if device.type == "cpu" else measured(device.type, device.index)


def use_triton(features: Tensor) -> bool:
    """Whether our kernel computes convolutions of these features."""
    if resolved(features.device) != "triton" or features.dtype == torch.float64:
        return False
    if not implicit_gemm.available(features.device.type):
        raise RuntimeError(
            "The Triton back end was asked for, but Triton is not installed or does not compile for "
            f"{features.device.type}: leave ISEG3D_SPARSE at auto."
        )
    return True


def use_spconv(features: Tensor, kernel_size: int) -> bool:
    """Whether spconv computes this submanifold convolution."""
    device = features.device
    if resolved(device) != "spconv":
        return False
    if not spconv_convolution.available(device.type):
        build = "spconv-cu126" if device.type == "cuda" else "spconv"
        raise RuntimeError(
            f"The spconv back end was asked for, but the package {build!r} is missing: install it with pip."
        )
    half = torch.is_autocast_enabled(device.type) and torch.get_autocast_dtype(device.type) == torch.bfloat16
    return not half and spconv_convolution.runs(features, kernel_size, device)


@contextmanager
def backend(name: str) -> Iterator[None]:
    """Within the block convolutions run on "torch", "triton", "spconv" or "auto" (the fastest one on that device)."""
    token = _chosen.set(_checked(name))
    try:
        yield
    finally:
        _chosen.reset(token)


@lru_cache(maxsize=8)
def measured(kind: str, index: int | None) -> str:
    """The fastest back end on a device: from the file of an earlier measurement, or measured now; it is logged."""
    device = torch.device(kind, index or 0)
    candidates = ["torch", *(name for name, module in _OTHERS.items() if module.available(kind))]
    if len(candidates) == 1:
        return "torch"
    key, known = _key(device, candidates), _read()
    if known.get(key) not in candidates:
        seconds = {name: value for name in candidates if (value := _seconds(name, device)) is not None}
        known[key] = min(seconds, key=lambda name: seconds[name], default="torch")
        times = ", ".join(f"{name} {1e3 * value:.2f} ms" for name, value in seconds.items())
        _log.info("sparse convolutions on %s run on %s (%s)", device, known[key], times)
        _write(known)
    return known[key]


_OTHERS = {"triton": implicit_gemm, "spconv": spconv_convolution}


def measurements() -> Path:
    """The file that keeps what was found fastest on which device."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "iseg3d_ros" / "sparse_backends.json"


def _seconds(name: str, device: torch.device) -> float | None:
    """Of a convolution of each width under a back end, the median of some turns; None where it fails."""
    try:
        with torch.inference_mode(), backend(name):
            return sum(statistics.median(_timed(work, device) for _ in range(TURNS)) for work in _work(device))
    except Exception as error:  # a back end that does not work here is not taken, whatever the reason
        _log.warning("sparse convolutions on %s do not run on %s: %s", device, name, error)
        return None


def _work(device: torch.device) -> Iterator[Callable[[], object]]:
    """Convolutions on a made surface of 20,000 voxels, each done once before it is handed out."""
    from iseg3d_ros.sparse import Maps, SparseTensor, SubMConv3d

    side = torch.arange(100)
    floor = torch.cartesian_prod(torch.arange(1), side, side, torch.arange(2))
    floor[:, 3] += (floor[:, 1] * floor[:, 2]) % 3
    maps = Maps(torch.unique(floor, dim=0).to(torch.int32).to(device))
    for width in WIDTHS:
        with torch.random.fork_rng(devices=[]):
            layer = SubMConv3d(width, width).to(device)
        x = SparseTensor(torch.zeros(len(maps), width, device=device), maps)
        layer(x)
        yield lambda layer=layer, x=x: layer(x)  # type: ignore[misc]


def _timed(work: Callable[[], object], device: torch.device) -> float:
    _wait(device)
    start = time.perf_counter()
    for _ in range(4):
        work()
    _wait(device)
    return time.perf_counter() - start


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _key(device: torch.device, candidates: list[str]) -> str:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return ", ".join([name, f"torch {torch.__version__}", *(f"{each} {_version(each)}" for each in candidates[1:])])


def _version(name: str) -> str:
    """Of the installed distribution that brings a module of this name."""
    for distribution in importlib.metadata.packages_distributions().get(name, ()):
        return importlib.metadata.version(distribution)
    return "?"


def _read() -> dict[str, str]:
    try:
        known = json.loads(measurements().read_text())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _write(known: dict[str, str]) -> None:
    try:
        measurements().parent.mkdir(parents=True, exist_ok=True)
        with replacing(measurements()) as file:
            file.write(json.dumps(known, indent=1).encode())
    except OSError as error:  # measured again next time
        _log.warning("%s cannot be written: %s", measurements(), error)


def _checked(name: str) -> str:
    if name not in BACKENDS:
        raise ValueError(f"The sparse back end must be one of {', '.join(BACKENDS)}, not {name!r}.")
    return name
