"""Find fixations, saccades and blinks in gaze, and summarise the pupil.

In:  samples at their own times, in degrees of visual angle; NaN where the eye was not seen.
Out: when each fixation, saccade and blink was, and plain numbers of them.

Source: dispersion threshold (I-DT), Salvucci and Goldberg, ETRA 2000, doi:10.1145/355017.355028; power of the pupil in
four bands up to 1 Hz, Soleymani, Pantic and Pun, IEEE Trans Affect Comput 2012, doi:10.1109/T-AFFC.2011.37.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray as Array
from scipy import signal as dsp

from clinic_mm.sources.eye.columns import gaze_table

DISPERSION_DEG: Final = 1.0
"""Range of x and range of y together, within one fixation."""
FIXATION_S: Final = 0.1
"""The shortest."""
SACCADE_S: Final = 0.15
"""Between two fixations lies a saccade if they are no further apart; otherwise nobody knows what the eye did."""
BRIDGE_S: Final = 0.05
"""Samples lost for less than the shortest blink are bridged."""
PUPIL_HZ: Final = 10.0
PUPIL_BANDS_HZ: Final = ((0.0, 0.2), (0.2, 0.4), (0.4, 0.6), (0.6, 1.0))
WELCH_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class Fixation:
    """One fixation: from the first to the last of its samples."""

    start_s: float
    end_s: float
    x_deg: float
    y_deg: float

    @property
    def length_s(self) -> float:
        """How long it lasted."""
        return self.end_s - self.start_s


@dataclass(frozen=True, slots=True)
class Saccade:
    """One saccade, between two fixations."""

    start_s: float
    amplitude_deg: float
    peak_deg_s: float


def bridged(time_s: Float[Array, " n"], values: Float[Array, " n"]) -> Float[Array, " n"]:
    """The same with short losses replaced by straight lines."""
    filled = np.array(values, np.float64)
    there = np.isfinite(filled)
    for first, last in _runs(~there):
        before, after = first - 1, last + 1
        if before >= 0 and after < len(filled) and time_s[after] - time_s[before] <= BRIDGE_S:
            filled[first:after] = np.interp(time_s[first:after], time_s[[before, after]], filled[[before, after]])
    return filled


def fixations(time_s: Float[Array, " n"], x_deg: Float[Array, " n"], y_deg: Float[Array, " n"]) -> list[Fixation]:
    """All fixations by the dispersion threshold; none reaches across a loss or a gap."""
    found: list[Fixation] = []
    for first, last in stretches(time_s, np.isfinite(x_deg) & np.isfinite(y_deg)):
        at = first
        while at < last:
            end = _spread_until(x_deg, y_deg, at, last)
            if time_s[end] - time_s[at] < FIXATION_S:
                at += 1
                continue
            part = slice(at, end + 1)
            found.append(
                Fixation(float(time_s[at]), float(time_s[end]), float(x_deg[part].mean()), float(y_deg[part].mean()))
            )
            at = end + 1
    return found


def saccades(
    found: list[Fixation], time_s: Float[Array, " n"], x_deg: Float[Array, " n"], y_deg: Float[Array, " n"]
) -> list[Saccade]:
    """The saccades between fixations that follow closely on each other."""
    moves = []
    for one, two in pairwise(found):
        if two.start_s - one.end_s > SACCADE_S:
            continue
        a, b = np.searchsorted(time_s, [one.end_s, two.start_s])
        speed = speed_deg_s(time_s[a : b + 1], x_deg[a : b + 1], y_deg[a : b + 1])
        seen = speed[np.isfinite(speed)]
        amplitude = float(np.hypot(two.x_deg - one.x_deg, two.y_deg - one.y_deg))
        if seen.size:
            moves.append(Saccade(one.end_s, amplitude, float(seen.max())))
    return moves


def blinks(time_s: Float[Array, " n"], seen: Bool[Array, " n"]) -> list[tuple[float, float]]:
    """When the eye was not seen for as long as a blink takes: beginning and length."""
    low, high = gaze_table().blink_s
    found = []
    for first, last in _runs(~seen):
        if first == 0 or last == len(seen) - 1:
            continue
        length = float(time_s[last + 1] - time_s[first - 1])
        if low <= length <= high:
            found.append((float(time_s[first]), length))
    return found


def speed_deg_s(
    time_s: Float[Array, " n"], x_deg: Float[Array, " n"], y_deg: Float[Array, " n"]
) -> Float[Array, " n-1"]:
    """Speed between neighbouring samples."""
    return np.asarray(np.hypot(np.diff(x_deg), np.diff(y_deg)) / np.diff(time_s))


def pupil_summary(time_s: Float[Array, " n"], pupil: Float[Array, " n"]) -> Float[Array, "6"]:
    """Spread, slope per minute and log power in four bands, all as parts of the mean; NaN without a pupil.

    As parts of the mean they are the same in millimetres and in a tracker's own unit.
    """
    there = np.isfinite(pupil)
    if there.sum() < 2 or time_s[there][-1] - time_s[there][0] < 1 / PUPIL_HZ * 8:
        return np.full(2 + len(PUPIL_BANDS_HZ), np.nan)
    t, part = time_s[there], pupil[there] / pupil[there].mean() - 1
    slope = float(np.polyfit(t - t.mean(), part, 1)[0]) * 60
    even = np.interp(np.arange(t[0], t[-1], 1 / PUPIL_HZ), t, part)
    window = min(len(even), round(WELCH_S * PUPIL_HZ))
    freqs, power = dsp.welch(dsp.detrend(even), PUPIL_HZ, nperseg=window)
    bands = [(freqs > low) & (freqs <= high) for low, high in PUPIL_BANDS_HZ]
    logs = [np.log10(power[one].mean() + 1e-12) if one.any() else np.nan for one in bands]
    return np.array([part.std(), slope, *logs])


def stretches(time_s: Float[Array, " n"], seen: Bool[Array, " n"]) -> Iterator[tuple[int, int]]:
    """First and last sample of each stretch without a loss or a gap."""
    table, steps = gaze_table(), np.diff(time_s)
    limit = max(table.gap_steps * float(np.median(steps)), table.gap_s)
    holes = set(np.flatnonzero(steps > limit).tolist())
    for first, last in _runs(seen):
        begin = first
        for at in range(first, last):
            if at in holes:
                yield begin, at
                begin = at + 1
        yield begin, last


def _spread_until(x: Array, y: Array, first: int, last: int) -> int:
    """The last sample up to which gaze stays within the dispersion."""
    low_x = high_x = float(x[first])
    low_y = high_y = float(y[first])
    for at in range(first + 1, last + 1):
        a, b = float(x[at]), float(y[at])
        low_x, high_x, low_y, high_y = min(low_x, a), max(high_x, a), min(low_y, b), max(high_y, b)
        if high_x - low_x + high_y - low_y > DISPERSION_DEG:
            return at - 1
    return last


def _runs(flags: Array) -> Iterator[tuple[int, int]]:
    """First and last place of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    yield from zip(edges[::2].tolist(), (edges[1::2] - 1).tolist(), strict=True)
