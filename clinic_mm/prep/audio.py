"""Turn a recorded sound into log-mel windows for the audio encoder, and into plain summaries.

In:  samples of one channel at any rate (clinic_mm.signals.AudioRecording), and the sound that the task asks for.
Out: float16 [window, mel, frame]: decibels around the recording's own mean, in units of 20 dB; windows are spread
     evenly over the recording, and what a short recording cannot fill is as quiet as it gets.
     Plain summaries: mel bands (mean and spread over the frames that sound), cepstrum, zero crossings, spectral
     centroid, how loudness is spread, and the rate and strength of what repeats (the heart's, in a heart sound).

How loud a recording is says how near the microphone was, so nothing here depends on it.
"""

from math import gcd
from typing import ClassVar, Final, Self

import numpy as np
from jaxtyping import Float, Float32
from numpy import ndarray as Array
from scipy.signal import butter, resample_poly, sosfilt

from clinic_mm.errors import EvidenceError, TaskError
from clinic_mm.prep.base import Prep, Prepared, Recipe
from clinic_mm.prep.log_mel import cepstrum, log_mel, mel_filters, power_frames
from clinic_mm.signals import AudioRecording
from clinic_mm.sources.audio.policy import sounds
from clinic_mm.task import ModalityTask

WINDOWS: Final = {"tiny": 2, "small": 4, "base": 8}
DEFAULT_SOUND: Final = "any"
UNIT_DB: Final = 20.0
CLIP: Final = 4.0
CEPSTRAL: Final = 12
SOUNDING_DB: Final = 20.0
"""Frames this much below the loud ones (95th percentile) are pauses."""
LEVELS: Final = (0.1, 0.5, 0.9)
PERIODS_S: Final = (0.3, 2.0)
"""What repeats 30 to 200 times a minute."""
OTHERS: Final = (
    *("zero crossings", "zero crossings sd", "centroid kHz", "centroid kHz sd"),
    *(f"level q{q:g}" for q in LEVELS),
    *("rate per minute", "rate strength"),
)


