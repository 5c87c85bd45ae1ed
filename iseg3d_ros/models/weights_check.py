"""What a weights file's values must be before a network works with them: readable, and finite numbers."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from hashlib import sha256
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from torch import Tensor

MANIFEST = "SHA256SUMS"  # beside shipped weights: `sha256sum -c` reads it too
REMEDY = "copy it again from where it came from"
LARGEST = 65504.0  # of half precision, in which matrices are kept; single values beyond it overflow some layers later

P = ParamSpec("P")
T = TypeVar("T")
Name = str | os.PathLike[str]


def from_a_stranger(read: Callable[Concatenate[Name, P], T]) -> Callable[Concatenate[Name, P], T]:
    """A reader of weights whose errors, of whatever kind, become a ValueError that names the file."""

    @wraps(read)
    def careful(path: Name, /, *more: P.args, **named: P.kwargs) -> T:
        try:
            return read(path, *more, **named)
        except (FileNotFoundError, PermissionError, IsADirectoryError):
            raise
        except Exception as error:  # a damaged header may be wrong in any way
            reason = " ".join(str(error).split()) or type(error).__name__
            if isinstance(error, ValueError) and os.fspath(path) in reason:
                raise
            raise ValueError(f"{path} is damaged, or no weights file ({reason[:300]}): {REMEDY}") from error

    return careful


def check_manifest(path: Path) -> None:
    """ValueError where the manifest beside a file names it and it is another; other files are not asked for one."""
    manifest = path.parent / MANIFEST
    if not manifest.is_file():
        return
    rows = (line.split(maxsplit=1) for line in manifest.read_text(encoding="utf-8").splitlines())
    wanted = {row[1].lstrip("*"): row[0] for row in rows if len(row) == 2}.get(path.name)
    if wanted is not None and sha256(path.read_bytes()).hexdigest() != wanted:
        raise ValueError(f"{path} is not the file that {manifest} names: {REMEDY}, or, if it was meant, enter its sum")


def load_file(path: Path) -> dict[str, Tensor]:
    """The tensors of a file; ValueError where one holds what no network can work with."""
    from safetensors.torch import load_file as read

    tensors: dict[str, Tensor] = read(path)
    for name, tensor in tensors.items():
        check_values(name, tensor, str(path))
    return tensors


def check_values(name: str, tensor: Tensor, where: str) -> None:
    """NaN spreads to every point, and infinity makes it; a variance below zero makes it at the first cloud."""
    if tensor.is_floating_point() and not (tensor.abs() <= LARGEST).all():  # NaN is not, either
        raise ValueError(f"{where} is damaged: {name} holds values that are not finite, or huge; {REMEDY}")
    if name.endswith("running_var") and (tensor < 0).any():
        raise ValueError(f"{where} is damaged: {name} holds variances below zero; {REMEDY}")
