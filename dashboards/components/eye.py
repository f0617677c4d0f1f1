"""Show eye tracking: the path that the eye took with its rests, or gaze and pupil over time.

In:  a `GazeRecording`. Out: one PNG of ten seconds.

Rests are those of the dispersion threshold, the same that a model's summaries count; nothing else is filtered.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import streamlit as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from clinic_mm.prep.eye_moves import Fixation, bridged, fixations
from clinic_mm.signals import GazeRecording

VIEWS: Final = ("Path", "Over time")
PAGE_S: Final = 10.0
INK, PAPER, FAINT, MARK, OTHER = "#d2dae1", "#0e1216", "#28313a", "#e3a857", "#5b9bd5"
UNITS: Final = {"deg": "° of visual angle", "px": "pixels", "norm": "of the screen"}
MOST_NUMBERED: Final = 40
POINTS_PER_S: Final = 700.0
"""Area of a rest's circle for each second that it lasted."""


@st.fragment
def view_eye(gaze: GazeRecording, key: str) -> None:
    """The tile of one recording."""
    length_s = float(gaze.time_s[-1])
    pages = max(1, int(np.ceil(length_s / PAGE_S - 1e-9)))
    one, two = st.columns([2, 3])
    view = one.selectbox("View", VIEWS, key=f"{key}-view")
    page = two.slider(f"Page of {PAGE_S:g} s", 1, pages, 1, key=f"{key}-page") if pages > 1 else 1
    start_s = (page - 1) * PAGE_S
    rests = rests_of(gaze)
    drawn = draw_path(gaze, rests, start_s) if view == VIEWS[0] else draw_traces(gaze, rests, start_s)
    st.image(drawn, output_format="PNG", alt=f"Gaze, {view.lower()}", width="stretch")
    seen = np.isfinite(gaze.x) & np.isfinite(gaze.y)
    told = f"eye seen in {seen.mean():.0%} of the samples · {_said(gaze, rests)}"
    st.caption(f"{gaze.sfreq_hz:.0f} Hz · {length_s:.0f} s in all · {told}")


def rests_of(gaze: GazeRecording) -> list[Fixation]:
    """Fixations of the whole recording, in its own unit; none where degrees are not known."""
    if gaze.deg_per_unit is None:
        return []
    across, down = gaze.deg_per_unit
    found = fixations(gaze.time_s, bridged(gaze.time_s, gaze.x * across), bridged(gaze.time_s, gaze.y * down))
    return [Fixation(one.start_s, one.end_s, one.x_deg / across, one.y_deg / down) for one in found]


def draw_path(gaze: GazeRecording, rests: list[Fixation], start_s: float) -> npt.NDArray[np.uint8]:
    """Where the eye went in ten seconds: samples as a line, rests as numbered circles that grow with their length."""
    here = (gaze.time_s >= start_s) & (gaze.time_s < start_s + PAGE_S)
    figure, axes = _panel(4.6, 1)
    top = axes[0]
    top.plot(gaze.x[here], gaze.y[here], color=OTHER, linewidth=0.7, alpha=0.8)
    shown = [one for one in rests if start_s <= one.start_s < start_s + PAGE_S]
    if shown:
        x, y, size = np.array([(one.x_deg, one.y_deg, one.length_s * POINTS_PER_S) for one in shown]).T
        top.scatter(x, y, s=size, facecolor=MARK, edgecolor=INK, alpha=0.45, linewidth=0.8)
        for number, (a, b) in enumerate(zip(x[:MOST_NUMBERED], y, strict=False), 1):
            top.text(a, b, str(number), color=INK, fontsize=8, ha="center", va="center")
    if gaze.screen:
        wide, high = gaze.screen
        top.plot([0, wide, wide, 0, 0], [0, 0, high, high, 0], color=FAINT, linewidth=1.2)
    top.set_aspect("equal", adjustable="datalim")
    top.invert_yaxis()
    top.set_xlabel(f"right, {UNITS[gaze.unit]}", color=INK, fontsize=9)
    top.set_ylabel("down", color=INK, fontsize=9)
    return _pixels(figure)


def draw_traces(gaze: GazeRecording, rests: list[Fixation], start_s: float) -> npt.NDArray[np.uint8]:
    """Gaze across and down, and the pupil, over ten seconds; rests are strips on top, gaps are losses."""
    pupil = bool(gaze.pupil_unit)
    figure, axes = _panel(1.5 * (3 if pupil else 2) + 0.5, 3 if pupil else 2)
    here = (gaze.time_s >= start_s) & (gaze.time_s < start_s + PAGE_S)
    traces = [(gaze.x, f"right\n{gaze.unit}"), (gaze.y, f"down\n{gaze.unit}")]
    for panel, (values, label) in zip(axes, [*traces, (gaze.pupil, f"pupil\n{gaze.pupil_unit}")], strict=False):
        panel.plot(gaze.time_s[here], values[here], color=INK, linewidth=0.8)
        panel.set_ylabel(label, color=INK, fontsize=9)
        panel.set_xlim(start_s, start_s + PAGE_S)
        panel.grid(axis="x", color=FAINT, linewidth=0.6)
    for one in rests:
        if one.start_s < start_s + PAGE_S and one.end_s >= start_s:
            axes[0].axvspan(one.start_s, one.end_s, 0.94, 1.0, color=MARK, linewidth=0)
    axes[-1].set_xlabel("s", color=INK, fontsize=9)
    return _pixels(figure)


def _said(gaze: GazeRecording, rests: list[Fixation]) -> str:
    if gaze.deg_per_unit is None:
        return "no eye movements: nobody stated how many degrees a unit is"
    if not rests:
        return "no fixation found"
    lengths = 1000 * np.array([one.length_s for one in rests])
    return f"{len(rests)} fixations of {lengths.mean():.0f} ms in the mean"


def _panel(high: float, rows: int) -> tuple[Figure, list[Any]]:
    figure = Figure(figsize=(10, high), dpi=110, facecolor=PAPER, layout="constrained")
    axes = [figure.add_subplot(rows, 1, row + 1, facecolor=PAPER) for row in range(rows)]
    for one in axes:
        one.tick_params(colors=INK, labelsize=8, length=0)
        for side in one.spines.values():
            side.set_color(FAINT)
    return figure, axes


def _pixels(figure: Figure) -> npt.NDArray[np.uint8]:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[:, :, :3].copy()
