"""Turn gaze into windows for the eye encoder, and into eye movements and pupil for the plain heads.

In:  samples at their own times (clinic_mm.signals.GazeRecording), of any rate and length from some seconds on.
Out: float16 [window, channel, sample] at 60 Hz: x and y in tens of degrees from the middle of all, speed, pupil as a
     part of its mean; NaN where the eye was not seen. Fixations, saccades, blinks, scan path, pupil and its slow waves.

Without degrees of visual angle (nobody stated the screen and its distance) x, y and eye movements are NaN, and the
pupil and the blinks are what is left: a threshold in degrees cannot be held against pixels.
"""

from typing import ClassVar, Final, Self

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

from clinic_mm.errors import EvidenceError
from clinic_mm.prep.base import Prep, Prepared
from clinic_mm.prep.eye_moves import blinks, bridged, fixations, pupil_summary, saccades, speed_deg_s
from clinic_mm.signals import GazeRecording
from clinic_mm.task import ModalityTask

SFREQ_HZ: Final = 60.0
WINDOW_S: Final = 4.0
WINDOWS: Final = {"tiny": 8, "small": 12, "base": 24}
CHANNELS: Final = ("x", "y", "speed", "pupil")
UNIT_DEG: Final = 10.0
MOST: Final = 10.0
MOVES: Final = (
    *("fixations per min", "fixation ms", "fixation sd", "fixation median ms"),
    *("saccades per min", "saccade deg", "saccade sd", "saccade peak speed"),
    *("path deg per s", "spread x", "spread y"),
)
EYE: Final = ("seen", "blinks per min", "blink ms", "pupil mm")
PUPIL: Final = ("pupil sd", "pupil slope", "pupil to 0.2 Hz", "pupil to 0.4 Hz", "pupil to 0.6 Hz", "pupil to 1 Hz")


class EyePrep(Prep[GazeRecording]):
    """Resample and cut gaze, and measure eye movements."""

    kind: ClassVar[str] = "eye"
    dtype = np.float16

    @classmethod
    def plan(cls, size: str, options: ModalityTask) -> Self:
        """A number of windows by model size; nothing to learn from a cohort."""
        del options
        return cls({"windows": WINDOWS[size], "window_s": WINDOW_S, "sfreq_hz": SFREQ_HZ})

    def __call__(self, signal: GazeRecording, until: object = None) -> Prepared:
        """Prepare one recording.

        Raises:
            EvidenceError: `eye.too_short` where it is shorter than a window, `eye.nothing` where neither gaze in
                degrees nor a pupil was recorded.
        """
        del until
        time_s = signal.time_s
        if time_s[-1] < float(self.recipe["window_s"]):
            what = f"The recording is shorter than one window of {self.recipe['window_s']:g} s"
            raise EvidenceError("eye.too_short", what, "eye", "Leave it out")
        x_deg, y_deg = _degrees(signal)
        pupil = np.asarray(signal.pupil, np.float64)
        if not np.isfinite(x_deg).any() and not np.isfinite(pupil).any():
            what, mend = (
                "There is neither gaze in degrees nor a pupil",
                "Declare screen_mm and distance_mm, see the docs",
            )
            raise EvidenceError("eye.nothing", what, "eye", mend)
        seen = np.isfinite(signal.x) & np.isfinite(signal.y)
        pupil_mm = float(np.nanmean(pupil)) if signal.pupil_unit == "mm" and np.isfinite(pupil).any() else np.nan
        minutes = float(time_s[-1]) / 60
        shut = blinks(time_s, seen)
        shut_ms = 1000 * float(np.mean([length for _, length in shut])) if shut else np.nan
        eye = [float(seen.mean()), len(shut) / minutes, shut_ms, pupil_mm]
        plain = np.concatenate([_moves(time_s, x_deg, y_deg), eye, pupil_summary(time_s, pupil)])
        return Prepared(self._windows(time_s, x_deg, y_deg, pupil), plain.astype(np.float32), signal.flags)

    @property
    def shape(self) -> tuple[int, ...]:
        """Windows, channels, samples."""
        length = round(float(self.recipe["window_s"]) * float(self.recipe["sfreq_hz"]))
        return (int(self.recipe["windows"]), len(CHANNELS), length)

    @property
    def plain_names(self) -> tuple[str, ...]:
        """Eye movements, then what is seen of the eye, then the pupil."""
        return (*MOVES, *EYE, *PUPIL)

    def _windows(self, time_s: Array, x_deg: Array, y_deg: Array, pupil: Array) -> Array:
        """Windows spread evenly over the recording."""
        rate, (windows, _, length) = float(self.recipe["sfreq_hz"]), self.shape
        grid = np.arange(max(length, int(time_s[-1] * rate) + 1)) / rate
        x, y, wide = (even(time_s, values, grid) for values in (x_deg, y_deg, pupil))
        speed = np.full(len(grid), np.nan)
        speed[1:] = speed_deg_s(grid, x, y)
        middle = [np.nanmedian(one) if np.isfinite(one).any() else 0.0 for one in (x, y)]
        mean = np.nanmean(wide) if np.isfinite(wide).any() else 1.0
        rows = [(x - middle[0]) / UNIT_DEG, (y - middle[1]) / UNIT_DEG, np.log1p(speed) / 3, 5 * (wide / mean - 1)]
        whole = np.clip(np.stack(rows), -MOST, MOST)
        starts = np.linspace(0, whole.shape[1] - length, windows).astype(int)
        return np.stack([whole[:, at : at + length] for at in starts]).astype(self.dtype)


