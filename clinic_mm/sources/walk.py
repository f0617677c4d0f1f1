"""Walk a folder of evidence and say what kind of file each one is.

In:  a folder as a hospital hands it over: nested, mixed, often without file extensions.
Out: the files in a fixed order, and the kind of each, told by its first bytes and only then by its suffix.

Nothing here leaves the folder (no link out of it is followed) and nothing here judges whether a file can be used.
"""

import logging
import os
import re
import zlib
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Final

from clinic_mm.errors import InputError
from clinic_mm.modalities import table

LOG: Final = logging.getLogger(__name__)


class FileKind(StrEnum):
    """What a file is.

    `SIDE` belongs to another file (BrainVision markers, EEGLAB samples) and is read with it. `MODALITY` is of one row
    of the table of modalities alone, see `row_of`.
    """

    DICOM = "dicom"
    NIFTI = "nifti"
    PICTURE = "picture"
    EEG = "eeg"
    FHIR = "fhir"
    TABLE = "table"
    TEXT = "text"
    MODALITY = "modality"
    SIDE = "side"
    UNKNOWN = "unknown"


HEAD_BYTES: Final = 65_536
"""How far into a file we look: a FHIR resource names its type well within that."""

SUFFIXES: Final = {
    ".dcm": FileKind.DICOM,
    ".nii": FileKind.NIFTI,
    ".nii.gz": FileKind.NIFTI,
    ".png": FileKind.PICTURE,
    ".jpg": FileKind.PICTURE,
    ".jpeg": FileKind.PICTURE,
    ".edf": FileKind.EEG,
    ".bdf": FileKind.EEG,
    ".fif": FileKind.EEG,
    ".fif.gz": FileKind.EEG,
    ".vhdr": FileKind.EEG,
    ".set": FileKind.EEG,
    ".eeg": FileKind.EEG,
    ".ndjson": FileKind.FHIR,
    ".ndjson.gz": FileKind.FHIR,
    ".csv": FileKind.TABLE,
    ".csv.gz": FileKind.TABLE,
    ".tsv": FileKind.TABLE,
    ".parquet": FileKind.TABLE,
    ".txt": FileKind.TEXT,
    ".vmrk": FileKind.SIDE,
    ".fdt": FileKind.SIDE,
    # Nihon Kohden writes these beside its .EEG
    ".21e": FileKind.SIDE,
    ".11d": FileKind.SIDE,
    ".pnt": FileKind.SIDE,
    ".cmt": FileKind.SIDE,
    ".cn2": FileKind.SIDE,
    ".egf": FileKind.SIDE,
    ".bft": FileKind.SIDE,
    ".reg": FileKind.SIDE,
}
JSON_SUFFIXES: Final = frozenset({".json", ".json.gz", ".jsonl", ".xml", ".xml.gz"})
"""Suffixes that say no more than how a file is written; XML is told to be FHIR to be refused by that name."""

MAGIC: Final = (
    (b"\x89PNG\r\n\x1a\n", FileKind.PICTURE),
    (b"\xff\xd8\xff", FileKind.PICTURE),
    (b"\xffBIOSEMI", FileKind.EEG),
    (b"\x00\x00\x00\x64\x00\x00\x00\x1f\x00\x00\x00\x14", FileKind.EEG),  # FIF: tag FIFF_FILE_ID, 20 bytes
    (b"Brain Vision Data Exchange Header File", FileKind.EEG),
    (b"Brain Vision Data Exchange Marker File", FileKind.SIDE),
    (b"Version 3.0\0", FileKind.EEG),  # Neuroscan .cnt, refused by name
    (b"PAR1", FileKind.TABLE),
)
# First element of a DICOM file without a preamble: group 2 or 8, explicit (VR letters) or implicit (small length).
BARE_DICOM: Final = re.compile(
    rb"[\x02\x08]\x00.\x00(?:[A-Z]{2}|[\x00-\xff][\x00-\x02]\x00\x00)|\x00[\x02\x08]\x00.[A-Z]{2}", re.DOTALL
)
EDF_HEADER_BYTES: Final = slice(184, 192)


