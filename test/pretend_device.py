"""A device that is not there: tensors that say they are on it, computed on the CPU, counted and kept apart.

Within `pretend_device() as counts` the device "pretend" exists, with as much memory as it is given. What a GPU would
refuse, it refuses (an operation on tensors of two devices, `numpy()`, more memory than there is); what makes the host
wait for a GPU (`item`, `cpu`, `nonzero`, masks as indices, any size that depends on data) is a wait, and everything
that would start a kernel is an operator. Autocast works on it as on a GPU: products in half precision.
"""

from __future__ import annotations

import contextlib
import sys
import weakref
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing

NAME = "pretend"
aten = torch.ops.aten

_LIBRARIES: list[torch.library.Library] = []  # what they register lasts as long as they do

# Their results' sizes or values reach the host.
WAITS = {
    "_local_scalar_dense", "nonzero", "masked_select", "_unique", "_unique2", "unique_dim", "unique_consecutive",
    "unique_dim_consecutive", "bincount", "equal", "is_nonzero", "item", "argwhere", "histogram", "_linalg_svd",
    "linalg_eigh", "_linalg_eigh", "linalg_inv_ex", "_linalg_solve_ex",
}  # fmt: skip
# They start nothing: another view, or memory alone.
FREE = {
    "view", "_unsafe_view", "reshape", "_reshape_alias", "t", "transpose", "permute", "slice", "select", "expand",
    "unsqueeze", "squeeze", "split", "split_with_sizes", "unbind", "detach", "alias", "as_strided", "unfold",
    "diagonal", "empty", "empty_like", "new_empty", "empty_strided", "new_empty_strided", "lift_fresh", "view_as_real",
    "chunk", "_local_scalar_dense", "is_nonzero", "sym_size", "movedim", "narrow", "flatten", "set_", "detach_",
}  # fmt: skip
# Operators of ours that start more than one kernel.
LAUNCHES = {"convolution_plan": 3, "convolution_weight": 2}


@dataclass
class Memory:
    """Bytes of the tensors that live on the device, at most `limit` of them (0: no end); views count once."""

    limit: int = 0
    now: int = 0
    peak: int = 0
    holders: Counter[int] = field(default_factory=Counter)  # by where their bytes are

    def hold(self, tensor: PretendTensor) -> None:
        """Count a tensor's bytes for as long as it lives; refused where they do not fit."""
        storage = tensor.inner.untyped_storage()
        place, size = storage.data_ptr(), storage.nbytes()
        if not self.holders[place] and self.limit and self.now + size > self.limit:
            raise torch.OutOfMemoryError(f"{NAME} out of memory: {size} bytes wanted, {self.now} of {self.limit} held.")
        self.now += 0 if self.holders[place] else size
        self.peak = max(self.peak, self.now)
        self.holders[place] += 1
        weakref.finalize(tensor, self._let_go, place, size)

    def _let_go(self, place: int, size: int) -> None:
        self.holders[place] -= 1
        self.now -= 0 if self.holders[place] else size


@dataclass
class Counts:
    """What happened on the device: operators and uploads by name, and waits by the place in the package they are at."""

    operators: Counter[str] = field(default_factory=Counter)
    waits: Counter[str] = field(default_factory=Counter)
    uploads: Counter[str] = field(default_factory=Counter)
    memory: Memory = field(default_factory=lambda: Memory())

    def clear(self) -> None:
        """Begin anew."""
        for counter in (self.operators, self.waits, self.uploads):
            counter.clear()

    @property
    def totals(self) -> tuple[int, int, int]:
        """Operators, waits, uploads."""
        return self.operators.total(), self.waits.total(), self.uploads.total()


