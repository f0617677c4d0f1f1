// The CT viewer: axial, coronal and sagittal planes of one volume, joined by a crosshair.
//
// In:  the address of a study, windows, keys, stored attention. Out: three canvases; nothing goes back to Python.
//
// Planes hang as radiologists expect: the patient's right on the left, anterior on top, head on top; a sagittal plane
// with anterior on the left. Axes of the volume grow toward Right, Anterior and Head.

import { ask } from "./ask.js";
import { apartMm, linkedAt, linkedPlace, linkedSlice, linkedView, sameFrame } from "./beside.js";
import { Slices } from "./ct_slices.js";
import { make } from "./gestures.js";
import { heatPixels } from "./heat.js";
import { Pane } from "./pane.js";
import { hanging, lettersOf } from "./place.js";
import { Stage, mounted } from "./stage.js";

const PLANES = {
  axial: { title: "Axial", across: [0, 1], along: 2, start: "from the feet" },
  coronal: { title: "Coronal", across: [0, 2], along: 1, start: "from the back" },
  sagittal: { title: "Sagittal", across: [1, 2], along: 0, start: "from the left" },
};
const DIRECTIONS = [[1, 0, 0], [0, 1, 0], [0, 0, 1]];
const MOST_HEAT = 192;
const PRIOR_BYTES = 256 * 1024 * 1024;
const LINKED = "The same frame of reference: both go by position in mm";
const NOT_LINKED = "Another frame of reference: which slice answers to which is not known. Both go by mm from their middles; shift the prior with its slider";

class CtStage extends Stage {
  constructor(root, data) {
    super(root, { ...data, place: "ct" });
    this.data = data;
    this.area.classList.add("planes");
    this.area.append(make("p", { class: "waiting", role: "status" }, "The study is being read"));
  }

  async open() {
    try {
      const told = await (await ask(`${this.data.address}/header`)).json();
      if (this.ended) return;
      this.slices = new Slices(this.data.address, told, { arrived: (held) => (this.root.dataset.held = held), failed: (error) => this.refuse(error) });
      this.cleanups.push(() => this.slices.close());
      this.at = told.shape.map((n) => (n - 1) >> 1);
      this.addPanes(told);
      this.begin({ ...told, slope: 1, intercept: 0, padding: null, inverted: false }, this.data.windows);
      this.root.dataset.state = "open";
      this.redraw();
      await this.slices.want("axial", this.at[2]);
      this.slices.prefetch(this.at[2]);
    } catch (error) {
      this.refuse(error);
    }
  }

  addPanes(told) {
    const boxes = Object.entries(PLANES).map(([name, { title, across, along }]) => {
      const canvas = make("canvas", { tabindex: 0, role: "application", "aria-roledescription": "CT plane" });
      const [columns, rows] = across.map((axis) => told.shape[axis]);
      const [mmColumn, mmRow] = across.map((axis) => told.spacing_mm[axis]);
      const [c, r] = across.map((axis) => lettersOf(DIRECTIONS[axis]));
      const pane = new Pane(canvas, { columns, rows, mmColumn, mmRow }, { columns: c, rows: r }, hanging(true));
      Object.assign(pane, { name, title, across, along });
      this.panes.push(pane);
      const slider = make("input", { type: "range", min: 0, max: told.shape[along] - 1, value: this.at[along], "aria-label": `${title} slice` });
      slider.addEventListener("input", () => this.slice(pane, this.at[along] - Number(slider.value)));
      pane.slider = slider;
      return make("div", { class: `plane ${name}` }, canvas, slider);
    });
    this.area.replaceChildren(...boxes);
    this.panes.forEach((pane) => this.listen(pane));
    this.active = this.panes[0];
    const resized = new ResizeObserver(() => this.redraw());
    this.panes.forEach((pane) => resized.observe(pane.canvas));
    this.cleanups.push(() => resized.disconnect());
  }

  draw() {
    for (const pane of this.panes) {
      if (pane.name === "prior") {
        this.drawPrior(pane);
        continue;
      }
      const index = this.at[pane.along];
      const values = this.slices.get(pane.name, index);
      if (values) pane.show(values, this.colours);
      else this.fetch(pane, index);
      this.lay(pane, index);
      const said = values ? `${pane.title} ${index + 1} / ${this.slices.count(pane.name)}` : `${pane.title} ${index + 1}: being read`;
      pane.draw({
        cross: this.cross ? pane.across.map((axis) => this.at[axis] + 0.5) : null,
        ruler: this.rulerOf(pane),
        opacity: this.attentionOn ? this.opacity : 0,
        said,
      });
      pane.canvas.setAttribute("aria-label", this.words(pane));
      pane.canvas.dataset.shown = values ? String(index) : "";
      pane.slider.value = index;
    }
  }

