"""Show a radiograph: the canvas viewer, and in words what it shows, for who has no canvas.

In:  the address of a study (its pixels travel over guarded routes), stored facts of it, stored attention. Out: a tile.

Nothing is decoded here.
"""

from datetime import datetime

import streamlit as st

from clinic_mm.report.saliency_store import Saliency
from clinic_mm.types import Evidence
from components.beside import moment
from components.canvas.mount import mount
from components.keys import keymap
from components.plain import plain
from components.saliency import attention, legend


@st.fragment
def view_xray(
    address: str,
    key: str,
    evidence: Evidence,
    at: datetime | None = None,
    saliency: Saliency | None = None,
    case: str = "",
) -> None:
    """The tile of one radiograph.

    Args:
        address: Where its pixels are served.
        key: Of its widgets.
        evidence: What ingest noted of it.
        at: The decision time.
        saliency: What is stored of it and may be shown.
        case: Whose time cursor it shares, and whose priors it offers.
    """
    shown = {"address": address, "keymap": keymap("xray"), "attention": attention(saliency)}
    data = {**shown, **moment(case, "xray", evidence, at)}
    mount("xray", f"{key}-canvas", data)
    st.caption(plain(in_words(evidence)))
    if saliency is not None:
        st.caption(legend(saliency))


def in_words(evidence: Evidence) -> str:
    """View, size, the size of a pixel, and what was seen on reading."""
    view, shape, spacing = (evidence.meta.get(name) for name in ("view_position", "shape", "spacing_mm"))
    parts = [f"View {view}" if view else "View not stated"]
    if isinstance(shape, list):
        parts.append(f"{' × '.join(str(n) for n in shape)} pixels{_of_mm(spacing)}")
    return " · ".join([*parts, *(flag.why for flag in evidence.flags)])


def _of_mm(spacing: object) -> str:
    if not isinstance(spacing, list):
        return ", pixel size unknown"
    return f" of {' × '.join(f'{float(str(mm)):.2f}' for mm in spacing)} mm"