class PretendTensor(Tensor):
    """A tensor that says it is on the pretend device; `inner` holds its values."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> PretendTensor:
        return Tensor._make_wrapper_subclass(  # type: ignore[no-any-return, attr-defined]
            cls, inner.size(), strides=inner.stride(), storage_offset=inner.storage_offset(), dtype=inner.dtype,
            device=torch.device(NAME, 0), requires_grad=False,
        )  # fmt: skip

    def __init__(self, inner: Tensor) -> None:
        self.inner = inner

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return f"PretendTensor({tuple(self.shape)}, {self.dtype})"

    def tolist(self) -> Any:
        """The values, copied to the host, which waits."""
        return self.cpu().tolist()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise RuntimeError(f"{func} on a pretend tensor outside of pretend_device().")

    __torch_function__ = torch._C._disabled_torch_function_impl


class _Mode(TorchDispatchMode):
    def __init__(self, counts: Counts) -> None:
        super().__init__()
        self.counts = counts

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        flat = pytree.tree_leaves((args, kwargs))
        tensors = [each for each in flat if isinstance(each, Tensor)]
        wanted = torch.device(kwargs["device"]) if kwargs.get("device") is not None else None
        ours = [each for each in tensors if isinstance(each, PretendTensor)]
        if not ours and (wanted is None or wanted.type != NAME):
            return func(*args, **kwargs)
        name = func._overloadpacket.__name__
        if name in ("_to_copy", "copy_", "to"):
            return self._copied(func, name, args, kwargs, wanted)
        if ours and func._can_decompose() and name not in WAITS:
            with self:
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
        self._refuse_mixed(func, name, tensors)
        self._count(name, args, ours)
        on_host = wanted is not None and wanted.type == "cpu"
        if wanted is not None:
            kwargs["device"] = torch.device("cpu")
        result = func(*pytree.tree_map_only(PretendTensor, _inner, args),
                      **pytree.tree_map_only(PretendTensor, _inner, kwargs))  # fmt: skip
        if on_host:
            return result
        # A view of a normal tensor is a normal tensor, in inference mode too.
        normal = bool(ours) and func.is_view and not ours[0].is_inference()
        with torch.inference_mode(False) if normal else contextlib.nullcontext():
            wrapped = pytree.tree_map_only(Tensor, self._wrapped, result)
        return return_and_correct_aliasing(func, args, kwargs, wrapped) if ours else wrapped

    def _copied(self, func: Any, name: str, args: Any, kwargs: Any, wanted: torch.device | None) -> Any:
        source = args[1] if name == "copy_" else args[0]
        target_is_ours = isinstance(args[0], PretendTensor) if wanted is None else wanted.type == NAME
        source_is_ours = isinstance(source, PretendTensor)
        if source_is_ours and not target_is_ours:
            self.counts.waits[_place(f"copied to the host {tuple(source.shape)}")] += 1
        elif target_is_ours and not source_is_ours:
            self.counts.uploads[_place(f"uploaded {tuple(source.shape)}")] += 1
        elif name != "to":
            self.counts.operators[name] += 1
        if "device" in kwargs:
            kwargs["device"] = torch.device("cpu")
        kwargs.pop("pin_memory", None)
        result = func(*pytree.tree_map_only(PretendTensor, _inner, args), **kwargs)
        if name == "copy_":
            return args[0]
        return self._wrapped(result) if target_is_ours else result

    def _wrapped(self, result: Tensor) -> PretendTensor:
        tensor = PretendTensor(result)
        self.counts.memory.hold(tensor)
        return tensor

    def _refuse_mixed(self, func: Any, name: str, tensors: list[Tensor]) -> None:
        hosts = [each for each in tensors if not isinstance(each, PretendTensor) and each.ndim]
        if hosts and name in ("index", "index_put", "index_put_", "_index_put_impl_"):
            self.counts.uploads[_place(f"indices {tuple(hosts[0].shape)}")] += 1
        elif hosts and len(hosts) < len(tensors):
            shapes = [(type(each).__name__, tuple(each.shape)) for each in tensors]
            raise RuntimeError(f"Expected all tensors to be on the same device: {func} got {shapes}.")

    def _count(self, name: str, args: Any, ours: list[PretendTensor]) -> None:
        bare = name.removesuffix("_copy")
        if name not in FREE and bare not in FREE:
            self.counts.operators[name] += LAUNCHES.get(name, 1)
        masks = name in ("index", "index_put", "index_put_", "_index_put_impl_") and any(
            each is not None and each.dtype in (torch.bool, torch.uint8) for each in args[1]
        )
        sized = name == "repeat_interleave"
        if name in WAITS or masks or sized:
            self.counts.waits[_place(name + (" by a mask" if masks else ""))] += 1


def _inner(tensor: PretendTensor) -> Tensor:
    return tensor.inner


def _place(what: str) -> str:
    """The innermost line of the package that led here, and what it does."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        if "iseg3d_ros/" in frame.f_code.co_filename:
            return f"{frame.f_code.co_filename.rpartition('iseg3d_ros/')[2]}:{frame.f_lineno} {what}"
        frame = frame.f_back
    return what


@cache
def register() -> None:
    """Torch's own stand-in for a back end written in Python, under our name; once a process."""
    from torch.utils import backend_registration

    class Module(backend_registration._DummyBackendModule):  # type: ignore[name-defined, misc]
        def get_amp_supported_dtype(self) -> list[torch.dtype]:
            return [torch.float16, torch.bfloat16]

    backend_registration._setup_privateuseone_for_python_backend(NAME, Module())  # type: ignore[attr-defined]
    _LIBRARIES.append(torch.library.Library("_", "IMPL"))
    _LIBRARIES[0].fallback(torch.library.fallthrough_kernel, "AutocastPrivateUse1")
    _LIBRARIES.append(torch.library.Library("aten", "IMPL"))
    for name in ("mm", "bmm", "addmm", "baddbmm", "matmul", "linear"):
        _LIBRARIES[1].impl(name, _in_half(getattr(aten, name).default), "AutocastPrivateUse1")


def _in_half(operator: Any) -> Any:
    """The operator as autocast runs it: on tensors cast to the half precision that was asked for."""

    def cast(tensor: Tensor) -> Tensor:
        return tensor.to(torch.get_autocast_dtype(NAME)) if tensor.is_floating_point() else tensor

    def run(*args: Any, **kwargs: Any) -> Any:
        with torch.autocast(NAME, enabled=False):
            return operator(*pytree.tree_map_only(Tensor, cast, args), **kwargs)

    return run


@contextlib.contextmanager
def pretend_device(memory: int = 0) -> Iterator[Counts]:
    """Within the block the device "pretend" exists, with so many bytes (0: no end); what happens on it is counted."""
    register()
    counts = Counts(memory=Memory(memory))
    before = torch._C._only_lift_cpu_tensors()  # type: ignore[attr-defined]
    real = torch.Generator
    torch._C._set_only_lift_cpu_tensors(True)  # type: ignore[attr-defined]

    class Generator(real):  # type: ignore[valid-type, misc]
        def __new__(cls, device: Any = "cpu") -> torch.Generator:
            return real("cpu" if torch.device(device).type == NAME else device)

    try:
        with mock.patch.object(torch, "Generator", Generator), _Mode(counts):
            yield counts
    finally:
        torch._C._set_only_lift_cpu_tensors(before)  # type: ignore[attr-defined]