  // --- a prior study -----------------------------------------------------------------------------------------------

  async openPrior(which, mine) {
    const told = await (await ask(`${which.address}/header`)).json();
    if (this.ended || this.prior !== mine) return;
    const failed = (error) => (this.besides.textContent = `The prior study cannot be shown: ${error.message}`);
    const slices = new Slices(which.address, told, { mostBytes: PRIOR_BYTES, failed });
    this.cleanups.push(() => slices.close());
    const leader = this.panes.find((one) => one.name === "axial");
    const canvas = make("canvas", { tabindex: 0, role: "application", "aria-roledescription": "CT plane of a prior study" });
    const [c, r] = [lettersOf(DIRECTIONS[0]), lettersOf(DIRECTIONS[1])];
    const plane = { columns: told.shape[0], rows: told.shape[1], mmColumn: told.spacing_mm[0], mmRow: told.spacing_mm[1] };
    const pane = new Pane(canvas, plane, { columns: c, rows: r }, hanging(true));
    Object.assign(pane, { name: "prior", title: "Prior axial", across: [0, 1], along: 2, told, slices });
    const slider = make("input", { type: "range", min: 0, max: told.shape[2] - 1, "aria-label": "Prior axial slice: shifts the prior against this one" });
    slider.addEventListener("input", () => this.shiftPrior(told.shape[2] - 1 - Number(slider.value)));
    pane.slider = slider;
    this.area.append(make("div", { class: "plane prior" }, canvas, slider));
    this.area.classList.add("beside");
    Object.assign(mine, { pane, told, slices, offset: 0, words: which.words, apart: which.apart });
    const apart = apartMm(this.told, told);
    this.follow(pane, leader, () => linkedView(plane, pane.size, leader.plane, leader.size, leader.view, apart));
    this.sayBeside();
    this.redraw();
    await slices.want("axial", this.priorIndex() ?? told.shape[2] >> 1);
    slices.prefetch(this.priorIndex() ?? told.shape[2] >> 1);
  }

  closePrior(before) {
    before.slices.close();
    this.leave(before.pane);
  }

  priorIndex() {
    return linkedSlice(this.told, this.prior.told, this.at[2], this.prior.offset);
  }

  /** Put the prior at a slice of its own: from now on it goes so far beside the current one. */
  shiftPrior(index) {
    this.prior.offset = index - linkedAt(this.told, this.prior.told, this.at[2]);
    this.sayBeside();
    this.redraw();
  }

  sayBeside() {
    const { offset, told, words } = this.prior;
    const shifted = offset ? ` Shifted by ${Math.abs(offset * told.spacing_mm[2]).toFixed(1)} mm toward the ${offset > 0 ? "head" : "feet"}.` : "";
    this.besides.textContent = `Prior: ${words}. ${sameFrame(this.told, told) ? LINKED : NOT_LINKED}.${shifted} Window and zoom are those of this study.`;
  }

  drawPrior(pane) {
    const { told, slices, words, apart } = this.prior;
    const index = this.priorIndex();
    const values = index === null ? null : slices.get("axial", index);
    if (values) pane.show(values, this.colours);
    else pane.blank();
    if (index !== null && !values) {
      slices.want("axial", index).then(() => this.prior && this.priorIndex() === index && this.redraw(), () => {});
    }
    if (index !== null) slices.prefetch(index);
    const cross = this.cross ? linkedPlace(this.told, told, [this.at[0] + 0.5, this.at[1] + 0.5]) : null;
    const place = index === null ? "nothing was scanned here" : `${index + 1} / ${told.shape[2]}${values ? "" : ": being read"}`;
    pane.draw({ cross, ruler: this.rulerOf(pane), opacity: 0, said: `PRIOR\n${apart}\n${place}` });
    pane.canvas.setAttribute("aria-label", `Prior study, ${words}, axial slice ${place}`);
    pane.canvas.dataset.shown = values ? String(index) : "";
    if (index !== null) pane.slider.value = told.shape[2] - 1 - index;
  }

  /** Show nothing rather than another slice until this one is here. */
  fetch(pane, index) {
    pane.blank();
    this.slices.want(pane.name, index).then(
      () => this.at[pane.along] === index && this.redraw(),
      (error) => this.refuse(error),
    );
  }

