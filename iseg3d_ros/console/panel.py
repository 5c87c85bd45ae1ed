"""The page's panel: what it shows of the work, and which of its buttons calls what. Knows viser's widgets only."""

from __future__ import annotations

import html
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from iseg3d_ros.console.protocol import EXPORTS, Abilities
from iseg3d_ros.console.updates import StateUpdate

TYPING = 0.8  # seconds without a key after which a name is complete
AS_IT_IS = "as it is"  # a choice that changes nothing
LINES = 6  # messages that stay in sight


class Controls(Protocol):
    """What the panel's buttons call; every call may come from any thread."""

    def undo(self) -> None: ...
    def redo(self) -> None: ...
    def clear(self) -> None: ...
    def accept(self) -> None: ...
    def capture(self) -> None: ...
    def select(self, id: str) -> None: ...
    def remove(self, id: str) -> None: ...
    def hide(self, id: str) -> None: ...
    def rename(self, id: str, name: str) -> None: ...
    def set_up(self, model: str, voxel_size: float, mode: str) -> None: ...
    def look_at(self, **changes: Any) -> None: ...
    def frame(self) -> None: ...
    def save(self, name: str, kind: str) -> None: ...
    def download(self, client: Any) -> None: ...


@dataclass
class Row:
    """One object in the list: a line and its buttons."""

    line: Any
    buttons: Any

    def remove(self) -> None:
        """Take it out of the list."""
        self.line.remove()
        self.buttons.remove()


