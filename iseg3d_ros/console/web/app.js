// The page: what is known of the work, what is shown of it, and who draws what when.

import { Camera } from "./camera.js";
import { Clicks, MODES } from "./clicks.js";
import { Cloud } from "./cloud.js";
import { Cut } from "./cut.js";
import { Dialogs } from "./dialogs.js";
import { Input, keysOf } from "./input.js";
import { listen } from "./keys.js";
import { Link } from "./link.js";
import { add, length, sub } from "./math.js";
import { Overlay } from "./overlay.js";
import { Panel } from "./panel.js";
import { button, css, el } from "./parts.js";
import { View } from "./view.js";
import { language, say } from "./words.js";

const KEPT = "iseg3d.look";
const NUMBERS = { rgb: 0, intensity: 1, height: 2, instance: 3, classes: 3, unsure: 5 };
const MOVING = 300_000; // points while the camera moves, to begin with: as many as the browser keeps up with
const FEWEST = 30_000;
const SLOW = 70, QUICK = 28; // milliseconds between two pictures
const ASK = 200; // milliseconds between two requests for points
const PULSE = 50; // between two pictures of what pulses
const LOOK = 60; // between two looks at what is under the cursor
const SWAP = 60_000; // points of a new cloud that have come before it is shown
const PALETTE = [[76, 194, 255], [255, 146, 43], [81, 207, 102], [204, 93, 232], [255, 107, 107], [34, 184, 207], [252, 196, 25]];

const byId = (id) => document.getElementById(id);

class App {
  constructor() {
    this.state = { objects: [], active: "", background: [], suggestion: null, undo: false, redo: false, model: "", encode: 0, segment: 0 };
    this.link = { connected: false, sentence: "" };
    this.abilities = { models: [], modes: [], formats: [], categories: [], works: true, most: MOVING, edits: false };
    this.jobs = { jobs: [], current: 0 };
    this.look = { colours: "rgb", size: 1, boxes: true, large: false, shade: true, ground: "dark", ...kept() };
    Object.assign(this, { cloud: null, incoming: null, alive: false, solo: "", hidden: new Set(), measuring: null, pointed: null });
    Object.assign(this, { busy: "", busySince: 0, mostMoving: MOVING, isMoving: false, asked: 0, dirty: true, keysHeld: {} });
    this.cut = new Cut();
    this.cut.open = this.look.open ?? true;
    this.camera = new Camera();
    this.clicks = new Clicks(this);
    this.dialogs = new Dialogs(this);
    this.view = new View(byId("scene"));
    if (!this.view.gl) return this.refuse();
    this.overlay = new Overlay(this, byId("overlay"));
    this.panel = new Panel(this, byId("panel"));
    this.modes();
    this.resize();
    new ResizeObserver(() => this.resize()).observe(byId("stage"));
    new Input(this, byId("scene"));
    listen(this);
    this.socket = new Link((told) => this.hear(told), (header, arrays) => this.take(header, arrays), (alive) => this.tellAlive(alive));
    setInterval(() => this.tellBusy(), 500);
    requestAnimationFrame((now) => this.frameOf(now));
  }

  refuse() {
    document.body.replaceChildren(el("p", { id: "no-webgl" }, say("noWebgl")));
  }

  // What comes

  hear(told) {
    const calls = {
      hello: () => this.greet(told), link: () => (this.link = told), busy: () => this.takeBusy(told.stage),
      jobs: () => this.panel.showScans((this.jobs = told)), cloud: () => this.expect(told), state: () => this.takeState(told),
      say: () => this.takeSaid(told),
    };
    calls[told.kind]?.();
    this.panel.tellStatus();
    this.tellBusy();
  }

  greet(told) {
    this.abilities = told;
    this.works = told.works;
    this.panel.offer(told);
    this.panel.show();
    if (this.look.colours === "unsure") this.send({ do: "unsure", on: true });
    if (this.works) this.dialogs.welcome();
  }

