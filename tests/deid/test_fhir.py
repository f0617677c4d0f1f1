"""Resources: the same facts at moved dates under another id; nothing that is not listed."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from clinic_mm.deid.fhir import deidentify_fhir
from clinic_mm.deid.fhir_codes import mod10, verhoeff
from clinic_mm.deid.keyring import Keyring
from clinic_mm.deid.known import Known
from clinic_mm.deid.policy import Policy, read_policy
from clinic_mm.errors import EvidenceError
from tests.cohort.hospital import day, observation, patient, write_fhir


def _lines(path: Path, ring: Keyring, options: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    known = Known(())
    known.add_files([path])
    made = deidentify_fhir(path, read_policy(options), ring, known)
    return [json.loads(line) for line in made.content.splitlines()]


def test_facts_stay_and_dates_move_with_the_patient(tmp_path: Path, ring: Keyring) -> None:
    path = tmp_path / "a.ndjson"
    write_fhir(path, [patient("A"), observation("A", day(0), 9.5, 1), observation("B", day(0), 7.5, 2)])
    who, first, second = _lines(path, ring)
    assert who["id"] == ring.patient("A") == first["subject"]["reference"].removeprefix("Patient/")
    assert (who["gender"], len(who["birthDate"])) == ("female", 4)
    assert first["valueQuantity"]["value"] == 9.5
    assert first["code"]["coding"] == [{"system": "http://loinc.org", "code": "718-7"}]
    assert first["effectiveDateTime"] == (day(0) + ring.shift("A")).isoformat()
    assert second["effectiveDateTime"] == (day(0) + ring.shift("B")).isoformat()
    assert "Secret" not in json.dumps([who, first, second])


def test_twice_is_once_in_bundles_and_lines(tmp_path: Path, policy: Policy, ring: Keyring, known: Known) -> None:
    resources = [patient("A"), observation("A", day(0), 9.5, 1)]
    write_fhir(tmp_path / "a.ndjson", resources)
    entries = [{"fullUrl": f"urn:uuid:{n}", "resource": one} for n, one in enumerate(resources)]
    (tmp_path / "a.json").write_text(json.dumps({"resourceType": "Bundle", "type": "batch", "entry": entries}))
    for name in ("a.ndjson", "a.json"):
        once = deidentify_fhir(tmp_path / name, policy, ring, known)
        (tmp_path / f"b{once.suffix}").write_bytes(once.content)
        twice = deidentify_fhir(tmp_path / f"b{once.suffix}", policy, ring, known)
        assert (twice.content, twice.sealed) == (once.content, True)


def test_references_hold_in_a_bundle_and_by_identifier(tmp_path: Path, ring: Keyring) -> None:
    who = {**patient("A"), "identifier": [{"system": "urn:x", "value": "4711"}]}
    one = {**observation("A", day(0), 1.0, 1), "subject": {"identifier": {"system": "urn:x", "value": "4711"}}}
    write_fhir(tmp_path / "a.ndjson", [who, one])
    made = _lines(tmp_path / "a.ndjson", ring)
    assert made[1]["subject"]["reference"] == f"Patient/{made[0]['id']}"
    assert "4711" not in json.dumps(made)


def test_ages_above_89_are_one(tmp_path: Path, ring: Keyring) -> None:
    old = {**patient("A"), "birthDate": "1880-05-01", "deceasedDateTime": "1980-06-01"}
    write_fhir(tmp_path / "a.ndjson", [old])
    (who,) = _lines(tmp_path / "a.ndjson", ring)
    assert int(who["deceasedDateTime"][:4]) - int(who["birthDate"]) == 90


@pytest.mark.parametrize(
    "junk",
    [
        {"note": [{"text": "Doe"}]},
        {"valueString": "Doe"},
        {"code": {"coding": [{"system": "http://loinc.org", "code": "Doe"}], "text": "Doe"}},
        {"code": {"coding": [{"system": "http://loinc.org", "code": "718-8", "display": "Doe"}]}},
        {"status": "Doe"},
        {"effectiveDateTime": "Doe"},
        {"valueQuantity": {"value": "Doe", "unit": "Doe", "code": "Doe", "system": "Doe"}},
        {"performer": [{"display": "Doe"}], "extension": [{"url": "Doe", "valueString": "Doe"}]},
        {"contained": [{"resourceType": "Patient", "id": "Doe"}], "_status": {"id": "Doe"}},
        {"component": [{"code": {"text": "Doe"}, "valueString": "Doe", "Doe": "Doe"}]},
    ],
)
def test_what_is_not_listed_goes(tmp_path: Path, ring: Keyring, junk: dict[str, object]) -> None:
    write_fhir(tmp_path / "a.ndjson", [{**observation("A", day(0), 1.0, 1), **junk}])
    assert "Doe" not in json.dumps(_lines(tmp_path / "a.ndjson", ring))


def test_notes_in_attachments_are_cleaned_and_others_go(tmp_path: Path, ring: Keyring) -> None:
    def attached(kind: str, content: bytes) -> dict[str, Any]:
        return {"attachment": {"contentType": kind, "data": base64.b64encode(content).decode(), "title": "Doe"}}

    note = {"resourceType": "DocumentReference", "id": "d", "status": "current", "subject": {"reference": "Patient/A"}}
    text = attached("text/plain", b"Jane Doe has a fever of 38.5. Seen 2024-01-02 by Dr. Who.")
    write_fhir(tmp_path / "a.ndjson", [
        {**patient("A"), "name": [{"family": "Doe", "given": ["Jane"]}]},
        {**note, "content": [text, attached("application/pdf", b"Jane Doe")]},
        {**note, "id": "e", "content": [attached("application/pdf", b"Jane Doe")]},
    ])  # fmt: skip
    _, kept = _lines(tmp_path / "a.ndjson", ring)
    (only,) = kept["content"]
    said = base64.b64decode(only["attachment"]["data"]).decode()
    assert "has a fever of 38.5" in said
    assert not {"Jane", "Doe", "Who", "2024"} & set(said.replace(".", " ").replace("-", " ").split())


def test_a_file_of_unlisted_resources_is_refused(tmp_path: Path, policy: Policy, ring: Keyring, known: Known) -> None:
    write_fhir(tmp_path / "a.ndjson", [{"resourceType": "Organization", "id": "o", "name": "Doe"}])
    with pytest.raises(EvidenceError) as caught:
        deidentify_fhir(tmp_path / "a.ndjson", policy, ring, known)
    assert caught.value.code == "deid.nothing_left"


def test_check_digits_of_snomed_ct_and_loinc() -> None:
    assert verhoeff("44054006")  # diabetes mellitus type 2
    assert not verhoeff("44054007")
    assert mod10("718-7")  # hemoglobin
    assert not mod10("718-8")


@pytest.mark.realdata
def test_synthea_bundles_keep_their_facts(
    data: Path, tmp_path: Path, policy: Policy, ring: Keyring, known: Known
) -> None:
    from zoneinfo import ZoneInfo

    from clinic_mm.sources.record.patient import read_rows

    path = min((data / "fhir/synthea_r4").glob("*.json.gz"), key=lambda one: one.stat().st_size)
    made = deidentify_fhir(path, policy, ring, known)
    (tmp_path / f"a{made.suffix}").write_bytes(made.content)
    zone = ZoneInfo("UTC")
    old, new = (read_rows([one], zone)[0] for one in (path, tmp_path / f"a{made.suffix}"))
    old = old[old["category"] != "demographic"].reset_index(drop=True)
    new = new[new["category"] != "demographic"].reset_index(drop=True)
    assert set(new["patient_id"]) == {ring.patient(one) for one in set(old["patient_id"])}
    facts = ["code", "value", "unit"]
    both = [sorted(map(tuple, one[facts].fillna(-1).astype(str).to_numpy().tolist())) for one in (old, new)]
    kept = len(set(both[1]) & set(both[0])) / len(set(both[0]))
    assert kept > 0.95
    (patient_id,) = set(old["patient_id"])
    times = [sorted(one["time"].dropna()) for one in (old, new)]
    assert times[1][0] - times[0][0] == ring.shift(patient_id) == times[1][-1] - times[0][-1]
