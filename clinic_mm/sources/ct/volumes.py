"""Make of the headers of one CT series the volumes that it holds, each described without decoding a pixel.

In:  headers of one series: classic slices, or one enhanced multi-frame file.
Out: one `Volume` for each, with its files in order, what names it inside of them, its shape, flags and points; or, for
     each that cannot be used, the fault and the headers it concerns.

A series is one volume unless slices lie in the same place: then copies are dropped and the rest is split (`split`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from clinic_mm.errors import EvidenceError
from clinic_mm.sources.ct.axes import ras_geometry
from clinic_mm.sources.ct.choice import points, study_key
from clinic_mm.sources.ct.enhanced import read_frames
from clinic_mm.sources.ct.series import Stack, stack
from clinic_mm.sources.ct.split import SHARED_NUMBERS, Part, frames_locator, split
from clinic_mm.sources.dicom.header import Header
from clinic_mm.sources.dicom.kinds import ENHANCED_CT
from clinic_mm.sources.dicom.region import region
from clinic_mm.sources.place import content_hash
from clinic_mm.types import Flag

AXIAL_COSINE: Final = 0.8
"""Slices within about 37 degrees of lying across the body are axial; gantries tilt by up to 30."""
COPIES: Final = Flag(code="ct.copies", why="Some slices lie there twice; one copy of each is used")


@dataclass(frozen=True, slots=True)
class Volume:
    """One volume of a series.

    Attributes:
        headers: Of its slices or frames.
        files: In order along the slice normal.
        locator: Names it inside of the files, "" where they hold nothing else.
        meta: Shape, spacing, kernel, points and their reasons, study.
        flags: What does not forbid use.
    """

    headers: list[Header]
    files: list[Path]
    locator: str
    meta: dict[str, object]
    flags: tuple[Flag, ...]


def volumes(headers: list[Header]) -> Iterator[Volume | tuple[EvidenceError, list[Header]]]:
    """The volumes of one series, or what is wrong with them."""
    try:
        enhanced = headers[0].sop_class in ENHANCED_CT
        once = read_frames(headers[0].path) if enhanced else _without_copies(headers)
        parts = _parts(once)
    except EvidenceError as fault:
        yield fault, headers
        return
    copies = () if enhanced or len(once) == len(headers) else (COPIES,)
    frame_of = {id(frame): number for number, frame in enumerate(once)} if enhanced else {}
    for number, part in enumerate(parts, start=1):
        try:
            yield _volume(part, f"{number} of {len(parts)}" if len(parts) > 1 else "", copies, frame_of)
        except EvidenceError as fault:
            yield fault, part.headers


def _parts(headers: list[Header]) -> list[Part]:
    try:
        stack(headers)
    except EvidenceError as fault:
        if fault.code == "ct.duplicate_slices":
            return split(headers)
    return [Part(headers, "", numbered=True)]  # any other fault is told with the volume


def _volume(part: Part, which: str, copies: tuple[Flag, ...], frame_of: dict[int, int]) -> Volume:
    headers = part.headers
    placed = stack(headers, numbered=part.numbered)
    why = f"The series holds several volumes; this is number {which}, told apart by {part.by}"
    flags = (*placed.flags, *copies, *((Flag(code="ct.split", why=why),) if which else ()))
    if frame_of:
        locator = frames_locator([frame_of[id(frame)] for frame in headers]) if which else ""
    else:
        locator = "" if part.numbered else SHARED_NUMBERS
    files = list(dict.fromkeys(headers[i].path for i in placed.order))
    return Volume(headers, files, locator, _meta(headers, placed, flags), flags)


def _meta(headers: Sequence[Header], placed: Stack, flags: tuple[Flag, ...]) -> dict[str, object]:
    shape, spacing_mm = ras_geometry(placed.shape, placed.affine)
    first = headers[placed.order[0]]
    normal = placed.affine[:3, 2] / np.linalg.norm(placed.affine[:3, 2])
    score, reasons = points(
        image_type=first.image_type,
        kernel=first.kernel,
        step_mm=placed.step_mm,
        extent_mm=float(placed.along_mm[-1] - placed.along_mm[0]),
        axial=abs(float(normal[2])) >= AXIAL_COSINE,
        flags=flags,
    )
    return {
        "shape": list(shape),
        "spacing_mm": [round(mm, 6) for mm in spacing_mm],
        "n_slices": len(headers),
        "thickness_mm": first.thickness_mm,
        "kernel": first.kernel,
        "body_part": region(first.body_part),
        "study": study_key(first.study_uid),
        "points": score,
        "points_why": reasons,
    }


def _without_copies(headers: list[Header]) -> list[Header]:
    """The same slice may lie in two folders: a copy has the same instance UID and the same bytes."""
    once: dict[str, Header] = {}
    kept = []
    for header in headers:
        first = once.setdefault(header.sop_uid, header)
        if first is header or not header.sop_uid or content_hash([first.path]) != content_hash([header.path]):
            kept.append(header)
    return kept
