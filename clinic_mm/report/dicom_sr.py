"""One Prediction as a DICOM SR document: Comprehensive SR, TID 1500 Measurement Report, made by highdicom.

In:  a Prediction, its setting; for an identified report the headers of the images that it rests on.
Out: a dataset and its bytes; the same arguments give the same bytes.

Without source headers there is nothing that the document could refer to without naming the patient: it then stands in a
study of its own under the pseudonym, with no evidence listed. highdicom asks for evidence, so a header is made for it
and the reference is taken out again. With them, patient and study are those of the newest study, and every image is
listed as evidence. Where no answer is given or shown, no number is in it.
"""

import warnings
from collections.abc import Sequence
from datetime import UTC, datetime
from io import BytesIO
from typing import Final

from highdicom.sr import ComprehensiveSR
from pydicom.dataset import Dataset
from pydicom.uid import ComprehensiveSRStorage

from clinic_mm.bundle import policy
from clinic_mm.predict.prediction import Prediction
from clinic_mm.report.dicom_sources import referable
from clinic_mm.report.dicom_sr_items import person_name, short
from clinic_mm.report.dicom_sr_tree import MAKER, measurement_report, uid_of
from clinic_mm.report.setting import Setting
from clinic_mm.report.signed import Signed

SERIES_NUMBER: Final = 9100
"""Far from the numbers that scanners give."""
NOT_STATED: Final = "not stated"
REMOVED: Final = "Pseudonym by keyed hash; no identifier of the source"


def sr_report(prediction: Prediction, setting: Setting, sources: Sequence[Dataset] = ()) -> Dataset:
    """Write one Prediction as a Comprehensive SR document.

    Args:
        prediction: The stored answer.
        setting: Its state decides on Preliminary Flag and Verification Flag.
        sources: Headers of the images that the answer rests on, of one patient, those of the newest study first. Only
            for an identified report (`setting.whose`).

    Source: DICOM PS3.3 C.17.2 (SR Document General), PS3.16 TID 1500, TID 1501, TID 300, TID 1001.
    """
    assert bool(sources) <= bool(setting.whose), "references to images name the patient"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they quote names and UIDs of the source
        return _document(prediction, setting, [one for one in sources if referable(one)], len(sources))


def _document(prediction: Prediction, setting: Setting, sources: Sequence[Dataset], found: int) -> Dataset:
    """The same with the images that it can refer to, of `found` in all."""
    signed = setting.signed
    earlier = [_earlier(prediction, setting, signed.before, sources)] if signed.before else None
    document = ComprehensiveSR(
        evidence=list(sources) or [_nobodys_header(prediction, setting)],
        content=measurement_report(prediction, setting, sources, found - len(sources))[0],
        series_instance_uid=_series(prediction, setting),
        series_number=SERIES_NUMBER,
        sop_instance_uid=_instance(prediction, setting, signed),
        instance_number=1,
        manufacturer=MAKER,
        manufacturer_model_name=short(setting.model_name),
        software_versions=short(setting.model_version),
        device_serial_number=short(prediction.model_hash),
        series_description=short(f"AI report: {prediction.target}"),
        is_complete=True,
        is_final=bool(signed.signer),
        is_verified=bool(signed.signer),
        verifying_observer_name=person_name(signed.signer) if signed.signer else None,
        verifying_organization=NOT_STATED if signed.signer else None,
        previous_versions=earlier,
        specific_character_set="ISO_IR 192",
    )
    if setting.whose:  # the first image may lack what another says
        document.PatientID, document.PatientName = setting.whose.patient_id, setting.whose.name
    _own_scheme(document)
    # Times of a study have the zone of its site, and say it seldom; in a study of its own they are UTC, and say so.
    _times(document, setting.created if sources else setting.created_utc, signed.signed_at)
    return document if sources else _without_evidence(document)


