// The mouse on a page of EEG: turning, measuring, marking a channel by its name, the time cursor.
//
// In:  a viewer, and what each gesture does (schemas/keymap.toml, as the reader changed it). Out: actions of the keymap, as
//      keys do them; what is being measured. A wheel that does something here neither scrolls nor zooms the page.

import { LEFT_PX, rowAt } from "./eeg_draw.js";
import { gestureOf } from "./gestures.js";
import { passingBy } from "./passing.js";

const CLICK_SLACK_PX = 4;
const NOTCH_PX = 50; // a notch of a wheel is 100 or more; a touchpad sends many small steps, and they are put together
const LINE_PX = 33; // of a wheel that counts in lines, three a notch
export const TURNS = {
  page: ["last_page", "next_page"],
  second: ["second_back", "second_on"],
  gain: ["gain_up", "gain_down"],
  length: ["shorter", "longer"],
  rows: ["rows_back", "rows_on"],
}; // by the wheel: up, down
const CHOICES = {
  wheel: {
    page: "Turn pages",
    second: "A second on or back",
    gain: "Larger or smaller waves",
    length: "Fewer or more seconds a page",
    rows: "Other channels, where there are more than fit",
    nothing: "Nothing",
  },
  left: { measure: "Drag: measure time and voltage", nothing: "Nothing" },
  label: { mark: "Mark the channel; again: it alone; again: all", nothing: "Nothing" },
};

/** What a gesture can do, in words. */
export function eegChoices(gesture) {
  return CHOICES[gesture.replace(/^(shift|ctrl)_/, "")] || {};
}

/** Whole notches of a wheel, down is more; small steps are kept until they are one. */
export class Notches {
  constructor() {
    this.rest = 0;
  }

  of(event) {
    const delta = (event.deltaY || event.deltaX) * (event.deltaMode ? LINE_PX : 1); // Shift turns a wheel sideways
    if (delta * this.rest < 0) this.rest = 0;
    this.rest += delta;
    if (Math.abs(this.rest) < NOTCH_PX) return 0;
    this.rest = 0;
    return Math.sign(delta);
  }
}

export class EegMouse {
  constructor(viewer, bound) {
    Object.assign(this, { viewer, bound, notches: new Notches(), from: null });
    for (const [name, does] of [["pointerdown", "press"], ["pointermove", "drag"], ["pointerup", "release"]]) {
      viewer.page.addEventListener(name, (event) => viewer.lay && this[does](event));
    }
    viewer.page.addEventListener("wheel", (event) => this.turn(event), { passive: false });
  }

  turn(event) {
    const { viewer } = this;
    const turns = TURNS[this.bound.action(gestureOf(event))];
    if (!viewer.lay || !turns || passingBy(viewer.page)) return;
    event.preventDefault();
    const way = this.notches.of(event);
    if (!way) return;
    const { lay } = viewer;
    const under = lay.second(event.offsetX);
    viewer.act(turns[way > 0 ? 1 : 0]);
    // What lies under the mouse stays there, so that one can look closer at it.
    if (turns === TURNS.length && event.offsetX >= LEFT_PX) viewer.hold(under, (event.offsetX - LEFT_PX) / lay.plot);
  }

  press(event) {
    if (event.button !== 0) return;
    this.viewer.page.setPointerCapture(event.pointerId);
    this.from = [event.offsetX, event.offsetY];
    this.viewer.measure = null;
  }

  drag(event) {
    const { viewer, from } = this;
    const [x1, y1] = [event.offsetX, event.offsetY];
    viewer.page.style.cursor = !from && rowAt(viewer.lay, x1, y1) >= 0 ? "pointer" : "";
    const still = !from || Math.hypot(x1 - from[0], y1 - from[1]) <= CLICK_SLACK_PX;
    if (still || this.bound.action("left") !== "measure") return;
    const seconds = Math.abs(viewer.lay.second(x1) - viewer.lay.second(from[0]));
    const uv = (Math.abs(y1 - from[1]) / viewer.scale.pxPerMm) * viewer.tools.now.uvPerMm;
    const rate = seconds > 0.02 ? ` (${(1 / seconds).toFixed(1)} Hz)` : "";
    viewer.measure = { x0: from[0], y0: from[1], x1, y1, text: `${(seconds * 1000).toFixed(0)} ms${rate} · ${uv.toFixed(0)} µV` };
    viewer.overlay();
  }

  release(event) {
    const { viewer, from } = this;
    if (!from) return;
    const [x, y] = [event.offsetX, event.offsetY];
    this.from = null;
    if (viewer.measure) return viewer.sayLater(viewer.measure.text);
    if (Math.hypot(x - from[0], y - from[1]) > CLICK_SLACK_PX) return;
    const row = rowAt(viewer.lay, x, y);
    if (row >= 0 && this.bound.action("label") === "mark") viewer.markOrAlone(viewer.rows[row].name);
    else if (x >= LEFT_PX && x <= LEFT_PX + viewer.lay.plot) viewer.setCursor(Math.min(viewer.seconds, viewer.lay.second(x)));
  }
}
