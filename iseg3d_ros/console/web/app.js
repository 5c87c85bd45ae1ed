// The page: what is known of the work, what is shown of it, and who draws what when.

import { Camera } from "./camera.js";
import { Clicks } from "./clicks.js";
import { Cloud } from "./cloud.js";
import { Cut } from "./cut.js";
import { Dialogs } from "./dialogs.js";
import { Handles } from "./handles.js";
import { Input } from "./input.js";
import { listen } from "./keys.js";
import { Link } from "./link.js";
import { kept, Looks } from "./looks.js";
import { add, length, sub } from "./math.js";
import { Overlay } from "./overlay.js";
import { Panel } from "./panel.js";
import { Photos } from "./photos.js";
import { el } from "./parts.js";
import { Pointing } from "./pointing.js";
import { Peek } from "./peek.js";
import { Proposals } from "./proposals.js";
import { Saying } from "./saying.js";
import { Tools } from "./tools.js";
import { View } from "./view.js";
import { say } from "./words.js";

const NUMBERS = { rgb: 0, intensity: 1, height: 2, instance: 3, classes: 3, unsure: 5 };
const MOVING = 300_000; // points while the camera moves, to begin with: as many as the browser keeps up with
const FEWEST = 30_000;
const SLOW = 70, QUICK = 28; // milliseconds between two pictures
const ASK = 200; // milliseconds between two requests for points
const PULSE = 50; // between two pictures of what pulses
const SWAP = 60_000; // points of a new cloud that have come before it is shown

const byId = (id) => document.getElementById(id);

class App extends Looks(Pointing(Saying(Object))) {
  constructor() {
    super();
    this.state = { objects: [], active: "", background: [], suggestion: null, undo: false, redo: false, model: "", encode: 0, segment: 0 };
    this.link = { connected: false, sentence: "" };
    this.abilities = { models: [], modes: [], formats: [], categories: [], works: true, most: MOVING, edits: false };
    this.jobs = { jobs: [], current: 0 };
    this.look = { colours: "rgb", size: 1, boxes: true, large: false, shade: true, peek: true, ground: "dark", ...kept() };
    Object.assign(this, { cloud: null, incoming: null, alive: false, solo: "", hidden: new Set(), measuring: null, pointed: null, paused: false, heldBack: null });
    Object.assign(this, { busy: "", busySince: 0, mostMoving: MOVING, isMoving: false, asked: 0, dirty: true, keysHeld: {} });
    this.cut = new Cut();
    this.cut.open = this.look.open ?? true;
    this.camera = new Camera();
    this.clicks = new Clicks(this);
    this.tools = new Tools(this);
    this.handles = new Handles(this);
    this.proposals = new Proposals(this);
    this.peek = new Peek(this);
    this.dialogs = new Dialogs(this);
    this.view = new View(byId("scene"));
    if (!this.view.gl) return this.refuse();
    this.overlay = new Overlay(this, byId("overlay"));
    this.panel = new Panel(this, byId("panel"));
    this.photos = new Photos(this, byId("photos"));
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
      jobs: () => this.takeJobs(told), cloud: () => this.expect(told), state: () => this.takeState(told),
      say: () => this.takeSaid(told), photos: () => this.photos.take(told), proposals: () => this.proposals.take(told), peek: () => this.peek.take(told),
      history: () => this.panel.history.take(told),
    };
    calls[told.kind]?.();
    this.panel.tellStatus();
    this.tellBusy();
  }

  greet(told) {
    this.abilities = told;
    this.works = told.works && this.jobs.mine !== false;
    this.panel.offer(told);
    this.panel.show();
    if (this.look.colours === "unsure") this.send({ do: "unsure", on: true });
    if (this.works) this.dialogs.welcome();
  }

  takeJobs(told) {
    const works = this.abilities.works && told.mine, before = this.works;
    Object.assign(this, { jobs: told, works });
    this.panel.showScans(told);
    this.tellTaken();
    if (works !== before) this.tools.show(byId("tools"));
    byId("panel").classList.toggle("looks", !works);
    this.panel.show();
  }

  takeBusy(stage) {
    if (stage !== this.busy) this.busySince = performance.now();
    this.busy = stage;
  }

  takeState(told) {
    this.state = told;
    this.peek.forget();
    this.clicks.settle();
    this.tools.settle();
    this.handles.settle();
    if (this.tools.on && this.wanted) this.point();
    if (this.solo && !told.objects.some(({ id }) => id === this.solo)) this.solo = "";
    this.paint();
    this.panel.show();
    this.redraw();
  }

  takeSaid({ text, refused }) {
    if (refused && !this.tools.waiting) this.clicks.refuse();
    if (refused) {
      this.tools.settle();
      this.handles.settle(true);
    }
    this.panel.log(text, refused);
    if (refused) this.toast(text, true);
    this.redraw();
  }

  // Another cloud is on its way; what is shown stays until enough of it is here.
  expect(told) {
    if (this.paused && this.cloud) {
      this.heldBack = told;
      this.panel.tellFlow();
      return;
    }
    this.incoming = new Cloud(told);
    if (!this.cloud) this.aim(this.incoming);
    this.asked = 0;
    this.redraw();
  }

  // A live stream stands still, or goes on; then the newest cloud is what comes.
  pause() {
    if (!this.abilities.modes.length) return;
    this.paused = !this.paused;
    if (!this.paused) this.step();
    this.panel.tellFlow();
  }

  step() {
    const { heldBack, paused } = this;
    Object.assign(this, { heldBack: null, paused: false });
    if (heldBack) this.expect(heldBack);
    this.paused = paused;
    this.panel.tellFlow();
  }

  take(header, arrays) {
    if (header.kind === "file") return download(header.name, arrays.data);
    if (header.kind === "masks") return this.photos.mask(header, arrays);
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
    this.incoming = this.pointed = null;
    this.peek.forget();
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
    const sent = this.abilities.works && this.socket.send(request);
    if (!sent && this.abilities.works) this.toast(say("dead"), true);
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
    this.photos.draw();
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
