// What the reader chose: montage, gain, time, filters, polarity; kept in this browser from recording to recording.
//
// In:  what may be chosen and what a page begins with (schemas/eeg_view.toml). Out: `now`, and the tools to change it.

import { delayMs } from "./eeg_filter.js";
import { make } from "./gestures.js";

const CHOICES_KEPT_AS = "clinic_mm.eeg";
const TC = (hz) => `${(1 / (2 * Math.PI * hz)).toFixed(2)} s`;

export class EegTools {
  constructor(view, act, changed) {
    this.view = view;
    this.now = { ...choices(view.begin), attention: false, ...this.kept(view) };
    this.selects = {};
    const select = (name, label, values, words) => {
      const made = make("select", { "aria-label": label, title: label, onchange: () => this.set(name, Number(made.value), changed) });
      for (const value of values) made.append(make("option", { value }, words(value)));
      this.selects[name] = made;
      return make("label", {}, make("span", {}, label), made);
    };
    this.montage = make("select", { "aria-label": "Montage", onchange: () => this.set("montage", this.montage.value, changed) });
    const button = (action, words, title) => make("button", { type: "button", title, onclick: () => act(action) }, words);
    this.phase = button("phase", "", "Filters without a shift of waves, or as on paper");
    this.polarity = button("polarity", "", "Which way is up");
    this.attend = button("attention", "Model attention", "Model attention, not the boundary of a lesion or of a seizure");
    this.element = make(
      "div",
      { class: "tools", role: "toolbar", "aria-label": "EEG tools" },
      make("label", {}, make("span", {}, "Montage"), this.montage),
      select("uvPerMm", "µV/mm", view.uv_per_mm, (one) => `${one}`),
      select("pageS", "Page", view.page_s, (one) => `${one} s`),
      select("highpass", "Low cut", view.highpass_hz, (one) => (one ? `${one} Hz (TC ${TC(one)})` : "off")),
      select("lowpass", "High cut", view.lowpass_hz, (one) => (one ? `${one} Hz` : "off")),
      select("notch", "Notch", view.notch_hz, (one) => (one ? `${one} Hz` : "off")),
      this.phase,
      this.polarity,
      this.attend,
      button("last_page", "◀", "Page before"),
      button("next_page", "▶", "Next page"),
      button("ruler", "Ruler", "Measure this screen, so that a millimetre is one"),
      button("help", "Keys ?", "Keys of this viewer"),
    );
    this.element.querySelectorAll("button").forEach((one) => one.setAttribute("aria-label", one.title));
    this.refresh();
  }

  /** The montages that this recording has; the one that is chosen, or the nearest to it that there is. */
  offer(told) {
    const names = told.montages.map((one) => one.name);
    this.montage.replaceChildren(...told.montages.map((one) => make("option", { value: one.name }, one.label)));
    this.names = names;
    const there = (name) => names.includes(name) && told.montages.find((one) => one.name === name).rows.filter((row) => row.pairs.length).length > 1;
    this.now.montage = [this.now.montage, this.view.begin.montage, "average", "referential"].find(there) || names[0];
    this.refresh();
  }

  set(name, value, changed) {
    this.now[name] = value;
    this.keep();
    this.refresh();
    changed();
  }

  /** Do one of the actions that change a choice; false where it is none. */
  act(action) {
    const { view, now } = this;
    const step = (values, value, by) => values[Math.min(values.length - 1, Math.max(0, values.indexOf(value) + by))];
    const turn = (values, value, by) => values[(values.indexOf(value) + by + values.length) % values.length];
    const does = {
      gain_up: () => (now.uvPerMm = step(view.uv_per_mm, now.uvPerMm, -1)),
      gain_down: () => (now.uvPerMm = step(view.uv_per_mm, now.uvPerMm, 1)),
      shorter: () => (now.pageS = step(view.page_s, now.pageS, -1)),
      longer: () => (now.pageS = step(view.page_s, now.pageS, 1)),
      montage: () => (now.montage = turn(this.names, now.montage, 1)),
      montage_back: () => (now.montage = turn(this.names, now.montage, -1)),
      highpass: () => (now.highpass = turn(view.highpass_hz, now.highpass, 1)),
      lowpass: () => (now.lowpass = turn(view.lowpass_hz, now.lowpass, 1)),
      notch: () => (now.notch = turn(view.notch_hz, now.notch, 1)),
      phase: () => (now.zeroPhase = !now.zeroPhase),
      polarity: () => (now.negativeUp = !now.negativeUp),
      attention: () => (now.attention = this.allowed && !now.attention),
    }[action];
    if (!does) return false;
    does();
    this.keep();
    this.refresh();
    return true;
  }

  /** Whether there is stored attention to be shown. */
  allow(allowed) {
    this.allowed = allowed;
    this.now.attention = this.now.attention && allowed;
    this.attend.hidden = !allowed;
    this.refresh();
  }

  refresh() {
    const { now } = this;
    for (const [name, select] of Object.entries(this.selects)) select.value = String(now[name]);
    this.montage.value = now.montage;
    this.phase.textContent = now.zeroPhase ? "Zero phase" : "As on paper";
    this.polarity.textContent = now.negativeUp ? "Negative up" : "Positive up";
    this.attend.setAttribute("aria-pressed", String(now.attention));
  }

  /** The filters in words, with what they do to time and how steep they are. */
  filterWords(rate) {
    const { now } = this;
    const parts = [];
    if (now.highpass > 0) parts.push(`from ${now.highpass} Hz`);
    if (now.lowpass > 0) parts.push(now.lowpass < rate / 2 ? `to ${now.lowpass} Hz` : `to ${now.lowpass} Hz is beyond this recording`);
    if (now.notch > 0) parts.push(now.notch < rate / 2 ? `notch ${now.notch} Hz` : `notch ${now.notch} Hz is beyond this recording`);
    if (!parts.length) return "no filter, level taken off";
    const slopes = now.zeroPhase ? "no delay, 12 and 24 dB per octave" : `delayed by ${delayMs(now, rate, 10).toFixed(1)} ms at 10 Hz, 6 and 12 dB per octave`;
    return `${parts.join(", ")} (−3 dB; ${slopes})`;
  }

  kept(view) {
    try {
      const kept = JSON.parse(window.localStorage.getItem(CHOICES_KEPT_AS) || "{}");
      const allowed = { uvPerMm: view.uv_per_mm, pageS: view.page_s, highpass: view.highpass_hz, lowpass: view.lowpass_hz, notch: view.notch_hz };
      const good = Object.entries(allowed).filter(([name, values]) => values.includes(kept[name]));
      const found = Object.fromEntries(good.map(([name]) => [name, kept[name]]));
      for (const name of ["zeroPhase", "negativeUp"]) if (typeof kept[name] === "boolean") found[name] = kept[name];
      if (typeof kept.montage === "string") found.montage = kept.montage;
      return found;
    } catch {
      return {};
    }
  }

  keep() {
    const { attention, ...rest } = this.now;
    try {
      window.localStorage.setItem(CHOICES_KEPT_AS, JSON.stringify(rest));
    } catch {
      // a browser that keeps nothing has it until the page is left
    }
  }
}

function choices(begin) {
  return {
    montage: begin.montage,
    uvPerMm: begin.uv_per_mm,
    pageS: begin.page_s,
    highpass: begin.highpass_hz,
    lowpass: begin.lowpass_hz,
    notch: begin.notch_hz,
    zeroPhase: begin.zero_phase,
    negativeUp: begin.negative_up,
  };
}
