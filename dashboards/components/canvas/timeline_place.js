// Arithmetic of the record timeline: hours to pixels, values to heights, the nearest fact, ticks that read well.
//
// In:  lanes as the server made them. Out: numbers and words. Nothing here draws.

const SPANS_H = [6, 24, 72, 168, 720, 2160, 8766, 26298, 87660];
export const AFTER_SHARE = 0.04; // of the width, right of the decision

/** Spans that can be chosen: those in which something lies, up to the one that holds everything. */
export function spansOf(lanes) {
  const oldest = Math.max(1, ...lanes.flatMap((lane) => lane.facts.map((fact) => fact.hours)));
  const smaller = SPANS_H.filter((one) => one < oldest);
  return [...smaller, SPANS_H.find((one) => one >= oldest) || oldest * 1.02];
}

/** Where to begin: the shortest span that holds most of what there is. */
export function firstSpan(lanes, spans, share = 0.8) {
  const hours = lanes.flatMap((lane) => lane.facts.map((fact) => fact.hours));
  return spans.find((one) => hours.filter((h) => h <= one).length >= share * hours.length) || spans[spans.length - 1];
}

export function xOf(hours, spanH, left, width) {
  return left + width * (1 - AFTER_SHARE) * (1 - hours / spanH);
}

export function hoursAtX(x, spanH, left, width) {
  return spanH * (1 - (x - left) / (width * (1 - AFTER_SHARE)));
}

/** Least and greatest value that a lane must show: its facts in the span and its reference range, with some air.
 *  Never less than a fifth of the values themselves, so that a hemoglobin of 15.1 after 14.9 does not look like a fall. */
export function reachOf(lane, spanH) {
  const values = lane.facts.filter((fact) => fact.value !== null && fact.hours <= spanH).map((fact) => fact.value);
  const ends = [lane.low, lane.high].filter((one) => one !== null);
  const every = [...values, ...ends];
  if (!every.length) return [0, 1];
  const [low, high] = [Math.min(...every), Math.max(...every)];
  const middle = (low + high) / 2;
  const half = Math.max(((high - low) / 2) * 1.24, Math.abs(middle) * 0.1, 1e-12);
  return [middle - half, middle + half];
}

/** The fact of a lane nearest to an hour; -1 in an empty one. */
export function nearest(lane, hours) {
  let best = -1;
  lane.facts.forEach((fact, i) => {
    if (best < 0 || Math.abs(fact.hours - hours) < Math.abs(lane.facts[best].hours - hours)) best = i;
  });
  return best;
}

/** Hours before the decision at which lines stand, and what they are called. */
export function ticksOf(spanH) {
  const steps = [[1, "h"], [2, "h"], [4, "h"], [6, "h"], [12, "h"], [24, "d"], [48, "d"], [168, "d"], [336, "d"], [720, "d"], [2160, "d"], [8766, "y"], [17532, "y"], [43830, "y"]];
  const [step, unit] = steps.find(([one]) => spanH / one <= 9) || [87660, "y"];
  const size = { h: 1, d: 24, y: 8766 }[unit];
  const found = [];
  for (let h = 0; h <= spanH + 1e-9; h += step) found.push([h, h === 0 ? "decision" : `−${+(h / size).toFixed(1)} ${unit}`]);
  return found;
}

/** A fact in one line. */
export function factWords(lane, fact) {
  const parts = [`${lane.name}: ${fact.words}`];
  if (fact.range) parts.push(`reference ${fact.range}`);
  if (fact.flag) parts.push(fact.said === fact.flag ? fact.flag : `${fact.flag}, ${fact.said}`);
  parts.push(`${fact.when} UTC`);
  return parts.join(" · ");
}

/** The newest value of a lane, and its reference range. */
export function laneWords(lane) {
  const newest = lane.facts[lane.facts.length - 1];
  const { low, high } = lane;
  const range = low === null && high === null ? "no range" : low === null ? `to ${high}` : high === null ? `from ${low}` : `${low}–${high}`;
  return `${newest.words}${newest.flag ? ` ${newest.flag}` : ""} · ${range}`;
}

/** A span of time in words. */
export function spanWords(spanH) {
  if (spanH < 48) return `${+spanH.toFixed(1)} hours`;
  return spanH < 2 * 8766 - 1000 ? `${Math.round(spanH / 24)} days` : `${Math.round(spanH / 8766)} years`;
}
