"""Objects as messages, made of a bag library's classes: what the network says of their classes."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from iseg3d_ros.interaction.object_messages import ObjectMessages
from iseg3d_ros.interaction.view import ObjectView
from iseg3d_ros.io.bags import typestore


def test_classes_stand_in_the_message_and_survive_serialisation() -> None:
    store = typestore()
    types = store.types
    header = types["std_msgs/msg/Header"](stamp=types["builtin_interfaces/msg/Time"](sec=1, nanosec=2), frame_id="map")
    classes = {1: (("chair", 0.75), ("sofa", 0.125), ("bed", 0.0625))}
    view = SimpleNamespace(measures=lambda index: None, result=SimpleNamespace(classes=classes))
    messages = ObjectMessages(types)
    kind = "iseg3d_ros/msg/ObjectInfo"
    known, unknown = (
        store.deserialize_cdr(
            store.serialize_cdr(messages.object(view, ObjectView(f"o{k}", "", k, k, ()), header), kind), kind
        )
        for k in (1, 2)
    )
    assert known.classes == ["chair", "sofa", "bed"] and known.class_probabilities.dtype == np.float32
    np.testing.assert_allclose(known.class_probabilities, [0.75, 0.125, 0.0625])
    assert unknown.classes == [] and len(unknown.class_probabilities) == 0
