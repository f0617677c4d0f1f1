"""Stored saliency of an EEG: shades behind the traces of a page, and a picture of the whole recording.

In:  the stored pictures, window x band, channel x band, and channel x window x band. Out: shades, or one PNG.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from clinic_mm.report.saliency_store import Saliency
from components.saliency import AWAY, LEAST_SHOWN, MOST_ALPHA, TOWARDS, full_colour, strongest

INK, PAPER = "#d2dae1", "#0e1216"
SCALE: Final = LinearSegmentedColormap.from_list(
    "saliency", [tuple(c / 255 for c in AWAY), PAPER, tuple(c / 255 for c in TOWARDS)]
)

Shade = tuple[float, float, tuple[str, ...], float]
"""Start and end in seconds, electrodes (none: all traces), strength from -1 to 1."""


def page_of(found: Saliency, page_s: float, pages: int) -> int:
    """The page, from 1, on which hiding changes the answer most."""
    return min(pages, max(1, int(strongest(found)["time_s"] // page_s) + 1))


def shades(found: Saliency, start_s: float, end_s: float) -> Iterator[Shade]:
    """What to lay behind the traces between two times: windows over all of them, channels inside the best windows."""
    full, times = full_colour(found), found.arrays["time_s"]
    half = float(times[1] - times[0]) / 2 if len(times) > 1 else float(times[0])
    for at, value in zip(times, _strongest(found.arrays["time_band"]), strict=True):
        if at + half > start_s and at - half < end_s and abs(value) >= LEAST_SHOWN * full:
            yield float(at - half), float(at + half), (), float(np.clip(value / full, -1, 1))
    cells = _strongest(found.arrays["cells"])
    most = max(float(np.nanmax(np.abs(cells), initial=0.0)), 1e-9)
    for channel, row in zip(found.told.names["channels"], cells, strict=True):
        for at, value in zip(times, row, strict=True):
            if np.isfinite(value) and at + half > start_s and at - half < end_s and abs(value) >= most / 2:
                yield float(at - half), float(at + half), (channel,), float(value / most)


def shade(axes: Axes, names: list[str], some: Iterator[Shade]) -> None:
    """Draw shades behind traces that stand at 0, -1, -2 and so on."""
    for start, end, channels, strength in some:
        colour = tuple(c / 255 for c in (TOWARDS if strength > 0 else AWAY))
        if not channels:
            axes.axvspan(start, end, color=colour, alpha=MOST_ALPHA * 0.6 * abs(strength), linewidth=0, zorder=0)
            continue
        for at, name in enumerate(names):
            if name.split("-")[0] in channels:
                box = {"color": colour, "alpha": MOST_ALPHA * abs(strength), "linewidth": 0, "zorder": 0}
                axes.fill_between([start, end], -at - 0.45, -at + 0.45, **box)


def overview(found: Saliency) -> npt.NDArray[np.uint8]:
    """The whole recording: window by band above time, and channel by band beside it."""
    figure = Figure(figsize=(14, 3.4), dpi=110, facecolor=PAPER)
    time, channel = figure.subplots(1, 2, width_ratios=[3, 1])
    bands, channels, times = found.told.names["bands"], found.told.names["channels"], found.arrays["time_s"]
    half = float(times[1] - times[0]) / 2 if len(times) > 1 else float(times[0])
    spread = (float(times[0]) - half, float(times[-1]) + half, -0.5, len(bands) - 0.5)
    _heat(time, found.arrays["time_band"].T, full_colour(found), spread)
    time.set_yticks(range(len(bands)), bands)
    time.set_xlabel("s · one window, all channels hidden", color=INK, fontsize=9)
    values = found.arrays["channel_band"].T
    most = max(float(np.nanmax(np.abs(values), initial=0.0)), 1e-9)
    _heat(channel, values, most, (-0.5, len(channels) - 0.5, -0.5, len(bands) - 0.5))
    channel.set_xticks(range(len(channels)), channels, rotation=90)
    channel.set_yticks([])
    channel.set_xlabel(f"one channel hidden throughout · full colour {most:.2f}", color=INK, fontsize=9)
    figure.tight_layout(pad=0.6)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[:, :, :3].copy()


def _heat(axes: Axes, values: npt.NDArray[np.floating], full: float, extent: tuple[float, float, float, float]) -> None:
    axes.set_facecolor(PAPER)
    axes.imshow(
        values, cmap=SCALE, vmin=-full, vmax=full, aspect="auto", origin="lower", extent=extent, interpolation="nearest"
    )
    axes.tick_params(colors=INK, labelsize=8, length=0)
    for side in axes.spines.values():
        side.set_color("#28313a")


def _strongest(values: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Of each cell the band that moves the answer most, with its sign; NaN where nothing was asked."""
    best = np.nan_to_num(np.abs(values)).argmax(axis=-1)
    return np.asarray(np.take_along_axis(values, best[..., None], axis=-1)[..., 0])
