"""The papers' tables: their files, and the engine on tiny data, with pretend outcomes where only the layout matters."""

from __future__ import annotations

import csv
import importlib.util
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from data_layouts import blocks, scannet

from iseg3d_ros.commands import main, parser
from iseg3d_ros.commands.train import _config
from iseg3d_ros.data.folder import LabelledCloud, write_scene
from iseg3d_ros.evaluation import run, tables
from iseg3d_ros.evaluation.metrics import Row as Measured
from iseg3d_ros.evaluation.paper_data import FOLDERS, PAPERS, Row, Table, place_of_set, tables_of, weights_of
from iseg3d_ros.evaluation.protocol import Outcome
from iseg3d_ros.evaluation.tables import Maker, make
from iseg3d_ros.models import checkpoint
from iseg3d_ros.models.build import build, settings_of

SMALL = {"planes": (4,) * 8, "stem": 4, "width": 8, "heads": 1, "ffn": 8, "layers": 1}


@pytest.mark.parametrize("paper", PAPERS)
def test_a_paper_s_file_is_whole(paper: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).resolve().parents[3])
    for table in tables_of(paper):
        assert table.data.keys() <= FOLDERS.keys() and table.rows
        for label, row in table.rows.items():
            where = (paper, table.id, label)
            assert bool(row.model and row.train) or row.why, where
            for name, figures in row.paper.items():
                assert name in table.data and 0 < len(figures) <= len(table.columns), where
                assert all(np.isfinite(figures)) and all(0 <= value <= 1300 for value in figures), where
            if row.train and not row.why:
                words = shlex.split(row.train)
                config = _config(parser(words[1:]).parse_args(words[1:]))
                settings_of(config.network, config.preset, **config.options)
                made = Path(config.out).relative_to("runs/paper")
                size = config.prune.parameters or "whole"
                ends = [made / f"e2i3d_{size}", made / f"pruned_{size}"] if config.then else [made]
                assert Path(row.model) in ends or row.shipped, where


def test_figures_of_the_papers_are_those_that_were_printed() -> None:
    rows = {table.id: table.rows for table in tables_of("e2i3d")}
    assert rows["tab1"]["E²I3D 13.0M"].paper["kitti360"] == [47.8, 53.2, 56.6, 13.7, 14.8, 16.0]
    assert rows["tab2"]["AGILE3D 39.3M"].paper["s3dis"] == [86.3, 88.3, 90.3, 3.4, 5.7, 9.6]
    assert len(rows["tab1"]) == len(rows["tab2"]) == 12


def weights(folder: Path) -> Path:
    torch.manual_seed(0)
    checkpoint.save(folder / "agile3d" / "agile3d.safetensors", build(settings_of("agile3d", "paper", **SMALL)))
    return folder


def made_scenes(folder: Path) -> Path:
    for k in range(2):
        xyz, rgb, instance = blocks(k)
        cloud = LabelledCloud(f"r{k}", xyz, rgb, None, instance, ("box", "box"), "room", np.zeros(3), "val")
        write_scene(folder / "room" / f"r{k}.scene", cloud)
        write_scene(folder / "street" / f"r{k}.scene", replace(cloud, kind="street"))
        write_scene(folder / "object" / f"r{k}.scene", replace(cloud, kind="object"))
    return folder


def maker(root: Path, data: Path | None = None) -> Maker:
    return Maker(data, made_scenes(root / "made"), weights(root / "runs"), root / "none", root, 2, workers=0)


SETS = {"scannet40": "ScanNet", "s3dis": "S3DIS"}
TABLE = Table("tab1", "Tab. 1: a table", ["IoU@1", "NoC@80", "parameters"], SETS, {
    "AGILE3D": Row("agile3d", train="iseg3d train x", paper={"scannet40": [71.5, 9.6, 39.3]}),
    "Point-SAM": Row(why="foreign baseline", paper={"s3dis": [66.6, 5.0]}),
    "NPISeg3D": Row("npiseg3d", train="iseg3d train y"),
})  # fmt: skip


