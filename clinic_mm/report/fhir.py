"""One Prediction as a FHIR R4B Bundle of type collection, what software asserts marked as such in every resource.

In:  a Prediction and its setting: time, model, and what people did with the answer.
Out: a JSON-ready dict: DiagnosticReport, RiskAssessment, one Observation per modality, Provenance, Device; and what
     people said (report/fhir_reader.py). The same arguments give the same bytes.

The subject is the pseudonymous key, and a Patient only where the operator asked for it. Nothing here signs: it repeats
what was signed in the store.
"""

from datetime import UTC
from typing import Any, Final

import orjson

from clinic_mm.predict.prediction import MissingEvidence, Prediction
from clinic_mm.report.advice_words import advice_lines
from clinic_mm.report.fhir_parts import (
    ABSENT_REASON,
    AI_ASSERTED,
    TEST_DATA,
    clean,
    coded,
    identifier,
    reference,
    resource_head,
    resource_id,
)
from clinic_mm.report.fhir_reader import PARTICIPANT, ReaderPart
from clinic_mm.report.fhir_valid import check_bundle
from clinic_mm.report.setting import Setting
from clinic_mm.report.words import (
    NO_SHARES,
    NOT_A_DEVICE,
    SIMULATED,
    answer_in_words,
    label_of,
    missing_in_words,
    ordered_shares,
    settled,
    share_in_words,
    share_unit,
    shows_answer,
)

Resource = dict[str, Any]
RISK_OF_REPORT: Final = "http://hl7.org/fhir/StructureDefinition/diagnosticReport-risk"
PERCENT_DIGITS: Final = 4


def fhir_report(prediction: Prediction, setting: Setting, *, validate: bool = False) -> Resource:
    """Write one Prediction as a FHIR R4B Bundle.

    Args:
        prediction: The stored answer; its content hash is the identifier of Bundle and DiagnosticReport.
        setting: Its state decides on preliminary, final or amended. Simulated adds the security label HTEST to every
            resource, and says so in the text.
        validate: Check each resource with `fhir.resources.R4B` (about 1 ms each), and every reference.

    Raises:
        ClinicError: If `validate` is set and a resource is not valid, which is our fault.

    Source: HL7 FHIR R4B (4.3.0); v3-ObservationValue AIAST; v3-ActReason HTEST; AI Transparency on FHIR, CLINAST_AIRPT.
    """
    bundle = _Writer(prediction, setting).bundle()
    if validate:
        check_bundle(bundle)
    return bundle


