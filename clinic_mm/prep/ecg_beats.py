"""Find the beats of an ECG, and measure one typical beat.

In:  millivolts by lead at a known rate, baseline taken off. Out: R peaks; the median beat of each lead; where its QRS
     begins and ends, ST level, axis and amplitudes.

Small on purpose: enough for summaries of ten seconds, no delineation of P and T waves. A recording without beats is
not refused: it may be the finding. Wide complexes at more than about 170 a minute have no edges that stand out, and
count as none that can be told apart.
Source: Pan and Tompkins, IEEE Trans Biomed Eng 1985, doi:10.1109/TBME.1985.325532 (slopes, integration, threshold);
Macfarlane, Devine and Clark, Comput Cardiol 2005;32:825-828 (one global beginning and end over all leads).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float, Float32, Int
from numpy import ndarray as Array
from scipy import signal as dsp

QRS_HZ: Final = (5.0, 15.0)
INTEGRATED_S: Final = 0.15
APART_S: Final = 0.25
"""No two beats are closer: 240 a minute."""
THRESHOLD_PART: Final = 0.3
"""Of the typical height of the integrated slopes."""
LOCAL_S: Final = 2.0
LOOK_S: Final = 0.08
"""The R peak lies within this of the largest integrated slope."""
LEAST_HEIGHT: Final = 2.0
"""Of the integrated slopes against their middle: below it there is noise and no beat."""
BEFORE_S, AFTER_S = 0.3, 0.5
NEAR_S: Final = 0.12
"""A QRS begins and ends within this of its R peak."""
QUIET_PART: Final = 0.04
"""Of the largest speed: where the QRS begins and ends."""
ST_S: Final = 0.06
"""ST level is read this long after the end of the QRS (J + 60 ms)."""
BASE_S: Final = 0.02
"""Before the beginning of the QRS: the level that ST and amplitudes are measured from."""
T_S: Final = (0.12, 0.36)


@dataclass(frozen=True, slots=True)
class Beat:
    """One typical beat.

    Attributes:
        millivolts: Median over all beats; NaN where a lead is missing.
        onset: First sample of the QRS.
        end: Its last sample, J.
        base_mv: Level of each lead just before the QRS.
        sfreq_hz: Sampling rate.
    """

    millivolts: Float32[Array, "lead sample"]
    onset: int
    end: int
    base_mv: Float[Array, " lead"]
    sfreq_hz: float

    @property
    def qrs_ms(self) -> float:
        """Duration of the QRS over all leads."""
        return 1000 * (self.end - self.onset + 1) / self.sfreq_hz

    @property
    def qrs_mv(self) -> Float[Array, "lead sample"]:
        """The QRS of each lead, from its base."""
        return np.asarray(self.millivolts[:, self.onset : self.end + 1] - self.base_mv[:, None])

    @property
    def st_mv(self) -> Float[Array, " lead"]:
        """ST level of each lead, 60 ms after J: the mean of 20 ms."""
        at = self.end + round(ST_S * self.sfreq_hz)
        return np.asarray(self.millivolts[:, at : at + _samples(BASE_S, self.sfreq_hz)].mean(axis=1) - self.base_mv)

    @property
    def t_mv(self) -> Float[Array, " lead"]:
        """The deflection farthest from the base where the T wave lies, with its sign."""
        a, b = (self.end + round(s * self.sfreq_hz) for s in T_S)
        part = self.millivolts[:, a:b] - self.base_mv[:, None]
        return np.asarray(np.take_along_axis(part, np.abs(np.nan_to_num(part)).argmax(axis=1)[:, None], 1)[:, 0])


def r_peaks(millivolts: Float32[Array, "lead sample"], sfreq_hz: float) -> Int[Array, " beat"]:
    """Samples of the R peaks, ascending; none where nothing stands out.

    Args:
        millivolts: Leads that carry a signal, without NaN.
        sfreq_hz: Sampling rate.
    """
    sos = dsp.butter(2, QRS_HZ, "bandpass", fs=sfreq_hz, output="sos")
    slopes = np.gradient(dsp.sosfiltfilt(sos, millivolts, axis=1), axis=1)
    speed = np.sqrt((slopes**2).sum(axis=0))
    energy = np.convolve(speed**2, np.ones(_samples(INTEGRATED_S, sfreq_hz)), "same")
    second = _samples(LOCAL_S, sfreq_hz)
    local = np.array([energy[max(0, at - second) : at + second].max() for at in range(0, len(energy), second // 2)])
    height = float(np.median(local))
    if height < LEAST_HEIGHT * float(np.median(energy)) or height <= 0:
        return np.zeros(0, np.int64)
    found, _ = dsp.find_peaks(energy, height=THRESHOLD_PART * height, distance=_samples(APART_S, sfreq_hz))
    reach = _samples(LOOK_S, sfreq_hz)
    size = np.abs(millivolts - np.median(millivolts, axis=1, keepdims=True)).sum(axis=0)
    peaks = [max(0, at - reach) + int(size[max(0, at - reach) : at + reach].argmax()) for at in found.tolist()]
    return np.unique(np.array(peaks, np.int64))


def median_beat(millivolts: Float32[Array, "lead sample"], sfreq_hz: float, peaks: Int[Array, " beat"]) -> Beat | None:
    """The typical beat, None without a whole one.

    Args:
        millivolts: All leads; a missing one is NaN.
        sfreq_hz: Sampling rate.
        peaks: Of `r_peaks`.
    """
    before, after = _samples(BEFORE_S, sfreq_hz), _samples(AFTER_S, sfreq_hz)
    whole = [at for at in peaks.tolist() if at >= before and at + after <= millivolts.shape[1]]
    if not whole:
        return None
    beat = np.median([millivolts[:, at - before : at + after] for at in whole], axis=0).astype(np.float32)
    there = np.isfinite(beat).all(axis=1)
    speed = np.sqrt((np.gradient(beat[there], axis=1) ** 2).sum(axis=0))
    near = _samples(NEAR_S, sfreq_hz)
    quiet = QUIET_PART * float(speed[before - near : before + near].max())
    onset = _last_quiet(speed[:before][::-1], quiet, near, _samples(BASE_S, sfreq_hz))
    end = _last_quiet(speed[before:], quiet, near, _samples(BASE_S, sfreq_hz))
    first = before - 1 - onset
    base = beat[:, max(0, first - _samples(BASE_S, sfreq_hz)) : max(1, first)].mean(axis=1)
    return Beat(beat, first, before + end, base, sfreq_hz)


def axis_deg(qrs_mv: Float[Array, "lead sample"], leads: tuple[str, ...]) -> float:
    """Frontal axis of the QRS in degrees, from its area in I and aVF; NaN where one of them is missing.

    The augmented lead is smaller by 2/√3 than a bipolar one of the same direction.
    """
    one, foot = (float(qrs_mv[leads.index(lead)].sum()) for lead in ("I", "aVF"))
    if not np.isfinite([one, foot]).all() or (one == 0 and foot == 0):
        return float("nan")
    return float(np.degrees(np.arctan2(2 / np.sqrt(3) * foot, one)))


def _last_quiet(speed: Array, quiet: float, near: int, run: int) -> int:
    """How far from the R peak the speed last passes the threshold, before a stretch of `run` samples below it."""
    for at in range(1, near):
        if (speed[at : at + run] < quiet).all():
            return at - 1
    return near - 1


def _samples(seconds: float, sfreq_hz: float) -> int:
    return max(1, round(seconds * sfreq_hz))
