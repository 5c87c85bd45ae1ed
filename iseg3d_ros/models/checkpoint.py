"""Weights on disk: safetensors in half precision, whose header says all that is needed to build the network again.

A file comes from a stranger: its header is read first, and everything it claims is held against the file's size and
against what a network can be, before memory is taken.
"""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from iseg3d_ros.clicks import Prompts
from iseg3d_ros.models.base import Network, VoxelCloud
from iseg3d_ros.models.build import CLASSES, build, parameters, settings_class, settings_from_json
from iseg3d_ros.models.layers.multi_head_attention import Attention
from iseg3d_ros.models.layers.ptv3 import PatchAttention
from iseg3d_ros.models.settings import ModelSettings
from iseg3d_ros.models.weights_check import check_manifest, from_a_stranger, load_file

RETIRED = ("propagation", "affinity")  # settings that no network has any more; in older files they are mostly off
FORMAT = 2  # 1, of version 0.1, listed the settings of all networks: see `settings_of_first_format`
HEADER_LIMIT = 4 << 20  # bytes; ours have about a hundred kilobytes
DTYPES = {"F16": 2, "F32": 4, "I64": 8}
FILLS = (torch.Tensor.normal_, nn.init.normal_)
SCALES = (torch.Tensor.mul, torch.Tensor.__mul__, torch.Tensor.__rmul__)
SINGLE = ("frequencies", "phases")  # a code's matrix must come back exactly


def save(
    path: str | os.PathLike[str],
    network: nn.Module,
    *,
    voxel: Mapping[str, Any] | None = None,
    recipe: Mapping[str, Any] | None = None,
    metrics: Mapping[str, Any] | None = None,
    classes: Sequence[str] = (),
) -> None:
    """Write a network's weights and its card: settings, widths, voxel settings, training recipe, figures, and the names
    of its classes where they are not ours."""
    from safetensors.torch import save_file

    settings = settings_from(network)
    card = {
        "format": FORMAT,
        "network": settings.network,
        "preset": settings.preset,
        "settings": settings.to_json(),
        "heads": heads(network),
        "parameters": parameters(network),
        "voxel": dict(voxel or {}),
        "recipe": dict(recipe or {}),
        "metrics": dict(metrics or {}),
        **({"classes": list(classes)} if classes else {}),
    }
    tensors = {name: on_disk(name, tensor) for name, tensor in network.state_dict().items()}
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        save_file(tensors, part, metadata={"card": json.dumps(card)})
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


class Unfilled(TorchFunctionMode):
    """Weights that a file's are going to replace stay as they are: to fill and scale them on "meta", torch would import
    its compiler, which takes 100 MB."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Called by torch for every function of its own."""
        given = [*args, *(kwargs or {}).values()]
        if func in FILLS or (func in SCALES and isinstance(given[1], int | float)):
            return given[0]
        return (torch.empty if func is torch.randn else func)(*args, **(kwargs or {}))


@from_a_stranger
def load(path: str | os.PathLike[str], device: torch.device | str = "cpu") -> Network:
    """The network of a file, in eval mode and single precision, with its card as `network.card`."""
    path = Path(path)
    check_manifest(path)
    card, shapes = read_header(path)
    settings = settings_from_json(card["settings"])
    with torch.device("meta"), Unfilled():  # whatever sizes the header claims, no memory is taken for them
        network = build(settings)
    fit_shapes(network, shapes, card.get("heads", {}), where=str(path))
    own = network.state_dict()
    stored = {name: tensor.to(own[name].dtype) for name, tensor in load_file(path).items()}
    network.load_state_dict(stored, assign=True)
    network.card = card
    rehearse(network.eval(), where=str(path))
    return network.to(device)


