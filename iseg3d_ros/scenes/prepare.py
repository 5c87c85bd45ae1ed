"""Makes the one compact furniture file out of the package's libraries: metric, decimated, textures made small."""

from __future__ import annotations

import json
import os
import re
import struct
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from iseg3d_ros.scenes.catalogue import HOW_TO_GET, MAGIC
from iseg3d_ros.scenes.mesh import Mesh
from iseg3d_ros.scenes.model_roles import Entry, role
from iseg3d_ros.scenes.obj import Archive, read_obj

BUDGET = {"small": 2500, "desk thing": 2000, "appliance": 2000, "tree": 9000, "hedge": 5000, "plant": 4000,
          "person": 3500, "car": 5000, "truck": 5000}
FACES = 2500  # a piece of furniture at 1.5 cm points does not show more
STRETCH = 2.0  # models whose catalogue size would stretch them more are of another shape than it says
KEPT_AREA = 0.8  # share of its surface that a simplified model must keep
HELD_OUT = 0.14  # share of each role's models that only validation scenes use
LICENCES = {"BlendSwap-CC-0": "CC0 1.0", "BlendSwap-CC-BY": "CC-BY 3.0", "KatorLegaz": "CC-BY 3.0 US",
            "Reallusion": "CC-BY 3.0 US", "Scopia": "CC-BY 3.0"}


@dataclass(frozen=True)
class Item:
    """A model as prepared, with what its author is owed."""

    identifier: str
    entry: Entry
    role: str
    mesh: Mesh
    creator: str
    library: str


def read_catalogue(archive: Archive) -> list[dict[str, str]]:
    """The entries of a furniture library's properties file (latin-1, keys end in #N)."""
    content = archive.read("PluginFurnitureCatalog.properties")
    entries: dict[int, dict[str, str]] = defaultdict(dict)
    for line in (content or b"").decode("latin-1").splitlines():
        found = re.match(r"^([A-Za-z]+)#(\d+)\s*=\s*(.*)$", line)
        if found:
            entries[int(found[2])][found[1]] = found[3].strip()
    return [entries[number] for number in sorted(entries) if "model" in entries[number]]


def prepare(target: str | os.PathLike[str], libraries: str | os.PathLike[str],
            progress: Callable[[int, int], None] = lambda done, total: None) -> list[Item]:
    """Reads every library (*.sh3f) in a folder and writes the compact file; a few minutes, once."""
    paths = sorted(Path(libraries).glob("*.sh3f")) if Path(libraries).is_dir() else []
    if not paths:
        raise RuntimeError(f"{libraries}: holds no furniture library (*.sh3f); {HOW_TO_GET}")
    items: list[Item] = []
    archives = [(path.stem, Archive(str(path))) for path in paths]
    work = [(name, archive, fields) for name, archive in archives for fields in read_catalogue(archive)]
    for done, (name, archive, fields) in enumerate(work):
        item = _item(name, archive, fields)
        if item is not None:
            items.append(item)
        progress(done + 1, len(work))
    write_models(target, items)
    return items


def _item(library: str, archive: Archive, fields: dict[str, str]) -> Item | None:
    size = tuple(float(fields.get(k, 0)) / 100 for k in ("width", "depth", "height"))
    entry = Entry(fields.get("name", ""), fields.get("category", ""), (size[0], size[1], size[2]),
                  float(fields.get("elevation", 0) or 0) / 100, fields.get("doorOrWindow") == "true")
    part = role(entry)
    body = read_obj(archive, fields["model"]) if part else None
    if body is None:
        return None
    body = _metric(body, fields.get("modelRotation"), size)
    if body is None:
        return None
    body = decimate(body, BUDGET.get(part, FACES))
    return Item(fields.get("id", entry.name), entry, part, body, fields.get("creator", "unknown"), library)


def _metric(body: Mesh, rotation: str | None, size: tuple[float, ...]) -> Mesh | None:
    """Turned, stretched to the catalogue's size, z up, standing on the origin; None where it does not fit its size."""
    vertices = body.vertices
    if rotation:
        vertices = vertices @ np.array(rotation.split(), np.float32).reshape(3, 3).T
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    factors = np.array([size[0], size[2], size[1]]) / np.maximum(high - low, 1e-6)
    solid = (high - low) > 1e-3 * (high - low).max()  # a flat side can take any factor
    if factors[solid].max() > STRETCH * factors[solid].min():
        return None
    vertices = (vertices - [*((low + high) / 2)[:1], low[1], *((low + high) / 2)[2:]]) * factors
    return replace(body, vertices=np.stack([vertices[:, 0], -vertices[:, 2], vertices[:, 1]], 1).astype(np.float32))


