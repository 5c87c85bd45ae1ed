"""The operator's page over a `Work`: one thread reads the updates and the operators' wishes, and draws.

Nobody waits for anybody: the work leaves its newest update in a mailbox, browsers' callbacks leave calls there, and
viser keeps for a slow browser only what is newest.
"""

from __future__ import annotations

import contextlib
import tempfile
import threading
import time
import traceback
from pathlib import Path
from typing import Any

import numpy as np

from iseg3d_ros.clicks import Click
from iseg3d_ros.cloud import Cloud, write_cloud
from iseg3d_ros.console.browser import HELD, Browser
from iseg3d_ros.console.display import MOST, Display
from iseg3d_ros.console.panel import Panel, thousands
from iseg3d_ros.console.picking import pick
from iseg3d_ros.console.protocol import (
    NEW_OBJECT,
    POSITIVE,
    AddClick,
    Capture,
    Clear,
    Command,
    Redo,
    Remove,
    Rename,
    Save,
    Select,
    Setup,
    Undo,
    Work,
)
from iseg3d_ros.console.server import Server
from iseg3d_ros.console.updates import CloudUpdate, LabelsUpdate, LinkUpdate, Message, StateUpdate, Update
from iseg3d_ros.console.view3d import Stage

PAUSE = 0.05  # seconds between two drawings: a live scene is drawn as often as this allows


