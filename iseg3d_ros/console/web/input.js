// Mouse, pen and fingers: a drag turns, a right drag moves, wheel and pinch zoom; only what has not moved is a click.
// With a tool a drag draws, and a right drag takes away; then Space and drag turns, the middle button moves.

const SLACK = { mouse: 4, touch: 10, pen: 6 }; // pixels that a click may move
const LONG = 500; // milliseconds of a long press

export class Input {
  constructor(app, surface) {
    Object.assign(this, { app, surface, fingers: new Map(), moved: false, timer: 0 });
    const on = (name, call, options) => surface.addEventListener(name, call, options);
    on("pointerdown", (event) => this.down(event));
    on("pointermove", (event) => this.move(event));
    on("pointerup", (event) => this.up(event));
    on("pointercancel", (event) => this.end(event));
    on("pointerleave", () => app.leave());
    on("contextmenu", (event) => event.preventDefault());
    on("wheel", (event) => this.wheel(event), { passive: false });
  }

  place(event) {
    const frame = this.surface.getBoundingClientRect();
    return { x: event.clientX - frame.left, y: event.clientY - frame.top };
  }

  down(event) {
    this.surface.focus({ preventScroll: true });
    this.surface.setPointerCapture(event.pointerId);
    const place = this.place(event);
    this.fingers.set(event.pointerId, { ...place, from: place });
    const far = event.pointerType === "mouse" ? 10 : 22;
    if (this.fingers.size === 1 && event.button === 0 && !this.app.turning && this.app.handles.grab(place, far)) this.moved = true;
    else if (this.fingers.size === 1 && this.app.tools.on && event.button !== 1 && !this.app.turning) {
      this.painting = this.moved = true;
      this.app.tools.begin(place, { ...keysOf(event), ...(event.button === 2 ? { control: true } : {}) });
    } else if (this.fingers.size === 1) {
      this.moved = false;
      this.button = event.button;
      if (event.pointerType !== "mouse") this.timer = setTimeout(() => this.long(place), LONG);
    } else {
      this.moved = true; // two fingers never click, nor draw
      this.app.handles.cancel();
      if (this.painting) this.app.tools.cancel();
      this.painting = false;
      clearTimeout(this.timer);
    }
  }

  long(place) {
    this.moved = true;
    navigator.vibrate?.(30);
    this.app.click(place.x, place.y, { control: true });
  }

  move(event) {
    const finger = this.fingers.get(event.pointerId), place = this.place(event);
    if (!finger) {
      if (event.pointerType === "mouse") this.app.hover(place.x, place.y, keysOf(event));
      return;
    }
    if (this.painting) {
      this.app.tools.extend(place);
      return;
    }
    if (this.app.handles.held) {
      this.app.handles.drag(place, event.shiftKey);
      return;
    }
    const before = { ...finger };
    const [dx, dy] = [place.x - finger.x, place.y - finger.y];
    if (Math.hypot(place.x - finger.from.x, place.y - finger.from.y) > SLACK[event.pointerType]) {
      this.moved = true;
      clearTimeout(this.timer);
    }
    if (!this.moved) return;
    Object.assign(finger, place);
    if (this.fingers.size === 2) this.pinch(event.pointerId, before, place);
    else if (this.fingers.size === 1) {
      if (this.button === 0) this.app.camera.turn(dx, dy);
      else this.app.camera.move(dx, dy);
    }
    this.app.moving();
  }

  pinch(id, before, now) {
    const [other] = [...this.fingers].filter(([key]) => key !== id).map(([, finger]) => finger);
    const apart = (a) => Math.max(Math.hypot(a.x - other.x, a.y - other.y), 1);
    this.app.camera.zoom(apart(before) / apart(now), null);
    this.app.camera.move((now.x - before.x) / 2, (now.y - before.y) / 2);
  }

  up(event) {
    const finger = this.fingers.get(event.pointerId);
    const clicks = finger && !this.moved;
    if (this.painting) this.app.tools.end();
    this.painting = false;
    this.app.handles.drop();
    this.end(event);
    if (!clicks) return;
    const { x, y } = finger.from;
    if (this.button === 1) this.app.pivot(x, y);
    else this.app.click(x, y, { ...keysOf(event), ...(this.button === 2 ? { control: true } : {}) });
  }

  end(event) {
    clearTimeout(this.timer);
    if (this.painting) this.app.tools.cancel();
    this.painting = false;
    if (this.app.handles.held) this.app.handles.cancel();
    this.fingers.delete(event.pointerId);
    if (this.fingers.size === 0 && this.moved) this.app.still();
  }

  wheel(event) {
    event.preventDefault();
    const { x, y } = this.place(event);
    const lines = event.deltaMode === 1 ? 30 : 1;
    this.app.zoom(Math.exp(Math.min(Math.max(event.deltaY * lines, -300), 300) * 0.0012), x, y);
  }
}

export const keysOf = (event) => ({ shift: event.shiftKey, control: event.ctrlKey || event.metaKey || event.altKey });