def decimate(body: Mesh, budget: int) -> Mesh:
    """At most about `budget` faces: leaves (see-through textures) are thinned out and grown, the rest is simplified."""
    if len(body.faces) <= budget:
        return body
    clear = np.array([m.texture is not None and bool((m.texture[..., 3] < 128).mean() > 0.02) for m in body.materials])
    leaf = clear[body.material]
    share = budget / len(body.faces)
    parts = [_thinned(_subset(body, leaf), share)] if leaf.any() else []
    if not leaf.all():
        solid = _subset(body, ~leaf)
        parts.append(_simplified(solid, max(int(len(solid.faces) * share), 12)))
    faces = np.concatenate([p.faces + s for p, s in zip(parts, np.cumsum([0] + [len(p.vertices) for p in parts]))])
    return Mesh(np.concatenate([p.vertices for p in parts]), faces.astype(np.int32),
                np.concatenate([p.material for p in parts]), np.concatenate([p.uv for p in parts]), body.materials)


def _subset(body: Mesh, keep: np.ndarray) -> Mesh:
    used, index = np.unique(body.faces[keep], return_inverse=True)
    return replace(body, vertices=body.vertices[used], faces=index.reshape(-1, 3).astype(np.int32),
                   material=body.material[keep], uv=body.uv[keep])


def _thinned(leaves: Mesh, share: float) -> Mesh:
    """A share of the faces, in pairs (a leaf is mostly one quad), each grown so that the foliage stays as dense."""
    pairs = np.arange(len(leaves.faces)) // 2
    keep = np.random.default_rng(0).random(pairs.max() + 1)[pairs] < share
    if not keep.any():
        keep[:2] = True
    corner = leaves.vertices[leaves.faces[keep]]
    pair = np.unique(pairs[keep], return_inverse=True)[1]
    centre = np.stack([np.bincount(pair, corner.mean(1)[:, k]) for k in range(3)], 1) / np.bincount(pair)[:, None]
    grown = centre[pair][:, None] + (corner - centre[pair][:, None]) * min(share ** -0.5, 2.5)
    faces = np.arange(3 * len(corner), dtype=np.int32).reshape(-1, 3)
    return replace(leaves, vertices=grown.reshape(-1, 3).astype(np.float32), faces=faces,
                   material=leaves.material[keep], uv=leaves.uv[keep])


def _simplified(body: Mesh, budget: int) -> Mesh:
    """Quadric decimation; materials and texture corners are those of the nearest places on the full mesh."""
    import open3d as o3d

    full = o3d.geometry.TriangleMesh(o3d.utility.Vector3dVector(body.vertices.astype(float)),
                                     o3d.utility.Vector3iVector(body.faces))
    full = full.remove_duplicated_vertices().remove_degenerate_triangles()
    area = full.get_surface_area()
    for more in (1, 2, 4):  # loose parts vanish first: what loses too much of its surface is given more faces
        small = full.simplify_quadric_decimation(budget * more)
        if small.get_surface_area() > KEPT_AREA * area:
            break
    vertices, faces = np.asarray(small.vertices, np.float32), np.asarray(small.triangles, np.int32)
    if len(faces) == 0:
        return body
    material, uv = _transferred(body, vertices[faces])
    return _subset(replace(body, vertices=vertices, faces=faces, material=material, uv=uv), np.ones(len(faces), bool))


