// What CT and radiographs have in common on the screen: tools, keys, mouse, window, turning, measuring, attention.
//
// In:  a root element and what a viewer is made of. Out: a Stage that viewers fill with panes and draw on.
// A picture is of one moment: it says how far the time cursor of the page is from it, and can bring it there.
//
// Every control can be reached by the keyboard: buttons by Tab, all actions by the keymap while a picture has the focus.

import { priorList } from "./beside.js";
import { hearCursor, hoursInWords, tellCursor } from "./cursor.js";
import { Mouse, actionOf, gestureOf, helpPanel, make } from "./gestures.js";
import { passingBy } from "./passing.js";
import { distance, mirrored, turned, zoomed } from "./place.js";
import { coloursOf, dragged, greysOf } from "./window.js";

const CLICK_PX = 4;
const STEP_PX = 40;
const ZOOM_STEP = 1.25;
const HERE_H = 1 / 60; // a time cursor within a minute stands on the picture
const stages = { next: 0 };
export const ATTENTION = "Model attention, not lesion boundary";

export class Stage {
  /** `given`: place (of the keymap), keymap, attention (or null), case, taken_h (before the decision), priors. */
  constructor(root, given) {
    this.root = root;
    this.id = `${given.place}-${(stages.next += 1)}`;
    this.case = given.case;
    this.takenH = Number.isFinite(given.taken_h) ? given.taken_h : null;
    this.priors = given.priors || [];
    this.prior = null;
    this.keymap = given.keymap;
    this.mouse = new Mouse(given.place, given.keymap.mouse, window.localStorage);
    this.panes = [];
    this.drags = null;
    this.cleanups = [];
    this.tools = make("div", { class: "tools", role: "toolbar", "aria-label": "Tools" });
    this.area = make("div", { class: "area" });
    this.readout = make("div", { class: "readout" });
    this.said = make("output", { class: "said", "aria-live": "polite" });
    this.moment = make("p", { class: "moment" });
    this.besides = make("p", { class: "besides", "aria-live": "polite", hidden: true });
    this.attentionTools = make("span", { class: "attention" });
    this.help = helpPanel(this.keymap, this.mouse, () => this.act("help"));
    root.replaceChildren(this.tools, this.area, make("div", { class: "below" }, this.readout, this.said), this.besides, this.moment, this.help);
    this.told = null;
    this.windows = [];
    this.setAttention(given.attention);
  }

  /** Begin to show what the server told of a study. */
  begin(told, windows) {
    this.told = told;
    this.windows = windows;
    this.first = { window: windows[0], inverted: false, cross: true, measuring: false };
    Object.assign(this, this.first, { ruler: null, greys: null });
    this.addTools();
    this.heard(null);
    this.cleanups.push(hearCursor(this.id, this.case, (hours) => this.heard(hours)));
  }

  // --- time --------------------------------------------------------------------------------------------------------

  /** The time cursor stands so many hours before the decision; null for nowhere. */
  heard(hours) {
    const here = this.takenH !== null && hours !== null && Math.abs(hours - this.takenH) <= HERE_H;
    this.root.dataset.cursor = here ? "here" : "";
    if (this.takenH === null) {
      this.moment.textContent = "When this was taken is not known: it has no place on the time cursor";
      return;
    }
    const parts = [`Taken ${hoursInWords(this.takenH)} the decision`];
    if (here) parts.push("the time cursor stands here");
    else if (hours !== null) parts.push(`${hoursInWords(this.takenH - hours)} the time cursor`);
    this.moment.textContent = parts.join(" · ");
  }

  /** Bring the time cursor of the page to this picture. */
  cursorHere() {
    if (this.takenH === null) return;
    tellCursor(this.takenH, this.id, this.case);
    this.heard(this.takenH);
  }

  // --- a prior study -----------------------------------------------------------------------------------------------

  /** Show a prior study beside this one; the same again, or none, takes it away. */
  async beside(which) {
    const before = this.prior;
    if (before && before.pane) this.closePrior(before);
    this.prior = null;
    this.besides.hidden = true;
    this.area.classList.remove("beside");
    if (which && !(before && before.of === which)) {
      const mine = (this.prior = { of: which });
      this.besides.hidden = false;
      this.besides.textContent = "The prior study is being read";
      try {
        await this.openPrior(which, mine);
      } catch (error) {
        if (this.prior === mine) this.besides.textContent = `The prior study cannot be shown: ${error.message}`;
      }
    }
    if (this.list) this.list.hidden = !this.prior;
    this.press();
    this.redraw();
  }

