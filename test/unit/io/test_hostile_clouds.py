from __future__ import annotations

import importlib.util
import zipfile
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from iseg3d_ros import cloud as clouds
from iseg3d_ros.cloud import read_cloud
from iseg3d_ros.io.bags import Bag

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def fuzzer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fuzz_clouds", ROOT / "tools" / "fuzz_clouds.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_mutated_files_are_read_or_refused_with_a_sentence(fuzzer: ModuleType, tmp_path: Path) -> None:
    found, read = fuzzer.fuzz(2000, 11, tmp_path)
    assert not found, found.most_common(5)
    assert 100 < read < 1900, "mutations that change too much, or too little, try nothing"


def test_the_fuzzer_finds_what_escapes(
    fuzzer: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reader(path: Path) -> None:
        raise OverflowError("too large")

    monkeypatch.setattr(fuzzer, "read_cloud", reader)
    assert "OverflowError" in fuzzer.fault(tmp_path / "a.ply")
    monkeypatch.setattr(fuzzer, "read_cloud", lambda path: int("no number"))
    assert "no number" in fuzzer.fault(tmp_path / "a.ply")


def test_a_decompression_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    """A file whose member is all zeros: a thousandth of what it unpacks to."""
    path, size = tmp_path / "bomb.npz", 36_000_000
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("xyz.npy", "w") as member:
        np.lib.format.write_array_header_1_0(
            member, {"descr": "<f4", "fortran_order": False, "shape": (size // 12, 3)}
        )
        for _ in range(size // 1_000_000):
            member.write(bytes(1_000_000))
    assert path.stat().st_size < size / 500
    assert len(read_cloud(path)) == size // 12, "small enough to be let through"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("xyz.npy", "w") as member:
        np.lib.format.write_array_header_1_0(
            member, {"descr": "<f4", "fortran_order": False, "shape": (10**9, 3)}
        )
        member.write(bytes(1_000_000))
    with pytest.raises(ValueError, match="unpack to more than") as error:
        read_cloud(path)
    assert str(path) in str(error.value) and clouds.REMEDY in str(error.value)


def test_an_npy_file_that_promises_more_than_it_has(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    with path.open("wb") as stream:
        np.lib.format.write_array_header_1_0(
            stream, {"descr": "<f4", "fortran_order": False, "shape": (10**11, 3)}
        )
    with pytest.raises(ValueError, match="promised"):
        read_cloud(path)


def test_a_flipped_bit_in_an_archive_is_found_by_its_checksum(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, xyz=np.ones((100, 3), np.float32))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    with pytest.raises(ValueError, match="CRC"):
        read_cloud(path)


def test_arrays_stay_writable_and_in_order(tmp_path: Path) -> None:
    xyz = np.arange(30, dtype=np.float32).reshape(10, 3)
    np.savez_compressed(tmp_path / "a.npz", xyz=np.asfortranarray(xyz), name=np.array("a word"))
    found = read_cloud(tmp_path / "a.npz")
    np.testing.assert_array_equal(found.xyz, xyz)
    found.xyz[0] = 5


def test_no_file_stays_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_cloud(tmp_path / "none.ply")


def test_a_damaged_bag_is_a_sentence(tmp_path: Path) -> None:
    pytest.importorskip("rosbags", reason="rosbags is not installed")
    (tmp_path / "a.mcap").write_bytes(b"\x89MCAP0\r\n" + bytes(200))
    with pytest.raises(ValueError, match="a.mcap"):
        Bag(tmp_path / "a.mcap")
