// Small pictures of a list: asked for when their line comes into view, two at a time, and asked for again while made.
//
// In:  an element and the case that it is of. Out: a picture in it, or what stood in it before.

import { ask } from "./ask.js";

const THUMBS_AT_ONCE = 2;
const THUMBS_MOST = 400; // blobs of a few kB that stay in the memory of this tab
const THUMBS_AGAIN_MS = [700, 1500, 3000, 6000, 12000, 30000]; // and so on with the last
const THUMBS_TRIES = 24;

export class Thumbs {
  constructor({ fetcher = undefined, wait = (ms) => new Promise((done) => setTimeout(done, ms)), most = THUMBS_MOST } = {}) {
    this.fetcher = fetcher;
    this.wait = wait;
    this.most = most;
    this.held = new Map(); // case to blob; null where it has no picture
    this.queue = [];
    this.busy = 0;
    this.ended = false;
  }

  /** Put the picture of a case where it belongs, by `put(blob)`, once it is here. */
  want(key, put) {
    if (this.held.has(key)) return put(this.held.get(key));
    const known = this.queue.find((one) => one.key === key);
    if (known) known.put = put;
    else this.queue.push({ key, put, tries: 0 });
    this.next();
  }

  next() {
    while (!this.ended && this.busy < THUMBS_AT_ONCE && this.queue.length) {
      const one = this.queue.shift();
      this.busy += 1;
      this.fetch(one).finally(() => {
        this.busy -= 1;
        this.next();
      });
    }
  }

  async fetch(one) {
    let blob = null;
    try {
      const answer = await ask(`/v1/case/${encodeURIComponent(one.key)}/thumb`, this.fetcher);
      if (answer.status === 202) return this.later(one);
      blob = await answer.blob();
    } catch {
      blob = null; // refused, none there, or no server: what stands in its place stays
    }
    this.hold(one.key, blob);
    if (!this.ended) one.put(blob);
  }

  /** It is being made: others first, then again. */
  later(one) {
    if (one.tries >= THUMBS_TRIES) return;
    this.wait(THUMBS_AGAIN_MS[Math.min(one.tries, THUMBS_AGAIN_MS.length - 1)]).then(() => {
      if (this.ended) return;
      this.queue.push({ ...one, tries: one.tries + 1 });
      this.next();
    });
  }

  hold(key, blob) {
    this.held.set(key, blob);
    while (this.held.size > this.most) this.held.delete(this.held.keys().next().value);
  }

  end() {
    this.ended = true;
    this.queue = [];
    this.held.clear();
  }
}
