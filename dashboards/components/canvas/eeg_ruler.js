// Measure a screen by a real card, so that a millimetre on it is one: browsers do not know how large their pixels are.
//
// In:  a place to keep the result in (localStorage). Out: CSS pixels per millimetre, and whether anybody measured.

import { make } from "./gestures.js";
import { CSS_PX_PER_MM } from "./eeg_trace.js";

const KEPT_AS = "clinic_mm.px_per_mm";
const RULER_MM = 100;
const PLAUSIBLE = [1.5, 20]; // CSS pixels per mm: a wall screen to a dense telephone

/** What this browser was told of its screen. It holds for one zoom and one screen: both are told. */
export function keptScale(storage, ratio) {
  try {
    const kept = JSON.parse(storage.getItem(KEPT_AS) || "null");
    const good = kept && kept.pxPerMm >= PLAUSIBLE[0] && kept.pxPerMm <= PLAUSIBLE[1];
    // Zooming the page changes how many device pixels a CSS pixel has, and with it the measure.
    if (good && kept.ratio > 0) return { pxPerMm: (kept.pxPerMm * kept.ratio) / ratio, measured: true };
  } catch {
    // nothing kept, or nothing of ours
  }
  return { pxPerMm: CSS_PX_PER_MM, measured: false };
}

export function keepScale(storage, pxPerMm, ratio) {
  try {
    storage.setItem(KEPT_AS, JSON.stringify({ pxPerMm, ratio }));
  } catch {
    // a browser that keeps nothing has it until the page is left
  }
}

/** A ruler to be drawn out to 10 cm by mouse, or by the arrow keys while its handle has the focus. */
export function rulerPanel(pxPerMm, done) {
  let now = pxPerMm;
  const bar = make("div", { class: "ruler-bar" });
  const handle = make("button", { type: "button", class: "ruler-handle", role: "slider", "aria-label": "Length of the ruler: draw it out to 10 cm" });
  const words = make("output", { class: "ruler-words" });
  const show = () => {
    const length = now * RULER_MM;
    bar.style.width = `${length}px`;
    handle.style.left = `${length}px`;
    handle.setAttribute("aria-valuenow", length.toFixed(0));
    handle.setAttribute("aria-valuetext", `${now.toFixed(2)} pixels per millimetre`);
    words.textContent = `${now.toFixed(2)} pixels per mm`;
  };
  const set = (length) => {
    now = Math.min(PLAUSIBLE[1], Math.max(PLAUSIBLE[0], length / RULER_MM));
    show();
  };
  handle.addEventListener("pointerdown", (event) => {
    handle.setPointerCapture(event.pointerId);
    event.preventDefault();
    handle.focus();
  });
  handle.addEventListener("pointermove", (event) => {
    if (handle.hasPointerCapture(event.pointerId)) set(event.clientX - bar.getBoundingClientRect().left);
  });
  handle.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowDown: -1, ArrowUp: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    set(now * RULER_MM + step * (event.shiftKey ? 10 : 1));
  });
  handle.setAttribute("aria-valuemin", String(PLAUSIBLE[0] * RULER_MM));
  handle.setAttribute("aria-valuemax", String(PLAUSIBLE[1] * RULER_MM));
  const keep = make("button", { type: "button", onclick: () => done(now) }, "It is 10 cm: keep");
  const leave = make("button", { type: "button", onclick: () => done(null) }, "Leave as it was");
  show();
  return make(
    "div",
    { class: "ruler", role: "group", "aria-label": "Measure this screen" },
    make("p", {}, "Lay a ruler or a card of 10 cm on the screen, and draw the bar out to its length."),
    make("div", { class: "ruler-track" }, bar, handle),
    make("div", { class: "ruler-row" }, words, keep, leave),
  );
}
