"""Where a network works and in which precision, and how it gives way where memory ends.

A robot's GPU is shared: what fitted yesterday need not fit today. Where memory ends, `GivesWay` takes the next step and
says so in a sentence: fewer, larger voxels; then half precision; then the CPU.
"""

from __future__ import annotations

import contextlib
import copy
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch

from iseg3d_ros.models.base import VoxelCloud

PRECISIONS = ("auto", "full", "half")
HALF = {"cpu": torch.bfloat16}  # where float16 is emulated; elsewhere float16, whose labels differ less often
FEWEST_VOXELS = 2000  # that a cloud is brought down to


@dataclass(frozen=True)
class Placement:
    """A device, a precision, and at most so many voxels a cloud (None: as many as the network takes)."""

    device: torch.device
    half: bool = False
    most_voxels: int | None = None

    @classmethod
    def of(cls, device: torch.device, precision: str = "auto") -> Placement:
        """`auto` is half precision on a GPU: on a CPU it gains nothing with the networks that are shipped."""
        if precision not in PRECISIONS:
            raise ValueError(f"There is no precision {precision!r}; use {', '.join(PRECISIONS)}.")
        return cls(device, precision == "half" or (precision == "auto" and device.type == "cuda"))

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """Within the block networks compute in this precision, without gradients."""
        kind = self.device.type
        with torch.inference_mode(), contextlib.ExitStack() as stack:
            if self.half:
                stack.enter_context(torch.autocast(kind, HALF.get(kind, torch.float16)))
            yield

    def smaller(self, voxels: int) -> tuple[Placement, str] | None:
        """What takes less memory than this did with so many voxels, and a sentence on it; None on a CPU."""
        kind = self.device.type
        if kind == "cpu":
            return None
        if self.most_voxels is None and voxels > FEWEST_VOXELS:
            most = max(FEWEST_VOXELS, voxels // 2)
            return replace(self, most_voxels=most), (
                f"The memory of {self.device} ends: from now on clouds get at most {most} voxels, so voxels are larger."
            )
        if not self.half:
            return replace(self, half=True), f"The memory of {self.device} ends: from now on in half precision."
        return Placement(torch.device("cpu")), (
            f"The memory of {self.device} ends even in half precision: from now on on the CPU, which is slower. "
            "Free the GPU's memory and load the model again to use it."
        )


class Encoding:
    """What a network made of a cloud, and of the same cloud again where it has had to move to another device."""

    def __init__(self, cloud: VoxelCloud, network: Any, placement: Placement) -> None:
        self._cloud, self._lock = cloud, threading.Lock()
        self._device, self._value = placement.device, _encoded(cloud, network, placement)

    def on(self, network: Any, placement: Placement) -> Any:
        """The network's value on this placement's device; encoded once more if it is elsewhere."""
        with self._lock:
            if self._device != placement.device:
                self._device, self._value = placement.device, _encoded(self._cloud, network, placement)
            return self._value


def _encoded(cloud: VoxelCloud, network: Any, placement: Placement) -> Any:
    with placement.at_work():
        return network.encode([cloud.to(placement.device)])


class GivesWay:
    """A network's placement, which becomes a smaller one whenever memory ends; shared by threads."""

    def __init__(self, placement: Placement) -> None:
        self.placement = placement
        self._lock = threading.Lock()
        self._copy: tuple[Any, Any] = (None, None)  # a network, and the same on the CPU

    def network(self, network: Any, placement: Placement) -> Any:
        """The network itself, or its copy on the CPU once it has had to move there."""
        if placement.device.type != "cpu" or not hasattr(network, "parameters"):
            return network
        with self._lock:
            if self._copy[0] is not network:
                self._copy = network, on_cpu(network)
            return self._copy[1]

    def step_down(self, failed: Placement, voxels: int, error: torch.OutOfMemoryError) -> list[str]:
        """Take the next placement after one that ran out of memory, and say so; the error again where there is none.

        Another thread may have taken the step already: then there is nothing to say.
        """
        with self._lock:
            if self.placement != failed:
                return []
            step = failed.smaller(voxels)
            if step is None:
                raise error
            self.placement, sentence = step
        if failed.device.type == "cuda":
            torch.cuda.empty_cache()
        return [sentence]


def on_cpu(network: Any) -> Any:
    """The network itself if it is on the CPU, otherwise a copy there, without memory of the device it comes from."""
    own = [*network.parameters(), *network.buffers()]
    if all(tensor.device.type == "cpu" for tensor in own):
        return network
    moved: dict[int, Any] = {}
    for tensor in own:
        there = tensor.detach().cpu()
        parameter = isinstance(tensor, torch.nn.Parameter)
        moved[id(tensor)] = torch.nn.Parameter(there, tensor.requires_grad) if parameter else there
    return copy.deepcopy(network, moved)


def device_of(name: str) -> torch.device:
    """The device of this name; "auto" is CUDA where there is one."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"There is no device {name!r}; use auto, cpu or cuda.") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise RuntimeError("The device cuda was asked for, but torch finds no CUDA GPU here; use auto or cpu.")
    return device


def limit_memory(device: torch.device, share: float) -> None:
    """Let this process have at most this share (0: all) of the GPU's memory; a CPU has none to share out."""
    if not 0 <= share <= 1:
        raise ValueError(f"The share of the GPU's memory must lie between 0 and 1, but is {share}.")
    if share and device.type == "cuda":
        torch.cuda.set_per_process_memory_fraction(share, device)