def report_bytes(bundle: Resource) -> bytes:
    """The one spelling of a report on disk: keys sorted, two spaces, a newline at the end."""
    return orjson.dumps(bundle, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


class _Writer:
    """Holds what all resources of one report share."""

    def __init__(self, prediction: Prediction, setting: Setting) -> None:
        self.prediction, self.hash = prediction, prediction.content_hash
        self.created = setting.created_utc.isoformat(timespec="milliseconds")
        self.model_name, self.model_version = clean(setting.model_name), clean(setting.model_version)
        self.labels, self.simulated, self.setting = setting.labels, setting.simulated, setting
        self.reader = ReaderPart(prediction, setting)

    def bundle(self) -> Resource:
        observations = [self._present(name, share) for name, share in ordered_shares(self.prediction)]
        observations += [self._missing(missing) for missing in self.prediction.missing]
        results = [self.diagnostic_report(observations), self.risk_assessment(observations), *observations]
        theirs = self.reader.resources(self._subject(), self._id("DiagnosticReport"))
        resources = [*results, self.provenance(results), self.device(), *theirs]
        return {
            "resourceType": "Bundle",
            "id": self._id(f"Bundle/{self.setting.signed.acts_hash}" if self.reader else "Bundle"),
            "meta": {"security": [AI_ASSERTED, *self.reader.security, *([TEST_DATA] if self.simulated else [])]},
            "identifier": identifier("prediction-sha256", self.hash),
            "type": "collection",
            "timestamp": self.created,
            "entry": [{"fullUrl": f"urn:uuid:{found['id']}", "resource": found} for found in resources],
        }

    def diagnostic_report(self, observations: list[Resource]) -> Resource:
        """Read first what people said, where they did, then what the software says."""
        people = [f"{line}." for line in self.reader.lines()] if self.reader else []
        marks = [f"{SIMULATED}."] if self.simulated else []
        conclusion = " ".join([*marks, *people, self._answer(), NOT_A_DEVICE])
        rows = [self._sentence(found) for found in observations]
        results = [*(reference(found["id"]) for found in observations), *self.reader.results()]
        security = self.reader.security or [AI_ASSERTED]
        return {
            **self._head("DiagnosticReport", "", [conclusion, *rows, *self._remarks()], security),
            "extension": [{"url": RISK_OF_REPORT, "valueReference": reference(self._id("RiskAssessment"))}],
            "identifier": [identifier("prediction-sha256", self.hash), identifier("case-key", self._case)],
            "category": [coded("http://terminology.hl7.org/CodeSystem/v2-0074", "OTH", "Other")],
            "code": {"text": clean(self.prediction.target)},
            "subject": self._subject(),
            **self._effective("effectiveDateTime"),
            "issued": self.created,
            **({"result": results} if results else {}),
            "conclusion": conclusion,
            **self.reader.of_report(),
        }

    def risk_assessment(self, observations: list[Resource]) -> Resource:
        """Probabilities in percent, as the standard has it; none at all where no answer is given, or shown."""
        rows = zip(self.prediction.classes, self.prediction.probabilities, strict=True)
        basis = [reference(found["id"]) for found in observations if "valueQuantity" in found]
        return {
            **self._head("RiskAssessment", "", [self._answer()]),
            "status": self._status,
            "method": {"text": f"{self.model_name} {self.model_version}".strip()},
            "code": {"text": clean(self.prediction.target)},
            "subject": self._subject(),
            **self._effective("occurrenceDateTime"),
            "performer": reference(self._device_id),
            **({"basis": basis} if basis else {}),
            "prediction": [self._outcome(name, p) for name, p in rows],
            "note": [{"text": text} for text in [*self._silence(), *self._remarks(), NOT_A_DEVICE]],
        }

    def provenance(self, results: list[Resource]) -> Resource:
        hashes = (("input", self.prediction.input_hash), ("settings", self.prediction.settings_hash))
        entities = [
            {"role": "source", "what": {"identifier": identifier(f"{name}-sha256", value), "display": name}}
            for name, value in hashes
            if value
        ]
        return {
            **self._head("Provenance", "", [f"Computed by {self.model_name} {self.model_version}."]),
            "target": [reference(found["id"]) for found in results],
            "recorded": self.created,
            "activity": {"text": f"Automated inference, {self._review}"},
            "agent": [
                {
                    "type": coded(PARTICIPANT, "assembler", "Assembler"),
                    "who": reference(self._device_id),
                }
            ],
            **({"entity": entities} if entities else {}),
        }

    def device(self) -> Resource:
        versions = (("software version", self.model_version), ("model SHA-256", self.prediction.model_hash))
        return {
            **self._head("Device", self._device_id, [f"Software {self.model_name} {self.model_version}."]),
            "identifier": [identifier("model-sha256", clean(self.prediction.model_hash))],
            "status": "active",
            "deviceName": [{"name": f"clinic_mm: {self.model_name}", "type": "model-name"}],
            "type": {"text": "Decision support software, research only"},
            "version": [{"type": {"text": kind}, "value": clean(value)} for kind, value in versions if value],
            "note": [{"text": NOT_A_DEVICE}],
        }

    def _present(self, name: str, share: float) -> Resource:
        label, words = self._label(name), share_in_words(self.prediction, share)
        flags = [f"{f.flag.why} ({f.flag.code})" for f in self.prediction.flags if f.modality == name]
        if not shows_answer(self.prediction):  # shares add up to the answer that is not given
            reason = {**coded(ABSENT_REASON, "not-applicable", "Not Applicable"), "text": NO_SHARES}
            return {**self._observation(name, [f"{label}: {NO_SHARES}.", *flags]), "dataAbsentReason": reason}
        return {
            **self._observation(name, [f"{label}: {words}.", *flags]),
            "valueQuantity": {
                "value": settled(share),
                "unit": share_unit(self.prediction),
                "system": "http://unitsofmeasure.org",
                "code": "1",
            },
            "note": [{"text": clean(text)} for text in [f"{label}: {words}", *flags]],
        }

    def _missing(self, missing: MissingEvidence) -> Resource:
        words = clean(missing_in_words(missing))
        code, display = _absent_reason(missing)
        return {
            **self._observation(missing.modality, [f"{self._label(missing.modality)}: {words}."]),
            "dataAbsentReason": {**coded(ABSENT_REASON, code, display), "text": words},
        }

    def _observation(self, name: str, lines: list[str]) -> Resource:
        label = self._label(name)
        return {
            **self._head("Observation", f"Observation/{name}", lines),
            "status": self._status,
            "code": {
                "coding": [{"system": "urn:x-clinic-mm:modality", "code": clean(name), "display": label}],
                "text": f"Share of {label} in the estimate",
            },
            "subject": self._subject(),
            **self._effective("effectiveDateTime"),
            "device": reference(self._device_id),
        }

    def _outcome(self, name: str, p: float) -> Resource:
        outcome: Resource = {"outcome": {"text": clean(name)}}
        if not shows_answer(self.prediction):
            why = "monitoring hides it" if self.prediction.withheld else "the model abstains"
            return {**outcome, "rationale": f"No probability is given: {why}"}
        percent = round(settled(p) * 100, PERCENT_DIGITS)
        kept = name in self.prediction.prediction_set.classes
        place = "inside" if kept else "outside"
        level = f"{self.prediction.prediction_set.level * 100:g} %"
        return {
            **outcome,
            "probabilityDecimal": percent,
            "rationale": f"Calibrated probability, in percent; {place} the {level} prediction set",
        }

    def _head(self, kind: str, role: str, lines: list[str], security: list[Resource] | None = None) -> Resource:
        found = role if kind == "Device" else self._id(role or kind)
        return resource_head(kind, found, lines, security or [AI_ASSERTED], simulated=self.simulated)

    @property
    def _status(self) -> str:
        """Of what the software computed: an amendment changes what people said, never that."""
        return "final" if self.setting.signed.signer else "preliminary"

    @property
    def _review(self) -> str:
        return "signed by a person since" if self.setting.signed.signer else "not signed by a person"

    def _silence(self) -> list[str]:
        """Each reason for giving no answer, with its code."""
        return [clean(f"No answer ({reason.code}): {reason.why}") for reason in self.prediction.abstentions]

    def _remarks(self) -> list[str]:
        return [clean(line) for line in (*self.prediction.notices, *advice_lines(self.prediction, self.labels))]

    def _sentence(self, observation: Resource) -> str:
        reason = observation.get("dataAbsentReason")
        text = observation["note"][0]["text"] if reason is None else reason["text"]
        return text if reason is None else f"{observation['code']['coding'][0]['display']}: {text}"

    def _effective(self, field: str) -> Resource:
        moment = self.prediction.decision_time
        return {} if moment is None else {field: moment.astimezone(UTC).isoformat(timespec="seconds")}

    def _subject(self) -> Resource:
        found = self.reader.patient_id()
        named = reference(found) if found else {}
        return {**named, "type": "Patient", "identifier": identifier("patient-key", clean(self.prediction.patient_key))}

    def _label(self, name: str) -> str:
        return clean(label_of(name, self.labels))

    def _answer(self) -> str:
        return clean(answer_in_words(self.prediction))

    def _id(self, role: str) -> str:
        return resource_id(self.hash, role)

    @property
    def _case(self) -> str:
        return clean(self.prediction.case_key)

    @property
    def _device_id(self) -> str:
        return resource_id(self.prediction.model_hash, "Device")


def _absent_reason(missing: MissingEvidence) -> tuple[str, str]:
    if missing.status == "absent":
        return "not-performed", "Not Performed"
    if "unsupported" in missing.code:
        return "unsupported", "Unsupported"
    return "error", "Error"
