"""The segmenter, and on request RViz, the browser console and a player of recorded clouds.

ros2 launch iseg3d_ros segment.launch.py points:=/lidar/points rviz:=true
"""

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution, PythonExpression
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

CONFIG = PathJoinSubstitution([FindPackageShare("iseg3d_ros"), "config"])
ARGUMENTS = (  # only what differs from run to run; all else is in the parameter file
    ("points", "/points", "the topic with the clouds"),
    ("params", PathJoinSubstitution([CONFIG, "segmenter.yaml"]), "the segmenter's parameter file"),
    ("model", "", "name of a shipped model; empty: as the parameter file says"),
    ("device", "", "auto, cpu, cuda or cuda:N; empty: as the parameter file says"),
    ("target_frame", "", "frame that clouds are brought into; empty: as the parameter file says"),
    ("namespace", "", "namespace of all nodes"),
    ("use_sim_time", "false", "take time from /clock"),
    ("rviz", "false", "start RViz with its click tools"),
    ("console", "false", "start the console, which prints its address"),
    ("play", "", "a cloud file, folder, sequence or bag to publish on the clouds' topic; empty: none"),
)


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments, start the nodes."""
    declared = [DeclareLaunchArgument(name, default_value=value, description=text) for name, value, text in ARGUMENTS]
    return LaunchDescription([*declared, OpaqueFunction(function=segmenter), player(), console(), rviz()])


def segmenter(context: LaunchContext) -> list[Node]:
    """It configures and activates itself; arguments that are given go before the parameter file."""
    names = [name for name in ("model", "device", "target_frame") if LaunchConfiguration(name).perform(context)]
    settings = {"autostart": True, **{name: text(name) for name in names}, **time()}
    remappings = [("~/points", LaunchConfiguration("points"))]
    return [node("segmenter", parameters=[LaunchConfiguration("params"), settings], remappings=remappings)]


def player() -> Node:
    """Recorded clouds in place of a sensor."""
    return node(
        "player",
        parameters=[PathJoinSubstitution([CONFIG, "player.yaml"]), {"path": text("play"), **time()}],
        remappings=[("~/points", LaunchConfiguration("points"))],
        condition=IfCondition(PythonExpression(["'", LaunchConfiguration("play"), "' != ''"])),
    )


def console() -> Node:
    """The operator's page for a browser."""
    return node(
        "console",
        parameters=[PathJoinSubstitution([CONFIG, "console.yaml"]), time()],
        remappings=[("~/points", LaunchConfiguration("points"))],
        condition=IfCondition(LaunchConfiguration("console")),
    )


def rviz() -> Node:
    """RViz with three click tools."""
    return Node(
        package="rviz2",
        executable="rviz2",
        namespace=LaunchConfiguration("namespace"),
        arguments=["-d", PathJoinSubstitution([CONFIG, "segment.rviz"])],
        parameters=[time()],
        condition=IfCondition(LaunchConfiguration("rviz")),
    )


def node(name: str, **settings: object) -> Node:
    """One of our nodes, under its own name."""
    namespace = LaunchConfiguration("namespace")
    return Node(package="iseg3d_ros", executable=name, name=name, namespace=namespace, output="screen", **settings)


def text(name: str) -> ParameterValue:
    """An argument as a string parameter, even if it looks like a number."""
    return ParameterValue(LaunchConfiguration(name), value_type=str)


def time() -> dict[str, ParameterValue]:
    """The clock that all nodes share."""
    return {"use_sim_time": ParameterValue(LaunchConfiguration("use_sim_time"), value_type=bool)}
