"""Weights from a stranger: loaded and finite, or refused with a sentence that names the file."""

from __future__ import annotations

import importlib.util
from hashlib import sha256
from pathlib import Path
from types import ModuleType

import pytest
import torch
from conftest import REPOSITORY

from iseg3d_ros.models import checkpoint
from iseg3d_ros.models.weights_check import check_values, from_a_stranger

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def fuzzer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fuzz_weights", ROOT / "tools" / "fuzz_weights.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_mutated_files_load_and_work_or_are_refused_with_a_sentence(fuzzer: ModuleType, tmp_path: Path) -> None:
    found, taken = fuzzer.fuzz(150, 5, tmp_path)
    assert not found, found.most_common(5)
    assert 10 < taken < 140, "mutations that change too much, or too little, try nothing"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e30])
def test_values_that_no_network_can_work_with(value: float, fuzzer: ModuleType, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = fuzzer.original(tmp_path)
    _, shapes = checkpoint.read_header(path)
    tensors, card = load_file(path), card_of(path)
    vector = next(name for name, shape in shapes.items() if len(shape) == 1 and tensors[name].dtype == torch.float32)
    tensors[vector][0] = value
    save_file(tensors, path, metadata=card)
    with pytest.raises(ValueError, match=f"{path.name} is damaged: {vector}"):
        checkpoint.load(path)


def card_of(path: Path) -> dict[str, str]:
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        metadata: dict[str, str] = file.metadata()
    return metadata


def test_a_variance_below_zero() -> None:
    check_values("norm.running_var", torch.tensor([0.0, 1.0]), "a")
    with pytest.raises(ValueError, match="variances"):
        check_values("norm.running_var", torch.tensor([0.5, -1.0]), "a")


@pytest.mark.parametrize("error", [TypeError("x"), ValueError("x"), RecursionError(), MemoryError(), OSError(5, "x")])
def test_every_kind_of_error_names_the_file(error: Exception) -> None:
    @from_a_stranger
    def read(path: str) -> None:
        raise error

    with pytest.raises(ValueError, match="some.safetensors is damaged.*copy it again"):
        read("some.safetensors")


def test_no_file_stays_no_file() -> None:
    with pytest.raises(FileNotFoundError):
        checkpoint.load("none.safetensors")


def test_a_shipped_file_that_is_another_is_refused(tmp_path: Path) -> None:
    source = REPOSITORY / "weights" / "fewclick.safetensors"
    data = bytearray(source.read_bytes())
    (tmp_path / "SHA256SUMS").write_text((source.parent / "SHA256SUMS").read_text())
    (tmp_path / source.name).write_bytes(data)
    checkpoint.load(tmp_path / source.name)
    data[-1] ^= 1  # the last bit of a number: still finite, and not what was trained
    (tmp_path / source.name).write_bytes(data)
    with pytest.raises(ValueError, match="is not the file that"):
        checkpoint.load(tmp_path / source.name)


def test_the_manifest_names_every_shipped_file() -> None:
    """After new weights: cd weights && sha256sum *.safetensors > SHA256SUMS"""
    lines = (REPOSITORY / "weights" / "SHA256SUMS").read_text().splitlines()
    files = (REPOSITORY / "weights").glob("*.safetensors")
    found = {path.name: sha256(path.read_bytes()).hexdigest() for path in files}
    assert {line.split()[1]: line.split()[0] for line in lines} == found