def walk(root: Path, left_out: list[Path] | None = None) -> Iterator[Path]:
    """All files below a folder, sorted, without hidden ones and without following a link out of the folder.

    Linked folders are not entered at all: they could lead in a circle. A linked file counts if it lies inside. Pipes,
    sockets and devices are never opened: they may have no end.

    Args:
        root: The folder.
        left_out: Takes the links and special files that are not followed, for the list of refusals.

    Raises:
        InputError: If `root` is not a folder that can be read.
    """
    if not root.is_dir() or not os.access(root, os.R_OK | os.X_OK):
        raise InputError("This is not a folder that can be read", str(root), "Name an existing folder")
    inside = root.resolve()
    for folder, folders, files in os.walk(root, onerror=_unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if left_out is not None:
            left_out += [link for name in folders if (link := Path(folder, name)).is_symlink()]
        for name in sorted(files):
            path = Path(folder, name)
            if name.startswith("."):
                continue
            if path.is_file() and _within(path, inside):
                yield path
            elif left_out is not None:
                left_out.append(path)


def sniff(path: Path) -> FileKind:
    """What kind of file this is, by its first bytes, then by its suffix. Never raises for a strange file."""
    if path.name.upper() == "DICOMDIR":  # an index of other files, not evidence
        return FileKind.SIDE
    head = _head(path)
    if (kind := _by_content(head)) is not None:
        return kind
    suffix = suffix_of(path)
    if suffix in JSON_SUFFIXES:
        if not head or b'"resourceType"' in head or b"://hl7.org/fhir" in head:
            return FileKind.FHIR
        return FileKind.SIDE if b'"meds_version"' in head else FileKind.UNKNOWN  # dataset.json of MEDS
    if suffix in {".eeg", ".dat", ".log"}:
        return _companion(path, suffix)
    return SUFFIXES.get(suffix) or (FileKind.MODALITY if row_of(path) else FileKind.UNKNOWN)


def row_of(path: Path) -> str:
    """The row of the table of modalities that a file is of by its suffix, "" for none; the first row that claims it."""
    suffix = suffix_of(path)
    return next((row.name for row in table().values() if row.find and suffix in row.suffixes), "")


def suffix_of(path: Path) -> str:
    """The suffix in lower case, with `.gz` joined to the one before it: `.nii.gz`."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    return "".join(suffixes[-2:] if suffixes[-1:] == [".gz"] else suffixes[-1:])


def _by_content(head: bytes) -> FileKind | None:
    if head[128:132] == b"DICM" or BARE_DICOM.match(head):
        return FileKind.DICOM
    for magic, kind in MAGIC:
        if head.startswith(magic):
            return kind
    if head[344:348] == b"n+1\0" or head[4:8] == b"n+2\0":  # NIfTI-1 and NIfTI-2 in one file
        return FileKind.NIFTI
    if head.startswith(b"0       ") and head[EDF_HEADER_BYTES].strip().isdigit():
        return FileKind.EEG
    return None


def _companion(path: Path, suffix: str) -> FileKind:
    """`.eeg` is BrainVision's samples or Nihon Kohden's recording; `.dat`, `.log` belong to a header or are unknown."""
    if suffix == ".log":
        return FileKind.SIDE if _beside(path, ".eeg") else FileKind.UNKNOWN
    if _beside(path, ".vhdr") or _beside(path, ".hea") or _named_by_a_header(path):
        return FileKind.SIDE
    return FileKind.EEG if suffix == ".eeg" else FileKind.UNKNOWN


def _beside(path: Path, suffix: str) -> bool:
    return any(path.with_suffix(form).is_file() for form in (suffix, suffix.upper()))


def _named_by_a_header(path: Path) -> bool:
    # A header may have been renamed while `DataFile=` still names the samples.
    name = path.name.encode(errors="surrogateescape")
    return any(name in _head(header) for suffix in ("vhdr", "hea") for header in path.parent.glob(f"*.{suffix}"))


def _head(path: Path) -> bytes:
    """First bytes, unpacked where gzipped; empty where the file cannot be read."""
    try:
        with path.open("rb") as file:
            head = file.read(512)
            if head.startswith(b"\x1f\x8b"):
                return zlib.decompressobj(wbits=31).decompress(head + file.read(HEAD_BYTES), HEAD_BYTES)
            more = suffix_of(path) in JSON_SUFFIXES or head.startswith(b"Brain Vision")
            return head + file.read(HEAD_BYTES) if more else head
    except (OSError, zlib.error):
        return b""


def _within(path: Path, inside: Path) -> bool:
    return not path.is_symlink() or path.resolve().is_relative_to(inside)


def _unreadable(_: OSError) -> None:
    LOG.warning("A folder could not be opened and was left out")  # its name may be a patient's
