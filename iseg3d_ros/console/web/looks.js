// How the cloud is looked at: colours and legend, what is hidden, the section, framing and zoom.

import { length, sub } from "./math.js";
import { css, el } from "./parts.js";
import { say } from "./words.js";

const KEPT = "iseg3d.look";
const byId = (id) => document.getElementById(id);

export function kept() {
  try {
    return JSON.parse(localStorage.getItem(KEPT)) ?? {};
  } catch {
    return {};
  }
}

// The application with this part of its work.
export const Looks = (Base) => class extends Base {
  set(changes) {
    if ("open" in changes) this.cut.open = changes.open;
    Object.assign(this.look, changes);
    localStorage.setItem(KEPT, JSON.stringify(this.look));
    document.body.classList.toggle("light", this.look.ground === "light");
    this.redraw();
  }

  get ownColours() { return this.cloud?.rgb ? "rgb" : "height"; }

  colourBy(colours) {
    this.set({ colours });
    this.panel.colours.value = colours;
    this.socket.send({ do: "unsure", on: colours === "unsure" });
    this.legend();
    this.paint();
  }

  legend() {
    const scale = { unsure: [say("certain"), say("doubtful")], height: ["–", "+"], intensity: ["–", "+"] }[this.look.colours];
    const rows = this.look.colours === "classes" ? this.abilities.categories.map(({ name, colour }) =>
      el("span", { class: "entry" }, el("span", { class: "swatch", style: `background:${css(colour)}` }), name)) : [];
    byId("legend").hidden = !scale && !rows.length;
    byId("legend").className = this.look.colours;
    byId("legend").replaceChildren(...(scale ? [el("span", {}, scale[0]), el("i"), el("span", {}, scale[1])] : rows));
  }

  paint() {
    const classes = new Map(this.abilities.categories.map(({ name, colour }) => [name, colour]));
    const rows = [{ colour: [128, 128, 128], shown: !this.solo }];
    for (const item of this.state.objects) {
      const colour = this.look.colours === "classes" ? classes.get(item.category) ?? [128, 128, 128] : item.colour;
      rows[item.index] = { colour, shown: this.shows(item) };
    }
    this.painted = Array.from(rows, (row) => row ?? { colour: [128, 128, 128], shown: true });
    this.view.paint(this.painted);
    this.photos.paint();
    this.shownLabels = rows.map((row) => row?.shown ?? true);
    this.redraw();
  }

  shows(item) { return this.solo ? item.id === this.solo : !this.hidden.has(item.id); }

  hide(id) {
    if (!this.hidden.delete(id)) this.hidden.add(id);
    this.paint();
    this.panel.show();
  }

  lock(id) { this.send({ do: "lock", id, on: !this.state.objects.find((item) => item.id === id)?.locked }); }

  alone(id) {
    this.solo = this.solo === id ? "" : id;
    this.paint();
    this.panel.show();
  }

  cutAt(end, axis, value) {
    this.cut[end][axis] = value;
    this.redraw();
  }

  uncut() {
    this.cut.low = [0, 0, 0];
    this.cut.high = [1, 1, 1];
    this.redraw();
  }

  frame() {
    if (!this.cloud) return;
    const { cut, camera } = this;
    camera.look("corner");
    if (this.cloud.sensor) camera.face(sub(this.cloud.sensor, cut.middle));
    camera.target = cut.middle;
    camera.distance = 2 * length(this.cloud.room.size);
    cut.see(camera.eye);
    const inside = (place) => cut.axes.every((axis, n) => {
      const value = (place[0] - cut.centre[0]) * axis[0] + (place[1] - cut.centre[1]) * axis[1] + (place[2] - cut.centre[2]) * axis[2];
      return value >= cut.reach[n][0] && value <= cut.reach[n][1];
    });
    camera.fit(this.cloud.sample(1500).filter((place) => inside(place) && cut.shows(place)), cut.middle);
    this.redraw();
  }

  lookFrom(name) {
    this.frame();
    this.camera.look(name);
    this.touched = true;
    const shown = this.cloud?.sample(1500).filter((place) => this.cut.shows(place)) ?? [];
    this.camera.fit(shown, this.cut.middle);
    this.redraw();
  }

  zoom(factor, x, y) {
    const now = performance.now();
    if (!this.anchor || now - this.anchor.at > 400) this.anchor = { place: this.pick(x, y)?.place };
    this.anchor.at = now;
    this.camera.zoom(factor, this.anchor.place);
    this.moving();
    clearTimeout(this.calm);
    this.calm = setTimeout(() => this.still(), 150);
  }

  pivot(x, y) {
    const hit = this.pick(x, y);
    if (hit) this.camera.pivot(hit.place);
    this.redraw();
  }

  moving() {
    this.touched = this.isMoving = true;
    this.pointed = null;
    this.redraw();
  }

  still() {
    this.isMoving = false;
    this.redraw();
  }
};
