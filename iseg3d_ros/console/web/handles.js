// Handles on the box of the active object: a square on each face, a ball in the middle, an arm that turns it.

import { add, cross, dot, length, scale, sub, unit } from "./math.js";
import { say } from "./words.js";

const SAME = 1e-6; // metres, and of a cosine
const LEAST = 0.005; // metres of an edge
const ARM = 0.35; // of the box's longest edge: how far the arm reaches beyond its face

export class Handles {
  constructor(app) { Object.assign(this, { app, open: false, held: null, changed: null }); }

  // The object whose box is edited.
  get item() {
    const { app } = this;
    return this.open ? app.state.objects.find(({ id, box, locked }) => id === app.state.active && box && !locked) ?? null : null;
  }

  get box() { return this.changed ?? this.item.box; }

  toggle() {
    this.open = !this.open;
    this.cancel();
    if (this.open && this.app.tools.on) this.app.tools.choose("click");
    this.button?.classList.toggle("on", this.open);
    this.button?.setAttribute("aria-pressed", this.open);
    if (this.open) this.app.toast(say(this.item ? "handlesUse" : "handlesNone"));
    this.app.redraw();
  }

  // All of them: where they are, and what they do.
  get all() {
    const { centre, axes, size } = this.box, made = [{ kind: "move", place: centre }];
    axes.forEach((axis, n) => [1, -1].forEach((sign) => {
      made.push({ kind: `face${n}${sign}`, axis: n, sign, place: add(centre, axis, (sign * size[n]) / 2) });
    }));
    const reach = size[0] / 2 + ARM * Math.max(...size);
    return [...made, { kind: "turn", place: add(add(centre, axes[0], reach), axes[2], -size[2] / 2) }];
  }

  // The handle at a pixel is held from now on; whether there is one.
  grab({ x, y }, far) {
    if (!this.item) return false;
    const near = this.all.map((handle) => ({ ...handle, seen: this.app.camera.project(handle.place) }))
      .filter(({ seen }) => seen.ahead > 0 && Math.hypot(seen.x - x, seen.y - y) <= far)
      .sort((a, b) => Math.hypot(a.seen.x - x, a.seen.y - y) - Math.hypot(b.seen.x - x, b.seen.y - y));
    if (!near.length) return false;
    const { centre, axes, size } = this.box;
    this.held = { ...near[0], id: this.item.id, from: { centre, axes, size } };
    return true;
  }

  drag({ x, y }, upright) {
    const { held } = this, ray = this.app.camera.ray(x, y), { centre, axes, size } = held.from;
    if (held.kind === "move") {
      const normal = upright ? unit(cross(axes[2], this.app.camera.right)) : axes[2];
      const place = meet(ray, held.place, normal);
      if (place) this.change({ ...held.from, centre: upright ? add(centre, axes[2], dot(sub(place, centre), axes[2])) : place });
    } else if (held.kind === "turn") {
      const place = meet(ray, held.place, axes[2]);
      if (place) this.change({ ...held.from, axes: turned(axes, sub(place, centre)) });
    } else {
      const axis = axes[held.axis], grown = held.sign * along(ray, held.place, axis);
      const edge = Math.max(size[held.axis] + grown, LEAST), sizes = size.map((value, n) => (n === held.axis ? edge : value));
      this.change({ ...held.from, size: sizes, centre: add(centre, axis, (held.sign * (edge - size[held.axis])) / 2) });
    }
  }

  change(box) {
    this.changed = box;
    this.app.overlayDirty = true;
  }

  drop() {
    const { held, changed } = this;
    this.held = null;
    if (!held || !changed) return;
    const { centre, axes, size } = changed, rows = [0, 1, 2].flatMap((row) => axes.map((axis) => axis[row]));
    if (!this.app.send({ do: "box", id: held.id, box: [...centre, ...size, ...rows] })) this.cancel();
  }

  cancel() {
    this.held = this.changed = null;
    this.app.overlayDirty = true;
  }

  // A state has come, or a refusal: what was changed stays in sight until it is in the state.
  settle(refused = false) {
    if (this.held || !this.changed) return;
    const now = this.item?.box, far = now && Math.max(...["centre", "size"].map((part) => length(sub(now[part], this.changed[part]))));
    if (refused || !now || (far < SAME && dot(now.axes[0], this.changed.axes[0]) > 1 - SAME)) this.cancel();
  }
}

// Where a ray meets a plane; null beside it, and where it hardly does.
function meet({ eye, ahead }, place, normal) {
  const slope = dot(ahead, normal);
  if (Math.abs(slope) < 0.03) return null;
  const far = dot(sub(place, eye), normal) / slope;
  return far > 0 ? add(eye, ahead, far) : null;
}

// How far along a line, from a place on it, a ray comes nearest to it.
function along({ eye, ahead }, place, axis) {
  const offset = sub(place, eye), slope = dot(ahead, axis), rest = 1 - slope * slope;
  if (rest < 1e-3) return 0;
  return (slope * dot(offset, ahead) - dot(offset, axis)) / rest;
}

// The axes turned about the third one, so that the first points to a place.
function turned(axes, offset) {
  const flat = sub(offset, scale(axes[2], dot(offset, axes[2])));
  if (length(flat) < 1e-6) return axes;
  const x = unit(flat);
  return [x, cross(axes[2], x), axes[2]];
}
