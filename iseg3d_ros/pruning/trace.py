"""Which channels depend on each other, found by sending marked numbers through the network.

Every convolution and linear layer in turn writes one distinct number a channel while all the others write zeros; the
numbers that arrive at other layers say which of their input channels they came from, through sums, concatenations,
gathers, pooling and activations, without a rule for any of them. Torch-Pruning finds the same by walking the autograd
graph, whose nodes it must know; ours are sparse convolutions on their own tensors (docs/log.md).

Products carry no marks. A network whose queries and points are multiplied names the layers that must stay as wide as
one another (`coupled`); then that width can go as well, with its layer norms, position codes and learned queries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from torch import Tensor, nn

from iseg3d_ros.models.layers.multi_head_attention import Attention
from iseg3d_ros.models.layers.position_codes import FourierCode, OrderCode
from iseg3d_ros.models.layers.ptv3 import PatchAttention
from iseg3d_ros.sparse import DownConv3d, SparseTensor, SubMConv3d, UpConv3d

LAYERS = (SubMConv3d, DownConv3d, UpConv3d, nn.Linear)
NORMS = (nn.BatchNorm1d, nn.LayerNorm)
CODES = (FourierCode, OrderCode)
MARK = 100.0  # far from what an activation bends: GELU, ReLU and softplus leave 100 + i alone


@dataclass(frozen=True)
class Side:
    """One side of a layer: `out` channels, `in` channels, a norm's `channels`, a code's or parameter's `source`."""

    layer: str
    side: str
    width: int


@dataclass(frozen=True)
class Dependencies:
    """Sides, and for each channel of each side the sub-structure it belongs to; `fixed` ones cannot be pruned."""

    sides: tuple[Side, ...]
    structure: tuple[NDArray[np.int64], ...]  # one array a side: sub-structure of every channel
    fixed: NDArray[np.bool_]
    edges: tuple[tuple[str, str], ...]  # writer and reader, by layer name

    def of(self, layer: str, side: str) -> NDArray[np.int64]:
        """The sub-structures of one side's channels."""
        return next(
            s for own, s in zip(self.sides, self.structure, strict=True) if (own.layer, own.side) == (layer, side)
        )


def dependencies(network: nn.Module, run: Callable[[], Any]) -> Dependencies:
    """Trace a network; `run` makes one forward pass (encode and decode) on any small input."""
    tracer = _Tracer(network)
    with torch.no_grad(), tracer.taken_over():
        tracer.baseline(run)
        for name, layer in tracer.layers.items():
            tracer.mark_layer(name, layer, run)
        for name in tracer.codes:
            tracer.mark_source(name, run)
        for name, parameter in tracer.loose.items():
            tracer.mark_parameter(name, parameter, run)
    tracer.join_heads()
    tracer.join_coupled()
    return tracer.result()


def head_parts(attention: Attention | PatchAttention) -> dict[str, str]:
    """The linear layers whose channels belong to heads, and on which side; a fused one holds all heads three times."""
    if isinstance(attention, PatchAttention):
        return {"qkv": "out", "out": "in"}
    return {"query": "out", "key": "out", "value": "out", "out": "in"}


def out_width(layer: nn.Module) -> int:
    """Channels that a convolution or linear layer writes."""
    weight: Tensor = layer.weight  # type: ignore[assignment]
    return weight.shape[0] if isinstance(layer, nn.Linear) else weight.shape[2]


def in_width(layer: nn.Module) -> int:
    """Channels that a convolution or linear layer reads."""
    return layer.weight.shape[1]  # type: ignore[union-attr, return-value, index]


def code_width(code: nn.Module) -> int:
    """Channels of a position or order code."""
    return next(code.buffers()).shape[-1]


def coupled(network: nn.Module) -> tuple[tuple[str, str], ...]:
    """The layers, and which side of each, whose widths the network says are one; none where it says nothing."""
    named = getattr(network, "coupled", None)
    return tuple(named()) if named else ()


