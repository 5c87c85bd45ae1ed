"""The service `~/propose`: a search for objects on the inference thread, one step a turn."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

import numpy as np
from std_msgs.msg import Header

from iseg3d_ros.interaction.class_proposals import check_class, search_class
from iseg3d_ros.interaction.current_cloud import CurrentCloud
from iseg3d_ros.interaction.proposals import TRIES, Proposal, Searching, search
from iseg3d_ros.interaction.scene_model import SceneModel
from iseg3d_ros.msg import Click
from iseg3d_ros.ros.conversion import point
from iseg3d_ros.ros.inference_thread import NotYet
from iseg3d_ros.ros.node_support import stamp_of
from iseg3d_ros.srv import ProposeObjects


class Search:
    """Called once a turn until it has found everything: an operator's clicks go between two of its own."""

    def __init__(self, model: SceneModel, cloud: CurrentCloud, class_name: str, tries: int) -> None:
        if class_name:
            check_class(model.predictor, class_name)
        self.cloud = cloud
        self._steps = self._search(model, class_name, tries or TRIES)

    def __call__(self) -> list[Proposal]:
        """What was found; NotYet as long as clicks are left to be tried."""
        try:
            next(self._steps)
        except StopIteration as end:
            found: list[Proposal] = end.value
            return found
        raise NotYet

    def _search(self, model: SceneModel, class_name: str, tries: int) -> Searching:
        model.prepare(self.cloud)
        scene = model.scene
        assert scene is not None
        yield 0, tries
        if class_name:
            return (yield from search_class(model.predictor, scene, class_name))
        xyz = np.ascontiguousarray(self.cloud.points.xyz)
        return (yield from search(model.predictor, scene, xyz, tries))


def fill(
    response: ProposeObjects.Response, cloud: CurrentCloud, found: list[Proposal], class_name: str, taken: Sequence[str]
) -> str:
    """The proposals as messages with ids that are not `taken`, and a sentence."""
    header, name = Header(stamp=stamp_of(cloud.stamp), frame_id=cloud.frame), class_name or "object"
    free = (each for number in count(1) if (each := f"{name.replace(' ', '_')}_{number}") not in taken)
    response.clicks = [
        Click(header=header, id=id, label=Click.POSITIVE, point=point(each.click.point))
        for id, each in zip(free, found, strict=False)
    ]
    response.names = [name] * len(found)
    response.scores = [each.score for each in found]
    response.points = [len(each.indices) for each in found]
    return f"{len(found)} proposals: accept those that are right with ~/add_objects"