class Panel:
    """Widgets that all browsers share; what one operator sets, the others see."""

    def __init__(self, gui: Any, controls: Controls, abilities: Abilities) -> None:
        self._gui, self._controls, self._abilities = gui, controls, abilities
        self._rows: dict[str, Row] = {}
        self._said: list[str] = []
        self.status = gui.add_html("", order=-100)
        steps = gui.add_button_group("Steps", ("Undo", "Redo", "Clear"), order=-70)
        steps.on_click(lambda event: getattr(controls, event.target.value.lower())())
        self.accept = gui.add_button("Accept the suggested click", visible=False, order=-60, color="yellow")
        self.accept.on_click(lambda _: controls.accept())
        self._objects = gui.add_folder("Objects", order=-50)
        with self._objects:
            self._none = gui.add_html(small("None yet: click on something in the cloud."), order=-1)
            self.name = gui.add_text("Name", "", hint="Name of the active object", visible=False, order=1e6)
        self._renaming, self._named = False, ""
        self._typing: threading.Timer | None = None
        self.name.on_update(self._renamed)
        self._add_view()
        self._add_source()
        self._add_saving()
        self.messages = gui.add_html("", order=50)
        self._add_keys()

    def show(self, state: StateUpdate, hidden: frozenset[str]) -> None:
        """The state of the work."""
        for id in [id for id in self._rows if state.object(id) is None]:
            self._rows.pop(id).remove()
        for item in state.objects:
            if item.id not in self._rows:
                self._rows[item.id] = self._row(item.id, item.index)
            self._rows[item.id].line.content = object_line(state, item.id, item.id in hidden)
        self._none.visible = not state.objects
        active = state.object(state.active)
        self.name.visible = active is not None
        if self._typing is None or self._named != state.active:
            self._renaming = False  # what comes from the work is no wish of an operator's
            self.name.value = active.name if active else ""
            self._renaming = True
            self._named = state.active
        self.accept.visible = state.suggestion is not None
        if state.model and state.model not in self._model.options:
            self._model.options = (*self._model.options, state.model)

    def say(self, text: str, refused: bool = False) -> None:
        """A sentence for the operators, newest first."""
        colour = "#c92a2a" if refused else "inherit"
        self._said = [f'<div style="color:{colour}">{html.escape(text)}</div>', *self._said][:LINES]
        self.messages.content = small("".join(self._said))

    def tell_status(self, words: str, connected: bool) -> None:
        """The line at the top."""
        sign = "#2f9e44" if connected else "#e8590c"
        self.status.content = small(f'<span style="color:{sign}">●</span> {html.escape(words)}')

    def _row(self, id: str, order: int) -> Row:
        with self._objects:
            line = self._gui.add_html("", order=order)
            buttons = self._gui.add_button_group("", ("Choose", "Hide", "Delete"), order=order + 0.5)
        calls: dict[str, Callable[[str], None]] = {
            "Choose": self._controls.select, "Hide": self._controls.hide, "Delete": self._controls.remove,
        }  # fmt: skip
        buttons.on_click(lambda event: calls[event.target.value](id))
        return Row(line, buttons)

    def _renamed(self, event: Any) -> None:
        """Every key comes here: the name is taken once the typing has paused, so that it is one step to undo."""
        if not self._renaming or event.client is None:
            return
        if self._typing is not None:
            self._typing.cancel()
        self._typing = threading.Timer(TYPING, self._typed, (self._named, event.target.value.strip()))
        self._typing.daemon = True
        self._typing.start()

    def _typed(self, id: str, name: str) -> None:
        self._typing = None
        if name:
            self._controls.rename(id, name)

    def _add_view(self) -> None:
        gui, controls = self._gui, self._controls
        with gui.add_folder("View", order=-40):
            self.doubt = gui.add_checkbox("Uncertainty", False, hint="Bright: the model is unsure (key V)")
            boxes = gui.add_checkbox("Boxes", True, hint="Boxes and names of the objects")
            size = gui.add_slider("Point size", 0.3, 4.0, 0.1, 1.0)
            cut = gui.add_slider("Show up to", 10, 100, 1, 100, hint="Per cent of the height: cuts a ceiling away")
            frame = gui.add_button("Whole cloud", hint="Look at all of it again (key F)")
        self.doubt.on_update(lambda event: controls.look_at(doubt=event.target.value))
        boxes.on_update(lambda event: controls.look_at(boxes=event.target.value))
        size.on_update(lambda event: controls.look_at(point_scale=event.target.value))
        cut.on_update(lambda event: controls.look_at(cut=event.target.value / 100))
        frame.on_click(lambda _: controls.frame())

    def _add_source(self) -> None:
        gui, abilities = self._gui, self._abilities
        if abilities.modes:
            capture = gui.add_button("Capture a new cloud", order=-65, hint="Objects that are found again stay (key C)")
            capture.on_click(lambda _: self._controls.capture())
        with gui.add_folder("Model", order=-30, expand_by_default=False):
            self._model = gui.add_dropdown("Model", tuple(name or AS_IT_IS for name in abilities.models or ("",)))
            self._voxel = gui.add_number("Voxel size", 0.0, min=0.0, max=5.0, step=0.001, hint="Metres; 0: by itself")
            self._mode = gui.add_dropdown("Clouds", (AS_IT_IS, *abilities.modes)) if abilities.modes else None
            apply = gui.add_button("Use these", hint="The model is loaded anew; objects and clicks stay")
        apply.on_click(lambda _: self._set_up())

    def _set_up(self) -> None:
        model, mode = (box.value if box and box.value != AS_IT_IS else "" for box in (self._model, self._mode))
        self._controls.set_up(model, float(self._voxel.value), mode)

    def _add_saving(self) -> None:
        gui = self._gui
        with gui.add_folder("Save", order=-20, expand_by_default=False):
            gui.add_html(small(f"Into {html.escape(self._abilities.saves_to)}."))
            kind = gui.add_dropdown("Format", ("session", *EXPORTS))
            name = gui.add_text("File", "", hint="Empty: a name made from the time")
            save = gui.add_button("Save")
            download = gui.add_button("Download", hint="The labelled cloud as PLY, to this browser's machine")
        save.on_click(lambda _: self._controls.save(name.value, kind.value))
        download.on_click(lambda event: self._controls.download(event.client))

    def _add_keys(self) -> None:
        controls, gui = self._controls, self._gui
        self._key("Undo", "U", controls.undo)
        self._key("Redo", "R", controls.redo)
        self._key("Accept the suggested click", "enter", controls.accept)
        self._key("Capture a new cloud", "C", controls.capture)
        self._key("Look at the whole cloud", "F", controls.frame)
        self._key("Delete the active object", "delete", lambda: controls.remove(""))
        self._key("Hide or show the active object", "H", lambda: controls.hide(""))
        gui.add_command("Undo (as everywhere)", hotkey="Z", modifier="cmd/ctrl").on_trigger(lambda _: controls.undo())
        self._key("Uncertainty", "V", self._switch_doubt)
        for number in range(1, 10):
            self._key(f"Choose object {number}", str(number), partial(controls.select, f"#{number}"))
        self._key("No active object: the next click begins one", "0", lambda: controls.select(""))

    def _key(self, words: str, key: str, call: Callable[[], None]) -> None:
        self._gui.add_command(words, hotkey=key).on_trigger(lambda _: call())

    def _switch_doubt(self) -> None:
        self.doubt.value = not self.doubt.value  # its on_update tells the console
        self._controls.look_at(doubt=self.doubt.value)


def object_line(state: StateUpdate, id: str, hidden: bool) -> str:
    """Colour, number, name, points and confidence of an object."""
    item = state.object(id)
    assert item is not None
    colour = "rgb({}, {}, {})".format(*item.colour)
    sure = "" if math.isnan(item.confidence) else f" · {100 * item.confidence:.0f} % sure"
    state_words = " · hidden" if hidden else " · lost from view" if item.lost else ""
    weight = "bold" if id == state.active else "normal"
    mark = "▶" if id == state.active else "&nbsp;"
    return small(
        f'{mark} <span style="background:{colour};padding:0 .5em;border-radius:3px">&nbsp;</span> '
        f'<span style="font-weight:{weight}">{item.index} · {html.escape(item.name)}</span> '
        f"{thousands(item.points)} points{sure}{state_words}"
    )


def thousands(count: int) -> str:
    """A number people can read."""
    return f"{count:,}".replace(",", "\u202f")


def small(content: str) -> str:
    """A piece of HTML in the panel's size."""
    return f'<div style="font-size:.8em;padding:.15em .8em;line-height:1.5">{content}</div>'
