"""Show an EEG: the canvas viewer, and in words what it shows, for who has no canvas.

In:  the address of a study (its samples travel over guarded routes), stored facts of it, stored attention. Out: a tile.

Nothing is decoded here.
"""

from datetime import datetime
from functools import cache
from typing import Any

import streamlit as st

from clinic_mm.bundle import policy
from clinic_mm.report.saliency_store import Saliency
from clinic_mm.types import Evidence
from components.beside import taken_h
from components.canvas.mount import mount
from components.eeg_saliency import attention
from components.keys import keymap
from components.plain import plain


@st.fragment
def view_eeg(
    address: str,
    key: str,
    evidence: Evidence,
    at: datetime | None = None,
    saliency: Saliency | None = None,
    case: str = "",
) -> None:
    """The tile of one EEG.

    Args:
        address: Where its samples are served.
        key: Of its widgets.
        evidence: What ingest noted of it.
        at: The decision time.
        saliency: What is stored of it and may be shown.
        case: Whose time cursor it shares.
    """
    data = {
        "address": address,
        "case": case,
        "keymap": keymap("eeg"),
        "view": view_choices(),
        "starts_h": taken_h(evidence, at),
        "attention": attention(saliency),
    }
    mount("eeg", f"{key}-canvas", data, style="eeg.css")
    st.caption(plain(in_words(evidence)))


@cache
def view_choices() -> dict[str, Any]:
    """What a reader may choose (`schemas/eeg_view.toml`)."""
    return policy("eeg_view")


def in_words(evidence: Evidence) -> str:
    """Channels, rate, length, and what was seen on reading."""
    channels, sfreq_hz, length_s = (evidence.meta.get(name) for name in ("n_channels", "sfreq_hz", "duration_s"))
    parts = [f"{channels} channels"] if channels else []
    parts += [f"{float(str(sfreq_hz)):g} Hz"] if sfreq_hz else []
    parts += [f"{float(str(length_s)):.0f} s in all"] if length_s else []
    return " · ".join([*parts, *(flag.why for flag in evidence.flags)])
