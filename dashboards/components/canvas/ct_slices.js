// Planes of a volume: asked for when needed, those around them ahead of time, kept within a bound.
//
// In:  the address of a study and what the server told of it. Out: planes as Int16Array, at once where they are here.
//
// Axial slices are fetched from the one on screen outward until all are here; then the other planes are cut from them.

import { ask } from "./ask.js";
import { littleEndian } from "./window.js";

const MOST_BYTES = 512 * 1024 * 1024;
const RUN = 16; // neighbours of one request ahead
const REQUESTS = 2; // ahead at once: what is on screen must not queue behind them

export class Slices {
  constructor(address, told, { fetcher = undefined, mostBytes = MOST_BYTES, arrived = () => {}, failed = () => {} } = {}) {
    const [x, y, z] = told.shape;
    this.address = address;
    this.fetcher = fetcher;
    this.mostBytes = mostBytes;
    this.arrived = arrived;
    this.failed = failed; // slices may come before the whole is decoded, and the whole may turn out not to be usable
    this.sizes = { axial: [x, y, z], coronal: [x, z, y], sagittal: [y, z, x] };
    this.held = new Map(); // "plane index" in the order of use
    this.bytes = 0;
    this.asked = new Map();
    this.ahead = 0;
    this.middle = z >> 1;
    this.closed = false;
  }

  /** Number of planes. */
  count(plane) {
    return this.sizes[plane][2];
  }

  /** A plane, rows one after the other; null where it is not here yet. */
  get(plane, index) {
    const key = `${plane} ${index}`;
    const found = this.held.get(key);
    if (found) {
      this.held.delete(key);
      this.held.set(key, found);
      return found;
    }
    const cut = plane === "axial" ? null : this.cut(plane, index);
    if (cut) this.hold(key, cut);
    return cut;
  }

  /** A plane, asked for if need be. */
  async want(plane, index) {
    const here = this.get(plane, index);
    if (here) return here;
    await this.fetch(plane, index, 1);
    return this.get(plane, index);
  }

  /** Fetch what lies around an axial slice, nearest first, as long as there is room. */
  prefetch(index) {
    this.middle = index;
    while (!this.closed && this.ahead < REQUESTS) {
      const run = this.nextRun();
      if (!run) return;
      this.ahead += 1;
      this.fetch("axial", run[0], run[1])
        .catch((error) => {
          if (!this.closed) this.failed(error);
          this.closed = true;
        })
        .finally(() => {
          this.ahead -= 1;
          this.prefetch(this.middle);
        });
    }
  }

  close() {
    this.closed = true;
    this.held.clear();
  }

  /** First and number of the missing axial slices nearest to the middle; null where none is missing or fits. */
  nextRun() {
    const [x, y, n] = this.sizes.axial;
    const reach = Math.max(1, Math.floor((this.mostBytes * 0.8) / (2 * x * y) / 2));
    const missing = (at) => at >= 0 && at < n && !this.held.has(`axial ${at}`) && !this.asked.has(`axial ${at}`);
    for (let away = 0; away <= Math.min(n, reach); away++) {
      for (const side of away ? [1, -1] : [1]) {
        let at = this.middle + side * away;
        if (!missing(at)) continue;
        let length = 1;
        while (length < RUN && away + length <= reach && missing(at + side * length)) length += 1;
        return [side > 0 ? at : at - length + 1, length];
      }
    }
    return null;
  }

  fetch(plane, first, count) {
    const key = `${plane} ${first}`;
    if (count === 1 && this.asked.has(key)) return this.asked.get(key);
    const coming = this.receive(plane, first, count).finally(() => {
      for (let at = first; at < first + count; at++) this.asked.delete(`${plane} ${at}`);
    });
    for (let at = first; at < first + count; at++) this.asked.set(`${plane} ${at}`, coming);
    return coming;
  }

  async receive(plane, first, count) {
    const answer = await ask(`${this.address}/${plane}/${first}?count=${count}`, this.fetcher);
    const values = littleEndian(await answer.arrayBuffer());
    const [columns, rows] = this.sizes[plane];
    const size = columns * rows;
    if (this.closed) return;
    for (let at = 0; at < count; at++) this.hold(`${plane} ${first + at}`, values.slice(at * size, (at + 1) * size));
    this.arrived(this.held.size);
  }

  hold(key, values) {
    if (this.held.has(key)) this.bytes -= this.held.get(key).byteLength;
    this.held.set(key, values);
    this.bytes += values.byteLength;
    for (const [oldest, its] of this.held) {
      if (this.bytes <= this.mostBytes || oldest === key) break;
      this.held.delete(oldest);
      this.bytes -= its.byteLength;
    }
  }

  /** A coronal or sagittal plane from axial slices; null where one of them is not here. */
  cut(plane, index) {
    const [x, y, n] = this.sizes.axial;
    const wide = plane === "coronal" ? x : y;
    const slices = [];
    for (let at = 0; at < n; at++) {
      const one = this.held.get(`axial ${at}`);
      if (!one) return null;
      slices.push(one);
    }
    const values = new Int16Array(wide * n);
    slices.forEach((one, at) => {
      if (plane === "coronal") values.set(one.subarray(index * x, (index + 1) * x), at * wide);
      else for (let row = 0; row < y; row++) values[at * wide + row] = one[row * x + index];
    });
    return values;
  }
}