def _transferred(body: Mesh, corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Material of each new face at its middle; uv at its corners where they lie on the same material and patch."""
    import open3d as o3d

    scene = o3d.t.geometry.RaycastingScene()
    scene.add_triangles(o3d.core.Tensor(body.vertices), o3d.core.Tensor(body.faces.astype(np.uint32)))
    middle = corners.mean(axis=1, keepdims=True)
    # Corners are asked for a little inside the face, where its own patch of the texture is the nearest.
    query = np.concatenate([middle, corners + 0.2 * (middle - corners)], axis=1).astype(np.float32)
    near = scene.compute_closest_points(o3d.core.Tensor(query.reshape(-1, 3)))
    face = near["primitive_ids"].numpy().astype(np.int64).reshape(-1, 4)
    weight = near["primitive_uvs"].numpy().reshape(-1, 4, 2)
    a, b, c = (body.uv[face, k] for k in range(3))
    uv = a + (b - a) * weight[..., :1] + (c - a) * weight[..., 1:]
    same = (body.material[face[:, 1:]] == body.material[face[:, :1]]) & (np.ptp(uv, axis=1).max(axis=1) < 0.5)[:, None]
    return body.material[face[:, 0]], np.where(same[..., None], uv[:, 1:], uv[:, :1]).astype(np.float32)


def splits(items: list[Item]) -> list[str]:
    """Which models validation keeps to itself: the same share of every role with three models or more."""
    out = ["train"] * len(items)
    for part in sorted({i.role for i in items}):
        members = sorted((k for k, i in enumerate(items) if i.role == part), key=lambda k: items[k].identifier)
        count = max(1, round(HELD_OUT * len(members))) if len(members) >= 3 else 0
        for k in np.random.default_rng(len(members)).choice(members, count, replace=False) if count else ():
            out[k] = "val"
    return out


def write_models(target: str | os.PathLike[str], items: list[Item]) -> None:
    """Writes the compact file whole or not at all."""
    rows, textures, pieces = _tables(items)
    header = {"models": rows, "textures": textures, "bytes": {k: sum(len(p) for p in v) for k, v in pieces.items()}}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(len(MAGIC) + 4 + len(text)) % 64)
    path = Path(target)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    with temporary.open("wb") as file:
        file.write(MAGIC + struct.pack("<I", len(text)) + text)
        for piece in pieces.values():
            file.writelines(piece)
    os.replace(temporary, path)


def _tables(items: list[Item]) -> tuple[list[dict], list[list[int]], dict[str, list[bytes]]]:
    pieces: dict[str, list[bytes]] = {k: [] for k in ("vertices", "faces", "material", "uv", "texels")}
    pictures: dict[bytes, int] = {}
    textures: list[list[int]] = []
    rows, at = [], {"vertices": 0, "faces": 0, "uv": 0, "texels": 0}

    def texture(picture: np.ndarray | None) -> int:
        if picture is None:
            return -1
        content = picture.tobytes()
        if content not in pictures:
            pictures[content] = len(textures)
            textures.append([at["texels"], *picture.shape[:2]])
            pieces["texels"].append(content)
            at["texels"] += len(content)
        return pictures[content]

    for item, split in zip(items, splits(items)):
        rows.append(_row(item, split, at, pieces, texture))
    return rows, textures, pieces


def _row(item: Item, split: str, at: dict[str, int], pieces: dict[str, list[bytes]],
         texture: Callable[[np.ndarray | None], int]) -> dict[str, Any]:
    body, (low, high) = item.mesh, item.mesh.bounds
    used, material = np.unique(body.material, return_inverse=True)
    materials = [body.materials[k] for k in used]
    textured = any(m.texture is not None for m in materials)
    quantised = np.round((body.vertices - low) / np.maximum(high - low, 1e-9) * 65535)
    count, faces = len(body.vertices), len(body.faces)
    row = {"id": item.identifier, "name": item.entry.name, "category": item.entry.category, "role": item.role,
           "size": [round(float(c), 4) for c in high - low], "elevation": item.entry.elevation, "split": split,
           "low": low.tolist(), "high": high.tolist(), "vertices": [at["vertices"], at["vertices"] + count],
           "faces": [at["faces"], at["faces"] + faces], "uv": at["uv"] if textured else -1,
           "materials": [[[round(c, 3) for c in m.colour], m.opacity, texture(m.texture)] for m in materials],
           "creator": item.creator, "library": item.library}
    pieces["vertices"].append(quantised.astype("<u2").tobytes())
    pieces["faces"].append(body.faces.astype("<u2").tobytes())
    pieces["material"].append(material.astype(np.uint8).tobytes())
    at["vertices"], at["faces"] = at["vertices"] + count, at["faces"] + faces
    if textured:
        whole = np.floor(body.uv.mean(axis=1, keepdims=True))  # textures repeat: small numbers keep their precision
        pieces["uv"].append(np.clip(body.uv - whole, -1e4, 1e4).astype("<f2").tobytes())
        at["uv"] += faces
    return row


def attribution(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Lines of the attribution file: who made the models, and under which licence."""
    yield "# Attribution of the models that made scenes show"
    yield ""
    yield ("3D models of Debian's `sweethome3d-furniture` (Sweet Home 3D additional models, www.sweethome3d.com), "
           "decimated, with reduced textures. Scenes, weights and pictures made from them owe their authors this list.")
    for library in sorted({r["library"] for r in rows}):
        yield f"\n## {library} ({LICENCES.get(library, 'see the package')})\n"
        names: dict[str, set[str]] = defaultdict(set)
        for row in (r for r in rows if r["library"] == library):
            names[row["creator"]].add(row["name"])
        for creator in sorted(names):
            yield f"* {creator}: {', '.join(sorted(names[creator]))}"
