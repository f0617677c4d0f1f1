// The viewer of EEG: pages of traces over strips of the whole recording.
//
// In:  the address of a study, what may be chosen, keys, stored attention, where the recording lies in time.
// Out: two canvases and their tools; the time cursor, told to and heard from the other viewers of the page.
//
// Samples come by range and are filtered here, page and margins, so that montage, filters and gain change without asking.

import { ask } from "./ask.js";
import { hearCursor, hoursInWords, tellCursor } from "./cursor.js";
import { BOTTOM_PX, TOP_PX, drawAnnotations, drawAttention, drawGaps, drawGrid, drawNames, drawOver, drawScale, drawTraces, layoutOf } from "./eeg_draw.js";
import { filterRow, marginSeconds } from "./eeg_filter.js";
import { EegMouse, eegChoices } from "./eeg_mouse.js";
import { EegPages } from "./eeg_pages.js";
import { keepScale, keptScale, rulerPanel } from "./eeg_ruler.js";
import { drawStrips, secondAt, spectrumImage, stripsOf } from "./eeg_strips.js";
import { EegTools } from "./eeg_tools.js";
import { chainEnds, clock, commonOf, derive, median, mmPerSecond } from "./eeg_trace.js";
import { Mouse, actionOf, helpPanel, make } from "./gestures.js";
import { isDark } from "./theme.js";

const ROW_PX = 27;
const MOST_ROWS = 40; // more than these are shown in parts: what cannot be told apart is not shown
const HEIGHT_PX = [300, 780];
const SPECTRUM_LINES = 88;
const ids = { next: 0 };

class EegViewer {
  constructor(root, data) {
    this.root = root;
    this.id = `eeg-${(ids.next += 1)}`;
    this.cursorS = null;
    this.startS = 0;
    this.firstRow = 0;
    this.marked = ""; // name of a channel, and whether it is shown alone
    this.alone = false;
    this.cleanups = [];
    this.scale = keptScale(window.localStorage, window.devicePixelRatio || 1);
    this.page = make("canvas", { class: "eeg-page", tabindex: 0, role: "application", "aria-roledescription": "EEG" });
    this.over = make("canvas", { class: "eeg-over", "aria-hidden": "true" });
    this.strips = make("canvas", { class: "eeg-strips", tabindex: 0, role: "slider", "aria-label": "Place in the recording" });
    this.status = make("p", { class: "eeg-status" }, "The recording is being opened");
    this.said = make("output", { class: "said", "aria-live": "polite" });
    this.lists = make("div", { class: "eeg-lists" });
    this.slot = make("div", {});
    this.take(data);
    this.bound = new Mouse("eeg", data.keymap.mouse, window.localStorage, eegChoices);
    this.help = helpPanel(data.keymap, this.bound, () => this.act("help"));
    this.tools = new EegTools(data.view, (action) => this.act(action), () => this.changed());
    this.tools.allow(Boolean(this.attention));
    const sheet = make("div", { class: "eeg-sheet" }, this.page, this.over);
    root.replaceChildren(this.tools.element, this.slot, sheet, this.strips, this.status, this.said, this.lists, this.help);
    this.listen();
    this.open();
  }

  /** What Python says anew on every run of the page. */
  take(data) {
    this.data = data;
    this.attention = data.attention || null;
    if (this.tools) this.tools.allow(Boolean(this.attention));
    if (this.told) this.changed();
  }

  async open() {
    try {
      this.told = await (await ask(this.data.address)).json();
      if (this.ended) return;
      this.pages = new EegPages(this.data.address, this.told);
      this.seconds = this.told.samples / this.told.sfreq_hz;
      this.tools.offer(this.told);
      this.root.dataset.state = "open";
      this.cleanups.push(hearCursor(this.id, this.data.case, (hours) => this.heard(hours)));
      this.changed();
      this.list();
      await this.survey();
    } catch (error) {
      this.refuse(error);
    }
  }

  /** The whole recording: its channels judged, its strips. It may take a while; pages do not wait for it. */
  async survey() {
    const found = await (await ask(`${this.data.address}/overview`)).json();
    if (this.ended) return;
    this.overview = found;
    if (!this.told.judged) {
      this.told = await (await ask(this.data.address)).json();
      this.tools.offer(this.told);
      this.list();
    }
    this.root.dataset.surveyed = "yes";
    this.changed();
  }

  end() {
    this.ended = true;
    this.cleanups.forEach((clean) => clean());
  }

