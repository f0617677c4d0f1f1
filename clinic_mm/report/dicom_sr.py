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
from typing import Any, Final
from uuid import UUID

from highdicom.sr import (
    AlgorithmIdentification,
    ComprehensiveSR,
    DeviceObserverIdentifyingAttributes,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    PersonObserverIdentifyingAttributes,
    QualitativeEvaluation,
    SourceImageForMeasurementGroup,
    TrackingIdentifier,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import ComprehensiveSRStorage

from clinic_mm.bundle import policy
from clinic_mm.predict.prediction import Prediction
from clinic_mm.report.advice_words import advice_lines
from clinic_mm.report.content import class_rows
from clinic_mm.report.dicom_sources import referable
from clinic_mm.report.dicom_sr_items import code_item, concept, container, modified_by, own, short, text_item
from clinic_mm.report.fhir_parts import clean, resource_id
from clinic_mm.report.setting import Setting
from clinic_mm.report.signed import Signed
from clinic_mm.report.signed_words import IDENTIFIED, reader_rows, state_in_words
from clinic_mm.report.words import (
    NOT_A_DEVICE,
    SIMULATED,
    answer_in_words,
    label_of,
    missing_in_words,
    ordered_shares,
    settled,
    share_unit,
    shows_answer,
)

MAKER: Final = "clinic_mm"
SERIES_NUMBER: Final = 9100
"""Far from the numbers that scanners give."""
UNNAMED: Final = "{} images of the source do not say which they are (no UIDs) and are not listed here"
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
    signed, made = setting.signed, setting.created_utc
    earlier = [_earlier(prediction, signed.before, sources)] if signed.before else None
    document = ComprehensiveSR(
        evidence=list(sources) or [_nobodys_header(prediction, setting)],
        content=_content(prediction, setting, sources, found - len(sources))[0],
        series_instance_uid=_uid(prediction, "SR series"),
        series_number=SERIES_NUMBER,
        sop_instance_uid=_uid(prediction, f"SR/{signed.acts_hash}"),
        instance_number=1,
        manufacturer=MAKER,
        manufacturer_model_name=short(setting.model_name),
        software_versions=short(setting.model_version),
        device_serial_number=short(prediction.model_hash),
        series_description=short(f"AI report: {prediction.target}"),
        is_complete=True,
        is_final=bool(signed.signer),
        is_verified=bool(signed.signer),
        verifying_observer_name=_person(signed.signer) if signed.signer else None,
        verifying_organization=NOT_STATED if signed.signer else None,
        previous_versions=earlier,
        specific_character_set="ISO_IR 192",
    )
    if setting.whose:  # the first image may lack what another says
        document.PatientID, document.PatientName = setting.whose.patient_id, setting.whose.name
    _own_scheme(document)
    _times(document, made, signed.signed_at)
    return document if sources else _without_evidence(document)


def sr_bytes(document: Dataset) -> bytes:
    """The document as a DICOM file."""
    out = BytesIO()
    document.save_as(out, enforce_file_format=True)
    return out.getvalue()


def _content(prediction: Prediction, setting: Setting, sources: Sequence[Dataset], unnamed: int) -> MeasurementReport:
    """The tree: who observed, numbers of the answer, numbers of what it rests on, everything in words."""
    algorithm = AlgorithmIdentification(
        name=clean(setting.model_name),
        version=clean(setting.model_version),
        parameters=[f"model sha256 {prediction.model_hash}", f"input sha256 {prediction.input_hash}"],
        family=concept("ai"),
        manufacturer=MAKER,
    )
    groups = [_answer(prediction, algorithm, sources)]
    if shows_answer(prediction) and prediction.shapley:
        groups.append(_shares(prediction, setting, algorithm))
    tree = MeasurementReport(
        observation_context=_observers(prediction, setting),
        procedure_reported=concept("procedure"),
        imaging_measurements=groups,
    )
    tree[0].ContentSequence.append(container("qualitative", _in_words(prediction, setting, unnamed)))
    return tree


def _observers(prediction: Prediction, setting: Setting) -> ObservationContext:
    device = ObserverContext(
        observer_type=codes.cid270.Device,
        observer_identifying_attributes=DeviceObserverIdentifyingAttributes(
            uid=_as_uid(resource_id(prediction.model_hash, "Device")),
            name=clean(f"{MAKER}: {setting.model}"),
            manufacturer_name=MAKER,
            model_name=clean(setting.model_name),
            serial_number=prediction.model_hash,
        ),
    )
    if not setting.signed.signer:
        return ObservationContext(observer_device_context=device)
    person = PersonObserverIdentifyingAttributes(name=_person(setting.signed.signer), login_name=setting.signed.signer)
    reader = ObserverContext(observer_type=codes.cid270.Person, observer_identifying_attributes=person)
    return ObservationContext(observer_person_context=reader, observer_device_context=device)


def _answer(
    prediction: Prediction, algorithm: AlgorithmIdentification, sources: Sequence[Dataset]
) -> MeasurementsAndQualitativeEvaluations:
    numbers = []
    for name, p in class_rows(prediction):
        number = Measurement(name=concept("probability"), value=settled(p), unit=concept("no_units"))
        modified_by(number[0], "finding", own(name))
        numbers.append(number)
    state = "hidden" if prediction.withheld else "abstained" if prediction.abstained else "given"
    told = [QualitativeEvaluation(concept("answer"), concept(state))]
    if shows_answer(prediction):
        kept = [own(name) for name in prediction.prediction_set.classes] or [concept("empty_set")]
        told += [QualitativeEvaluation(concept("in_set"), one) for one in kept]
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(prediction, "answer"),
        finding_type=own(prediction.target),
        algorithm_id=algorithm,
        measurements=numbers or None,
        qualitative_evaluations=told,
        source_images=[SourceImageForMeasurementGroup(one.SOPClassUID, one.SOPInstanceUID) for one in sources] or None,
    )


