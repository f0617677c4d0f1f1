// From stored values to grey: one table of 65,536 entries for all values that 16 bits can have.
//
// In:  a window (center, width, function), how values are measured (slope, intercept), whether the lowest is white.
// Out: the grey of every possible value, 0 to 255, and pictures through it.
//
// Source: DICOM PS3.3 C.11.2.1.2.1 (LINEAR), C.11.2.1.3.2 (LINEAR_EXACT), C.11.2.1.3.1 (SIGMOID), C.11.2.1.1 (table).

export const VALUES = 65536;
const HALF = 32768;

/** Grey in [0, 1] of a measured value. */
export function throughWindow(x, center, width, kind) {
  if (kind === "SIGMOID") return 1 / (1 + Math.exp((-4 * (x - center)) / width));
  if (kind === "LINEAR_EXACT") {
    if (x <= center - width / 2) return 0;
    return x > center + width / 2 ? 1 : (x - center) / width + 0.5;
  }
  if (x <= center - 0.5 - (width - 1) / 2) return 0;
  return x > center - 0.5 + (width - 1) / 2 ? 1 : (x - (center - 0.5)) / (width - 1) + 0.5;
}

/** Grey in [0, 1] of a measured value through a table {first, highest, entries}. */
export function throughTable(x, table) {
  const at = Math.round(x) - table.first;
  return table.entries[Math.min(Math.max(at, 0), table.entries.length - 1)] / table.highest;
}

/** The smallest width that a function knows. */
export function narrowest(kind) {
  return kind === "LINEAR" ? 1 : 1e-6;
}

/**
 * Grey 0 to 255 of every value, by its bits: `greys[value & 0xffff]`.
 * `told`: slope, intercept, padding (a value that is always black, or null), inverted, table.
 */
export function greysOf(view, told, inverted) {
  const greys = new Uint8ClampedArray(VALUES);
  const turned = Boolean(told.inverted) !== Boolean(inverted);
  const table = view.function === "TABLE" ? told.table : null;
  for (let value = -HALF; value < HALF; value++) {
    const x = told.slope * value + told.intercept;
    const grey = table ? throughTable(x, table) : throughWindow(x, view.center, view.width, view.function);
    greys[value & 0xffff] = Math.round(255 * (turned ? 1 - grey : grey));
  }
  if (told.padding !== null && told.padding !== undefined) greys[told.padding & 0xffff] = 0;
  return greys;
}

/** Opaque pixels, as ImageData holds them, of every value. */
export function coloursOf(greys) {
  const colours = new Uint32Array(VALUES);
  const little = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;
  for (let at = 0; at < VALUES; at++) {
    const grey = greys[at];
    colours[at] = little
      ? ((255 << 24) | (grey << 16) | (grey << 8) | grey) >>> 0
      : ((grey << 24) | (grey << 16) | (grey << 8) | 255) >>> 0;
  }
  return colours;
}

/** Draw values (Int16Array) into pixels (Uint32Array of the same length) by their colours. */
export function paint(values, colours, pixels) {
  for (let at = 0; at < values.length; at++) pixels[at] = colours[values[at] & 0xffff];
}

/** A window after dragging by so many pixels: right is wider, down is darker (the level goes up). */
export function dragged(view, right, down, step) {
  const kind = view.function === "TABLE" ? "LINEAR" : view.function;
  const width = Math.max(narrowest(kind), view.width + right * step);
  return { ...view, function: kind, name: "", center: view.center + down * step, width };
}

/** Measured value of a stored one. */
export function measured(value, told) {
  return told.slope * value + told.intercept;
}

/** Int16Array of little-endian bytes, whatever this machine is. */
export function littleEndian(buffer) {
  const values = new Int16Array(buffer);
  if (new Uint8Array(new Uint16Array([1]).buffer)[0] === 1) return values;
  const view = new DataView(buffer);
  for (let at = 0; at < values.length; at++) values[at] = view.getInt16(2 * at, true);
  return values;
}