  refuse(error) {
    if (this.ended) return;
    this.root.dataset.state = "refused";
    this.status.setAttribute("role", "alert");
    this.status.textContent = error.message || "This cannot be shown";
  }

  // --- the page ----------------------------------------------------------------------------------------------------

  clamp(startS) {
    return Math.min(Math.max(0, startS), Math.max(0, this.seconds - this.tools.now.pageS));
  }

  /** Everything anew: the page on screen, its neighbours fetched after it. */
  async changed() {
    if (!this.told || this.ended) return;
    const turn = (this.turn = (this.turn || 0) + 1);
    const asked = performance.now();
    this.startS = this.clamp(this.startS);
    try {
      await this.prepare(turn);
    } catch (error) {
      this.refuse(error);
      return;
    }
    if (turn !== this.turn || this.ended) return;
    this.draw();
    this.root.dataset.ms = (performance.now() - asked).toFixed(1);
    Object.assign(this.root.dataset, { page: this.startS.toFixed(3), marked: this.marked, rows: this.rows.length });
    this.ahead();
  }

  /** Rows of the page: montage, filters, level. */
  async prepare(turn) {
    const { told } = this;
    const { now } = this.tools;
    const rate = told.sfreq_hz;
    const montage = told.montages.find((one) => one.name === now.montage);
    const first = Math.round(this.startS * rate);
    const stop = Math.min(told.samples, Math.round((this.startS + now.pageS) * rate));
    const margin = Math.ceil(marginSeconds(now) * rate);
    const [a, b] = [Math.max(0, first - margin), Math.min(told.samples, stop + margin)];
    const volts = await this.pages.span(a, b);
    if (turn !== this.turn) return;
    const n = b - a;
    const common = commonOf(montage.common, volts, n);
    const breaks = told.gaps.map(([at]) => Math.round(at * rate) - a).filter((at) => at > 0 && at < n);
    this.names = montage.rows.map((row) => row.name);
    const only = this.alone ? montage.rows.filter((row) => row.name === this.marked) : [];
    this.alone = only.length > 0; // another montage may not have it
    const listed = this.alone ? only : montage.rows;
    this.all = listed.length;
    this.firstRow = Math.min(this.firstRow, Math.max(0, Math.ceil(this.all / MOST_ROWS) - 1) * MOST_ROWS);
    this.rows = listed.slice(this.firstRow, this.firstRow + MOST_ROWS).map((row) => {
      if (!row.pairs.length) return { name: row.name, bad: row.bad, uv: null };
      const whole = filterRow(derive(row, row.common ? common : null, volts, n, 0, n), now, rate, breaks);
      const uv = whole.subarray(first - a, stop - a);
      return { name: row.name, bad: row.bad, uv, level: now.highpass > 0 ? 0 : median(uv), seconds: uv.length / rate };
    });
  }

  /** Have the pages beside this one at hand. */
  ahead() {
    const rate = this.told.sfreq_hz;
    const reach = this.tools.now.pageS + marginSeconds(this.tools.now);
    for (const side of [1, -1]) {
      const from = this.startS + side * this.tools.now.pageS;
      const a = Math.max(0, Math.round((from - reach) * rate));
      const b = Math.min(this.told.samples, Math.round((from + reach) * rate));
      if (b > a) this.pages.load(a, b).catch(() => {}); // said when that page is opened
    }
  }

  colours() {
    this.root.classList.toggle("dark", isDark(getComputedStyle(this.root).getPropertyValue("--st-background-color")));
    const style = getComputedStyle(this.root);
    const take = (name) => style.getPropertyValue(name).trim();
    return {
      ink: take("--eeg-ink"), paper: take("--eeg-paper"), faint: take("--eeg-faint"), grid: take("--eeg-grid"), gap: take("--eeg-gap"),
      mark: take("--eeg-mark"), cursor: take("--eeg-cursor"), towards: take("--eeg-towards"), away: take("--eeg-away"),
    };
  }