  /** A pane that is held as its leader is: zoom, moves and turns of either are those of both. */
  follow(pane, leader, viewOf) {
    Object.defineProperty(pane, "view", { get: () => leader.view, set: (view) => (leader.view = view) });
    pane.matrix = () => pane.matrixOf(viewOf());
    this.panes.push(pane);
    this.listen(pane);
  }

  /** Take the pane of a prior away. */
  leave(pane) {
    this.panes = this.panes.filter((one) => one !== pane);
    if (this.ruler && this.ruler.pane === pane) this.ruler = null;
    if (this.active === pane) this.active = this.panes[0];
    pane.canvas.closest(".plane").remove();
  }

  /** Watch an element for as long as the stage stands. */
  watch(element, name, does, options) {
    element.addEventListener(name, does, options);
    this.cleanups.push(() => element.removeEventListener(name, does, options));
  }

  end() {
    this.cleanups.forEach((clean) => clean());
    this.cleanups = [];
    this.ended = true;
  }

  /** Grey and colours of the window, made once for each. */
  get colours() {
    if (!this.greys || this.greys.window !== this.window || this.greys.inverted !== this.inverted) {
      const colours = coloursOf(greysOf(this.window, this.told, this.inverted));
      this.greys = { window: this.window, inverted: this.inverted, colours };
    }
    return this.greys.colours;
  }

