// What is under the cursor, what a click or a key means there, and measuring.

import { keysOf } from "./input.js";
import { say } from "./words.js";

const LOOK = 60; // milliseconds between two looks at what is under the cursor

// The application with this part of its work.
export const Pointing = (Base) => class extends Base {
  pick(x, y) {
    if (!this.cloud) return null;
    this.cut.see(this.camera.eye);
    const shown = (place, label) => (this.shownLabels?.[label] ?? true) && this.cut.shows(place);
    return this.cloud.pick(this.camera.ray(x, y), shown);
  }

  click(x, y, keys) {
    const known = this.pointed && this.pointed.x === x && this.pointed.y === y; // looked at when the cursor came here
    this.clicks.make(known ? this.pointed.hit : this.pick(x, y), keys, x, y);
    this.overlayDirty = true;
  }

  hover(x, y, keys) {
    this.keysHeld = keys;
    this.wanted = { x, y };
    if (this.looking) return;
    this.looking = setTimeout(() => {
      this.looking = 0;
      if (this.wanted && !this.isMoving) this.point();
    }, LOOK);
  }

  point() {
    if (this.tools.on) {
      this.hint(this.tools.meaning(this.keysHeld).words);
      this.overlayDirty = true;
      return;
    }
    const hit = this.pick(this.wanted.x, this.wanted.y);
    const before = this.pointed?.hit?.label ?? 0;
    const offered = this.works && this.clicks.offered(this.keysHeld, this.wanted.x, this.wanted.y);
    const meaning = offered ? this.proposals.meaning : this.clicks.meaning(hit, this.keysHeld);
    this.pointed = { hit, meaning, ...this.wanted };
    this.hint((hit || offered) && this.works ? meaning.words : "");
    this.peek.rest(offered ? null : hit, meaning, this.wanted.x, this.wanted.y);
    if ((hit?.label ?? 0) !== before) this.redraw();
    this.overlayDirty = true;
  }

  heldKeys(event) {
    this.keysHeld = keysOf(event);
    if (this.wanted && (this.pointed || this.tools.on)) this.point();
    this.tellModes();
  }

  leave() {
    this.wanted = this.pointed = null;
    this.peek.forget();
    this.hint("");
    this.redraw();
  }

  startMeasuring() {
    this.measuring = this.measuring ? null : [];
    this.toast(this.measuring ? say("willMeasure") : say("cancelled"));
    this.redraw();
  }

  measure(place) {
    this.measuring = this.measuring.length < 2 ? [...this.measuring, place] : [place];
    this.redraw();
  }

  escape() {
    if (this.clicks.cancel()) return;
    if (this.tools.on) return this.tools.choose("click");
    if (this.handles.open) return this.handles.toggle();
    if (this.measuring) this.startMeasuring();
    else if (this.clicks.mode !== "auto") this.clicks.choose("auto");
    else if (this.solo) this.alone(this.solo);
    else if (this.state.active) this.send({ do: "select", id: "" });
  }
};
