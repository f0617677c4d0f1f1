"""Read the header of one DICOM file and keep of it only what imaging needs.

In:  a file that claims to be DICOM.
Out: a `Header` of plain values, or `EvidenceError` with a code that names the tag, never its contents.

Nothing here decodes pixels or judges whether a series hangs together.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import Tag

from clinic_mm.errors import EvidenceError
from clinic_mm.sources.dicom.layout import Layout, check_layout
from clinic_mm.sources.dicom.stream import Opened, guarded, open_dicom, pixel_element
from clinic_mm.sources.dicom.structure import structure_flags
from clinic_mm.sources.xray.radiograph import Radiograph, read_radiograph
from clinic_mm.types import Flag

LONGEST_ID: Final = 256
"""Characters; the standard allows 64 in a Patient ID, some archives prefix it."""
ASCII_VRS: Final = frozenset({"AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI"})
CHARSET_VRS: Final = frozenset({"LO", "SH"})
"""Written in the file's character set, each of which holds ASCII as it is."""
SHORT_VRS: Final = frozenset({"US", "SS"})
PLAIN_CODE: Final = re.compile(r"[A-Z0-9_ ]{1,16}")
"""Form of the code strings that may go on into `meta`; anything else may hold free text and is dropped."""
PLAIN_KERNEL: Final = re.compile(r"[A-Z0-9_+./ -]{1,16}")
DAYS_OF_AGE: Final = {"D": 1, "W": 7, "M": 30, "Y": 365}
"""Units of an age string, PS3.5 6.2."""
OLDEST_DAYS: Final = 130 * 365
MOMENTS: Final = ("Acquisition", "Content", "Series", "Study")


@dataclass(frozen=True, slots=True)
class Header:
    """What imaging needs of one file. `patient_id` goes no further than the join; the repr never shows it."""

    path: Path
    patient_id: str = field(repr=False)
    study_uid: str = field(repr=False)
    series_uid: str = field(repr=False)
    sop_uid: str = field(repr=False)
    sop_class: str
    modality: str
    image_type: tuple[str, ...]
    moments: tuple[tuple[str, str], ...] = field(repr=False)
    utc_offset: str
    instance_number: int | None
    acquisition_number: int | None
    acquired: str = field(repr=False)
    tilt_deg: float | None
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    pixel_spacing_mm: tuple[float, ...] | None
    thickness_mm: float | None
    declared_gap_mm: float | None
    slope: float | None
    intercept: float | None
    rescale_type: str
    padding: tuple[int, int] | None
    lossy: bool
    for_processing: bool
    burned_in: bool
    body_part: str
    kernel: str
    layout: Layout | None
    radiograph: Radiograph | None
    fault: EvidenceError | None = None
    flags: tuple[Flag, ...] = ()

    @property
    def pixels(self) -> Layout:
        """Where the pixels lie.

        Raises:
            EvidenceError: What is wrong with them, or with another element that an image needs.
        """
        if self.fault is not None or self.layout is None:
            raise self.fault or EvidenceError("dicom.no_pixels", "The file has no pixel data", "PixelData (7FE0,0010)")
        return self.layout


def read_header(path: Path) -> Header:
    """The header of one file, without its pixels.

    Raises:
        EvidenceError: With a code that says what is wrong: `file.empty`, `dicom.unreadable`, `dicom.no_pixels`, …
    """
    opened = open_dicom(path, whole=False)
    header = header_of(path, opened)
    return replace(header, flags=(*structure_flags(opened), *_age_flags(Elements(opened.dataset))))


