"""Turn an EEG recording into windows for the EEG encoder, and into band power for the plain heads.

In:  volts by channel with 10-20 names (clinic_mm.signals.EegRecording).
Out: float16 [window, channel, sample] in units of 50 microvolts, average reference, 0.5-45 Hz, 128 Hz, the 19 channels
     of the 10-20 system; a channel that is not there is NaN (the encoder treats it as missing);
     plain summaries: log band power, amplitude quantiles, line length, kurtosis, sharp peaks.

Filtering and resampling are MNE's. Windows are spread evenly over the recording.
"""

from typing import ClassVar, Final, Self

import numpy as np
from numpy import ndarray as Array
from scipy import signal as dsp

from clinic_mm.errors import EvidenceError
from clinic_mm.prep.base import Prep, Prepared
from clinic_mm.signals import EegRecording
from clinic_mm.task import ModalityTask
from clinic_mm.types import Flag

CHANNELS: Final = (
    "Fp1", "Fp2", "F7", "F3", "Fz", "F4", "F8", "T7", "C3", "Cz", "C4", "T8", "P7", "P3", "Pz", "P4", "P8", "O1", "O2",
)  # fmt: skip
REGIONS: Final = {
    "frontal": ("Fp1", "Fp2", "F7", "F3", "Fz", "F4", "F8"),
    "central": ("C3", "Cz", "C4"),
    "temporal": ("T7", "T8"),
    "parietal": ("P7", "P3", "Pz", "P4", "P8"),
    "occipital": ("O1", "O2"),
}
BANDS_HZ: Final = {"delta": (0.5, 4), "theta": (4, 8), "alpha": (8, 13), "beta": (13, 30), "gamma": (30, 45)}
SFREQ_HZ: Final = 128.0
UNIT_V: Final = 50e-6
CLIP: Final = 20.0
PASS_HZ: Final = (0.5, 45.0)
WINDOW_S: Final = 4.0
WINDOWS: Final = {"tiny": 8, "small": 16, "base": 32}
AMPLITUDE_LEVELS: Final = (0.5, 0.95, 0.995)
MEASURES: Final = (*BANDS_HZ, *(f"amplitude q{q:g}" for q in AMPLITUDE_LEVELS), "line length", "kurtosis")
SHARP_HZ: Final = (5.0, 30.0)
"""Where spikes are, and blinks are not."""
SHARP_LEVELS: Final = (0.002, 0.01, 0.99, 0.998)
"""Low quantiles are negative peaks, as epileptiform spikes are; high ones are their positive counterparts."""
FRONT: Final = ("F3", "Fz", "F4", "C3", "Cz", "C4")
BACK: Final = ("P3", "Pz", "P4", "O1", "O2")
TRACES: Final = ("front", "front-back")


class EegPrep(Prep[EegRecording]):
    """Filter, reference, resample and cut a recording."""

    kind: ClassVar[str] = "eeg"
    dtype = np.float16

    @classmethod
    def plan(cls, size: str, options: ModalityTask) -> Self:
        """A number of windows by model size; nothing to learn from a cohort."""
        del options
        return cls({"windows": WINDOWS[size], "window_s": WINDOW_S, "sfreq_hz": SFREQ_HZ})

    def __call__(self, signal: EegRecording, until: object = None) -> Prepared:
        """Prepare one recording.

        Raises:
            EvidenceError: `eeg.no_1020` without any 10-20 channel, `eeg.too_short` below one window.
        """
        del until
        rows, flags = _ten_twenty(signal)
        clean = _filtered(rows, signal.sfreq_hz, float(self.recipe["sfreq_hz"]))
        n_samples = int(self.recipe["window_s"] * self.recipe["sfreq_hz"])
        if clean.shape[1] < n_samples:
            what = f"The recording is shorter than one window of {self.recipe['window_s']:g} s"
            raise EvidenceError("eeg.too_short", what, "eeg", "Leave it out")
        starts = np.linspace(0, clean.shape[1] - n_samples, int(self.recipe["windows"])).astype(int)
        x = np.stack([clean[:, start : start + n_samples] for start in starts])
        return Prepared(x.astype(self.dtype), plain_summary(clean, SFREQ_HZ), (*signal.flags, *flags))

    @property
    def shape(self) -> tuple[int, ...]:
        """Windows, channels, samples."""
        n_samples = int(self.recipe["window_s"] * self.recipe["sfreq_hz"])
        return (int(self.recipe["windows"]), len(CHANNELS), n_samples)

    @property
    def plain_names(self) -> tuple[str, ...]:
        """Band power by region, every measure as mean and largest of all channels, sharp peaks of two traces."""
        return (
            *(f"{band} {region}" for region in REGIONS for band in BANDS_HZ),
            *(f"{measure} {place}" for place in ("all", "largest") for measure in MEASURES),
            *(f"sharp {trace} q{q:g}" for trace in TRACES for q in SHARP_LEVELS),
        )


