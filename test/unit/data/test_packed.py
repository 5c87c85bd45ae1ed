"""Packed scenes: what training needs of them comes back, and what is damaged is named."""

from __future__ import annotations

import dataclasses
import zlib
from pathlib import Path

import numpy as np
import pytest

from iseg3d_ros.commands import main
from iseg3d_ros.data.folder import LabelledCloud, write_scene
from iseg3d_ros.data.packed import Scenes, pack, read_entries, read_packed, write_pack

THIN = {"room": 0.02, "tabletop": 0.004, "street": 0.05}


def scene(name: str = "a", kind: str = "room", split: str = "train", extent: float = 5.0) -> LabelledCloud:
    rng = np.random.default_rng(len(name))
    xyz = rng.uniform(-extent, extent, (6000, 3)).astype(np.float32)
    xyz[:, 2] = np.round(xyz[:, 2] / extent) * 0.3  # three floors
    rgb = rng.integers(0, 256, (6000, 3)).astype(np.uint8) if kind != "street" else None
    instance = (np.arange(6000) % 3).astype(np.int32)
    return LabelledCloud(name, xyz, rgb, None, instance, ("chair", "table"), kind, np.ones(3, np.float32), split)


@pytest.mark.parametrize("kind,extent", [("room", 5.0), ("street", 120.0), ("tabletop", 0.4)])
def test_points_come_back_to_half_a_step_with_their_labels(tmp_path: Path, kind: str, extent: float) -> None:
    before = scene(kind=kind, extent=extent)
    write_pack(tmp_path / "x.pack", [before], THIN)
    after = read_packed(tmp_path / "x.pack", read_entries(tmp_path / "x.pack")[0])
    step = max(1e-3, 2 * extent / 65535)
    key = {tuple(row): k for k, row in enumerate(np.round(before.xyz / step).astype(int))}
    near = [
        next(key[(x + i, y + j, z + k)] for i in (0, -1, 1) for j in (0, -1, 1) for k in (0, -1, 1)
             if (x + i, y + j, z + k) in key)
        for x, y, z in np.round(after.xyz / step).astype(int)
    ]  # fmt: skip
    assert np.abs(after.xyz - before.xyz[near]).max() <= 1.5 * step
    assert (after.instance == before.instance[near]).mean() > 0.99
    assert (before.rgb is None) == (after.rgb is None)
    if after.rgb is not None and before.rgb is not None:
        assert (after.rgb == before.rgb[near]).mean() > 0.99
    same = ("name", "kind", "split", "classes")
    assert all(getattr(before, name) == getattr(after, name) for name in same)
    assert {each.dtype for each in (after.xyz, after.instance)} == {np.dtype("f4"), np.dtype("i4")}


def test_many_files_sorted_by_split_and_kind_beside_single_scenes(tmp_path: Path) -> None:
    scenes = [scene("a"), scene("bb", "street"), scene("ccc", split="val"), scene("dddd"), scene("eeeee")]
    assert pack(scenes, tmp_path, THIN, per_file=2) == 5
    assert len(list(tmp_path.glob("*.pack"))) == 3
    write_scene(tmp_path / "single.scene", scene("single"))
    found = Scenes(tmp_path, split="train", kind="room")
    assert [each.name for each in found] == ["single", "a", "dddd", "eeeee"]
    assert [each.name for each in found[1:3]] == ["a", "dddd"]
    assert len(Scenes(tmp_path, split="val", kind="street")) == 0


def test_dense_scenes_are_thinned_and_small(tmp_path: Path) -> None:
    one = scene()
    dense = dataclasses.replace(one, xyz=np.round(one.xyz / 0.5) * np.float32(0.5))
    write_pack(tmp_path / "x.pack", [dense], THIN)
    kept = read_entries(tmp_path / "x.pack")[0]["points"]
    assert kept == len(np.unique(dense.xyz, axis=0))


def test_what_is_damaged_is_named_and_left_out(tmp_path: Path) -> None:
    write_pack(tmp_path / "good.pack", [scene()], THIN)
    whole = (tmp_path / "good.pack").read_bytes()
    (tmp_path / "cut.pack").write_bytes(whole[:-7])
    (tmp_path / "foreign.pack").write_bytes(b"something else, and longer than the magic line")
    (tmp_path / "header.pack").write_bytes(whole.replace(b'"points"', b'"pointz"'))
    found = Scenes(tmp_path, split="train", kind="room")
    assert len(found) == 1 and len(found.broken) == 3
    assert all(any(name in text for text in found.broken) for name in ("cut", "foreign", "header"))
    entry = read_entries(tmp_path / "good.pack")[0]
    flipped = bytearray(whole)
    flipped[entry["at"] + 40] ^= 0xFF
    (tmp_path / "flipped.pack").write_bytes(flipped)
    with pytest.raises(ValueError, match="scene a is damaged"):
        read_packed(tmp_path / "flipped.pack", entry)


def test_a_bomb_is_not_inflated(tmp_path: Path) -> None:
    write_pack(tmp_path / "x.pack", [scene()], THIN)
    entry = read_entries(tmp_path / "x.pack")[0]
    bomb = zlib.compress(bytes(1 << 26))
    (tmp_path / "bomb.pack").write_bytes(bytes(entry["at"]) + bomb)
    with pytest.raises(ValueError, match="damaged"):
        read_packed(tmp_path / "bomb.pack", entry | {"bytes": len(bomb)})


def test_the_command_packs_and_training_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_scene(tmp_path / "in" / "a.scene", scene())
    assert main(["scenes", "--out", str(tmp_path / "in"), "--pack", str(tmp_path / "out")]) == 0
    assert "1 scenes packed" in capsys.readouterr().out
    assert [each.name for each in Scenes(tmp_path / "out", split="train", kind="room")] == ["a"]