def header_of(path: Path, opened: Opened) -> Header:
    """The plain values of an opened file.

    Raises:
        EvidenceError: `dicom.unreadable` where nothing fits, `dicom.bad_value` for a senseless Patient ID. What else
            cannot be read becomes the header's `fault`, so that a bad slice still counts as one of its series.
    """
    read = Elements(opened.dataset)
    with guarded():
        layout, fault = _layout_or_fault(read, opened)
        if layout is None and not read.text("SOPClassUID") and not read.text("Modality"):
            raise EvidenceError("dicom.unreadable", "The file does not hold what DICOM asks for", "", "Export it again")
        patient_id = read.text("PatientID")
        if len(patient_id) > LONGEST_ID:
            raise EvidenceError("dicom.bad_value", "The Patient ID is longer than any system writes", "PatientID")
        return Header(
            path=path,
            patient_id=patient_id,
            study_uid=read.text("StudyInstanceUID"),
            series_uid=read.text("SeriesInstanceUID"),
            sop_uid=read.text("SOPInstanceUID"),
            sop_class=read.text("SOPClassUID"),
            modality=read.code("Modality"),
            image_type=tuple(part.strip().upper() for part in read.text("ImageType").split("\\")),
            moments=(*_moments(read),),
            utc_offset=read.text("TimezoneOffsetFromUTC") or read.text("AcquisitionDateTime")[-5:],
            instance_number=read.integer("InstanceNumber"),
            acquisition_number=read.integer("AcquisitionNumber"),
            acquired=read.text("AcquisitionDateTime") or read.text("AcquisitionDate") + read.text("AcquisitionTime"),
            tilt_deg=read.number("GantryDetectorTilt"),
            position=read.numbers("ImagePositionPatient", 3),
            orientation=read.numbers("ImageOrientationPatient", 6),
            pixel_spacing_mm=read.numbers("PixelSpacing", 2) or read.numbers("ImagerPixelSpacing", 2),
            thickness_mm=read.number("SliceThickness"),
            declared_gap_mm=read.number("SpacingBetweenSlices"),
            slope=read.number("RescaleSlope"),
            intercept=read.number("RescaleIntercept"),
            rescale_type=read.text("RescaleType").upper(),
            padding=_padding(read),
            lossy=read.text("LossyImageCompression") == "01",
            for_processing=read.code("PresentationIntentType") == "FOR PROCESSING",
            burned_in=read.code("BurnedInAnnotation") == "YES",
            body_part=read.code("BodyPartExamined"),
            kernel=_kernel(read.text("ConvolutionKernel")),
            layout=layout,
            radiograph=read_radiograph(read) if read.code("Modality") in {"CR", "DX"} else None,
            fault=fault or read.fault,  # the last: all of the above may find one
        )


def _age_flags(read: "Elements") -> tuple[Flag, ...]:
    """No age is taken from a picture, but one that nobody reaches says that the header was not kept with care."""
    age = read.text("PatientAge")
    known = DAYS_OF_AGE.get(age[-1:]) if age[:-1].isdecimal() else None
    if known is None or int(age[:-1]) * known <= OLDEST_DAYS:
        return ()
    return (Flag(code="dicom.odd_age", why="The age in the header is one that nobody reaches"),)


def _padding(read: "Elements") -> tuple[int, int] | None:
    """Lowest and highest stored value that stands for no measurement, PS3.3 C.7.5.1.1.2."""
    value = read.integer("PixelPaddingValue")
    if value is None:
        return None
    limit = read.integer("PixelPaddingRangeLimit")
    return (value, value) if limit is None else (min(value, limit), max(value, limit))


def _kernel(text: str) -> str:
    """The first value: newer scanners add how strongly they denoise."""
    first = text.partition("\\")[0].strip().upper()
    return first if PLAIN_KERNEL.fullmatch(first) else ""


def _layout_or_fault(read: "Elements", opened: Opened) -> tuple[Layout | None, EvidenceError | None]:
    # A contour or a report has no pixels, and that is not what is wrong with it: its kind is told first.
    try:
        return _layout(read, opened), None
    except EvidenceError as fault:
        return None, fault


def _layout(read: "Elements", opened: Opened) -> Layout:
    offset, length = pixel_element(opened)
    layout = Layout(
        transfer_syntax=opened.transfer_syntax,
        rows=read.integer("Rows") or 0,
        columns=read.integer("Columns") or 0,
        frames=read.integer("NumberOfFrames") or 1,
        samples=read.integer("SamplesPerPixel") or 1,
        bits_allocated=read.integer("BitsAllocated") or 0,
        bits_stored=read.integer("BitsStored") or 0,
        signed=read.integer("PixelRepresentation") == 1,
        photometric=read.code("PhotometricInterpretation"),
        offset=offset,
        length=length,
    )
    check_layout(layout, read.integer("HighBit"), opened.stream_size)
    return layout


