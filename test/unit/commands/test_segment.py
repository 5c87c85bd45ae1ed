from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from iseg3d_ros.cloud import Cloud, read_cloud, write_cloud
from iseg3d_ros.commands import main


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    xyz = np.concatenate([rng.normal(0, 0.1, (800, 3)), rng.normal(0, 0.1, (800, 3)) + [1.5, 0, 0]])
    write_cloud(tmp_path / "scan.ply", Cloud(xyz.astype(np.float32), None, np.ones(1600, np.float32)))
    return tmp_path / "scan.ply"


OPTIONS = ["--model", "random_walker", "--voxel-size", "0.05", "--click", "0,0,0:1", "--click", "1.5,0,0:0"]


def test_labels_and_picture_are_written(scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, image = tmp_path / "out.ply", tmp_path / "out.png"
    assert main(["segment", str(scan), *OPTIONS, "-o", str(out), "--picture", str(image)]) == 0
    labelled = read_cloud(out)
    assert labelled.labels is not None
    assert (labelled.labels[:800] == 1).mean() > 0.8
    assert not labelled.labels[800:].any()
    assert (labelled.intensity == 1).all()
    assert image.stat().st_size > 1000
    assert "object 1:" in capsys.readouterr().out


def test_json_is_all_that_is_printed(scan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["segment", str(scan), *OPTIONS, "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["model"] == "random_walker"
    assert figures["points"] == 1600
    assert figures["objects"]["1"] > 600


def test_parts_of_an_object(scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels, parts = tmp_path / "labels.ply", tmp_path / "parts.npz"
    assert main(["segment", str(scan), *OPTIONS, "--within", "1"]) == 1
    assert "segment the object first" in capsys.readouterr().err
    assert main(["segment", str(scan), *OPTIONS, "-o", str(labels)]) == 0
    own = read_cloud(labels).labels == 1
    words = ["--model", "random_walker", "--click=-0.1,0,0:1", "--click", "0.1,0,0:2", "--within", "1"]
    assert main(["segment", str(labels), *words, "-o", str(parts)]) == 0
    found = read_cloud(parts).labels
    assert not found[~own].any()
    assert {1, 2} <= set(np.unique(found[own])) <= {0, 1, 2}


def test_negative_coordinates_and_label_files(scan: Path, tmp_path: Path) -> None:
    assert (
        main(["segment", str(scan), "--model", "random_walker", "--click=-0.05,0,0:2", "-o", f"{tmp_path}/o.label"])
        == 0
    )
    packed = np.fromfile(tmp_path / "o.label", "<u4")
    assert set(packed >> 16) <= {0, 2}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--click", "99,0,0:1"], "nearest point"),
        (["--click", "0,0,0:1", "--model", "nothing"], "no weights called 'nothing'"),
        (["--click", "0,0,0:1", "-o", "out.xyz"], "formats are"),

    ],
)
def test_faults_are_one_sentence(scan: Path, capsys: pytest.CaptureFixture[str], words: list[str], says: str) -> None:
    model = [] if "--model" in words else ["--model", "random_walker"]
    assert main(["segment", str(scan), *model, *words]) == 1
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("click", ["1,2:1", "1,2,x:1", "1,2,3:-1", "1,2,3:cup"])
def test_clicks_that_cannot_be_read(scan: Path, capsys: pytest.CaptureFixture[str], click: str) -> None:
    with pytest.raises(SystemExit):
        main(["segment", str(scan), "--click", click])
    assert "argument --click: '1,2" in capsys.readouterr().err


def test_models_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    names = {row["name"] for row in rows}
    assert {"e2i3d", "agile3d", "interobject3d", "clickenhance", "npiseg3d", "fewclick", "random_walker"} <= names
    assert all({"name", "preset", "parameters", "weights", "paper", "options"} == set(row) for row in rows)
    paper = next(row for row in rows if row["name"] == "e2i3d" and row["preset"] == "paper")
    assert 35e6 < paper["parameters"] < 45e6
    assert main(["models"]) == 0
    shown = capsys.readouterr().out
    assert "random_walker" in shown
    assert "click_map distance" in shown


def test_bench_prints_figures(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import types

    from iseg3d_ros.commands import bench

    def measure(size: int = 1) -> dict[str, float]:
        print("working")
        return {"seconds": 0.5 * size}

    monkeypatch.setattr(bench, "benchmarks", lambda: ["sleep"])
    monkeypatch.setattr(bench.importlib, "import_module", lambda name: types.SimpleNamespace(run=measure))
    parser = __import__("argparse").ArgumentParser()
    bench.add(parser.add_subparsers())
    arguments = parser.parse_args(["bench", "sleep", "--json", "--option", "size=4"])
    assert arguments.run(arguments) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {"seconds": 2.0}
    assert "working" in printed.err
    wrong = parser.parse_args(["bench", "sleep", "--option", "colour=red"])
    with pytest.raises(ValueError, match="does not take these options"):
        wrong.run(wrong)