def _shares(
    prediction: Prediction, setting: Setting, algorithm: AlgorithmIdentification
) -> MeasurementsAndQualitativeEvaluations:
    name = "share_of_log_odds" if share_unit(prediction) == "log-odds" else "share_of_log_probability"
    numbers = []
    for modality, share in ordered_shares(prediction):
        number = Measurement(name=concept(name), value=settled(share), unit=concept("no_units"))
        modified_by(number[0], "modality", own(label_of(modality, setting.labels)))
        numbers.append(number)
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(prediction, "shares"), algorithm_id=algorithm, measurements=numbers
    )


def _in_words(prediction: Prediction, setting: Setting, unnamed: int) -> list[Any]:
    """The same in words, and what numbers cannot say; names are whole here."""
    signed = setting.signed
    verdict = [code_item("verdict", own(signed.verdict))] if signed.verdict else []
    rows = [(label_of(m.modality, setting.labels), missing_in_words(m)) for m in prediction.missing]
    flags = [(label_of(f.modality, setting.labels), f"{f.flag.why} ({f.flag.code})") for f in prediction.flags]
    lines = [
        *([("warning", SIMULATED)] if setting.simulated else []),
        *([("warning", IDENTIFIED)] if setting.whose else []),
        ("warning", NOT_A_DEVICE),
        *([("warning", UNNAMED.format(unnamed))] if unnamed else []),
        ("state", state_in_words(signed)),
        *(("comment", f"{name}: {words}") for name, words in reader_rows(prediction, signed)),
        ("conclusion", answer_in_words(prediction)),
        *(("missing", f"{label}: {words}") for label, words in rows),
        *(("flag", f"{label}: {words}") for label, words in flags),
        *(("comment", notice) for notice in prediction.notices),
        *(("advice", line) for line in advice_lines(prediction, setting.labels)),
        ("content_hash", prediction.content_hash),
    ]
    return [*verdict, *(text_item(name, words) for name, words in lines)]


def _nobodys_header(prediction: Prediction, setting: Setting) -> Dataset:
    """A patient who is a pseudonym, and a study that holds this report alone."""
    made = prediction.decision_time or setting.created
    header = Dataset()
    whose = setting.whose
    header.PatientID = whose.patient_id if whose else short(prediction.patient_key)
    header.PatientName = whose.name if whose else f"{short(prediction.patient_key)}^"
    header.PatientBirthDate = whose.birth_date.strftime("%Y%m%d") if whose and whose.birth_date else ""
    header.PatientSex = whose.sex if whose else ""
    header.StudyInstanceUID, header.SeriesInstanceUID = _uid(prediction, "SR study"), _uid(prediction, "no series")
    header.SOPClassUID, header.SOPInstanceUID = ComprehensiveSRStorage, _uid(prediction, "no instance")
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


def _earlier(prediction: Prediction, before: Signed, sources: Sequence[Dataset]) -> Dataset:
    """What names the report that this one replaces."""
    found = Dataset()
    found.SOPClassUID, found.SOPInstanceUID = ComprehensiveSRStorage, _uid(prediction, f"SR/{before.acts_hash}")
    found.StudyInstanceUID = sources[0].StudyInstanceUID if sources else _uid(prediction, "SR study")
    found.SeriesInstanceUID = _uid(prediction, "SR series")
    return found


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
        item.ContributionDateTime = made.strftime("%Y%m%d%H%M%S+0000")
    if signed_at is not None:
        moment = signed_at.astimezone(UTC).strftime("%Y%m%d%H%M%S+0000")
        document.VerifyingObserverSequence[0].VerificationDateTime = moment


def _tracking(prediction: Prediction, part: str) -> TrackingIdentifier:
    return TrackingIdentifier(uid=_uid(prediction, part), identifier=f"{part} of prediction {prediction.content_hash}")


def _person(signer: str) -> str:
    """A person name of one component: ids have no signs of their own in it."""
    return f"{short(signer.replace('^', ' ').replace('=', ' '))}^"


def _uid(prediction: Prediction, role: str) -> str:
    return _as_uid(resource_id(prediction.content_hash, role))


def _as_uid(found: str) -> str:
    """PS3.5 B.2: a UUID as a UID."""
    return f"2.25.{UUID(found).int}"
