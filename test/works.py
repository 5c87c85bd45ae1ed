"""A work without a browser, as tests ask it: commands in, the state after them out."""

from __future__ import annotations

import time

from iseg3d_ros.console.local_backend import LocalWork
from iseg3d_ros.console.protocol import Command, Remove
from iseg3d_ros.console.updates import LabelsUpdate, Message, StateUpdate
from iseg3d_ros.predictor import Predictor

PATIENCE = 60.0


def walker(model: str, size: float) -> Predictor:
    """The model without weights, with voxels for a table top."""
    return Predictor.load(model or "random_walker", "cpu", size or 0.02)


def told(work: LocalWork, *commands: Command) -> tuple[StateUpdate, LabelsUpdate, list[Message]]:
    """The state after the commands: when a last, refused one has been answered."""
    mailbox = work.subscribe()
    for command in (*commands, Remove("the end")):
        work.send(command)
    state, labels, messages, end = StateUpdate(), None, [], time.monotonic() + PATIENCE
    while time.monotonic() < end:
        for update in mailbox.take(0.2)[0]:
            match update:
                case StateUpdate():
                    state = update
                case LabelsUpdate():
                    labels = update
                case Message():
                    messages.append(update)
        if labels is not None and any("the end" in message.text for message in messages):
            time.sleep(0.3)
            for update in mailbox.take(0.2)[0]:
                state = update if isinstance(update, StateUpdate) else state
                labels = update if isinstance(update, LabelsUpdate) else labels
            return state, labels, [message for message in messages if "the end" not in message.text]
    raise AssertionError(f"no answer: {messages}")