  draw() {
    const wide = Math.max(320, this.root.clientWidth);
    const chains = chainEnds(this.rows.map((row) => row.name));
    const wanted = TOP_PX + BOTTOM_PX + ROW_PX * (this.rows.length + 0.6 * chains.filter(Boolean).length);
    const high = Math.round(Math.min(HEIGHT_PX[1], Math.max(HEIGHT_PX[0], wanted)));
    const { now } = this.tools;
    const colours = this.colours();
    this.lay = layoutOf(wide, high, this.rows.map((row) => row.name), chains, this.startS, now.pageS);
    const ctx = sized(this.page, wide, high);
    ctx.fillStyle = colours.paper;
    ctx.fillRect(0, 0, wide, high);
    const scale = { uvPerMm: now.uvPerMm, pxPerMm: this.scale.pxPerMm, negativeUp: now.negativeUp, ratio: window.devicePixelRatio || 1 };
    if (this.attention && now.attention) drawAttention(ctx, this.lay, this.rows, this.attention.shades, colours);
    drawGrid(ctx, this.lay, colours, (s) => clock(s));
    drawGaps(ctx, this.lay, this.told.gaps, colours);
    drawTraces(ctx, this.lay, this.rows, colours, scale, this.marked);
    drawAnnotations(ctx, this.lay, this.told.annotations, colours);
    drawNames(ctx, this.lay, this.rows, colours, this.marked);
    drawScale(ctx, this.lay, scale, colours);
    this.overlay();
    this.drawWhole(colours);
    this.speak();
  }

  overlay() {
    const ctx = sized(this.over, this.lay.width, this.lay.height);
    drawOver(ctx, this.lay, this.cursorS, this.measure, this.colours());
  }

  drawWhole(colours = this.colours()) {
    const attention = this.attention && this.tools.now.attention ? this.attention : null;
    const strips = stripsOf(this.overview, attention);
    for (const strip of strips) if (strip.kind === "spectrum") strip.picture = this.picture(strip.region);
    const high = strips.reduce((sum, strip) => sum + strip.high, 0);
    const ctx = sized(this.strips, this.lay.width, high);
    ctx.fillStyle = colours.paper;
    ctx.fillRect(0, 0, this.lay.width, high);
    const { gaps, annotations } = this.told;
    const given = { seconds: this.seconds, startS: this.startS, pageS: this.tools.now.pageS, cursorS: this.cursorS, gaps, annotations, attention, overview: this.overview, clockOf: (s) => clock(s) };
    drawStrips(ctx, this.lay.width, strips, given, colours);
  }

  /** Frequencies are drawn together where they are more than the strip has lines; columns of time stay as they are. */
  picture(region) {
    if (!region.canvas) {
      const { columns, frequencies } = this.overview;
      const fine = make("canvas", { width: columns, height: frequencies });
      fine.getContext("2d").putImageData(spectrumImage(region, frequencies, columns), 0, 0);
      region.canvas = make("canvas", { width: columns, height: Math.min(frequencies, SPECTRUM_LINES) });
      region.canvas.getContext("2d").drawImage(fine, 0, 0, columns, region.canvas.height);
    }
    return region.canvas;
  }

  /** What is on screen, in words: how the numbers were made stands beside them. */
  speak() {
    const { now } = this.tools;
    const width = mmPerSecond(this.lay.plot, now.pageS, this.scale.pxPerMm);
    const end = Math.min(this.seconds, this.startS + now.pageS);
    const label = this.told.montages.find((one) => one.name === now.montage).label;
    const part = this.all > MOST_ROWS ? ` (${this.firstRow + 1} to ${this.firstRow + this.rows.length} of ${this.all}: keys [ and ])` : "";
    const parts = [
      `${clock(this.startS)} to ${clock(end)} of ${clock(this.seconds)}`,
      `${label}${part}${this.marked && this.names.includes(this.marked) ? `, ${this.marked} ${this.alone ? "alone" : "marked"}` : ""}`,
      `${now.uvPerMm} µV/mm, ${width.toFixed(1)} mm/s${this.scale.measured ? "" : " if this screen has 96 pixels an inch: not measured"}`,
      this.tools.filterWords(this.told.sfreq_hz),
      now.negativeUp ? "negative up" : "positive up",
      `${this.told.sfreq_hz} Hz`,
    ];
    this.page.setAttribute("aria-label", `EEG, ${parts.join(", ")}`);
    const words = this.attention && now.attention ? ` · ${this.attention.words}` : "";
    this.status.textContent = `${parts.join(" · ")}${words}${this.told.judged ? "" : " · channels are being judged"}`;
    this.strips.setAttribute("aria-valuemin", "0");
    this.strips.setAttribute("aria-valuemax", this.seconds.toFixed(0));
    this.strips.setAttribute("aria-valuenow", this.startS.toFixed(0));
    this.strips.setAttribute("aria-valuetext", clock(this.startS));
  }

