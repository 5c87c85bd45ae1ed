"""The papers' tables as their files describe them, and where the data sets are that they are about."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from iseg3d_ros.models.checkpoint import read_card

PAPERS = ("interobject3d", "clickenhance", "npiseg3d", "e2i3d", "fewclick")
FILES = Path(__file__).parent / "papers"
# Folders that a data set is looked for in, in small letters, and the kind of made scene that stands in for it.
FOLDERS = {
    "scannet40": (("scannet", "scannetv2", "scannet40", "scannet20"), "room"),
    "s3dis": (("s3dis", "stanford3d", "stanford3ddataset_v1.2_aligned_version"), "room"),
    "replica": (("replica",), "room"),
    "kitti360": (("kitti360", "kitti-360"), "street"),
    "semantickitti": (("semantickitti", "semantic_kitti"), "street"),
    "partnet": (("partnet", "data_v0"), "object"),
}
REAL_VOXEL = 0.05  # metres: what the papers evaluate at; made scenes are measured at the model's own size
# ScanNet's 20 benchmark classes, by their names of the 40
SEEN = (
    "wall", "floor", "cabinet", "bed", "chair", "sofa", "table", "door", "window", "bookshelf", "picture", "counter",
    "desk", "curtain", "refridgerator", "shower curtain", "toilet", "sink", "bathtub", "otherfurniture",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """A method's row: which weights it needs and how they are made, or why it is not run; the paper's own figures."""

    model: str = ""
    shipped: str = ""  # name of shipped weights that stand in, where it differs from the model's
    train: str = ""
    why: str = ""
    paper: dict[str, list[float]] = field(default_factory=dict)
    at: int = 0  # clicks an object, in the columns' {at}
    subset: str = ""  # seen, unseen, or a class
    adapt: bool = False
    temperature: float | None = None
    samples: int | None = None


@dataclass(frozen=True)
class Table:
    """One table, or one figure whose curves are drawn over `curve` clicks."""

    id: str
    caption: str
    columns: list[str]
    data: dict[str, str]
    rows: dict[str, Row]
    protocol: str = "multi"
    rule: str = "agile3d"
    curve: int = 0
    note: str = ""


@dataclass(frozen=True)
class Place:
    """Where a data set's evaluation part is; `made`: scenes of ours in its stead."""

    path: str
    made: bool


def tables_of(paper: str) -> list[Table]:
    """The tables of one of PAPERS."""
    content: dict[str, dict[str, Any]] = yaml.safe_load((FILES / f"{paper}.yaml").read_text(encoding="utf-8"))
    return [
        Table(id=name, **{**values, "rows": {row: Row(**given) for row, given in values["rows"].items()}})
        for name, values in content.items()
    ]


def place_of_set(name: str, protocol: str, root: Path | None, made: Path) -> Place:
    """The data set in a folder of data sets (AGILE3D's lists before the raw data), or made scenes of its kind."""
    names, kind = FOLDERS[name]
    for folder in sorted(root.iterdir()) if root and root.is_dir() else ():
        if folder.name.lower() in names:
            lists = folder / "single" if protocol == "single" else folder
            if any((lists / file).is_file() for file in ("val_list.json", "object_ids.npy")):
                return Place(f"agile3d:{lists}", False)
            return Place(f"{name}:{folder}", False)
    return Place(f"scenes:{made / kind}", True)


def weights_of(row: Row, trained: Path, shipped: Path) -> tuple[str, str]:
    """What to load and what to call it: weights trained by the row's recipe before shipped ones; "" where none are."""
    own = [
        file for file in sorted((trained / row.model).glob("*.safetensors"))
        if file.stem not in ("state", "best")
    ]  # fmt: skip
    if own:
        return str(own[0]), str(own[0])
    name = row.shipped or row.model
    if (shipped / f"{name}.safetensors").is_file():
        return name, f"shipped {name}{_ours(shipped / f'{name}.safetensors')}"
    return "", ""


def _ours(file: Path) -> str:
    """What the weights have beyond the paper, by their card."""
    settings = read_card(file)["settings"]
    on = [name for name in ("relation", "fades") if settings.get(name)]
    on += ["another decoder"] if settings.get("decoder") == "two_way" else []
    on += ["several cubes"] if settings.get("click_map") == "cube" and len(settings.get("cubes", ())) > 1 else []
    return f", with our own {', '.join(on)}" if on else ""
