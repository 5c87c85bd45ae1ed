"""`iseg3d segment`: checks before the work, standard input and output, folders that go on where they were."""

from __future__ import annotations

import importlib.util
import io
import json
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from iseg3d_ros.cloud import Cloud, read_cloud, write_cloud
from iseg3d_ros.commands import main, segment
from iseg3d_ros.predictor import Predictor

WALKER = ["--model", "random_walker", "--voxel-size", "0.05"]


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    (tmp_path / "scans").mkdir()
    for name in ("a", "b", "c"):
        xyz = np.concatenate([rng.normal(0, 0.1, (400, 3)) - [1, 0, 0], rng.normal(0, 0.1, (400, 3)) + [1, 0, 0]])
        write_cloud(tmp_path / "scans" / f"{name}.ply", Cloud(xyz.astype(np.float32)))
    return tmp_path / "scans"


def no_work(*_: Any, **__: Any) -> None:
    raise AssertionError("this was to be refused before any work")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--click", "0,0,0:1", "-o", "{t}/no/out.ply"], "no does not exist"),
        (["--click", "0,0,0:1", "-o", "{t}/there.ply"], "is there already"),
        (["--click", "0,0,0:1", "-o", "{t}/out.xyz"], "formats are"),
        (["--click", "0,0,0:1", "-o", "-", "--format", "kitti"], "not for standard output"),
        (["--click", "0,0,0:1", "--picture", "{t}/out.gif"], "pictures are"),
        (["--click", "0,0,0:0"], "All clicks are on the background"),
        (["--click", "0,0,0:1", "--name", "2=cup"], "no click is on it"),
        (["--clicks", "{t}/there.ply"], "is no clicks file"),
    ],
)
def test_refused_before_a_model_is_loaded(
    scans: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    (scans.parent / "there.ply").write_text("mine")
    monkeypatch.setattr(segment, "load", no_work)
    assert main(["segment", str(scans / "a.ply"), *(word.format(t=scans.parent) for word in words)]) == 1
    assert says in capsys.readouterr().err
    assert (scans.parent / "there.ply").read_text() == "mine"


def test_far_clicks_are_refused_before_encoding(
    scans: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Predictor, "encode", no_work)
    assert main(["segment", str(scans / "a.ply"), *WALKER, "--click", "-99,0,0:1"]) == 1
    assert "97.6 m from the nearest point" in capsys.readouterr().err


@pytest.mark.parametrize("click", ["nan,0,0:1", "inf,0,0", "-inf,0,0"])
def test_numbers_must_be_finite(scans: Path, capsys: pytest.CaptureFixture[str], click: str) -> None:
    with pytest.raises(SystemExit) as leaving:
        main(["segment", str(scans / "a.ply"), f"--click={click}"])
    assert leaving.value.code == 2 and "must be finite" in capsys.readouterr().err


def test_negative_click_names_and_overwrite(scans: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = scans.parent / "o.npz"
    words = ["segment", str(scans / "a.ply"), *WALKER, "--click", "-1,0,0:1", "--click", "1,0,0:0"]
    assert main([*words, "--name", "1=cup:mug", "-o", str(out)]) == 0
    assert "object 1 (cup): " in capsys.readouterr().out
    with np.load(out) as file:
        assert list(file["object_names"]) == ["cup"] and list(file["object_classes"]) == ["mug"]
    assert main([*words, "-o", str(out)]) == 1
    assert main([*words, "-o", str(out), "--overwrite"]) == 0
    with np.load(out) as file:
        assert list(file["object_names"]) == ["1"]


def test_standard_input_and_output(
    scans: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes], tmp_path: Path
) -> None:
    stdin = types.SimpleNamespace(buffer=io.BytesIO((scans / "a.ply").read_bytes()))
    monkeypatch.setattr(segment.sys, "stdin", stdin)
    assert main(["segment", "-", *WALKER, "--click", "-1,0,0:1", "--click", "1,0,0:0", "-o", "-", "--json"]) == 0
    printed = capfdbinary.readouterr()
    (tmp_path / "back.ply").write_bytes(printed.out)
    labels = read_cloud(tmp_path / "back.ply").labels
    assert labels is not None and (labels[:400] == 1).mean() > 0.8 and not labels[400:].any()
    assert json.loads(printed.err)["points"] == 800


def clicks_file(scans: Path, second: float = 1.0) -> Path:
    rows = [{"point": [-1, 0, 0], "object": "cup"}, {"point": [1, 0, 0], "object": ""}]
    other = [{"point": [second, 0, 0], "object": "box"}]
    path = scans.parent / "clicks.json"
    path.write_text(json.dumps({"a.ply": rows, "b.ply": other, "c.ply": rows}))
    return path


def test_a_folder_goes_on_where_it_was(
    scans: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = scans.parent / "out"
    words = ["segment", str(scans), "--clicks", str(clicks_file(scans)), "-o", str(out), *WALKER]
    encode, calls = Predictor.encode, []

    def encode_two(self: Predictor, *given: Any) -> Any:
        calls.append(given)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return encode(self, *given)

    monkeypatch.setattr(Predictor, "encode", encode_two)
    assert main(words) == 130
    assert sorted(path.name for path in out.glob("*.ply")) == ["a.ply", "b.ply"]
    with (out / "segment.jsonl").open("a") as stream:
        stream.write('{"output": "c.p')  # as a kill leaves it
    assert main(words) == 0
    assert len(calls) == 4, "the third alone is made anew"
    assert "3 clouds, 1 of them new" in capsys.readouterr().err
    assert main(words) == 0 and len(calls) == 4
    # Other clicks: what is there is of the earlier ones, and stays unless it may be replaced.
    clicks_file(scans, second=0.9)
    before = (out / "b.ply").read_bytes()
    assert main(words) == 1 and len(calls) == 4
    assert "b.ply is there already" in capsys.readouterr().err and (out / "b.ply").read_bytes() == before
    assert main([*words, "--overwrite", "--json"]) == 0 and len(calls) == 5
    assert json.loads(capsys.readouterr().out)["names"] == {"1": "box"}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('[{"point": [0, 0, 0], "object": 1}]', "does not say which cloud"),
        ('{"z.ply": [{"point": [0, 0, 0], "object": 1}]}', "z.ply, which is not in"),
        ('{"a.ply": [{"point": [0, 0], "object": 1}]}', "is no clicks file"),
        ('{"a.ply": [{"point": [0, 0, 0], "object": ""}]}', "no click on an object"),
    ],
)
def test_a_folder_is_checked_before_the_work(
    scans: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], content: str, says: str
) -> None:
    monkeypatch.setattr(segment, "load", no_work)
    (scans.parent / "clicks.json").write_text(content)
    out = scans.parent / "out"
    assert main(["segment", str(scans), "--clicks", str(scans.parent / "clicks.json"), "-o", str(out)]) == 1
    assert says in capsys.readouterr().err and not out.exists()


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed")
def test_a_cluster_makes_the_same_of_a_folder_and_goes_on_where_it_was(
    scans: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], two_workers: None
) -> None:
    clicks, here, there = str(clicks_file(scans)), scans.parent / "here", scans.parent / "there"
    words = ["segment", str(scans), "--clicks", clicks, *WALKER, "-o"]
    assert main([*words, str(here)]) == 0 == main([*words, str(there), "--ray"])
    assert "3 clouds, 3 of them new" in capsys.readouterr().err
    for path in here.glob("*.ply"):
        assert (there / path.name).read_bytes() == path.read_bytes()
    (there / "b.ply").unlink()
    assert main([*words, str(there), "--ray"]) == 0
    assert "3 clouds, 1 of them new" in capsys.readouterr().err
    assert (there / "b.ply").read_bytes() == (here / "b.ply").read_bytes()
