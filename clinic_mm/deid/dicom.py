"""De-identify one DICOM image: a new file with the same pixels in the same transfer syntax.

In:  a file. Out: the bytes of the new one and whose it is; or `EvidenceError`, and nothing is written of it.

The header is built anew (see `dicom_rules`), the preamble is 128 zero bytes, and what follows the pixels is left out.
Pixels are not looked at: an image that may have a name burned in is refused, and faces are not removed.
"""

import struct
from pathlib import Path
from typing import Final

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from clinic_mm import __version__
from clinic_mm.deid.dicom_frames import encapsulated
from clinic_mm.deid.dicom_rules import Rules
from clinic_mm.deid.keyring import Keyring, open_mark, seal, seal_policy
from clinic_mm.deid.known import Known
from clinic_mm.deid.made import Made
from clinic_mm.deid.policy import Policy
from clinic_mm.errors import EvidenceError
from clinic_mm.sources.dicom.header import header_of
from clinic_mm.sources.dicom.stream import Opened, guarded, open_dicom

IMPLEMENTATION_UID: Final = "2.25.221898917853604813371013373105404373207"
METHOD: Final = "clinic_mm, PS3.15 Basic Profile with modified dates"
PROFILE_CODES: Final = (
    ("113100", "Basic Application Confidentiality Profile"),
    ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
)
REPEATING: Final = 0x6000
EMBEDDED_OVERLAY: Final = 0x0102
OVERLAY_DATA: Final = 0x3000


def deidentify_dicom(path: Path, policy: Policy, keyring: Keyring, known: Known) -> Made:
    """One image without who it is.

    Raises:
        EvidenceError: `deid.unsupported_object` (not an image of the list), `deid.burned_in`, `deid.overlay_in_pixels`,
            `deid.nobody` (no patient and no study), `deid.other_policy`, and those of the reader for what is damaged.
    """
    opened = open_dicom(path)  # refuses what is too large before it is read
    if made := _ours(path, opened, policy, keyring):
        return made
    patient_id = _patient(path, opened)
    with guarded():
        flags = _check_object(opened.dataset, policy)
        known.add_name(str(opened.dataset.get("PatientName", "")), patient_id)
        rules = Rules(policy, keyring, keyring.shift(patient_id))
        kept = rules.apply(opened.dataset)
        pseudonym = keyring.patient(patient_id)
        _identity(kept, pseudonym, policy)
        if not {"SOPClassUID", "SOPInstanceUID"} <= set(kept.dir()):
            raise EvidenceError(
                "dicom.bad_value", "The image has no instance of its own", "SOPInstanceUID", "Export it again"
            )
        whole = seal(_written(kept, opened), keyring)
    return Made(whole, ".dcm", frozenset({pseudonym}), flags, {"removed": rules.dropped})


def _ours(path: Path, opened: Opened, policy: Policy, keyring: Keyring) -> Made | None:
    """A file that we wrote under this key, as it is."""
    content = path.read_bytes()
    under = seal_policy(content, keyring)
    if not under:
        return None
    if under != policy.fingerprint:
        raise other_policy()
    return Made(content, ".dcm", frozenset({header_of(path, opened).patient_id}), sealed=True)


def other_policy() -> EvidenceError:
    """What was de-identified under other options cannot be told from what these would give."""
    mend = "De-identify the originals again, with the options wanted"
    return EvidenceError(
        "deid.other_policy", "The file was de-identified under other options or another version", "", mend
    )


def _patient(path: Path, opened: Opened) -> str:
    header = header_of(path, opened)
    try:
        _ = header.pixels
    except EvidenceError as fault:
        if fault.code not in {"dicom.needs_extra", "dicom.no_pixels"}:  # not decoded here; what it is, is told first
            raise
    if header.patient_id:
        return header.patient_id
    whose = header.study_uid or header.series_uid
    if not whose:
        raise EvidenceError(
            "deid.nobody", "The image names neither a patient nor a study nor a series", "PatientID", "Export it again"
        )
    return f"study:{whose}"


def _check_object(dataset: Dataset, policy: Policy) -> tuple[str, ...]:
    """Refuse what is no image, or may have a name in its pixels; what the image does not say is flagged."""
    objects = policy.lists["dicom"]["objects"]
    sop_class = str(dataset.get("SOPClassUID", "")).strip()
    if sop_class not in objects["images"] and sop_class not in objects["burned_in"]:
        mend = "Leave it out; reports, documents and contours are not de-identified"
        raise EvidenceError(
            "deid.unsupported_object", "This kind of object is not de-identified", "SOPClassUID (0008,0016)", mend
        )
    for group in range(REPEATING, REPEATING + 0x1F, 2):
        if (group, EMBEDDED_OVERLAY) in dataset and (group, OVERLAY_DATA) not in dataset:
            where, mend = "OverlayBitPosition (60xx,0102)", "Export it with its overlays apart"
            raise EvidenceError("deid.overlay_in_pixels", "Graphics lie in the pixels", where, mend)
    said = str(dataset.get("BurnedInAnnotation", "") or "").strip().upper()
    kinds = {str(one).strip().upper() for one in dataset.get("ImageType") or ()}
    risky = sop_class in objects["burned_in"] or kinds & set(objects["burned_in_types"])
    if said == "YES" or (risky and said != "NO"):
        mend = "Blank the text, then say NO in Burned In Annotation (0028,0301)"
        raise EvidenceError("deid.burned_in", "The pixels may show who it is", "BurnedInAnnotation (0028,0301)", mend)
    return () if said == "NO" else ("deid.burned_in_unknown",)


