"""Launch files: what can be said without the launch package, and with it where it is installed."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

import iseg3d_ros
from iseg3d_ros.commands.run import NODES
from iseg3d_ros.io import package_files as paths

PACKAGE = Path(iseg3d_ros.__file__).parent
FILES = sorted((paths.share_dir() / "launch").glob("*.launch.py"))
# Not `launch` as well: this repository's folder of that name would pass for it.
HAS_LAUNCH = bool(importlib.util.find_spec("launch_ros"))


def test_the_launch_files_are_there() -> None:
    assert {path.name for path in FILES} == {"segment.launch.py", "rgbd.launch.py", "demo.launch.py"}


def test_launch_arguments_are_parameters_of_the_segmenter() -> None:
    """As far as can be said without the launch package: names, parameter files, profiles."""
    parts = [ast.parse((PACKAGE / "ros" / f"{name}.py").read_text()) for name in ("launching", "node_support")]
    values = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in (each for part in parts for each in part.body)
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id in ("PARAMETERS", "DDS")
    }
    known = yaml.safe_load((paths.config_dir() / "segmenter.yaml").read_text())["/**/segmenter"]["ros__parameters"]
    assert {"autostart", "resume", *values["PARAMETERS"]} <= set(known)
    for _, file in values["DDS"].values():
        assert (paths.config_dir() / "dds" / file).is_file()
        ElementTree.parse(paths.config_dir() / "dds" / file)


def test_fast_dds_takes_clouds_of_ten_megabytes_through_shared_memory() -> None:
    root = ElementTree.parse(paths.config_dir() / "dds" / "fastdds.xml").getroot()
    sizes = [int(item.text or 0) for item in root.iter("{http://www.eprosima.com}segment_size")]
    assert sizes and min(sizes) >= 4 * 10_000_000


@dataclass
class Started:
    """What a launch has started: each program's arguments and environment, by name; and what launch said."""

    programs: dict[str, dict[str, Any]]
    output: str
    code: int

    def rules(self, name: str) -> dict[str, str]:
        """A node's remappings."""
        words = self.programs[name]["arguments"]
        return dict(
            words[i + 1].split(":=", 1) for i, word in enumerate(words) if word == "-r" and ":=" in words[i + 1]
        )

    def parameters(self, name: str) -> dict[str, Any]:
        """What a node's parameter files say, the later ones over the earlier."""
        words, out = self.programs[name]["arguments"], {}
        for path in [words[i + 1] for i, word in enumerate(words) if word == "--params-file"]:
            for block in self.programs[name]["files"][path].values():
                out.update(block["ros__parameters"])
        return out


RECORDER = """#!{python}
import json, os, sys, yaml
files = {{word: yaml.safe_load(open(word)) for word in sys.argv if word.endswith(".yaml") or "launch_params" in word}}
record = dict(arguments=sys.argv[1:], files=files, environment=dict(os.environ))
json.dump(record, open("{folder}/{name}.json", "w"))
"""
LAUNCH = """
import sys, types
sys.argv = ["ros2", "launch", "iseg3d_ros", {file!r}, *{arguments!r}]
try:
    import composition_interfaces.srv
except ImportError:  # launch_ros names it on import; nothing here uses it
    package, services = types.ModuleType("composition_interfaces"), types.ModuleType("composition_interfaces.srv")
    package.srv, services.LoadNode = services, types.SimpleNamespace(Request=object)
    sys.modules.update({{"composition_interfaces": package, "composition_interfaces.srv": services}})
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import AnyLaunchDescriptionSource
given = [tuple(word.split(":=", 1)) for word in {arguments!r}]
service = LaunchService(argv={arguments!r}, noninteractive=True)
source = AnyLaunchDescriptionSource({path!r})
service.include_launch_description(LaunchDescription([IncludeLaunchDescription(source, launch_arguments=given)]))
sys.exit(service.run())
"""


@pytest.fixture
def launched(tmp_path: Path) -> Callable[..., Started]:
    """Launches as `ros2 launch` does, with programs in place of the nodes that write down how they were started."""

    def run(file: str, *arguments: str, rviz: bool = True, **environment: str) -> Started:
        prefix = tmp_path / "prefix"
        for package, programs in {"iseg3d_ros": NODES, "rviz2": ("rviz2",)}.items():
            if package == "rviz2" and not rviz:
                continue
            for path in (prefix / "share/ament_index/resource_index/packages", prefix / "lib" / package):
                path.mkdir(parents=True, exist_ok=True)
            (prefix / "share/ament_index/resource_index/packages" / package).touch()
            for name in programs:
                program = prefix / "lib" / package / name
                program.write_text(RECORDER.format(python=sys.executable, folder=tmp_path, name=name))
                program.chmod(0o755)
        code = LAUNCH.format(file=file, arguments=list(arguments), path=str(paths.share_dir() / "launch" / file))
        mine = {name: value for name, value in os.environ.items() if "DDS" not in name and "RMW" not in name}
        mine |= {"AMENT_PREFIX_PATH": f"{prefix}:{mine.get('AMENT_PREFIX_PATH', '')}", "ROS_LOG_DIR": str(tmp_path)}
        mine |= environment
        for path in tmp_path.glob("*.json"):
            path.unlink()
        done = subprocess.run([sys.executable, "-c", code], env=mine, capture_output=True, text=True, timeout=100)
        programs = {path.stem: json.loads(path.read_text()) for path in tmp_path.glob("*.json")}
        return Started(programs, done.stdout + done.stderr, done.returncode)

    return run