def even(time_s: Float[Array, " n"], values: Float[Array, " n"], grid: Float[Array, " m"]) -> Float[Array, " m"]:
    """Values at even times: means of what is denser, straight lines between what is not; NaN where it was lost."""
    filled = bridged(time_s, values)
    there = np.isfinite(filled)
    if not there.any():
        return np.full(len(grid), np.nan)
    step, usual = grid[1] - grid[0], float(np.median(np.diff(time_s)))
    if usual < step / 2:
        place = np.clip(np.rint(time_s[there] / step).astype(int), 0, len(grid) - 1)
        count = np.bincount(place, minlength=len(grid))
        total = np.bincount(place, weights=filled[there], minlength=len(grid))
        return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))
    made = np.interp(grid, time_s[there], filled[there])
    after = np.clip(np.searchsorted(time_s, grid), 1, len(time_s) - 1)
    lost = ~(there[after] & there[after - 1]) | (time_s[after] - time_s[after - 1] > 3 * max(step, usual))
    exact = np.abs(time_s[np.clip(after - 1, 0, None)] - grid) < 1e-9
    return np.asarray(np.where(lost & ~(exact & there[after - 1]) | (grid > time_s[-1]), np.nan, made))


def _degrees(signal: GazeRecording) -> tuple[Array, Array]:
    """Gaze in degrees of visual angle, short losses bridged; NaN where nobody stated how many a unit is."""
    across, down = signal.deg_per_unit or (np.nan, np.nan)
    return bridged(signal.time_s, signal.x * across), bridged(signal.time_s, signal.y * down)


def _moves(time_s: Array, x_deg: Array, y_deg: Array) -> Array:
    """Plain numbers of fixations and saccades; NaN where gaze is not in degrees."""
    there = np.isfinite(x_deg) & np.isfinite(y_deg)
    if not there.any():
        return np.full(len(MOVES), np.nan)
    found = fixations(time_s, x_deg, y_deg)
    moves = saccades(found, time_s, x_deg, y_deg)
    seen_min = float(there.mean()) * float(time_s[-1]) / 60
    lengths = 1000 * np.array([one.length_s for one in found] or [np.nan])
    sizes = np.array([one.amplitude_deg for one in moves] or [np.nan])
    peaks = np.array([one.peak_deg_s for one in moves] or [np.nan])
    path = float(np.nansum(sizes)) / (60 * seen_min)
    fixed = [len(found) / seen_min, lengths.mean(), lengths.std(), np.median(lengths)]
    jumped = [len(moves) / seen_min, sizes.mean(), sizes.std(), peaks.mean()]
    return np.array([*fixed, *jumped, path, x_deg[there].std(), y_deg[there].std()])
