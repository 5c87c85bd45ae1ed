// What lies over the cloud and is never hidden by it: waiting clicks, the suggestion, boxes, names, scale, measures.

import { add, length, sub } from "./math.js";
import { css } from "./parts.js";
import { outline } from "./tools.js";
import { say } from "./words.js";

const SIGNS = [-0.5, 0.5];
const CORNERS = SIGNS.flatMap((x) => SIGNS.flatMap((y) => SIGNS.map((z) => [x, y, z])));
const EDGES = [[0, 1], [0, 2], [0, 4], [1, 3], [1, 5], [2, 3], [2, 6], [3, 7], [4, 5], [4, 6], [5, 7], [6, 7]];
const SUGGESTED = "#ffd43b";
const FONT = "600 12px system-ui, sans-serif";
const EDGE = 34; // pixels from the border at which an arrow points to what is outside
const WALL = 0.5; // of the room's size: larger things are walls

export class Overlay {
  constructor(app, canvas) {
    Object.assign(this, { app, canvas, pen: canvas.getContext("2d") });
  }

  resize() {
    const ratio = window.devicePixelRatio || 1;
    Object.assign(this.canvas, { width: this.canvas.clientWidth * ratio, height: this.canvas.clientHeight * ratio });
    this.ratio = ratio;
  }

  draw() {
    const { pen, app } = this;
    pen.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    pen.clearRect(0, 0, app.camera.width, app.camera.height);
    if (!app.cloud) return;
    pen.font = FONT;
    pen.lineJoin = "round";
    for (const item of app.state.objects) if (app.look.boxes || app.handles.item === item) this.box(item);
    this.handles();
    app.peek.draw(this);
    for (const click of app.clicks.pending) this.ring(click);
    if (app.tools.on) this.brush();
    else this.cursor();
    for (const drawn of [app.tools.drawn, app.tools.waiting]) if (drawn) this.drawing(drawn);
    this.app.proposals.draw(this);
    this.suggestion();
    this.ruler();
    this.scaleBar();
    this.compass();
  }

  // The edges of an object's box, and its name above.
  box(item) {
    const handled = this.app.handles.item?.id === item.id;
    if (!item.box || !this.app.shows(item)) return;
    const large = Math.max(...item.box.size) > WALL * Math.max(...this.app.cloud.room.size);
    if (large && !this.app.look.large && !handled) return;
    const { pen, app } = this;
    const { centre, axes, size } = handled ? this.app.handles.box : item.box;
    const seen = CORNERS.map((signs) => app.camera.project(signs.reduce((at, sign, n) => add(at, axes[n], sign * size[n]), centre)));
    if (seen.some(({ ahead }) => ahead <= 0)) return;
    pen.strokeStyle = css(item.colour);
    pen.globalAlpha = item.id === app.state.active ? 1 : 0.55;
    pen.lineWidth = item.id === app.state.active ? 2 : 1.2;
    pen.beginPath();
    for (const [a, b] of EDGES) {
      pen.moveTo(seen[a].x, seen[a].y);
      pen.lineTo(seen[b].x, seen[b].y);
    }
    pen.stroke();
    pen.globalAlpha = 1;
    const top = seen.reduce((best, each) => (each.y < best.y ? each : best));
    const middle = (Math.min(...seen.map(({ x }) => x)) + Math.max(...seen.map(({ x }) => x))) / 2;
    this.tag(item.name, middle, top.y - 14, css(item.colour));
  }

  // What the box of the active object is held by.
  handles() {
    const { pen, app } = this;
    if (!app.handles.item) return;
    const { centre, axes, size } = app.handles.box, arm = app.handles.all.find(({ kind }) => kind === "turn").place;
    const [from, to] = [add(add(centre, axes[0], size[0] / 2), axes[2], -size[2] / 2), arm].map((place) => app.camera.project(place));
    pen.strokeStyle = "#fff";
    pen.lineWidth = 1.5;
    pen.beginPath();
    pen.moveTo(from.x, from.y);
    pen.lineTo(to.x, to.y);
    if (from.ahead > 0 && to.ahead > 0) pen.stroke();
    for (const { place, kind } of app.handles.all) {
      const seen = app.camera.project(place);
      if (seen.ahead <= 0) continue;
      pen.fillStyle = app.handles.held?.kind === kind ? SUGGESTED : "#fff";
      pen.strokeStyle = "#14181e";
      pen.lineWidth = 2;
      pen.beginPath();
      if (kind === "move" || kind === "turn") pen.arc(seen.x, seen.y, kind === "move" ? 8 : 7, 0, 7);
      else pen.rect(seen.x - 6, seen.y - 6, 12, 12);
      pen.fill();
      pen.stroke();
      if (kind === "turn") this.tag(say("turnBox"), seen.x, seen.y + 20, "#fff");
    }
  }

