// The strips below the traces: spectrogram, amplitude, model attention, the expert's answer to each window, annotations; the whole recording at a glance.
//
// In:  a 2D context in CSS pixels, what the server said of the whole recording. Out: pixels; seconds of a click.

import { LEFT_PX, RIGHT_PX } from "./eeg_draw.js";

const STRIP_PX = { spectrum: 46, amplitude: 34, attention: 16, alone: 30, marks: 12, axis: 16 };
// From dark to light, even in lightness: readable in grey and by those who do not tell red from green.
const STOPS = [[6, 6, 30], [50, 18, 92], [120, 28, 109], [187, 55, 84], [237, 105, 37], [251, 180, 26], [252, 255, 164]];

/** Heights of the strips that there are, from top to bottom. */
export function stripsOf(overview, attention) {
  const found = [];
  for (const region of overview ? overview.regions : []) found.push({ kind: "spectrum", region, high: STRIP_PX.spectrum });
  if (overview) found.push({ kind: "amplitude", high: STRIP_PX.amplitude });
  if (attention) found.push({ kind: "attention", high: STRIP_PX.attention });
  if (attention && attention.alone && attention.alone.length) found.push({ kind: "alone", high: STRIP_PX.alone });
  found.push({ kind: "marks", high: STRIP_PX.marks }, { kind: "axis", high: STRIP_PX.axis });
  return found;
}

/** Bytes of a spectrogram as a picture, lowest frequency at the bottom; nothing where there was no signal. */
export function spectrumImage(region, rows, columns) {
  const bytes = Uint8Array.from(atob(region.levels), (sign) => sign.charCodeAt(0));
  const image = new ImageData(columns, rows);
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1) {
      const level = bytes[row * columns + column];
      const at = 4 * ((rows - 1 - row) * columns + column);
      const [r, g, b] = colourOf((level - 1) / 254);
      image.data.set([r, g, b, level ? 255 : 0], at);
    }
  }
  return image;
}

function colourOf(share) {
  const place = Math.min(Math.max(share, 0), 1) * (STOPS.length - 1);
  const low = Math.min(Math.floor(place), STOPS.length - 2);
  return STOPS[low].map((value, i) => value + (STOPS[low + 1][i] - value) * (place - low));
}

/** All strips, and where the page on screen lies in them. */
export function drawStrips(ctx, width, strips, given, colours) {
  const total = given.seconds;
  const plot = width - LEFT_PX - RIGHT_PX;
  const x = (s) => LEFT_PX + (s / total) * plot;
  let top = 0;
  ctx.font = "11px system-ui, sans-serif";
  ctx.textBaseline = "middle";
  for (const strip of strips) {
    ctx.fillStyle = colours.faint;
    ctx.textAlign = "left";
    if (strip.kind === "spectrum") drawSpectrum(ctx, strip, given, top, x);
    if (strip.kind === "amplitude") drawAmplitude(ctx, strip, given.overview.amplitude, top, x, colours);
    if (strip.kind === "attention") drawAttentionStrip(ctx, strip, given.attention, top, x, colours);
    if (strip.kind === "alone") drawAlone(ctx, strip, given.attention.alone, top, x, colours);
    if (strip.kind === "marks") drawMarks(ctx, strip, given, top, x, colours);
    if (strip.kind === "axis") drawAxis(ctx, given.clockOf, total, top + strip.high / 2, x, colours);
    top += strip.high;
  }
  ctx.textBaseline = "alphabetic";
  const bottom = top - STRIP_PX.axis;
  ctx.strokeStyle = colours.cursor;
  ctx.lineWidth = 1.5;
  const wide = Math.max(3, x(given.startS + given.pageS) - x(given.startS));
  ctx.strokeRect(x(given.startS), 1, Math.min(wide, LEFT_PX + plot - x(given.startS)), bottom - 2);
  if (given.cursorS !== null && given.cursorS >= 0 && given.cursorS <= total) {
    ctx.fillStyle = colours.cursor;
    ctx.fillRect(x(given.cursorS), 0, 1, bottom);
  }
}