def sr_bytes(document: Dataset) -> bytes:
    """The document as a DICOM file."""
    out = BytesIO()
    document.save_as(out, enforce_file_format=True)
    return out.getvalue()


def _nobodys_header(prediction: Prediction, setting: Setting) -> Dataset:
    """A patient who is a pseudonym, and a study that holds this report alone."""
    made = prediction.decision_time or setting.created
    header = Dataset()
    whose = setting.whose
    header.PatientID = whose.patient_id if whose else short(prediction.patient_key)
    header.PatientName = whose.name if whose else f"{short(prediction.patient_key)}^"
    header.PatientBirthDate = whose.birth_date.strftime("%Y%m%d") if whose and whose.birth_date else ""
    header.PatientSex = whose.sex if whose else ""
    header.StudyInstanceUID, header.SeriesInstanceUID = (
        uid_of(prediction, f"SR study/{bool(setting.whose)}"),
        uid_of(prediction, "no series"),
    )
    header.SOPClassUID, header.SOPInstanceUID = ComprehensiveSRStorage, uid_of(prediction, "no instance")
    if whose is None:
        header.PatientIdentityRemoved, header.DeidentificationMethod = "YES", REMOVED
    header.AccessionNumber = header.StudyID = ""
    header.StudyDate, header.StudyTime = made.astimezone(UTC).strftime("%Y%m%d %H%M%S").split()
    header.StudyDescription = short(f"{'SIMULATED ' if setting.simulated else ''}AI report")
    return header


def _without_evidence(document: Dataset) -> Dataset:
    for keyword in ("CurrentRequestedProcedureEvidenceSequence", "PertinentOtherEvidenceSequence"):
        if keyword in document:
            delattr(document, keyword)
    document.TimezoneOffsetFromUTC = "+0000"
    return document


def _earlier(prediction: Prediction, setting: Setting, before: Signed, sources: Sequence[Dataset]) -> Dataset:
    """What names the report that this one replaces, written for the same eyes."""
    found = Dataset()
    found.SOPClassUID, found.SOPInstanceUID = ComprehensiveSRStorage, _instance(prediction, setting, before)
    found.StudyInstanceUID = (
        sources[0].StudyInstanceUID if sources else uid_of(prediction, f"SR study/{bool(setting.whose)}")
    )
    found.SeriesInstanceUID = _series(prediction, setting)
    return found


def _instance(prediction: Prediction, setting: Setting, signed: Signed) -> str:
    """Two documents with other content have other UIDs: by their acts, named or not, shown or hidden."""
    return uid_of(prediction, f"SR/{signed.acts_hash}/{bool(setting.whose)}/{bool(prediction.withheld)}")


def _series(prediction: Prediction, setting: Setting) -> str:
    return uid_of(prediction, f"SR series/{bool(setting.whose)}")


def _own_scheme(document: Dataset) -> None:
    """Name the private scheme, PS3.3 C.12.1.1: codes without it would mean nothing elsewhere."""
    told, item = policy("dicom_sr"), Dataset()
    item.CodingSchemeDesignator, item.CodingSchemeName = told["own_scheme"], told["own_name"]
    item.CodingSchemeResponsibleOrganization = MAKER
    document.CodingSchemeIdentificationSequence = [item]


def _times(document: Dataset, made: datetime, signed_at: datetime | None) -> None:
    """In place of the clock that highdicom read: the same report is to give the same bytes."""
    for part in ("InstanceCreation", "Content", "Series"):
        setattr(document, f"{part}Date", made.strftime("%Y%m%d"))
        setattr(document, f"{part}Time", made.strftime("%H%M%S"))
    for item in document.ContributingEquipmentSequence:
        item.ContributionDateTime = made.astimezone(UTC).strftime("%Y%m%d%H%M%S+0000")
    if signed_at is not None:
        moment = signed_at.astimezone(UTC).strftime("%Y%m%d%H%M%S+0000")
        document.VerifyingObserverSequence[0].VerificationDateTime = moment
