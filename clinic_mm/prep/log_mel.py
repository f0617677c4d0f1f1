"""The log-mel spectrogram of a sound, and its cepstrum.

In:  samples at a fixed rate. Out: decibels [mel, frame], cepstral coefficients.

    X[k, t] = sum_n w[n] x[t hop + n] exp(-2 pi i k n / N)        w: Hann window, periodic, of N samples
    M[m, t] = 10 log10( sum_k H[m, k] |X[k, t]|^2 + floor )       H: triangles, evenly spaced in mel
    mel(f)  = 2595 log10(1 + f / 700)
    c[q, t] = orthonormal DCT-II of M[., t]

Source: Davis & Mermelstein 1980, doi:10.1109/TASSP.1980.1163420; the mel formula is O'Shaughnessy's (Speech
Communication, 1987), as in HTK. Nothing here knows what the sound is of.
"""

from functools import lru_cache
from typing import Final

import numpy as np
from jaxtyping import Float, Float32
from numpy import ndarray as Array
from numpy.lib.stride_tricks import sliding_window_view
from scipy.fft import dct, rfft
from scipy.signal.windows import hann

FLOOR: Final = 1e-10
"""Power of full scale below which nothing is told apart: -100 dB."""


def power_frames(x: Float[Array, " sample"], n: int, hop: int) -> Float[Array, "frame bin"]:
    """Power spectra of windowed frames, in shares of what a sine of full scale has; no frame reaches over an end."""
    window = hann(n, sym=False)
    spectra = rfft(sliding_window_view(x, n)[::hop] * window, axis=1)
    power: Array = (np.abs(spectra) / (window.sum() / 2)) ** 2
    return power


@lru_cache(maxsize=32)
def mel_filters(mels: int, n: int, rate_hz: float, low_hz: float, high_hz: float) -> Float[Array, "mel bin"]:
    """Triangles over the bins of a spectrum of `n` samples, whose feet stand on their neighbours' middles.

    A triangle that is narrower than a bin takes the bin nearest to its middle, so that none is empty.
    """
    edges_hz = from_mel(np.linspace(to_mel(low_hz), to_mel(high_hz), mels + 2))
    bins_hz = np.arange(n // 2 + 1) * rate_hz / n
    left, middle, right = edges_hz[:-2, None], edges_hz[1:-1, None], edges_hz[2:, None]
    filters = np.clip(np.minimum((bins_hz - left) / (middle - left), (right - bins_hz) / (right - middle)), 0.0, None)
    empty = ~filters.any(axis=1)
    nearest = np.rint(edges_hz[1:-1] * n / rate_hz).astype(int)
    filters[empty, nearest[empty]] = 1.0
    found: Array = filters
    found.setflags(write=False)
    return found


def log_mel(
    x: Float[Array, " sample"], rate_hz: float, *, n: int, hop: int, mels: int, low_hz: float, high_hz: float
) -> Float32[Array, "mel frame"]:
    """Decibels of each mel band in each frame.

    Args:
        x: Samples in shares of full scale, at least `n`.
        rate_hz: Of the samples.
        n: Samples of a frame.
        hop: Samples from one frame to the next.
        mels: Bands.
        low_hz: Where the first band begins.
        high_hz: Where the last band ends; at most half of the rate.
    """
    power = power_frames(x, n, hop) @ mel_filters(mels, n, rate_hz, low_hz, high_hz).T
    return np.asarray((10 * np.log10(power + FLOOR)).T, np.float32)


def cepstrum(mel_db: Float[Array, "mel frame"], count: int) -> Float[Array, "count frame"]:
    """The first coefficients of each frame but the zeroth, which is loudness."""
    coefficients: Array = dct(mel_db, type=2, norm="ortho", axis=0)[1 : count + 1]
    return coefficients


def to_mel(hz: float) -> float:
    """Mel of a frequency."""
    return 2595.0 * float(np.log10(1.0 + hz / 700.0))


def from_mel(mel: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """Frequency in Hz of mels."""
    return np.asarray(700.0 * (10.0 ** (np.asarray(mel) / 2595.0) - 1.0))