def test_a_table_says_what_was_measured_on_what_with_what(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data" / "ScanNet").mkdir(parents=True)
    scannet(tmp_path / "data" / "ScanNet")
    first = maker(tmp_path, tmp_path / "data")
    done = make(first, TABLE)
    text = done.markdown()
    assert f"**ScanNet**: ours on scannet40:{tmp_path}/data/ScanNet" in text
    assert "**S3DIS**: ours on made scenes" in text
    assert "paper's figure, not run: foreign baseline" in text and "no weights yet: `iseg3d train y`" in text
    assert "/ *71.5*" in text and "/ *66.6*" in text and str(tmp_path / "runs/agile3d/agile3d.safetensors") in text
    rows = list(csv.DictReader(tables.csv_of([done]).splitlines()))
    assert len(rows) == 2 * 3 * 3
    mine = [row for row in rows if row["method"] == "AGILE3D" and row["figure"] == "IoU@1"]
    assert [row["measured on"] for row in mine] == ["real", "made"] and all(float(row["ours"]) >= 0 for row in mine)
    assert mine[0]["low"] == "" and float(mine[1]["low"]) <= float(mine[1]["ours"]) <= float(mine[1]["high"])
    monkeypatch.setattr(run, "_evaluated", lambda model, parts, *_: (pytest.fail("measured twice") for _ in parts))
    again = replace(first, _done={})  # as another process would begin
    assert make(again, TABLE).markdown() == text


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed")
def test_a_cluster_measures_the_same(two_workers: None, tmp_path: Path) -> None:
    here = maker(tmp_path)
    there = replace(here, _done={}, out=tmp_path / "there", ray="local")
    assert make(there, TABLE).markdown() == make(here, TABLE).markdown()


def outcome(name: str, iou: float) -> Outcome:
    return Outcome(name, 1, [Measured(0, (0.0,)), Measured(1, (iou,))], [(1.0,)], 0.5, [0.25])


def test_classes_of_single_objects(tmp_path: Path) -> None:
    place = scannet(tmp_path)
    found = [outcome("scene0011_00 #1", 0.5), outcome("scene0011_00 #2", 0.7)]
    assert tables.of_class(found, "seen", place) == found == tables.of_class(found, "chair", place)
    assert tables.of_class(found, "unseen", place) == [] == tables.of_class(found, "table", place)


def test_intervals_are_over_scenes() -> None:
    found = [outcome("a #1", 0.2), outcome("a #2", 0.4), outcome("b #1", 0.9)]
    shown = tables.cell("IoU@1", found, {"IoU@1": 50.0}, 60.0)
    assert (shown.low, shown.high) == pytest.approx((30.0, 90.0))
    assert shown.text() == "50.0 (30.0–90.0) / *60*"
    assert tables.cell("AP@1", found, {}, np.nan).text() == "–"


def test_weights_of_the_recipe_come_before_shipped_ones(tmp_path: Path) -> None:
    shipped = weights(tmp_path / "shipped") / "agile3d"
    row = Row("agile3d", train="x")
    assert weights_of(row, tmp_path / "none", shipped) == ("agile3d", "shipped agile3d")
    file = str(weights(tmp_path / "runs") / "agile3d" / "agile3d.safetensors")
    assert weights_of(row, tmp_path / "runs", shipped) == (file, file)
    assert weights_of(replace(row, model="fewclick"), tmp_path / "runs", shipped) == ("", "")


def test_agile3d_s_lists_come_before_the_raw_data(tmp_path: Path) -> None:
    (tmp_path / "ScanNet" / "single").mkdir(parents=True)
    assert place_of_set("scannet40", "multi", tmp_path, tmp_path).path == f"scannet40:{tmp_path}/ScanNet"
    (tmp_path / "ScanNet" / "val_list.json").write_text("{}")
    (tmp_path / "ScanNet" / "single" / "object_ids.npy").write_bytes(b"")
    assert place_of_set("scannet40", "multi", tmp_path, tmp_path).path == f"agile3d:{tmp_path}/ScanNet"
    assert place_of_set("scannet40", "single", tmp_path, tmp_path).path == f"agile3d:{tmp_path}/ScanNet/single"
    assert place_of_set("partnet", "multi", None, tmp_path / "made").path == f"scenes:{tmp_path}/made/object"


def test_the_command_leaves_text_figures_and_curves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["tables", "fewclick", "--only", "fig4", "--made", str(made_scenes(tmp_path / "made"))]
    words += ["--out", str(tmp_path), "--weights", str(weights(tmp_path / "runs"))]
    words += ["--quick", "--workers", "0", "--budget", "1"]
    assert main([*words, "--device", "cpu", "--shipped", str(tmp_path / "none")]) == 0
    assert "Fig. 4" in (tmp_path / "fewclick.md").read_text() and "fig4" in (tmp_path / "fewclick.csv").read_text()
    assert "ours with at most 1 clicks an object, the papers' with 20" in (tmp_path / "fewclick.md").read_text()
    assert (tmp_path / "fewclick_fig4_scannet40.png").stat().st_size > 5000
    assert main(["tables", "pointsam"]) == 1
    assert "the papers are" in capsys.readouterr().err
