// Where a pixel of a plane lies on the screen, after mm, zoom, moving, turning and mirroring; and what letters say so.
//
// In:  a plane {columns, rows, mmColumn, mmRow}, how it hangs {quarter, mirrored}, zoom and shift. Out: plain numbers.
//
// A plane hangs by two directions, to the screen's right and down, each a vector in the plane's own (column, row).
// Letters are of the patient: Left, Right, Anterior, Posterior, Head, Feet (DICOM PS3.3 C.7.6.1.1.1, C.7.6.2.1.1).

const OPPOSITE = { L: "R", R: "L", A: "P", P: "A", H: "F", F: "H" };
const NAMES = [["R", "L"], ["A", "P"], ["H", "F"]];
const FAINT = 0.02; // of a direction: about a degree, which no letter tells

/** A hanging as at first: `flipped` says that columns run to the left and rows run up, as planes in RAS must. */
export function hanging(flipped) {
  const one = flipped ? -1 : 1;
  return { right: [one, 0], down: [0, one] };
}

/** Turned by a quarter to the right: what was up is on the right. */
export function turned(hang, quarters) {
  let { right, down } = hang;
  for (let left = ((quarters % 4) + 4) % 4; left > 0; left--) {
    [right, down] = [[-down[0], -down[1]], right];
  }
  return { right: plain(right), down: plain(down) };
}

/** Mirrored: left and right change places, or top and bottom. */
export function mirrored(hang, upsideDown) {
  const away = (v) => plain([-v[0], -v[1]]);
  return upsideDown ? { right: hang.right, down: away(hang.down) } : { right: away(hang.right), down: hang.down };
}

/** Opposite letters: "AF" to "PH". */
export function opposite(letters) {
  return [...letters].map((one) => OPPOSITE[one]).join("");
}

/** Letters of a direction in the patient (to Right, Anterior, Head), the strongest first. */
export function lettersOf(direction) {
  const length = Math.hypot(...direction) || 1;
  return direction
    .map((part, axis) => [Math.abs(part) / length, NAMES[axis][part >= 0 ? 0 : 1]])
    .filter(([size]) => size > FAINT)
    .sort((a, b) => b[0] - a[0])
    .map(([, letter]) => letter)
    .join("");
}

/**
 * Letters at the four edges of the screen.
 * `columnLetters`, `rowLetters`: where columns and rows of the plane run to, "" where unknown.
 */
export function edgeLetters(hang, columnLetters, rowLetters) {
  const along = ([column, row]) => {
    const letters = column ? columnLetters : rowLetters;
    return (column || row) > 0 ? letters : opposite(letters);
  };
  const right = along(hang.right);
  const bottom = along(hang.down);
  return { right, bottom, left: opposite(right), top: opposite(bottom) };
}

/** Screen pixels per mm at which a plane just fits into wide x high. */
export function fitting(plane, hang, wide, high) {
  const across = plane.columns * plane.mmColumn;
  const along = plane.rows * plane.mmRow;
  const [w, h] = hang.right[0] ? [across, along] : [along, across];
  return Math.min(wide / w, high / h);
}

/**
 * The matrix [a, b, c, d, e, f] that canvases take: from plane pixels (0,0 is the corner of the first) to the screen.
 * `view`: hang, zoom (1 fits), shift [x, y] in screen pixels of the middle of the plane from the middle of the screen.
 */
export function matrix(plane, view, wide, high) {
  const scale = fitting(plane, view.hang, wide, high) * view.zoom;
  const { right, down } = view.hang;
  const a = right[0] * plane.mmColumn * scale;
  const b = down[0] * plane.mmColumn * scale;
  const c = right[1] * plane.mmRow * scale;
  const d = down[1] * plane.mmRow * scale;
  const e = wide / 2 + view.shift[0] - (a * plane.columns + c * plane.rows) / 2;
  const f = high / 2 + view.shift[1] - (b * plane.columns + d * plane.rows) / 2;
  return [a, b, c, d, e, f];
}

/** From plane to screen. */
export function toScreen([a, b, c, d, e, f], [column, row]) {
  return [a * column + c * row + e, b * column + d * row + f];
}

/** From screen to plane. */
export function toPlane([a, b, c, d, e, f], [x, y]) {
  const area = a * d - b * c;
  return [(d * (x - e) - c * (y - f)) / area, (a * (y - f) - b * (x - e)) / area];
}

/** mm between two places of a plane, [column, row] each. */
export function distance(plane, from, to) {
  return Math.hypot((to[0] - from[0]) * plane.mmColumn, (to[1] - from[1]) * plane.mmRow);
}

/** Zoom by a factor, so that what lies under a place of the screen stays there. */
export function zoomed(view, factor, [x, y], wide, high) {
  const zoom = Math.min(40, Math.max(0.2, view.zoom * factor));
  const by = zoom / view.zoom;
  const held = [x - wide / 2, y - high / 2];
  return { ...view, zoom, shift: [held[0] + (view.shift[0] - held[0]) * by, held[1] + (view.shift[1] - held[1]) * by] };
}

function plain([x, y]) {
  return [x + 0, y + 0]; // no -0
}
