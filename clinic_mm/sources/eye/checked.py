"""Check samples of gaze: their times, whether the eye was seen, whether the unit can be the one that is said.

In:  columns as numbers, and what they are. Out: a `GazeRecording`, or `EvidenceError` with its code.

Nothing here filters, interpolates or finds fixations. Samples that stand twice are counted once; times that go back
are refused, since nobody knows which of them is wrong.
"""

import math
from collections.abc import Iterator
from typing import Final

import numpy as np
from jaxtyping import Bool, Float64
from numpy import ndarray as Array

from clinic_mm.errors import EvidenceError
from clinic_mm.signals import GazeRecording
from clinic_mm.sources.eye.columns import gaze_table
from clinic_mm.sources.samples import GazeColumns
from clinic_mm.types import Flag

MEND: Final = "Export the recording again"
LEAST_SAMPLES: Final = 20


def checked(
    time_s: Float64[Array, " n"],
    xy: Float64[Array, "2 n"],
    pupil: Float64[Array, " n"],
    seen: Bool[Array, " n"],
    told: GazeColumns,
) -> GazeRecording:
    """Check a recording.

    Args:
        time_s: Of each sample.
        xy: Point of gaze in the unit that `told` names.
        pupil: Diameter, NaN where none.
        seen: Whether the tracker says that it saw the eye.
        told: What the columns are.

    Raises:
        EvidenceError: `eye.times`, `eye.duplicate_times`, `eye.rate`, `eye.too_short`, `eye.too_long`, `eye.gaps`,
            `eye.not_seen`, `eye.unit`.
    """
    time_s, keep, flags = _clock(time_s)
    xy, pupil, seen = xy[:, keep], pupil[keep], seen[keep] & np.isfinite(xy[:, keep]).all(axis=0)
    sfreq_hz, more = _rate(time_s)
    flags += more
    table = gaze_table()
    lost = 1 - float(seen.mean())
    if lost > table.lost_refused:
        what = f"The tracker did not see the eye in {lost:.0%} of the samples"
        raise EvidenceError("eye.not_seen", what, "", "Record again, or leave it out")
    if lost > table.lost_share:
        flags.append(Flag(code="eye.not_seen", why=f"The tracker did not see the eye in {lost:.0%} of the samples"))
    screen = (1.0, 1.0) if told.unit == "norm" else told.screen
    flags += _places(xy[:, seen], told.unit, screen)
    xy = np.where(seen, xy, np.nan)
    pupil = np.where(seen & (pupil > 0), pupil, np.nan)
    pupil_unit = told.pupil_unit if told.pupil else ""
    if pupil_unit and (problem := _pupil_problem(pupil, pupil_unit)):
        flags.append(problem)
        pupil, pupil_unit = np.full_like(pupil, np.nan), ""
    degrees = deg_per_unit(told)
    if degrees is None:
        why = "Nothing says how many degrees of visual angle the unit is: eye movements are not measured"
        flags.append(Flag(code="eye.no_degrees", why=why))
    return GazeRecording(
        time_s=time_s - time_s[0],
        x=xy[0].astype(np.float32),
        y=xy[1].astype(np.float32),
        pupil=pupil.astype(np.float32),
        unit=told.unit,
        pupil_unit=pupil_unit,
        sfreq_hz=sfreq_hz,
        deg_per_unit=degrees,
        screen=screen,
        flags=tuple(flags),
    )


def deg_per_unit(told: GazeColumns) -> tuple[float, float] | None:
    """Degrees of visual angle per unit of x and y in the middle of the screen; None where the setup is unknown."""
    if told.unit == "deg":
        return 1.0, 1.0
    size = (1.0, 1.0) if told.unit == "norm" else told.screen
    if size is None or told.screen_mm is None or told.distance_mm is None:
        return None
    across, down = (math.degrees(mm / units / told.distance_mm) for mm, units in zip(told.screen_mm, size, strict=True))
    return across, down


