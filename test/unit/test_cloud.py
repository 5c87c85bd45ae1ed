from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from iseg3d_ros.cloud import Cloud, read_cloud, write_cloud
from iseg3d_ros.io import lzf


def example(count: int = 200, dtype: type = np.float32) -> Cloud:
    rng = np.random.default_rng(5)
    xyz = rng.normal(0, 3, (count, 3)).astype(dtype)
    rgb = rng.integers(0, 256, (count, 3), dtype=np.uint8)
    return Cloud(xyz, rgb, rng.random(count).astype(np.float32), rng.integers(0, 5, count).astype(np.int32))


def assert_same(found: Cloud, wanted: Cloud) -> None:
    for name in ("xyz", "rgb", "intensity", "labels"):
        have, want = getattr(found, name), getattr(wanted, name)
        assert (have is None) == (want is None), name
        if want is not None:
            assert have.dtype == want.dtype, name
            np.testing.assert_array_equal(have, want, err_msg=name)


FORMATS = [
    (".ply", "binary"), (".ply", "ascii"), (".ply", "binary_big_endian"),
    (".pcd", "binary"), (".pcd", "ascii"), (".pcd", "binary_compressed"), (".npz", "binary"), (".npy", "binary"),
]  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("suffix", "encoding"), FORMATS)
def test_everything_comes_back(tmp_path: Path, suffix: str, encoding: str, dtype: type) -> None:
    cloud = example(dtype=dtype)
    write_cloud(tmp_path / f"a{suffix}", cloud, encoding=encoding)
    assert_same(read_cloud(tmp_path / f"a{suffix}"), cloud)


@pytest.mark.parametrize(("suffix", "encoding"), FORMATS)
def test_points_alone_come_back(tmp_path: Path, suffix: str, encoding: str) -> None:
    cloud = Cloud(example().xyz)
    write_cloud(tmp_path / f"a{suffix}", cloud, encoding=encoding)
    assert_same(read_cloud(tmp_path / f"a{suffix}"), cloud)


def test_kitti_and_semantic_kitti(tmp_path: Path) -> None:
    cloud = Cloud(example().xyz, None, example().intensity, example().labels)
    write_cloud(tmp_path / "a.bin", cloud)
    write_cloud(tmp_path / "a.label", cloud)
    assert_same(read_cloud(tmp_path / "a.bin", labels=tmp_path / "a.label"), cloud)
    packed = np.fromfile(tmp_path / "a.label", "<u4")
    assert set((packed & 0xFFFF)[cloud.labels > 0]) == {99}
    assert not packed[cloud.labels == 0].any()


def test_semantic_kitti_instances_of_several_classes_stay_apart(tmp_path: Path) -> None:
    write_cloud(tmp_path / "a.bin", Cloud(np.zeros((4, 3), np.float32)))
    np.array([40, 1 << 16 | 10, 1 << 16 | 30, 1 << 16 | 10], "<u4").tofile(tmp_path / "a.label")
    assert read_cloud(tmp_path / "a.bin", tmp_path / "a.label").labels.tolist() == [0, 1, 2, 1]


def test_further_fields_are_written(tmp_path: Path) -> None:
    cloud = example()
    write_cloud(tmp_path / "a.ply", cloud, {"probability": np.full(len(cloud), 0.5, np.float32)})
    assert b"property float probability" in (tmp_path / "a.ply").read_bytes()[:500]
    assert_same(read_cloud(tmp_path / "a.ply"), cloud)
    with pytest.raises(ValueError, match="probability"):
        write_cloud(tmp_path / "b.ply", cloud, {"probability": np.zeros(3)})


def test_ply_with_faces_before_the_points_and_other_names(tmp_path: Path) -> None:
    header = (
        "ply\r\nformat binary_big_endian 1.0\r\ncomment made by hand\r\nelement face 2\r\n"
        "property list uchar int vertex_indices\r\nelement vertex 2\r\nproperty double x\r\nproperty double y\r\n"
        "property double z\r\nproperty uchar R\r\nproperty uchar G\r\nproperty uchar B\r\n"
        "property float scalar_Label\r\nend_header\r\n"
    )
    faces = b"".join(struct.pack(">B3i", 3, 0, 1, 0) for _ in range(2))
    points = b"".join(struct.pack(">3d3Bf", i, 2, 3, 9, 8, 7, 4) for i in range(2))
    (tmp_path / "a.ply").write_bytes(header.encode() + faces + points)
    cloud = read_cloud(tmp_path / "a.ply")
    assert cloud.xyz.tolist() == [[0, 2, 3], [1, 2, 3]]
    assert cloud.rgb is not None
    assert cloud.rgb[1].tolist() == [9, 8, 7]
    assert cloud.labels is not None
    assert cloud.labels.tolist() == [4, 4]


def test_ascii_ply_with_faces_and_float_colours(tmp_path: Path) -> None:
    (tmp_path / "a.ply").write_text(
        "ply\nformat ascii 1.0\nelement face 1\nproperty list uchar int vertex_indices\nelement vertex 2\n"
        "property float x\nproperty float y\nproperty float z\nproperty float red\nproperty float green\n"
        "property float blue\nend_header\n3 0 1 1\n1 2 3 1 0.5 0\nnan 5 6 0 0 0\n"
    )
    cloud = read_cloud(tmp_path / "a.ply")
    assert np.isnan(cloud.xyz[1, 0])
    assert cloud.rgb is not None
    assert cloud.rgb[0].tolist() == [255, 128, 0]


