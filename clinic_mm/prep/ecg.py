"""Turn an ECG into ten seconds of twelve leads for the ECG encoder, and into measurements for the plain heads.

In:  millivolts by lead (clinic_mm.signals.EcgRecording), of any rate and length from some seconds on.
Out: float16 [lead, sample] in millivolts, 0.5-100 Hz, in the order of the 12 leads, at 125 to 500 Hz by model size;
     NaN where a lead is missing or the recording has ended. Measured at 250 Hz: heart rate and its variability, QRS
     duration and axis, R, S, ST and T of each lead, band power.

The high-pass has no phase, so that it does not bend the ST segment (Kligfield et al., Circulation 2007,
doi:10.1161/CIRCULATIONAHA.106.180200, allow 0.67 Hz for such a filter). Of a longer recording the middle is taken.
"""

from fractions import Fraction
from typing import ClassVar, Final, Self

import numpy as np
from jaxtyping import Float32, Float64
from numpy import ndarray as Array
from scipy import signal as dsp

from clinic_mm.errors import EvidenceError
from clinic_mm.prep.base import Prep, Prepared
from clinic_mm.prep.ecg_beats import axis_deg, median_beat, r_peaks
from clinic_mm.signals import EcgRecording
from clinic_mm.sources.ecg.leads import lead_table
from clinic_mm.task import ModalityTask
from clinic_mm.types import Flag

LEADS: Final = lead_table().leads
SFREQ_HZ: Final = {"tiny": 125.0, "small": 250.0, "base": 500.0}
MEASURED_HZ: Final = 250.0
WINDOW_S: Final = 10.0
HIGH_PASS_HZ: Final = 0.5
LOW_PASS_HZ: Final = 100.0
CLIP_MV: Final = 20.0
BANDS_HZ: Final = {"0.5-5 Hz": (0.5, 5.0), "5-15 Hz": (5.0, 15.0), "15-40 Hz": (15.0, 40.0), "40-100 Hz": (40.0, 100.0)}
RHYTHM: Final = ("beats", "heart rate", "RR sd", "RR rmssd", "QRS duration", "axis cos", "axis sin")
PER_LEAD: Final = ("R", "S", "ST", "T")
MOST_DENOMINATOR: Final = 1000
REVERSED_MV_S: Final = 0.002
"""Area of the QRS in I and aVR from which its sign is no chance."""


