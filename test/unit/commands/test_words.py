"""What the command line understands, before anything heavy is imported."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

from iseg3d_ros import commands
from iseg3d_ros.commands import click_arguments, completion, doctor
from iseg3d_ros.commands.export_arguments import FORMAT_NAMES
from iseg3d_ros.commands.words import joined
from iseg3d_ros.io.exports import FORMATS

HEAVY = {"torch", "numpy", "scipy", "yaml", "PIL", "rclpy", "viser", "rosbags", "laspy"}
NAMES = [name for name, _ in commands.installed()]


@pytest.mark.parametrize("words", [["--help"], *([name, "--help"] for name in NAMES), ["completion", "bash"]], ids=str)
def test_help_and_completion_import_nothing_heavy(words: list[str]) -> None:
    code = (
        "import sys\nfrom iseg3d_ros.commands import main\n"
        f"try: main({words!r})\nexcept SystemExit: pass\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout and not HEAVY & set(done.stderr.split())


def test_importing_the_package_imports_nothing() -> None:
    code = "import sys; before = set(sys.modules); import iseg3d_ros; print(*set(sys.modules) - before)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {name.split(".")[0] for name in loaded} - sys.stdlib_module_names == {"iseg3d_ros"}


def test_negative_clicks_are_values() -> None:
    assert joined(["--click", "-1,3,0.8:1", "--up", "-.5,0,1"]) == ["--click=-1,3,0.8:1", "--up=-.5,0,1"]
    after_the_end = ["a", "-o", "x", "--json", "--", "--click", "-1"]
    assert joined(after_the_end) == after_the_end


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["segmnt"], "no command 'segmnt'; did you mean segment?"),
        (["segment", "a.ply", "--clikc", "1,2,3"], "no option --clikc; did you mean --click?"),
        (["models", "--jsno"], "no option --jsno; did you mean --json?"),
        (["qqqq"], "no command 'qqqq' (iseg3d --help"),
    ],
)
def test_what_was_meant_is_offered(capsys: pytest.CaptureFixture[str], words: list[str], says: str) -> None:
    with pytest.raises(SystemExit) as leaving:
        commands.main(words)
    assert leaving.value.code == 2 and says in capsys.readouterr().err


def test_interrupted_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(arguments: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(doctor, "run", interrupt)
    assert commands.main(["doctor"]) == 130


def test_formats_on_offer_are_those_there_are() -> None:
    assert tuple(FORMATS) == FORMAT_NAMES


def completed(words: list[str]) -> list[str]:
    listed = " ".join(f"'{word}'" for word in words)
    script = f'source <(cat); COMP_WORDS=({listed}); COMP_CWORD={len(words) - 1}; _iseg3d; echo "${{COMPREPLY[@]}}"'
    text = completion.bash(completion.described())
    done = subprocess.run(["bash", "-c", script], input=text, capture_output=True, text=True, check=True)
    assert not done.stderr
    return done.stdout.split()


def test_bash_completes() -> None:
    assert completed(["iseg3d", "seg"]) == ["segment"]
    assert "--overwrite" in completed(["iseg3d", "segment", "--o"])
    assert completed(["iseg3d", "bag", "--export", "se"]) == ["semantickitti"]
    assert completed(["iseg3d", "completion", "f"]) == ["fish"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_scripts_of_other_shells_are_read_by_them(shell: str) -> None:
    text = completion.SHELLS[shell](completion.described())
    assert all(name in text for name in NAMES) and "overwrite" in text
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    assert subprocess.run([shell, "-n"], input=text, text=True, check=False).returncode == 0


def test_doctor_names_a_remedy_for_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert commands.main(["doctor", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert {"python", "torch", "device", "threads", "rclpy", "messages", "dds", "port", "folder"} <= set(rows)
    assert all(row["remedy"] for row in rows.values() if row["state"] != "ok")
    find = doctor.importlib.util.find_spec
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: None if name == "scipy" else find(name))
    monkeypatch.setenv("ROS_DOMAIN_ID", "300")
    assert commands.main(["doctor"]) == 1
    said = capsys.readouterr().out
    assert "pip install scipy" in said and "from 0 to 232" in said


def test_clicks_files_number_their_objects() -> None:
    rows = [{"point": [0, 0, 0], "object": name} for name in ("cup", 1, "", "box", "cup")]
    rows[0]["class"] = "mug"
    found = click_arguments._cloud(rows, "")
    assert [click.object for click in found.clicks] == [2, 1, 0, 3, 2]
    assert found.names == ((1, "1", ""), (2, "cup", "mug"), (3, "box", ""))
