"""Launch files: what can be said without the launch package, and with it where it is installed."""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path

import pytest
import yaml

from iseg3d_ros.commands.run import NODES
from iseg3d_ros.io import package_files as paths

FILES = sorted((paths.share_dir() / "launch").glob("*.launch.py"))
# Not `launch` as well: this repository's folder of that name would pass for it.
HAS_LAUNCH = bool(importlib.util.find_spec("launch_ros"))


def test_the_launch_files_are_there() -> None:
    assert {path.name for path in FILES} == {"segment.launch.py", "rgbd.launch.py", "demo.launch.py"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_launch_file_starts_nodes_that_exist(path: Path) -> None:
    text = path.read_text()
    ast.parse(text)
    assert "def generate_launch_description() -> LaunchDescription:" in text
    started = re.findall(r'\bnode\(\s*"(\w+)"|executable="(\w+)"', text)
    assert {name for pair in started for name in pair if name} - {"rviz2"} <= set(NODES)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_configuration_that_a_launch_file_names_exists(path: Path) -> None:
    for name in re.findall(r'"(\w+\.(?:yaml|rviz))"', path.read_text()):
        assert (paths.config_dir() / name).is_file(), name


def test_launch_arguments_are_parameters_of_the_segmenter() -> None:
    known = yaml.safe_load((paths.config_dir() / "segmenter.yaml").read_text())["/**/segmenter"]["ros__parameters"]
    assert {"autostart", "model", "device", "target_frame"} <= set(known)


@pytest.mark.skipif(not HAS_LAUNCH, reason="launch_ros is not installed (it is not on PyPI)")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_launch_file_describes_something(path: Path) -> None:
    spec = importlib.util.spec_from_file_location("launch_file", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.generate_launch_description().entities


def test_rviz_has_a_click_tool_for_every_meaning() -> None:
    view = yaml.safe_load((paths.config_dir() / "segment.rviz").read_text())["Visualization Manager"]
    tools = [tool for tool in view["Tools"] if tool["Class"] == "rviz_default_plugins/PublishPoint"]
    assert [tool["Topic"]["Value"] for tool in tools] == [
        f"/segmenter/click/{meaning}" for meaning in ("positive", "negative", "new_object")
    ]
    assert not any(tool["Single click"] for tool in tools), "the tool must stay in hand after a click"
