// Brush, outline and box: points by hand, for what clicks do not reach. The page sends what was drawn; see regions.py.

import { button } from "./parts.js";
import { say } from "./words.js";

export const TOOLS = { click: "pointer", brush: "brush", lasso: "lasso", box: "box" };
const MOST = 400; // places of a stroke that are sent
const APART = 4; // pixels between two places of an outline
const SIZES = [5, 120]; // pixels of the brush's radius

export class Tools {
  constructor(app) {
    Object.assign(this, { app, tool: "click", size: 18, drawn: null, waiting: null });
  }

  get on() { return this.tool !== "click" && this.app.works && this.app.abilities.edits; }

  // The row of buttons, where this work can be edited.
  show(place) {
    place.setAttribute("aria-label", say("tools"));
    place.hidden = !this.app.abilities.edits || !this.app.works;
    this.buttons = Object.entries(TOOLS).map(([tool, picture]) => {
      const made = button(say(tool), () => this.choose(tool), { picture, bare: true, hint: say(`${tool}Hint`) });
      made.dataset.tool = tool;
      return made;
    });
    this.app.handles.button = button(say("handles"), () => this.app.handles.toggle(), { picture: "cube", bare: true, hint: say("handlesHint") });
    place.replaceChildren(...this.buttons, this.app.handles.button);
    this.choose(this.tool);
  }

  choose(tool) {
    this.tool = tool;
    this.drawn = null;
    if (tool !== "click" && this.app.handles.open) this.app.handles.toggle();
    for (const made of this.buttons ?? []) {
      made.classList.toggle("on", made.dataset.tool === tool);
      made.setAttribute("aria-pressed", made.dataset.tool === tool);
    }
    this.app.hint(this.on ? this.meaning({}).words : "");
    this.app.leave();
  }

  resize(factor) {
    this.size = Math.min(Math.max(this.size * factor, SIZES[0]), SIZES[1]);
    this.app.overlayDirty = true;
  }

  // What drawing would do now: on which object, whether it takes away, and in which colour.
  meaning(keys) {
    const { app } = this, mode = app.clicks.held(keys);
    const active = mode === "fresh" ? null : app.state.objects.find(({ id }) => id === app.state.active);
    const name = active?.name ?? "";
    if (mode === "background") {
      return { id: active?.id ?? "", takes: true, colour: [235, 87, 87], words: say(active ? "paintAway" : "paintAwayAny", { name }) };
    }
    const colour = active?.colour ?? app.nextColour;
    return { id: active?.id ?? "", takes: false, colour, words: say(active ? "paintAdd" : "paintNew", { name }) };
  }

  begin({ x, y }, keys) {
    const meaning = this.meaning(keys);
    this.drawn = { ...meaning, tool: this.tool, path: [[x, y]], places: [] };
    this.app.hint(meaning.words);
    if (this.tool === "brush") this.touch(x, y);
    this.app.overlayDirty = true;
  }

  extend({ x, y }) {
    const { drawn } = this, [lastX, lastY] = drawn.path[drawn.path.length - 1];
    if (drawn.tool === "box") drawn.path[1] = [x, y];
    else if (Math.hypot(x - lastX, y - lastY) >= (drawn.tool === "brush" ? this.size / 2 : APART)) {
      drawn.path.push([x, y]);
      if (drawn.tool === "brush") this.touch(x, y);
    }
    this.app.overlayDirty = true;
  }

  // The place on the surface under the brush; its radius in metres is that of the first one.
  touch(x, y) {
    const hit = this.app.pick(x, y);
    if (!hit) return;
    this.drawn.radius ??= (this.size * this.app.camera.project(hit.place).ahead) / this.app.camera.focal;
    this.drawn.places.push(hit.place);
  }

  cancel() {
    this.drawn = null;
    this.app.overlayDirty = true;
  }

  end() {
    const { app, drawn } = this, region = this.region();
    this.drawn = null;
    app.overlayDirty = true;
    if (!region) return;
    const hidden = (app.shownLabels ?? []).flatMap((shown, label) => (shown ? [] : [label]));
    if (app.send({ do: "paint", id: drawn.id, takes: drawn.takes, region, hidden })) this.waiting = drawn;
    if (app.clicks.mode === "fresh") app.clicks.choose("auto");
  }

  // What was drawn as it is sent; null where that is nothing.
  region() {
    const { app, drawn } = this, some = (rows) => rows.filter((_, n) => n % Math.ceil(rows.length / MOST) === 0);
    if (drawn.tool === "brush") return drawn.places.length ? { places: some(drawn.places), radius: drawn.radius } : null;
    const polygon = outline(drawn);
    if (polygon.length < 3 || !app.cloud) return null;
    const { cut, camera } = app;
    cut.see(camera.eye);
    const [low, high] = cut.section;
    return {
      polygon: some(polygon), matrix: [...camera.matrix], window: [camera.width, camera.height],
      cut: { centre: cut.centre, axes: cut.axes.flat(), low, high, faces: cut.faces },
    };
  }

  // The state has come, or a refusal.
  settle() {
    this.waiting = null;
    this.app.overlayDirty = true;
  }
}

// The corners of what was drawn on the screen.
export function outline({ tool, path }) {
  if (tool !== "box") return path;
  if (path.length < 2) return [];
  const [[ax, ay], [bx, by]] = path;
  return Math.min(Math.abs(ax - bx), Math.abs(ay - by)) < APART ? [] : [[ax, ay], [bx, ay], [bx, by], [ax, by]];
}
