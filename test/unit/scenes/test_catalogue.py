"""The furniture file: models come out as they went in, and validation keeps models to itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from iseg3d_ros.scenes.catalogue import LIBRARIES, by_role, default_file, furniture
from iseg3d_ros.scenes.mesh import Material, Mesh, box, sphere
from iseg3d_ros.scenes.model_roles import Entry, role
from iseg3d_ros.scenes.prepare import Item, attribution, decimate, prepare, splits, write_models


def item(name: str, part: str = "chair", texture: bool = False) -> Item:
    body = box([0.5, 0.4, 0.9], (0.2, 0.4, 0.6))
    if texture:
        picture = np.arange(64, dtype=np.uint8).reshape(4, 4, 4)
        body = Mesh(body.vertices, body.faces, body.material, body.uv, (Material(texture=picture),))
    return Item(name, Entry(name, "Office", (0.5, 0.4, 0.9), 0.0), part, body, "A. Maker", "Scopia")


def test_models_come_out_as_they_went_in(tmp_path: Path) -> None:
    items = [item("plain"), item("printed", texture=True), item("desk", "desk")]
    write_models(tmp_path / "m.models", items)
    models = furniture(tmp_path / "m.models")
    assert [m.name for m in models] == ["plain", "printed", "desk"]
    for before, model in zip(items, models):
        after = model.load()
        assert np.abs(after.vertices - before.mesh.vertices).max() < 1e-4
        assert np.array_equal(after.faces, before.mesh.faces)
        assert np.abs(after.uv - before.mesh.uv).max() < 1e-3 or before.mesh.materials[0].texture is None
    texture = models[1].load().materials[0].texture
    assert texture is not None and np.array_equal(texture, items[1].mesh.materials[0].texture)
    assert models[0].load().materials[0].colour == pytest.approx((0.2, 0.4, 0.6))
    assert set(by_role(models)) == {"chair", "desk"}


def test_big_models_are_simplified_and_keep_their_shape_and_picture() -> None:
    pytest.importorskip("open3d", reason="models are simplified with Open3D, which is not installed")
    picture = np.tile(np.array([[[255, 0, 0, 255], [0, 0, 255, 255]]], np.uint8), (2, 1, 1))
    fine = sphere(0.5, sides=120, texture=picture)
    small = decimate(fine, 1000)
    assert 500 < len(small.faces) <= 4000 < len(fine.faces)
    assert np.abs(np.linalg.norm(small.vertices - [0, 0, 0.5], axis=1) - 0.5).max() < 0.02
    left = small.uv[..., 0].mean(axis=1) < 0.5  # half of the texture is red: the half with y > 0
    middle = small.vertices[small.faces].mean(axis=1)[:, 1]
    assert ((middle > 0) == left)[np.abs(middle) > 0.05].mean() > 0.97


def test_every_role_of_three_or_more_holds_models_out() -> None:
    parts = splits([item(f"chair {k}") for k in range(20)] + [item(f"desk {k}", "desk") for k in range(2)])
    assert parts[:20].count("val") == 3
    assert parts[20:] == ["train", "train"]
    assert parts == splits([item(f"chair {k}") for k in range(20)] + [item(f"desk {k}", "desk") for k in range(2)])


@pytest.mark.parametrize("content", [b"", b"foreign", b"iseg3d-models-1\n\xff"])
def test_foreign_files_are_refused_by_a_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.models"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"bad\.models: .*--prepare"):
        furniture(path)


def test_what_is_missing_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="apt-get install sweethome3d-furniture"):
        furniture(tmp_path / "nothing.models")
    with pytest.raises(RuntimeError, match="apt-get install sweethome3d-furniture"):
        prepare(tmp_path / "m.models", tmp_path)


def test_roles_tell_same_names_apart() -> None:
    def of(name: str, category: str, size: tuple[float, ...], elevation: float = 0.0, opening: bool = False) -> str:
        return role(Entry(name, category, (size[0], size[1], size[2]), elevation, opening))

    assert of("Table", "Living room", (1.4, 0.9, 0.75)) == "table"
    assert of("Table", "Living room", (1.1, 0.7, 0.45)) == "coffee table"
    assert of("Chair", "Office", (0.6, 0.6, 1.0)) == "office chair"
    assert of("Chair", "Living room", (0.4, 0.5, 0.9)) == "chair"
    assert of("Door", "Doors and windows", (0.9, 0.15, 2.1), 0, True) == "door"
    assert of("Turn window", "Doors and windows", (0.6, 0.14, 1.0), 1.04, True) == "window"
    assert of("Full bookcase", "Living room", (0.9, 0.35, 2.2)) == ""
    assert of("Coffee mug", "Kitchen", (0.08, 0.12, 0.1)) == "small"


def test_the_attribution_names_every_maker(tmp_path: Path) -> None:
    write_models(tmp_path / "m.models", [item("plain")])
    text = "\n".join(attribution(furniture(tmp_path / "m.models")[0].library.rows))
    assert "A. Maker: plain" in text and "CC-BY 3.0" in text


@pytest.mark.skipif(not default_file().is_file(), reason="the furniture models are not prepared on this machine "
                    f"(`iseg3d scenes` does it where {LIBRARIES} is installed)")
def test_the_real_catalogue_serves_every_room() -> None:
    train, val = furniture(split="train"), furniture(split="val")
    assert len(train) > 400 and len(val) > 50
    for part in ("chair", "table", "sofa", "bed", "desk", "shelf", "storage", "counter", "small"):
        assert by_role(train)[part] and by_role(val)[part]
    for model in train[::40]:
        body = model.load()
        low, high = body.bounds
        assert np.allclose(high - low, model.size, atol=0.02)
        assert abs(low[2]) < 1e-3 and body.faces.max() < len(body.vertices)
