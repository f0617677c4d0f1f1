"""The way back to the images that an answer rests on, and to who the patient is: for an identified report alone.

In:  a case of a cohort, with its roots.
Out: headers of the DICOM images used, the newest study first; who the patient is.

The cohort folder knows source paths and is kept where the sources may be kept: who may not read them gets no identity.
What is read here goes into the report and nowhere else: not into an error, a log or a file name.
"""

import re
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

REFERS: Final = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
"""What a reference to an image is made of."""
FORMS: Final = {
    "PatientID": re.compile(r"[^\\]{1,64}"),
    "PatientBirthDate": re.compile(r"\d{8}"),
    "PatientSex": re.compile(r"[FMO]"),
    "AccessionNumber": re.compile(r"[^\\]{1,16}"),
    "StudyID": re.compile(r"[^\\]{1,16}"),
    "StudyDate": re.compile(r"\d{8}"),
    "StudyTime": re.compile(r"\d{2,6}(\.\d{1,6})?"),
}
"""What a report takes over of patient and study, and in which form (PS3.5 6.2); in any other it is left empty (type 2).
Everything else of a source stays there: an age without its unit would make the report invalid too."""
MAGIC_AT: Final = 128
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
    ids = {str(header.PatientID) for header in headers} - {""}
    if not ids:
        raise InputError("No DICOM image of this case says who the patient is", "--identified", MEND)
    if len(ids) > 1:
        raise InputError("The images of this case name several patients", "--identified", MEND)
    first = next(header for header in headers if header.PatientID)
    return Whose(
        name=str(first.PatientName or ""),
        patient_id=ids.pop(),
        birth_date=_day(str(first.PatientBirthDate or "")),
        sex=str(first.PatientSex or ""),
    )


def referable(header: Dataset) -> bool:
    """Whether an image says which it is, so that a report can refer to it."""
    return all(header.get(keyword) for keyword in REFERS)


def _header(path: Path) -> Dataset:
    """What a report may take over of one image, and nothing else."""
    opened = open_dicom(path, whole=False)
    header, read = Dataset(), Elements(opened.dataset)
    with guarded():
        for keyword in REFERS:
            setattr(header, keyword, read.text(keyword))
        for keyword, form in FORMS.items():
            text = read.text(keyword)
            setattr(header, keyword, text if form.fullmatch(text) else "")
        name = str(opened.dataset.get("PatientName") or "")
        header.PatientName = name if "^" in name or not name else f"{name}^"  # one component, and meant as one
        if read.text("PatientIdentityRemoved") == "YES":
            header.PatientIdentityRemoved = "YES"
            header.DeidentificationMethod = read.text("DeidentificationMethod")[:64] or "Not stated by the source"
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