@from_a_stranger
def read_card(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What a file says about itself, without loading it."""
    return read_header(Path(path))[0]


def settings_from(network: nn.Module) -> ModelSettings:
    """The settings a network was built from."""
    settings = getattr(network, "settings", None)
    if not isinstance(settings, ModelSettings):
        raise ValueError(f"a {type(network).__name__} carries no model settings, so its file could not be read again")
    return settings


def heads(network: nn.Module) -> dict[str, int]:
    """Attention heads by module: pruning may leave fewer of them than the settings say."""
    attentions = Attention | PatchAttention
    return {name: module.heads for name, module in network.named_modules() if isinstance(module, attentions)}


def on_disk(name: str, tensor: Tensor) -> Tensor:
    """Matrices and kernels in half precision; vectors, statistics, counters and the position code as they are."""
    tensor = tensor.detach().cpu().contiguous()
    halve = tensor.is_floating_point() and tensor.ndim >= 2 and not name.endswith(SINGLE)
    if halve and tensor.numel() and tensor.abs().max() > torch.finfo(torch.float16).max:
        raise ValueError(f"the weight {name} does not fit half precision; the training has diverged")
    return tensor.half() if halve else tensor


def rehearse(network: Any, where: str) -> None:
    """Run the network once on a handful of voxels: widths of neighbouring layers that disagree show at once."""
    line = torch.arange(8)[:, None].expand(8, 3)
    width = settings_from(network).in_channels
    cloud = VoxelCloud(line.int().contiguous(), line.float(), torch.zeros(8, width), 1.0)
    click = Prompts(torch.tensor([0]), torch.tensor([1]), 1)
    try:
        with torch.inference_mode():
            network.decode(network.encode([cloud]), [click])
    except (RuntimeError, ValueError, IndexError) as error:
        raise ValueError(f"{where} is damaged: the widths of its layers do not fit together ({error})") from error


# Reading what may be hostile


def read_header(path: Path) -> tuple[dict[str, Any], dict[str, tuple[int, ...]]]:
    """Card and tensor shapes, after checking every length against the size of the file."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 2 <= length <= min(HEADER_LIMIT, size - 8):
            raise ValueError(f"{path} is no weights file: its header's length does not fit a file of {size} bytes")
        raw = file.read(length)
    try:
        header = json.loads(raw)
        card = json.loads(header.pop("__metadata__")["card"])
        shapes = {name: tensor_shape(name, entry, size - 8 - length) for name, entry in header.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path} is no weights file of iseg3d: {describe(error)}") from error
    check_layout(path, header, size - 8 - length)
    check_card(path, card)
    if card["format"] == 1:
        card |= {"format": FORMAT, "settings": settings_of_first_format(card["settings"])}
    off = {name for name in RETIRED if not card["settings"].get(name, True)}
    card["settings"] = {name: value for name, value in card["settings"].items() if name not in off}
    return card, shapes


def settings_of_first_format(values: dict[str, Any]) -> dict[str, Any]:
    """Format 1's settings without other networks'; names that no network has stay, to be refused."""
    own = {each.name for each in fields(settings_class(values.get("network"), values.get("decoder")))}
    others = {each.name for network in CLASSES for each in fields(network.settings_class)} - own
    return {name: value for name, value in values.items() if name not in others}


def describe(error: Exception) -> str:
    """What was wrong, in words."""
    return f"its header lacks {error}" if isinstance(error, KeyError) else str(error) or "its header is unreadable"


def tensor_shape(name: str, entry: Any, room: int) -> tuple[int, ...]:
    """A tensor's shape, if its bytes lie inside the file and are as many as the shape needs."""
    kind, shape, (start, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
    if kind not in DTYPES:
        raise ValueError(f"the tensor {name} has the unknown type {kind}")
    if not all(type(n) is int and 0 <= n <= room for n in (*shape, start, end)) or len(shape) > 8:
        raise ValueError(f"the tensor {name} has an impossible shape or place")
    if end - start != math.prod(shape) * DTYPES[kind] or end > room:
        raise ValueError(f"the tensor {name} does not fit the file; it may be truncated")
    return tuple(shape)


def check_layout(path: Path, header: dict[str, Any], room: int) -> None:
    """Refuse tensors that overlap or leave bytes over, so that the memory taken is bounded by the file's size."""
    end = 0
    for start, stop in sorted(entry["data_offsets"] for entry in header.values()):
        if start != end:
            raise ValueError(f"{path} is damaged: its tensors overlap or leave gaps")
        end = stop
    if end != room:
        raise ValueError(f"{path} is damaged: it holds {room} bytes of weights where its header describes {end}")


def check_card(path: Path, card: Any) -> None:
    """Refuse a card of another format or without settings."""
    if not isinstance(card, dict) or not isinstance(card.get("settings"), dict):
        raise ValueError(f"{path} has no card that says which network it is")
    if card.get("format") not in (1, FORMAT):
        raise ValueError(f"{path} has format {card.get('format')!r}; this version reads formats 1 and {FORMAT}")
    if not isinstance(card.get("heads", {}), dict):
        raise ValueError(f"{path} lists its attention heads in an unreadable way")


# Pruned widths


def fit_shapes(
    network: nn.Module, shapes: Mapping[str, tuple[int, ...]], heads: Mapping[str, int] | None = None, where: str = ""
) -> nn.Module:
    """Give every layer the stored tensors' shapes (a pruned network is narrower than its settings). Returns it."""
    where = where or "the weights"
    own = network.state_dict()
    check_names(set(own), set(shapes), where)
    for name, tensor in own.items():
        check_shape(name, tuple(tensor.shape), tuple(shapes[name]), where)
    for name, module in network.named_modules():
        resize(module, name, shapes)
    for name, module in network.named_modules():
        if isinstance(module, Attention | PatchAttention):
            fit_heads(module, name, (heads or {}).get(name, module.heads), where)
    check_chain(network, where)
    return network


def check_names(own: set[str], stored: set[str], where: str) -> None:
    """Both sides must name the same tensors."""
    for names, words in ((own - stored, "lacks"), (stored - own, "has, besides what the network knows,")):
        if names:
            listed = ", ".join(sorted(names)[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
            raise ValueError(f"{where} {words} {listed}")


def check_shape(name: str, own: tuple[int, ...], stored: tuple[int, ...], where: str) -> None:
    """A layer may be narrower than built, never wider or of another rank; a kernel keeps its volume."""
    fits = len(own) == len(stored) and all(1 <= s <= o for o, s in zip(own, stored, strict=True))
    if not fits or (len(own) == 3 and own[0] != stored[0]):
        raise ValueError(f"{where}: {name} has shape {stored}, which the network's {own} cannot be pruned to")


def resize(module: nn.Module, prefix: str, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """New empty tensors of the stored shapes for one module, and the numbers that torch keeps beside them."""
    tensors = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
    for name, tensor in tensors:
        full = f"{prefix}.{name}" if prefix else name
        if full in shapes and tuple(tensor.shape) != tuple(shapes[full]):
            tensor.data = tensor.new_empty(shapes[full])
            tensor.grad = None
    match module:
        case nn.Linear():
            module.out_features, module.in_features = module.weight.shape
        case nn.LayerNorm():
            module.normalized_shape = tuple(module.weight.shape)
        case nn.BatchNorm1d():
            module.num_features = len(module.weight)


def fit_heads(module: Attention | PatchAttention, name: str, count: Any, where: str) -> None:
    """The number of heads that is left; it must divide the projections."""
    width = module.out.in_features
    if type(count) is not int or not 1 <= count <= module.heads or width % count:
        raise ValueError(f"{where}: {name} cannot have {count!r} heads in {width} channels")
    module.heads = count


def check_chain(network: nn.Module, where: str) -> None:
    """Vectors of one layer must agree in length: a norm's gain, bias and statistics; a linear's weight and bias."""
    for name, module in network.named_modules():
        lengths = {len(t) for n, t in module.named_parameters(recurse=False) if n in ("weight", "bias") and t.ndim == 1}
        lengths |= {len(t) for n, t in module.named_buffers(recurse=False) if n.startswith("running_")}
        if isinstance(module, nn.Linear):
            lengths |= {module.out_features}
        if len(lengths) > 1:
            raise ValueError(f"{where}: the parts of {name} have different widths {sorted(lengths)}")
