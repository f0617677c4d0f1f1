// Filters of the EEG viewer: second-order sections, run over a page and its margins.
//
// In:  Float64Array of one derivation, its rate, what the reader chose. Out: the same, filtered.
//
// High-pass: Butterworth, first order, the time constant of a paper machine (TC = 1 / (2 pi f)). Low-pass: Butterworth,
// second order. Notch: second order, quality 30. All by the bilinear transform with the corner pre-warped.
// Zero phase runs every section forward and backward: no wave moves, slopes double. Its corners are moved so that the
// named corner stays at -3 dB: |H|^4 = 1/2 there (Winter, Biomechanics and Motor Control of Human Movement, 2.2.4.4).
// As on paper runs them once: waves come later by `delay_ms`, as an analog machine has it.

const CORNER = Math.SQRT2 - 1;
export const NOTCH_Q = 30;
export const SETTLED = 5; // time constants after which a start has died away to 0.7 %

/** Sections [b0, b1, b2, a1, a2] of what was chosen; 0 switches one off. What the rate cannot carry is left out. */
export function sections(chosen, rate) {
  const found = [];
  const nyquist = rate / 2;
  const zero = chosen.zeroPhase;
  if (chosen.highpass > 0 && chosen.highpass < nyquist) {
    const k = Math.tan((Math.PI * chosen.highpass) / rate) * (zero ? Math.sqrt(CORNER) : 1);
    found.push([1 / (1 + k), -1 / (1 + k), 0, (k - 1) / (k + 1), 0]);
  }
  if (chosen.notch > 0 && chosen.notch < nyquist) {
    const w = (2 * Math.PI * chosen.notch) / rate;
    const gain = 1 / (1 + Math.tan(w / NOTCH_Q / 2));
    const middle = -2 * Math.cos(w) * gain;
    found.push([gain, middle, gain, middle, 2 * gain - 1]);
  }
  if (chosen.lowpass > 0 && chosen.lowpass < nyquist) {
    const k = Math.tan((Math.PI * chosen.lowpass) / rate) / (zero ? Math.pow(CORNER, 0.25) : 1);
    const norm = 1 / (1 + Math.SQRT2 * k + k * k);
    found.push([k * k * norm, 2 * k * k * norm, k * k * norm, 2 * (k * k - 1) * norm, (1 - Math.SQRT2 * k + k * k) * norm]);
  }
  return found;
}

/** Seconds on both sides of a page after which the filters have forgotten where they began. */
export function marginSeconds(chosen) {
  const factor = chosen.zeroPhase ? Math.sqrt(CORNER) : 1;
  const slow = chosen.highpass > 0 ? SETTLED / (2 * Math.PI * chosen.highpass * factor) : 0;
  const ringing = chosen.notch > 0 ? (SETTLED * NOTCH_Q) / (Math.PI * chosen.notch) : 0;
  return Math.max(0.5, slow, ringing);
}

/** Milliseconds by which a wave of some frequency comes later where filters run once; 0 in zero phase. */
export function delayMs(chosen, rate, hz) {
  if (chosen.zeroPhase) return 0;
  const step = Math.max(hz * 1e-3, 1e-4);
  const w = (f) => sections(chosen, rate).reduce((sum, one) => sum + phase(one, (2 * Math.PI * f) / rate), 0);
  return (-(w(hz + step) - w(hz - step)) / (4 * Math.PI * step)) * 1000;
}

function phase([b0, b1, b2, a1, a2], w) {
  const above = Math.atan2(-b1 * Math.sin(w) - b2 * Math.sin(2 * w), b0 + b1 * Math.cos(w) + b2 * Math.cos(2 * w));
  return above - Math.atan2(-a1 * Math.sin(w) - a2 * Math.sin(2 * w), 1 + a1 * Math.cos(w) + a2 * Math.cos(2 * w));
}

/** Filter one derivation in place; every stretch of numbers by itself, so that no filter reaches over a gap.
 *
 *  breaks: ascending samples at which what follows does not belong to what was before, though no sample is missing. */
export function filterRow(x, chosen, rate, breaks = []) {
  const some = sections(chosen, rate);
  if (!some.length) return x;
  const pad = Math.ceil(marginSeconds(chosen) * rate);
  for (const [a, b] of stretches(x, breaks)) filterStretch(x.subarray(a, b), some, chosen.zeroPhase, pad);
  return x;
}

/** First and last (exclusive) sample of each stretch of finite numbers. */
export function stretches(x, breaks = []) {
  const found = [];
  const cuts = new Set(breaks);
  let start = -1;
  for (let i = 0; i <= x.length; i += 1) {
    const there = i < x.length && Number.isFinite(x[i]);
    if (start >= 0 && (!there || cuts.has(i))) {
      found.push([start, i]);
      start = -1;
    }
    if (there && start < 0) start = i;
  }
  return found;
}

function filterStretch(x, some, zeroPhase, pad) {
  const n = x.length;
  const side = Math.min(n - 1, pad);
  if (!zeroPhase) {
    run(x, some);
    return;
  }
  // Continued beyond both ends by turning it about its end points, so that it does not begin with a step.
  const long = new Float64Array(n + 2 * side);
  for (let i = 0; i < side; i += 1) {
    long[i] = 2 * x[0] - x[side - i];
    long[side + n + i] = 2 * x[n - 1] - x[n - 2 - i];
  }
  long.set(x, side);
  run(long, some);
  long.reverse();
  run(long, some);
  long.reverse();
  x.set(long.subarray(side, side + n));
}

/** All sections once, in place, each begun as if its first value had stood for ever. */
function run(x, some) {
  let level = x[0];
  for (const [b0, b1, b2, a1, a2] of some) {
    const gain = (b0 + b1 + b2) / (1 + a1 + a2);
    let s2 = (b2 - a2 * gain) * level;
    let s1 = (b1 - a1 * gain) * level + s2;
    for (let i = 0; i < x.length; i += 1) {
      const given = x[i];
      const made = b0 * given + s1;
      s1 = b1 * given - a1 * made + s2;
      s2 = b2 * given - a2 * made;
      x[i] = made;
    }
    level *= gain;
  }
}
