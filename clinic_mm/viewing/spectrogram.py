"""How the power of a long recording goes over time and frequency: the density spectral array of monitoring.

In:  blocks of samples in any cut, in time order.
Out: for each channel and column of time the power per hertz, in dB over 1 µV²/Hz.

Each column is the mean of periodograms of whole windows of WINDOW_S (Hann, the mean taken off, no overlap; Welch, IEEE
Trans Audio Electroacoust 1967;15:70-73, doi:10.1109/TAU.1967.1161901), as recorded: no montage, no filter.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float16, Float32, Float64
from numpy import ndarray as Array
from scipy import fft

WINDOW_S: Final = 2.0
HIGHEST_HZ: Final = 30.0
MOST_COLUMNS: Final = 2000
SILENT_UV2: Final = 1e-6
"""Power below which a column says -60 dB: dead amplifiers have none."""


@dataclass(frozen=True, slots=True)
class Spectrogram:
    """Power over time and frequency.

    Attributes:
        column_s: Seconds in a column; the first begins at 0.
        freqs_hz: Of the rows, ascending.
        db: dB over 1 µV²/Hz; NaN where a column holds no whole window of samples.
    """

    column_s: float
    freqs_hz: Float64[Array, " frequency"]
    db: Float16[Array, "channel frequency column"]

    def mean_of(self, rows: Sequence[int]) -> Float32[Array, "frequency column"]:
        """The mean power of some channels, in dB; NaN where none has any."""
        power = np.power(10.0, self.db[list(rows)].astype(np.float32) / 10)
        there = np.isfinite(power)
        count = there.sum(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.where(there, power, 0).sum(axis=0) / count
            return np.asarray(10 * np.log10(mean), np.float32)


class SpectrogramBuilder:
    """Takes blocks as they come. Windows are counted from the start of the recording; none reaches over a gap."""

    def __init__(self, channels: int, samples: int, sfreq_hz: float) -> None:
        self.sfreq_hz, self.window = sfreq_hz, max(8, round(WINDOW_S * sfreq_hz))
        windows = -(-samples // self.window)
        self.step = max(1, -(-windows // MOST_COLUMNS))  # windows in a column
        freqs = np.fft.rfftfreq(self.window, 1 / sfreq_hz)
        self.kept = (freqs > 0) & (freqs <= HIGHEST_HZ)
        self.freqs_hz = freqs[self.kept]
        columns = -(-windows // self.step)
        self.power = np.zeros((channels, len(self.freqs_hz), columns), np.float32)
        self.count = np.zeros((channels, columns), np.int32)
        self.taper = hann(self.window)
        self.expected, self.rest = 0, np.empty((channels, 0), np.float32)

    def add(self, start: int, block: Float32[Array, "channel sample"]) -> None:
        """Take the samples from `start` on; what is too short for a window waits for the block that goes on from it."""
        if self.rest.shape[1] and start == self.expected:
            start, block = start - self.rest.shape[1], np.concatenate([self.rest, block], axis=1)
        skip = -start % self.window
        whole = max(0, (block.shape[1] - skip) // self.window)
        end = skip + whole * self.window
        self.expected, self.rest = start + block.shape[1], block[:, end:] if skip <= block.shape[1] else block[:, :0]
        first = (start + skip) // self.window
        cut = block[:, skip:end].reshape(len(block), whole, self.window)
        for row, windows in enumerate(cut if whole else ()):
            power = periodogram(windows * np.float32(1e6), self.taper, self.sfreq_hz)[:, self.kept]
            good = np.isfinite(power).all(axis=1)
            columns = (first + np.flatnonzero(good)) // self.step
            np.add.at(self.power[row].T, columns, power[good])
            np.add.at(self.count[row], columns, 1)

    def spectrogram(self) -> Spectrogram:
        """What was taken."""
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = self.power / self.count[:, None, :]
            db = 10 * np.log10(np.where(np.isnan(mean), np.nan, np.maximum(mean, SILENT_UV2)))
        return Spectrogram(self.step * self.window / self.sfreq_hz, self.freqs_hz, db.astype(np.float16))


def hann(length: int) -> Float32[Array, " sample"]:
    """A periodic Hann window."""
    return np.asarray(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length), np.float32)


def periodogram(
    windows: Float32[Array, "window sample"], taper: Float32[Array, " sample"], sfreq_hz: float
) -> Float32[Array, "window frequency"]:
    """One-sided power per hertz of each window, in the square of its unit per Hz."""
    centred = (windows - windows.mean(axis=1, keepdims=True)) * taper
    power = np.abs(fft.rfft(centred, axis=1)) ** 2 / (sfreq_hz * np.square(taper, dtype=np.float64).sum())
    power[:, 1 : power.shape[1] - (1 - len(taper) % 2)] *= 2  # both signs of a frequency, but for 0 and Nyquist
    return np.asarray(power, np.float32)