  takeBusy(stage) {
    if (stage !== this.busy) this.busySince = performance.now();
    this.busy = stage;
  }

  takeState(told) {
    this.state = told;
    this.clicks.settle();
    if (this.solo && !told.objects.some(({ id }) => id === this.solo)) this.solo = "";
    this.paint();
    this.panel.show();
    this.redraw();
  }

  takeSaid({ text, refused }) {
    if (refused) this.clicks.refuse();
    this.panel.log(text, refused);
    if (refused) this.toast(text, true);
    this.redraw();
  }

  // Another cloud is on its way; what is shown stays until enough of it is here.
  expect(told) {
    this.incoming = new Cloud(told);
    if (!this.cloud) this.aim(this.incoming);
    this.asked = 0;
    this.redraw();
  }

  take(header, arrays) {
    if (header.kind === "file") return download(header.name, arrays.data);
    const same = (cloud) => cloud && cloud.serial === header.serial && cloud.first === header.first;
    const cloud = [this.incoming, this.cloud].find(same);
    if (!cloud) return;
    if (header.kind === "labels") cloud.relabel(header, arrays);
    else cloud.take(header, arrays);
    if (cloud === this.incoming && cloud.ready(Math.min(SWAP, this.cloud?.held ?? 1))) this.swap();
    this.redraw();
  }

  swap() {
    const before = this.cloud;
    this.cloud = this.incoming;
    this.incoming = null;
    if (before) this.view.forget(before);
    this.panel.colours.querySelector("[value=intensity]").disabled = !this.cloud.intensity;
    this.cut.measure(this.cloud, this.camera.axes);
    if (!before || elsewhere(before, this.cloud) || before.first) this.settle(before);
    this.panel.tellStatus();
  }

  // The camera goes to a cloud that lies elsewhere; to the same one it does only while nobody has moved it.
  settle(before) {
    const same = before && !elsewhere(before, this.cloud);
    if (same && this.touched) return;
    this.aim(this.cloud);
    this.cut.measure(this.cloud, this.camera.axes);
    this.frame();
  }

  aim(cloud) {
    this.camera.stand(cloud.room, cloud.up);
    this.camera.target = cloud.room.centre;
    this.camera.distance = length(cloud.room.size);
  }

  // What is sent

  send(request) {
    const sent = this.works !== false && this.socket.send(request);
    if (!sent && this.works) this.toast(say("dead"), true);
    return sent;
  }

  undo() { if (!this.clicks.cancel()) this.send({ do: "undo" }); }

  clear() { this.dialogs.ask(say("clearSure"), () => this.send({ do: "clear" })); }

  scan(step) {
    const number = this.jobs.current + step;
    if (number >= 0 && number < this.jobs.jobs.length) this.send({ do: "scan", number });
  }

  review(state) {
    const now = this.jobs.jobs[this.jobs.current]?.review;
    if (this.jobs.jobs.length) this.send({ do: "review", state: now === state ? "" : state });
  }

