"""What was done between the states of a session, each step in a word: it follows from the states alone."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

from iseg3d_ros.interaction.session_states import BACKGROUND, SessionObject, State, StateHistory


@dataclass(frozen=True)
class Step:
    """One step as an operator is told of it.

    `verb`: new, click, against, ground, add, name, class, attribute, lock, unlock, box, unbox, paint, erase, choose,
    delete, clear, merge, split, take or change. `id` and `name`: the object that it concerns, with the name that it had
    then. `more`: the other object's name, the class or attribute that was given, or how many objects came.
    """

    verb: str
    id: str = ""
    name: str = ""
    more: str = ""


def steps_of(history: StateHistory) -> tuple[Step, ...]:
    """What led from each state to the next: the k-th from `states[k]` to `states[k + 1]`."""
    return tuple(itertools.starmap(step_between, itertools.pairwise(history.states)))


def step_between(before: State, now: State) -> Step:
    """What was done between two states."""
    gone = _without(before.objects, now.objects)
    come = _without(now.objects, before.objects)
    added = now.clicks[len(before.clicks) :]
    longer = now.clicks[: len(before.clicks)] == before.clicks and now.edits[: len(before.edits)] == before.edits
    if gone and not come or not (now.objects or now.clicks):
        return _gone(before, now, gone)
    if not longer:
        return Step("take", more=str(len(now.objects)))
    if come:
        return _come(before, now, come)
    if len({click.id for click in added}) == 1:
        return _clicked(before, now, added[-1].id)
    if said := _said(before, now):
        return said
    if painted := now.edits[len(before.edits) :]:
        return _of(now, "paint", painted[-1].id) if painted[-1].id else _of(now, "erase", now.active)
    return _of(now, "choose", now.active) if now.active != before.active else Step("change")


def _gone(before: State, now: State, gone: Sequence[SessionObject]) -> Step:
    """Objects are there no more: one of them may have become part of another."""
    if len(gone) != 1:
        return Step("take", more=str(len(now.objects))) if now.objects else Step("clear")
    (object,) = gone
    left = before.without(object.id)
    if len(now.clicks) > len(left.clicks) or len(now.edits) > len(left.edits):
        return replace(_of(now, "merge", now.active), more=object.name)
    return Step("clear") if len(now.clicks) < len(left.clicks) else Step("delete", object.id, object.name)


def _come(before: State, now: State, come: Sequence[SessionObject]) -> Step:
    edited = len(now.edits) - len(before.edits)
    if now.active in {item.id for item in before.objects} and edited == len(come):
        return replace(_of(now, "split", now.active), more=str(len(come) + 1))
    if len(come) > 1:
        return Step("take", more=str(len(come)))
    return Step("new" if len(now.clicks) > len(before.clicks) or edited else "add", come[0].id, come[0].name)


def _clicked(before: State, now: State, id: str) -> Step:
    if id != BACKGROUND:
        return _of(now, "click", id)
    return _of(now, "against", before.active) if before.active else Step("ground")


def _said(before: State, now: State) -> Step | None:
    """What is said of an object, where that has changed."""
    if before.objects == now.objects:
        return None
    for old, new in zip(before.objects, now.objects, strict=False):
        if old == new:
            continue
        if old.name != new.name:
            return Step("name", new.id, new.name, old.name)
        if old.category != new.category:
            return Step("class", new.id, new.name, new.category)
        if old.locked != new.locked:
            return Step("lock" if new.locked else "unlock", new.id, new.name)
        if old.box != new.box:
            return Step("box" if new.box else "unbox", new.id, new.name)
        values = dict(new.attributes).items() ^ dict(old.attributes).items()
        return Step("attribute", new.id, new.name, ", ".join(sorted({name for name, _ in values})))
    return None


def _of(state: State, verb: str, id: str) -> Step:
    return next((Step(verb, id, item.name) for item in state.objects if item.id == id), Step(verb))


def _without(some: tuple[SessionObject, ...], others: tuple[SessionObject, ...]) -> Sequence[SessionObject]:
    """Those whose ids are not among the others."""
    same = min(len(some), len(others))
    if some[:same] == others[:same]:  # one step adds at the end as a rule: the many before are not looked at singly
        return some[same:]
    known = {item.id for item in others}
    return [item for item in some if item.id not in known]