class Console:
    """A page at `server.address` over a work, until `close`."""

    def __init__(self, work: Work, server: Server, most_points: int = MOST) -> None:
        self.work, self.server = work, server
        self._most = most_points
        self._inbox = work.subscribe()
        self._cloud: CloudUpdate | None = None
        self._labels: LabelsUpdate | None = None
        self._state, self._link = StateUpdate(), LinkUpdate(False, "Nothing has been heard yet.")
        self._clicked_at: float | None = None
        self._latency = ""
        self._browsers: dict[int, Browser] = {}
        viser = server.viser
        viser.gui.configure_theme(show_logo=False, show_share_button=False, control_width="medium")
        viser.scene.configure_environment_map(None)  # plain lights: tablets, and browsers without a GPU, draw them fast
        viser.scene.configure_default_lights(cast_shadow=False)
        self._stage = Stage(viser.scene, viser.initial_camera, lambda: viser.get_clients().values())
        self._panel = Panel(viser.gui, self, work.abilities)
        viser.on_client_connect(lambda client: self._inbox.call(lambda: self._join(client)))
        viser.on_client_disconnect(lambda client: self._inbox.call(lambda: self._leave(client)))
        for held in (None, *HELD):
            viser.scene.on_click(modifier=held)(self._on_click)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="console", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop drawing and serving; the work is its owner's."""
        self._ended.set()
        self._inbox.call(lambda: None)
        self._thread.join(5)
        with contextlib.redirect_stdout(None):
            self.server.viser.stop()

    # The thread that draws

    def _run(self) -> None:
        while not self._ended.is_set():
            updates, calls = self._inbox.take(timeout=1.0)
            try:
                for call in calls:
                    call()
                if updates:
                    self._take(updates)
                    self._ended.wait(PAUSE)
            except Exception as error:  # one cloud that cannot be drawn must not end the page
                traceback.print_exc()
                self._panel.say(f"The page could not show something: {error!r}", refused=True)

    def _take(self, updates: list[Update]) -> None:
        for update in updates:
            match update:
                case LinkUpdate():
                    self._link = update
                case CloudUpdate():
                    self._take_cloud(update)
                case StateUpdate():
                    self._state = update
                case LabelsUpdate():
                    self._labels = update
                case Message(text, refused):
                    self._say(text, refused)
        if any(isinstance(update, LabelsUpdate) for update in updates):
            self._measure()
        self._draw()

    def _take_cloud(self, cloud: CloudUpdate) -> None:
        display = Display.of(cloud, self._most)
        if len(display.chosen) == 0:
            self._say("A cloud without a single point has come; the last one stays in sight.", True)
            return
        self._cloud = cloud
        self._stage.take(display)

    def _draw(self) -> None:
        with self.server.viser.atomic():
            self._stage.draw(self._state, self._result)
            self._panel.show(self._state, self._stage.look.hidden)
            self._panel.tell_status(self._status(), self._link.connected)

    @property
    def _result(self) -> LabelsUpdate | None:
        """The labels, if they are this cloud's."""
        if self._labels is None or self._cloud is None or self._labels.serial != self._cloud.serial:
            return None
        return self._labels if len(self._labels.labels) == len(self._cloud.xyz) else None

    def _status(self) -> str:
        if not self._link.connected and self._link.sentence:
            return self._link.sentence
        if self._cloud is None:
            return "Waiting for a cloud."
        words = [f"{thousands(len(self._cloud.xyz))} points"]
        if self._stage.display is not None and len(self._stage.display.chosen) < len(self._cloud.xyz):
            words.append(f"{thousands(len(self._stage.display.chosen))} of them drawn")
        if self._state.model:
            words.append(f"{self._state.model}: {self._state.encode_ms:.0f} + {self._state.segment_ms:.0f} ms")
        return " · ".join([*words, *([self._latency] if self._latency else [])])

    def _measure(self) -> None:
        """From the click's arrival here to its labels."""
        if self._clicked_at is not None:
            self._latency = f"last click {1e3 * (time.perf_counter() - self._clicked_at):.0f} ms"
            self._clicked_at = None

    def _say(self, text: str, refused: bool = False) -> None:
        self._panel.say(text, refused)
        if refused:
            self._clicked_at = None
            for browser in self._browsers.values():
                browser.tell(text)

    # Browsers

    def _join(self, client: Any) -> None:
        self._browsers[client.client_id] = Browser(client)

    def _leave(self, client: Any) -> None:
        self._browsers.pop(client.client_id, None)

    def _on_click(self, event: Any) -> None:
        self._inbox.call(lambda: self._click(event))

    def _click(self, event: Any) -> None:
        browser, display = self._browsers.get(event.client_id), self._stage.display
        if browser is None or display is None:
            return
        seen = self._stage.visible(self._state, self._result)
        index = pick(display.local, event.ray_origin, event.ray_direction, self._stage.point_size / 2, seen)
        if index is None:
            return  # beside the cloud: a drag that was meant for the camera, mostly
        meaning = browser.meaning_of(event.modifier)
        self._clicked_at = time.perf_counter()
        self._send_click(display.place(index), meaning, self._state.active)

    def _send_click(self, point: tuple[float, float, float], meaning: str, id: str) -> None:
        """A click on no active object begins one; the id is sent, for another operator may choose another meanwhile."""
        if meaning == POSITIVE and not id:
            meaning = NEW_OBJECT
        self._send(AddClick(Click(point, id if meaning == POSITIVE else ""), meaning == NEW_OBJECT))

    # What the panel calls

    def _send(self, command: Command) -> None:
        self.work.send(command)

    def undo(self) -> None:
        """Take the last step back."""
        self._send(Undo())

    def redo(self) -> None:
        """Do it again."""
        self._send(Redo())

    def clear(self) -> None:
        """Forget all objects."""
        self._send(Clear())

    def capture(self) -> None:
        """Hold the newest cloud."""
        self._send(Capture())

    def accept(self) -> None:
        """Click where the model suggests, as what the model takes the place for."""
        suggestion = self._state.suggestion
        if suggestion is not None:
            self._clicked_at = time.perf_counter()
            self._send(AddClick(Click(suggestion.point, suggestion.id)))

    def select(self, id: str) -> None:
        """Make an object the active one: by its id, or "#3" by its number."""
        if id.startswith("#"):
            id = next((item.id for item in self._state.objects if f"#{item.index}" == id), id)
            if id.startswith("#"):
                return
        self._send(Select(id))

    def remove(self, id: str) -> None:
        """Delete an object, or the active one."""
        if id or self._state.active:
            self._send(Remove(id or self._state.active))

    def rename(self, id: str, name: str) -> None:
        """Give an object a name."""
        item = self._state.object(id)
        if item is not None and item.name != name:
            self._send(Rename(id, name))

    def hide(self, id: str) -> None:
        """Hide an object (or the active one), or show it again."""
        id = id or self._state.active
        if id:
            self.look_at(hidden=self._stage.look.hidden ^ {id})

    def look_at(self, **changes: Any) -> None:
        """Change how it is shown."""

        def change() -> None:
            for name, value in changes.items():
                setattr(self._stage.look, name, value)
            self._draw()

        self._inbox.call(change)

    def frame(self) -> None:
        """Point the cameras at the whole cloud."""
        self._inbox.call(self._stage.frame)

    def set_up(self, model: str, voxel_size: float, mode: str) -> None:
        """Work with another model."""
        self._panel.tell_status(f"{model or 'The model'} is being loaded.", False)
        self._send(Setup(model, voxel_size, mode))

    def save(self, name: str, kind: str) -> None:
        """Save where the work is done."""
        self._send(Save(name, kind))

    def download(self, client: Any) -> None:
        """Send the labelled cloud to a browser."""
        self._inbox.call(lambda: self._download(client))

    def _download(self, client: Any) -> None:
        cloud, labels = self._cloud, self._result
        if cloud is None or labels is None or client is None:
            self._say("There is no result to download yet: click on something first.", True)
            return
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "labelled.ply")
            fields = {"probability": labels.probability, "uncertainty": labels.uncertainty}
            write_cloud(path, Cloud(cloud.xyz, cloud.rgb, None, labels.labels.astype(np.int32)), fields)
            client.send_file_download(path.name, path.read_bytes())
