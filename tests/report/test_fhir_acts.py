"""The FHIR bundle from preliminary to amended: who asserted what, and that nothing else moves."""

from dataclasses import replace
from typing import Any

import pytest

from clinic_mm.errors import ClinicError
from clinic_mm.predict.prediction import Prediction
from clinic_mm.report.fhir import fhir_report, report_bytes
from clinic_mm.report.fhir_valid import check_bundle
from clinic_mm.report.setting import Setting
from clinic_mm.report.signed import Signed
from tests.report.acts import ACTS, AMENDED, FINAL, OVERRIDDEN, WHOSE
from tests.report.predictions import made_up
from tests.report.silent import HIDDEN, REASON, SHARES, leaked, telling
from tests.report.test_fhir import CREATED, of_kind

PLAIN = Setting(CREATED, "demo", "1")


def report(signed: Signed, prediction: Prediction | None = None) -> dict[str, Any]:
    return fhir_report(prediction or made_up(), replace(PLAIN, signed=signed), validate=True)


@pytest.mark.parametrize("name", ACTS)
def test_the_state_of_the_report_is_that_of_the_acts_and_the_software_never_amends(name: str) -> None:
    signed, bundle = ACTS[name], report(ACTS[name])
    (diagnosis,), (risk,) = of_kind(bundle, "DiagnosticReport"), of_kind(bundle, "RiskAssessment")
    assert diagnosis["status"] == signed.state
    assert risk["status"] == ("final" if signed.signer else "preliminary")
    assert ("resultsInterpreter" in diagnosis) == bool(signed.signer)
    labels = {label["code"] for label in diagnosis["meta"]["security"]}
    assert labels == ({"CLINAST_AIRPT"} if signed.signer else {"AIAST"})
    assert {label["code"] for label in risk["meta"]["security"]} == {"AIAST"}


def test_numbers_ids_and_hash_stay_while_people_act() -> None:
    bundles = [report(signed) for signed in ACTS.values()]
    risks = [of_kind(bundle, "RiskAssessment")[0] for bundle in bundles]
    assert len({str(risk["prediction"]) for risk in risks}) == 1
    assert len({of_kind(bundle, "DiagnosticReport")[0]["id"] for bundle in bundles}) == 1
    assert {bundle["identifier"]["value"] for bundle in bundles} == {made_up().content_hash}
    assert len({bundle["id"] for bundle in bundles}) == len(ACTS)


def test_an_override_and_an_amendment_say_by_whom_against_what_and_why() -> None:
    bundle = report(AMENDED)
    verdict = next(o for o in of_kind(bundle, "Observation") if o["code"]["text"].startswith("Reader's"))
    assert verdict["valueCodeableConcept"] == {"text": "negative"}
    said = " ".join(note["text"] for note in verdict["note"])
    assert "overridden: A nipple shadow" in said
    assert "Wrong side read at first" in said
    assert "positive; FINAL: signed by u17" in said
    signature = next(
        p for p in of_kind(bundle, "Provenance") if p["agent"][0]["type"]["coding"][0]["code"] == "verifier"
    )
    assert signature["entity"][1]["what"]["identifier"]["value"] == FINAL.acts_hash
    assert of_kind(bundle, "DiagnosticReport")[0]["conclusionCode"] == [{"text": "negative"}]


@pytest.mark.parametrize("why", [REASON, HIDDEN], ids=["abstained", "withheld"])
def test_a_signature_on_a_hidden_answer_tells_nothing_of_it(why: dict[str, str]) -> None:
    silent = telling(made_up(shares=SHARES), **why)
    shown = report_bytes(report(OVERRIDDEN, silent)).decode()
    assert leaked(silent, shown) == []
    assert "overridden" not in shown
    assert "A nipple shadow" in shown


def test_the_patient_stands_in_it_only_where_that_was_asked_for() -> None:
    named = fhir_report(made_up(), replace(PLAIN, whose=WHOSE), validate=True)
    (patient,) = of_kind(named, "Patient")
    assert patient["name"] == [{"family": "Müller", "given": ["Ana Maria"]}]
    assert of_kind(named, "RiskAssessment")[0]["subject"]["reference"] == f"urn:uuid:{patient['id']}"
    assert of_kind(report(FINAL), "Patient") == []


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        ("DiagnosticReport", "status", "banana"),
        ("RiskAssessment", "performer", {"reference": "urn:uuid:nobody"}),
        ("RiskAssessment", "performer", None),  # that of the DiagnosticReport: a kind that does not fit
    ],
)
def test_what_the_library_lets_pass_is_refused(kind: str, field: str, value: object) -> None:
    bundle = report(FINAL)
    wrong = {"reference": f"urn:uuid:{of_kind(bundle, 'DiagnosticReport')[0]['id']}"}
    of_kind(bundle, kind)[0][field] = value or wrong
    with pytest.raises(ClinicError, match=f"{kind} / {field}"):
        check_bundle(bundle)
