"""What people did with an answer, as FHIR R4B resources; and the Patient, where the operator asked for it.

In:  a Prediction and its setting. Out: resources without a model in them: Practitioner, the Observation of the reader's
verdict, the Provenance of the signature, Patient; and what of it the DiagnosticReport repeats.

A signature here is a record of an act in the store, not a digital signature: Provenance.signature is left out.
"""

from typing import Any, Final

from clinic_mm.predict.prediction import Prediction
from clinic_mm.report.fhir_parts import (
    ABSENT_REASON,
    CLINICIAN_ASSERTED,
    clean,
    coded,
    identifier,
    instant,
    reference,
    resource_head,
    resource_id,
)
from clinic_mm.report.setting import Setting, Whose
from clinic_mm.report.signed import UNSIGNED, Signed
from clinic_mm.report.signed_words import reader_rows, state_in_words

Resource = dict[str, Any]
PARTICIPANT: Final = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
GENDERS: Final = {"F": "female", "M": "male", "O": "other"}
VERDICT: Final = "Observation/verdict of a person"


class ReaderPart:
    """The resources that tell of people; none where nobody did anything and nobody is named."""

    def __init__(self, prediction: Prediction, setting: Setting) -> None:
        self.prediction, self.setting, self.signed = prediction, setting, setting.signed
        self.hash = prediction.content_hash

    def __bool__(self) -> bool:
        return self.signed != UNSIGNED

    @property
    def security(self) -> list[dict[str, str]]:
        """The label of what a clinician asserted after an AI had; none before that."""
        return [CLINICIAN_ASSERTED] if self.signed.signer else []

    def resources(self, subject: Resource, report: str) -> list[Resource]:
        """All of them.

        Args:
            subject: The reference to whom it is about.
            report: Id of the DiagnosticReport, which a signature is of.
        """
        found = [self._patient(self.setting.whose)] if self.setting.whose else []
        if not self:
            return found
        found += [self._practitioner(name) for name in self._people()]
        found.append(self._verdict(subject))
        return [*found, self._signature(report)] if self.signed.signer else found

    def results(self) -> list[Resource]:
        """What the DiagnosticReport lists among its results."""
        return [reference(self._id(VERDICT))] if self else []

    def of_report(self) -> Resource:
        """What the DiagnosticReport says of the reader."""
        signed = self.signed
        told: Resource = {"status": signed.state}
        if signed.signer:
            told["resultsInterpreter"] = [reference(self._person(signed.signer))]
        if signed.verdict:
            told["conclusionCode"] = [{"text": clean(signed.verdict)}]
        return told

    def lines(self) -> list[str]:
        """The state of the report, and what people did, in words."""
        rows = reader_rows(self.prediction, self.signed)
        return [clean(text) for text in (state_in_words(self.signed), *(f"{name}: {words}" for name, words in rows))]

    def patient_id(self) -> str:
        """The id of the Patient, where there is one."""
        return self._id("Patient") if self.setting.whose else ""

    def _verdict(self, subject: Resource) -> Resource:
        signed = self.signed
        value: Resource = {"valueCodeableConcept": {"text": clean(signed.verdict)}}
        if not signed.verdict:
            value = {"dataAbsentReason": coded(ABSENT_REASON, "temp-unknown", "Temporarily Unknown")}
        by = {"performer": [reference(self._person(signed.signer))]} if signed.signer else {}
        return {
            **self._head("Observation", self._id(VERDICT), self.lines(), self.security),
            "status": signed.state,
            "code": {"text": clean(f"Reader's verdict on {self.prediction.target}")},
            "subject": subject,
            **({"issued": instant(signed.signed_at)} if signed.signed_at else {}),
            **by,
            **value,
            "note": self._notes(signed),
        }

    def _notes(self, signed: Signed) -> list[Resource]:
        rows = reader_rows(self.prediction, signed)
        acts = rows[: len(rows) - len(signed.comments)]
        said = [{"text": clean(f"{name}: {words}")} for name, words in acts] or [{"text": state_in_words(signed)}]
        comments = [
            {"authorReference": reference(self._person(one.by)), "time": instant(one.at), "text": clean(one.text)}
            for one in signed.comments
        ]
        return [*said, *comments]

    def _signature(self, report: str) -> Resource:
        signed = self.signed
        assert signed.signed_at is not None, "what is signed has its time (Signed)"
        before = signed.before.acts_hash if signed.before else ""
        entities = [{"role": "source", "what": {"identifier": identifier("prediction-sha256", self.hash)}}]
        if before:
            entities.append({"role": "revision", "what": {"identifier": identifier("acts-sha256", before)}})
        agent = coded(PARTICIPANT, "verifier", "Verifier")
        return {
            **self._head("Provenance", self._id("Provenance/signature"), [state_in_words(signed)], self.security),
            "target": [reference(report), reference(self._id(VERDICT))],
            "occurredDateTime": instant(signed.signed_at),
            "recorded": instant(signed.signed_at),
            "activity": {"text": "Amended by a person" if signed.state == "amended" else "Read and signed by a person"},
            "agent": [{"type": agent, "who": reference(self._person(signed.signer))}],
            "entity": entities,
        }

    def _people(self) -> list[str]:
        """Everybody who acted, in the order of the acts."""
        return list(dict.fromkeys([*filter(None, [self.signed.signer]), *(one.by for one in self.signed.comments)]))

    def _practitioner(self, name: str) -> Resource:
        lines = [f"User {name} of clinic_mm; who that is, the site's store knows."]
        return {
            **self._head("Practitioner", self._person(name), lines, []),
            "identifier": [identifier("user", clean(name))],
        }

    def _patient(self, whose: Whose) -> Resource:
        family, *given = [part.strip() for part in clean(whose.name).split("^")]
        name = {"family": family, "given": [part for part in given if part]}
        born = {"birthDate": whose.birth_date.isoformat()} if whose.birth_date else {}
        return {
            **self._head("Patient", self.patient_id(), ["The patient as the source names them."], []),
            "identifier": [
                identifier("source-patient-id", clean(whose.patient_id)),
                identifier("patient-key", clean(self.prediction.patient_key)),
            ],
            "name": [{key: part for key, part in name.items() if part}] if any(name.values()) else [{"text": "-"}],
            "gender": GENDERS.get(whose.sex, "unknown"),
            **born,
        }

    def _head(self, kind: str, found: str, lines: list[str], security: list[dict[str, str]]) -> Resource:
        return resource_head(kind, found, lines, security, simulated=self.setting.simulated)

    def _person(self, name: str) -> str:
        return resource_id(name, "Practitioner")

    def _id(self, role: str) -> str:
        return resource_id(self.hash, role)
