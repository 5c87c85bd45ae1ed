// The tiles of a cloud as far as they have come, how much of each is drawn, and which point a ray meets.

import { add, dot, length, scale, sub } from "./math.js";

const PIXELS = [0.004, 0.016]; // radians: what counts as hit beside a point; more where that meets none, as in sparse clouds
const STEPS = 65535;
const EVEN = 300000; // points to which the told spacing belongs: see tiles.py

class Tile {
  constructor(number, total, low, size) {
    Object.assign(this, { number, total, low, size, held: 0, room: 0, drawn: 0, wanted: 0, fresh: 0, relabel: false });
    this.centre = add(low, size, 0.5);
    this.radius = Math.max(length(size) / 2, 1e-4);
  }

  grow(count) {
    if (count <= this.room) return;
    this.room = Math.min(this.total, Math.max(count, 2 * this.room, 20000));
    const larger = (old, kind, width) => {
      const array = new kind(width * this.room);
      if (old) array.set(old);
      return array;
    };
    this.position = larger(this.position, Uint16Array, 4);
    this.colour = larger(this.colour, Uint8Array, 4);
    this.label = larger(this.label, Uint16Array, 1);
    this.unsure = larger(this.unsure, Uint8Array, 1);
    this.fresh = 0; // everything is sent to the graphics card anew
    this.regrown = true;
  }

  take(from, arrays) {
    if (from > this.held) return;
    const count = arrays.label.length;
    this.grow(from + count);
    this.position.set(arrays.position, 4 * from);
    this.colour.set(arrays.colour, 4 * from);
    this.label.set(arrays.label, from);
    if (arrays.unsure) this.unsure.set(arrays.unsure, from);
    this.fresh = Math.min(this.fresh, from);
    this.held = Math.max(this.held, from + count);
  }

  place(index) {
    const at = (axis) => this.low[axis] + (this.size[axis] * this.position[4 * index + axis]) / STEPS;
    return [at(0), at(1), at(2)];
  }
}

export class Cloud {
  constructor(told) {
    Object.assign(this, told);
    this.tiles = told.counts.map((count, number) => new Tile(number, count, told.low[number], told.size[number]));
    this.total = told.counts.reduce((sum, count) => sum + count, 0);
    this.walls = null;
  }

  get held() { return this.tiles.reduce((sum, tile) => sum + tile.held, 0); }
  get drawn() { return this.tiles.reduce((sum, tile) => sum + tile.drawn, 0); }

  take(header, arrays) { this.tiles[header.tile].take(header.from, arrays); }

  // New labels: where few differ they come with their places.
  relabel(header, arrays) {
    let place = 0, value = 0, doubt = 0;
    for (const [number, count, few, held] of header.tiles) {
      const tile = this.tiles[number];
      const values = arrays.values.subarray(value, value + count);
      if (few) {
        const places = arrays.places.subarray(place, place + count);
        for (let i = 0; i < count; i++) tile.label[places[i]] = values[i];
        place += count;
      } else tile.label.set(values);
      if (arrays.unsure) tile.unsure.set(arrays.unsure.subarray(doubt, doubt + held));
      value += count;
      doubt += held;
      tile.relabel = true;
    }
  }

  // Metres between the points of a tile that are drawn.
  apart(tile) {
    const even = (tile.total * Math.min(this.total, EVEN)) / this.total;
    return this.spacing * Math.min(Math.max(Math.sqrt(even / Math.max(tile.drawn, 1)), 0.2), 8);
  }

  // Some places that are spread over the cloud.
  sample(most = 3000) {
    const each = Math.max(1, Math.floor(most / this.tiles.length));
    const places = [];
    for (const tile of this.tiles) {
      const count = Math.min(tile.held, each);
      for (let i = 0; i < count; i++) places.push(tile.place(i));
    }
    return places;
  }

  // Whether enough has come to be shown.
  ready(enough) {
    return this.held >= Math.min(this.total, enough) && this.tiles.every((tile) => tile.held > 0);
  }