with_launch = pytest.mark.skipif(not HAS_LAUNCH, reason="launch_ros is not installed (it is not on PyPI)")


@with_launch
def test_a_launch_file_starts_what_it_is_asked_for(launched: Callable[..., Started]) -> None:
    arguments = ("scene:=live", "weights:=a.safetensors", "fixed_frame:=odom", "autostart:=false", "resume:=true")
    started = launched("segment.launch.py", *arguments, "use_sim_time:=true", "log_level:=debug", "play:=5", "tf:=tf")
    assert set(started.programs) == {"segmenter", "player"} and started.code == 0, started.output
    wanted = {"scene": "live", "weights": "a.safetensors", "fixed_frame": "odom", "autostart": False, "resume": True}
    wanted |= {"use_sim_time": True, "model": ""}
    assert wanted.items() <= started.parameters("segmenter").items()
    assert started.parameters("player")["path"] == "5"
    assert {"~/points": "/points", "/tf": "tf", "/tf_static": "tf_static"}.items() <= started.rules("segmenter").items()
    words = started.programs["segmenter"]["arguments"]
    assert words[words.index("--log-level") + 1] == "debug"


@with_launch
def test_remapped_topics_and_namespaces_reach_rviz(launched: Callable[..., Started]) -> None:
    started = launched(
        "segment.launch.py", "rviz:=true", "points:=/lidar/points", "namespace:=left", "fixed_frame:=odom"
    )
    rules = started.rules("rviz2")
    assert rules["/points"] == "/lidar/points" and rules["/segmenter/coloured"] == "/left/segmenter/coloured"
    assert rules["/segmenter/click/positive"] == "/left/segmenter/click/positive"
    assert started.rules("segmenter")["~/points"] == "/lidar/points"
    words = started.programs["rviz2"]["arguments"]
    assert words[words.index("-f") + 1] == "odom"
    plain = launched("segment.launch.py", "rviz:=true")
    assert not {old for old in plain.rules("rviz2") if old.startswith("/")}


@with_launch
def test_without_rviz_the_rest_starts(launched: Callable[..., Started]) -> None:
    started = launched("segment.launch.py", "rviz:=true", rviz=False)
    assert set(started.programs) == {"segmenter"} and started.code == 0
    assert "rviz2 is not installed" in started.output


@with_launch
def test_two_cameras_in_two_namespaces_do_not_meet(launched: Callable[..., Started]) -> None:
    """All topics of a camera are arguments; the clouds in between are in the namespace."""
    arguments = (
        "color_image:=/left/rgb/image_rect",
        "depth_image:=/left/depth",
        "namespace:=left",
        "use_sim_time:=true",
    )
    started = launched("rgbd.launch.py", *arguments, "rviz:=true")
    assert set(started.programs) == {"segmenter", "rgbd_cloud", "rviz2"}, started.output
    expected = {"~/color": "/left/rgb/image_rect", "~/depth": "/left/depth", "~/camera_info": "/left/rgb/camera_info"}
    assert expected.items() <= started.rules("rgbd_cloud").items()
    assert started.rules("rgbd_cloud")["~/points"] == started.rules("segmenter")["~/points"] == "rgbd_cloud/points"
    assert started.rules("rviz2")["/points"] == "/left/rgbd_cloud/points"
    assert started.rules("segmenter")["~/camera_info"] == started.rules("rgbd_cloud")["~/camera_info"]
    assert started.parameters("rgbd_cloud")["use_sim_time"] is True
    assert "__ns:=/left" in started.programs["rgbd_cloud"]["arguments"]


@with_launch
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_an_unknown_argument_is_an_error_with_the_nearest_name(path: Path, launched: Callable[..., Started]) -> None:
    started = launched(path.name, "sceen:=live")
    assert not started.programs and started.code != 0
    assert f"{path.name} has no argument 'sceen': did you mean scene?" in started.output


@with_launch
def test_a_demo_plays_a_scene_and_shows_the_console(launched: Callable[..., Started]) -> None:
    started = launched("demo.launch.py", "scene:=live")
    assert set(started.programs) == {"segmenter", "player", "console"}, started.output
    assert Path(started.parameters("player")["path"]).is_file()
    assert started.parameters("segmenter")["scene"] == "live"


@with_launch
def test_the_profile_for_large_clouds_is_set_unless_one_is(launched: Callable[..., Started]) -> None:
    def profile(*arguments: str, **environment: str) -> str | None:
        started = launched("segment.launch.py", *arguments, **environment)
        found = started.programs["segmenter"]["environment"]
        return found.get("FASTRTPS_DEFAULT_PROFILES_FILE")

    assert str(profile()).endswith("config/dds/fastdds.xml")
    assert profile(FASTRTPS_DEFAULT_PROFILES_FILE="mine.xml") == "mine.xml"
    assert profile("dds_profile:=false") is None


def test_rviz_has_a_click_tool_for_every_meaning() -> None:
    view = yaml.safe_load((paths.config_dir() / "segment.rviz").read_text())["Visualization Manager"]
    tools = [tool for tool in view["Tools"] if tool["Class"] == "rviz_default_plugins/PublishPoint"]
    assert [tool["Topic"]["Value"] for tool in tools] == [
        f"/segmenter/click/{meaning}" for meaning in ("positive", "negative", "new_object")
    ]
    assert not any(tool["Single click"] for tool in tools), "the tool must stay in hand after a click"