  // Words on a dark pill, kept inside the window.
  tag(words, x, y, colour) {
    const { pen } = this, { width, height } = this.app.camera;
    const wide = pen.measureText(words).width + 22;
    const left = Math.min(Math.max(x - wide / 2, 4), width - wide - 4), top = Math.min(Math.max(y - 11, 4), height - 26);
    pen.fillStyle = "rgb(20 24 30 / .86)";
    pen.beginPath();
    pen.roundRect(left, top, wide, 22, 11);
    pen.fill();
    pen.fillStyle = colour;
    pen.beginPath();
    pen.arc(left + 11, top + 11, 4, 0, 7);
    pen.fill();
    pen.fillStyle = "#f1f4f8";
    pen.textAlign = "left";
    pen.textBaseline = "middle";
    pen.fillText(words, left + 18, top + 11.5);
  }

  // A click that waits: a ring that grows and fades, again and again.
  ring({ place, colour, at }) {
    const { pen } = this, seen = this.app.camera.project(place);
    if (seen.ahead <= 0) return;
    const phase = ((performance.now() - at) % 1100) / 1100;
    for (const [radius, alpha] of [[8 + 18 * phase, 1 - phase], [9, 0.9]]) {
      pen.strokeStyle = css(colour);
      pen.globalAlpha = alpha;
      pen.lineWidth = 3;
      pen.beginPath();
      pen.arc(seen.x, seen.y, radius, 0, 7);
      pen.stroke();
    }
    pen.globalAlpha = 1;
  }

  // Where a click would land, in the colour of what it would concern.
  cursor() {
    const { pen } = this, { pointed } = this.app;
    if (!pointed?.hit) return;
    const seen = this.app.camera.project(pointed.hit.place);
    pen.lineWidth = 4;
    for (const [colour, width] of [["rgb(0 0 0 / .55)", 5], [css(pointed.meaning.colour), 2.5]]) {
      pen.strokeStyle = colour;
      pen.lineWidth = width;
      pen.beginPath();
      pen.arc(seen.x, seen.y, 9, 0, 7);
      if (pointed.meaning.verb === "background") { pen.moveTo(seen.x - 4, seen.y); pen.lineTo(seen.x + 4, seen.y); }
      if (pointed.meaning.verb === "add" || pointed.meaning.verb === "new") {
        pen.moveTo(seen.x - 4, seen.y);
        pen.lineTo(seen.x + 4, seen.y);
        pen.moveTo(seen.x, seen.y - 4);
        pen.lineTo(seen.x, seen.y + 4);
      }
      pen.stroke();
    }
  }

  // The brush at the cursor, as large as it paints.
  brush() {
    const { pen, app } = this, { wanted, tools } = app;
    if (!wanted || tools.tool !== "brush") return;
    pen.strokeStyle = css(tools.meaning(app.keysHeld).colour);
    pen.lineWidth = 2;
    pen.beginPath();
    pen.arc(wanted.x, wanted.y, tools.size, 0, 7);
    pen.stroke();
  }

  // What is being drawn, or was and waits for its answer.
  drawing(drawn) {
    const { pen, app } = this, brush = drawn.tool === "brush";
    const path = brush ? drawn.path : outline(drawn);
    if (!path.length) return;
    pen.strokeStyle = pen.fillStyle = css(drawn.colour);
    pen.lineCap = "round";
    pen.beginPath();
    for (const [x, y] of path) pen.lineTo(x, y);
    if (path.length === 1) pen.lineTo(path[0][0] + 0.1, path[0][1]);
    if (!brush) pen.closePath();
    pen.globalAlpha = brush ? 0.4 : 0.18;
    pen.lineWidth = brush ? 2 * app.tools.size : 2;
    if (brush) pen.stroke();
    else {
      pen.fill();
      pen.globalAlpha = 1;
      pen.setLineDash(drawn.takes ? [6, 5] : []);
      pen.stroke();
      pen.setLineDash([]);
    }
    pen.globalAlpha = 1;
    pen.lineCap = "butt";
  }

  // A dashed ring with a plus: a click would begin something here.
  plus({ x, y }, radius, colour) {
    const { pen } = this;
    pen.strokeStyle = colour;
    pen.lineWidth = 2;
    pen.setLineDash([4, 3]);
    pen.beginPath();
    pen.arc(x, y, radius, 0, 7);
    pen.stroke();
    pen.setLineDash([]);
    pen.beginPath();
    for (const [dx, dy] of [[4, 0], [0, 4]]) {
      pen.moveTo(x - dx, y - dy);
      pen.lineTo(x + dx, y + dy);
    }
    pen.stroke();
  }

