// Camera images beside the cloud: the objects are drawn over them, and a click on them is a click on the cloud.

import { add, length, scale, sub } from "./math.js";
import { button, css, el, tick } from "./parts.js";
import { keysOf } from "./input.js";
import { say } from "./words.js";

const NOTHING = 65535; // the label of a cell that shows no point: see photos.py
const CLOSE = 0.03; // of the distance: how far a cell may be from the point that its pixel turns out to show
const LONG = 500; // milliseconds of a long press
const ELSEWHERE = 1e6; // pixels added so that a click here and one in the scene are never a double click

export class Photos {
  constructor(app, element) {
    Object.assign(this, { app, element, list: [], offered: false, number: 0, open: false, shown: true, cells: null, picture: new Image() });
    this.picture.onload = () => this.redraw();
    this.canvas = el("canvas", { tabIndex: 0 });
    this.pen = this.canvas.getContext("2d");
    this.paper = el("canvas");
    this.title = el("strong");
    const step = (by, picture, name) => button(say(name), () => this.go(this.number + by), { picture, bare: true, kind: "flat" });
    this.steps = [step(-1, "left", "previousImage"), step(1, "right", "nextImage")];
    element.append(
      el("header", {}, this.title, ...this.steps, tick(say("masks"), true, (on) => { this.shown = on; this.redraw(); }),
        button(say("close"), () => this.toggle(), { picture: "cross", bare: true, kind: "flat" })), this.canvas);
    element.setAttribute("aria-label", say("images"));
    this.listen();
  }

  // The images of the cloud, of which a newer one of the same place replaces an older one.
  take(told) {
    Object.assign(this, { list: told.photos, offered: told.offered, version: told.version });
    const any = this.list.length > 0 || this.offered;
    for (const made of this.app.imagesButtons) made.hidden = !any;
    if (!any && this.open) this.toggle();
    this.go(Math.min(this.number, Math.max(this.list.length - 1, 0)));
  }

  toggle() {
    if (!this.list.length && !this.offered && !this.open) return;
    this.open = !this.open;
    this.element.hidden = !this.open;
    document.body.classList.toggle("photos", this.open);
    for (const made of this.app.imagesButtons) made.classList.toggle("on", this.open);
    this.app.resize();
    this.go(this.number);
  }

  go(number) {
    this.number = Math.max(0, Math.min(number, this.list.length - 1));
    const photo = this.list[this.number];
    const count = this.list.length, which = count > 1 ? `${say("imageOf", { number: this.number + 1, count })} · ` : "";
    this.title.textContent = photo ? `${which}${photo.name}` : say("imagesWait");
    this.title.title = photo?.name ?? "";
    this.steps.forEach((made, n) => Object.assign(made, { hidden: count < 2, disabled: n ? this.number >= count - 1 : this.number === 0 }));
    if (this.open && photo) {
      const source = `photo/${photo.key}`;
      if (!this.picture.src.endsWith(source)) this.picture.src = source;
    }
    this.ask();
  }

  ask() { this.app.socket?.send({ do: "photo", number: this.open ? this.number : -1 }); }

  // Which object each cell shows, and how far away.
  mask(header, { label, depth }) {
    if (header.number !== this.number || header.version !== this.version) return;
    this.cells = { ...header, label, depth };
    this.paint();
  }

  // The objects in their colours, as an image of the cells.
  paint() {
    const { cells, app } = this;
    if (!cells || !this.open) return;
    const image = new ImageData(cells.wide, cells.tall), rows = app.painted ?? [];
    const chosen = app.state.objects.find(({ id }) => id === app.state.active)?.index;
    cells.label.forEach((label, n) => {
      const row = rows[label];
      if (label && label !== NOTHING && row?.shown) image.data.set([...row.colour, label === chosen ? 165 : 115], 4 * n);
    });
    Object.assign(this.paper, { width: cells.wide, height: cells.tall });
    this.paper.getContext("2d").putImageData(image, 0, 0);
    this.redraw();
  }

  redraw() { this.app.overlayDirty = true; }

  draw() {
    if (!this.open) return;
    const ratio = window.devicePixelRatio || 1, { clientWidth, clientHeight } = this.canvas, photo = this.list[this.number];
    Object.assign(this.canvas, { width: clientWidth * ratio, height: clientHeight * ratio });
    if (!photo) return;
    const { pen } = this, { left, top, zoom } = this.frame, frame = [left, top, zoom * photo.width, zoom * photo.height];
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    if (this.picture.complete && this.picture.naturalWidth) pen.drawImage(this.picture, ...frame);
    const fits = this.cells?.number === this.number && this.cells.version === this.version;
    if (this.shown && fits) pen.drawImage(this.paper, ...frame);
    for (const { place, colour } of this.app.clicks.pending) this.ring(place, colour);
    if (this.app.pointed?.hit) this.ring(this.app.pointed.hit.place, this.app.pointed.meaning.colour);
  }

