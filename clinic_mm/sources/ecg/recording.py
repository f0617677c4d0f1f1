"""Read 12-lead ECGs of every format, and find them among files.

In:  the files of one ECG, or the files of a folder. Out: an `EcgRecording`, or one `Found` per ECG.

An ECG is read and checked whole when it is found: ten seconds are small, and whoever collects it learns at once what
is wrong with it. Nothing here filters or resamples.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, tzinfo
from pathlib import Path
from typing import NamedTuple

from clinic_mm.errors import EvidenceError
from clinic_mm.signals import EcgRecording
from clinic_mm.sources.ecg.dicom import read_dicom_ecg
from clinic_mm.sources.ecg.edf import read_edf_ecg
from clinic_mm.sources.ecg.facts import facts
from clinic_mm.sources.ecg.table import read_table_ecg
from clinic_mm.sources.ecg.wfdb import companions, read_wfdb_ecg, read_wfdb_header
from clinic_mm.sources.eeg.opening import utc_start
from clinic_mm.sources.found import Found
from clinic_mm.sources.place import content_hash, rejected, relative
from clinic_mm.sources.samples import LeadColumns, declared_as, from_locator
from clinic_mm.sources.walk import FileKind, sniff, suffix_of
from clinic_mm.types import Evidence


class _Read(NamedTuple):
    """One ECG with what its file says of whose it is."""

    ecg: EcgRecording
    start: datetime | None = None
    patient_id: str = ""


def load(files: Sequence[Path], *, locator: str = "", until: datetime | None = None) -> EcgRecording:
    """Decode one ECG.

    Args:
        files: One DICOM or EDF file, a table, or a WFDB header with its samples, in any order.
        locator: What the ingest file declared of a table.
        until: Not used: an ECG is dated as a whole.

    Raises:
        EvidenceError: Code and reason why it cannot be used.
    """
    del until
    leaders = [path for path in files if sniff(path) is not FileKind.SIDE]
    if len(leaders) != 1:
        what = "Among these files is no ECG" if not leaders else "These files are several ECGs"
        raise EvidenceError("ecg.format", what, "", "Give one ECG")
    return _read(leaders[0], from_locator(LeadColumns, locator)).ecg


def find_ecg(root: Path, root_name: str, files: Sequence[Path], zone: tzinfo, **options: object) -> Iterator[Found]:
    """One `Found` for each file that leads an ECG and is no DICOM file.

    Args:
        root: The folder looked through.
        root_name: Its name in the cohort.
        files: EDF files, WFDB headers and tables below `root`.
        zone: Of the site, for starts without a zone.
        options: What the ingest file says of tables, see `LeadColumns`.

    Raises:
        TaskError: If the options are wrong.
    """
    declared = declared_as(LeadColumns, options)
    for path in files:
        yield _look_at(path, root, root_name, zone, declared)


def _look_at(path: Path, root: Path, root_name: str, zone: tzinfo, declared: LeadColumns | None) -> Found:
    paths: tuple[Path, ...] = (path,)
    try:
        if _is_wfdb(path):
            paths = companions(path, read_wfdb_header(path))
        read = _read(path, declared)
        evidence = Evidence(
            modality="ecg",
            root=root_name,
            paths=relative(root, paths),
            locator=declared.locator if declared and sniff(path) is FileKind.TABLE else "",
            acquired_at=utc_start(read.start, zone),
            content_hash=content_hash(paths),
            flags=read.ecg.flags,
            meta=facts(read.ecg),
        )
    except EvidenceError as error:
        return Found("", rejected(error, "ecg", root_name, root, paths))
    except OSError:
        gone = EvidenceError("file.unreadable", "The file cannot be opened", "", "Check that it may be read")
        return Found("", rejected(gone, "ecg", root_name, root, paths))
    return Found(read.patient_id, evidence)


def _read(path: Path, declared: LeadColumns | None) -> _Read:
    match sniff(path):
        case FileKind.DICOM:
            return _Read(read_dicom_ecg(path))
        case FileKind.EEG:
            return _Read(*read_edf_ecg(path))
        case FileKind.TABLE:
            return _Read(read_table_ecg(path, declared))
    if _is_wfdb(path):
        return _Read(*read_wfdb_ecg(path))
    mend = "Export it as DICOM, EDF or WFDB"
    raise EvidenceError("ecg.format", "This is no ECG in a format that is read", "", mend)


def _is_wfdb(path: Path) -> bool:
    return suffix_of(path) == ".hea"
