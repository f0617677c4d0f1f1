// Arithmetic of EEG traces: montages, millimetres, extremes of a screen column, chunks of a recording.
//
// In:  samples as the server sent them (volts, float32, one channel after the other). Out: microvolts, pixels.
// Nothing here draws or asks the server.

export const CSS_PX_PER_MM = 96 / 25.4; // what a browser takes for granted; a screen is measured by the ruler

/** Microvolts of one derivation, from samples `a` to `b` of the chunk. Not a number where one of its channels is none. */
export function derive(row, common, volts, samples, a, b) {
  const out = new Float64Array(b - a);
  const add = (pairs) => {
    for (const [channel, weight] of pairs) {
      const at = channel * samples;
      const scaled = weight * 1e6;
      for (let i = a; i < b; i += 1) out[i - a] += scaled * volts[at + i];
    }
  };
  add(row.pairs);
  if (common) for (let i = 0; i < out.length; i += 1) out[i] += common[a + i];
  return out;
}

/** The part that all rows with a common reference share, in microvolts: made once for a montage, not once a row. */
export function commonOf(pairs, volts, samples) {
  if (!pairs.length) return null;
  const out = new Float64Array(samples);
  for (const [channel, weight] of pairs) {
    const at = channel * samples;
    const scaled = weight * 1e6;
    for (let i = 0; i < samples; i += 1) out[i] += scaled * volts[at + i];
  }
  return out;
}

/** Pixels by which a value lies below the line of its trace. Negative up is the habit of clinics. */
export function pixelsBelow(uv, uvPerMm, pxPerMm, negativeUp) {
  const up = (uv / uvPerMm) * pxPerMm;
  return negativeUp ? up : -up;
}

/** Millimetres a second of a page that is `widthPx` wide. */
export function mmPerSecond(widthPx, pageS, pxPerMm) {
  return widthPx / pxPerMm / pageS;
}

/** What a trace shows in each column of the screen: least and greatest, so that no spike falls between two pixels. */
export function extremes(x, columns) {
  const least = new Float64Array(columns).fill(NaN);
  const greatest = new Float64Array(columns).fill(NaN);
  for (let i = 0; i < x.length; i += 1) {
    const value = x[i];
    if (value !== value) continue;
    const c = Math.min(columns - 1, Math.floor((i * columns) / x.length));
    if (!(least[c] <= value)) least[c] = value;
    if (!(greatest[c] >= value)) greatest[c] = value;
  }
  return { least, greatest };
}

/** The middle value, so that a trace hangs on its own line; 0 where there is none. */
export function median(x) {
  const some = Array.from(x).filter(Number.isFinite).sort((a, b) => a - b);
  if (!some.length) return 0;
  const half = some.length >> 1;
  return some.length % 2 ? some[half] : (some[half - 1] + some[half]) / 2;
}

/** Where a chain of bipolar derivations ends: the next one does not begin where the last one ended. */
export function chainEnds(names) {
  return names.map((name, i) => {
    const [before, here] = [names[i - 1], name].map((one) => (one ?? "").split("-"));
    return i > 0 && before.length === 2 && here.length === 2 && before[1] !== here[0];
  });
}

/** Runs of chunks that are not held yet, as [first, last] in chunks: what to ask the server for. */
export function missingRuns(start, stop, chunk, held) {
  const runs = [];
  for (let at = Math.floor(start / chunk); at * chunk < stop; at += 1) {
    if (held(at)) continue;
    const last = runs[runs.length - 1];
    if (last && last[1] === at - 1) last[1] = at;
    else runs.push([at, at]);
  }
  return runs;
}

/** `1:02:03.5` of seconds. */
export function clock(seconds, digits = 0) {
  const s = Math.max(0, seconds);
  const unit = Math.pow(10, digits);
  const whole = Math.round(s * unit);
  const rest = (whole % (60 * unit)) / unit;
  const minutes = Math.floor(whole / (60 * unit));
  const tail = rest.toFixed(digits).padStart(digits ? 3 + digits : 2, "0");
  return `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${tail}`;
}
