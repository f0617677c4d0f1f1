"""Stored saliency of an EEG as the canvas draws it: windows of the strip, shades behind the traces, words.

In:  the stored pictures, window x band, channel x band, and channel x window x band. Out: plain values.
"""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from clinic_mm.report.saliency_store import Saliency
from clinic_mm.report.saliency_words import CAUTION, peak_in_words
from components.saliency import LEAST_SHOWN, full_colour, strongest

MOST_SHADES: Final = 4000

Shade = tuple[float, float, tuple[str, ...], float]
"""Start and end in seconds, electrodes (none: all traces), strength from -1 to 1."""


def attention(found: Saliency | None) -> dict[str, Any] | None:
    """What the canvas draws: `windows` (start, end, strength) of the strip, `shades`, where most is, and the legend.

    `alone` (start, end, probability) is what the expert says of each window by itself; none in files of before.
    """
    if found is None:
        return None
    every = list(shades(found))[:MOST_SHADES]
    return {
        "windows": [[start, end, strength] for start, end, strength in windows(found)],
        "shades": [[start, end, list(channels), strength] for start, end, channels, strength in every],
        "alone": [list(one) for one in alone(found)],
        "peak_s": strongest(found)["time_s"],
        "words": in_words(found),
    }


def windows(found: Saliency) -> Iterator[tuple[float, float, float]]:
    """Every window with the band of it that moves the answer most, from -1 to 1 of the full colour."""
    full, (times, half) = full_colour(found), _times(found)
    for at, value in zip(times, _strongest(found.arrays["time_band"]), strict=True):
        if np.isfinite(value):
            yield float(at - half), float(at + half), float(np.clip(value / full, -1, 1))


def alone(found: Saliency) -> Iterator[tuple[float, float, float]]:
    """Every window with the probability that the expert gives it by itself; not calibrated."""
    if "alone" not in found.arrays:
        return
    times, half = _times(found)
    for at, logodds in zip(times, found.arrays["alone"], strict=True):
        if np.isfinite(logodds):
            yield float(at - half), float(at + half), float(1 / (1 + np.exp(-logodds)))


def shades(found: Saliency) -> Iterator[Shade]:
    """What to lay behind the traces: windows over all of them, channels inside the best windows."""
    for start, end, strength in windows(found):
        if abs(strength) >= LEAST_SHOWN:
            yield start, end, (), strength
    times, half = _times(found)
    cells = _strongest(found.arrays["cells"])
    most = max(float(np.nanmax(np.abs(cells), initial=0.0)), 1e-9)
    for channel, row in zip(found.told.names["channels"], cells, strict=True):
        for at, value in zip(times, row, strict=True):
            if np.isfinite(value) and abs(value) >= most / 2:
                yield float(at - half), float(at + half), (channel,), float(value / most)


def in_words(found: Saliency) -> str:
    """What the colours mean, plain text."""
    name, most = found.told.target, peak_in_words(found.told)
    return (
        f"Model attention: amber speaks for {name}, blue against it; full colour "
        f"{full_colour(found):.2f} log-odds. {most[:1].upper() + most[1:]}. {CAUTION}{_alone_in_words(found)}"
    )


def _alone_in_words(found: Saliency) -> str:
    if "alone" not in found.arrays:
        return ""
    stretch = max(float(str(found.told.settings.get("alone_s", 0))), 2 * _times(found)[1])
    return (
        f" Expert alone: the probability of {found.told.target} that the EEG expert gives to each {stretch:.2g} s by "
        "itself; not calibrated, no other evidence in it."
    )


def _times(found: Saliency) -> tuple[npt.NDArray[np.floating], float]:
    """Centres of the windows, and half of their stride."""
    times = found.arrays["time_s"]
    return times, float(times[1] - times[0]) / 2 if len(times) > 1 else float(times[0])


def _strongest(values: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Of each cell the band that moves the answer most, with its sign; NaN where nothing was asked."""
    best = np.nan_to_num(np.abs(values)).argmax(axis=-1)
    return np.asarray(np.take_along_axis(values, best[..., None], axis=-1)[..., 0])