  /** Annotations to go to, bad channels, what else was seen. Text of the file goes in as text. */
  list() {
    const parts = [];
    if (this.told.bad.length) parts.push(make("p", { class: "eeg-bad" }, `Without usable signal, shown grey as recorded, in no other montage: ${this.told.bad.join(", ")}`));
    for (const why of this.told.flags) parts.push(make("p", { class: "eeg-flag" }, why));
    const items = this.told.annotations.slice(0, 2000).map(([onset, length, text, code]) => {
      const go = make("button", { type: "button", onclick: () => this.goTo(onset) }, clock(onset, 1));
      return make("li", {}, go, ` ${text}${length ? `, ${length.toFixed(1)} s` : ""}${code && code !== text ? ` (${code.replaceAll("_", " ")})` : ""}`);
    });
    if (items.length) {
      const more = this.told.annotations.length > items.length ? `, the first ${items.length} are listed` : "";
      const count = this.told.annotations.length;
      parts.push(make("details", {}, make("summary", {}, `${count} annotation${count > 1 ? "s" : ""}${more}`), make("ol", {}, ...items)));
    }
    this.lists.replaceChildren(...parts);
  }

  // --- time --------------------------------------------------------------------------------------------------------

  hoursAt(second) {
    return Number.isFinite(this.data.starts_h) ? this.data.starts_h - second / 3600 : null;
  }

  heard(hours) {
    if (!Number.isFinite(this.data.starts_h)) return;
    const second = hours === null ? null : (this.data.starts_h - hours) * 3600;
    this.cursorS = second !== null && second >= 0 && second <= this.seconds ? second : null;
    if (this.cursorS === null) {
      if (this.lay) this.overlay();
      return;
    }
    this.show(this.cursorS);
  }

  setCursor(second) {
    this.cursorS = second;
    if (this.hoursAt(second) !== null) tellCursor(this.hoursAt(second), this.id, this.data.case);
    this.overlay();
    this.drawWhole();
    const before = this.hoursAt(second);
    this.sayLater(`${clock(second, 2)}${before === null ? "" : `, ${hoursInWords(before)} the decision`}`);
  }

  /** Turn to the page of a second, if it is not on screen. */
  show(second) {
    const { pageS } = this.tools.now;
    if (second < this.startS || second > this.startS + pageS) {
      this.startS = this.clamp(second - pageS / 2);
      this.changed();
    } else if (this.lay) {
      this.overlay();
      this.drawWhole();
    }
  }

  goTo(second) {
    this.startS = this.clamp(second - this.tools.now.pageS * 0.2);
    this.cursorS = second;
    if (this.hoursAt(second) !== null) tellCursor(this.hoursAt(second), this.id, this.data.case);
    this.changed();
    this.page.focus();
  }

  sayLater(words) {
    clearTimeout(this.saying);
    this.saying = setTimeout(() => (this.said.textContent = words), 250);
  }

  // --- keys and mouse ----------------------------------------------------------------------------------------------

  /** Do an action of the keymap; false where it is none of ours. */
  act(action) {
    if (action === "help") {
      this.help.hidden = !this.help.hidden;
      (this.help.hidden ? this.page : this.help.querySelector("button")).focus();
      return true;
    }
    if (!this.told) return false;
    const { pageS } = this.tools.now;
    const turns = { next_page: pageS, last_page: -pageS, second_on: 1, second_back: -1, first: -Infinity, end: Infinity };
    if (action in turns) {
      this.startS = this.clamp(Number.isFinite(turns[action]) ? this.startS + turns[action] : turns[action] > 0 ? this.seconds : 0);
      this.changed();
      this.sayLater(`${clock(this.startS)} of ${clock(this.seconds)}`);
      return true;
    }
    const steps = { cursor_right: 1, cursor_left: -1 };
    if (action in steps) {
      const from = this.cursorS ?? this.startS + pageS / 2;
      const to = Math.min(this.seconds, Math.max(0, from + (steps[action] * pageS) / 100));
      this.setCursor(to);
      this.show(to);
      return true;
    }
    const parts = { rows_on: MOST_ROWS, rows_back: -MOST_ROWS };
    if (action in parts) {
      this.firstRow = Math.max(0, this.firstRow + parts[action]);
      this.changed();
      return true;
    }
    const channels = { channel_down: 1, channel_up: -1 };
    if (action in channels) return this.markNext(channels[action]);
    if (action === "alone") return this.marked ? this.markOrAlone(this.marked) : false;
    const marks = { next_mark: 1, last_mark: -1 };
    if (action in marks) return this.toMark(marks[action]);
    if (action === "ruler") return this.showRuler();
    if (!this.tools.act(action)) return false;
    if (action === "attention" && this.tools.now.attention) this.toPeak();
    this.changed();
    return true;
  }

