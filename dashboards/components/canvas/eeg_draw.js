// Draw a page of EEG, and what lies over it: cursor, measure.
//
// In:  a 2D context in CSS pixels, colours, rows in microvolts, a layout. Out: pixels. Text is drawn, never parsed.

import { extremes, pixelsBelow } from "./eeg_trace.js";

export const LEFT_PX = 72;
export const RIGHT_PX = 58; // of the bar of known size, so that it lies over no trace
export const TOP_PX = 20;
export const BOTTOM_PX = 20;
const NAME_FONT = "12px system-ui, sans-serif";
const MARK_FONT = `bold ${NAME_FONT}`;

/** Where everything lies: x of a second, y of a row; chains of bipolar derivations stand apart. */
export function layoutOf(width, height, names, gaps, startS, pageS) {
  const spaces = gaps.filter(Boolean).length;
  const step = (height - TOP_PX - BOTTOM_PX) / Math.max(1, names.length + spaces * 0.6);
  let y = TOP_PX + step / 2;
  const lines = names.map((_, i) => {
    y += i ? step * (gaps[i] ? 1.6 : 1) : 0;
    return y;
  });
  const plot = width - LEFT_PX - RIGHT_PX;
  return { width, height, lines, step, plot, startS, pageS, x: (s) => LEFT_PX + ((s - startS) / pageS) * plot, second: (x) => startS + ((x - LEFT_PX) / plot) * pageS };
}

/** The row whose name stands there; -1 for none. */
export function rowAt(lay, x, y) {
  return x < LEFT_PX ? lay.lines.findIndex((line) => Math.abs(y - line) <= lay.step / 2) : -1;
}

/** Second lines, and the times below them. */
export function drawGrid(ctx, lay, colours, clockOf) {
  ctx.strokeStyle = colours.grid;
  ctx.fillStyle = colours.faint;
  ctx.font = "11px system-ui, sans-serif";
  ctx.textAlign = "center";
  ctx.lineWidth = 1;
  const every = lay.pageS > 12 ? 5 : lay.pageS > 6 ? 2 : 1;
  for (let s = Math.ceil(lay.startS - 1e-9); s <= lay.startS + lay.pageS + 1e-9; s += 1) {
    const x = Math.round(lay.x(s)) + 0.5;
    ctx.beginPath();
    ctx.moveTo(x, TOP_PX);
    ctx.lineTo(x, lay.height - BOTTOM_PX);
    ctx.stroke();
    if (s % every === 0) ctx.fillText(clockOf(s), Math.min(x, lay.width - 24), lay.height - 5);
  }
}

/** Names on the left; what carries no signal is grey and says so; the marked one stands out. */
export function drawNames(ctx, lay, rows, colours, marked) {
  ctx.textAlign = "left";
  ctx.textBaseline = "middle";
  rows.forEach((row, i) => {
    ctx.font = row.name === marked ? MARK_FONT : NAME_FONT;
    ctx.fillStyle = inkOf(row, colours, marked);
    ctx.fillText(row.bad ? `${row.name} bad` : row.name, 4, lay.lines[i], LEFT_PX - 8);
  });
  ctx.textBaseline = "alphabetic";
}

function inkOf(row, colours, marked) {
  return row.name === marked ? colours.cursor : row.bad ? colours.faint : colours.ink;
}

/** Traces: a line where a column of the screen has a few samples, least to greatest where it has many. */
export function drawTraces(ctx, lay, rows, colours, scale, marked) {
  ctx.save();
  ctx.beginPath();
  ctx.rect(LEFT_PX, 0, lay.plot, lay.height - BOTTOM_PX);
  ctx.clip();
  ctx.lineWidth = Math.max(0.9, 1 / scale.ratio);
  ctx.lineJoin = "round";
  rows.forEach((row, i) => {
    if (!row.uv) return;
    ctx.strokeStyle = inkOf(row, colours, marked);
    const columns = Math.round(lay.plot * scale.ratio);
    const below = (uv) => lay.lines[i] + pixelsBelow(uv - row.level, scale.uvPerMm, scale.pxPerMm, scale.negativeUp);
    ctx.beginPath();
    if (row.uv.length > 3 * columns) envelopePath(ctx, row.uv, columns, row.seconds / lay.pageS, lay.plot, below);
    else linePath(ctx, row.uv, (row.seconds / lay.pageS) * lay.plot, below);
    ctx.stroke();
  });
  ctx.restore();
}

function linePath(ctx, uv, width, below) {
  let pen = false;
  for (let i = 0; i < uv.length; i += 1) {
    if (uv[i] !== uv[i]) {
      pen = false;
      continue;
    }
    const x = LEFT_PX + (i / uv.length) * width;
    if (pen) ctx.lineTo(x, below(uv[i]));
    else ctx.moveTo(x, below(uv[i]));
    pen = true;
  }
}

function envelopePath(ctx, uv, columns, share, plot, below) {
  const wide = Math.max(1, Math.round(columns * share));
  const { least, greatest } = extremes(uv, wide);
  let pen = false;
  for (let c = 0; c < wide; c += 1) {
    if (least[c] !== least[c]) {
      pen = false;
      continue;
    }
    const x = LEFT_PX + ((c + 0.5) / wide) * share * plot;
    if (pen) ctx.lineTo(x, below(least[c]));
    else ctx.moveTo(x, below(least[c]));
    ctx.lineTo(x, below(greatest[c]));
    pen = true;
  }
}

