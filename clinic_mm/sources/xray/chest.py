"""Tell by its header whether a radiograph is one grey picture of a chest, and what a cohort keeps of it.

In:  a `Header` with its `Radiograph`. Out: facts and flags; or `EvidenceError` that says what it is instead.

Headers are often wrong about the body part: what is refused here says so in words that a person can check. What the
pixels look like is another question, see `sources.xray.looks`.
"""

from clinic_mm.errors import EvidenceError
from clinic_mm.sources.dicom.header import Header
from clinic_mm.sources.dicom.kinds import SECONDARY_CAPTURE
from clinic_mm.sources.dicom.region import region
from clinic_mm.sources.xray.radiograph import CHEST, ELSEWHERE
from clinic_mm.types import Flag


def described(header: "Header") -> tuple[dict[str, object], tuple[Flag, ...]]:
    """Facts and flags of a radiograph for the cohort.

    Raises:
        EvidenceError: `dicom.multiframe`, `dicom.colour`, `xray.not_chest`, or what is wrong with its pixels.
    """
    layout, radiograph = header.pixels, header.radiograph
    assert radiograph is not None, "kind_of says that this is a radiograph"
    if layout.frames != 1:
        raise EvidenceError("dicom.multiframe", "The file holds several frames", "NumberOfFrames")
    if layout.samples != 1 or layout.photometric not in {"MONOCHROME1", "MONOCHROME2"}:
        raise EvidenceError("dicom.colour", "The picture is not in grey values", "PhotometricInterpretation")
    flags = list(_body_part_flags(radiograph.parts))
    if header.sop_class.startswith(SECONDARY_CAPTURE):
        flags.append(Flag(code="xray.secondary_capture", why="The file is a capture, not the scanner's own image"))
    if radiograph.hangs is False:
        why = "The header says that the picture hangs mirrored or turned; it is shown as it is stored"
        flags.append(Flag(code="xray.hangs_otherwise", why=why))
    if header.lossy or layout.lossy_syntax:
        flags.append(Flag(code="dicom.lossy", why="The picture may have lost detail in compression"))
    if layout.padded:
        flags.append(Flag(code="dicom.extra_pixels", why="More pixel data are stored than the picture has"))
    spacing_mm = radiograph.spacing_mm
    meta: dict[str, object] = {
        "shape": [layout.rows, layout.columns],
        "spacing_mm": None if spacing_mm is None else list(spacing_mm),
        "spacing_at": radiograph.spacing_at,
        "body_part": region(header.body_part) or (CHEST if radiograph.parts == {CHEST} else ""),
        "view_position": radiograph.view_position,
        "laterality": radiograph.laterality,
        "photometric": layout.photometric,
    }
    return meta, tuple(flags)


def _body_part_flags(parts: frozenset[str]) -> tuple[Flag, ...]:
    """Nothing is flagged where the header speaks of a chest and of nothing else."""
    if ELSEWHERE in parts and CHEST not in parts:
        where, mend = "BodyPartExamined, AnatomicRegionSequence, descriptions", "Give a chest radiograph"
        raise EvidenceError("xray.not_chest", "The header names a body part other than the chest", where, mend)
    if parts == {CHEST}:
        return ()
    if not parts:
        return (Flag(code="xray.body_part_unknown", why="Nothing in the header says that this is a chest"),)
    why = "The header names the chest and another body part" if CHEST in parts else "The header names an unknown part"
    return (Flag(code="xray.other_body_part", why=why),)
