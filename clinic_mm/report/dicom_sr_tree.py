"""The tree of a DICOM SR report: who observed, numbers of the answer and of what it rests on, everything in words.

In:  a Prediction, its setting, the images that it may refer to. Out: a TID 1500 Measurement Report by highdicom.

Where no answer is given or shown, no number is in it. Nothing here knows of patient or study.
"""

from collections.abc import Sequence
from typing import Any, Final

from highdicom.sr import (
    AlgorithmIdentification,
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

from clinic_mm.predict.prediction import Prediction
from clinic_mm.report.advice_words import advice_lines
from clinic_mm.report.content import class_rows
from clinic_mm.report.dicom_sr_items import (
    as_uid,
    code_item,
    concept,
    container,
    modified_by,
    own,
    person_name,
    text_item,
)
from clinic_mm.report.fhir_parts import clean, resource_id
from clinic_mm.report.setting import Setting
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
UNNAMED: Final = "{} images of the source do not say which they are (no UIDs) and are not listed here"


def measurement_report(
    prediction: Prediction, setting: Setting, sources: Sequence[Dataset], unnamed: int
) -> MeasurementReport:
    """The whole tree.

    Args:
        prediction: The stored answer.
        setting: When, by which model, what people did.
        sources: Headers of the images that are named as its source.
        unnamed: How many more there were that do not say which they are.

    Source: DICOM PS3.16 TID 1500, TID 1501, TID 300, TID 1001.
    """
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
            uid=as_uid(resource_id(prediction.model_hash, "Device")),
            name=clean(f"{MAKER}: {setting.model}"),
            manufacturer_name=MAKER,
            model_name=clean(setting.model_name),
            serial_number=prediction.model_hash,
        ),
    )
    if not setting.signed.signer:
        return ObservationContext(observer_device_context=device)
    person = PersonObserverIdentifyingAttributes(
        name=person_name(setting.signed.signer), login_name=setting.signed.signer
    )
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


def _tracking(prediction: Prediction, part: str) -> TrackingIdentifier:
    return TrackingIdentifier(
        uid=uid_of(prediction, part), identifier=f"{part} of prediction {prediction.content_hash}"
    )


def uid_of(prediction: Prediction, role: str) -> str:
    """The UID of a part of the reports on this answer: the same wherever and whenever it is written."""
    return as_uid(resource_id(prediction.content_hash, role))
