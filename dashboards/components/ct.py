"""Show a CT series: axial, coronal and sagittal planes in radiological orientation, with the usual windows.

In:  a `CtVolume` (RAS: indices grow toward Right, Anterior, Superior). Out: three PNG images and their controls.

Patient's right is on the left of axial and coronal images; anterior is on the left of sagittal ones.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
import streamlit as st
from PIL import Image, ImageDraw

from clinic_mm.signals import CtVolume

WINDOWS_HU: Final = {
    "Lung": (-600.0, 1500.0),
    "Mediastinum": (40.0, 400.0),
    "Bone": (400.0, 1800.0),
    "Brain": (40.0, 80.0),
}
"""Level and width in Hounsfield units, as on most workstations."""
AXIAL_PX, SIDE_PX, LINE_PX = 768, 576, 18
INK, MARK = "white", "#e3a857"

Grey = npt.NDArray[np.uint8]


@st.fragment
def view_ct(volume: CtVolume, key: str) -> None:
    """The tile of one CT series."""
    window = st.segmented_control("Window", list(WINDOWS_HU), default="Lung", key=f"{key}-window", required=True)
    at = _sliders(volume.hu.shape, key)
    planes = planes_at(volume, at, str(window))
    left, right = st.columns([4, 3])
    left.image(planes["axial"], output_format="PNG", alt="Axial CT slice", width="stretch")
    right.image(planes["coronal"], output_format="PNG", alt="Coronal CT slice", width="stretch")
    right.image(planes["sagittal"], output_format="PNG", alt="Sagittal CT slice", width="stretch")
    level, width = WINDOWS_HU[str(window)]
    spacing = " × ".join(f"{mm:.2f}" for mm in volume.spacing_mm)
    shape = " × ".join(str(n) for n in volume.hu.shape)
    st.caption(
        f"Level {level:g} HU, width {width:g} HU · {shape} voxels of {spacing} mm · amber marks: the other planes"
    )


def planes_at(volume: CtVolume, at: tuple[int, int, int], window: str) -> dict[str, Grey]:
    """Axial, coronal and sagittal images through one voxel.

    Args:
        volume: The series.
        at: Index toward Right, Anterior, Superior.
        window: A name of WINDOWS_HU.
    """
    (x, y, z), (dx, dy, dz), hu = at, volume.spacing_mm, volume.hu
    nx, ny, nz = hu.shape
    axial = _plane(hu[::-1, ::-1, z].T, window, (dy, dx), (ny - 1 - y, nx - 1 - x), "RLAP", AXIAL_PX)
    coronal = _plane(hu[::-1, y, ::-1].T, window, (dz, dx), (nz - 1 - z, nx - 1 - x), "RLHF", SIDE_PX)
    sagittal = _plane(hu[x, ::-1, ::-1].T, window, (dz, dy), (nz - 1 - z, ny - 1 - y), "APHF", SIDE_PX)
    return {"axial": axial, "coronal": coronal, "sagittal": sagittal}


def to_grey(hu: npt.NDArray[np.floating], window: str) -> Grey:
    """Hounsfield units to 8-bit grey through a window (DICOM PS3.3 C.11.2.1.3, linear, exact)."""
    level, width = WINDOWS_HU[window]
    return (np.clip((np.nan_to_num(hu, nan=-1000.0) - level) / width + 0.5, 0, 1) * 255).round().astype(np.uint8)


def _sliders(shape: tuple[int, ...], key: str) -> tuple[int, int, int]:
    names = ("Sagittal (left → right)", "Coronal (back → front)", "Axial (feet → head)")
    columns = st.columns(3)
    found = [0, 0, 0]
    for place, axis in enumerate((2, 1, 0)):
        last = shape[axis] - 1
        if last > 0:
            found[axis] = columns[place].slider(names[axis], 0, last, last // 2, key=f"{key}-{axis}")
    return found[0], found[1], found[2]


def _plane(
    hu: npt.NDArray[np.floating],
    window: str,
    spacing: tuple[float, float],
    cross: tuple[int, int],
    letters: str,
    longest: int,
) -> Grey:
    """One image with square pixels in mm, a cross line pair at its edges and four letters of orientation."""
    rows, columns = hu.shape[0] * spacing[0], hu.shape[1] * spacing[1]
    scale = longest / max(rows, columns)
    size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    image = Image.fromarray(to_grey(hu, window)).resize(size, Image.Resampling.BILINEAR).convert("RGB")
    _mark(image, (cross[0] + 0.5) / hu.shape[0], (cross[1] + 0.5) / hu.shape[1], letters)
    return np.asarray(image)


def _mark(image: Image.Image, down: float, across: float, letters: str) -> None:
    """Short lines at the edges only, so that nothing hides tissue; letters beside the corners, off the lines."""
    pen, (wide, high) = ImageDraw.Draw(image), image.size
    x, y = across * wide, down * high
    pen.line([(x, high - LINE_PX), (x, high)], fill=MARK, width=2)
    pen.line([(wide - LINE_PX, y), (wide, y)], fill=MARK, width=2)
    left, right, top, bottom = letters
    places = {
        left: (6, high * 0.4),
        right: (wide - 18, high * 0.4),
        top: (wide * 0.4, 4),
        bottom: (wide * 0.4, high - 24),
    }
    for letter, place in places.items():
        pen.text(place, letter, fill=INK, font_size=18, stroke_width=2, stroke_fill="black")