  // Where in the canvas the image is.
  get frame() {
    const { clientWidth, clientHeight } = this.canvas, { width, height } = this.list[this.number];
    const zoom = Math.min(clientWidth / width, clientHeight / height);
    return { zoom, left: (clientWidth - zoom * width) / 2, top: (clientHeight - zoom * height) / 2 };
  }

  ring(place, colour) {
    const seen = this.project(place);
    if (!seen) return;
    const { pen } = this, { left, top, zoom } = this.frame;
    for (const [stroke, width] of [["rgb(0 0 0 / .55)", 5], [css(colour), 2.5]]) {
      pen.strokeStyle = stroke;
      pen.lineWidth = width;
      pen.beginPath();
      pen.arc(left + zoom * (seen[0] + 0.5), top + zoom * (seen[1] + 0.5), 9, 0, 7);
      pen.stroke();
    }
  }

  // The pixel at which a place of the cloud would be.
  project(place) {
    const photo = this.list[this.number], { pose } = photo;
    const offset = sub(place, [pose[3], pose[7], pose[11]]);
    const [x, y, z] = [0, 1, 2].map((n) => pose[n] * offset[0] + pose[4 + n] * offset[1] + pose[8 + n] * offset[2]);
    if (z <= 0) return null;
    const [u, v] = [(photo.fx * x) / z + photo.cx, (photo.fy * y) / z + photo.cy];
    return u > -0.5 && v > -0.5 && u < photo.width - 0.5 && v < photo.height - 0.5 ? [u, v] : null;
  }

  // What a place of the canvas shows, as a click takes it; null beside the image and where it shows no point.
  pick(x, y) {
    const photo = this.list[this.number], { cells } = this;
    if (!photo || !cells) return null;
    const { left, top, zoom } = this.frame, u = (x - left) / zoom - 0.5, v = (y - top) / zoom - 0.5;
    const column = Math.floor(((u + 0.5) * cells.wide) / photo.width), line = Math.floor(((v + 0.5) * cells.tall) / photo.height);
    if (column < 0 || line < 0 || column >= cells.wide || line >= cells.tall) return null;
    const cell = line * cells.wide + column, label = cells.label[cell], far = cells.depth[cell];
    if (label === NOTHING) return null;
    const ray = [(u - photo.cx) / photo.fx, (v - photo.cy) / photo.fy, 1];
    const { pose } = photo, turned = [0, 1, 2].map((row) => pose[4 * row] * ray[0] + pose[4 * row + 1] * ray[1] + pose[4 * row + 2] * ray[2]);
    const place = add([pose[3], pose[7], pose[11]], scale(turned, far));
    return { label, place, close: Math.max(0.03, CLOSE * far * length(ray)), where: { photo: this.number, version: this.version, u, v } };
  }

  listen() {
    const { canvas } = this, at = (event) => [event.offsetX, event.offsetY];
    let pressed = null, timer = 0;
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("pointerdown", (event) => {
      canvas.focus({ preventScroll: true });
      pressed = at(event);
      if (event.pointerType === "mouse") return;
      timer = setTimeout(() => { this.click(...pressed, { control: true }); pressed = null; }, LONG);
    });
    canvas.addEventListener("pointerup", (event) => {
      clearTimeout(timer);
      const [x, y] = at(event);
      if (!pressed || Math.hypot(x - pressed[0], y - pressed[1]) > 8 || event.button === 1) return;
      this.click(...pressed, { ...keysOf(event), ...(event.button === 2 ? { control: true } : {}) });
    });
    canvas.addEventListener("pointermove", (event) => { if (event.pointerType === "mouse") this.hover(...at(event), keysOf(event)); });
    canvas.addEventListener("pointerleave", () => { clearTimeout(timer); this.app.leave(); });
  }

  click(x, y, keys) {
    const hit = this.pick(x, y);
    if (!hit) this.app.toast(say("imageBlank"));
    this.app.clicks.make(hit, keys, x + ELSEWHERE, y);
    this.app.redraw();
  }

  hover(x, y, keys) {
    const { app } = this, hit = this.pick(x, y), before = app.pointed?.hit?.label ?? 0;
    app.keysHeld = keys;
    app.pointed = { hit, meaning: app.clicks.meaning(hit, keys) };
    app.hint(hit && app.works ? app.pointed.meaning.words : "");
    if ((hit?.label ?? 0) !== before) app.redraw();
    this.redraw();
  }
}
