// Model attention over a picture: what a stored map says at each place, as translucent colours.
//
// In:  cells of a map with the positions of their centres, and the log-odds that the full colour stands for.
// Out: pixels: amber where hiding lowers the answer (it speaks for the class), blue where hiding raises it.
//
// It is what the model attends to, not the boundary of a lesion: no line is drawn around anything.

const TOWARDS = [227, 168, 87];
const AWAY = [108, 178, 232];
const LEAST = 0.15; // of the full colour: weaker is left as it is, so that tissue stays in sight

/** Between which two centres a position lies, and how far on: [below, above, part]; outside, the nearest cell. */
export function between(position, centres) {
  const last = centres.length - 1;
  if (position <= centres[0]) return [0, 0, 0];
  if (position >= centres[last]) return [last, last, 0];
  let above = 1;
  while (centres[above] < position) above += 1;
  return [above - 1, above, (position - centres[above - 1]) / (centres[above] - centres[above - 1])];
}

/**
 * The map at one place, linear between the centres of cells.
 * `map`: {axes: [[centres of axis 0], ...], shape, values: flat, last axis fastest}; `place`: one position per axis.
 */
export function sampled(map, place) {
  const sides = place.map((position, axis) => between(position, map.axes[axis]));
  let total = 0;
  for (let corner = 0; corner < 1 << sides.length; corner++) {
    let weight = 1;
    let at = 0;
    sides.forEach(([below, above, part], axis) => {
      const up = (corner >> axis) & 1;
      weight *= up ? part : 1 - part;
      at = at * map.shape[axis] + (up ? above : below);
    });
    if (weight) total += weight * map.values[at];
  }
  return total;
}

/** Red, green, blue, opacity (0 to 255) of a value of the map. */
export function colourOf(value, full) {
  const share = Math.min(1, Math.abs(value) / full);
  const weight = share <= LEAST ? 0 : (share - LEAST) / (1 - LEAST);
  return [...(value > 0 ? TOWARDS : AWAY), Math.round(255 * weight)];
}

/** Pixels [row, column] of a plane of the map: `placeOf(column, row)` gives the place of each. */
export function heatPixels(map, full, columns, rows, placeOf) {
  const pixels = new Uint8ClampedArray(4 * columns * rows);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      pixels.set(colourOf(sampled(map, placeOf(column, row)), full), 4 * (row * columns + column));
    }
  }
  return pixels;
}
