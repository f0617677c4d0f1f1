"""A small picture of a study, to know a case again in a list: never to read it.

In:  a `Readable` of a CT or a radiograph (`viewing.study`). Out: grey of 8 bits, at most PX a side, and its PNG.

Of a CT the middle axial slice, hung as the viewer hangs it (patient's right on the left, front at the top), in the
soft-tissue window. A radiograph as its file says it is shown first. Pixels that are not square become so.
"""

from io import BytesIO
from typing import Any, Final

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray as Array
from PIL import Image

from clinic_mm.bundle import policy
from clinic_mm.sources.xray.grey import Window
from clinic_mm.viewing.picture import EXACT, TABLE
from clinic_mm.viewing.volume import Readable

PX: Final = 96
FINE: Final = 4
"""Before pixels are averaged, so many for each of the small picture are enough."""
WINDOW: Final = "Mediastinum"
Small = UInt8[Array, "row column"]


def thumb(view: Readable) -> Small:
    """The small picture of a study.

    Source: DICOM PS3.3 C.11.2.1.3.2 (window), C.7.6.3.1.2 (MONOCHROME1).
    """
    if view.told["kind"] == "ct":
        return _small(*_slice(view))
    return _small(*_radiograph(view))


def png(small: Small) -> bytes:
    """As a browser takes it: PNG, without a word of text in it."""
    file = BytesIO()
    Image.fromarray(small).save(file, "PNG")
    return file.getvalue()


def _slice(view: Readable) -> tuple[Float[Array, "row column"], float]:
    """Grey of the middle axial slice, and how much taller than wide a pixel is."""
    middle = view.told["shape"][2] // 2
    hu = view.read(middle, middle + 1)[0][::-1, ::-1]
    window = next(row for row in policy("ct_windows")["windows"] if row["name"] == WINDOW)
    wide, tall = view.told["spacing_mm"][:2]
    grey = Window(window["center"], window["width"], EXACT)(hu.astype(np.float64))
    return grey, tall / wide


def _radiograph(view: Readable) -> tuple[Float[Array, "row column"], float]:
    told, values = view.told, view.whole()[0]
    step = max(1, min(values.shape) // (FINE * PX))
    values = values[::step, ::step]
    grey = _through(told, told["slope"] * values.astype(np.float64) + told["intercept"])
    grey = 1.0 - grey if told["inverted"] else grey
    tall, wide = told["spacing_mm"] or (1.0, 1.0)
    return np.where(values == told["padding"], 0.0, grey), tall / wide


def _through(told: dict[str, Any], measured: Float[Array, "row column"]) -> Float[Array, "row column"]:
    """The view that is shown first: a window, or the table of the file."""
    first = told["windows"][0]
    if first["function"] != TABLE:
        return np.asarray(Window(first["center"], first["width"], first["function"])(measured))
    entries = np.asarray(told["table"]["entries"], np.float64)
    place = np.rint(measured).astype(np.int64) - told["table"]["first"]
    return np.asarray(entries[np.clip(place, 0, len(entries) - 1)] / told["table"]["highest"])


def _small(grey: Float[Array, "row column"], tall: float) -> Small:
    """Averaged to at most PX a side, pixels square."""
    height, width = grey.shape[0] * tall, float(grey.shape[1])
    scale = PX / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    whole = np.rint(255 * np.clip(np.nan_to_num(grey), 0.0, 1.0)).astype(np.uint8)
    return np.asarray(Image.fromarray(whole).resize(size, Image.Resampling.BOX), np.uint8)
