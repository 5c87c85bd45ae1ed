"""What `iseg3d support-bundle` packs, and what it leaves out."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from iseg3d_ros.commands import main


def test_a_bundle_has_versions_and_journals_and_no_cloud_unless_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ISEG3D_TOKEN", "swordfish")
    monkeypatch.setenv("ROS_DOMAIN_ID", "7")
    journal = tmp_path / "sessions" / "segmenter" / "journal"
    journal.mkdir(parents=True)
    (journal / "journal-00000001.log").write_text("clicks")
    (journal / "cloud-abc.bin").write_bytes(b"points")
    (tmp_path / "p.yaml").write_text("segmenter: {}")
    out = tmp_path / "a.zip"
    words = ["support-bundle", "--sessions", str(tmp_path / "sessions"), "--parameters", str(tmp_path / "p.yaml"), "-o"]
    assert main([*words, str(out)]) == 0
    with zipfile.ZipFile(out) as bundle:
        names = bundle.namelist()
        everything = b"".join(bundle.read(name) for name in names).decode()
        assert json.loads(bundle.read("environment.json"))["ROS_DOMAIN_ID"] == "7"
        assert b"torch==" in bundle.read("packages.txt") and json.loads(bundle.read("doctor.json"))
        assert b"cloud-abc.bin" in bundle.read("left_out.txt")
    assert {"sessions/segmenter/journal/journal-00000001.log", "parameters/p.yaml"} < set(names)
    assert "swordfish" not in everything and not any("cloud-" in name for name in names)
    assert main([*words, str(out)]) == 1 and "is there already" in capsys.readouterr().err
    assert main([*words, str(tmp_path / "b.zip"), "--clouds"]) == 0
    with zipfile.ZipFile(tmp_path / "b.zip") as bundle:
        assert "sessions/segmenter/journal/cloud-abc.bin" in bundle.namelist()
