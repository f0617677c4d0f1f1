// The viewer of radiographs: one picture, its own window first.
//
// In:  the address of a study, keys, stored attention. Out: one canvas; nothing goes back to Python.
//
// A picture hangs as it is stored. Letters stand at its edges only where the file says how it lies; a distance is in mm
// only where the file says how large a pixel is.

import { ask } from "./ask.js";
import { make } from "./gestures.js";
import { heatPixels } from "./heat.js";
import { Pane } from "./pane.js";
import { hanging } from "./place.js";
import { Stage, mounted } from "./stage.js";
import { littleEndian, measured } from "./window.js";

const MOST_HEAT = 256;
const WHERE = {
  patient: "mm, calibrated",
  detector: "mm at the detector: less in the patient",
  film: "mm on the film",
  "": "mm by the file's pixel size, calibration not stated",
};

class XrayStage extends Stage {
  constructor(root, data) {
    super(root, { place: "xray", keymap: data.keymap, attention: data.attention });
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
    const [rows, columns] = told.shape;
    const [mmRow, mmColumn] = told.spacing_mm || [1, 1];
    const canvas = make("canvas", { tabindex: 0, role: "application", "aria-roledescription": "Radiograph" });
    const letters = told.letters ? { columns: told.letters[0], rows: told.letters[1] } : null;
    const pane = new Pane(canvas, { columns, rows, mmColumn, mmRow }, letters, hanging(false));
    this.panes.push(pane);
    this.active = pane;
    this.area.replaceChildren(make("div", { class: "plane whole" }, canvas));
    this.listen(pane);
    const resized = new ResizeObserver(() => this.redraw());
    resized.observe(canvas);
    this.cleanups.push(() => resized.disconnect());
  }

  draw() {
    const [pane] = this.panes;
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

  own(action, pane) {
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
    this.at = place;
    this.crossAt = true;
  }

  cursor() {
    return this.at;
  }

  valueWords(pane, place) {
    const [column, row] = place.map(Math.floor);
    if (column < 0 || row < 0 || column >= pane.plane.columns || row >= pane.plane.rows) return "";
    const value = this.values[row * pane.plane.columns + column];
    if (value === this.told.padding) return `No measurement · row ${row + 1}, column ${column + 1}`;
    return `Value ${Number(measured(value, this.told).toPrecision(6))} · row ${row + 1}, column ${column + 1}`;
  }

  lengthWords(pane, mm, from, to) {
    if (this.told.spacing_mm) return `${mm.toFixed(1)} ${WHERE[this.told.spacing_at] || WHERE[""]}`;
    const pixels = Math.hypot(to[0] - from[0], to[1] - from[1]);
    return `${pixels.toFixed(0)} pixels: their size is unknown, so no mm`;
  }

  words(pane) {
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

export default mounted(XrayStage);
