"""Show a CT series: axial, coronal and sagittal planes in radiological orientation, with the usual windows.

In:  a `CtVolume` (RAS: indices grow toward Right, Anterior, Superior). Out: three PNG images and their controls.

Patient's right is on the left of axial and coronal images; anterior is on the left of sagittal ones.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
import streamlit as st
from PIL import Image, ImageDraw

from clinic_mm.report.saliency_store import Saliency
from clinic_mm.signals import CtVolume
from components.saliency import coloured, full_colour, positions, sampled, strongest, switched_on

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
Heat = tuple[npt.NDArray[np.float64], float]


@st.fragment
def view_ct(volume: CtVolume, key: str, saliency: Saliency | None = None) -> None:
    """The tile of one CT series; it opens where the stored saliency is strongest, where there is one."""
    window = st.segmented_control("Window", list(WINDOWS_HU), default="Lung", key=f"{key}-window", required=True)
    at = _sliders(volume.hu.shape, key, _start(volume.hu.shape, saliency))
    planes = planes_at(volume, at, str(window), switched_on(saliency, key))
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


def planes_at(
    volume: CtVolume, at: tuple[int, int, int], window: str, saliency: Saliency | None = None
) -> dict[str, Grey]:
    """Axial, coronal and sagittal images through one voxel.

    Args:
        volume: The series.
        at: Index toward Right, Anterior, Superior.
        window: A name of WINDOWS_HU.
        saliency: What is laid over them.
    """
    (x, y, z), (dx, dy, dz), hu = at, volume.spacing_mm, volume.hu
    nx, ny, nz = hu.shape
    axial = _plane(hu[::-1, ::-1, z].T, window, (dy, dx), AXIAL_PX, _heat(saliency, hu.shape, z=z))
    coronal = _plane(hu[::-1, y, ::-1].T, window, (dz, dx), SIDE_PX, _heat(saliency, hu.shape, y=y))
    sagittal = _plane(hu[x, ::-1, ::-1].T, window, (dz, dy), SIDE_PX, _heat(saliency, hu.shape, x=x))
    _mark(axial, (ny - y - 0.5) / ny, (nx - x - 0.5) / nx, "RLAP")
    _mark(coronal, (nz - z - 0.5) / nz, (nx - x - 0.5) / nx, "RLHF")
    _mark(sagittal, (nz - z - 0.5) / nz, (ny - y - 0.5) / ny, "APHF")
    return {"axial": np.asarray(axial), "coronal": np.asarray(coronal), "sagittal": np.asarray(sagittal)}


def _heat(saliency: Saliency | None, shape: tuple[int, ...], **at: int) -> Heat | None:
    """The stored map in one plane, turned as the images are, and what its full colour stands for."""
    if saliency is None:
        return None
    places = {
        name: np.array([at[name]]) if name in at else positions(n)[::-1] for name, n in zip("xyz", shape, strict=True)
    }
    return np.squeeze(sampled(saliency, places), axis="xyz".index(next(iter(at)))).T, full_colour(saliency)


def to_grey(hu: npt.NDArray[np.floating], window: str) -> Grey:
    """Hounsfield units to 8-bit grey through a window (DICOM PS3.3 C.11.2.1.3, linear, exact)."""
    level, width = WINDOWS_HU[window]
    return (np.clip((np.nan_to_num(hu, nan=-1000.0) - level) / width + 0.5, 0, 1) * 255).round().astype(np.uint8)


def _start(shape: tuple[int, ...], saliency: Saliency | None) -> tuple[int, ...]:
    """The voxel to open at: the middle, or where hiding changes the answer most."""
    if saliency is None:
        return tuple((n - 1) // 2 for n in shape)
    at = strongest(saliency)
    return tuple(min(n - 1, max(0, round(at[name]))) for name, n in zip("xyz", shape, strict=True))


def _sliders(shape: tuple[int, ...], key: str, start: tuple[int, ...]) -> tuple[int, int, int]:
    names = ("Sagittal (left → right)", "Coronal (back → front)", "Axial (feet → head)")
    columns = st.columns(3)
    found = [0, 0, 0]
    for place, axis in enumerate((2, 1, 0)):
        last = shape[axis] - 1
        if last > 0:
            found[axis] = columns[place].slider(names[axis], 0, last, start[axis], key=f"{key}-{axis}")
    return found[0], found[1], found[2]


def _plane(
    hu: npt.NDArray[np.floating], window: str, spacing: tuple[float, float], longest: int, heat: Heat | None
) -> Image.Image:
    """One image with square pixels in mm, and the stored saliency over it."""
    rows, columns = hu.shape[0] * spacing[0], hu.shape[1] * spacing[1]
    scale = longest / max(rows, columns)
    size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    image = Image.fromarray(to_grey(hu, window)).resize(size, Image.Resampling.BILINEAR).convert("RGB")
    return image if heat is None else coloured(image, *heat)


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
