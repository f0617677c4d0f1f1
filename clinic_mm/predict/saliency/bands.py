"""Split an EEG into the bands that its prep measures, so that one of them can be hidden for a while.

In:  volts [channel, sample]. Out: one trace per band and channel; together they are the signal from 0.5 to 45 Hz.

Neighbouring bands share a cosine-shaped crossing: nothing rings, and what is taken from one is in the other. A taper in
time and a band in frequency cannot both be sharp; the window says how far in time a cell reaches.
"""

from itertools import pairwise
from typing import Final

import numpy as np
from jaxtyping import Float, Float32
from numpy import ndarray as Array
from scipy import fft

from clinic_mm.prep.eeg_summary import BANDS_HZ

CROSSING: Final = 0.15
"""Half the width of a crossing, as a share of the frequency it lies at."""


def gains(freqs_hz: Float[Array, " f"]) -> Float[Array, "band f"]:
    """Gain of each band at some frequencies; they add up to 1 inside the pass band."""
    edges = [low for low, _ in BANDS_HZ.values()] + [list(BANDS_HZ.values())[-1][1]]
    above = [_rise(freqs_hz, edge) for edge in edges]
    return np.stack([low * (1 - high) for low, high in pairwise(above)])


def _rise(freqs_hz: Array, edge: float) -> Array:
    """0 below an edge, 1 above it, half a cosine between."""
    share = np.clip((freqs_hz - edge * (1 - CROSSING)) / (2 * CROSSING * edge), 0, 1)
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * share))


def split(volts: Float32[Array, "channel sample"], sfreq_hz: float) -> Float32[Array, "band channel sample"]:
    """The bands of every channel; where a channel has no signal it counts as 0."""
    known = np.nan_to_num(np.asarray(volts, np.float32))
    n = known.shape[1]
    length = int(fft.next_fast_len(n + round(2 * sfreq_hz), real=True))  # room, so that the ends do not meet
    spectrum = fft.rfft(known - known.mean(axis=1, keepdims=True), length, axis=1)
    weights = gains(np.fft.rfftfreq(length, 1 / sfreq_hz)).astype(np.float32)
    out = np.empty((len(weights), *known.shape), np.float32)
    for band, weight in zip(out, weights, strict=True):
        band[:] = fft.irfft(spectrum * weight, length, axis=1)[:, :n]
    return out
