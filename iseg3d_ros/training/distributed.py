"""Data-parallel training: one process a GPU (or CPU), started by torchrun with the same command line."""

from __future__ import annotations

import gc
import os
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from iseg3d_ros.sparse import SparseTensor


@dataclass(frozen=True)
class World:
    """This process's place among its peers."""

    rank: int = 0
    size: int = 1
    local: int = 0

    @property
    def first(self) -> bool:
        """Whether this process writes the files and prints."""
        return self.rank == 0


def join() -> World:
    """Join the group that torchrun describes in the environment; alone where there is none."""
    if "RANK" not in os.environ:
        return World()
    backend = "nccl" if torch.cuda.is_available() else "gloo"
    if not dist.is_initialized():
        store, rank, size = _meeting_place()
        dist.init_process_group(backend, store=store, rank=rank, world_size=size)
    return World(dist.get_rank(), dist.get_world_size(), int(os.environ.get("LOCAL_RANK", "0")))


def _meeting_place() -> tuple[dist.Store, int, int]:
    """Where the processes find each other: after a restart, where nobody from before has left an address.

    torchrun's store outlives the workers (PyTorch 2.13), and gloo would call those that are gone. Restarts are counted
    the same on one machine alone: with several, TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 gives each round its own store.
    """
    store, rank, size = next(dist.rendezvous("env://"))
    shared = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    if shared and os.environ.get("LOCAL_WORLD_SIZE") == os.environ["WORLD_SIZE"]:
        store = dist.PrefixStore(f"restart_{os.environ['TORCHELASTIC_RESTART_COUNT']}", store)
    return store, rank, size


def leave() -> None:
    """Leave the group, if there is one, after all that uses it is gone.

    The last to go frees the group. DistributedDataParallel would do that under Python's lock, which gloo's thread,
    joined there, may wait for in order to free the last tensor it sent: both would wait for ever.
    """
    if dist.is_initialized():
        gc.collect()
        dist.destroy_process_group()


class _SumOfAll(torch.autograd.Function):
    """The sum over all processes, whose gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        values = values.clone()
        dist.all_reduce(values)
        return values

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _SumOfAll.forward(ctx, gradient)


class SyncedBatchNorm(nn.BatchNorm1d):
    """Batch norm over the voxels of all processes, so that N processes train as one with N times the batch."""

    def forward(self, values: Any) -> Any:
        """Normalise features, or a sparse tensor's, over all but the last dimension."""
        if isinstance(values, SparseTensor):
            return values.replace(self.forward(values.features))
        flat = values.reshape(-1, values.shape[-1])
        scaled = self._everybodys(flat.float()) if self.training else super().forward(flat)
        return scaled.to(values.dtype).reshape(values.shape)

    def _everybodys(self, flat: Tensor) -> Tensor:
        count = flat.new_full((1,), len(flat))
        sums: Tensor = _SumOfAll.apply(torch.cat([flat.sum(0), flat.square().sum(0), count]))  # type: ignore[no-untyped-call]
        total, squares, number = sums.split([flat.shape[1], flat.shape[1], 1])
        mean, variance = total / number, (squares / number - (total / number).square()).clamp(min=0)
        self._track(mean.detach(), (variance * number / (number - 1).clamp(min=1)).detach())
        return (flat - mean) * torch.rsqrt(variance + self.eps) * self.weight + self.bias

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor) -> None:
        if self.running_mean is not None and self.running_var is not None and self.momentum is not None:
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance, self.momentum)


def synced(network: nn.Module) -> nn.Module:
    """The network with every batch norm's statistics taken over all processes (same parameters, same names)."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.__class__ = SyncedBatchNorm
    return network
