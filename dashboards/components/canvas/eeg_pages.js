// Samples of a recording, asked for by range and kept for a while: pages overlap, and readers go back.
//
// In:  the address of a study. Out: volts of any span, float32, one channel after the other.

import { Refused, ask } from "./ask.js";
import { missingRuns } from "./eeg_trace.js";

const CHUNK_S = 10;
const HELD_BYTES = 96 * 1024 * 1024;
const VALUES_A_REQUEST = 4_000_000;

export class EegPages {
  constructor(base, told) {
    this.base = base;
    this.channels = told.channels.length;
    this.samples = told.samples;
    const most = Math.max(1, Math.floor(VALUES_A_REQUEST / this.channels));
    this.chunk = Math.max(1, Math.min(Math.round(CHUNK_S * told.sfreq_hz), most));
    this.runChunks = Math.max(1, Math.floor(most / this.chunk));
    this.held = new Map(); // in order of last use
    this.coming = new Map();
  }

  /** Volts of samples a to b; both lie within the recording. */
  async span(a, b) {
    await this.load(a, b);
    const n = b - a;
    const out = new Float32Array(this.channels * n);
    for (let at = Math.floor(a / this.chunk); at * this.chunk < b; at += 1) {
      const part = this.held.get(at);
      if (!part) return this.span(a, b); // pushed out meanwhile by a larger span
      const length = part.length / this.channels;
      const from = Math.max(a, at * this.chunk);
      const to = Math.min(b, at * this.chunk + length);
      for (let row = 0; row < this.channels; row += 1) {
        const start = row * length + from - at * this.chunk;
        out.set(part.subarray(start, start + to - from), row * n + from - a);
      }
      this.held.delete(at);
      this.held.set(at, part);
    }
    return out;
  }

  /** Have samples a to b at hand. */
  async load(a, b) {
    const stop = Math.min(b, this.samples);
    const waits = [];
    for (const [at, coming] of this.coming) if (at * this.chunk < stop && (at + 1) * this.chunk > a) waits.push(coming);
    for (const [first, last] of missingRuns(a, stop, this.chunk, (at) => this.held.has(at) || this.coming.has(at))) {
      for (let at = first; at <= last; at += this.runChunks) waits.push(this.fetchRun(at, Math.min(last, at + this.runChunks - 1)));
    }
    await Promise.all(waits);
  }

  fetchRun(first, last) {
    const start = first * this.chunk;
    const stop = Math.min(this.samples, (last + 1) * this.chunk);
    const done = ask(`${this.base}/page?start=${start}&stop=${stop}`)
      .then((answer) => answer.arrayBuffer())
      .then((bytes) => this.keep(first, last, start, stop, new Float32Array(bytes)))
      .finally(() => {
        for (let at = first; at <= last; at += 1) this.coming.delete(at);
      });
    for (let at = first; at <= last; at += 1) this.coming.set(at, done);
    return done;
  }

  keep(first, last, start, stop, volts) {
    const n = stop - start;
    if (volts.length !== n * this.channels) throw new Refused("The server sent another page than was asked for");
    for (let at = first; at <= last; at += 1) {
      const from = at * this.chunk - start;
      const length = Math.min(this.chunk, n - from);
      const part = new Float32Array(length * this.channels);
      for (let row = 0; row < this.channels; row += 1) part.set(volts.subarray(row * n + from, row * n + from + length), row * length);
      this.held.set(at, part);
    }
    const most = Math.max(12, Math.floor(HELD_BYTES / (4 * this.chunk * this.channels)));
    for (const at of this.held.keys()) {
      if (this.held.size <= most) break;
      if (at < first || at > last) this.held.delete(at);
    }
  }
}