def _identity(kept: Dataset, pseudonym: str, policy: Policy) -> None:
    """Who it is now, and that and how it was de-identified: PS3.15 E.1.1 and PS3.3 C.7.1.1."""
    for keyword in (*policy.lists["dicom"]["empty"], *policy.lists["dicom"]["or_empty"]):
        if keyword not in kept:
            setattr(kept, keyword, "")
    kept.PatientName = kept.PatientID = pseudonym
    kept.PatientIdentityRemoved = "YES"
    kept.DeidentificationMethod = [METHOD, f"version {__version__}", open_mark(policy.fingerprint)]
    options = [(one["code"], one["meaning"]) for one in policy.chosen("dicom").values()]
    kept.DeidentificationMethodCodeSequence = [_code(*one) for one in (*PROFILE_CODES, *options)]
    kept.LongitudinalTemporalInformationModified = "MODIFIED"
    if any(not str(element.value).isascii() for element in kept):  # only free text that an option keeps
        kept.SpecificCharacterSet = "ISO_IR 192"


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning
    return item


def _written(kept: Dataset, opened: Opened) -> bytes:
    # Deflated is written plain: a seal cannot stand in a packed stream.
    plain = opened.transfer_syntax == DeflatedExplicitVRLittleEndian
    syntax = UID(ExplicitVRLittleEndian if plain else opened.transfer_syntax)
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = kept.SOPClassUID, kept.SOPInstanceUID
    meta.TransferSyntaxUID = syntax
    meta.ImplementationClassUID = UID(IMPLEMENTATION_UID)
    meta.ImplementationVersionName = "CLINIC_MM"
    whole = DicomBytesIO()
    whole.write(bytes(128) + b"DICM")
    write_file_meta_info(whole, meta)
    body = DicomBytesIO()
    body.is_little_endian = syntax != ExplicitVRBigEndian
    body.is_implicit_VR = syntax == ImplicitVRLittleEndian
    write_dataset(body, kept)
    return whole.getvalue() + body.getvalue() + _pixels(kept, opened)


def _pixels(kept: Dataset, opened: Opened) -> bytes:
    """The pixel element as it stands, without what lies behind the picture."""
    order = ">" if opened.transfer_syntax == ExplicitVRBigEndian else "<"
    start = opened.stream[opened.tell : opened.tell + 12]
    if len(start) < 12 or struct.unpack(f"{order}HH", start[:4]) != (0x7FE0, 0x0010):
        raise EvidenceError("dicom.no_pixels", "The file has no pixel data", "PixelData (7FE0,0010)")
    implicit = opened.transfer_syntax == ImplicitVRLittleEndian
    head = start[:4] if implicit else start[:4] + (start[4:6] if start[4:6] in {b"OB", b"OW"} else b"OW") + bytes(2)
    explicit_short = not implicit and start[4:6] not in {b"OB", b"OW", b"UN"}
    at = 8 if implicit or explicit_short else 12
    frames = int(kept.get("NumberOfFrames") or 1)
    length = struct.unpack(f"{order}L", start[at - 4 : at])[0]
    if length == 0xFFFFFFFF:
        return (
            head
            + struct.pack(f"{order}L", length)
            + encapsulated(opened.stream, opened.tell + at, frames, opened.transfer_syntax)
        )
    size = _native_bytes(kept, frames)
    stored = opened.stream[opened.tell + at : opened.tell + at + size]
    if min(len(stored), length) < size:
        raise EvidenceError(
            "dicom.truncated", "Pixel data are shorter than the picture", "PixelData", "Export it again"
        )
    stored += bytes(size % 2)
    return head + struct.pack(f"{order}L", len(stored)) + stored


def _native_bytes(kept: Dataset, frames: int) -> int:
    """Size of a picture that is not packed, PS3.5 8.1 and 8.2."""
    samples = 2 if kept.get("PhotometricInterpretation") == "YBR_FULL_422" else int(kept.get("SamplesPerPixel") or 1)
    bits = (
        int(kept.get("Rows") or 0)
        * int(kept.get("Columns") or 0)
        * frames
        * samples
        * int(kept.get("BitsAllocated") or 0)
    )
    return (bits + 7) // 8