  // How many points of each tile to draw: as large as it is seen (no camera: all alike), `budget` in all.
  share(camera, budget) {
    const planes = camera ? frustum(camera) : [];
    let rest = budget, open = [];
    for (const tile of this.tiles) {
      tile.wanted = 0;
      if (!camera) {
        tile.weight = tile.total;
        open.push(tile);
        continue;
      }
      if (planes.some(([normal, offset]) => dot(normal, tile.centre) + offset < -tile.radius)) continue;
      const far = Math.max(length(sub(tile.centre, camera.eye)), tile.radius * 0.7);
      tile.weight = (tile.radius / far) ** 2;
      open.push(tile);
    }
    while (open.length && rest > 1) { // what one tile has no use for is the others'
      const sum = open.reduce((all, tile) => all + tile.weight, 0);
      const full = open.filter((tile) => (rest * tile.weight) / sum >= tile.total);
      if (!full.length) {
        for (const tile of open) tile.wanted = Math.floor((rest * tile.weight) / sum);
        break;
      }
      for (const tile of full) { tile.wanted = tile.total; rest -= tile.total; }
      open = open.filter((tile) => !tile.wanted);
    }
  }

  // The point on the nearest surface that a ray passes within a few pixels of; `shown(place, label)` says what counts.
  pick(ray, shown) {
    return PIXELS.reduce((hit, pixels) => hit ?? this.meet(ray, shown, pixels), null);
  }

  meet({ eye, ahead }, shown, pixels) {
    let nearest = Infinity;
    const hits = [];
    for (const tile of this.tiles) {
      if (!tile.drawn || !meets(tile, eye, ahead, pixels)) continue;
      nearest = Math.min(nearest, meetTile(tile, eye, ahead, [this.apart(tile) / 2, pixels], shown, hits));
    }
    let best = null;
    for (const hit of hits) {
      if (hit.along > nearest + 2 * (hit.radius + pixels * nearest)) continue;
      if (!best || hit.aside < best.aside) best = hit;
    }
    if (best) best.place = best.tile.place(best.index);
    return best;
  }
}

function meetTile(tile, eye, ahead, [radius, pixels], shown, hits) {
  const { position, low, size, drawn } = tile;
  const sx = size[0] / STEPS, sy = size[1] / STEPS, sz = size[2] / STEPS;
  const ox = low[0] - eye[0], oy = low[1] - eye[1], oz = low[2] - eye[2];
  let nearest = Infinity;
  for (let i = 0, k = 0; i < drawn; i++, k += 4) {
    const x = ox + sx * position[k], y = oy + sy * position[k + 1], z = oz + sz * position[k + 2];
    const along = x * ahead[0] + y * ahead[1] + z * ahead[2];
    if (along <= 0) continue;
    const reach = radius + pixels * along;
    const aside = x * x + y * y + z * z - along * along;
    if (aside >= reach * reach || !shown([x + eye[0], y + eye[1], z + eye[2]], tile.label[i])) continue;
    hits.push({ tile, index: i, along, aside, radius, label: tile.label[i] });
    if (along < nearest) nearest = along;
  }
  return nearest;
}

// Whether a ray comes near a tile's box: near its sphere, which is quick and lets nothing through that it should not.
function meets(tile, eye, ahead, pixels) {
  const offset = sub(tile.centre, eye);
  const along = dot(offset, ahead);
  const reach = tile.radius * 1.05 + pixels * Math.max(along, 0);
  return along > -tile.radius && dot(offset, offset) - along * along < reach * reach;
}

function frustum(camera) {
  const m = camera.matrix;
  const row = (i) => [m[i], m[4 + i], m[8 + i], m[12 + i]];
  const [x, y, w] = [row(0), row(1), row(3)];
  return [[x, 1], [x, -1], [y, 1], [y, -1]].map(([side, sign]) => {
    const plane = w.map((value, i) => value + sign * side[i]);
    const size = length(plane);
    return [scale(plane.slice(0, 3), 1 / size), plane[3] / size];
  });
}
