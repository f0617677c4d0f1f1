"""Say what a CT volume is good for in points, with the reason of each, so that one series of a study can be chosen.

In:  what is known of a volume without its pixels: spacing, extent, direction, kernel, flags.
Out: points and their reasons, as they stand in the `meta` of its evidence. The table is `schemas/ct_choice.toml`.

Nothing here chooses: `choose` does, between the series of one study.
"""

import hashlib
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, Final

from clinic_mm import bundle
from clinic_mm.types import Flag

STUDY_DIGITS: Final = 12


def study_key(study_uid: str) -> str:
    """A short name for a study that is the same for all its series; "" where the files name none."""
    return hashlib.sha256(study_uid.encode()).hexdigest()[:STUDY_DIGITS] if study_uid else ""


def points(
    *,
    image_type: Sequence[str],
    kernel: str,
    step_mm: float,
    extent_mm: float,
    axial: bool,
    flags: Sequence[Flag],
) -> tuple[float, list[str]]:
    """Points of a volume and the reason of each, the weightiest first.

    Args:
        image_type: Image Type (0008,0008).
        kernel: Convolution Kernel (0018,1210), "" where unknown.
        step_mm: Distance of neighbouring slices.
        extent_mm: Distance of the first from the last.
        axial: Whether the slices lie across the body.
        flags: What was seen on reading.
    """
    given = list(_given(image_type, kernel, step_mm, extent_mm, axial=axial, flags=flags))
    given.sort(key=lambda one: -abs(one[0]))
    return sum(number for number, _ in given), [f"{number:+g} {why}" for number, why in given]


def _given(
    image_type: Sequence[str], kernel: str, step_mm: float, extent_mm: float, *, axial: bool, flags: Sequence[Flag]
) -> Iterator[tuple[float, str]]:
    table = _table()
    worth = table["points"]
    if "DERIVED" not in image_type:
        yield worth["original"], "original, not a reformat"
    if axial:
        yield worth["axial"], "axial slices"
    for row in table["spacing"]:
        if step_mm <= row["at_most_mm"]:
            yield row["points"], f"a slice every {step_mm:.3g} mm"
            break
    for row in table["coverage"]:
        if extent_mm >= row["at_least_mm"]:
            yield row["points"], f"covers {extent_mm:.0f} mm"
            break
    if kind := _kernel_kind(kernel):
        yield worth[f"{kind}_kernel"], f"{kind} kernel {kernel}"
    for code in dict.fromkeys(flag.code for flag in flags):
        if kind := next((kind for kind, codes in table["flags"].items() if code in codes), ""):
            yield worth[kind], code
        elif code == "dicom.lossy":
            yield worth["lossy"], code


def _kernel_kind(kernel: str) -> str:
    """`soft` or `sharp` by the longest beginning that the table knows (single letters as a whole); else ""."""
    known = [
        (len(name), kind)
        for kind, names in _table()["kernels"].items()
        for name in names
        if kernel == name or (len(name) > 1 and kernel.startswith(name))
    ]
    return max(known)[1] if known else ""


@cache
def _table() -> dict[str, Any]:
    return bundle.policy("ct_choice")
