"""A radiograph as int16 values before any window, and all that a screen needs to show it as it was meant to be.

In:  the one file of a radiograph. Out: a `FreshPicture`: one block [row, column], and how its values become grey.

    measured = slope * value + intercept                      the output of the Modality LUT
    grey     = window or table of (measured), 1 - grey where the lowest value is white (MONOCHROME1)

Padding has a value of its own and is black. A picture of more than 65,535 values is told in steps of equal size.
Nothing is turned: a picture hangs as it is stored, and letters say how, where the header does.

Source: DICOM PS3.3 C.11.1 (Modality LUT), C.11.2 (VOI LUT), C.7.6.3.1.2 (photometric interpretation), C.7.6.1.1.1.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Int16
from numpy import ndarray as Array

from clinic_mm.errors import EvidenceError
from clinic_mm.sources.walk import FileKind, sniff
from clinic_mm.sources.xray.grey import Window
from clinic_mm.sources.xray.image import StoredRadiograph, read_stored
from clinic_mm.sources.xray.lookup import Lookup
from clinic_mm.sources.xray.pictures import load_picture
from clinic_mm.types import Flag

PADDING: Final = int(np.iinfo(np.int16).min)
LOWEST: Final = PADDING + 1
STEPS: Final = int(np.iinfo(np.int16).max) - LOWEST
"""Between the lowest and the highest value that is none of padding."""
EXACT: Final = "LINEAR_EXACT"
TABLE: Final = "TABLE"
Picture = Int16[Array, "row column"]


class FreshPicture:
    """A radiograph in memory.

    Attributes:
        told: See the module: shape, slope, intercept, windows, table, inverted, spacing, letters, flags.
        shape: One block, rows, columns.
    """

    def __init__(self, values: Picture, told: dict[str, Any]) -> None:
        self.told = {"kind": "xray", "shape": list(values.shape), **told}
        self._values = values[None]
        self.shape = self._values.shape

    def read(self, first: int, stop: int) -> Int16[Array, "one row column"]:
        """The block, if it is asked for."""
        return self._values[first:stop]

    def whole(self) -> Int16[Array, "one row column"]:
        """The block."""
        return self._values


def picture(files: Sequence[Path]) -> FreshPicture:
    """One radiograph.

    Args:
        files: One DICOM, PNG or JPEG file.

    Raises:
        EvidenceError: As `sources.xray.image.load`, save that nothing is said of what the picture looks like.
    """
    if len(files) != 1:
        raise EvidenceError("xray.several_files", f"A radiograph is one file, not {len(files)}", "", "Give one file")
    if sniff(files[0]) is FileKind.PICTURE:
        return of_picture(*load_picture(files[0]))
    return of_dicom(read_stored(files[0]))


def of_picture(grey: Array, flags: Sequence[Flag]) -> FreshPicture:
    """One of a PNG or JPEG file: grey in [0, 1] is all that is known."""
    values = (np.rint(grey * STEPS) + LOWEST).astype(np.int16)
    told = {"slope": 1 / STEPS, "intercept": -LOWEST / STEPS, "windows": [_between(0.0, 1.0, "All values")]}
    return FreshPicture(values, {**told, **_said(flags=flags)})


def of_dicom(found: StoredRadiograph) -> FreshPicture:
    """One of a DICOM file.

    Raises:
        EvidenceError: `xray.bad_rescale` where its rescale gives no numbers.
    """
    transform, radiograph = found.transform, found.radiograph
    numbers, slope, intercept = found.stored, transform.slope, transform.intercept
    if transform.table is not None:
        numbers, slope, intercept = np.rint(transform.modality(found.stored.astype(np.float64))), 1.0, 0.0
    outside = found.outside
    measured = numbers if outside is None or outside.all() else numbers[~outside]
    low, high = float(measured.min()), float(measured.max())
    ends = sorted((slope * low + intercept, slope * high + intercept))
    if not np.isfinite(ends).all():
        what, where = "Rescale slope and intercept do not fit together", "RescaleSlope (0028,1053)"
        raise EvidenceError("xray.bad_rescale", what, where, "Export the image again")
    step = max(1.0, (high - low) / STEPS)
    values = (np.rint((np.clip(numbers, low, high) - low) / step) + LOWEST).astype(np.int16)
    if outside is not None:
        values[outside] = PADDING
    view = transform.view
    first = _first(view) if view else _between(*transform.shown_between(found.stored, outside), "As shown first")
    told = {
        "slope": slope * step,
        "intercept": slope * (low - step * LOWEST) + intercept,
        "windows": [first, _between(ends[0], ends[1], "All values")],
        "table": _table(view) if isinstance(view, Lookup) else None,
    }
    said = _said(
        flags=transform.flags,
        inverted=transform.inverted,
        spacing_mm=None if radiograph.spacing_mm is None else list(radiograph.spacing_mm),
        spacing_at=radiograph.spacing_at,
        letters=None if radiograph.orientation is None else list(radiograph.orientation),
        view_position=radiograph.view_position,
    )
    return FreshPicture(values, {**told, **said})


def _said(
    *,
    flags: Sequence[Flag],
    inverted: bool = False,
    spacing_mm: list[float] | None = None,
    spacing_at: str = "",
    letters: list[str] | None = None,
    view_position: str = "",
) -> dict[str, Any]:
    return {
        "padding": PADDING,
        "inverted": inverted,
        "spacing_mm": spacing_mm,
        "spacing_at": spacing_at,
        "letters": letters,
        "view_position": view_position,
        "flags": [flag.model_dump() for flag in flags],
    }


def _first(view: Window | Lookup) -> dict[str, Any]:
    """The view of the file: the window, or the range that its table is for."""
    if isinstance(view, Lookup):
        count = len(view.entries)
        return {"name": "Of the file", "center": view.first + count / 2, "width": float(count), "function": TABLE}
    return {"name": "Of the file", "center": view.center, "width": view.width, "function": view.function}


def _between(low: float, high: float, name: str) -> dict[str, Any]:
    return {"name": name, "center": (low + high) / 2, "width": max(high - low, 1e-9), "function": EXACT}


def _table(view: Lookup) -> dict[str, Any]:
    return {"first": view.first, "highest": view.highest, "entries": view.entries.tolist()}