/** Where nothing was recorded. */
export function drawGaps(ctx, lay, gaps, colours) {
  for (const [onset, length] of gaps) {
    if (onset > lay.startS + lay.pageS || onset + length < lay.startS) continue;
    const a = Math.max(LEFT_PX, lay.x(onset));
    const b = Math.min(LEFT_PX + lay.plot, Math.max(lay.x(onset + length), a + 1));
    ctx.fillStyle = colours.gap;
    ctx.fillRect(a, TOP_PX, b - a, lay.height - TOP_PX - BOTTOM_PX);
  }
}

/** Annotations: a line at the onset, a bar on top as long as it lasts, its text beside it. */
export function drawAnnotations(ctx, lay, annotations, colours) {
  ctx.font = "11px system-ui, sans-serif";
  ctx.textAlign = "left";
  let free = LEFT_PX;
  for (const [onset, length, text, code] of annotations) {
    if (onset > lay.startS + lay.pageS || onset + length < lay.startS || code === "boundary" || text === "gap") continue;
    const x = lay.x(onset);
    const a = Math.max(LEFT_PX, x);
    ctx.fillStyle = colours.mark;
    ctx.fillRect(a, TOP_PX - 4, Math.max(2, Math.min(lay.x(onset + length), LEFT_PX + lay.plot) - a), 4);
    if (x >= LEFT_PX) {
      ctx.globalAlpha = 0.55;
      ctx.fillRect(Math.round(x), TOP_PX, 1, lay.height - TOP_PX - BOTTOM_PX);
      ctx.globalAlpha = 1;
    }
    if (a >= free) {
      ctx.fillText(text, a + 2, TOP_PX - 7, 220);
      free = a + Math.min(220, ctx.measureText(text).width) + 8;
    }
  }
}

/** Where hiding the signal changes the model's answer most, behind the traces. */
export function drawAttention(ctx, lay, rows, shades, colours) {
  for (const [start, end, channels, strength] of shades) {
    if (start > lay.startS + lay.pageS || end < lay.startS) continue;
    const a = Math.max(LEFT_PX, lay.x(start));
    const b = Math.min(LEFT_PX + lay.plot, lay.x(end));
    ctx.fillStyle = strength > 0 ? colours.towards : colours.away;
    ctx.globalAlpha = 0.3 * Math.abs(strength) * (channels.length ? 1 : 0.6);
    if (!channels.length) ctx.fillRect(a, TOP_PX, b - a, lay.height - TOP_PX - BOTTOM_PX);
    else rows.forEach((row, i) => channels.includes(row.name.split("-")[0]) && ctx.fillRect(a, lay.lines[i] - lay.step / 2, b - a, lay.step));
    ctx.globalAlpha = 1;
  }
}

/** A bar of known size, beside the traces: one centimetre of the screen high, so many microvolts. Lines are seconds. */
export function drawScale(ctx, lay, scale, colours) {
  const bottom = lay.height - BOTTOM_PX;
  const top = Math.max(TOP_PX, bottom - 10 * scale.pxPerMm);
  const x = LEFT_PX + lay.plot + 8;
  ctx.strokeStyle = colours.mark;
  ctx.fillStyle = colours.mark;
  ctx.lineWidth = 2;
  ctx.beginPath();
  ctx.moveTo(x + 8, top);
  ctx.lineTo(x, top);
  ctx.lineTo(x, bottom);
  ctx.lineTo(x + 8, bottom);
  ctx.stroke();
  ctx.font = "bold 11px system-ui, sans-serif";
  ctx.textAlign = "left";
  ctx.fillText(`${Math.round(((bottom - top) / scale.pxPerMm) * scale.uvPerMm)} µV`, x, top - 6);
}

/** The time cursor of the whole page, and what is being measured. */
export function drawOver(ctx, lay, cursorS, measure, colours) {
  ctx.clearRect(0, 0, lay.width, lay.height);
  if (cursorS !== null && cursorS >= lay.startS && cursorS <= lay.startS + lay.pageS) {
    ctx.fillStyle = colours.cursor;
    ctx.fillRect(Math.round(lay.x(cursorS)), TOP_PX - 6, 1.5, lay.height - TOP_PX - BOTTOM_PX + 6);
  }
  if (!measure) return;
  const [x, y, w, h] = [Math.min(measure.x0, measure.x1), Math.min(measure.y0, measure.y1), Math.abs(measure.x1 - measure.x0), Math.abs(measure.y1 - measure.y0)];
  ctx.strokeStyle = colours.cursor;
  ctx.lineWidth = 1.2;
  ctx.strokeRect(x, y, w, h);
  ctx.font = "bold 12px system-ui, sans-serif";
  ctx.textAlign = "left";
  const wide = ctx.measureText(measure.text).width + 10;
  const left = Math.min(x, lay.width - wide);
  const top = y > 24 ? y - 22 : y + h + 4;
  ctx.fillStyle = colours.paper;
  ctx.fillRect(left, top, wide, 18);
  ctx.fillStyle = colours.cursor;
  ctx.fillText(measure.text, left + 5, top + 13);
}
