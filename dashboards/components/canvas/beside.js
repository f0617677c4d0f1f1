// A prior study beside the current one: which slice lies where, how it is held, what window shows it alike.
//
// In:  what the server told of both studies, how the current one is shown. Out: plain numbers, and the tools for it.
//
// Where both name the same frame of reference, the same mm are the same place of the scanner (DICOM PS3.3 C.7.4.1).
// Where they do not, nothing says which slice answers to which: both go by mm from their middles, and the reader shifts.

import { make } from "./gestures.js";
import { fitting } from "./place.js";

/** Whether places of the two can be compared by mm. */
export function sameFrame(own, prior) {
  return Boolean(own.frame && own.frame === prior.frame && own.first_mm && prior.first_mm);
}

/** The slice of the prior that answers to one of the current study, inside of it or not. */
export function linkedAt(own, prior, index) {
  const [mm, priorMm, n, priorN] = [own.spacing_mm[2], prior.spacing_mm[2], own.shape[2], prior.shape[2]];
  if (sameFrame(own, prior)) return Math.round((own.first_mm[2] + index * mm - prior.first_mm[2]) / priorMm);
  return Math.round(((index - (n - 1) / 2) * mm) / priorMm + (priorN - 1) / 2);
}

/** The same, `offset` slices further; null where the prior has none there. */
export function linkedSlice(own, prior, index, offset = 0) {
  const found = linkedAt(own, prior, index) + offset;
  return found >= 0 && found < prior.shape[2] ? found : null;
}

/** A place [column, row] of the axial plane of one in that of the other; null where nothing says so. */
export function linkedPlace(own, prior, place) {
  if (!sameFrame(own, prior)) return null;
  return place.map((one, axis) => (own.first_mm[axis] + (one - 0.5) * own.spacing_mm[axis] - prior.first_mm[axis]) / prior.spacing_mm[axis] + 0.5);
}

/** How far the middle of the prior's axial plane lies from that of the current one, mm; none where nothing says so. */
export function apartMm(own, prior) {
  if (!sameFrame(own, prior)) return [0, 0];
  const middle = (told, axis) => told.first_mm[axis] + ((told.shape[axis] - 1) / 2) * told.spacing_mm[axis];
  return [0, 1].map((axis) => middle(prior, axis) - middle(own, axis));
}

/** The view of a plane that makes it as large on the screen, mm by mm, as its leader, and shows the same place. */
export function linkedView(plane, size, leader, leaderSize, view, [dx, dy] = [0, 0]) {
  const { right, down } = view.hang;
  const scale = fitting(leader, view.hang, ...leaderSize) * view.zoom;
  const shift = [view.shift[0] + scale * (right[0] * dx + right[1] * dy), view.shift[1] + scale * (down[0] * dx + down[1] * dy)];
  return { hang: view.hang, zoom: scale / fitting(plane, view.hang, ...size), shift };
}

/** The window of a picture whose values are of another scale: as far from its own first window as the other's is. */
export function linkedWindow(shown, base, priorBase) {
  if (shown === base) return priorBase;
  const kind = priorBase.function === "TABLE" ? "LINEAR" : priorBase.function;
  const center = priorBase.center + ((shown.center - base.center) / base.width) * priorBase.width;
  return { ...priorBase, function: kind, center, width: Math.max(1e-9, (shown.width / base.width) * priorBase.width) };
}

/** A list of the priors to choose from; nothing where there is one. */
export function priorList(priors, chosen) {
  if (priors.length < 2) return null;
  const list = make("select", { "aria-label": "Which prior study", onchange: () => chosen(priors[list.selectedIndex]) });
  for (const one of priors) list.append(make("option", {}, one.words));
  return list;
}
