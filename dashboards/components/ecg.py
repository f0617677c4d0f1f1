"""Show an ECG as it is read: 25 mm a second, 10 mm a millivolt, four columns and a rhythm strip, or all leads in full.

In:  an `EcgRecording`. Out: one PNG on millimetre paper, and what the leads' samples say in numbers.

The level of each lead (its median) is taken off; nothing is filtered.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import streamlit as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from clinic_mm.signals import EcgRecording
from components.plain import plain

LAYOUTS: Final = ("3 × 4 and rhythm strip", "All leads, ten seconds")
COLUMNS: Final = (("I", "II", "III"), ("aVR", "aVL", "aVF"), ("V1", "V2", "V3"), ("V4", "V5", "V6"))
RHYTHM: Final = "II"
PAGE_S: Final = 10.0
GAINS_MM_MV: Final = (5, 10, 20)
ROW_MM: Final = 25.0
PULSE_S: Final = 0.2
MM_PER_S: Final = 25.0
INCH_MM: Final = 25.4
DPI: Final = 130
INK, PAPER, FINE, COARSE, MARK = "#e6ebf0", "#14100f", "#33201d", "#5a332d", "#e3a857"

Strip = tuple[str, float, float, int]
"""A lead, where its piece begins and ends in seconds, and the row that it stands in."""


@st.fragment
def view_ecg(ecg: EcgRecording, key: str) -> None:
    """The tile of one ECG."""
    length_s = ecg.millivolts.shape[1] / ecg.sfreq_hz
    pages = max(1, int(np.ceil(length_s / PAGE_S - 0.05)))
    one, two, three = st.columns([3, 2, 3])
    layout = one.selectbox("Layout", LAYOUTS, key=f"{key}-layout")
    gain = two.selectbox("mm per mV", GAINS_MM_MV, index=1, key=f"{key}-gain")
    page = three.slider(f"Page of {PAGE_S:g} s", 1, pages, 1, key=f"{key}-page") if pages > 1 else 1
    start_s = (page - 1) * PAGE_S
    strips = strips_of(ecg.leads, layout)
    drawn = draw(ecg, strips, start_s, float(gain), paper=layout == LAYOUTS[0])
    st.image(drawn, output_format="PNG", alt="ECG", width="stretch")
    missing = [lead for column in COLUMNS for lead in column if lead not in ecg.leads]
    told = f" · not recorded: {', '.join(missing)}" if missing else ""
    st.caption(f"{ecg.sfreq_hz:g} Hz · {length_s:.0f} s in all · 25 mm/s, {gain} mm/mV · no filter{told}")
    if ecg.bad:
        st.caption("Without usable signal: " + plain(", ".join(ecg.bad)))


def strips_of(leads: tuple[str, ...], layout: str) -> list[Strip]:
    """Which piece of which lead stands in which row."""
    if layout != LAYOUTS[0]:
        return [(lead, 0.0, PAGE_S, row) for row, lead in enumerate(leads)]
    width = PAGE_S / len(COLUMNS)
    pieces = [
        (lead, column * width, (column + 1) * width, row)
        for column, names in enumerate(COLUMNS)
        for row, lead in enumerate(names)
        if lead in leads
    ]
    rhythm = RHYTHM if RHYTHM in leads else leads[0]
    return [*pieces, (rhythm, 0.0, PAGE_S, len(COLUMNS[0]))]


def draw(
    ecg: EcgRecording, strips: list[Strip], start_s: float, gain_mm_mv: float, *, paper: bool
) -> npt.NDArray[np.uint8]:
    """One page as an RGB picture; a square of the paper is 1 mm: 40 ms and 1 / gain mV."""
    rows = 1 + max(row for *_, row in strips)
    row_mm = ROW_MM if paper else ROW_MM * 0.7
    wide, high = PAGE_S * MM_PER_S + 10, rows * row_mm + 6
    figure = Figure(figsize=(wide / INCH_MM, high / INCH_MM), dpi=DPI, facecolor=PAPER)
    axes = figure.add_axes((0, 0, 1, 1), facecolor=PAPER)
    _grid(axes, wide, high)
    for lead, first_s, last_s, row in strips:
        level = high - 3 - (row + 0.5) * row_mm
        seconds, mv = piece(ecg, lead, start_s + first_s, start_s + last_s)
        axes.plot(8 + (seconds - start_s) * MM_PER_S, level + mv * gain_mm_mv, color=INK, linewidth=0.9)
        axes.text(9 + first_s * MM_PER_S, level + 0.32 * row_mm, lead, color=MARK, fontsize=10, weight="bold")
        if first_s > 0:
            axes.plot([8 + first_s * MM_PER_S] * 2, [level - 2, level + 2], color=MARK, linewidth=0.8)
    for row in range(rows):
        _pulse(axes, high - 3 - (row + 0.5) * row_mm, gain_mm_mv)
    axes.set_xlim(0, wide)
    axes.set_ylim(0, high)
    axes.set_axis_off()
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[:, :, :3].copy()


def piece(
    ecg: EcgRecording, lead: str, first_s: float, last_s: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Seconds and millivolts of a piece of one lead, around the median of the whole lead."""
    a, b = (round(s * ecg.sfreq_hz) for s in (first_s, last_s))
    row = np.asarray(ecg.millivolts[ecg.leads.index(lead)], dtype=np.float64)
    mv = row[a:b] - (np.nanmedian(row) if np.isfinite(row).any() else 0.0)
    return (a + np.arange(len(mv))) / ecg.sfreq_hz, mv


def _grid(axes: Any, wide: float, high: float) -> None:  # noqa: ANN401 - matplotlib's axes have no public type of use
    for step, colour, width in ((1, FINE, 0.3), (5, COARSE, 0.6)):
        axes.vlines(np.arange(0, wide, step), 0, high, color=colour, linewidth=width)
        axes.hlines(np.arange(0, high, step), 0, wide, color=colour, linewidth=width)


def _pulse(axes: Any, level: float, gain_mm_mv: float) -> None:  # noqa: ANN401 - as above
    """The calibration mark: 1 mV for 200 ms."""
    x = np.array([1, 2, 2, 2 + PULSE_S * MM_PER_S, 2 + PULSE_S * MM_PER_S, 8])
    axes.plot(x, level + np.array([0, 0, 1, 1, 0, 0]) * gain_mm_mv, color=MARK, linewidth=0.9)
