"""From stored values of a radiograph to grey values as displayed, the one way that all radiographs take.

In:  the data set of a grey picture, then its stored values.
Out: grey in [0, 1], larger is brighter, equal for a MONOCHROME1 picture and its MONOCHROME2 twin; what was chosen, in
     flags. Stored value -> Modality LUT or rescale -> VOI LUT or window -> presentation.

Of several views the first is taken: the standard gives their order no meaning, and displays begin with it.

Source: DICOM PS3.3 C.11.1 (Modality LUT), C.11.2 (VOI LUT), C.11.6 and C.8.11.3.1.2 (presentation), C.7.6.3.1.2
(photometric interpretation).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64
from pydicom.dataset import Dataset

from clinic_mm.errors import EvidenceError
from clinic_mm.sources.dicom.layout import EXPLICIT_BIG, Layout, Stored
from clinic_mm.sources.xray.lookup import Lookup, read_lookup
from clinic_mm.types import Flag

ROBUST_PERCENT: Final = (0.5, 99.5)
DECIMALS: Final = 6
"""Grey is rounded to a millionth, so that a picture and its inverted twin are equal, not nearly equal."""
TABLE_BITS: Final = 16
Grey = Float32[np.ndarray, "row column"]
Values: TypeAlias = Float64[np.ndarray, " value"]


@dataclass(frozen=True, slots=True)
class Window:
    """Window Center (0028,1050), Window Width (0028,1051) and VOI LUT Function (0028,1056)."""

    center: float
    width: float
    function: str = "LINEAR"

    def usable(self) -> bool:
        """Whether the standard knows such a window: a width of at least 1 for LINEAR, above 0 otherwise."""
        if not np.isfinite([self.center, self.width]).all():
            return False
        return self.width >= 1 if self.function == "LINEAR" else self.function in FUNCTIONS and self.width > 0

    def __call__(self, values: Float[np.ndarray, "*space"]) -> Float[np.ndarray, "*space"]:
        """Values through the window, to [0, 1]. Source: DICOM PS3.3 C.11.2.1.2.1, C.11.2.1.3.1, C.11.2.1.3.2."""
        with np.errstate(over="ignore"):
            return FUNCTIONS[self.function](values, self.center, self.width)


def _linear(values: np.ndarray, center: float, width: float) -> np.ndarray:
    if width == 1:
        return (values > center - 0.5).astype(np.float64)
    return np.clip((values - (center - 0.5)) / (width - 1) + 0.5, 0.0, 1.0)


def _linear_exact(values: np.ndarray, center: float, width: float) -> np.ndarray:
    return np.clip((values - center) / width + 0.5, 0.0, 1.0)


def _sigmoid(values: np.ndarray, center: float, width: float) -> np.ndarray:
    return np.asarray(1.0 / (1.0 + np.exp(np.clip(-4.0 * (values - center) / width, -700.0, 700.0))))


FUNCTIONS: Final[dict[str, Callable[[np.ndarray, float, float], np.ndarray]]] = {
    "LINEAR": _linear,
    "LINEAR_EXACT": _linear_exact,
    "SIGMOID": _sigmoid,
}


@dataclass(frozen=True, slots=True)
class GreyTransform:
    """How the stored values of one picture become grey.

    Attributes:
        table: The Modality LUT, where there is one.
        slope: Rescale Slope (0028,1053), used without a table.
        intercept: Rescale Intercept (0028,1052), used without a table.
        view: The VOI LUT or window; None where the header offers none.
        whole: Lowest and highest output of the Modality LUT that a picture of 8 bits or less can have: what it is
            shown by without a view. None for deeper pictures, which are shown between percentiles.
        inverted: Whether the lowest value is white.
        flags: What was chosen.
    """

    table: Lookup | None
    slope: float
    intercept: float
    view: Lookup | Window | None
    whole: tuple[float, float] | None
    inverted: bool
    flags: tuple[Flag, ...]

    def __call__(self, stored: Stored, outside: Bool[np.ndarray, "row column"] | None) -> Grey:
        """Grey values of a picture.

        Args:
            stored: Stored values.
            outside: Where they are padding, which becomes black and counts in no percentile.
        """
        distinct, place = _distinct(stored)
        levels = self.modality(distinct.astype(np.float64))
        if not np.isfinite(levels).all():
            raise _bad_rescale()
        if isinstance(self.view, Lookup):
            grey = self.view(levels) / self.view.highest
        elif self.view is not None:
            grey = self.view(levels)
        else:
            low, high = self.shown_between(stored, outside)
            grey = np.clip((levels - low) / max(high - low, 1e-9), 0.0, 1.0)
        shown = np.round(1.0 - grey if self.inverted else grey, DECIMALS).astype(np.float32)
        picture: Grey = shown[place]
        if outside is not None:
            picture[outside] = 0.0
        return picture

    def shown_between(self, stored: Stored, outside: Bool[np.ndarray, "row column"] | None) -> tuple[float, float]:
        """What is black and what is white in a picture whose header offers no view, as outputs of the Modality LUT."""
        return self.whole or _robust_range(stored, outside, self)

    def modality(self, values: Values) -> Values:
        """Stored values to what the manufacturer measured: the Modality LUT or the rescale."""
        if self.table is not None:
            return self.table(values)
        with np.errstate(over="ignore", invalid="ignore"):  # a senseless slope is refused, not warned of
            return values * self.slope + self.intercept


def read_transform(dataset: Dataset, layout: Layout) -> GreyTransform:
    """What the header says of how to show its picture.

    Raises:
        EvidenceError: `xray.bad_table`, `xray.bad_rescale`, or `xray.presentation` for a presentation that no image
            object has.
    """
    big = layout.transfer_syntax == EXPLICIT_BIG
    flags: list[Flag] = []
    table = None
    if items := _items(dataset, "ModalityLUTSequence"):
        table = read_lookup(items[0], signed=layout.signed, big_endian=big, name="ModalityLUTSequence")
    slope, intercept = (1.0, 0.0) if table else _rescale(dataset)
    lowest, highest = _range_after(layout, table, slope, intercept)
    view = _view(dataset, flags, negative=lowest < 0, big=big)
    whole = (lowest, highest) if layout.bits_stored <= 8 and table is None else None
    if view is None:
        how = "the whole range of its 8 bits" if whole else "percentiles 0.5 and 99.5"
        flags.append(Flag(code="xray.no_window", why=f"No usable window in the header; shown by {how}"))
    return GreyTransform(table, slope, intercept, view, whole, _inverted(dataset, layout, flags), tuple(flags))


def _distinct(stored: Stored) -> tuple[np.ndarray, np.ndarray]:
    """All values that can occur, and where each pixel's stands: what follows is done once per value, not per pixel."""
    low, high = int(stored.min()), int(stored.max())
    if high - low < 1 << TABLE_BITS:
        return np.arange(low, high + 1), np.subtract(stored, low, dtype=np.int64 if stored.itemsize > 2 else np.int32)
    distinct, place = np.unique(stored, return_inverse=True)
    return distinct, place.reshape(stored.shape)


