"""Show a recorded sound as waveform and spectrogram, in pages of ten seconds, and let it be heard.

In:  an `AudioRecording`. Out: one PNG a page, and a player.

Nothing is filtered. Decibels are relative to the loudest cell of the page: the recorder's gain is not known.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
import streamlit as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy.signal import resample_poly

from clinic_mm.prep.log_mel import power_frames
from clinic_mm.signals import AudioRecording

PAGE_S: Final = 10.0
FRAME_S, HOP_S = 0.064, 0.008
RANGE_DB: Final = 70.0
LEAST_PLAYED_HZ: Final = 8000
"""Browsers play no slower rate: a heart sound of 2000 Hz is resampled to be heard."""
INK, PAPER, TRACE = "#d2dae1", "#0e1216", "#6cb2e8"


@st.fragment
def view_audio(sound: AudioRecording, key: str) -> None:
    """The tile of one recording."""
    length_s = len(sound.wave) / sound.sfreq_hz
    pages = max(1, int(np.ceil(length_s / PAGE_S - 1e-9)))
    page = st.slider(f"Page of {PAGE_S:g} s", 1, pages, 1, key=f"{key}-page") if pages > 1 else 1
    first = round((page - 1) * PAGE_S * sound.sfreq_hz)
    wave = sound.wave[first : first + round(PAGE_S * sound.sfreq_hz)]
    picture = drawn(wave, sound.sfreq_hz, first / sound.sfreq_hz)
    st.image(picture, output_format="PNG", alt="Waveform above spectrogram", width="stretch")
    played, rate_hz = to_play(wave, sound.sfreq_hz)
    st.audio(played, sample_rate=rate_hz)
    st.caption(f"{sound.sfreq_hz:g} Hz · {length_s:.1f} s in all · no filter · the player is set to full loudness")


def to_play(wave: npt.NDArray[np.float32], sfreq_hz: float) -> tuple[npt.NDArray[np.float64], int]:
    """Samples as loud as they can be, at a rate that browsers play."""
    up = max(1, int(np.ceil(LEAST_PLAYED_HZ / sfreq_hz)))
    x = wave.astype(np.float64) - wave.mean()
    x = resample_poly(x, up, 1) if up > 1 else x
    return x / max(float(np.abs(x).max()), 1e-9), round(sfreq_hz * up)


def spectrogram_db(
    wave: npt.NDArray[np.float32], sfreq_hz: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Decibels [bin, frame] relative to the loudest cell, at most 70 below it, and the frequency of each bin."""
    n = min(len(wave), max(16, round(FRAME_S * sfreq_hz)))
    power = power_frames(wave.astype(np.float64) - wave.mean(), n, max(1, round(HOP_S * sfreq_hz))).T
    db = 10 * np.log10(power / max(float(power.max()), 1e-20) + 10 ** (-RANGE_DB / 10))
    return db, np.arange(power.shape[0]) * sfreq_hz / n


def drawn(wave: npt.NDArray[np.float32], sfreq_hz: float, start_s: float) -> npt.NDArray[np.uint8]:
    """Waveform above spectrogram, on one time axis."""
    figure = Figure(figsize=(14, 4.6), dpi=110, facecolor=PAPER)
    upper = figure.add_axes((0.062, 0.66, 0.925, 0.32), facecolor=PAPER)
    lower = figure.add_axes((0.062, 0.11, 0.925, 0.5), facecolor=PAPER)
    seconds = start_s + np.arange(len(wave)) / sfreq_hz
    stop_s = start_s + len(wave) / sfreq_hz
    upper.plot(seconds, wave, color=TRACE, linewidth=0.5)
    upper.set_ylabel("share of\nfull scale", color=INK, fontsize=9)
    upper.set_xticks([])
    db, hz = spectrogram_db(wave, sfreq_hz)
    lower.imshow(db, origin="lower", aspect="auto", cmap="magma", extent=(start_s, stop_s, 0.0, float(hz[-1]) / 1000))
    lower.set_ylabel("kHz", color=INK, fontsize=9)
    lower.set_xlabel("s", color=INK, fontsize=9)
    for axes in (upper, lower):
        axes.set_xlim(start_s, stop_s)
        axes.tick_params(colors=INK, labelsize=9, length=0)
        for side in axes.spines.values():
            side.set_visible(False)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[:, :, :3].copy()
