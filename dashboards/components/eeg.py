"""Show an EEG in pages of ten seconds, negative up, in the montages that a reader expects.

In:  an `EegRecording` (volts). Out: one PNG a page, µV scale bar, annotations.

The offset of each trace on a page (its median) is taken off; nothing else is filtered.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
import streamlit as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from clinic_mm.prep.montage import MONTAGES, montage, montage_table
from clinic_mm.report.saliency_store import Saliency
from clinic_mm.signals import EegRecording
from components.eeg_saliency import overview, page_of, shade, shades
from components.plain import plain
from components.saliency import switched_on

PAGE_S: Final = 10.0
SCALES_UV: Final = (20, 50, 100, 200, 500)
MOST_TRACES: Final = 40
INK, PAPER, FAINT, MARK = "#d2dae1", "#0e1216", "#28313a", "#e3a857"

Traces = tuple[list[str], npt.NDArray[np.float64]]


@st.fragment
def view_eeg(eeg: EegRecording, key: str, saliency: Saliency | None = None) -> None:
    """The tile of one EEG; it opens on the page where the stored saliency peaks, where there is one."""
    length_s = eeg.volts.shape[1] / eeg.sfreq_hz
    pages = max(1, int(np.ceil(length_s / PAGE_S - 1e-9)))
    one, two, three = st.columns([3, 2, 3])
    chosen = one.selectbox("Montage", MONTAGES, format_func=montage_table().labels.get, key=f"{key}-montage")
    scale_uv = two.selectbox("µV between traces", SCALES_UV, index=2, key=f"{key}-scale")
    first = 1 if saliency is None else page_of(saliency, PAGE_S, pages)
    page = three.slider(f"Page of {PAGE_S:g} s", 1, pages, first, key=f"{key}-page") if pages > 1 else 1
    over = switched_on(saliency, key)
    start_s = (page - 1) * PAGE_S
    names, volts = montaged(eeg, chosen, start_s, PAGE_S)
    if not names:
        st.markdown("This recording has not the electrodes of this montage\\.")
        return
    shown = list(eeg.annotations)
    st.image(
        _drawn(names, volts * 1e6, float(scale_uv), start_s, eeg.sfreq_hz, shown, over),
        output_format="PNG",
        alt="EEG traces",
        width="stretch",
    )
    more = f" · first {MOST_TRACES} of {len(names)} traces" if len(names) > MOST_TRACES else ""
    st.caption(f"{eeg.sfreq_hz:g} Hz · {length_s:.0f} s in all · negative up · no filter{more}")
    if over:
        st.image(overview(over), output_format="PNG", alt="Saliency of the whole recording", width="stretch")
    if eeg.bad:
        st.caption("Without usable signal, and in no other montage than as recorded: " + plain(", ".join(eeg.bad)))
    _annotations(shown, start_s)


def montaged(eeg: EegRecording, name: str, start_s: float, length_s: float) -> Traces:
    """Names and volts [trace, sample] of one page in one montage, each trace around its median; NaN where no signal.

    What cannot be had of the electrodes is left out. As recorded shows bad channels too: a reader judges them by eye.
    """
    first = round(start_s * eeg.sfreq_hz)
    page = np.asarray(eeg.volts[:, first : first + round(length_s * eeg.sfreq_hz)], dtype=np.float64)
    silent = ~np.isfinite(page).any(axis=1)
    page[silent] = 0.0  # in a product NaN would reach every derivation
    bad = {one for one, none in zip(eeg.channels, silent, strict=True) if none}
    chosen = montage(name, eeg.channels, bad if name == MONTAGES[0] else bad.union(eeg.bad))
    names = [one for one, there in zip(chosen.names, chosen.there, strict=True) if there]
    volts = chosen.apply(page)[chosen.there]
    heard = np.isfinite(volts).all(axis=0)  # a gap is one of all channels
    return names, volts - (np.median(volts[:, heard], axis=1, keepdims=True) if heard.any() and volts.size else 0.0)


def _drawn(
    names: list[str],
    uv: npt.NDArray[np.float64],
    scale_uv: float,
    start_s: float,
    sfreq_hz: float,
    annotations: list[tuple[float, float, str]],
    saliency: Saliency | None,
) -> npt.NDArray[np.uint8]:
    names, uv = names[:MOST_TRACES], uv[:MOST_TRACES]
    figure = Figure(figsize=(14, 0.31 * len(names) + 0.9), dpi=110, facecolor=PAPER)
    axes = figure.add_axes(
        (0.062, 0.6 / (0.31 * len(names) + 0.9), 0.925, 1 - 0.75 / (0.31 * len(names) + 0.9)), facecolor=PAPER
    )
    seconds = start_s + np.arange(uv.shape[1]) / sfreq_hz
    for index, trace in enumerate(uv):
        axes.plot(seconds, -trace / scale_uv - index, color=INK, linewidth=0.6)
    if saliency is not None:
        shade(axes, names, shades(saliency, start_s, start_s + PAGE_S))
    for onset, duration, _ in annotations:
        if onset < start_s + PAGE_S and onset + duration >= start_s:
            axes.axvspan(onset, onset + max(duration, 0.02), 0.985, 1.0, color=MARK, linewidth=0)  # a strip on top
            axes.axvline(onset, color=MARK, alpha=0.6, linewidth=0.8)
    axes.set_xlim(start_s, start_s + PAGE_S)
    axes.set_ylim(-len(names) + 0.2, 1.0)
    axes.set_yticks(-np.arange(len(names)), names)
    axes.set_xticks(start_s + np.arange(0, PAGE_S + 1))
    axes.grid(axis="x", color=FAINT, linewidth=0.6)
    axes.tick_params(colors=INK, labelsize=9, length=0)
    axes.set_xlabel("s", color=INK, fontsize=9)
    for side in axes.spines.values():
        side.set_visible(False)
    _scale_bar(axes, start_s, scale_uv, len(names))
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[:, :, :3].copy()


def _scale_bar(axes: "object", start_s: float, scale_uv: float, traces: int) -> None:
    x, y = start_s + PAGE_S - 0.12, 0.0 if traces == 1 else -traces + 1.0
    axes.plot([x, x], [y - 0.5, y + 0.5], color=MARK, linewidth=2)  # type: ignore[attr-defined]
    axes.text(
        x - 0.06,
        y,
        f"{scale_uv:g} µV",
        color=MARK,
        fontsize=9,
        ha="right",
        va="center",
        bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 1},
    )  # type: ignore[attr-defined]


def _annotations(annotations: list[tuple[float, float, str]], start_s: float) -> None:
    here = [a for a in annotations if start_s <= a[0] < start_s + PAGE_S]
    if here:
        st.caption("On this page: " + " · ".join(f"{onset:.1f} s {plain(text)}" for onset, _, text in here))
