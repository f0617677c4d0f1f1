"""What the header of a radiograph says of it: which body part, which view, which side, which scale.

In:  the elements of a header. Out: a `Radiograph` of plain values; nothing is judged.

Descriptions are free text that may hold a name: only whether they speak of a chest leaves this module.
"""

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from clinic_mm import bundle

if TYPE_CHECKING:
    from clinic_mm.sources.dicom.header import Elements

DESCRIPTIONS: Final = (
    "StudyDescription",
    "SeriesDescription",
    "ProtocolName",
    "PerformedProcedureStepDescription",
    "RequestedProcedureDescription",
    "AcquisitionDeviceProcessingDescription",
)
DIRECTION: Final = re.compile(r"[LRAPHF]{1,3}")
WORD: Final = re.compile(r"[^\W\d_]+")
CHEST: Final = "chest"
ELSEWHERE: Final = "elsewhere"
OTHER: Final = "other"


@dataclass(frozen=True, slots=True)
class Radiograph:
    """What the header of a radiograph says.

    Attributes:
        parts: Of `chest`, `elsewhere` (a part that is surely not the chest) and `other` (a word we do not know).
        view_position: `AP`, `PA`, `LL`, ... or "".
        laterality: `L`, `R`, `B`, `U` or "".
        spacing_mm: Row and column spacing, None where unknown.
        spacing_at: `patient` where it was calibrated, `detector` where not (the patient is smaller by the
            magnification), `film` for a digitised film, "" where the header does not say.
        orientation: Where rows and columns run to in the patient (`L`, `F`; `A`, `FR`), None where unknown.
    """

    parts: frozenset[str]
    view_position: str
    laterality: str
    spacing_mm: tuple[float, float] | None
    spacing_at: str
    orientation: tuple[str, str] | None

    @property
    def hangs(self) -> bool | None:
        """Whether the rows run to the patient's left and the columns to the feet; None where unknown."""
        if self.orientation is None:
            return None
        return self.orientation[0][:1] in {"L", "A", "P"} and self.orientation[1][:1] == "F"


def read_radiograph(read: "Elements") -> Radiograph:
    """What the header says. Source: DICOM PS3.3 C.7.3.1, C.8.11.2, 10.7.1.3; PS3.16 annex L, CID 4009, CID 4010."""
    spacing_mm, spacing_at = _spacing(read)
    return Radiograph(
        parts=_parts(read),
        view_position=read.code("ViewPosition") or _view(read),
        laterality=read.code("ImageLaterality") or read.code("Laterality"),
        spacing_mm=spacing_mm,
        spacing_at=spacing_at,
        orientation=_orientation(read),
    )


def _parts(read: "Elements") -> frozenset[str]:
    policy = _policy()
    found = set()
    if part := read.text("BodyPartExamined").upper():
        found.add(next((kind for kind in (CHEST, ELSEWHERE) if part in policy[f"{kind} parts"]), OTHER))
    codes = _codes(read, "AnatomicRegionSequence")
    words = {word for keyword in DESCRIPTIONS for word in WORD.findall(read.text(keyword).casefold())}
    for kind in (CHEST, ELSEWHERE):
        if codes & policy[f"{kind} codes"] or words & policy[f"{kind} words"]:
            found.add(kind)
    return frozenset(found if found == {OTHER} else found - {OTHER})


def _orientation(read: "Elements") -> tuple[str, str] | None:
    """Patient Orientation (0020,0020): up to three letters each, PS3.3 C.7.6.1.1.1."""
    found = [part.strip() for part in read.text("PatientOrientation").upper().split("\\")]
    if len(found) != 2 or not all(DIRECTION.fullmatch(part) for part in found):
        return None
    return found[0], found[1]


def _view(read: "Elements") -> str:
    views = _views()
    return next((views[code] for code in sorted(_codes(read, "ViewCodeSequence")) if code in views), "")


def _spacing(read: "Elements") -> tuple[tuple[float, float] | None, str]:
    """Spacing in the patient goes before that at the detector, PS3.3 10.7.1.3."""
    own, detector = _pair(read, "PixelSpacing"), _pair(read, "ImagerPixelSpacing")
    if own is not None:
        calibrated = read.text("PixelSpacingCalibrationType") or (detector is not None and own != detector)
        return own, "patient" if calibrated else "" if detector is None else "detector"
    if detector is not None:
        return detector, "detector"
    film = _pair(read, "NominalScannedPixelSpacing")
    return film, "" if film is None else "film"


def _pair(read: "Elements", keyword: str) -> tuple[float, float] | None:
    found = read.numbers(keyword, 2)
    return None if found is None or min(found) <= 0 else (found[0], found[1])


def _codes(read: "Elements", keyword: str) -> set[str]:
    """Code values of a sequence of codes."""
    items = read.raw(keyword) or ()
    return {str(item.get("CodeValue") or "").strip() for item in items if hasattr(item, "get")} - {""}


@cache
def _policy() -> dict[str, frozenset[str]]:
    given = bundle.policy("xray")
    return {
        f"{kind} {short}": frozenset(given[kind][name])
        for kind in (CHEST, ELSEWHERE)
        for short, name in (("parts", "body_parts"), ("codes", "region_codes"), ("words", "words"))
    }


@cache
def _views() -> dict[str, str]:
    given = bundle.policy("xray")
    return dict(given["views"])
