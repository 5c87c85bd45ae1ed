"""What each browser has of its own: what its clicks mean."""

from __future__ import annotations

from typing import Any

from iseg3d_ros.console.panel import small
from iseg3d_ros.console.protocol import BACKGROUND, NEW_OBJECT, POSITIVE

MEANINGS = {"Object": POSITIVE, "Background": BACKGROUND, "New object": NEW_OBJECT}
KEYS = {"Object": "O", "Background": "B", "New object": "N"}
WORDS = {
    POSITIVE: "A click is <b>on the active object</b>. Ctrl: background. Shift: new object.",
    BACKGROUND: "A click says <b>this is background</b>. Back: key O.",
    NEW_OBJECT: "The next click begins <b>a new object</b>.",
}
# What is held while clicking goes before what is chosen in the panel.
HELD = {"cmd/ctrl": BACKGROUND, "alt": BACKGROUND, "shift": NEW_OBJECT}


class Browser:
    """One connected page; made anew when it is reloaded."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.meaning = POSITIVE
        self._buttons = client.gui.add_button_group("A click is", tuple(MEANINGS), order=-90)
        self._buttons.on_click(lambda event: self.mean(MEANINGS[event.target.value]))
        self._words = client.gui.add_html(small(WORDS[POSITIVE]), order=-89)
        for name, key in KEYS.items():
            command = client.gui.add_command(f"Clicks: {name.lower()}", hotkey=key)
            command.on_trigger(lambda _, name=name: self.mean(MEANINGS[name]))

    def mean(self, meaning: str) -> None:
        """What clicks without a modifier mean from now on."""
        self.meaning = meaning
        self._words.content = small(WORDS[meaning])

    def meaning_of(self, modifier: str | None) -> str:
        """What a click means with these keys held; a new object is begun by one click only."""
        if modifier in HELD:
            return HELD[modifier]
        meaning = self.meaning
        if meaning == NEW_OBJECT:
            self.mean(POSITIVE)
        return meaning

    def tell(self, text: str) -> None:
        """A sentence that goes away by itself."""
        self.client.add_notification("Not done", text, auto_close_seconds=8.0, color="red")
