"""What the launch files start. All of them take the same arguments; one that there is not is an error.

Only what differs from run to run is an argument; all else is in the parameter files.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import yaml
from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch import Action, LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, LogInfo, OpaqueFunction, SetEnvironmentVariable
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from iseg3d_ros import json_log
from iseg3d_ros.io.package_files import config_dir
from iseg3d_ros.ros.node_support import dds_profile

ARGUMENTS = {
    "points": ("/points", "topic of the clouds"),
    "color_image": (
        "",
        "topic of a camera's colour images, from which clouds are made; empty: clouds come on `points`",
    ),
    "depth_image": ("", "topic of the camera's depth images, registered to the colour images"),
    "camera_info": ("", "topic of the camera's calibration, also for clicks in its image; empty: beside color_image"),
    "play": ("", "a cloud file, folder, sequence or bag to publish on `points`; empty: none"),
    "params": (str(config_dir() / "segmenter.yaml"), "the segmenter's parameter file"),
    "rgbd_params": (
        str(config_dir() / "rgbd_cloud.yaml"),
        "the parameter file of the node that makes clouds of images",
    ),
    "scene": ("", "frozen, live or accumulated"),
    "model": ("", "name of a shipped model"),
    "weights": ("", "path of a weights file"),
    "device": ("", "auto, cpu, cuda or cuda:N"),
    "target_frame": ("", "frame that clouds are brought into"),
    "fixed_frame": ("", "frame that does not move (odom, map); RViz shows it as well"),
    "resume": ("", "true: begin with the work that was saved last"),
    "autostart": ("true", "false: wait for a lifecycle manager"),
    "namespace": ("", "namespace of all nodes"),
    "tf": ("/tf", "topic of the transforms; tf, without a slash, is that of the namespace (tf_static likewise)"),
    "use_sim_time": ("false", "take time from /clock"),
    "log_level": ("info", "debug, info, warn or error"),
    "log_format": ("", "json: one object a line, of our nodes; empty: as the environment says (ISEG3D_LOG_FORMAT)"),
    "respawn": ("false", "true: start a node again that has ended"),
    "rviz": ("false", "start RViz with its click tools"),
    "console": ("false", "start the console, which prints its address"),
    "dds_profile": ("true", "set the package's DDS profile for large clouds, unless the environment names one"),
}
# What goes on to the segmenter's parameters where it is given; empty: as the parameter file says.
PARAMETERS = ("scene", "model", "weights", "device", "target_frame", "fixed_frame")


def description(file: str, **defaults: str) -> LaunchDescription:
    """A launch file's contents: the arguments, some with defaults of its own, and the nodes that they ask for."""
    values = {name: defaults.get(name, default) for name, (default, _) in ARGUMENTS.items()}
    declared = [
        DeclareLaunchArgument(name, default_value=values[name], description=text)
        for name, (_, text) in ARGUMENTS.items()
    ]
    check = OpaqueFunction(function=lambda context: refuse_unknown(Path(file).name, context.argv, sys.argv))
    return LaunchDescription([check, *declared, OpaqueFunction(function=actions)])


def refuse_unknown(file: str, given: list[str], command: list[str]) -> None:
    """ValueError for an argument that is none of ours; one of a launch file that includes ours is not our affair."""
    if not any(Path(word).name == file for word in command):
        return
    for name in (word.split(":=")[0] for word in given if ":=" in word):
        if name not in ARGUMENTS:
            near = difflib.get_close_matches(name, ARGUMENTS, 1, 0.4)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(ARGUMENTS)}"
            raise ValueError(f"{file} has no argument '{name}': {hint} (`ros2 launch iseg3d_ros {file} -s` tells all)")


def actions(context: LaunchContext) -> list[Action]:
    """Everything that the arguments ask for."""
    return list(Launch({name: context.launch_configurations[name] for name in ARGUMENTS}).actions())


