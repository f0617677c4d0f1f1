// The viewer of radiographs: one picture, its own window first.
//
// In:  the address of a study, keys, stored attention. Out: one canvas; nothing goes back to Python.
//
// A picture hangs as it is stored. Letters stand at its edges only where the file says how it lies; a distance is in mm
// only where the file says how large a pixel is.

import { ask } from "./ask.js";
import { linkedView, linkedWindow } from "./beside.js";
import { make } from "./gestures.js";
import { heatPixels } from "./heat.js";
import { Pane } from "./pane.js";
import { hanging } from "./place.js";
import { Stage, mounted } from "./stage.js";
import { coloursOf, greysOf, littleEndian, measured } from "./window.js";

const MOST_HEAT = 256;
const WIDE_PX = 960; // room for a picture and, beside it, its tools
const SHAPES = [0.7, 1.6]; // width to height of its place: a picture beyond them has room on both sides
const WHERE = {
  patient: "mm, calibrated",
  detector: "mm at the detector: less in the patient",
  film: "mm on the film",
  "": "mm by the file's pixel size, calibration not stated",
};

class XrayStage extends Stage {
  constructor(root, data) {
    super(root, { ...data, place: "xray" });
    this.data = data;
    this.area.append(make("p", { class: "waiting", role: "status" }, "The picture is being read"));
  }

  async open() {
    try {
      const told = await (await ask(`${this.data.address}/header`)).json();
      const values = littleEndian(await (await ask(`${this.data.address}/pixels`)).arrayBuffer());
      if (this.ended) return;
      this.values = values;
      this.addPane(told);
      this.begin(told, told.windows);
      this.at = [told.shape[1] / 2, told.shape[0] / 2];
      this.root.dataset.state = "open";
      this.redraw();
    } catch (error) {
      this.refuse(error);
    }
  }

  addPane(told) {
    const pane = paneOf(told, "Radiograph");
    const { columns, rows, mmColumn, mmRow } = pane.plane;
    const shape = (columns * mmColumn) / (rows * mmRow);
    this.root.style.setProperty("--shape", Math.min(SHAPES[1], Math.max(SHAPES[0], shape)));
    this.panes.push(pane);
    this.active = pane;
    this.area.replaceChildren(make("div", { class: "plane whole" }, pane.canvas));
    this.listen(pane);
    const resized = new ResizeObserver(() => {
      this.root.classList.toggle("wide", this.root.clientWidth >= WIDE_PX);
      this.redraw();
    });
    for (const one of [this.root, pane.canvas]) resized.observe(one);
    this.cleanups.push(() => resized.disconnect());
  }

  /** Beside it: as large on the screen by mm where both say how large a pixel is; its own window, changed alike. */
  async openPrior(which, mine) {
    const told = await (await ask(`${which.address}/header`)).json();
    const values = littleEndian(await (await ask(`${which.address}/pixels`)).arrayBuffer());
    if (this.ended || this.prior !== mine) return;
    const pane = Object.assign(paneOf(told, "Radiograph of a prior study"), { told, values, prior: true });
    const [leader] = this.panes;
    this.area.append(make("div", { class: "plane whole prior" }, pane.canvas));
    this.area.classList.add("beside");
    Object.assign(mine, { pane, words: which.words, apart: which.apart });
    const measurable = Boolean(told.spacing_mm && this.told.spacing_mm);
    this.follow(pane, leader, () => (measurable ? linkedView(pane.plane, pane.size, leader.plane, leader.size, leader.view) : leader.view));
    const scale = measurable ? "Both at the same scale in mm" : "A pixel size is unknown: not at the same scale";
    this.besides.textContent = `Prior: ${which.words}. ${scale}; zoom, turns and changes of the window are those of both.`;
    this.redraw();
  }

  closePrior(before) {
    this.leave(before.pane);
  }

  drawPrior(pane) {
    const base = this.windows.find((one) => one.name === this.window.name) || this.lastPreset || this.windows[0];
    this.lastPreset = base;
    const priorBase = pane.told.windows[Math.min(this.windows.indexOf(base), pane.told.windows.length - 1)];
    const key = JSON.stringify([this.window, this.inverted]);
    if (pane.coloursKey !== key) {
      pane.coloursKey = key;
      pane.colours = coloursOf(greysOf(linkedWindow(this.window, base, priorBase), pane.told, this.inverted));
    }
    pane.show(pane.values, pane.colours);
    const said = `PRIOR\n${this.prior.apart}${pane.told.letters ? "" : "\nOrientation not stated"}`;
    pane.draw({ cross: null, ruler: this.rulerOf(pane), opacity: 0, said });
    pane.canvas.setAttribute("aria-label", `Prior study, ${this.prior.words}`);
    pane.canvas.dataset.shown = "0";
  }

