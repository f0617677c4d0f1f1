"""Judge the distances between the slices of a CT: even, changing by design, or with slices missing.

In:  slices in their order along the normal, and the gaps between them. Out: the spacing of the volume to make of them,
     with its flags, or `EvidenceError`.

Even gaps alone prove nothing: where every second slice is missing they are even too. So InstanceNumber, SliceThickness
and SpacingBetweenSlices are asked as well. What no header can tell: a slice missing at either end, and a series that
was thinned out and numbered anew, with slices that overlapped before. Gaps may differ from their mean by 0.1 mm or 1 %,
whichever is more (headers round positions to 0.1 mm), but never by more than a quarter.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np

from clinic_mm.errors import EvidenceError
from clinic_mm.sources.dicom.header import Header
from clinic_mm.types import Flag

GAP_TOLERANCE_MM: Final = 0.1
GAP_TOLERANCE: Final = 0.01
LARGEST_TOLERANCE: Final = 0.25
DUPLICATE_MM: Final = 0.01
SKIPPED: Final = 1.8
"""From this many thicknesses or declared gaps between slices on, every second one may be missing."""
LARGEST_GAP_MM: Final = 10.0
"""Across more than this no changing spacing is interpolated: the heart and the orbit are not much larger."""
FINE_SHARE: Final = 0.25
"""Changing gaps become the one that a quarter of them do not exceed, so that the finer part loses nothing."""
POSITION: Final = "ImagePositionPatient (0020,0032)"
WHOLE: Final = "Send the whole series"
Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class Spacing:
    """The distance of neighbouring slices of the volume; where they are not `even`, they are to be interpolated."""

    step_mm: float
    even: bool
    flags: tuple[Flag, ...]


def judge(ordered: Sequence[Header], gaps: Floats, *, numbered: bool = True) -> Spacing:
    """Judge the gaps between slices.

    Args:
        ordered: The slices along their normal.
        gaps: Distance of each to the next, mm.
        numbered: Whether InstanceNumber counts these slices alone, so that a hole in it is a slice missing.

    Raises:
        EvidenceError: `ct.duplicate_slices`, `ct.missing_slices` or `ct.spacing_changes`.
    """
    if gaps.min() < DUPLICATE_MM:
        mend = "Send one reconstruction per series"
        raise EvidenceError("ct.duplicate_slices", "Two slices lie in the same place", POSITION, mend)
    steps = _number_steps(ordered) if numbered else None
    mean = float(gaps.mean())
    if np.abs(gaps - mean).max() <= _tolerance(mean):
        return Spacing(mean, even=True, flags=_none_skipped(ordered, mean, steps))
    _check_change_is_meant(ordered, gaps, steps)
    step = float(np.quantile(gaps, FINE_SHARE, method="lower"))
    why = f"Slices lie {gaps.min():.3g} to {gaps.max():.3g} mm apart; they are interpolated to every {step:.3g} mm"
    return Spacing(step, even=False, flags=(Flag(code="ct.spacing_resampled", why=why),))


def _tolerance(mm: float) -> float:
    return min(max(GAP_TOLERANCE_MM, GAP_TOLERANCE * mm), LARGEST_TOLERANCE * mm)


def _number_steps(ordered: Sequence[Header]) -> tuple[int, ...] | None:
    """Steps of InstanceNumber from slice to slice, counted upward; None where not every slice has a number."""
    numbers = [header.instance_number for header in ordered if header.instance_number is not None]
    if len(numbers) < len(ordered):
        return None
    turned = numbers[0] > numbers[-1]
    return tuple(a - b if turned else b - a for a, b in pairwise(numbers))


def _check_change_is_meant(ordered: Sequence[Header], gaps: Floats, steps: tuple[int, ...] | None) -> None:
    """A changing distance is true where the numbering has no hole and no gap is wider than its slices are thick."""
    single = float(np.median(gaps[gaps < 1.5 * gaps.min()]))
    multiples = np.rint(gaps / single)
    fits = bool((np.abs(gaps - multiples * single) <= GAP_TOLERANCE_MM + GAP_TOLERANCE * gaps).all())
    if steps is not None and min(steps) > 0 and sum(steps) > len(steps):
        _refuse_missing(sum(steps) - len(steps), "InstanceNumber (0020,0013)")
    thick = [(a.thickness_mm, b.thickness_mm) for a, b in pairwise(ordered)]
    known = all(a and b for a, b in thick)
    covered = known and all(gap < SKIPPED * max(a or 0.0, b or 0.0) for gap, (a, b) in zip(gaps, thick, strict=True))
    if fits and not covered:
        _refuse_missing(int(multiples.sum()) - len(gaps), POSITION)
    if steps is None or set(steps) != {1} or (known and not covered) or gaps.max() > LARGEST_GAP_MM:
        mend = "Send one part per series"
        raise EvidenceError("ct.spacing_changes", "The distance between slices changes", POSITION, mend)


def _none_skipped(ordered: Sequence[Header], gap_mm: float, steps: tuple[int, ...] | None) -> tuple[Flag, ...]:
    """Even gaps can still hide that every second slice is missing: ask what else the headers say."""
    declared, thickness = ordered[0].declared_gap_mm, ordered[0].thickness_mm
    stride = abs(steps[0]) if steps is not None and len(set(steps)) == 1 else None
    if declared and abs(abs(declared) - gap_mm) <= max(GAP_TOLERANCE_MM, GAP_TOLERANCE * gap_mm):
        return ()
    if declared and gap_mm >= SKIPPED * abs(declared):
        _refuse_skipped("SpacingBetweenSlices (0018,0088)")
    if stride is not None and stride > 1:
        _refuse_skipped("InstanceNumber (0020,0013)")
    if thickness and gap_mm >= SKIPPED * thickness:
        if stride != 1:
            _refuse_skipped("SliceThickness (0018,0050)")
        why = f"Slices are {thickness:g} mm thick and {gap_mm:g} mm apart"
        return (Flag(code="ct.gaps", why=why),)
    if declared:
        return (Flag(code="ct.spacing_disagrees", why="Declared and measured slice distance differ; measured is used"),)
    return ()


def _refuse_missing(count: int, where: str) -> None:
    raise EvidenceError("ct.missing_slices", f"{count} slice(s) are missing", where, WHOLE)


def _refuse_skipped(where: str) -> None:
    raise EvidenceError("ct.missing_slices", "Slices seem to be left out at regular intervals", where, WHOLE)
