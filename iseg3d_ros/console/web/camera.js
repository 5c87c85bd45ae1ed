// An eye that turns about a point: `target`, how far, and two angles against the room's own axes.

import { add, clamp, cross, dot, length, multiply, scale, sub, transform, unit } from "./math.js";

const HALF = Math.tan((50 * Math.PI) / 360); // of the field of view, upright
const RAISED = 0.15; // radians by which one looks from higher than the sensor did
const FILLED = 0.92; // share of the window that a framed cloud fills

export class Camera {
  constructor() {
    Object.assign(this, { target: [0, 0, 0], distance: 5, yaw: 0.8, pitch: 0.6, width: 1, height: 1 });
    this.axes = [[1, 0, 0], [0, 1, 0], [0, 0, 1]];
  }

  // Axes of a room, of which the third points up.
  stand(room, up) {
    const side = [...room.axes].sort((a, b) => Math.abs(dot(a, up)) - Math.abs(dot(b, up)))[0];
    const x = unit(sub(side, scale(up, dot(side, up))));
    this.axes = [x, cross(up, x), up];
  }

  // Look from the side of a place that lies in this direction from the target, a little from above.
  face(direction) {
    const [x, y, z] = this.axes.map((axis) => dot(unit(direction), axis));
    Object.assign(this, { yaw: Math.atan2(y, x), pitch: clamp(Math.asin(clamp(z, -1, 1)) + RAISED, 0.15, 1.3) });
  }

  get back() { // from the target to the eye
    const [x, y, z] = this.axes;
    const flat = add(scale(x, Math.cos(this.yaw)), y, Math.sin(this.yaw));
    return add(scale(flat, Math.cos(this.pitch)), z, Math.sin(this.pitch));
  }

  get eye() { return add(this.target, this.back, this.distance); }

  get right() {
    const [x, y] = this.axes;
    return add(scale(x, -Math.sin(this.yaw)), y, Math.cos(this.yaw));
  }

  get up() { return cross(this.back, this.right); }

  get focal() { return this.height / 2 / HALF; } // pixels

  get near() { return this.distance * 0.01; }
  get far() { return Math.max(this.distance * 50, 100); }

  get matrix() {
    const [r, u, b, e] = [this.right, this.up, this.back, this.eye];
    const view = [r[0], u[0], b[0], 0, r[1], u[1], b[1], 0, r[2], u[2], b[2], 0, -dot(r, e), -dot(u, e), -dot(b, e), 1];
    const [n, f] = [this.near, this.far];
    const tall = 1 / HALF;
    const lens = [
      (tall * this.height) / this.width, 0, 0, 0, 0, tall, 0, 0, 0, 0, (f + n) / (n - f), -1, 0, 0, (2 * f * n) / (n - f), 0,
    ];
    return multiply(lens, view);
  }

  // Where a place is seen (pixels of the page), and how far ahead; behind the eye `ahead` is negative.
  project(place) {
    const [x, y, , w] = transform(this.matrix, place);
    return { x: ((x / w + 1) * this.width) / 2, y: ((1 - y / w) * this.height) / 2, ahead: w };
  }

  ray(x, y) {
    const across = ((2 * x) / this.width - 1) * HALF * (this.width / this.height);
    const tall = (1 - (2 * y) / this.height) * HALF;
    return { eye: this.eye, ahead: unit(add(add(scale(this.back, -1), this.right, across), this.up, tall)) };
  }

  turn(dx, dy) {
    this.yaw -= dx * 0.006;
    this.pitch = clamp(this.pitch + dy * 0.006, -1.55, 1.55);
  }

  move(dx, dy) {
    const step = this.distance / this.focal;
    this.target = add(add(this.target, this.right, -dx * step), this.up, dy * step);
  }

  // Nearer (factor < 1) or farther, while the place under the cursor stays where it is.
  zoom(factor, place) {
    const wanted = clamp(this.distance * factor, 0.02, 5000);
    const share = 1 - wanted / this.distance;
    if (place && share > 0) {
      const aside = sub(place, this.target);
      this.target = add(this.target, aside, share);
    }
    this.distance = wanted;
  }

  // Turn about a place without a jump: the eye stays where it is.
  pivot(place) {
    const eye = this.eye;
    this.target = place;
    const away = sub(eye, place);
    this.distance = Math.max(length(away), 0.02);
    const d = unit(away);
    this.pitch = clamp(Math.asin(clamp(dot(d, this.axes[2]), -1, 1)), -1.55, 1.55);
    this.yaw = Math.atan2(dot(d, this.axes[1]), dot(d, this.axes[0]));
  }

  look(from) {
    const views = { top: [-Math.PI / 2, 1.55], front: [-Math.PI / 2, 0], side: [0, 0], corner: [this.yaw, 0.62] };
    [this.yaw, this.pitch] = views[from];
  }

  // Fill the window with these places.
  fit(places, centre) {
    if (!places.length) return;
    this.target = centre;
    const fill = () => { this.distance = Math.max(...places.map((place) => this.needed(sub(place, this.target))), 0.05); };
    for (let round = 0; round < 5; round++) {
      fill();
      const seen = places.map((place) => this.project(place));
      const middle = (key) => (Math.min(...seen.map((p) => p[key])) + Math.max(...seen.map((p) => p[key]))) / 2;
      this.move((this.width / 2 - middle("x")) * 0.7, (this.height / 2 - middle("y")) * 0.7);
    }
    fill();
  }

  needed(offset) {
    const wide = HALF * (this.width / this.height) * FILLED;
    const reach = Math.max(Math.abs(dot(offset, this.right)) / wide, Math.abs(dot(offset, this.up)) / (HALF * FILLED));
    return reach + dot(offset, this.back);
  }
}