class EcgPrep(Prep[EcgRecording]):
    """Filter, resample and cut an ECG, and measure its beats."""

    kind: ClassVar[str] = "ecg"
    dtype = np.float16

    @classmethod
    def plan(cls, size: str, options: ModalityTask) -> Self:
        """Ten seconds at a rate by model size; nothing to learn from a cohort."""
        del options
        return cls({"window_s": WINDOW_S, "sfreq_hz": SFREQ_HZ[size]})

    def __call__(self, signal: EcgRecording, until: object = None) -> Prepared:
        """Prepare one ECG.

        Raises:
            EvidenceError: `ecg.not_finite` where a usable lead holds what is no number.
        """
        del until
        there = [lead for lead in LEADS if lead in signal.leads and lead not in signal.bad]
        given = np.asarray(signal.millivolts[[signal.leads.index(lead) for lead in there]], np.float64)
        if not there or not np.isfinite(given).all():
            raise EvidenceError("ecg.not_finite", "A lead holds what is no number", "ecg", "Export the ECG again")
        places = [LEADS.index(lead) for lead in there]
        plain, flags = measured(twelve(given, places, signal.sfreq_hz, MEASURED_HZ), MEASURED_HZ)
        x = self._cut(twelve(given, places, signal.sfreq_hz, float(self.recipe["sfreq_hz"])))
        return Prepared(x, plain, (*signal.flags, *flags))

    @property
    def shape(self) -> tuple[int, ...]:
        """Leads, samples."""
        return (len(LEADS), round(float(self.recipe["window_s"]) * float(self.recipe["sfreq_hz"])))

    @property
    def plain_names(self) -> tuple[str, ...]:
        """Rhythm and QRS, then each measure of each lead, then band power."""
        return (*RHYTHM, *(f"{one} {lead}" for one in PER_LEAD for lead in LEADS), *BANDS_HZ)

    def _cut(self, rows: Array) -> Array:
        """The middle of a longer recording; a shorter one ends in NaN."""
        n = self.shape[1]
        start = max(0, (rows.shape[1] - n) // 2)
        x = np.full(self.shape, np.nan, self.dtype)
        part = rows[:, start : start + n]
        x[:, : part.shape[1]] = np.clip(part, -CLIP_MV, CLIP_MV)
        return x


def twelve(
    millivolts: Float64[Array, "lead sample"], places: list[int], from_hz: float, to_hz: float
) -> Float32[Array, "12 sample"]:
    """Leads at their places among the twelve, resampled and filtered; NaN where a lead is missing."""
    made = filtered(resampled(millivolts, from_hz, to_hz), to_hz)
    rows = np.full((len(LEADS), made.shape[1]), np.nan, np.float32)
    rows[places] = made
    return rows


def resampled(millivolts: Array, from_hz: float, to_hz: float) -> Array:
    """Rows at another rate, band-limited (polyphase, Kaiser window)."""
    ratio = _ratio(from_hz, to_hz)
    if ratio == 1:
        return millivolts
    return np.asarray(dsp.resample_poly(millivolts, ratio.numerator, ratio.denominator, axis=1, padtype="line"))


def filtered(millivolts: Array, sfreq_hz: float) -> Float32[Array, "lead sample"]:
    """Baseline taken off and noise above 100 Hz, both without phase."""
    high = dsp.butter(2, HIGH_PASS_HZ, "highpass", fs=sfreq_hz, output="sos")
    rows = dsp.sosfiltfilt(high, millivolts - np.median(millivolts, axis=1, keepdims=True), axis=1)
    if sfreq_hz / 2 > LOW_PASS_HZ:
        rows = dsp.sosfiltfilt(dsp.butter(2, LOW_PASS_HZ, fs=sfreq_hz, output="sos"), rows, axis=1)
    return np.asarray(rows, dtype=np.float32)


def measured(rows: Float32[Array, "12 sample"], sfreq_hz: float) -> tuple[Float32[Array, " p"], tuple[Flag, ...]]:
    """Plain summaries, NaN where they cannot be had, and what was seen."""
    there = np.isfinite(rows).all(axis=1)
    peaks = r_peaks(rows[there], sfreq_hz)
    beat = median_beat(rows, sfreq_hz, peaks)
    bands = _bands(rows[there], sfreq_hz)
    rhythm = _rhythm(peaks / sfreq_hz)
    if beat is None:
        no = Flag(
            code="ecg.no_beats", why="No beats could be told apart: there are none, or they are too fast and wide"
        )
        rest = np.full(3 + len(PER_LEAD) * len(LEADS), np.nan)
        return np.concatenate([rhythm, rest, bands]).astype(np.float32), (no,)
    axis = np.radians(axis_deg(beat.qrs_mv, LEADS))
    leads = [beat.qrs_mv.max(axis=1), beat.qrs_mv.min(axis=1), beat.st_mv, beat.t_mv]
    plain = np.concatenate([rhythm, [beat.qrs_ms, np.cos(axis), np.sin(axis)], *leads, bands])
    return plain.astype(np.float32), _reversed(beat.qrs_mv.sum(axis=1) / sfreq_hz)


def _rhythm(at_s: Array) -> Array:
    """Count, rate a minute, standard deviation and root mean square of successive differences of RR, in ms."""
    steps = np.diff(at_s)
    rate = 60 / float(np.median(steps)) if len(steps) else np.nan
    spread = 1000 * float(steps.std(ddof=1)) if len(steps) > 1 else np.nan
    successive = 1000 * float(np.sqrt((np.diff(steps) ** 2).mean())) if len(steps) > 1 else np.nan
    return np.array([len(at_s), rate, spread, successive])


def _bands(rows: Array, sfreq_hz: float) -> Array:
    """Log power of each band, mean over leads."""
    freqs, power = dsp.welch(rows, sfreq_hz, nperseg=min(rows.shape[1], round(4 * sfreq_hz)), axis=1)
    inside = [(freqs >= low) & (freqs < high) for low, high in BANDS_HZ.values()]
    return np.array([np.log10(power[:, one].mean() + 1e-12) if one.any() else np.nan for one in inside])


def _reversed(area: Array) -> tuple[Flag, ...]:
    """Arm leads swapped turn I upside down and aVR upright, while V6 looks as it always does."""
    one, right, chest = (float(area[LEADS.index(lead)]) for lead in ("I", "aVR", "V6"))
    if one < -REVERSED_MV_S and right > REVERSED_MV_S and chest > REVERSED_MV_S:
        why = "QRS is downward in I, upward in aVR and V6: the arm leads may be swapped"
        return (Flag(code="ecg.arm_leads", why=why),)
    return ()


def _ratio(from_hz: float, to_hz: float) -> Fraction:
    return (Fraction(to_hz) / Fraction(from_hz)).limit_denominator(MOST_DENOMINATOR)