  toMark(side) {
    const at = this.cursorS ?? this.startS + this.tools.now.pageS * 0.2;
    const onsets = this.told.annotations.map(([onset]) => onset);
    const found = side > 0 ? onsets.find((one) => one > at + 0.01) : onsets.findLast((one) => one < at - 0.01);
    if (found !== undefined) this.goTo(found);
    return true;
  }

  /** Mark a channel; the marked one is shown alone; the one that is alone, with all others again. */
  markOrAlone(name) {
    if (name !== this.marked) Object.assign(this, { marked: name, alone: false });
    else if (this.alone) Object.assign(this, { marked: "", alone: false });
    else this.alone = true;
    this.changed();
    this.sayLater(this.marked ? `${name} ${this.alone ? "alone" : "marked"}` : "All channels");
    return true;
  }

  /** Mark the channel below or above the marked one, alone too where that one is; its part of the channels is shown. */
  markNext(side) {
    const at = this.names.indexOf(this.marked);
    const to = at < 0 ? this.firstRow : Math.min(this.names.length - 1, Math.max(0, at + side));
    this.marked = this.names[to];
    if (!this.alone) this.firstRow = Math.floor(to / MOST_ROWS) * MOST_ROWS;
    this.changed();
    this.sayLater(`${this.marked} ${this.alone ? "alone" : "marked"}`);
    return true;
  }

  /** Keep a second at a share of the page's width. */
  hold(second, share) {
    this.startS = this.clamp(second - share * this.tools.now.pageS);
    this.changed();
  }

  /** Switched on, attention is shown where there is most of it. */
  toPeak() {
    const { pageS } = this.tools.now;
    const peak = this.attention.peak_s;
    if (peak < this.startS || peak > this.startS + pageS) this.startS = this.clamp(Math.floor(peak / pageS) * pageS);
  }

  showRuler() {
    const ratio = window.devicePixelRatio || 1;
    const panel = rulerPanel(this.scale.pxPerMm, (pxPerMm) => {
      if (pxPerMm !== null) {
        keepScale(window.localStorage, pxPerMm, ratio);
        this.scale = { pxPerMm, measured: true };
      }
      this.slot.replaceChildren();
      this.changed();
      this.page.focus();
    });
    this.slot.replaceChildren(panel);
    panel.querySelector("[role=slider]").focus();
    return true;
  }

  listen() {
    const keys = (event) => {
      if (event.target.closest && event.target.closest("select, input")) return;
      const action = actionOf(this.data.keymap, event);
      if (action && this.act(action)) {
        event.preventDefault();
        event.stopPropagation();
      }
    };
    this.page.addEventListener("keydown", keys);
    this.strips.addEventListener("keydown", keys);
    this.help.addEventListener("keydown", (event) => event.key === "Escape" && this.act("help"));
    this.mouse = new EegMouse(this, this.bound);
    this.strips.addEventListener("pointerdown", (event) => {
      if (!this.told || !this.lay) return;
      const second = secondAt(event.offsetX, this.lay.width, this.seconds);
      this.startS = this.clamp(second - this.tools.now.pageS / 2);
      this.cursorS = second;
      if (this.hoursAt(second) !== null) tellCursor(this.hoursAt(second), this.id, this.data.case);
      this.changed();
    });
    const resized = new ResizeObserver(() => {
      if (this.lay && Math.abs(this.root.clientWidth - this.lay.width) > 1 && this.root.clientWidth > 0) this.draw();
    });
    resized.observe(this.root);
    this.cleanups.push(() => resized.disconnect());
  }
}

/** A canvas of some CSS size, sharp on any screen; its context counts in CSS pixels. */
function sized(canvas, wide, high) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(wide * ratio);
  canvas.height = Math.round(high * ratio);
  canvas.style.width = `${wide}px`;
  canvas.style.height = `${high}px`;
  const ctx = canvas.getContext("2d");
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  return ctx;
}

const viewers = new WeakMap();

/** What Streamlit calls at first, and again whenever Python or the theme says something new. */
export default function eeg({ parentElement, data }) {
  const root = parentElement.querySelector(".viewer");
  const known = viewers.get(root);
  if (known && !known.ended && known.data.address === data.address) {
    known.take(data);
  } else {
    if (known) known.end();
    viewers.set(root, new EegViewer(root, data));
  }
  return () => viewers.get(root)?.end();
}
