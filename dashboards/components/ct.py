"""Show a CT series: the canvas viewer, and in words what it shows, for who has no canvas.

In:  the address of a study (its slices travel over guarded routes), stored facts of it, stored attention. Out: a tile.

Nothing is decoded here. Patient's right is on the left of axial and coronal planes, anterior on the left of sagittal.
"""

from datetime import datetime
from functools import cache
from typing import Any

import streamlit as st

from clinic_mm.bundle import policy
from clinic_mm.report.saliency_store import Saliency
from clinic_mm.types import Evidence
from components.beside import moment
from components.canvas.mount import mount
from components.keys import keymap
from components.plain import plain
from components.saliency import attention, legend


@st.fragment
def view_ct(
    address: str,
    key: str,
    evidence: Evidence,
    at: datetime | None = None,
    saliency: Saliency | None = None,
    case: str = "",
) -> None:
    """The tile of one CT series.

    Args:
        address: Where its slices are served.
        key: Of its widgets.
        evidence: What ingest noted of it.
        at: The decision time.
        saliency: What is stored of it and may be shown.
        case: Whose time cursor it shares, and whose priors it offers.
    """
    shown = {"address": address, "keymap": keymap("ct"), "windows": windows(), "attention": attention(saliency)}
    data = {**shown, **moment(case, "ct", evidence, at)}
    mount("ct", f"{key}-canvas", data)
    st.caption(plain(in_words(evidence)))
    if saliency is not None:
        st.caption(legend(saliency))


@cache
def windows() -> list[dict[str, Any]]:
    """The windows of `schemas/ct_windows.toml`, as the viewer takes them (DICOM PS3.3 C.11.2.1.3.2)."""
    return [{**row, "function": "LINEAR_EXACT"} for row in policy("ct_windows")["windows"]]


def in_words(evidence: Evidence) -> str:
    """Voxels, their size, and what was seen on reading."""
    shape, spacing = evidence.meta.get("shape"), evidence.meta.get("spacing_mm")
    parts = []
    if isinstance(shape, list) and isinstance(spacing, list):
        across = " × ".join(f"{float(str(mm)):.2f}" for mm in spacing)
        parts.append(f"{' × '.join(str(n) for n in shape)} voxels of {across} mm")
    parts += [flag.why for flag in evidence.flags]
    return " · ".join(parts) or "Size not known before it is read"