  // Seen through everything; where it is outside of the window an arrow points to it.
  suggestion() {
    const { pen, app } = this, hint = app.state.suggestion;
    if (!hint) return;
    const { width, height } = app.camera;
    const seen = app.camera.project(hint.at);
    const inside = seen.ahead > 0 && seen.x > 0 && seen.y > 0 && seen.x < width && seen.y < height;
    pen.strokeStyle = pen.fillStyle = SUGGESTED;
    pen.lineWidth = 3;
    if (inside) {
      pen.setLineDash([6, 4]);
      pen.beginPath();
      pen.arc(seen.x, seen.y, 13, 0, 7);
      pen.stroke();
      pen.setLineDash([]);
      this.tag(app.suggestionWords, seen.x, seen.y + 30, SUGGESTED);
      return;
    }
    const sign = seen.ahead > 0 ? 1 : -1;
    const angle = Math.atan2(sign * (seen.y - height / 2), sign * (seen.x - width / 2));
    const far = Math.min((width / 2 - EDGE) / Math.abs(Math.cos(angle) || 1e-6), (height / 2 - EDGE) / Math.abs(Math.sin(angle) || 1e-6));
    const [x, y] = [width / 2 + far * Math.cos(angle), height / 2 + far * Math.sin(angle)];
    pen.beginPath();
    for (const [turn, long] of [[0, 16], [2.5, 13], [-2.5, 13]]) {
      pen.lineTo(x + long * Math.cos(angle + turn), y + long * Math.sin(angle + turn));
    }
    pen.fill();
    this.tag(app.suggestionWords, x - 60 * Math.cos(angle), y - 30 * Math.sin(angle), SUGGESTED);
  }

  ruler() {
    const places = this.app.measuring ?? [];
    const seen = places.map((place) => this.app.camera.project(place));
    const { pen } = this;
    pen.strokeStyle = "#4cc2ff";
    pen.lineWidth = 2.5;
    for (const { x, y } of seen) {
      pen.beginPath();
      pen.arc(x, y, 5, 0, 7);
      pen.stroke();
    }
    if (seen.length < 2) return;
    pen.beginPath();
    pen.moveTo(seen[0].x, seen[0].y);
    pen.lineTo(seen[1].x, seen[1].y);
    pen.stroke();
    const metres = length(sub(places[1], places[0]));
    this.tag(say("distance", { metres: metres.toFixed(metres < 1 ? 3 : 2) }), (seen[0].x + seen[1].x) / 2, (seen[0].y + seen[1].y) / 2 - 16, "#4cc2ff");
  }

  // A round number of metres at the distance of what is turned about.
  scaleBar() {
    const { pen, app } = this;
    const metre = app.camera.focal / app.camera.distance;
    const power = 10 ** Math.floor(Math.log10(140 / metre));
    const metres = [5, 2, 1].map((n) => n * power).find((n) => n * metre <= 140) ?? power;
    const [x, y] = [18, app.camera.height - 18];
    pen.strokeStyle = pen.fillStyle = app.look.ground === "dark" ? "#c9d2de" : "#3a4350";
    pen.lineWidth = 2;
    pen.beginPath();
    pen.moveTo(x, y - 5);
    pen.lineTo(x, y);
    pen.lineTo(x + metres * metre, y);
    pen.lineTo(x + metres * metre, y - 5);
    pen.stroke();
    pen.textAlign = "left";
    pen.textBaseline = "bottom";
    pen.fillText(metres >= 1 ? `${metres} m` : metres >= 0.01 ? `${Math.round(100 * metres)} cm` : `${Math.round(1000 * metres)} mm`, x + 5, y - 5);
  }

  compass() {
    const { pen, app } = this;
    const [x, y] = [app.camera.width - 40, app.camera.height - 40];
    const { right, up } = app.camera;
    const axes = [[1, 0, 0, "#ff6b6b", "x"], [0, 1, 0, "#51cf66", "y"], [0, 0, 1, "#4cc2ff", "z"]];
    for (const [a, b, c, colour, name] of axes) {
      const dx = 24 * (a * right[0] + b * right[1] + c * right[2]), dy = -24 * (a * up[0] + b * up[1] + c * up[2]);
      pen.strokeStyle = pen.fillStyle = colour;
      pen.lineWidth = 2;
      pen.beginPath();
      pen.moveTo(x, y);
      pen.lineTo(x + dx, y + dy);
      pen.stroke();
      pen.textAlign = "center";
      pen.textBaseline = "middle";
      pen.fillText(name, x + 1.35 * dx, y + 1.35 * dy);
    }
  }
}
