// What is not shown: outside of the section, and the walls and the ceiling between the eye and a room.

import { add, dot, sub } from "./math.js";

const FULL = 1e9;
const BAND = { wall: [0.05, 0.25], ceiling: [0.1, 0.35] }; // share of the room's size, and metres at most
const CELLS = 8; // along each side of a face
const COVERED = 0.35; // share of a face's cells with a point in its band that makes it a wall

export class Cut {
  constructor() {
    Object.assign(this, { open: true, low: [0, 0, 0], high: [1, 1, 1], faces: Array(5).fill(FULL), walls: Array(5).fill(false) });
  }

  // Measure a cloud's room: its half sizes along the camera's axes, and which of its faces are walls.
  measure(cloud, axes) {
    this.axes = axes;
    const places = cloud.sample();
    this.centre = cloud.room.centre;
    const along = axes.map((axis) => places.map((place) => dot(sub(place, this.centre), axis)).sort((a, b) => a - b));
    const at = (values, share) => values[Math.floor(share * (values.length - 1))] ?? 0;
    this.reach = along.map((values) => [at(values, 0.01), at(values, 0.99)]);
    this.whole = along.map((values) => [at(values, 0) - 0.01, at(values, 1) + 0.01]);
    this.heights = [at(along[2], 0.02), Math.max(at(along[2], 0.98), at(along[2], 0.02) + 1e-3)];
    this.band = [0, 0, 1, 1, 2].map((axis) => {
      const [share, most] = axis === 2 ? BAND.ceiling : BAND.wall;
      return Math.min(share * (this.reach[axis][1] - this.reach[axis][0]), most);
    });
    const offsets = places.map((place) => axes.map((axis) => dot(sub(place, this.centre), axis)));
    this.walls = [[0, 1], [0, -1], [1, 1], [1, -1], [2, 1]].map(([axis, sign], n) => this.covered(offsets, axis, sign, this.band[n]));
    if (this.walls.slice(0, 4).filter(Boolean).length < 2) this.walls.fill(false); // it is no room
  }

  // Whether points stand all over a face of the room.
  covered(offsets, axis, sign, band) {
    const others = [0, 1, 2].filter((each) => each !== axis), cells = new Set();
    const end = sign > 0 ? this.reach[axis][1] : -this.reach[axis][0];
    for (const offset of offsets) {
      if (sign * offset[axis] < end - band) continue;
      const [a, b] = others.map((each) => {
        const [low, high] = this.reach[each];
        return Math.floor((CELLS * (offset[each] - low)) / Math.max(high - low, 1e-6));
      });
      if (a >= 0 && b >= 0 && a < CELLS && b < CELLS) cells.add(CELLS * a + b);
    }
    return cells.size > COVERED * CELLS * CELLS;
  }

  // Which faces stand between this eye and the room.
  see(eye) {
    const seen = this.axes.map((axis) => dot(sub(eye, this.centre), axis));
    const ends = [this.reach[0][1], -this.reach[0][0], this.reach[1][1], -this.reach[1][0], this.reach[2][1]];
    const places = [seen[0], -seen[0], seen[1], -seen[1], seen[2]];
    this.faces = ends.map((end, n) =>
      this.open && this.walls[n] && places[n] > end - this.band[n] ? end - this.band[n] : FULL);
  }

  get section() {
    const at = (axis, share) => this.whole[axis][0] + share * (this.whole[axis][1] - this.whole[axis][0]);
    const low = this.low.map((share, axis) => (share <= 0 ? -FULL : at(axis, share)));
    const high = this.high.map((share, axis) => (share >= 1 ? FULL : at(axis, share)));
    return [low, high];
  }

  shows(place) {
    const offset = sub(place, this.centre);
    const q = this.axes.map((axis) => dot(offset, axis));
    const [low, high] = this.section;
    if (q.some((value, axis) => value < low[axis] || value > high[axis])) return false;
    return [q[0], -q[0], q[1], -q[1], q[2]].every((value, n) => value <= this.faces[n]);
  }

  tell(gl, set) {
    const [low, high] = this.section;
    ["axisX", "axisY", "axisZ"].forEach((name, n) => gl.uniform3fv(set.at(name), this.axes[n]));
    gl.uniform3fv(set.at("centre"), this.centre);
    gl.uniform3fv(set.at("sectionLow"), low);
    gl.uniform3fv(set.at("sectionHigh"), high);
    gl.uniform1fv(set.at("faces"), this.faces);
  }

  get middle() {
    const share = (axis) => (this.reach[axis][0] + this.reach[axis][1]) / 2;
    return this.axes.reduce((sum, axis, n) => add(sum, axis, share(n)), this.centre);
  }
}
