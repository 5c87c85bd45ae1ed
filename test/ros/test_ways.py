"""The two walks through the node, measured: short, no room twice, and as the documentation prints them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from conftest import missing_ros

if missing_ros():
    pytest.skip(missing_ros(), allow_module_level=True)

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
import ways

pytestmark = pytest.mark.timeout(180)


def test_the_walks_are_short(ros_domain: int) -> None:
    cloud, click = ways.measure()
    assert {"ros.work", "interaction.tracking", "predictor"} <= set(cloud.stays), "it was really measured"
    assert cloud.stays[-1] == "ros.point_cloud2"
    assert {"ros.work", "interaction.session"} <= set(click.stays)
    assert click.stays[-1] == "interaction.scene_model"
    assert len(cloud.stays) <= 10 and len(click.stays) <= 8
    assert cloud.twice == click.twice == []
    assert len(cloud.handed) <= 4 and {"PointCloud2", "Scene"} <= set(cloud.handed)
    text = ways.PAGE.read_text(encoding="utf-8")
    assert ways.page(text, ways.table(cloud, click)) == text, "run tools/ways.py --write"
