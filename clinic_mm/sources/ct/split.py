"""Split a series in which slices lie in the same place into the volumes that it was made of.

In:  headers of one series with duplicate positions: contrast phases, several kernels or thicknesses under one UID.
Out: one `Part` per volume, by the first element that sets the slices apart; or `EvidenceError` where none does.

Copies of a file are not the business of this module (see `dicom`). A part is not checked here: `series.stack` does.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from clinic_mm.errors import EvidenceError
from clinic_mm.sources.ct.gaps import DUPLICATE_MM, POSITION
from clinic_mm.sources.dicom.header import Header

SHARED_NUMBERS: Final = "shared-numbers"
"""Locator of a volume whose slices are numbered together with those of another: a hole in the numbers means nothing."""
FRAMES: Final = "frames "
"""Begins the locator of a volume inside a multi-frame file: `frames 0-40`."""
Key = Callable[[Header], Hashable]
APART: Final[tuple[tuple[str, Key], ...]] = (
    ("acquisition number", lambda header: header.acquisition_number),
    ("image type", lambda header: header.image_type),
    ("kernel", lambda header: header.kernel or None),
    ("slice thickness", lambda header: header.thickness_mm),
)


@dataclass(frozen=True, slots=True)
class Part:
    """One volume of a series: its slices, what sets it apart, and whether InstanceNumber counts it alone."""

    headers: list[Header]
    by: str
    numbered: bool


def split(headers: Sequence[Header]) -> list[Part]:
    """The volumes of a series.

    Raises:
        EvidenceError: `ct.duplicate_slices` if nothing that we know of sets slices in the same place apart.
    """
    for by, key in APART:
        groups: dict[Hashable, list[Header]] = {}
        for header in headers:
            groups.setdefault(key(header), []).append(header)
        if None not in groups and len(groups) > 1 and all(_apart(group) for group in groups.values()):
            return _parts(list(groups.values()), by)
    runs = _runs_in_time(headers)
    if len(runs) > 1:
        return _parts(runs, "acquisition time")
    what, mend = "Several slices lie in the same place, and nothing sets them apart", "Send one volume per series"
    raise EvidenceError("ct.duplicate_slices", what, POSITION, mend)


def frames_locator(frames: Sequence[int]) -> str:
    """Name frames of a multi-frame file: `frames 0-40,44`; they count from 0."""
    spans: list[list[int]] = []
    for frame in sorted(frames):
        if spans and frame == spans[-1][1] + 1:
            spans[-1][1] = frame
        else:
            spans.append([frame, frame])
    return FRAMES + ",".join(str(a) if a == b else f"{a}-{b}" for a, b in spans)


def frames_named(locator: str, count: int) -> list[int]:
    """The frames that a locator names; all of them where it names none.

    Raises:
        EvidenceError: `ct.bad_locator` if it names others than the file has.
    """
    if not locator.startswith(FRAMES):
        return list(range(count))
    try:
        spans = [[int(part) for part in span.split("-")] for span in locator.removeprefix(FRAMES).split(",")]
        frames = [frame for span in spans for frame in range(span[0], min(span[-1], count) + 1)]
    except ValueError:
        frames = [count]
    if not frames or max(frames) >= count:
        raise EvidenceError("ct.bad_locator", "The file has no such frames", "locator", "Run clinic-mm ingest again")
    return frames


def _parts(groups: Sequence[list[Header]], by: str) -> list[Part]:
    numbers = [header.instance_number for group in groups for header in group]
    known = {number for number in numbers if number is not None}
    whole = None not in numbers and max(known) - min(known) + 1 == len(known)
    return [Part(group, by, numbered=not whole or _counted_alone(group)) for group in groups]


def _counted_alone(group: Sequence[Header]) -> bool:
    numbers = [header.instance_number or 0 for header in group]
    return max(numbers) - min(numbers) + 1 == len(numbers)


def _runs_in_time(headers: Sequence[Header]) -> list[list[Header]]:
    """Slices in the order of their acquisition; where a place comes again, the next volume begins."""
    if not all(header.acquired for header in headers):
        return []
    runs: list[list[Header]] = [[]]
    for header in sorted(headers, key=lambda header: (header.acquired, header.instance_number or 0)):
        if not _apart([*runs[-1], header]):
            if header.acquired == runs[-1][-1].acquired:
                return []  # the same moment in two volumes: time sets nothing apart
            runs.append([])
        runs[-1].append(header)
    return runs


def _apart(headers: Sequence[Header]) -> bool:
    """Whether no two slices lie in the same place."""
    positions = np.array([header.position for header in headers], float)
    axes = np.array(headers[0].orientation, float).reshape(2, 3)
    along = np.sort(positions @ np.cross(axes[0], axes[1]))
    return len(along) < 2 or float(np.diff(along).min()) >= DUPLICATE_MM