def _robust_range(
    stored: Stored, outside: Bool[np.ndarray, "row column"] | None, transform: GreyTransform
) -> tuple[float, float]:
    measured = stored if outside is None or outside.all() else stored[~outside]
    ends = transform.modality(np.percentile(measured, ROBUST_PERCENT))
    return float(ends.min()), float(ends.max())


def _rescale(dataset: Dataset) -> tuple[float, float]:
    slope, intercept = _number(dataset, "RescaleSlope"), _number(dataset, "RescaleIntercept")
    if slope == 0.0 or (slope is None) != (intercept is None):
        raise _bad_rescale()
    return (1.0, 0.0) if slope is None or intercept is None else (slope, intercept)


def _bad_rescale() -> EvidenceError:
    what = "Rescale slope and intercept do not fit together"
    return EvidenceError("xray.bad_rescale", what, "RescaleSlope (0028,1053)", "Export the image again")


def _range_after(layout: Layout, table: Lookup | None, slope: float, intercept: float) -> tuple[float, float]:
    """Lowest and highest value that can leave the Modality LUT."""
    if table is not None:
        return 0.0, float(table.highest)
    half = 1 << (layout.bits_stored - 1)
    ends = (-half, half - 1) if layout.signed else (0, 2 * half - 1)
    low, high = sorted(end * slope + intercept for end in ends)
    return low, high


def _view(dataset: Dataset, flags: list[Flag], *, negative: bool, big: bool) -> Lookup | Window | None:
    tables = _items(dataset, "VOILUTSequence")
    function = str(dataset.get("VOILUTFunction") or "LINEAR").strip(" \0").upper()
    pairs = zip(_numbers(dataset, "WindowCenter"), _numbers(dataset, "WindowWidth"), strict=False)
    windows = [one for center, width in pairs if (one := Window(center, width, function)).usable()]
    if len(tables) + len(windows) > 1:
        which = "table" if tables else "window"
        why = f"The header offers {len(tables)} table(s) and {len(windows)} window(s); the first {which} is used"
        flags.append(Flag(code="xray.several_views", why=why))
    if tables:
        return read_lookup(tables[0], signed=negative, big_endian=big, name="VOILUTSequence")
    return windows[0] if windows else None


def _inverted(dataset: Dataset, layout: Layout, flags: list[Flag]) -> bool:
    """Photometric Interpretation decides; Presentation LUT Shape of an image object only repeats it."""
    if _items(dataset, "PresentationLUTSequence"):
        where = "PresentationLUTSequence (2050,0010)"
        raise EvidenceError("xray.presentation", "The image carries a table for printing", where, "Send the image")
    inverted = layout.photometric == "MONOCHROME1"
    shape = str(dataset.get("PresentationLUTShape") or "").strip(" \0").upper()
    if shape in {"IDENTITY", "INVERSE"} and (shape == "INVERSE") != inverted:
        why = "Presentation LUT Shape and Photometric Interpretation disagree on what is white; the latter was followed"
        flags.append(Flag(code="xray.presentation_disagrees", why=why))
    return inverted


def _items(dataset: Dataset, keyword: str) -> Sequence[Dataset]:
    value: Any = dataset.get(keyword)
    return value if isinstance(value, Sequence) else ()


def _numbers(dataset: Dataset, keyword: str) -> list[float]:
    value: Any = dataset.get(keyword)
    several = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    return [float(one) for one in several if one not in (None, "")]


def _number(dataset: Dataset, keyword: str) -> float | None:
    return next(iter(_numbers(dataset, keyword)), None)