def _moments(read: "Elements") -> Iterator[tuple[str, str]]:
    """Dates and times from the most telling to the least: those with both come first."""
    pairs = date_and_time(read.text("AcquisitionDateTime"))
    pairs += [(read.text(f"{name}Date"), read.text(f"{name}Time")) for name in MOMENTS]
    yield from sorted((pair for pair in pairs if pair[0]), key=lambda pair: not pair[1])


def date_and_time(combined: str) -> list[tuple[str, str]]:
    """The two halves of a value of type DT, without its offset from UTC; nothing where there is none."""
    return [(combined[:8], combined[8:].partition("+")[0].partition("-")[0])] if combined else []


class Elements:
    """Reads elements as plain values; the first that cannot be read is remembered as the fault, by its keyword."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.fault: EvidenceError | None = None
        self._held: dict[int, Any] = dict(zip(map(int, dataset.keys()), dataset.values(), strict=True))

    def raw(self, keyword: str) -> Any:  # noqa: ANN401  - an element holds any type
        """The value; plain text with backslashes and plain integers, without pydicom's slow and strict conversion."""
        try:
            tag = _tag(keyword)
            item = self._held.get(tag)
            if isinstance(item, RawDataElement) and (plain := _plain(item, item.VR or _vr(tag))) is not None:
                return plain
            return None if item is None else self.dataset[tag].value
        except Exception:  # noqa: BLE001 - the border: a malformed element can raise anything
            self._bad(keyword)
            return None

    def text(self, keyword: str) -> str:
        """The value as text without outer blanks, "" where there is none."""
        value = self.raw(keyword)
        if isinstance(value, MultiValue):
            value = "\\".join(str(part) for part in value)
        return str("" if value is None else value).strip(" \0")

    def code(self, keyword: str) -> str:
        """The value in capitals if it has the form of a code, else ""."""
        text = self.text(keyword).upper()
        return text if PLAIN_CODE.fullmatch(text) else ""

    def numbers(self, keyword: str, count: int) -> tuple[float, ...] | None:
        """So many finite numbers; None where there are none, a fault where there are others."""
        value = self.raw(keyword)
        parts = value.split("\\") if isinstance(value, str) else value if isinstance(value, MultiValue) else [value]
        if value is None or value == "" or len(parts) == 0:
            return None
        try:
            numbers = tuple(float(part) for part in parts)
        except (TypeError, ValueError):
            numbers = ()
        if len(numbers) != count or not all(math.isfinite(number) for number in numbers):
            self._bad(keyword)
            return None
        return numbers

    def number(self, keyword: str) -> float | None:
        """One finite number."""
        numbers = self.numbers(keyword, 1)
        return None if numbers is None else numbers[0]

    def integer(self, keyword: str) -> int | None:
        """One whole number."""
        number = self.number(keyword)
        if number is not None and number != int(number):
            self._bad(keyword)
        return None if number is None else int(number)

    def _bad(self, keyword: str) -> None:
        what, mend = "An element of the header cannot be read", "Export it again"
        self.fault = self.fault or EvidenceError("dicom.bad_value", what, keyword, mend)


def _plain(item: RawDataElement, vr: str) -> str | int | None:
    """The value of an element whose bytes say it plainly; None for all others."""
    value = item.value or b""
    if vr in ASCII_VRS or (vr in CHARSET_VRS and value.isascii() and b"\x1b" not in value):
        return value.decode("latin-1").strip(" \0")
    if vr in SHORT_VRS and len(value) == 2:
        return int.from_bytes(value, "little" if item.is_little_endian else "big", signed=vr == "SS")
    return None


@cache
def _tag(keyword: str) -> int:
    return int(Tag(keyword))  # compared by Python itself, where pydicom's own is compared by its code


@cache
def _vr(tag: int) -> str:
    return str(dictionary_VR(tag))
