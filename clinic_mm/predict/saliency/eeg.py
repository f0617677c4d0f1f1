"""Where hiding an EEG changes the expert's answer: channels, windows of time, bands.

In:  how to ask the expert, a recording. Out: three pictures in log-odds:
     time_band     one window, one band, hidden in all channels;
     channel_band  one channel, one band, hidden throughout the recording;
     cells         one channel, one window, one band, in the windows that matter most (NaN elsewhere);
     and one that hides nothing:
     alone         what the expert says of each window by itself, as if it were all that there is (NaN across a gap).

`alone` is of one expert and of short pieces, which it was not fitted to: no calibrated probability, and said so.

To hide is to take a band out of the signal, softly in time: what is left of the window is the rest of the same signal.
The recording goes through the whole prep again each time. A recording of any length gets a bounded number of windows.
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np
from jaxtyping import Float, Float32
from numpy import ndarray as Array

from clinic_mm.errors import EvidenceError
from clinic_mm.predict.saliency.asked import Asked
from clinic_mm.predict.saliency.bands import split
from clinic_mm.predict.saliency.result import Found
from clinic_mm.prep.eeg import CHANNELS, WINDOW_S
from clinic_mm.prep.eeg_summary import BANDS_HZ
from clinic_mm.signals import EegRecording

LEAST_STRIDE_S: Final = 0.5
WINDOW: Final = 2.0
"""Strides that a hidden window is wide: a discharge of half a second lies whole in one of them."""
SOFT: Final = 0.4
"""Share of the window that its edges are drawn out over."""
WINDOWS, FEW_WINDOWS = 64, 24
REFINED, FEW_REFINED = 3, 1
LONG: Final = 2_000_000
"""Samples of all channels above which fewer windows are looked at."""
LONGEST: Final = 15_000_000
"""The same above which none are: 50 minutes of 19 channels at 256 Hz."""

Hide = tuple[Array | slice, slice, tuple[int, ...]]
"""Rows, samples, bands."""


def eeg_settings() -> dict[str, float]:
    """What governs the pictures."""
    told = {"stride_s": LEAST_STRIDE_S, "window": WINDOW, "soft": SOFT, "windows": WINDOWS, "refined": REFINED}
    return {**told, "alone_s": WINDOW_S}


def eeg_saliency(ask: Asked, signal: EegRecording) -> Found:
    """Hide windows, bands and channels of a recording.

    Raises:
        EvidenceError: If the prep refuses it as it is, or `saliency.too_long`.
    """
    if signal.volts.shape[0] * signal.volts.shape[1] > LONGEST:
        what = f"The recording is too long to hide it piece by piece ({_minutes(signal):.0f} min)"
        raise EvidenceError("saliency.too_long", what, "eeg", "Cut the recording, or go without")
    base = ask.one(signal)
    hider = _Hider(signal)
    long = signal.volts.shape[0] * signal.volts.shape[1] > LONG
    at, width = _windows(signal, FEW_WINDOWS if long else WINDOWS)
    bands = range(len(BANDS_HZ))
    whole = slice(0, signal.volts.shape[1])
    spans = [hider.span(centre, width) for centre in at]

    def drops(hides: list[Hide]) -> Array:
        return base - ask(map(hider.without, hides))

    time_band = drops([(slice(None), span, (b,)) for span in spans for b in bands]).reshape(len(at), -1)
    channel_band = drops([(row, whole, (b,)) for row in hider.rows for b in bands]).reshape(len(hider.rows), -1)
    best = _best(time_band, FEW_REFINED if long else REFINED)
    cells = np.full((len(hider.rows), len(at), len(bands)), np.nan)
    near = drops([(row, spans[t], (b,)) for row in hider.rows for t in best for b in bands])
    cells[:, best] = near.reshape(len(hider.rows), len(best), len(bands))
    pieces = [(index, one) for index, one in enumerate(_pieces(signal, at)) if one is not None]
    alone = np.full(len(at), np.nan)
    alone[[index for index, _ in pieces]] = ask(one for _, one in pieces)
    arrays = {"time_band": time_band, "channel_band": channel_band, "cells": cells, "time_s": at, "alone": alone}
    return Found(
        arrays=arrays,
        settings=eeg_settings(),
        logodds=base,
        stride=f"{_stride(at):.2g} s, windows of {width:.2g} s",
        peak=_peak(arrays, hider.names, width),
        asked=time_band.size + channel_band.size + near.size + len(pieces),
        names={"channels": hider.names, "bands": tuple(BANDS_HZ)},
    )


class _Hider:
    """Takes parts out of one recording."""

    def __init__(self, signal: EegRecording) -> None:
        where = {name: row for row, name in reversed(list(enumerate(signal.channels)))}
        self.names = tuple(name for name in CHANNELS if name in where and name not in signal.bad)
        self.rows = [np.array([where[name]]) for name in self.names]
        self.signal = signal
        self.volts: Float32[Array, "channel sample"] = np.asarray(signal.volts[:, :], np.float32)
        self.bands = split(self.volts, signal.sfreq_hz)

    def span(self, centre_s: float, width_s: float) -> slice:
        """Samples of a window, its soft edges included."""
        reach = width_s * (1 + SOFT) / 2
        first, last = ((centre_s + sign * reach) * self.signal.sfreq_hz for sign in (-1, 1))
        return slice(max(0, round(first)), min(self.volts.shape[1], round(last)))

    def without(self, hide: Hide) -> EegRecording:
        """The recording without some bands of some channels for a while."""
        rows, span, bands = hide
        volts = self.volts.copy()
        volts[rows, span] -= self._taper(span) * self.bands[list(bands)][:, rows, span].sum(axis=0)
        return replace(self.signal, volts=volts)

    def _taper(self, span: slice) -> Float32[Array, " t"]:
        """1 inside, falling to 0 at ends that are not those of the recording."""
        n = span.stop - span.start
        edge = max(1, round(n * SOFT / (1 + SOFT)))
        ramp = (0.5 - 0.5 * np.cos(np.pi * (np.arange(edge) + 0.5) / edge)).astype(np.float32)
        taper = np.ones(n, np.float32)
        if span.start > 0:
            taper[:edge] = ramp
        if span.stop < self.volts.shape[1]:
            taper[-edge:] = ramp[::-1]
        return taper


def _windows(signal: EegRecording, most: int) -> tuple[Float[Array, " t"], float]:
    """Centres and width of the windows, in seconds."""
    length = signal.volts.shape[1] / signal.sfreq_hz
    count = max(1, min(most, round(length / LEAST_STRIDE_S)))
    stride = length / count
    return (np.arange(count) + 0.5) * stride, WINDOW * stride


def _pieces(signal: EegRecording, at: Float[Array, " t"]) -> Iterator[EegRecording | None]:
    """Each window as a recording of its own, as long as the expert needs; None where it would reach over a gap."""
    length = max(round(_stride(at) * signal.sfreq_hz), math.ceil(WINDOW_S * signal.sfreq_hz) + 1)
    last = signal.volts.shape[1] - length
    for centre in at:
        start = int(min(max(0, round(centre * signal.sfreq_hz - length / 2)), max(0, last)))
        stop = start + length
        whole = any(first <= start and stop <= end for first, end in signal.segments)
        volts = np.asarray(signal.volts[:, start:stop], np.float32) if whole else None
        yield None if volts is None else replace(signal, volts=volts, gaps=(), annotations=(), events=())


def _for_it(time_band: Float[Array, "t b"]) -> Float[Array, " t"]:
    """What a window says for the class: the costs of its bands together, those that speak against it left out.

    A discharge lies in several bands at once, a blink in one: the dearest single band is often a blink's.
    """
    return np.asarray(np.maximum(np.nan_to_num(time_band), 0).sum(axis=1))


def _best(time_band: Float[Array, "t b"], count: int) -> Array:
    """Windows whose hiding moves the answer most: the one that says most for the class, and others either way."""
    moved = np.abs(np.nan_to_num(time_band)).sum(axis=1)
    moved[_for_it(time_band).argmax()] = np.inf
    return np.sort(np.argsort(-moved, kind="stable")[:count])


def _peak(arrays: dict[str, Array], names: tuple[str, ...], width: float) -> dict[str, str | float]:
    """The window that says most for the class, its dearest band, and the channel that costs most, hidden throughout."""
    time_band = np.nan_to_num(arrays["time_band"], nan=-np.inf)
    t = int(_for_it(arrays["time_band"]).argmax())
    b = int(time_band[t].argmax())
    by_channel = np.nan_to_num(arrays["channel_band"]).sum(axis=1)
    return {
        "time_s": float(arrays["time_s"][t]),
        "window_s": float(width),
        "band": list(BANDS_HZ)[b],
        "channel": names[int(by_channel.argmax())],
        "logodds": float(time_band[t, b]),
    }


def _stride(at: Array) -> float:
    return float(at[1] - at[0]) if len(at) > 1 else float(2 * at[0])


def _minutes(signal: EegRecording) -> float:
    return float(signal.volts.shape[1] / signal.sfreq_hz / 60)
