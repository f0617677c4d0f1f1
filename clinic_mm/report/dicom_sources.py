"""The way back to the images that an answer rests on, and to who the patient is: for an identified report alone.

In:  a case of a cohort, with its roots.
Out: headers of the DICOM images used, the newest study first; who the patient is.

The cohort folder knows source paths and is kept where the sources may be kept: who may not read them gets no identity.
What is read here goes into the report and nowhere else: not into an error, a log or a file name.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Final

from pydicom.dataset import Dataset

from clinic_mm.cohort.load import locate
from clinic_mm.errors import EvidenceError, InputError
from clinic_mm.report.setting import Whose
from clinic_mm.sources.choose import in_order
from clinic_mm.sources.dicom.header import Elements
from clinic_mm.sources.dicom.stream import guarded, open_dicom
from clinic_mm.types import CaseRecord

NEEDED: Final = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
MAY_BE_EMPTY: Final = (
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID"),
    *("StudyDate", "StudyTime"),
)
"""Type 2 in the modules that a report takes over: there, if perhaps empty."""
MAGIC_AT: Final = 128
SEXES: Final = frozenset({"F", "M", "O"})
MEND: Final = "Leave --identified out: the report then has the pseudonym"


def source_headers(
    case: CaseRecord, kinds: Sequence[tuple[str, str]], roots: Mapping[str, Path], select: str = "latest"
) -> list[Dataset]:
    """Headers of the DICOM images that an answer rests on.

    Args:
        case: Of the cohort.
        kinds: Kind and name of each modality that spoke.
        roots: Folder of each root of the cohort.
        select: Which study the task takes.

    Returns:
        One header per image, pixels left out, those of the newest study first; none where no source is DICOM.

    Raises:
        EvidenceError: If a file is gone, or can no longer be read.
    """
    studies = []
    for kind, name in kinds:
        for evidence in in_order(case.usable(kind, name), select)[:1]:
            headers = [_header(path) for path in locate(evidence, roots) if _is_dicom(path)]
            studies.append((evidence.acquired_at, headers))
    studies.sort(key=lambda study: study[0].timestamp() if study[0] else 0.0, reverse=True)
    return [header for _, headers in studies for header in headers]


def whose(headers: Sequence[Dataset]) -> Whose:
    """Who the patient is, by all of these headers alike.

    Raises:
        InputError: If none says so, or they are of several patients.
    """
    ids = {Elements(header).text("PatientID") for header in headers} - {""}
    if not ids:
        raise InputError("No DICOM image of this case says who the patient is", "--identified", MEND)
    if len(ids) > 1:
        raise InputError("The images of this case name several patients", "--identified", MEND)
    first = Elements(headers[0])
    sex = first.text("PatientSex").upper()
    return Whose(
        name=str(headers[0].PatientName or ""),
        patient_id=ids.pop(),
        birth_date=_day(first.text("PatientBirthDate")),
        sex=sex if sex in SEXES else "",
    )


def _header(path: Path) -> Dataset:
    opened = open_dicom(path, whole=False)
    header = Dataset()
    with guarded():
        for element in opened.dataset:
            header[element.tag] = element
        if not all(header.get(keyword) for keyword in NEEDED):
            raise EvidenceError("dicom.unreadable", "An image does not say which it is", "SOPInstanceUID", MEND)
        for keyword in MAY_BE_EMPTY:
            if header.get(keyword) is None:
                setattr(header, keyword, "")
    return header


def _is_dicom(path: Path) -> bool:
    """By the mark behind the preamble; what has none, as a NIfTI file, names nobody."""
    try:
        with path.open("rb") as file:
            return file.read(MAGIC_AT + 4)[MAGIC_AT:] == b"DICM"
    except OSError:
        raise EvidenceError("file.gone", "A file of this evidence is no longer there", "", MEND) from None


def _day(text: str) -> date | None:
    try:
        return datetime.strptime(text, "%Y%m%d").date()
    except ValueError:
        return None