class Launch:
    """One launch with its arguments as texts."""

    def __init__(self, given: dict[str, str]) -> None:
        self.given = given
        self.points = "rgbd_cloud/points" if given["color_image"] and given["points"] == "/points" else given["points"]

    def actions(self) -> Iterator[Action]:
        """The environment first: nodes inherit it."""
        yield from self.dds_profile()
        if self.given["log_format"]:
            yield SetEnvironmentVariable(json_log.SWITCH, self.given["log_format"])
        yield self.segmenter()
        if self.given["color_image"]:
            yield self.rgbd_cloud()
        if self.given["play"]:
            yield self.node("player", [str(config_dir() / "player.yaml"), {"path": text(self.given["play"])}])
        if self.true("console"):
            images = [("~/image", self.given["color_image"]), ("~/camera_info", self.camera_info())]
            yield self.node("console", [str(config_dir() / "console.yaml")], [pair for pair in images if pair[1]])
        if self.true("rviz"):
            yield self.rviz()

    def segmenter(self) -> Node:
        """Arguments that are given go before the parameter file."""
        settings: dict[str, Any] = {name: text(self.given[name]) for name in PARAMETERS if self.given[name]}
        settings["autostart"] = self.true("autostart")
        if self.given["resume"]:
            settings["resume"] = self.true("resume")
        return self.node("segmenter", [self.given["params"], settings], self.camera())

    def camera(self) -> list[tuple[str, str]]:
        """A camera's topics for clicks in its image; the last is where rqt_image_view publishes its own."""
        color, info = self.given["color_image"], self.camera_info()
        topics = [("~/camera_info", info), ("~/image_click/point", f"{color}_mouse_left" if color else "")]
        return [(name, topic) for name, topic in topics if topic]

    def camera_info(self) -> str:
        """The topic of the camera's calibration; empty without a camera."""
        color = self.given["color_image"]
        return self.given["camera_info"] or (str(PurePosixPath(color).with_name("camera_info")) if color else "")

    def rgbd_cloud(self) -> Node:
        """Images to clouds."""
        color, depth = self.given["color_image"], self.given["depth_image"]
        if not depth:
            raise ValueError("color_image is given without depth_image: name the topic of the registered depth images")
        topics = [("~/color", color), ("~/depth", depth), ("~/camera_info", self.camera_info())]
        return self.node("rgbd_cloud", [self.given["rgbd_params"]], topics)

    def rviz(self) -> Action:
        """RViz with the click tools, on the topics of this launch."""
        try:
            get_package_prefix("rviz2")
        except PackageNotFoundError:
            return LogInfo(
                msg="rviz:=true, but rviz2 is not installed: the rest starts without it (rosdep installs it)"
            )
        view = config_dir() / "segment.rviz"
        frame = self.given["fixed_frame"] or self.given["target_frame"]
        return Node(
            package="rviz2",
            executable="rviz2",
            namespace=self.given["namespace"],
            arguments=["-d", str(view), *(["-f", frame] if frame else [])],
            parameters=[self.clock()],
            remappings=[*self.rviz_topics(view), *self.transforms()],
        )

    def rviz_topics(self, view: Path) -> list[tuple[str, str]]:
        """RViz's configuration names topics in full: where each of them is in this launch."""
        space = self.given["namespace"].strip("/")
        names = sorted(topics_of(yaml.safe_load(view.read_text(encoding="utf-8"))))
        moved = {name: f"/{space}{name}" if space else name for name in names if name != "/points"}
        points = self.points if self.points.startswith("/") or not space else f"/{space}/{self.points}"
        return [(old, new) for old, new in {"/points": points, **moved}.items() if old != new]

    def node(self, name: str, parameters: list[Any], remappings: list[tuple[str, str]] | None = None) -> Node:
        """One of our nodes, under its own name."""
        return Node(
            package="iseg3d_ros",
            executable=name,
            name=name,
            namespace=self.given["namespace"],
            output="screen",
            **({"output_format": "{line}"} if self.given["log_format"] == "json" else {}),
            parameters=[*parameters, self.clock()],
            remappings=[("~/points", self.points), *(remappings or []), *self.transforms()],
            ros_arguments=["--log-level", self.given["log_level"]],
            respawn=self.true("respawn"),
            respawn_delay=2.0,
        )

    def transforms(self) -> list[tuple[str, str]]:
        """Robots in namespaces have transforms of their own."""
        tf = self.given["tf"]
        return [] if tf == "/tf" else [("/tf", tf), ("/tf_static", f"{tf}_static")]

    def dds_profile(self) -> Iterator[Action]:
        """The middleware's profile for large clouds, where nobody has chosen one."""
        if self.true("dds_profile"):
            yield from (SetEnvironmentVariable(*each) for each in dds_profile().items())

    def clock(self) -> dict[str, bool]:
        """The clock that all nodes share."""
        return {"use_sim_time": self.true("use_sim_time")}

    def true(self, name: str) -> bool:
        """A switch; anything but true and false is an error."""
        value = self.given[name].lower()
        if value not in ("true", "false", "1", "0"):
            raise ValueError(f"the argument {name} is '{self.given[name]}': it must be true or false")
        return value in ("true", "1")


def text(value: str) -> ParameterValue:
    """A string parameter, even if it looks like a number."""
    return ParameterValue(value, value_type=str)


def topics_of(view: Any) -> set[str]:
    """Every topic that an RViz configuration names."""
    if isinstance(view, dict):
        own = {view["Topic"]["Value"]} if isinstance(view.get("Topic"), dict) else set()
        return own.union(*(topics_of(item) for item in view.values()))
    return set().union(*(topics_of(item) for item in view)) if isinstance(view, list) else set()
