// The CT viewer: axial, coronal and sagittal planes of one volume, joined by a crosshair.
//
// In:  the address of a study, windows, keys, stored attention. Out: three canvases; nothing goes back to Python.
//
// Planes hang as radiologists expect: the patient's right on the left, anterior on top, head on top; a sagittal plane
// with anterior on the left. Axes of the volume grow toward Right, Anterior and Head.

import { ask } from "./ask.js";
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

class CtStage extends Stage {
  constructor(root, data) {
    super(root, { place: "ct", keymap: data.keymap, attention: data.attention });
    this.data = data;
    this.area.classList.add("planes");
    this.area.append(make("p", { class: "waiting", role: "status" }, "The study is being read"));
  }

  async open() {
    try {
      const told = await (await ask(`${this.data.address}/header`)).json();
      if (this.ended) return;
      this.slices = new Slices(this.data.address, told, { arrived: (held) => (this.root.dataset.held = held) });
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
    if (place.every((one, part) => one >= 0 && one < this.told.shape[pane.across[part]])) {
      pane.across.forEach((axis, part) => this.go(axis, Math.floor(place[part])));
      this.slices.prefetch(this.at[2]);
    }
  }

  cursor(pane) {
    return pane.across.map((axis) => this.at[axis] + 0.5);
  }

  /** Hounsfield units under the mouse, and where that is. */
  valueWords(pane, place) {
    const index = place.map(Math.floor);
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