  draw() {
    const [pane] = this.panes;
    if (this.prior && this.prior.pane) this.drawPrior(this.prior.pane);
    pane.show(this.values, this.colours);
    this.lay(pane);
    pane.draw({
      cross: this.crossAt ? this.at : null,
      ruler: this.rulerOf(pane),
      opacity: this.attentionOn ? this.opacity : 0,
      said: this.told.letters ? "" : "Orientation not stated",
    });
    pane.canvas.setAttribute("aria-label", this.words(pane));
    pane.canvas.dataset.shown = "0";
  }

  lay(pane) {
    const wanted = this.attentionOn ? this.attention : null;
    if (pane.laid === wanted) return;
    pane.laid = wanted;
    if (!wanted) {
      pane.lay(null);
      return;
    }
    const [columns, rows] = [Math.min(pane.plane.columns, MOST_HEAT), Math.min(pane.plane.rows, MOST_HEAT)];
    const placeOf = (column, row) => [((row + 0.5) * pane.plane.rows) / rows - 0.5, ((column + 0.5) * pane.plane.columns) / columns - 0.5];
    pane.lay(heatPixels(wanted.map, wanted.full, columns, rows, placeOf), columns, rows);
  }

  own(action) {
    const [pane] = this.panes;
    const cursor = { cursor_left: [-1, 0], cursor_right: [1, 0], cursor_up: [0, -1], cursor_down: [0, 1] };
    if (!(action in cursor)) return false;
    const { right, down } = pane.view.hang;
    const [x, y] = cursor[action];
    const step = Math.max(1, Math.round(pane.plane.columns / 200));
    const sizes = [pane.plane.columns, pane.plane.rows];
    this.at = this.at.map((one, part) => Math.min(sizes[part] - 1, Math.max(0, one + step * (x * right[part] + y * down[part]))));
    this.crossAt = true;
    return true;
  }

  reset() {
    super.reset();
    this.crossAt = false;
  }

  click(pane, place) {
    if (pane.prior) return; // nothing says which of its places that is
    this.at = place;
    this.crossAt = true;
  }

  cursor(pane) {
    return pane && pane.prior ? [pane.plane.columns / 2, pane.plane.rows / 2] : this.at;
  }

  valueWords(pane, place) {
    const [column, row] = place.map(Math.floor);
    if (column < 0 || row < 0 || column >= pane.plane.columns || row >= pane.plane.rows) return "";
    const [told, values, whose] = pane.prior ? [pane.told, pane.values, "Prior: "] : [this.told, this.values, ""];
    const value = values[row * pane.plane.columns + column];
    const where = `row ${row + 1}, column ${column + 1}`;
    if (value === told.padding) return `${whose}No measurement · ${where}`;
    return `${whose}Value ${Number(measured(value, told).toPrecision(6))} · ${where}`;
  }

  lengthWords(pane, mm, from, to) {
    const told = pane.told || this.told;
    if (told.spacing_mm) return `${mm.toFixed(1)} ${WHERE[told.spacing_at] || WHERE[""]}`;
    const pixels = Math.hypot(to[0] - from[0], to[1] - from[1]);
    return `${pixels.toFixed(0)} pixels: their size is unknown, so no mm`;
  }

  words(pane) {
    if (pane.prior) return [pane.canvas.getAttribute("aria-label"), ...(this.rulerOf(pane) ? [this.rulerOf(pane).words] : [])].join(" · ");
    const { center, width, name } = this.window;
    const number = (one) => Number(one.toPrecision(4));
    const ruler = this.rulerOf(pane);
    return [
      `Radiograph${this.told.view_position ? `, view ${this.told.view_position}` : ""}`,
      `${name ? `window: ${name}, ` : ""}level ${number(center)}, width ${number(width)}${this.inverted ? ", inverted" : ""}`,
      ...(this.crossAt ? [this.valueWords(pane, this.at)] : []),
      ...(ruler ? [ruler.words] : []),
    ].join(" · ");
  }
}

/** A pane for a radiograph, with letters where the file says how it lies. */
function paneOf(told, role) {
  const [rows, columns] = told.shape;
  const [mmRow, mmColumn] = told.spacing_mm || [1, 1];
  const canvas = make("canvas", { tabindex: 0, role: "application", "aria-roledescription": role });
  const letters = told.letters ? { columns: told.letters[0], rows: told.letters[1] } : null;
  return new Pane(canvas, { columns, rows, mmColumn, mmRow }, letters, hanging(false));
}

export default mounted(XrayStage);