def test_pcd_of_pcl_packed_float_colour_padding_and_organised(tmp_path: Path) -> None:
    header = (
        "# .PCD v.7\nVERSION .7\nFIELDS x y z _ rgb normal _\nSIZE 4 4 4 1 4 4 1\nTYPE F F F U F F U\n"
        "COUNT 1 1 1 4 1 3 12\nWIDTH 2\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS 2\nDATA binary\n"
    )
    row = struct.pack("<3f4sI3f12s", 1, 2, 3, b"", 0x00FF8001, 0, 0, 1, b"")
    (tmp_path / "a.pcd").write_bytes(header.encode() + row * 2)
    cloud = read_cloud(tmp_path / "a.pcd")
    assert cloud.xyz.tolist() == [[1, 2, 3]] * 2
    assert cloud.rgb is not None
    assert cloud.rgb.tolist() == [[255, 128, 1]] * 2


def test_ascii_pcd_with_float_packed_colour(tmp_path: Path) -> None:
    packed = struct.unpack("<f", struct.pack("<I", 0x00102030))[0]
    header = "VERSION .7\nFIELDS x y z rgb\nSIZE 4 4 4 4\nTYPE F F F F\nCOUNT 1 1 1 1\nWIDTH 1\nHEIGHT 1\nPOINTS 1\n"
    (tmp_path / "a.pcd").write_text(f"{header}DATA ascii\n0 0 1 {packed:.9g}\n")
    (tmp_path / "b.pcd").write_text(f"{header}DATA ascii\n0 0 1 {0x00102030}\n")
    for name in ("a.pcd", "b.pcd"):
        rgb = read_cloud(tmp_path / name).rgb
        assert rgb is not None
        assert rgb.tolist() == [[16, 32, 48]]


def test_lzf_back_references() -> None:
    # literal "ab", then 7 bytes from distance 2 (overlapping), then a long one of 9 + 20 bytes from distance 1
    data = bytes([1]) + b"ab" + bytes([(5 << 5), 1]) + bytes([7 << 5, 20, 0])
    assert lzf.decompress(data, 38) == b"ab" + b"abababa" + b"a" * 29
    for bad in (data[:-1], bytes([5 << 5, 9]), data + b"\x05abc"):
        with pytest.raises(ValueError, match="compressed data"):
            lzf.decompress(bad, 38)
    assert lzf.decompress(lzf.compress(bytes(range(256)) * 9), 2304) == bytes(range(256)) * 9
    assert lzf.compress(b"") == b""


@pytest.mark.parametrize("compressed", [False, True])
def test_open3d_reads_ours_and_we_read_its(tmp_path: Path, compressed: bool) -> None:
    open3d = pytest.importorskip("open3d", reason="Open3D is not installed")
    cloud = example(5000)
    assert cloud.rgb is not None
    write_cloud(tmp_path / "a.pcd", cloud, encoding="binary_compressed" if compressed else "binary")
    theirs = open3d.io.read_point_cloud(str(tmp_path / "a.pcd"))
    np.testing.assert_allclose(np.asarray(theirs.points), cloud.xyz)
    np.testing.assert_array_equal(np.rint(np.asarray(theirs.colors) * 255), cloud.rgb)
    for suffix in (".pcd", ".ply"):
        open3d.io.write_point_cloud(str(tmp_path / f"b{suffix}"), theirs, compressed=compressed)
        ours = read_cloud(tmp_path / f"b{suffix}")
        np.testing.assert_allclose(ours.xyz, cloud.xyz)
        np.testing.assert_array_equal(ours.rgb, cloud.rgb)


@pytest.mark.parametrize(("suffix", "encoding"), [*FORMATS, (".bin", "binary")])
def test_truncated_files_are_a_sentence(tmp_path: Path, suffix: str, encoding: str) -> None:
    path = tmp_path / f"a{suffix}"
    write_cloud(path, example(), encoding=encoding)
    whole = path.read_bytes()
    for size in (0, 3, 60, len(whole) // 2 + 1, len(whole) - 14):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"a\.\w+") as error:
            read_cloud(path)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.ply", b"solid cube", "not a PLY"),
        ("a.ply", b"ply\nformat ascii 1.0\nelement vertex x\nend_header\n", "cannot be understood"),
        ("a.ply", b"ply\nformat ascii 1.0\nelement face 0\nend_header\n", "no vertices"),
        ("a.ply", b"ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nend_header\n1\n", "no field 'y'"),
        ("a.ply", b"ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nend_header\nhello\n", "text"),
        ("a.pcd", b"VERSION 0.7\nFIELDS x\nDATA ascii\n", "header cannot be understood"),
        ("a.npz", b"PK\x03\x04 nothing", "truncated"),
        ("a.las", b"LASF", "formats are"),
        ("a.bin", b"", "no points"),
    ],
)
def test_unreadable_files_are_a_sentence(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=says):
        read_cloud(tmp_path / name)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{"x": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="plain numbers"):
        read_cloud(tmp_path / "a.npy")


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.ply"
    write_cloud(path, example())
    before = path.read_bytes()
    with pytest.raises(ValueError, match="cannot be written"):
        write_cloud(path, example(), {"name": np.full(200, "x")})
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.ply"]
    with pytest.raises(OSError, match="does not exist"):
        write_cloud(tmp_path / "no" / "a.ply", example())


@pytest.mark.parametrize("columns", [3, 4, 6, 7])
def test_npy_tables(tmp_path: Path, columns: int) -> None:
    table = np.random.default_rng(1).integers(0, 200, (50, columns)).astype(np.float32)
    np.save(tmp_path / "a.npy", table)
    cloud = read_cloud(tmp_path / "a.npy")
    np.testing.assert_array_equal(cloud.xyz, table[:, :3])
    assert (cloud.rgb is not None) == (columns >= 6)
    assert (cloud.intensity is not None) == (columns == 4)
    assert (cloud.labels is not None) == (columns == 7)
