"""Parameters are declared once: files, documentation, launch files and examples agree with them and with the topics."""

from __future__ import annotations

import ast
import re
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from iseg3d_ros.ros import topics
from iseg3d_ros.ros.parameters import about, as_yaml, problems
from iseg3d_ros.ros.settings import FILES, SegmenterSettings

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*"))
KNOWN = {
    **{topic.name.replace("~", "/segmenter"): topic.type for topic in (*topics.PUBLISHED, *topics.SUBSCRIBED)},
    **{service.name.replace("~", "/segmenter"): service.type for service in topics.SERVICES},
}


@pytest.mark.parametrize("node", FILES)
def test_the_parameter_file_is_the_table(node: str) -> None:
    text = (ROOT / "config" / f"{node}.yaml").read_text()
    assert text == as_yaml(FILES[node], node), "run: python -m iseg3d_ros.ros.settings config"
    values = yaml.safe_load(text)[f"/**/{node}"]["ros__parameters"]
    assert values == {item.name: item.default for item in fields(FILES[node])}
    assert {k: type(v) for k, v in values.items()} == {f.name: type(f.default) for f in fields(FILES[node])}


@pytest.mark.parametrize("node", FILES)
def test_every_parameter_says_what_it_is(node: str) -> None:
    for item in fields(FILES[node]):
        told = about(item)
        assert len(told.description) > 15, item.name
        if isinstance(item.default, float) or (isinstance(item.default, int) and not isinstance(item.default, bool)):
            assert told.low is not None and told.low <= item.default <= (told.high or float("inf")), item.name


def test_choices() -> None:
    assert not list(problems(SegmenterSettings, {"scene": "live"}))
    assert "one of frozen, live, accumulated" in next(iter(problems(SegmenterSettings, {"scene": "frosen"})))


def test_the_page_has_every_topic_service_and_parameter() -> None:
    page = (ROOT / "docs" / "ros.md").read_text()
    assert topics.markdown_topics(topics.PUBLISHED) in page
    assert topics.markdown_topics(topics.SUBSCRIBED) in page
    assert topics.markdown_services(topics.SERVICES) in page
    for settings in FILES.values():
        for item in fields(settings):
            assert f"| `{item.name}` | " in page and about(item).description in page, item.name


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_name_topics_of_the_right_type(path: Path) -> None:
    text = path.read_text()
    named = set(re.findall(r"/segmenter/[a-z_/]+", text))
    assert named or path.name == "nav2_costmap.yaml"
    assert named <= set(KNOWN), named - set(KNOWN)
    if path.suffix == ".py":
        ast.parse(text)
        for kind, name in re.findall(r"create_(?:subscription|client)\(\s*(\w+),\s*\"(/segmenter/[^\"]+)\"", text):
            assert KNOWN[name].split("/")[-1] == kind, name
    else:
        given = yaml.safe_load(text)["segmenter"]["ros__parameters"]
        defaults = {item.name: item.default for item in fields(SegmenterSettings)}
        assert {name: type(value) for name, value in given.items()} == {n: type(defaults[n]) for n in given}
        assert not list(problems(SegmenterSettings, given))
        assert KNOWN["/segmenter/scene_without_object"] == "sensor_msgs/msg/PointCloud2"


def test_rviz_shows_topics_that_exist() -> None:
    view = yaml.safe_load((ROOT / "config" / "segment.rviz").read_text())["Visualization Manager"]
    expected = {"PointCloud2": "sensor_msgs/msg/PointCloud2", "MarkerArray": "visualization_msgs/msg/MarkerArray"}
    expected["SetGoal"] = "geometry_msgs/msg/PoseStamped"
    shown = [item for item in (*view["Displays"], *view["Tools"]) if "Topic" in item]
    for item in shown:
        name, kind = item["Topic"]["Value"], item["Class"].split("/")[-1]
        if name.startswith("/segmenter"):
            assert KNOWN[name] == expected.get(kind, "geometry_msgs/msg/PointStamped"), name
            latched = item["Topic"]["Durability Policy"] == "Transient Local"
            table = {topic.name: topic for topic in topics.PUBLISHED}
            if kind not in ("PublishPoint", "SetGoal"):
                assert latched == ("transient local" in table[name.replace("/segmenter", "~")].qos)
