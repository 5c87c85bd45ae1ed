"""The commands that concern nothing but a session, each as one step to undo."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from iseg3d_ros.console.protocol import (
    AddClick,
    Category,
    Classify,
    Clear,
    Command,
    Describe,
    GoTo,
    Lock,
    Merge,
    Redo,
    Remove,
    Rename,
    Select,
    Undo,
)
from iseg3d_ros.console.session_edits import click, lock, merge, refuse_locked, set_attribute
from iseg3d_ros.interaction.session import InteractiveSession


def carry_out(
    session: InteractiveSession, command: Command, labels: Callable[[], np.ndarray], offered: Sequence[Category]
) -> None:
    """Do what a command says; others than these do nothing. `labels` gives those that hold now, `offered` are the
    classes that objects can be given."""
    match command:
        case AddClick():
            click(session, labels(), command, offered)
        case Select(id):
            session.select(id)
        case Remove(id):
            refuse_locked(session, id)
            session.remove(id)
        case Rename(id, name):
            session.rename(id, name)
        case Classify(id, category):
            session.describe(id, category=category)
        case Describe(id, attribute, value):
            set_attribute(session, id, attribute, value)
        case Lock(id, locked):
            lock(session, labels(), id, locked)
        case Merge(into, id):
            merge(session, into, id)
        case Undo():
            session.undo()
        case Redo():
            session.redo()
        case GoTo(revision, to):
            session.go(session.history.way(revision, to))
        case Clear():
            session.clear()
