"""Plain summaries of an EEG, gathered block by block: memory does not grow with the recording.

In:  derivations in units of 50 microvolts, block after block; a row is NaN where there is no signal.
Out: log band power, amplitude quantiles, line length and kurtosis by region and over all; sharp peaks of two traces.

Quantiles come from counts in bins of 0.4 % width (the upper bits of a float32), everything else from sums.
"""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from jaxtyping import Float, Float32
from numpy import ndarray as Array
from numpy.lib.stride_tricks import sliding_window_view
from scipy import fft
from scipy import signal as dsp

REGIONS: Final = {
    "frontal": ("Fp1", "Fp2", "F7", "F3", "Fz", "F4", "F8"),
    "central": ("C3", "Cz", "C4"),
    "temporal": ("T7", "T8"),
    "parietal": ("P7", "P3", "Pz", "P4", "P8"),
    "occipital": ("O1", "O2"),
}
BANDS_HZ: Final = {"delta": (0.5, 4), "theta": (4, 8), "alpha": (8, 13), "beta": (13, 30), "gamma": (30, 45)}
AMPLITUDE_LEVELS: Final = (0.5, 0.95, 0.995)
MEASURES: Final = (*BANDS_HZ, *(f"amplitude q{q:g}" for q in AMPLITUDE_LEVELS), "line length", "kurtosis")
SHARP_HZ: Final = (5.0, 30.0)
"""Where spikes are, and blinks are not."""
SHARP_LEVELS: Final = (0.002, 0.01, 0.99, 0.998)
"""Low quantiles are negative peaks, as epileptiform spikes are; high ones are their positive counterparts."""
FRONT: Final = ("F3", "Fz", "F4", "C3", "Cz", "C4")
BACK: Final = ("P3", "Pz", "P4", "O1", "O2")
TRACES: Final = ("front", "front-back")
WELCH_S: Final = 4.0
SHIFT: Final = 15
"""Bits of a float32 below those that name a bin: 8 bits of its fraction are left."""
LEAST: Final = np.float32(2.0**-20)
MOST: Final = np.float32(2.0**8)
FIRST_BIN: Final = int(np.array(LEAST).view(np.int32)) >> SHIFT
BINS: Final = (int(np.array(MOST).view(np.int32)) >> SHIFT) - FIRST_BIN + 1


class Quantiles:
    """Quantiles of magnitudes, row by row, from counts."""

    def __init__(self, rows: int) -> None:
        self.counts = np.zeros((rows, BINS), np.int64)

    def add(self, row: int, magnitudes: Float32[Array, " n"]) -> None:
        """Count some values of one row, none of them negative."""
        bins = (np.clip(magnitudes, LEAST, MOST).view(np.int32) >> SHIFT) - FIRST_BIN
        self.counts[row] += np.bincount(bins, minlength=BINS)

    def ranked(self, row: int, rank: float) -> float:
        """The value of a rank (0 is the least), straight lines between whole ranks."""
        total = np.cumsum(self.counts[row])
        below, above = (self._valued(row, total, whole) for whole in (math.floor(rank), math.ceil(rank)))
        return below + (above - below) * (rank - math.floor(rank))

    def _valued(self, row: int, total: Array, rank: int) -> float:
        at = min(int(np.searchsorted(total, rank, side="right")), BINS - 1)
        count = max(1, int(self.counts[row, at]))
        before = int(total[at]) - count
        low, high = (np.array([at, at + 1], np.int32) + FIRST_BIN << SHIFT).view(np.float32).astype(float)
        return float(low + (high - low) * min(max((rank - before + 0.5) / count, 0.0), 1.0))

    def total(self, row: int) -> int:
        """How many values of a row were counted."""
        return int(self.counts[row].sum())


