"""A work without a browser, as tests ask it: commands in, the state after them out."""

from __future__ import annotations

import time
from typing import Any

import pytest
import torch

from iseg3d_ros.console.local_backend import LocalWork
from iseg3d_ros.console.protocol import Command, Remove
from iseg3d_ros.console.updates import LabelsUpdate, Message, StateUpdate
from iseg3d_ros.interaction.class_proposals import known_classes
from iseg3d_ros.models.fewclick import FewClick, StageMasks
from iseg3d_ros.predictor import Predictor

PATIENCE = 120.0


def walker(model: str, size: float) -> Predictor:
    """The model without weights, with voxels for a table top."""
    return Predictor.load(model or "random_walker", "cpu", size or 0.02)


def class_knower(patch: pytest.MonkeyPatch, name: str, above: float) -> Any:
    """A `load` for a work: Few-Click, whose answer is that what stands higher than `above` is of the class.

    What is right of x = 0.2 is one thing, what is left of it another.
    """

    def load(model: str, size: float) -> Predictor:
        if model == "random_walker":
            return walker(model, size)
        predictor = Predictor.load("fewclick", "cpu", size or 0.02)
        encode = predictor.encode

        def noted(*given: Any) -> Any:
            scene = encode(*given)
            points = torch.from_numpy(scene.voxels.points @ scene.rotation + scene.origin)
            high, right = points[:, 2] > above, points[:, 0] > 0.2
            things, wanted = [high & right, high & ~right], known_classes(predictor).index(name)

            def answer(self: FewClick, encoded: Any, clicks: Any) -> list[StageMasks]:
                on = [next((mask for mask in things if mask[voxel]), ~high) for voxel in clicks.voxel]
                classes = torch.full((len(on), len(known_classes(predictor))), -9.0)
                classes[torch.arange(len(on)), [wanted if high[voxel] else 0 for voxel in clicks.voxel]] = 9.0
                return [StageMasks(torch.where(torch.stack(on), 5.0, -5.0), classes)]

            patch.setattr(FewClick, "answer", answer)
            return scene

        patch.setattr(predictor, "encode", noted)
        return predictor

    return load


def told(work: LocalWork, *commands: Command) -> tuple[StateUpdate, LabelsUpdate, list[Message]]:
    """The state after the commands.

    A last one is refused; what holds is shown after that refusal, and so before that of another one sent then.
    """
    mailbox = work.subscribe()
    for command in (*commands, Remove("the end")):
        work.send(command)
    state, labels, messages, end = StateUpdate(), None, [], time.monotonic() + PATIENCE
    asked = False
    while time.monotonic() < end:
        for update in mailbox.take(0.2)[0]:
            match update:
                case StateUpdate():
                    state = update
                case LabelsUpdate():
                    labels = update
                case Message():
                    messages.append(update)
        if not asked and any("the end" in message.text for message in messages):
            asked = True
            work.send(Remove("the very end"))
        if labels is not None and any("the very end" in message.text for message in messages):
            return state, labels, [message for message in messages if " end'" not in message.text]
    raise AssertionError(f"no answer: {messages}")