class _Tracer:
    """Runs the marked passes and collects the pairs of channels that belong together."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        modules = dict(network.named_modules())
        self.layers = {name: m for name, m in modules.items() if isinstance(m, LAYERS)}
        self.norms = {name: m for name, m in modules.items() if isinstance(m, NORMS)}
        owned = {id(p) for m in (*self.layers.values(), *self.norms.values()) for p in m.parameters(recurse=False)}
        self.loose = {name: p for name, p in network.named_parameters() if id(p) not in owned}
        self.coupled = coupled(network)
        self.codes = {name: m for name, m in modules.items() if isinstance(m, CODES) and self.coupled}
        self.sides = [side for name, m in self.layers.items() for side in
                      (Side(name, "out", out_width(m)), Side(name, "in", in_width(m)))]  # fmt: skip
        self.sides += [Side(name, "channels", int(m.weight.shape[-1])) for name, m in self.norms.items()]
        if self.coupled:
            self.sides += [Side(name, "source", code_width(m)) for name, m in self.codes.items()]
            self.sides += [Side(name, "source", p.shape[-1]) for name, p in self.loose.items()]
        starts = np.cumsum([0, *(side.width for side in self.sides)])
        self.start = {(s.layer, s.side): int(start) for s, start in zip(self.sides, starts, strict=False)}
        self.count = int(starts[-1])
        self.fixed = np.zeros(self.count, bool)
        self.read = np.zeros(self.count, bool)
        self.written = np.zeros(self.count, bool)
        self.pairs: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
        self.edges: set[tuple[str, str]] = set()
        self.source: str | None = None
        self.seen: dict[tuple[str, str], Tensor] = {}

    @contextmanager
    def taken_over(self) -> Iterator[None]:
        """Layers write zeros or marks without computing, norms let everything through, both note what arrives."""
        stand_ins: list[tuple[nn.Module, Callable[[Any], Any]]] = []
        stand_ins += [(m, self._layer(name, m)) for name, m in self.layers.items()]
        stand_ins += [(m, self._norm(name)) for name, m in self.norms.items()]
        stand_ins += [(m, self._code(name, m)) for name, m in self.codes.items()]
        for module, forward in stand_ins:
            vars(module)["forward"] = forward
        learned = {name: p.detach().clone() for name, p in self.loose.items()} if self.coupled else {}
        for name in learned:
            self.loose[name].zero_()
        try:
            yield
        finally:
            for name, values in learned.items():
                self.loose[name].copy_(values)
            for module, _ in stand_ins:
                del vars(module)["forward"]

    def baseline(self, run: Callable[[], Any]) -> None:
        """What arrives although every layer writes zeros comes from outside (inputs, position codes): keep it.

        A layer norm's statistics run over all its channels, so that the others change when one goes. They may where the
        network names what the width of its queries is tied to, and stay where it does not.
        """
        for name, norm in self.norms.items():
            if isinstance(norm, nn.LayerNorm) and not self.coupled:
                first = self.start[name, "channels"]
                self.fixed[first : first + int(norm.weight.shape[-1])] = True
        for key, values in self._pass(run).items():
            self.fixed[self.start[key] : self.start[key] + len(values)] |= values.cpu().numpy() != 0

    def mark_layer(self, name: str, layer: nn.Module, run: Callable[[], Any]) -> None:
        """One layer writes its marks: join its channels with those of all that read them."""
        self.source = name
        arrived = self._pass(run)
        self.source = None
        self._join_all(name, "out", out_width(layer), arrived)

    def mark_source(self, name: str, run: Callable[[], Any]) -> None:
        """The same of a position or order code."""
        self.source = name
        arrived = self._pass(run)
        self.source = None
        self._join_all(name, "source", code_width(self.codes[name]), arrived)

    def mark_parameter(self, name: str, parameter: nn.Parameter, run: Callable[[], Any]) -> None:
        """A parameter of no layer (learned queries, prototypes) is a writer too; in a network that names no coupled
        layers the channels that it reaches stay."""
        kept = parameter.detach().clone()
        parameter.copy_(MARK + torch.arange(parameter.shape[-1]).float().expand_as(parameter))
        arrived = self._pass(run)
        parameter.copy_(kept)
        if self.coupled:
            self._join_all(name, "source", parameter.shape[-1], arrived)
            return
        for key, values in arrived.items():
            self.fixed[self.start[key] : self.start[key] + len(values)] |= values.cpu().numpy() > MARK / 2

    def join_heads(self) -> None:
        """An attention head is one sub-structure: rows of queries, keys and values, and columns of the output."""
        for name, module in self.network.named_modules():
            if isinstance(module, Attention | PatchAttention):
                parts = {part: self._channels(f"{name}.{part}", side) for part, side in head_parts(module).items()}
                inner = len(parts["out"])
                for channels in parts.values():
                    head = np.arange(len(channels)) % inner // (inner // module.heads)
                    self.pairs.append((parts["out"][head * (inner // module.heads)], channels))
                    self.read[channels] = self.written[channels] = True

    def join_coupled(self) -> None:
        """Layers whose channels are multiplied with one another's, which no mark shows."""
        for first, other in zip(self.coupled, self.coupled[1:], strict=False):
            left, right = self._channels(*first), self._channels(*other)
            self.pairs.append((left, right))
            for channels, (_, side) in ((left, first), (right, other)):
                (self.written if side == "in" else self.read)[channels] = True

    def result(self) -> Dependencies:
        """Sub-structures as connected components of the joined channels."""
        left, right = (np.concatenate(side) for side in zip(*self.pairs, strict=True))
        graph = coo_matrix((np.ones(len(left), bool), (left, right)), (self.count, self.count))
        number, structure = connected_components(graph, directed=False)
        outs = np.concatenate([np.full(side.width, side.side in ("out", "source")) for side in self.sides])
        ins = np.concatenate([np.full(side.width, side.side == "in") for side in self.sides])
        loose = self.fixed | (outs & ~self.read) | (ins & ~self.written)
        fixed = np.bincount(structure, loose, number) > 0
        starts = [self.start[s.layer, s.side] for s in self.sides]
        parts = tuple(structure[a : a + s.width].astype(np.int64) for a, s in zip(starts, self.sides, strict=True))
        return Dependencies(tuple(self.sides), parts, fixed, tuple(sorted(self.edges)))

    def _channels(self, layer: str, side: str) -> NDArray[np.int64]:
        width = next(s.width for s in self.sides if (s.layer, s.side) == (layer, side))
        return self.start[layer, side] + np.arange(width)

    def _pass(self, run: Callable[[], Any]) -> dict[tuple[str, str], Tensor]:
        self.seen = {}
        run()
        return self.seen

    def _join_all(self, name: str, side: str, width: int, arrived: dict[tuple[str, str], Tensor]) -> None:
        for key, values in arrived.items():
            self._join(self.start[name, side], width, key, values, name)

    def _join(self, base: int, width: int, key: tuple[str, str], values: Tensor, writer: str) -> None:
        """Pairs (written channel, arriving channel); a number that is no mark was bent on its way: keep both."""
        arrived = np.flatnonzero(values.cpu().numpy() > MARK / 2)
        if len(arrived) == 0:
            return
        mark = values.cpu().numpy()[arrived] - MARK
        channel = np.clip(np.round(mark), 0, width - 1).astype(np.int64)
        bent = np.abs(mark - channel) > 1e-2
        self.fixed[base : base + width] |= bool(bent.any())
        self.pairs.append((base + channel, self.start[key] + arrived))
        self.read[base + channel] |= key[1] == "in" or key in self.coupled
        self.written[self.start[key] + arrived] = True
        self.edges.add((writer, key[0]))

    def _layer(self, name: str, layer: nn.Module) -> Callable[[Any], Any]:
        width = out_width(layer)
        nothing = torch.zeros(width, device=layer.weight.device)  # type: ignore[arg-type]
        marks = nothing + MARK + torch.arange(width, device=nothing.device)

        def forward(x: Any) -> Any:
            self._note((name, "in"), x)
            return _written(layer, x, marks if self.source == name else nothing)

        return forward

    def _norm(self, name: str) -> Callable[[Any], Any]:
        def forward(x: Any) -> Any:
            self._note((name, "channels"), x)
            return x

        return forward

    def _code(self, name: str, code: nn.Module) -> Callable[[Any], Any]:
        width = code_width(code)
        marks = MARK + torch.arange(width)

        def forward(x: Any) -> Any:
            rows = x if isinstance(x, int) else len(x)
            row = marks.float() if self.source == name else torch.zeros(width)
            return row.to(next(code.buffers()).device).expand(rows, -1)

        return forward

    def _note(self, key: tuple[str, str], arrived: Any) -> None:
        values = arrived.features if isinstance(arrived, SparseTensor) else arrived
        flat = values.float().reshape(-1, values.shape[-1])
        most = flat.abs().amax(0) if len(flat) else flat.new_zeros(flat.shape[-1])
        self.seen[key] = torch.maximum(self.seen[key], most) if key in self.seen else most


def _written(layer: nn.Module, x: Any, row: Tensor) -> Any:
    """The layer's output as it would be if every voxel's were `row`."""
    if not isinstance(x, SparseTensor):
        return row.repeat(*x.shape[:-1], 1)
    stride = x.stride
    if isinstance(layer, DownConv3d):
        stride = x.stride * layer.stride
    elif isinstance(layer, UpConv3d):
        stride = x.stride // layer.stride
    return SparseTensor(row.repeat(len(x.maps.coords(stride)), *x.features.shape[1:-1], 1), x.maps, stride)