class EegSummary:
    """Gathers blocks of one recording."""

    def __init__(self, names: Sequence[str], sfreq_hz: float) -> None:
        """Args: derivations in their order (a derivation lies where its first electrode lies), and their rate."""
        self.place = [name.split("-")[0] for name in names]
        self.sfreq_hz = sfreq_hz
        rows = len(names)
        self.n = np.zeros(rows)
        self.steps = np.zeros(rows)
        self.power, self.moments, self.line = np.zeros((rows, len(BANDS_HZ))), np.zeros((rows, 4)), np.zeros(rows)
        self.amplitudes = Quantiles(rows)
        self.down, self.up = Quantiles(len(TRACES)), Quantiles(len(TRACES))
        self.sharp = dsp.butter(2, SHARP_HZ, "bandpass", fs=sfreq_hz, output="sos")
        self.pad = 3 * (2 * len(self.sharp) + 1)

    def add(self, block: Float32[Array, "derivation sample"]) -> None:
        """Gather one stretch; every row is either there throughout, or NaN."""
        there = np.flatnonzero(np.isfinite(block[:, 0])) if block.shape[1] > 1 else np.zeros(0, int)
        if not there.size:
            return
        rows = block[there]
        n = rows.shape[1]
        self.n[there] += n
        self.power[there] += n * self._bands(rows)
        self.line[there] += np.abs(np.diff(rows, axis=1)).sum(axis=1, dtype=float)
        self.steps[there] += n - 1
        squares = rows * rows
        for order, values in enumerate((rows, squares, squares * rows, squares * squares)):
            self.moments[there, order] += values.sum(axis=1, dtype=float)
        for row in there.tolist():
            self.amplitudes.add(row, np.abs(block[row]))
        self._add_traces(block)

    def finish(self) -> Float32[Array, " p"]:
        """All measures, NaN where there was nothing to measure."""
        measures = np.full((len(self.n), len(MEASURES)), np.nan)
        for row in np.flatnonzero(self.n).tolist():
            measures[row] = self._measures(row)
        there = self.n > 0
        bands = measures[:, : len(BANDS_HZ)]
        regions = [_mean(bands[[one in names for one in self.place]]) for names in REGIONS.values()]
        largest = measures[there].max(axis=0) if there.any() else np.full(len(MEASURES), np.nan)
        peaks = [self._peaks(trace) for trace in range(len(TRACES))]
        return np.concatenate([*regions, _mean(measures), largest, *peaks]).astype(np.float32)

    def _measures(self, row: int) -> Float[Array, " m"]:
        amplitudes = [self.amplitudes.ranked(row, q * (self.n[row] - 1)) for q in AMPLITUDE_LEVELS]
        line = self.line[row] / max(1.0, self.steps[row])
        one, two, three, four = self.moments[row] / self.n[row]
        spread = np.sqrt(max(two - one**2, 0.0)) + 1e-9
        kurtosis = (four - 4 * one * three + 6 * one**2 * two - 3 * one**4) / spread**4
        logs = np.log10(np.array([*(self.power[row] / self.n[row]), *amplitudes, line]) + 1e-9)
        return np.append(logs, kurtosis)

    def _bands(self, rows: Array) -> Array:
        """Mean density of each band: Welch's method within the block (Hann, half overlapping, mean taken off)."""
        length = min(rows.shape[1], int(WELCH_S * self.sfreq_hz))
        pieces = sliding_window_view(rows, length, axis=1)[:, :: max(1, length // 2)]
        window = dsp.get_window("hann", length).astype(np.float32)
        spectra = fft.rfft((pieces - pieces.mean(axis=2, keepdims=True)) * window, axis=2)
        density = (spectra.real**2 + spectra.imag**2).mean(axis=1) * (2 / (self.sfreq_hz * (window**2).sum()))
        freqs = np.fft.rfftfreq(length, 1 / self.sfreq_hz)
        inside = [(freqs >= low) & (freqs < high) for low, high in BANDS_HZ.values()]
        return np.stack([density[:, one].mean(axis=1) if one.any() else np.zeros(len(rows)) for one in inside], axis=1)

    def _add_traces(self, block: Array) -> None:
        """Front, and front against back: a discharge with a broad field survives there what the reference takes."""
        front, back = (_mean(block[[one in names for one in self.place]]) for names in (FRONT, BACK))
        for trace, values in enumerate((front, front - back)):
            if np.isfinite(values).all() and len(values) > self.pad:
                peaks = dsp.sosfiltfilt(self.sharp, values).astype(np.float32)
                self.down.add(trace, -peaks[peaks < 0])
                self.up.add(trace, peaks[peaks >= 0])

    def _peaks(self, trace: int) -> Array:
        down, up = self.down.total(trace), self.up.total(trace)
        if not down + up:
            return np.full(len(SHARP_LEVELS), np.nan)
        ranks = [q * (down + up - 1) for q in SHARP_LEVELS]
        return np.array(
            [
                -self.down.ranked(trace, down - 1 - rank) if rank < down else self.up.ranked(trace, rank - down)
                for rank in ranks
            ]
        )


def _mean(rows: Array) -> Array:
    kept = rows[np.isfinite(rows).all(axis=1)]
    return np.asarray(kept.mean(axis=0)) if len(kept) else np.full(rows.shape[1], np.nan)