def _ten_twenty(signal: EegRecording) -> tuple[Array, tuple[Flag, ...]]:
    """Rows of the 19 channels, average reference, NaN where a channel is not there or is flat."""
    where = {name: row for row, name in reversed(list(enumerate(signal.channels)))}
    rows = np.full((len(CHANNELS), signal.volts.shape[1]), np.nan)
    for place, name in enumerate(CHANNELS):
        if name in where and np.isfinite(signal.volts[where[name]]).all() and np.ptp(signal.volts[where[name]]) > 0:
            rows[place] = signal.volts[where[name]]
    there = np.isfinite(rows).all(axis=1)
    if not there.any():
        mend = "Check the channel names, or add aliases to schemas/eeg_channels.toml"
        raise EvidenceError("eeg.no_1020", "No channel of the 10-20 system carries a signal", "eeg", mend)
    if there.sum() > 1:
        rows -= rows[there].mean(axis=0)
    missing = [name for name, here in zip(CHANNELS, there, strict=True) if not here]
    flags = (Flag(code="eeg.channels_missing", why=f"Without signal: {', '.join(missing)}"),) if missing else ()
    return rows, flags


def _filtered(rows: Array, sfreq_hz: float, to_hz: float) -> Array:
    """Band-pass, resample and scale the rows that are there; the others stay NaN."""
    from mne.filter import filter_data, resample

    there = np.isfinite(rows).all(axis=1)
    low, high = PASS_HZ
    top = high if sfreq_hz > 2.2 * high else None
    clean = filter_data(rows[there], sfreq_hz, low, top, method="iir", copy=True, verbose="ERROR")
    if sfreq_hz != to_hz:
        clean = resample(clean, up=to_hz, down=sfreq_hz, npad="auto", method="polyphase", verbose="ERROR")
    out = np.full((rows.shape[0], clean.shape[1]), np.nan)
    out[there] = np.clip(clean / UNIT_V, -CLIP, CLIP)
    return out


def plain_summary(clean: Array, sfreq_hz: float) -> Array:
    """Measures by region from filtered rows in units of 50 microvolts."""
    there = np.isfinite(clean).all(axis=1)
    measures = np.full((clean.shape[0], len(MEASURES)), np.nan)
    measures[there] = _measures(clean[there], sfreq_hz)
    bands = measures[:, : len(BANDS_HZ)]
    by_region = [_mean(bands[_rows(names)]) for names in REGIONS.values()]
    traces = _traces(clean)
    return np.concatenate(
        [*by_region, _mean(measures), measures[there].max(axis=0), *(_sharp(trace, sfreq_hz) for trace in traces)]
    ).astype(np.float32)


def _rows(names: tuple[str, ...]) -> list[int]:
    return [CHANNELS.index(name) for name in names]


def _traces(clean: Array) -> tuple[Array, Array]:
    """Front, and front against back: a discharge with a broad field survives there what the average reference takes."""
    front, back = (_mean(clean[_rows(names)]) for names in (FRONT, BACK))
    return front, front - back


def _sharp(trace: Array, sfreq_hz: float) -> Array:
    """Quantiles of the 5 to 30 Hz band of one trace, NaN where the trace is not there."""
    if not np.isfinite(trace).all():
        return np.full(len(SHARP_LEVELS), np.nan)
    sections = dsp.butter(2, SHARP_HZ, "bandpass", fs=sfreq_hz, output="sos")
    return np.quantile(dsp.sosfiltfilt(sections, trace), SHARP_LEVELS)


def _mean(rows: Array) -> Array:
    kept = rows[np.isfinite(rows).all(axis=1)]
    return np.asarray(kept.mean(axis=0)) if len(kept) else np.full(rows.shape[1], np.nan)


def _measures(rows: Array, sfreq_hz: float) -> Array:
    """Measures of each row: log10 band power, log10 amplitude quantiles and line length, kurtosis."""
    freqs, density = dsp.welch(rows, sfreq_hz, nperseg=min(rows.shape[1], int(4 * sfreq_hz)), axis=1)
    bands = [density[:, (freqs >= low) & (freqs < high)].mean(axis=1) for low, high in BANDS_HZ.values()]
    amplitudes = np.quantile(np.abs(rows), AMPLITUDE_LEVELS, axis=1)
    line = np.abs(np.diff(rows, axis=1)).mean(axis=1)
    spread = rows.std(axis=1) + 1e-9
    kurtosis = (((rows - rows.mean(axis=1, keepdims=True)) / spread[:, None]) ** 4).mean(axis=1)
    logs = np.log10(np.stack([*bands, *amplitudes, line]) + 1e-9)
    return np.vstack([logs, kurtosis[None]]).T
