"""Independent work items on the machines of a Ray cluster: the same results as in one process, in any order.

Items must be idempotent: one whose worker dies is done again, on another one. The files that items read and write must
lie where every machine finds them, in a shared folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

LOCAL = "local"  # a cluster of this machine's own, for as long as the work lasts
RETRIES = 3  # of an item whose worker died
AHEAD = 2  # items waiting for each processor; the rest is handed out as these are done


@contextmanager
def cluster(address: str = LOCAL) -> Iterator[Any]:
    """Ray, for as long as the block lasts unless it was there before: around several calls of `over_ray`."""
    try:
        import ray
    except ImportError:
        raise RuntimeError("several machines are used through the Python package ray: pip install ray") from None
    if ray.is_initialized():
        yield ray
        return
    where = {"num_cpus": None} if address == LOCAL else {"address": address}
    ray.init(**where, log_to_driver=False, include_dashboard=False if address == LOCAL else None)
    try:
        yield ray
    finally:
        ray.shutdown()


def over_ray(
    work: Callable[[Item], Result], items: Sequence[Item], address: str = LOCAL
) -> Iterator[tuple[Item, Result]]:
    """Items with their results as they are finished; `work` is a function of a module, or a partial of one."""
    with cluster(address) as ray:
        yield from _done(ray, ray.remote(work_on).options(max_retries=RETRIES), work, items)


def work_on(work: Callable[[Item], Result], item: Item) -> Result:
    """What a worker runs: one thread of torch, since every processor has a worker of its own."""
    import torch

    torch.set_num_threads(1)
    return work(item)


def _done(ray: Any, remote: Any, work: Any, items: Sequence[Item]) -> Iterator[tuple[Item, Any]]:
    room = max(1, AHEAD * int(ray.cluster_resources().get("CPU", 1)))
    waiting, running = iter(items), dict[Any, Item]()
    while True:
        for item in waiting:
            running[remote.remote(work, item)] = item
            if len(running) >= room:
                break
        if not running:
            return
        for reference in ray.wait([*running])[0]:
            try:
                result = ray.get(reference)
            except ray.exceptions.WorkerCrashedError as error:
                raise RuntimeError(
                    f"The workers for {running[reference]} died {RETRIES + 1} times, most likely for want of memory; "
                    "what is done is kept: give the command again."
                ) from error
            except ray.exceptions.RayTaskError as error:
                raise error.as_instanceof_cause() from None
            yield running.pop(reference), result
