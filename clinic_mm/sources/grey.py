"""From stored values of a radiograph to grey values as displayed: Modality LUT, VOI LUT, photometric interpretation.

In:  stored values and the data set that they belong to. Out: grey in [0, 1], larger is brighter.

Source: DICOM PS3.3 C.11.1 (Modality LUT), C.11.2 (VOI LUT), C.7.6.3.1.2 (photometric interpretation).
"""

from typing import Any, Final

import numpy as np
from jaxtyping import Bool, Float, Float32, Shaped
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_modality_lut, apply_voi

from clinic_mm.types import Flag

ROBUST_PERCENT: Final = (0.5, 99.5)
NO_WINDOW: Final = Flag(
    code="xray.no_window", why="No usable window in the header; scaled between percentiles 0.5 and 99.5"
)
Grey = Float32[np.ndarray, "row column"]


def to_grey(
    stored: Shaped[np.ndarray, "row column"], outside: Bool[np.ndarray, "row column"] | None, dataset: Dataset
) -> tuple[Grey, tuple[Flag, ...]]:
    """Grey values as displayed.

    Args:
        stored: Stored values.
        outside: Where they are padding, which becomes black.
        dataset: The header, for its lookup tables and windows.
    """
    values = _modality(stored, dataset)
    grey, flags = _value_of_interest(values, outside, dataset)
    grey = np.clip(grey, 0.0, 1.0)
    if str(dataset.PhotometricInterpretation).strip() == "MONOCHROME1":
        grey = 1.0 - grey
    if outside is not None:
        grey[outside] = 0.0
    return grey.astype(np.float32), flags


def window(
    values: Float[np.ndarray, "*space"], center: float, width: float, function: str = "LINEAR"
) -> Float[np.ndarray, "*space"]:
    """Values through a window, to [0, 1].

    Args:
        values: Output of the Modality LUT.
        center: Window Center (0028,1050).
        width: Window Width (0028,1051), at least 1 for LINEAR and above 0 otherwise.
        function: VOI LUT Function (0028,1056): LINEAR, LINEAR_EXACT or SIGMOID.

    Raises:
        ValueError: If the width or the function is none that the standard knows.

    Source: DICOM PS3.3 C.11.2.1.2.1, C.11.2.1.3.1, C.11.2.1.3.2.
    """
    if (width < 1 and function == "LINEAR") or width <= 0:
        message = "window width"
        raise ValueError(message)
    match function:
        case "LINEAR" if width == 1:
            return (values > center - 0.5).astype(np.float64)
        case "LINEAR":
            return np.clip((values - (center - 0.5)) / (width - 1) + 0.5, 0.0, 1.0)
        case "LINEAR_EXACT":
            return np.clip((values - center) / width + 0.5, 0.0, 1.0)
        case "SIGMOID":
            return 1.0 / (1.0 + np.exp(-4.0 * (values - center) / width))
        case _:
            message = "VOI LUT function"
            raise ValueError(message)


def _modality(stored: Shaped[np.ndarray, "row column"], dataset: Dataset) -> np.ndarray[Any, Any]:
    if dataset.get("ModalityLUTSequence"):
        return np.asarray(apply_modality_lut(stored, dataset))
    slope, intercept = dataset.get("RescaleSlope"), dataset.get("RescaleIntercept")
    if slope is None or intercept is None or float(slope) == 0.0:
        return stored
    if float(slope) == 1.0 and float(intercept) == 0.0:
        return stored
    return stored.astype(np.float64) * float(slope) + float(intercept)


def _value_of_interest(
    values: np.ndarray[Any, Any], outside: Bool[np.ndarray, "row column"] | None, dataset: Dataset
) -> tuple[Float[np.ndarray, "row column"], tuple[Flag, ...]]:
    """The first of a lookup table, a window, or the robust range of the picture itself."""
    if dataset.get("VOILUTSequence"):
        bits = int(dataset.VOILUTSequence[0].LUTDescriptor[2])
        whole = np.rint(values).astype(np.int64)
        return np.asarray(apply_voi(whole, dataset, index=0), np.float64) / (2**bits - 1), ()
    center, width = _first(dataset.get("WindowCenter")), _first(dataset.get("WindowWidth"))
    if center is not None and width is not None:
        function = str(dataset.get("VOILUTFunction") or "LINEAR").strip().upper()
        try:
            return window(values.astype(np.float64), center, width, function), ()
        except ValueError:
            pass
    measured = values if outside is None or outside.all() else values[~outside]
    low, high = np.percentile(measured, ROBUST_PERCENT)
    return (values.astype(np.float64) - low) / max(high - low, 1e-9), (NO_WINDOW,)


def _first(value: Any) -> float | None:  # noqa: ANN401  - one number, several, or none
    if value is None or (hasattr(value, "__len__") and len(value) == 0):
        return None
    return float(value[0] if hasattr(value, "__len__") and not isinstance(value, str) else value)
