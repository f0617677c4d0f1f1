"""A whole recording on the width of a screen: spectrogram left and right, and its amplitude.

In:  a recording and its survey. Out: plain values for JSON; pictures as bytes in base64.

Channels without a usable signal count nowhere.
"""

from base64 import b64encode
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from jaxtyping import Float32
from numpy import ndarray as Array

from clinic_mm.prep.montage import montage_table
from clinic_mm.signals import EegRecording
from clinic_mm.viewing.eeg_pyramid import Pyramid
from clinic_mm.viewing.eeg_survey import Survey
from clinic_mm.viewing.spectrogram import HIGHEST_HZ

COLUMNS: Final = 1200
EDGES: Final = (2.0, 99.5)
"""Percentiles of the power that the darkest and the lightest colour stand for."""

HIGH: Final = 97.0
"""Percentile of the amplitude that fills most of its strip: one electrode that was touched must not flatten a day."""


def overview(recording: EegRecording, found: Survey) -> dict[str, Any]:
    """What the strips below the traces show.

    Returns:
        `column_s`, `columns`, `frequencies`, `highest_hz` and `low_db`, `high_db` of the spectrograms, each of
        `regions` (name, levels: base64 of one byte per frequency and column, 0 for no signal, 1 to 255 from low to
        high); `amplitude`: full_uv, start_s, column_s, and per column the middle and the largest span of the good
        channels.
    """
    good = [row for row, name in enumerate(recording.channels) if name not in found.quality.bad]
    shown = [(name, found.spectrogram.mean_of(rows)) for name, rows in regions(recording.channels, good).items()]
    seen = [picture[np.isfinite(picture)] for _, picture in shown]
    every = np.concatenate(seen) if seen else np.zeros(0)
    low, high = np.percentile(every, EDGES) if every.size else (0.0, 1.0)
    frequencies, columns = found.spectrogram.db.shape[1:]
    return {
        "column_s": found.spectrogram.column_s,
        "columns": columns,
        "frequencies": frequencies,
        "highest_hz": round(min(HIGHEST_HZ, float(found.spectrogram.freqs_hz[-1]))),
        "low_db": round(float(low), 1),
        "high_db": round(float(high), 1),
        "regions": [{"name": name, "levels": levels(picture, float(low), float(high))} for name, picture in shown],
        "amplitude": amplitude(found.pyramid, good, recording.sfreq_hz),
    }


def regions(channels: Sequence[str], good: Sequence[int]) -> dict[str, list[int]]:
    """Left and right of the head where names say it (odd and even numbers), else all channels together."""
    known = set(montage_table().electrodes)
    sides: dict[str, list[int]] = {"Left": [], "Right": []}
    for row in good:
        if channels[row] in known and channels[row][-1].isdigit():
            sides["Left" if int(channels[row][-1]) % 2 else "Right"].append(row)
    return sides if all(sides.values()) else ({"All": list(good)} if good else {})


def levels(picture: Float32[Array, "frequency column"], low: float, high: float) -> str:
    """A picture in dB as one byte each, in base64."""
    share = (np.nan_to_num(picture, nan=low) - low) / max(high - low, 1e-6)
    steps = np.where(np.isfinite(picture), 1 + np.rint(254 * np.clip(share, 0, 1)), 0)
    return b64encode(steps.astype(np.uint8).tobytes()).decode()


def amplitude(pyramid: Pyramid, good: Sequence[int], sfreq_hz: float) -> dict[str, Any]:
    """The span from least to greatest value in each column, in microvolts; None where nothing was recorded."""
    first, width, extremes = pyramid.columns(0, pyramid.samples, COLUMNS)
    span = (extremes[1] - extremes[0])[list(good)] * 1e6
    there = np.isfinite(span).any(axis=0) if len(good) else np.zeros(span.shape[1], bool)
    middle = [float(np.nanmedian(span[:, at])) if ok else None for at, ok in enumerate(there)]
    most = [float(np.nanmax(span[:, at])) if ok else None for at, ok in enumerate(there)]
    told = [one for one in middle if one is not None]
    return {
        "full_uv": round(max(1.0, 1.3 * float(np.percentile(told, HIGH))), 1) if told else 1.0,
        "start_s": first / sfreq_hz,
        "column_s": width / sfreq_hz,
        "typical_uv": [None if one is None else round(one, 1) for one in middle],
        "most_uv": [None if one is None else round(one, 1) for one in most],
    }