  /** Draw before the next picture of the screen, once however often it is asked for. */
  redraw() {
    if (this.waiting || this.ended) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = 0;
      if (this.ended) return;
      this.draw();
      this.root.dispatchEvent(new CustomEvent("drawn", { bubbles: true, composed: true, detail: performance.now() }));
    });
  }

  /** Say in words, after a while, what the keyboard did. */
  say(words) {
    clearTimeout(this.saying);
    this.saying = setTimeout(() => (this.said.textContent = words), 250);
  }

  /** Replace everything by a sentence. */
  refuse(error) {
    this.area.replaceChildren(make("p", { class: "refused", role: "alert" }, error.message || "This cannot be shown"));
    this.end();
  }

  // --- tools -------------------------------------------------------------------------------------------------------

  addTools() {
    const button = (action, words) => {
      const row = this.keymap.keys.find((one) => one.action === action);
      const key = row ? ` (${row.keys[0]})` : "";
      const made = make("button", { type: "button", title: row ? row.does + key : words, onclick: () => this.act(action) }, words);
      made.dataset.action = action;
      return made;
    };
    const windows = this.windows.map((one, at) => button(`window_${at + 1}`, one.name));
    const more = [["invert", "Invert"], ["turn_left", "⟲"], ["turn_right", "⟳"], ["mirror", "Mirror"], ["measure", "Measure"]];
    if (this.panes.length > 1) more.push(["crosshair", "Crosshair"]);
    if (this.priors.length) more.push(["prior", "Prior beside"]);
    if (this.takenH !== null) more.push(["cursor_here", "Time cursor here"]);
    more.push(["reset", "Reset"], ["help", "Keys ?"]);
    const names = { turn_left: "Turn by 90° to the left", turn_right: "Turn by 90° to the right" };
    const others = more.map(([action, words]) => button(action, words));
    others.forEach((one) => names[one.dataset.action] && one.setAttribute("aria-label", names[one.dataset.action]));
    this.list = priorList(this.priors, (one) => this.beside(one));
    if (this.list) this.list.hidden = true;
    this.tools.replaceChildren(...windows, ...others, ...(this.list ? [this.list] : []), this.attentionTools);
    this.press();
  }

  /** Show on the buttons what is on. */
  press() {
    const on = { invert: this.inverted, measure: this.measuring, crosshair: this.cross, saliency: this.attentionOn, prior: this.prior, help: !this.help.hidden };
    this.windows.forEach((one, at) => (on[`window_${at + 1}`] = this.window === one));
    for (const one of this.tools.querySelectorAll("button")) {
      if (one.dataset.action in on) one.setAttribute("aria-pressed", String(Boolean(on[one.dataset.action])));
    }
  }

  /** Stored attention, off at first; null where there is none, which the page says in words. */
  setAttention(attention) {
    this.attention = attention && attention.map ? attention : null;
    this.attentionOn = false;
    this.opacity = 0.5;
    const parts = [];
    if (this.attention) {
      const button = make("button", { type: "button", onclick: () => this.act("saliency") }, ATTENTION);
      button.dataset.action = "saliency";
      this.slider = make("input", { type: "range", min: 0, max: 100, value: 50, "aria-label": `${ATTENTION}: opacity in percent` });
      this.slider.addEventListener("input", () => this.setOpacity(this.slider.value / 100));
      parts.push(button, this.slider);
    }
    this.attentionTools.replaceChildren(...parts);
    if (this.told) {
      this.press();
      this.redraw();
    }
  }

  setOpacity(opacity) {
    this.opacity = Math.min(1, Math.max(0, opacity));
    this.slider.value = Math.round(100 * this.opacity);
    this.attentionOn = true;
    this.press();
    this.redraw();
  }

  // --- actions -----------------------------------------------------------------------------------------------------

  /** Do an action of the keymap; false where this stage does not know it. */
  act(action, pane = this.active) {
    if (!this.told && action !== "help") return false;
    const known = this.common(action, pane) || this.own(action, pane);
    if (known) {
      this.press();
      this.redraw();
      if (action !== "help") this.say(this.words(pane));
    }
    return known;
  }

  common(action, pane) {
    const number = /^window_(\d)$/.exec(action);
    if (number) return this.windows[number[1] - 1] ? ((this.window = this.windows[number[1] - 1]), true) : false;
    const step = Math.max(1e-6, this.window.width / 20);
    const moves = { pan_left: [-1, 0], pan_right: [1, 0], pan_up: [0, -1], pan_down: [0, 1] };
    if (action in moves) {
      pane.view.shift = pane.view.shift.map((one, axis) => one + STEP_PX * moves[action][axis]);
      return true;
    }
    const does = {
      invert: () => (this.inverted = !this.inverted),
      brighter: () => (this.window = dragged(this.window, 0, -1, step)),
      darker: () => (this.window = dragged(this.window, 0, 1, step)),
      harder: () => (this.window = dragged(this.window, -1, 0, step)),
      softer: () => (this.window = dragged(this.window, 1, 0, step)),
      zoom_in: () => this.zoom(pane, ZOOM_STEP),
      zoom_out: () => this.zoom(pane, 1 / ZOOM_STEP),
      turn_right: () => (pane.view.hang = turned(pane.view.hang, 1)),
      turn_left: () => (pane.view.hang = turned(pane.view.hang, -1)),
      mirror: () => (pane.view.hang = mirrored(pane.view.hang, false)),
      upside_down: () => (pane.view.hang = mirrored(pane.view.hang, true)),
      crosshair: () => (this.cross = !this.cross),
      measure: () => this.measureByKey(pane),
      saliency: () => (this.attentionOn = Boolean(this.attention) && !this.attentionOn),
      fainter: () => this.attention && this.setOpacity(this.opacity - 0.1),
      stronger: () => this.attention && this.setOpacity(this.opacity + 0.1),
      prior: () => this.beside(this.prior ? null : this.priors[this.list ? this.list.selectedIndex : 0]),
      cursor_here: () => this.cursorHere(),
      reset: () => this.reset(),
      help: () => this.showHelp(),
    }[action];
    if (does) does();
    return Boolean(does);
  }

  reset() {
    Object.assign(this, this.first, { ruler: null, attentionOn: false });
    this.panes.forEach((pane) => pane.reset());
  }

  showHelp() {
    this.help.hidden = !this.help.hidden;
    (this.help.hidden ? this.active.canvas : this.help.querySelector("button")).focus();
  }

  zoom(pane, factor, point) {
    const size = pane.size;
    pane.view = zoomed(pane.view, factor, point || [size[0] / 2, size[1] / 2], ...size);
  }

  /** The first press sets one end at the cursor, the second the other; the third begins anew. */
  measureByKey(pane) {
    const at = this.cursor(pane);
    const open = this.ruler && this.ruler.open && this.ruler.pane === pane;
    this.ruler = open ? { ...this.ruler, to: at, open: false } : { pane, from: at, to: at, open: true };
    this.measuring = this.ruler.open;
  }

  /** The measured distance of a pane, as it is drawn. */
  rulerOf(pane) {
    if (!this.ruler || this.ruler.pane !== pane) return null;
    const to = this.ruler.open ? this.cursor(pane) : this.ruler.to;
    return { from: this.ruler.from, to, words: this.lengthWords(pane, distance(pane.plane, this.ruler.from, to), this.ruler.from, to) };
  }

  // --- events ------------------------------------------------------------------------------------------------------

  /** Listen to keys and mouse on the canvas of a pane. */
  listen(pane) {
    const { canvas } = pane;
    this.watch(canvas, "focus", () => (this.active = pane));
    this.watch(canvas, "keydown", (event) => {
      if (!this.act(actionOf(this.keymap, event), pane)) return;
      event.preventDefault();
      event.stopPropagation();
    });
    this.watch(canvas, "contextmenu", (event) => event.preventDefault());
    this.watch(canvas, "pointerdown", (event) => this.grasp(pane, event));
    this.watch(canvas, "pointermove", (event) => this.move(pane, event));
    this.watch(canvas, "pointerup", (event) => this.release(pane, event));
    this.watch(canvas, "pointercancel", () => (this.drags = null));
    this.watch(canvas, "pointerleave", () => this.drags || (this.readout.textContent = ""));
    this.watch(canvas, "wheel", (event) => this.turn(pane, event), { passive: false });
  }

  grasp(pane, event) {
    if (!this.told) return;
    pane.canvas.focus({ preventScroll: true });
    pane.canvas.setPointerCapture(event.pointerId);
    event.preventDefault();
    const action = this.measuring && event.button === 0 ? "measure" : this.mouse.action(gestureOf(event, event.button));
    const from = pane.placeOf(event);
    this.drags = { pane, action, begun: pane.pointOf(event), last: pane.pointOf(event), from, far: false, button: event.button };
  }

  move(pane, event) {
    if (!this.told) return;
    const held = this.drags;
    this.readout.textContent = this.valueWords(pane, pane.placeOf(event));
    if (!held || held.pane !== pane) return;
    const point = pane.pointOf(event);
    const [right, down] = [point[0] - held.last[0], point[1] - held.last[1]];
    held.far = held.far || Math.hypot(point[0] - held.begun[0], point[1] - held.begun[1]) > CLICK_PX;
    if (!held.far) return;
    held.last = point;
    if (held.action === "window") this.window = dragged(this.window, right, down, Math.max(this.windows[0].width / 400, 1e-9));
    if (held.action === "pan") pane.view.shift = [pane.view.shift[0] + right, pane.view.shift[1] + down];
    if (held.action === "zoom") this.zoom(pane, Math.exp(-down / 150), held.begun);
    if (held.action === "measure") this.ruler = { pane, from: held.from, to: pane.placeOf(event), open: false };
    if (held.action === "slice") this.slide(pane, held, down);
    this.press();
    this.redraw();
  }

  release(pane, event) {
    const held = this.drags;
    this.drags = null;
    if (!held || held.pane !== pane) return;
    if (!held.far && held.button === 0) this.click(pane, pane.placeOf(event));
    if (held.action === "measure" && held.far) this.measuring = false;
    this.press();
    this.redraw();
    this.say(this.words(pane));
  }

  /** Slices by dragging: one for every few pixels. */
  slide(pane, held, down) {
    held.rest = (held.rest || 0) + down / 6;
    const whole = Math.trunc(held.rest);
    held.rest -= whole;
    if (whole) this.slice(pane, whole);
  }

  turn(pane, event) {
    if (!this.told) return;
    const action = this.mouse.action(gestureOf(event));
    if (action === "nothing" || action === "measure" || passingBy(pane.canvas)) return;
    event.preventDefault();
    const way = Math.sign(event.deltaY || event.deltaX);
    if (action === "slice") this.slice(pane, way);
    if (action === "zoom") this.zoom(pane, way > 0 ? 1 / 1.15 : 1.15, pane.pointOf(event));
    if (action === "window") this.window = dragged(this.window, way, 0, this.window.width / 20);
    if (action === "pan") pane.view.shift = [pane.view.shift[0], pane.view.shift[1] - way * STEP_PX];
    this.press();
    this.redraw();
    this.say(this.words(pane));
  }

  // --- what viewers say and do by themselves -----------------------------------------------------------------------

  own() {
    return false;
  }

  async openPrior() {}

  closePrior() {}

  slice() {}

  click() {}
}

/** What Streamlit calls at first, and again whenever the data of a component change: one stage for one study. */
export function mounted(Kind) {
  const stages = new WeakMap();
  return ({ parentElement, data }) => {
    const known = stages.get(parentElement);
    if (known && known.data.address === data.address && !known.ended) {
      if (JSON.stringify(known.data.attention) !== JSON.stringify(data.attention)) known.setAttention(data.attention);
      known.data = data;
      return () => known.end();
    }
    if (known) known.end();
    const stage = new Kind(parentElement.querySelector(".viewer"), data);
    stages.set(parentElement, stage);
    stage.open();
    return () => stage.end();
  };
}
