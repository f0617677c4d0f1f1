"""Render a latent into eye tracking: how long the eye rests, from jump to jump.

In:  v, a random generator. Out: gaze and pupil at 60 Hz over 45 s; as a file, a CSV of samples.

Single rests vary widely; only their mean is set by v, exactly, as a random mean would blur v by itself. Where the eye
goes, the pupil with its drift and waves, blinks and noise vary, independent of v.
"""

import csv
from io import StringIO
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray as Array

SFREQ_HZ: Final = 60
DURATION_S: Final = 45
REST_S: Final = 0.40
REST_PER_V_S: Final = 0.04
"""The eye rests for 0.40 + 0.04 v seconds in the mean."""

LEAST_S: Final = 0.18
JUMP_S: Final = 0.04
BLINKS: Final = 8
BLINK_S: Final = 0.15
REACH_DEG: Final = (12.0, 7.0)
"""How far from the middle of the screen the eye goes, across and down."""

JUMP_DEG: Final = 3.0
"""No jump is shorter."""

NOISE_DEG: Final = 0.04
COLUMNS: Final = ("time_ms", "x_deg", "y_deg", "pupil_mm", "valid")


def render(v: float, rng: np.random.Generator) -> tuple[Float[Array, "3 sample"], Bool[Array, " sample"]]:
    """Render one recording.

    Args:
        v: What the mean rest encodes.
        rng: The case's random numbers for eye tracking.

    Returns:
        x and y in degrees and pupil in mm; whether the eye was seen.
    """
    n = SFREQ_HZ * DURATION_S
    t = np.arange(n) / SFREQ_HZ
    mean = max(REST_S + REST_PER_V_S * v, LEAST_S + 0.02)
    count = round(DURATION_S / (mean + JUMP_S))
    rests = rng.gamma(2.0, 1.0, count)
    rests = LEAST_S + rests / rests.mean() * (mean - LEAST_S)
    places = _places(rng, count)
    ends = np.cumsum(rests + JUMP_S)
    xy = np.stack([np.interp(t, *_corners(rests, ends, places[:, axis])) for axis in (0, 1)])
    xy += NOISE_DEG * rng.standard_normal(xy.shape)
    pupil = rng.uniform(2.8, 5.5) + rng.uniform(-0.3, 0.3) * t / DURATION_S
    for frequency in rng.uniform(0.05, 0.8, 4):
        pupil = pupil + rng.uniform(0.02, 0.12) * np.sin(2 * np.pi * frequency * t + rng.uniform(0, 6.28))
    pupil = pupil + 0.01 * rng.standard_normal(n)
    seen = np.ones(n, bool)
    # The eye shuts while it jumps, as it mostly does, so that no rest is cut in two.
    for jump in rng.choice(count - 2, BLINKS, replace=False) + 1:
        start = ends[jump] - JUMP_S / 2 - BLINK_S / 2
        seen[(t >= start) & (t < start + BLINK_S)] = False
    return np.concatenate([xy, pupil[None]]), seen


def _places(rng: np.random.Generator, count: int) -> Float[Array, "place 2"]:
    """Where the eye rests, each far enough from the one before."""
    reach = np.array(REACH_DEG)
    places = [rng.uniform(-reach, reach)]
    while len(places) < count:
        there = rng.uniform(-reach, reach)
        if np.hypot(*(there - places[-1])) >= JUMP_DEG:
            places.append(there)
    return np.array(places)


def _corners(rests: Array, ends: Array, places: Array) -> tuple[Array, Array]:
    """When each rest begins and ends, and where: straight lines between are the jumps."""
    begins = ends - rests - JUMP_S
    return np.stack([begins, begins + rests], axis=1).ravel(), np.repeat(places, 2)


def write(path: Path, v: float, rng: np.random.Generator) -> None:
    """Write one table of samples, times in milliseconds; what the tracker did not see is empty."""
    (x, y, pupil), seen = render(v, rng)
    text = StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for at in range(len(seen)):
        told = [f"{x[at]:.3f}", f"{y[at]:.3f}", f"{pupil[at]:.3f}", 1] if seen[at] else ["", "", "", 0]
        table.writerow([f"{1000 * at / SFREQ_HZ:.1f}", *told])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.getvalue().encode())