  /** Attention in the plane on screen, made when it is looked at for the first time. */
  lay(pane, index) {
    const wanted = this.attention && this.attentionOn ? index : -1;
    if (pane.laid === wanted && pane.laidOf === this.attention) return;
    Object.assign(pane, { laid: wanted, laidOf: this.attention });
    if (wanted < 0) return pane.lay(null);
    const [columns, rows] = [Math.min(pane.plane.columns, MOST_HEAT), Math.min(pane.plane.rows, MOST_HEAT)];
    const placeOf = (column, row) => {
      const place = [0, 0, 0];
      place[pane.along] = index;
      place[pane.across[0]] = ((column + 0.5) * pane.plane.columns) / columns - 0.5;
      place[pane.across[1]] = ((row + 0.5) * pane.plane.rows) / rows - 0.5;
      return place;
    };
    return pane.lay(heatPixels(this.attention.map, this.attention.full, columns, rows, placeOf), columns, rows);
  }

  own(action, pane) {
    const steps = { next_slice: 1, last_slice: -1, leap: 10, leap_back: -10, first: -Infinity, end: Infinity };
    if (action in steps) {
      this.slice(pane, steps[action]);
      return true;
    }
    const shifts = { prior_down: -1, prior_up: 1 };
    if (action in shifts) {
      if (this.prior && this.prior.pane) {
        this.prior.offset += shifts[action];
        this.sayBeside();
      }
      return true;
    }
    const cursor = { cursor_left: [-1, 0], cursor_right: [1, 0], cursor_up: [0, -1], cursor_down: [0, 1] };
    if (action in cursor) {
      const { right, down } = pane.view.hang;
      const [x, y] = cursor[action];
      pane.across.forEach((axis, part) => this.go(axis, this.at[axis] + x * right[part] + y * down[part]));
      return true;
    }
    const asked = this.panes.find((one) => one.name === action);
    if (asked) asked.canvas.focus();
    return Boolean(asked);
  }

  /** So many slices on: to the feet, to the back, to the left. */
  slice(pane, by) {
    this.go(pane.along, this.at[pane.along] - by);
    if (pane.name === "axial") this.slices.prefetch(this.at[2]);
    this.redraw();
  }

  go(axis, index) {
    this.at[axis] = Math.min(this.told.shape[axis] - 1, Math.max(0, index));
  }

  click(pane, place) {
    if (pane.name === "prior") place = linkedPlace(this.prior.told, this.told, place) || [-1, -1];
    if (place.every((one, part) => one >= 0 && one < this.told.shape[pane.across[part]])) {
      pane.across.forEach((axis, part) => this.go(axis, Math.floor(place[part])));
      this.slices.prefetch(this.at[2]);
    }
  }

  cursor(pane) {
    if (pane.name === "prior") return linkedPlace(this.told, pane.told, [this.at[0] + 0.5, this.at[1] + 0.5]) || [pane.plane.columns / 2, pane.plane.rows / 2];
    return pane.across.map((axis) => this.at[axis] + 0.5);
  }

  /** Hounsfield units under the mouse, and where that is. */
  valueWords(pane, place) {
    const index = place.map(Math.floor);
    if (pane.name === "prior") {
      const [inside, at] = [index.every((one, part) => one >= 0 && one < pane.told.shape[part]), this.priorIndex()];
      const values = at === null ? null : pane.slices.get("axial", at);
      return inside && values ? `Prior: ${values[index[1] * pane.plane.columns + index[0]]} HU` : "";
    }
    if (index.some((one, part) => one < 0 || one >= this.told.shape[pane.across[part]])) return "";
    const values = this.slices.get(pane.name, this.at[pane.along]);
    if (!values) return "";
    const at = [...this.at];
    pane.across.forEach((axis, part) => (at[axis] = index[part]));
    return `${values[index[1] * pane.plane.columns + index[0]]} HU · ${at.map((one) => one + 1).join(", ")} of ${this.told.shape.join(", ")} (right, front, head)`;
  }

  lengthWords(pane, mm) {
    return `${mm.toFixed(1)} mm`;
  }

  words(pane) {
    if (pane.name === "prior") return `${pane.canvas.getAttribute("aria-label")}${this.rulerOf(pane) ? ` · ${this.rulerOf(pane).words}` : ""}`;
    const { center, width, name } = this.window;
    const index = this.at[pane.along];
    const value = this.valueWords(pane, this.cursor(pane)).split(" · ")[0];
    const ruler = this.rulerOf(pane);
    return [
      `${pane.title} slice ${index + 1} of ${this.told.shape[pane.along]} ${PLANES[pane.name].start}`,
      `${name ? `${name} window, ` : ""}level ${Math.round(center)}, width ${Math.round(width)} HU${this.inverted ? ", inverted" : ""}`,
      ...(value ? [`${value} at the cursor`] : []),
      ...(ruler ? [ruler.words] : []),
    ].join(" · ");
  }
}

export default mounted(CtStage);
