// One plane on one canvas: its picture, model attention over it, letters, crosshair, a measured distance.
//
// In:  a plane, values, colours, what lies over them. Out: pixels on a canvas, and places of the mouse in the plane.
//
// Knows nothing of slices, keys or the server. Sharp on every screen: the canvas has the screen's own pixels.

import { edgeLetters, matrix, toPlane, toScreen } from "./place.js";
import { paint } from "./window.js";

const FONT = "600 14px system-ui, sans-serif";
const EDGE = "#000";
const INK = "#fff";
const MARK = "#e3a857";

export class Pane {
  /** `letters`: where columns and rows of the plane run to in the patient. */
  constructor(canvas, plane, letters, hang) {
    Object.assign(this, { canvas, plane, letters, hang });
    this.view = { hang, zoom: 1, shift: [0, 0] };
    this.picture = offScreen(plane.columns, plane.rows);
    this.pixels = this.picture.getContext("2d").createImageData(plane.columns, plane.rows);
    this.heat = null;
    this.painted = null;
  }

  /** Size in CSS pixels; the canvas follows it and the screen's ratio. */
  get size() {
    const box = this.canvas.getBoundingClientRect();
    return [Math.max(1, box.width), Math.max(1, box.height)];
  }

  reset() {
    this.view = { hang: this.hang, zoom: 1, shift: [0, 0] };
  }

  matrix() {
    return this.matrixOf(this.view);
  }

  matrixOf(view) {
    return matrix(this.plane, view, ...this.size);
  }

  /** Place of a mouse event in the plane, as [column, row] with fractions. */
  placeOf(event) {
    const box = this.canvas.getBoundingClientRect();
    return toPlane(this.matrix(), [event.clientX - box.left, event.clientY - box.top]);
  }

  /** Place of a mouse event on the canvas. */
  pointOf(event) {
    const box = this.canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  /** Values [row, column] through colours; the same pair is painted once. */
  show(values, colours) {
    if (this.painted && this.painted[0] === values && this.painted[1] === colours) return;
    paint(values, colours, new Uint32Array(this.pixels.data.buffer));
    this.picture.getContext("2d").putImageData(this.pixels, 0, 0);
    this.painted = [values, colours];
  }

  /** Nothing to show yet. */
  blank() {
    this.painted = null;
  }

  /** Colours of model attention, columns x rows over the whole plane; null for none. */
  lay(pixels, columns, rows) {
    this.heat = pixels && offScreen(columns, rows);
    if (this.heat) this.heat.getContext("2d").putImageData(new ImageData(pixels, columns, rows), 0, 0);
  }

  /** Draw. `over`: cross [column, row] or null, ruler {from, to, words} or null, opacity, said (lines in a corner). */
  draw(over) {
    const [wide, high] = this.size;
    const ratio = window.devicePixelRatio || 1;
    const [w, h] = [Math.round(wide * ratio), Math.round(high * ratio)];
    if (this.canvas.width !== w || this.canvas.height !== h) Object.assign(this.canvas, { width: w, height: h });
    const pen = this.canvas.getContext("2d", { alpha: false });
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.fillStyle = EDGE;
    pen.fillRect(0, 0, w, h);
    const place = this.matrix();
    if (this.painted) {
      pen.setTransform(...place.map((one) => one * ratio));
      pen.imageSmoothingEnabled = true;
      pen.imageSmoothingQuality = "high";
      pen.drawImage(this.picture, 0, 0);
      if (this.heat && over.opacity > 0) {
        pen.globalAlpha = over.opacity;
        pen.drawImage(this.heat, 0, 0, this.plane.columns, this.plane.rows);
        pen.globalAlpha = 1;
      }
    }
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    if (over.cross) drawCross(pen, toScreen(place, over.cross), wide, high);
    if (over.ruler) drawRuler(pen, toScreen(place, over.ruler.from), toScreen(place, over.ruler.to), over.ruler.words);
    this.drawLetters(pen, wide, high);
    const lines = (over.said || "").split("\n").reverse();
    lines.forEach((line, at) => line && write(pen, line, 8, high - 8 - 18 * at, "left", "bottom", INK));
  }

  drawLetters(pen, wide, high) {
    if (!this.letters) return;
    const edges = edgeLetters(this.view.hang, this.letters.columns, this.letters.rows);
    write(pen, edges.left, 8, high / 2, "left", "middle", INK);
    write(pen, edges.right, wide - 8, high / 2, "right", "middle", INK);
    write(pen, edges.top, wide / 2, 6, "center", "top", INK);
    write(pen, edges.bottom, wide / 2, high - 8, "center", "bottom", INK);
  }
}

function offScreen(columns, rows) {
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width: columns, height: rows });
  return canvas;
}

/** Lines with a gap around their middle, so that nothing hides what they point at. */
function drawCross(pen, [x, y], wide, high) {
  const gap = 14;
  pen.strokeStyle = MARK;
  pen.lineWidth = 1;
  pen.globalAlpha = 0.75;
  pen.beginPath();
  for (const [ax, ay, bx, by] of [[0, y, x - gap, y], [x + gap, y, wide, y], [x, 0, x, y - gap], [x, y + gap, x, high]]) {
    pen.moveTo(ax, ay);
    pen.lineTo(bx, by);
  }
  pen.stroke();
  pen.globalAlpha = 1;
}

function drawRuler(pen, from, to, words) {
  pen.strokeStyle = MARK;
  pen.lineWidth = 2;
  pen.beginPath();
  pen.moveTo(...from);
  pen.lineTo(...to);
  pen.stroke();
  for (const [x, y] of [from, to]) {
    pen.beginPath();
    pen.arc(x, y, 4, 0, 2 * Math.PI);
    pen.stroke();
  }
  write(pen, words, to[0] + 10, to[1] - 10, "left", "bottom", MARK);
}

function write(pen, words, x, y, align, line, colour) {
  Object.assign(pen, { font: FONT, textAlign: align, textBaseline: line, lineWidth: 3, strokeStyle: EDGE, lineJoin: "round" });
  pen.strokeText(words, x, y);
  pen.fillStyle = colour;
  pen.fillText(words, x, y);
}
