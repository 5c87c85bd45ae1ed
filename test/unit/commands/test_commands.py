from __future__ import annotations

import argparse
import subprocess
import sys

import pytest

from iseg3d_ros import commands


def test_help_lists_commands_and_imports_none(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        commands.main(["--help"])
    assert leaving.value.code == 0
    assert "COMMAND" in capsys.readouterr().out


def test_unknown_command_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        commands.main(["segmnt"])
    assert leaving.value.code == 2
    assert "segmnt" in capsys.readouterr().err


@pytest.mark.parametrize("debug", [False, True])
def test_an_error_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], debug: bool
) -> None:
    def fail(arguments: argparse.Namespace) -> int:
        raise ValueError("The cloud is\nupside down.")

    class Parser:
        @staticmethod
        def parse_args(words: list[str]) -> argparse.Namespace:
            return argparse.Namespace(run=fail)

    monkeypatch.setattr(commands, "parser", lambda words: Parser)
    assert commands.main(["x", "--debug"] if debug else ["x"]) == 1
    error = capsys.readouterr().err
    assert error.endswith("iseg3d: The cloud is upside down.\n")
    assert ("Traceback" in error) == debug


def test_sentences_of_system_and_import_errors() -> None:
    missing = FileNotFoundError(2, "No such file or directory", "scan.ply")
    assert commands.sentence(missing) == "scan.ply: No such file or directory."
    assert "'viser'" in commands.sentence(ModuleNotFoundError("No module named 'viser'", name="viser"))


def test_the_framework_imports_nothing_heavy() -> None:
    code = (
        "import sys, iseg3d_ros.commands;"
        "heavy = {'rclpy', 'open3d', 'matplotlib', 'spconv', 'scipy'} & set(sys.modules);"
        "sys.exit(', '.join(heavy) or 0)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