def _clock(time_s: Array) -> tuple[Array, Array, list[Flag]]:
    """Ascending times, the samples to keep, and what was seen."""
    table = gaze_table()
    if len(time_s) < LEAST_SAMPLES or not np.isfinite(time_s).all():
        what = "Some samples have no time" if len(time_s) >= LEAST_SAMPLES else "There are hardly any samples"
        raise EvidenceError("eye.times", what, "", MEND)
    steps = np.diff(time_s)
    if (steps < 0).any():
        what = f"The times go back {int((steps < 0).sum())} times"
        raise EvidenceError("eye.times", what, "", "Give one recording to a table, in the order of its samples")
    again = np.concatenate([[False], steps == 0])
    if (share := float(again.mean())) > table.duplicate_share:
        what = f"{share:.0%} of the samples have the time of the one before: the clock is too coarse, or the unit wrong"
        raise EvidenceError("eye.duplicate_times", what, "", "Export times in milliseconds or finer")
    flags = []
    if again.any():
        why = f"{int(again.sum())} samples have the time of the one before and were left out"
        flags.append(Flag(code="eye.duplicate_times", why=why))
    return time_s[~again], ~again, flags


def _rate(time_s: Array) -> tuple[float, list[Flag]]:
    """The rate by the usual step, with what is odd about the others."""
    table = gaze_table()
    steps, length_s = np.diff(time_s), float(time_s[-1] - time_s[0])
    usual = float(np.median(steps))
    low, high = table.rates_hz
    if not low <= 1 / usual <= high:
        what = f"A rate of {1 / usual:.3g} samples a second is none of an eye tracker"
        raise EvidenceError("eye.rate", what, "", "Check the unit of the times")
    if length_s < table.least_s:
        what = f"The recording lasts {length_s:.1f} s; {table.least_s:g} s are needed"
        raise EvidenceError("eye.too_short", what, "", "Leave it out")
    if length_s > table.most_s:
        what = f"The recording lasts {length_s / 3600:.1f} h"
        raise EvidenceError("eye.too_long", what, "", "Cut it into recordings; check the unit of the times")
    flags = []
    holes = steps[(steps > table.gap_steps * usual) & (steps > table.gap_s)]
    if holes.size:
        if (share := float(holes.sum()) / length_s) > table.gap_share:
            raise EvidenceError("eye.gaps", f"{share:.0%} of the time has no samples", "", MEND)
        why = f"{holes.size} gaps of {holes.sum():.1f} s in all"
        flags.append(Flag(code="eye.gaps", why=why))
    odd = float((np.abs(steps - usual) > 0.5 * usual).mean())
    if odd > table.uneven:
        flags.append(Flag(code="eye.uneven", why=f"{odd:.0%} of the steps between samples are not the usual one"))
    # Rounded times lie to both sides of the true ones: the mean of the steps near the usual one is exact.
    near = steps[np.abs(steps - usual) <= 0.5 * usual]
    return float(1 / near.mean()), flags


def _places(xy: Array, unit: str, screen: tuple[float, float] | None) -> Iterator[Flag]:
    """Refuse gaze where the unit cannot have it; say how much lies off the screen."""
    table = gaze_table()
    outside: Array = np.zeros(xy.shape[1], bool)
    if screen is not None:
        outside = np.any((xy < 0) | (xy > np.array(screen)[:, None]), axis=0)
    low, high = table.norm_range
    wrong = {
        "norm": ((xy < low) | (xy > high)).any(axis=0),
        "deg": (np.abs(xy) > table.deg_most).any(axis=0),
        "px": outside,
    }[unit]
    if (share := float(wrong.mean())) > table.wrong_share:
        what = f"{share:.0%} of the points of gaze lie where the unit {unit!r} cannot have them"
        raise EvidenceError("eye.unit", what, "", "Check the unit of x and y, and the size of the screen")
    if (share := float(outside.mean())) > table.off_screen:
        yield Flag(code="eye.off_screen", why=f"{share:.0%} of the points of gaze lie beside the screen")


def _pupil_problem(pupil: Array, unit: str) -> Flag | None:
    values = pupil[np.isfinite(pupil)]
    if not values.size:
        return Flag(code="eye.no_pupil", why="The column of the pupil holds no diameter")
    low, high = gaze_table().pupil_mm
    if unit == "mm" and not low <= (middle := float(np.median(values))) <= high:
        return Flag(code="eye.pupil_unit", why=f"A pupil of {middle:.3g} mm is none: its column was left out")
    return None
