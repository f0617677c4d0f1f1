from datetime import UTC, datetime, timedelta, timezone
from html.parser import HTMLParser
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class

from clinic_mm.errors import ClinicError, InputError
from clinic_mm.predict.prediction import MissingEvidence, Prediction
from clinic_mm.report.fhir import fhir_report, report_bytes
from clinic_mm.report.fhir_valid import check_bundle
from clinic_mm.report.setting import Setting
from tests.report.predictions import flagged, made_up, rejected

CREATED = datetime(2026, 3, 2, 8, tzinfo=UTC)
CASES = {
    "complete": made_up(),
    "rejected and flagged": made_up(missing=(rejected(),), flags=(flagged(),)),
    "nothing present": made_up(shares={}, abstained="no modality was usable"),
    "hostile words": made_up(case_key="x", missing=(rejected(why='<script>alert(1)</script> & "\x00\x1b[2J\u202e'),)),
}


def report(prediction: Prediction, **more: bool | dict[str, str]) -> dict[str, Any]:
    validate = bool(more.pop("validate", False))
    return fhir_report(prediction, Setting(CREATED, "demo", "1", **more), validate=validate)  # type: ignore[arg-type]


def of_kind(bundle: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [entry["resource"] for entry in bundle["entry"] if entry["resource"]["resourceType"] == kind]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("simulated", [True, False])
def test_every_report_is_valid_r4b_and_survives_its_own_json(name: str, simulated: bool) -> None:
    bundle = report(CASES[name], simulated=simulated, validate=True)
    get_fhir_model_class("Bundle").model_validate_json(report_bytes(bundle))


def test_same_prediction_and_time_give_the_same_bytes_whatever_the_zone() -> None:
    elsewhere = CREATED.astimezone(timezone(timedelta(hours=5)))
    one = report_bytes(report(made_up()))
    two = report_bytes(fhir_report(made_up(), Setting(elsewhere, "demo", "1")))
    assert one == two


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(InputError, match="zone"):
        Setting(datetime(2026, 1, 1), "m", "1")


def test_every_reference_leads_to_a_resource_of_the_bundle() -> None:
    bundle = report(made_up(missing=(rejected(),)))
    known = {entry["fullUrl"] for entry in bundle["entry"]}
    assert len(known) == len(bundle["entry"])
    assert set(_references(bundle)) <= known


def test_probabilities_are_percentages_and_sum_to_one_hundred() -> None:
    """R4B RiskAssessment.prediction.probability: decimals are percentages, at most 100."""
    (risk,) = of_kind(report(made_up()), "RiskAssessment")
    shown = [outcome["probabilityDecimal"] for outcome in risk["prediction"]]
    assert sum(shown) == pytest.approx(100, abs=1e-3)
    assert shown[1] == pytest.approx(100 * made_up().probability_of("positive"), abs=1e-3)


def test_an_abstention_gives_no_number_to_misread() -> None:
    bundle = report(made_up(abstained="unlike the training cases"))
    (risk,), (diagnosis,) = of_kind(bundle, "RiskAssessment"), of_kind(bundle, "DiagnosticReport")
    assert not any("probabilityDecimal" in outcome for outcome in risk["prediction"])
    assert diagnosis["conclusion"].startswith("No answer for disease: unlike the training cases.")


@pytest.mark.parametrize(
    ("missing", "code"),
    [
        (MissingEvidence(modality="xray", status="absent"), "not-performed"),
        (rejected(), "error"),
        (rejected(code="dicom.unsupported_syntax"), "unsupported"),
        (MissingEvidence(modality="xray", status="failed", why="out of memory"), "error"),
    ],
)
def test_the_three_noes_are_told_apart(missing: MissingEvidence, code: str) -> None:
    found = [o for o in of_kind(report(made_up(missing=(missing,))), "Observation") if "dataAbsentReason" in o]
    (reason,) = [o["dataAbsentReason"] for o in found]
    assert reason["coding"][0]["code"] == code
    assert missing.why in reason["text"]
    assert "valueQuantity" not in found[0]


def test_the_shares_in_the_report_sum_to_the_answer_less_the_prior() -> None:
    found = of_kind(report(made_up()), "Observation")
    assert sum(o["valueQuantity"]["value"] for o in found if "valueQuantity" in o) == pytest.approx(1.5)


def test_every_resource_is_marked_as_ai_and_as_simulated_when_told() -> None:
    for simulated, wanted in ((False, {"AIAST"}), (True, {"AIAST", "HTEST"})):
        bundle = report(made_up(), simulated=simulated)
        resources = [bundle, *(entry["resource"] for entry in bundle["entry"])]
        assert all({label["code"] for label in found["meta"]["security"]} == wanted for found in resources)
        assert (b"SIMULATED" in report_bytes(bundle)) == simulated


def test_words_from_files_cannot_become_markup() -> None:
    class Tags(HTMLParser):
        seen: set[str] = set()  # noqa: RUF012

        def handle_starttag(self, tag: str, attrs: object) -> None:
            self.seen.add(tag)

    bundle = report(CASES["hostile words"], labels={"ct": "<img src=x onerror=alert(1)>"})
    for entry in bundle["entry"]:
        Tags().feed(entry["resource"]["text"]["div"])
    assert Tags.seen == {"div", "p"}


def test_the_report_carries_the_hash_and_the_pseudonym_only() -> None:
    bundle = report(made_up())
    (diagnosis,) = of_kind(bundle, "DiagnosticReport")
    assert bundle["identifier"]["value"] == made_up().content_hash
    assert diagnosis["subject"] == {
        "type": "Patient",
        "identifier": {"system": "urn:x-clinic-mm:patient-key", "value": "p-c0001"},
    }


def test_an_invalid_report_is_named_without_its_values() -> None:
    bundle = report(made_up())
    of_kind(bundle, "Device")[0]["status"] = {"secret": "value"}
    with pytest.raises(ClinicError, match="Device / status") as caught:
        check_bundle(bundle)
    assert "secret" not in str(caught.value)


def _references(value: object) -> list[str]:
    if isinstance(value, dict):
        own = [value["reference"]] if "reference" in value else []
        return own + [found for inner in value.values() for found in _references(inner)]
    return [found for inner in value for found in _references(inner)] if isinstance(value, list) else []
