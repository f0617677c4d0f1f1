"""Take an enhanced multi-frame CT apart into one header per frame, as if each were a classic slice.

In:  an opened file and its own header. Out: a `Header` per frame, in the file's order, for `series.stack` to judge.

What stands in the frame's own functional groups goes before what is shared by all. Enhanced CT and legacy converted
enhanced CT only; a volume that is spread over several files (a concatenation) is refused.

Source: DICOM PS3.3 A.38 (Enhanced CT), C.7.6.16 (Multi-frame Functional Groups), C.8.15.3 (CT macros).
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from pydicom.dataset import Dataset

from clinic_mm.errors import EvidenceError
from clinic_mm.sources.dicom.header import PLAIN_KERNEL, Elements, Header, date_and_time, header_of
from clinic_mm.sources.dicom.stream import Opened, guarded, open_dicom

GROUPS: Final = "PerFrameFunctionalGroupsSequence (5200,9230)"
MEND: Final = "Send classic CT slices"


def read_frames(path: Path) -> list[Header]:
    """One header per frame of a file, without its pixels.

    Raises:
        EvidenceError: See `frame_headers`, `header.header_of`.
    """
    opened = open_dicom(path, whole=False)
    return frame_headers(opened, header_of(path, opened))


def frame_headers(opened: Opened, header: Header) -> list[Header]:
    """One header per frame of an opened file.

    Raises:
        EvidenceError: `ct.enhanced` if the functional groups do not describe every frame, or not all frames are here.
    """
    with guarded():
        dataset = opened.dataset
        total = Elements(dataset).integer("InConcatenationTotalNumber")
        if "ConcatenationUID" in dataset and total != 1:
            raise EvidenceError("ct.enhanced", "The volume is spread over several files", "ConcatenationUID", MEND)
        shared = _items(dataset, "SharedFunctionalGroupsSequence")
        frames = _items(dataset, "PerFrameFunctionalGroupsSequence")
        if len(shared) > 1 or len(frames) != header.pixels.frames:
            raise EvidenceError("ct.enhanced", "The file does not describe each of its frames", GROUPS, MEND)
        return [_frame(header, [frame, *shared]) for frame in frames]


def _frame(header: Header, groups: Sequence[Dataset]) -> Header:
    place, direction = _macro(groups, "PlanePositionSequence"), _macro(groups, "PlaneOrientationSequence")
    pixels, values = _macro(groups, "PixelMeasuresSequence"), _macro(groups, "PixelValueTransformationSequence")
    content, kind = _macro(groups, "FrameContentSequence"), _macro(groups, "CTImageFrameTypeSequence")
    made, scanned = _macro(groups, "CTReconstructionSequence"), _macro(groups, "CTAcquisitionDetailsSequence")
    kernel = made.text("ConvolutionKernel").partition("\\")[0].upper()
    frame = replace(
        header,
        image_type=tuple(kind.text("FrameType").upper().split("\\")) if kind.text("FrameType") else header.image_type,
        instance_number=content.integer("InStackPositionNumber"),
        acquisition_number=_phase(content),
        acquired=content.text("FrameAcquisitionDateTime") or header.acquired,
        moments=(*date_and_time(content.text("FrameAcquisitionDateTime")), *header.moments),
        tilt_deg=scanned.number("GantryDetectorTilt"),
        position=place.numbers("ImagePositionPatient", 3),
        orientation=direction.numbers("ImageOrientationPatient", 6),
        pixel_spacing_mm=pixels.numbers("PixelSpacing", 2),
        thickness_mm=pixels.number("SliceThickness"),
        declared_gap_mm=pixels.number("SpacingBetweenSlices"),
        slope=values.number("RescaleSlope"),
        intercept=values.number("RescaleIntercept"),
        rescale_type=values.text("RescaleType").upper(),
        kernel=kernel if PLAIN_KERNEL.fullmatch(kernel) else header.kernel,
    )
    faults = (macro.fault for macro in (place, direction, pixels, values, content, kind, made, scanned))
    return replace(frame, fault=header.fault or next((fault for fault in faults if fault), None))


def _phase(content: Elements) -> int | None:
    """Frames of different stacks or moments never make one volume, whatever their acquisition is called."""
    moment, stack = content.integer("TemporalPositionIndex"), content.text("StackID")
    acquisition = content.integer("FrameAcquisitionNumber")
    if moment is None and not stack.isdecimal():
        return acquisition
    return (moment or 0) * 1_000_000 + (int(stack) if stack.isdecimal() else 0) * 1_000 + (acquisition or 0)


def _macro(groups: Sequence[Dataset], keyword: str) -> Elements:
    """The item of a functional group, the frame's own before the shared one; empty where neither has it."""
    found = (item for group in groups for item in _items(group, keyword)[:1])
    return Elements(next(found, Dataset()))


def _items(dataset: Dataset, keyword: str) -> list[Dataset]:
    value: Any = dataset.get(keyword)
    return list(value) if value else []
