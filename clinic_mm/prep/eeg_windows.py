"""Filter and resample an EEG of any length, block by block: the result is that of filtering it whole.

In:  volts in memory or in pages, the stretches without interruption, which channels.
Out: blocks of filtered volts at the wanted rate; NaN in seconds in which a channel had no signal.

One FIR, linear phase taken off: 0.5 to 45 Hz, and nothing from 49 Hz on, so that the mains of 50 and of 60 Hz and all
their harmonics are gone whatever the file; there is no notch that would depend on having found them.
Each block is filtered and resampled in one step in the frequency domain (overlap-save: Oppenheim & Schafer,
Discrete-Time Signal Processing, 8.7.3), with as much context on both sides as the filter is long; memory holds one
block. No filter reaches across a gap.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import gcd
from typing import Final

import numpy as np
from jaxtyping import Bool, Float32
from numpy import ndarray as Array
from scipy import fft
from scipy import signal as dsp

from clinic_mm.signals import Pages
from clinic_mm.sources.eeg.channels import channel_table

PASS_HZ: Final = (0.5, 45.0)
EDGES_HZ: Final = (0.5, 4.0)
"""Widths of the two transitions: 0 to 0.5 Hz, and 45 to 49 Hz."""
HAMMING: Final = 3.3
"""Length of a Hamming-windowed filter times the width of its transition (as MNE has it)."""
BLOCK_S: Final = 64.0
PAGE: Final = 4096
"""Samples decoded at once."""
DECODED: Final = 8
"""Channels decoded at once."""
GROUP: Final = 2
"""Channels transformed at once."""
MOST_DENOMINATOR: Final = 4096


@dataclass(frozen=True, slots=True)
class Block:
    """Filtered samples.

    Attributes:
        start: Place of the first on the time line of the recording, at the new rate.
        volts: NaN in seconds in which the channel had no signal.
    """

    start: int
    volts: Float32[Array, "row sample"]


@dataclass(frozen=True, slots=True)
class _Plan:
    """Sizes in samples of one pair of rates. `n_in` and `n_out` last equally long, so do `side_in` and `side_out`."""

    n_in: int
    n_out: int
    side_in: int
    side_out: int
    response: Float32[Array, " frequency"]

    @property
    def hop_in(self) -> int:
        return self.n_in - 2 * self.side_in

    @property
    def hop_out(self) -> int:
        return self.n_out - 2 * self.side_out


def resampled(samples: int, sfreq_hz: float, to_hz: float) -> int:
    """How many samples a stretch has at the new rate."""
    return round(samples * to_hz / sfreq_hz)


def stream(
    volts: Float32[Array, "channel sample"] | Pages,
    sfreq_hz: float,
    to_hz: float,
    segments: Sequence[tuple[int, int]],
    rows: Sequence[int],
) -> Iterator[Block]:
    """Filtered blocks of about a minute, in time order, none across a gap.

    Args:
        volts: The recording.
        sfreq_hz: Its sampling rate.
        to_hz: The rate of the blocks, a whole number.
        segments: First and last sample (exclusive) of each stretch without interruption.
        rows: Channels to take, in the order in which they are wanted.
    """
    plan = _plan(float(sfreq_hz), float(to_hz))
    raw = np.empty((min(DECODED, len(rows)), plan.n_in), np.float32)
    for first, stop in segments:
        start_out = resampled(first, sfreq_hz, to_hz)
        left = resampled(stop - first, sfreq_hz, to_hz)
        for number in range(-(-left // plan.hop_out)):
            at = first + number * plan.hop_in
            clean = np.empty((len(rows), min(plan.hop_out, left - number * plan.hop_out)), np.float32)
            for row in range(0, len(rows), DECODED):
                some, out = rows[row : row + DECODED], clean[row : row + DECODED]
                block = raw[: len(some)]
                _fill(block, volts, list(some), first, stop, at - plan.side_in)
                inner = block[:, plan.side_in : plan.side_in + min(plan.hop_in, stop - at)]
                dead = _dead(inner, sfreq_hz, out.shape[1], int(to_hz))
                _bridge(block)
                _filter(block, plan, out)
                _mask(out, dead, int(to_hz))
            yield Block(start_out + number * plan.hop_out, clean)


def _filter(raw: Array, plan: _Plan, out: Float32[Array, "row sample"]) -> None:
    """The middle of a block, filtered and resampled; `raw` is used up."""
    for at in range(0, len(raw), GROUP):
        part = raw[at : at + GROUP]
        # The filter gives 0 for a constant, so taking it off changes nothing but the rounding.
        part -= part.mean(axis=1, keepdims=True)
        spectrum = fft.rfft(part, axis=1)[:, : len(plan.response)]
        spectrum *= plan.response
        whole = fft.irfft(spectrum, plan.n_out, axis=1, overwrite_x=True)
        out[at : at + GROUP] = whole[:, plan.side_out : plan.side_out + out.shape[1]]


@lru_cache(maxsize=16)
def _plan(sfreq_hz: float, to_hz: float) -> _Plan:
    """Sizes and response for a pair of rates."""
    ratio = Fraction(sfreq_hz / to_hz).limit_denominator(MOST_DENOMINATOR)
    taps = _taps(sfreq_hz)
    side = -(-len(taps) // 2 // ratio.numerator)
    # Blocks of whole seconds at the new rate, so that a second never lies in two blocks.
    step = int(to_hz) // gcd(int(to_hz), ratio.denominator)
    hop = max(step, round((BLOCK_S * sfreq_hz / ratio.numerator - 2 * side) / step) * step)
    wanted = range(hop + 2 * side, hop + 2 * side + 400, 2)
    pieces = next((n for n in wanted if _smooth(n * ratio.numerator) and _smooth(n * ratio.denominator)), wanted[0])
    side = (pieces - hop) // 2
    n_in, n_out = pieces * ratio.numerator, pieces * ratio.denominator
    half = len(taps) // 2
    kernel = np.zeros(n_in)
    kernel[: half + 1], kernel[-half:] = taps[half:], taps[:half]
    response = np.fft.rfft(kernel).real[: n_out // 2 + 1] * (n_out / n_in)
    side_in, side_out = side * ratio.numerator, side * ratio.denominator
    response = response.astype(np.float32)
    response.setflags(write=False)
    return _Plan(n_in, n_out, side_in, side_out, response)


def _smooth(n: int) -> bool:
    return int(fft.next_fast_len(n, real=True)) == n


def _taps(sfreq_hz: float) -> Array:
    """The band-pass at the rate of the recording; an odd number, symmetric; gain 0 at 0 Hz, exactly."""
    (low, high), (wide_low, wide_high) = PASS_HZ, EDGES_HZ
    below = _low_pass(low - wide_low / 2, wide_low, sfreq_hz)
    taps = -below
    taps[len(taps) // 2] += 1.0
    if high + wide_high < sfreq_hz / 2:
        taps = np.convolve(taps, _low_pass(high + wide_high / 2, wide_high, sfreq_hz))
    return taps


def _low_pass(at_hz: float, width_hz: float, sfreq_hz: float) -> Array:
    length = round(HAMMING / width_hz * sfreq_hz) | 1
    return np.asarray(dsp.firwin(length, at_hz, window="hamming", fs=sfreq_hz))


def _fill(out: Array, volts: Array | Pages, rows: list[int], first: int, stop: int, at: int) -> None:
    """Samples from `at` on, the stretch continued beyond its ends by turning it about its end points."""
    a, b = max(at, first), min(at + out.shape[1], stop)
    for part in range(a, b, PAGE):  # so that what a page is decoded from is never as large as the block
        out[:, part - at : min(part + PAGE, b) - at] = volts[rows, part : min(part + PAGE, b)]
    _turn(out[:, : b - at][:, ::-1], b - a)
    _turn(out[:, a - at :], b - a)


def _turn(row: Array, known: int) -> None:
    """Fill `row` from `known` on by odd reflection about its last known sample; once round, then held."""
    n = min(row.shape[1] - known, known - 1)
    if n > 0:
        row[:, known : known + n] = 2 * row[:, known - 1 : known] - row[:, known - 1 - n : known - 1][:, ::-1]
    row[:, known + n :] = row[:, known + n - 1 : known + n]


def _bridge(raw: Array) -> None:
    """Straight lines across values that are no numbers, so that they do not spread; their seconds are masked."""
    for row in np.flatnonzero(~np.isfinite(raw).all(axis=1)):
        good = np.flatnonzero(np.isfinite(raw[row]))
        raw[row] = np.interp(np.arange(raw.shape[1]), good, raw[row, good]) if good.size else 0.0


def _dead(raw: Array, sfreq_hz: float, n_out: int, to_hz: int) -> Bool[Array, "row second"]:
    """In which seconds of a block a channel does not move, or is no number."""
    edges = np.rint(np.arange(-(-n_out // to_hz)) * sfreq_hz).astype(int)
    edges = edges[edges < raw.shape[1]]
    if not edges.size:  # rounding left a block without a sample of its own
        return np.ones((len(raw), 1), dtype=bool)
    with np.errstate(invalid="ignore"):
        span = np.array([np.maximum.reduceat(row, edges) - np.minimum.reduceat(row, edges) for row in raw])
    return np.asarray(~((span >= channel_table().flat_v) & np.isfinite(span)))


def _mask(clean: Array, dead: Array, to_hz: int) -> None:
    for row, second in zip(*np.nonzero(dead), strict=True):
        clean[row, second * to_hz : (second + 1) * to_hz] = np.nan
