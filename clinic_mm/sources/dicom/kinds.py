"""Which DICOM objects are CT slices or radiographs, and what the others are.

In:  a header. Out: `ct` or `xray`, or `EvidenceError` that names what it is instead. Nothing is guessed from pixels.
"""

from typing import Final

from clinic_mm.errors import EvidenceError
from clinic_mm.sources.dicom.header import Header

CT_IMAGE: Final = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT: Final = frozenset({"1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2"})
SECONDARY_CAPTURE: Final = "1.2.840.10008.5.1.4.1.1.7"
RADIOGRAPH: Final = frozenset({"1.2.840.10008.5.1.4.1.1.1", "1.2.840.10008.5.1.4.1.1.1.1"})
RAW_RADIOGRAPH: Final = "1.2.840.10008.5.1.4.1.1.1.1.1"
NO_VOLUME: Final = frozenset({"SCREEN SAVE", "DOSE_INFO", "DOSE", "DOSE REPORT", "REPORT", "CSA REPORT", "PROTOCOL"})
LOCALIZER: Final = frozenset({"LOCALIZER", "SCOUT", "TOPOGRAM"})
OTHER_KINDS: Final = {
    "DOC": "a document",
    "ECG": "an ECG",
    "IO": "an intra-oral radiograph",
    "KO": "a list of key images",
    "MG": "a mammogram",
    "MR": "an MR image",
    "NM": "a nuclear medicine image",
    "OT": "an image of another kind",
    "PR": "a presentation state",
    "PT": "a PET image",
    "PX": "a panoramic radiograph",
    "RF": "a fluoroscopy",
    "RTDOSE": "a radiotherapy dose",
    "RTIMAGE": "a radiotherapy image",
    "RTPLAN": "a radiotherapy plan",
    "RTSTRUCT": "a radiotherapy contour",
    "SC": "a secondary capture",
    "SEG": "a segmentation",
    "SR": "a structured report",
    "US": "an ultrasound image",
    "XA": "an angiogram",
}


def group_of(header: Header) -> tuple[str, str, str]:
    """What the slices of one series share: patient, study and series."""
    return (header.patient_id, header.study_uid, header.series_uid)


def kind_of(header: Header) -> str:
    """`ct` for a slice of a CT volume, `xray` for a radiograph.

    Raises:
        EvidenceError: `dicom.unsupported_modality`, `dicom.modality_mismatch`, `ct.localizer`,
            `ct.secondary_capture` or `xray.for_processing`.
    """
    match header.modality:
        case "CT":
            return _ct(header)
        case "CR" | "DX":
            return _xray(header)
        case "" if header.sop_class == CT_IMAGE:  # what the class says is not a guess; the finder flags it
            return _ct(header)
        case modality:
            name = OTHER_KINDS.get(modality, "of an unknown kind")
            raise EvidenceError(
                "dicom.unsupported_modality", f"This is {name}, not a CT series or a radiograph", "Modality (0008,0060)"
            )


def _ct(header: Header) -> str:
    if header.sop_class.startswith(SECONDARY_CAPTURE) or NO_VOLUME & set(header.image_type):
        raise EvidenceError("ct.secondary_capture", "This is a screenshot, not a CT slice", "SOPClassUID, ImageType")
    if header.sop_class not in {CT_IMAGE, *ENHANCED_CT, ""}:
        raise _mismatch()
    if LOCALIZER & set(header.image_type):
        raise EvidenceError("ct.localizer", "This is a localizer, not a CT slice", "ImageType (0008,0008)")
    return "ct"


def _xray(header: Header) -> str:
    if header.for_processing or header.sop_class == RAW_RADIOGRAPH:
        where, mend = "PresentationIntentType (0008,0068)", "Send the image for presentation"
        raise EvidenceError("xray.for_processing", "This is the detector's raw image", where, mend)
    if header.sop_class not in {*RADIOGRAPH, ""} and not header.sop_class.startswith(SECONDARY_CAPTURE):
        raise _mismatch()
    return "xray"


def _mismatch() -> EvidenceError:
    return EvidenceError(
        "dicom.modality_mismatch", "Modality and SOP class contradict each other", "Modality, SOPClassUID"
    )