class AudioPrep(Prep[AudioRecording]):
    """Resample a sound to its band, and take its log-mel spectrogram."""

    kind: ClassVar[str] = "audio"
    dtype = np.float16

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe)
        self.rate_hz = int(recipe["rate_hz"])
        self.n, self.hop = (round(recipe[name] * self.rate_hz) for name in ("frame_s", "hop_s"))
        self.cepstral = min(CEPSTRAL, int(recipe["mels"]) - 1)
        self.window_frames = 1 + (round(recipe["window_s"] * self.rate_hz) - self.n) // self.hop

    @classmethod
    def plan(cls, size: str, options: ModalityTask) -> Self:
        """A number of windows by model size, band and rate of the task's sound; nothing to learn from a cohort.

        Raises:
            TaskError: For an unknown sound.
        """
        named = options.sound or DEFAULT_SOUND
        if named not in sounds():
            raise TaskError(f"Unknown sound {named!r}", "modality / sound", f"Known: {', '.join(sounds())}")
        told = sounds()[named]
        names = ("rate_hz", "low_hz", "high_hz", "frame_s", "hop_s", "mels", "window_s", "shortest_s")
        return cls({"sound": named, "windows": WINDOWS[size], **{name: getattr(told, name) for name in names}})

    def __call__(self, signal: AudioRecording, until: object = None) -> Prepared:
        """Prepare one recording.

        Raises:
            EvidenceError: `audio.rate` where its rate holds less than the band, `audio.too_short`, `audio.silent`
                where nothing is left in the band.
        """
        del until
        x = self.heard(signal)
        recipe = self.recipe
        band = {"mels": recipe["mels"], "low_hz": recipe["low_hz"], "high_hz": recipe["high_hz"]}
        mel_db = log_mel(x, self.rate_hz, n=self.n, hop=self.hop, **band)
        return Prepared(self._windows(mel_db), self._plain(x, mel_db), signal.flags)

    def heard(self, signal: AudioRecording) -> Float[Array, " sample"]:
        """The sound at the rate of the recipe, in its band, its loudness taken off.

        Raises:
            EvidenceError: As `__call__`.
        """
        told = self.recipe
        if signal.sfreq_hz < 2 * told["high_hz"]:
            what = f"Sampled at {signal.sfreq_hz:g} Hz, it holds nothing up to the {told['high_hz']:g} Hz of the band"
            raise EvidenceError("audio.rate", what, "audio", f"Record it at {self.rate_hz} Hz or more")
        shortest = max(told["shortest_s"], told["frame_s"])
        if len(signal.wave) < shortest * signal.sfreq_hz:
            what = f"The recording is shorter than {shortest:g} s"
            raise EvidenceError("audio.too_short", what, "audio", "Leave it out, or record longer")
        wave = signal.wave.astype(np.float64)
        x = resampled(wave - wave.mean(), signal.sfreq_hz, self.rate_hz)
        x = sosfilt(butter(2, told["low_hz"], "highpass", fs=self.rate_hz, output="sos"), x)
        loud = float(np.sqrt(np.mean(x**2)))
        if loud <= 1e-6:
            raise EvidenceError("audio.silent", "Nothing sounds in the band", "audio", "Leave it out")
        return np.asarray(x * (0.1 / loud))

    def _windows(self, mel_db: Float32[Array, "mel frame"]) -> Array:
        """Windows spread evenly over the recording, around its mean, in units of 20 dB."""
        scaled = np.clip((mel_db - mel_db.mean()) / UNIT_DB, -CLIP, CLIP)
        missing = self.window_frames - scaled.shape[1]
        if missing > 0:
            scaled = np.pad(scaled, ((0, 0), (0, missing)), constant_values=-CLIP)
        starts = np.linspace(0, scaled.shape[1] - self.window_frames, self.shape[0]).astype(int)
        return np.stack([scaled[:, s : s + self.window_frames] for s in starts]).astype(self.dtype)

    def _plain(self, x: Float[Array, " sample"], mel_db: Float32[Array, "mel frame"]) -> Float32[Array, " p"]:
        filters = mel_filters(mel_db.shape[0], self.n, self.rate_hz, self.recipe["low_hz"], self.recipe["high_hz"])
        power = power_frames(x, self.n, self.hop)[:, filters.any(axis=0)]
        hz = np.flatnonzero(filters.any(axis=0)) * self.rate_hz / self.n
        level_db = 10 * np.log10(power.sum(axis=1) + 1e-12)
        sounds_now = level_db > np.quantile(level_db, 0.95) - SOUNDING_DB
        mel, spectra = mel_db[:, sounds_now], power[sounds_now]
        crossings = zero_crossings(x, self.n, self.hop)[sounds_now]
        centroid = spectra @ hz / spectra.sum(axis=1) / 1000
        return np.concatenate(
            [
                mel.mean(axis=1) - mel.mean(),
                mel.std(axis=1),
                cepstrum(mel, self.cepstral).mean(axis=1),
                [crossings.mean(), crossings.std(), centroid.mean(), centroid.std()],
                np.quantile(level_db, LEVELS) - level_db.max(),
                repeating(level_db, self.rate_hz / self.hop),
            ]
        ).astype(np.float32)

    @property
    def shape(self) -> tuple[int, ...]:
        """Windows, mel bands, frames."""
        return (int(self.recipe["windows"]), int(self.recipe["mels"]), self.window_frames)

    @property
    def plain_names(self) -> tuple[str, ...]:
        """Mel bands, cepstrum, and what is one number each."""
        mels = range(1, int(self.recipe["mels"]) + 1)
        return (
            *(f"mel {m}" for m in mels),
            *(f"mel {m} sd" for m in mels),
            *(f"cepstral {c}" for c in range(1, self.cepstral + 1)),
            *OTHERS,
        )


def resampled(x: Float[Array, " sample"], from_hz: float, to_hz: int) -> Float[Array, " sample"]:
    """The same sound at another rate, without aliases (polyphase FIR, scipy.signal.resample_poly)."""
    given = round(from_hz)
    if given == to_hz:
        return x
    common = gcd(given, to_hz)
    return np.asarray(resample_poly(x, to_hz // common, given // common))


def zero_crossings(x: Float[Array, " sample"], n: int, hop: int) -> Float[Array, " frame"]:
    """Share of the steps of each frame at which the sign changes."""
    changes = np.concatenate([[0], np.cumsum(np.diff(np.signbit(x)).astype(np.int64))])
    starts = np.arange(0, len(x) - n + 1, hop)
    return np.asarray((changes[starts + n - 1] - changes[starts]) / (n - 1))


def repeating(level_db: Float[Array, " frame"], frames_hz: float) -> tuple[float, float]:
    """How often a minute loudness repeats, and how surely: the largest autocorrelation at 0.3 to 2 s.

    Not a number where the recording is shorter than four seconds.

    Source: Schmidt et al. 2010, doi:10.1088/0967-3334/31/4/004 (heart cycle from the envelope's autocorrelation).
    """
    low, high = (round(period * frames_hz) for period in PERIODS_S)
    if len(level_db) < 2 * high:
        return np.nan, np.nan
    e = np.clip(level_db, np.quantile(level_db, 0.05), None)
    e = e - e.mean()
    spectrum = np.abs(np.fft.rfft(e, 2 * len(e))) ** 2
    r = np.fft.irfft(spectrum)[: high + 1] / np.arange(len(e), len(e) - high - 1, -1)
    if r[0] <= 0:
        return np.nan, np.nan
    best = low + int(np.argmax(r[low:]))
    return 60.0 * frames_hz / best, float(r[best] / r[0])
