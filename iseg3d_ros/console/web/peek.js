// What a click would hold, as dots, once the cursor has come to rest: nothing of it is kept.

import { length, sub } from "./math.js";
import { css } from "./parts.js";

const REST = 150; // milliseconds that the cursor rests before it is asked
const STEP = 5; // pixels that are not worth asking again
const NEAR = 0.02; // metres within which an answer is that of what was asked

export class Peek {
  constructor(app) {
    Object.assign(this, { app, asked: null, points: [], colour: "" });
  }

  // The cursor is on a point, and this is what a click would mean there.
  rest(hit, meaning, x, y) {
    const { app } = this;
    clearTimeout(this.timer);
    const means = hit && app.works && app.abilities.peeks && app.look.peek && ["new", "add"].includes(meaning.verb);
    if (!means || app.clicks.pending.length || app.measuring) return this.forget();
    const id = meaning.verb === "add" ? meaning.object.id : "";
    if (this.asked && this.asked.id === id && Math.hypot(x - this.asked.x, y - this.asked.y) < STEP) return;
    this.timer = setTimeout(() => this.ask({ hit, id, x, y, colour: css(meaning.colour) }), REST);
  }

  ask(asked) {
    const { app } = this;
    if (app.isMoving || app.clicks.pending.length || !app.alive) return;
    Object.assign(this, { asked, points: [] });
    app.overlayDirty = true;
    app.socket.send({ do: "peek", ...app.clicks.where(asked.hit), id: asked.id, new: asked.id === "" });
  }

  take({ serial, at, points }) {
    const { app, asked } = this;
    if (!asked || app.cloud?.serial !== serial || length(sub(asked.hit.place, at)) > NEAR + (asked.hit.close ?? 0)) return;
    Object.assign(this, { points, colour: asked.colour });
    app.overlayDirty = true;
  }

  forget() {
    clearTimeout(this.timer);
    if (this.points.length) this.app.overlayDirty = true;
    Object.assign(this, { asked: null, points: [] });
  }

  draw({ pen }) {
    const { camera } = this.app;
    pen.fillStyle = this.colour;
    for (const point of this.points) {
      const seen = camera.project(point);
      if (seen.ahead > 0) pen.fillRect(seen.x - 1.5, seen.y - 1.5, 3, 3);
    }
  }
}