function drawSpectrum(ctx, strip, given, top, x) {
  ctx.fillText(strip.region.name, 4, top + strip.high / 2 - 6);
  ctx.fillText(`0–${given.overview.highest_hz} Hz`, 4, top + strip.high / 2 + 7);
  if (!strip.picture) return;
  const end = given.overview.columns * given.overview.column_s;
  ctx.imageSmoothingEnabled = given.overview.columns > x(end) - x(0);
  ctx.drawImage(strip.picture, x(0), top, x(end) - x(0), strip.high - 2);
}

function drawAmplitude(ctx, strip, amplitude, top, x, colours) {
  const most = amplitude.full_uv;
  const y = (uv) => top + strip.high - 3 - (Math.min(uv, most) / most) * (strip.high - 6);
  ctx.fillText("Amplitude", 4, top + strip.high / 2 - 6);
  ctx.fillText(`0–${most.toFixed(0)} µV`, 4, top + strip.high / 2 + 7);
  const area = (values, colour, alpha) => {
    ctx.fillStyle = colour;
    ctx.globalAlpha = alpha;
    ctx.beginPath();
    values.forEach((uv, i) => {
      if (uv === null) return;
      const [left, right] = [x(amplitude.start_s + i * amplitude.column_s), x(amplitude.start_s + (i + 1) * amplitude.column_s)];
      ctx.rect(left, y(uv), right - left, top + strip.high - 3 - y(uv));
    });
    ctx.fill(); // all at once: single columns would leave hairlines between them
    ctx.globalAlpha = 1;
  };
  area(amplitude.most_uv, colours.faint, 0.35);
  area(amplitude.typical_uv, colours.ink, 0.7);
}

function drawAttentionStrip(ctx, strip, attention, top, x, colours) {
  ctx.fillText("Attention", 4, top + strip.high / 2);
  for (const [start, end, strength] of attention.windows) {
    ctx.fillStyle = strength > 0 ? colours.towards : colours.away;
    ctx.globalAlpha = Math.min(1, Math.abs(strength));
    ctx.fillRect(x(start), top + 1, Math.max(1, x(end) - x(start)), strip.high - 3);
    ctx.globalAlpha = 1;
  }
}

/** What the expert says of each window by itself: probability from 0 to 1, a line at one half. */
function drawAlone(ctx, strip, alone, top, x, colours) {
  const y = (p) => top + strip.high - 3 - p * (strip.high - 6);
  ctx.fillText("Expert alone", 4, top + strip.high / 2 - 6);
  ctx.fillText("p 0–1", 4, top + strip.high / 2 + 7);
  ctx.fillStyle = colours.ink;
  ctx.globalAlpha = 0.7;
  for (const [start, end, p] of alone) ctx.fillRect(x(start), y(p), Math.max(1, x(end) - x(start)), y(0) - y(p));
  ctx.globalAlpha = 1;
  ctx.fillStyle = colours.faint;
  const [, end] = alone[alone.length - 1];
  ctx.fillRect(x(0), y(0.5), x(end) - x(0), 1);
}

function drawMarks(ctx, strip, given, top, x, colours) {
  ctx.fillText("Marks", 4, top + strip.high / 2);
  for (const [onset, length] of given.gaps) {
    ctx.fillStyle = colours.gap;
    ctx.fillRect(x(onset), 0, Math.max(1, x(onset + length) - x(onset)), top + strip.high);
  }
  ctx.fillStyle = colours.mark;
  for (const [onset, length] of given.annotations) ctx.fillRect(x(onset), top + 1, Math.max(1.5, x(onset + length) - x(onset)), strip.high - 3);
}

function drawAxis(ctx, clockOf, total, y, x, colours) {
  const steps = [1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400];
  const step = steps.find((one) => total / one <= 12) ?? 86400;
  ctx.fillStyle = colours.faint;
  for (let s = 0; s <= total; s += step) {
    ctx.textAlign = s === 0 ? "left" : s + step / 2 > total ? "right" : "center";
    ctx.fillText(clockOf(s), x(s), y);
  }
}

/** Seconds at a place of the strips. */
export function secondAt(px, width, total) {
  return Math.min(Math.max((px - LEFT_PX) / (width - LEFT_PX - RIGHT_PX), 0), 1) * total;
}
