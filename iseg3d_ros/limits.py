"""Every bound on what may pile up, with what happens beyond it. One place; docs/reliability.md tables it."""

from __future__ import annotations

import re

OBJECTS = 65_535  # of a scene: the published field `instance` is uint16
CLICKS = 10_000  # of a session
EDITS = 10_000  # of points by hand, of a session
EDITED_POINTS = 1 << 26  # of one edit
ATTRIBUTES = 50  # of an object
NAME = 200  # characters of an object's name or id, or of a frame
HISTORY = 100  # steps that can be undone, or done again
RESULTS = 1 << 25  # bytes of results that are kept, thirty of 90,000 points; what is older is computed anew
FILE_RESULTS = 1 << 28  # the same in the console on a file: those of all steps on 200,000 points
SENTENCE = 1000  # characters of a sentence for the operator

CALLS = 2000  # that wait for the inference thread, beside them the newest cloud
PENDING = 1000  # clicks that wait for a transform …
PENDING_OF_ONE = 200  # … and of them from one frame, so that one source of bad clicks leaves room for the others
PINNED_CLOUDS = 8  # that clicks in the queue still refer to; older ones are taken for the next
FRAMES = 100  # frames that clicks came from, whose transforms are asked for ahead
TRANSFORM_FRAMES = 2000  # frames of the own transform tree
PIXELS = 50_000_000  # of a camera's image
STROKE = 10_000  # corners of a scribble in it
COMMANDS = 1000  # of pages that wait for the console's work
REPEATS = 5.0  # seconds in which a sentence is logged once; how often it came is said then
SENTENCES = 50  # different ones within that time; beyond, they are counted
STOP = 0.8  # seconds that the end of a node waits for a call under way

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def checked_name(text: str, what: str = "name") -> str:
    """The text, as the name of an object; ValueError where it is too long or holds control characters."""
    if len(text) > NAME:
        raise ValueError(f"The {what} has {len(text)} characters; at most {NAME} are kept.")
    if CONTROL.search(text):
        raise ValueError(f"The {what} {one_line(text)!r} holds control characters: leave them out.")
    return text


def one_line(text: str, longest: int = SENTENCE) -> str:
    """Text as it may stand in a log: without line breaks and other control characters, and not endless."""
    text = CONTROL.sub(lambda found: ascii(found[0])[1:-1], text[: longest + 1])
    return text if len(text) <= longest else f"{text[:longest]} …"
