"""Show a radiograph as it was meant to be displayed, with brightness, contrast and inversion."""

import numpy as np
import streamlit as st
from PIL import Image

from clinic_mm.report.saliency_store import Saliency
from clinic_mm.signals import XrayImage
from components.plain import plain
from components.saliency import coloured, full_colour, positions, sampled, switched_on

LONGEST_PX = 900


@st.fragment
def view_xray(image: XrayImage, key: str, saliency: Saliency | None = None) -> None:
    """The tile of one radiograph; the stored saliency over it, where there is one and it is switched on."""
    low, high = st.slider("Grey range shown (%)", 0, 100, (0, 100), key=f"{key}-range")
    inverted = st.toggle("Invert", key=f"{key}-invert")
    grey = np.clip((np.nan_to_num(image.grey) - low / 100) / max((high - low) / 100, 0.01), 0, 1)
    shown = Image.fromarray(((1 - grey if inverted else grey) * 255).round().astype(np.uint8))
    fitted = _fitted(shown, image.spacing_mm)
    if over := switched_on(saliency, key):
        rows, columns = (positions(n) for n in image.grey.shape)
        fitted = coloured(fitted, sampled(over, {"row": rows, "column": columns}), full_colour(over))
    st.image(np.asarray(fitted), output_format="PNG", alt="Radiograph", width="stretch")
    view = f"View {plain(image.view_position)}" if image.view_position else "View not stated"
    rows, columns = image.grey.shape
    st.caption(f"{view} · {rows} × {columns} pixels{_spacing(image.spacing_mm)}")


def _fitted(image: Image.Image, spacing_mm: tuple[float, float] | None) -> Image.Image:
    down, across = spacing_mm or (1.0, 1.0)
    wide, high = image.width * across, image.height * down
    scale = LONGEST_PX / max(wide, high)
    return image.resize((max(1, round(wide * scale)), max(1, round(high * scale))), Image.Resampling.BILINEAR)


def _spacing(spacing_mm: tuple[float, float] | None) -> str:
    return f" of {spacing_mm[0]:.2f} × {spacing_mm[1]:.2f} mm" if spacing_mm else ", pixel size unknown"