  // The view

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
    this.view.paint(Array.from(rows, (row) => row ?? { colour: [128, 128, 128], shown: true }));
    this.shownLabels = rows.map((row) => row?.shown ?? true);
    this.redraw();
  }

  shows(item) { return this.solo ? item.id === this.solo : !this.hidden.has(item.id); }

  hide(id) {
    if (!this.hidden.delete(id)) this.hidden.add(id);
    this.paint();
    this.panel.show();
  }

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

  // Pointing

  pick(x, y) {
    if (!this.cloud) return null;
    this.cut.see(this.camera.eye);
    const shown = (place, label) => (this.shownLabels?.[label] ?? true) && this.cut.shows(place);
    return this.cloud.pick(this.camera.ray(x, y), shown);
  }

  click(x, y, keys) {
    this.clicks.make(this.pick(x, y), keys, x, y);
    this.redraw();
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
    const hit = this.pick(this.wanted.x, this.wanted.y);
    const before = this.pointed?.hit?.label ?? 0;
    this.pointed = { hit, meaning: this.clicks.meaning(hit, this.keysHeld) };
    this.hint(hit && this.works ? this.pointed.meaning.words : "");
    if ((hit?.label ?? 0) !== before) this.redraw();
    this.overlayDirty = true;
  }

  heldKeys(event) {
    this.keysHeld = keysOf(event);
    if (this.wanted && this.pointed) this.point();
    this.tellModes();
  }

  leave() {
    this.wanted = this.pointed = null;
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
    if (this.measuring) this.startMeasuring();
    else if (this.clicks.mode !== "auto") this.clicks.choose("auto");
    else if (this.solo) this.alone(this.solo);
    else if (this.state.active) this.send({ do: "select", id: "" });
  }

  // What is said

  get nextColour() { return PALETTE[this.state.objects.length % PALETTE.length]; }

  get suggestionWords() {
    const hint = this.state.suggestion, object = hint && this.state.objects.find(({ id }) => id === hint.id);
    return object ? say("acceptFor", { name: object.name }) : say("acceptBackground");
  }

  modes() {
    document.documentElement.lang = language;
    document.title = say("title");
    document.body.classList.toggle("light", this.look.ground === "light");
    byId("modes").setAttribute("aria-label", say("auto"));
    byId("bar").setAttribute("aria-label", say("panel"));
    byId("scene").setAttribute("aria-label", say("camera"));
    this.modeButtons = ["modes", "bar"].flatMap((place) => Object.entries(MODES).map(([mode, picture]) => {
      const made = button(say(mode), () => this.clicks.choose(mode), { picture, hint: say(`${mode}Hint`) });
      made.dataset.mode = mode;
      byId(place).append(made);
      return made;
    }));
    byId("bar").append(button(say("undo"), () => this.undo(), { picture: "undo" }), button(say("panel"), () => this.togglePanel(), { picture: "panel" }));
    const toggle = button(say("panel"), () => this.togglePanel(), { picture: "panel", bare: true, hint: `${say("panel")} (L)` });
    byId("modes").append(toggle);
    if (innerWidth <= 700) document.body.classList.add("closed");
    this.tellModes();
  }

  tellModes() {
    const held = this.clicks.held(this.keysHeld);
    const active = this.state.objects.find(({ id }) => id === this.state.active);
    for (const made of this.modeButtons) {
      made.classList.toggle("on", made.dataset.mode === held);
      made.setAttribute("aria-pressed", made.dataset.mode === held);
      if (made.dataset.mode === "add") made.style.setProperty("--own", active ? css(active.colour) : "");
    }
    if (this.wanted && this.pointed) this.point();
  }

  togglePanel() { document.body.classList.toggle("closed"); }

  hint(words) { byId("hint").textContent = words; }

  toast(text, refused = false) {
    const made = el("p", { class: refused ? "refused" : "" }, text);
    byId("toasts").replaceChildren(made);
    setTimeout(() => made.remove(), refused ? 8000 : 3000);
  }

  tellAlive(alive) {
    byId("dead").hidden = alive;
    byId("dead").textContent = say("dead");
    if (alive && this.wasAlive === false) this.toast(say("again"));
    if (!alive) this.clicks.forget();
    this.alive = this.wasAlive = alive;
    this.panel?.tellStatus();
    this.redraw();
  }

  tellBusy() {
    const { pending } = this.clicks, now = performance.now();
    const since = this.busy ? this.busySince : pending[0]?.at;
    const words = [this.busy || (pending.length ? say("segmenting") : "")];
    const more = this.busy ? pending.length : pending.length - 1;
    if (more > 0) words.push(say("waiting", { count: more }));
    if (now - since > 900) words.push(say("seconds", { seconds: Math.floor((now - since) / 1000) }));
    byId("busy").hidden = !words[0];
    byId("busy").textContent = words.join(" · ");
  }

  // Drawing

  resize() {
    const { clientWidth, clientHeight } = byId("scene");
    Object.assign(this.camera, { width: Math.max(clientWidth, 1), height: Math.max(clientHeight, 1) });
    this.view.resize();
    this.overlay.resize();
    if (this.cloud && !this.touched) this.frame();
    this.redraw();
  }

  redraw() { this.dirty = true; }

  frameOf(now) {
    requestAnimationFrame((next) => this.frameOf(next));
    if (this.isMoving && this.dirty) this.pace(now - this.drawnAt);
    if (this.dirty) {
      this.dirty = false;
      this.drawnAt = now;
      this.drawScene();
    } else if (!this.overlayDirty && !(this.clicks.pending.length && now - this.overlaidAt > PULSE)) return;
    this.overlayDirty = false;
    this.overlaidAt = now;
    this.overlay.draw();
  }

  // As many points while moving as the browser draws quickly.
  pace(passed) {
    if (passed > SLOW && passed < 1000) this.mostMoving = Math.max(this.mostMoving * 0.75, FEWEST);
    if (passed < QUICK) this.mostMoving = Math.min(this.mostMoving * 1.15, this.abilities.most);
  }

  drawScene() {
    const { cloud, camera, look } = this;
    const most = this.abilities.most;
    cloud?.share(camera, most);
    this.incoming?.share(null, most);
    if (cloud) {
      const part = this.isMoving ? Math.min(1, this.mostMoving / Math.max(cloud.tiles.reduce((sum, tile) => sum + Math.min(tile.held, tile.wanted), 0), 1)) : 1;
      for (const tile of cloud.tiles) tile.drawn = Math.floor(part * Math.min(tile.held, tile.wanted));
      this.cut.see(camera.eye);
    }
    const radius = cloud ? 0.006 * length(cloud.room.size) : 0.01;
    this.balls = this.clicks.balls(radius);
    const colours = cloud && !cloud.rgb && look.colours === "rgb" ? "height" : look.colours;
    const active = this.state.objects.find(({ id }) => id === this.state.active);
    this.view.draw(cloud, camera, {
      ...look, mode: NUMBERS[colours], hovered: this.pointed?.hit?.label ?? 0, active: active?.index ?? 0, cut: this.cut,
      heights: this.cut.heights ?? [0, 1],
    }, this.balls);
    this.ask();
  }

  // For the points that this view lacks.
  ask() {
    const cloud = this.incoming ?? this.cloud, now = performance.now();
    if (!cloud || !this.alive) return;
    const lacking = cloud.tiles.filter((tile) => tile.wanted > tile.held && tile.held < tile.total);
    if (!lacking.length) return;
    if (now - this.asked < ASK) {
      this.later ??= setTimeout(() => { this.later = null; this.ask(); }, ASK);
      return;
    }
    this.asked = now;
    const tiles = lacking.sort((a, b) => b.weight - a.weight).map((tile) => [tile.number, tile.wanted]);
    const text = JSON.stringify(tiles);
    if (text === cloud.lastAsked) return;
    cloud.lastAsked = text;
    this.socket.send({ do: "want", serial: cloud.serial, first: cloud.first, tiles });
  }
}

function kept() {
  try {
    return JSON.parse(localStorage.getItem(KEPT)) ?? {};
  } catch {
    return {};
  }
}

// Whether two clouds have less than half of their rooms in common.
function elsewhere(before, now) {
  const size = Math.max(length(before.room.size), length(now.room.size));
  const moved = length(sub(add(before.room.centre, before.origin), add(now.room.centre, now.origin)));
  return moved > 0.35 * size || Math.min(length(before.room.size), length(now.room.size)) < 0.5 * size;
}

function download(name, data) {
  const address = URL.createObjectURL(new Blob([data]));
  el("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

window.iseg3d = new App();
