"""Files made to hurt: refused by name, in under a second, in little memory, and without a word of what they hold."""

import gzip
import time
import tracemalloc
from datetime import UTC
from pathlib import Path

import orjson
import pytest

from clinic_mm.sources.record import notes
from clinic_mm.sources.record import patient as record
from clinic_mm.sources.walk import FileKind, sniff
from tests.sources.fhir.fhir_made import PATIENT, bundle, counts, observation

TOKEN = "Zzyzxson"  # noqa: S105 - an invented name, to be looked for
LAUGHS = b"".join(b'<!ENTITY l%d "%s">' % (i + 1, b"&l%d;" % i * 10) for i in range(9))
XML = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY l0 "ha">' + LAUGHS + b']><Patient xmlns="http://hl7.org/fhir">&l9;'
OUTSIDE = b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><Patient xmlns="http://hl7.org/fhir">&e;</Patient>'
ONE = orjson.dumps(observation())
BOMB = gzip.compress(b" " * (80 << 20), 6, mtime=0)


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("a.xml", XML, "fhir.xml"),
        ("a.json", XML, "fhir.xml"),
        ("a.json", b"\xef\xbb\xbf \n" + OUTSIDE, "fhir.xml"),
        ("a.ndjson", OUTSIDE, "fhir.xml"),
        ("a.json.gz", gzip.compress(XML, mtime=0), "fhir.xml"),
        ("a.json", b'{"resourceType":' * 100_000, "fhir.not_json"),
        ("a.json", b"[" * 100_000 + b"]" * 100_000, "fhir.not_json"),
        ("a.json", b'{"resourceType": "Patient", "id": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "fhir.not_json"),
        ("a.json", ONE.replace(b"12.5", b"1" * 5_000), "fhir.not_json"),
        ("a.json", ONE.replace(b"12.5", b"NaN"), "fhir.not_json"),
        ("a.json", ONE.replace(b"12.5", b"1e999"), "fhir.not_json"),
        ("a.json", ONE.replace(b'"final"', b'"\\ud800"'), "fhir.not_json"),
        ("a.json", ONE.replace(b'"final"', b'"\xff"'), "fhir.not_json"),
        ("a.json", ONE[:-40], "fhir.not_json"),
        ("a.json", b"", "fhir.not_json"),
        ("a.json", ONE.decode().encode("utf-16"), "fhir.not_json"),
        ("a.json", b'{"resourceType":"Bundle","entry":[],"entry":[]}', "fhir.doubled_key"),
        ("a.json.gz", BOMB, "fhir.bomb"),
        ("a.ndjson.gz", BOMB, "fhir.bomb"),
        ("a.json.gz", gzip.compress(ONE, mtime=0)[:-9], "fhir.unreadable"),
    ],
    ids=lambda value: None if isinstance(value, bytes) else value,
)  # fmt: skip
def test_a_hostile_file_is_refused_by_its_reason_at_once(tmp_path: Path, name: str, content: bytes, code: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    tracemalloc.start()
    began = time.process_time()
    rows, rejected = record.read_rows([path], UTC)
    took, peak = time.process_time() - began, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (rows.empty, [one.code for one in rejected]) == (True, [code])
    assert took < 1
    assert peak < 300 << 20
    assert sniff(path) is FileKind.FHIR or not content or code in {"fhir.bomb", "fhir.not_json"}


def test_a_thing_said_twice_costs_its_resource_alone(tmp_path: Path) -> None:
    twice = ONE.replace(b'"value":12.5', b'"value":12.5,"value":1.25').replace(b'"o1"', b'"x"')
    for name, raw in (("b.json", b'{"resourceType":"Bundle","entry":[{"resource":%b},{"resource":%b}]}'),
                      ("b.ndjson", b"%b\n%b\n")):  # fmt: skip
        (tmp_path / name).write_bytes(raw % (twice, ONE))
        rows, rejected = record.read_rows([tmp_path / name], UTC)
        assert (rows["source_id"].tolist(), counts(rejected)) == (["o1"], {"fhir.doubled_key": 1})


def test_a_thing_said_twice_is_seen_behind_an_escape(tmp_path: Path) -> None:
    twice = ONE.replace(b'"value":12.5', b'"value":12.5,"value":1.25').replace(b'"Hb"', b'"\\u0022Hb\\u0022"')
    (tmp_path / "b.ndjson").write_bytes(twice)
    _, rejected = record.read_rows([tmp_path / "b.ndjson"], UTC)
    assert counts(rejected) == {"fhir.doubled_key": 1}


def test_blanks_and_other_ways_to_write_a_number_change_nothing(tmp_path: Path) -> None:
    (tmp_path / "b.json").write_bytes(b"\xef\xbb\xbf" + orjson.dumps(observation(), option=orjson.OPT_INDENT_2)
                                      .replace(b"12.5", b"1.250E1"))  # fmt: skip
    rows, rejected = record.read_rows([tmp_path / "b.json"], UTC)
    assert (rows["value"].tolist(), rejected) == ([12.5], [])


@pytest.mark.parametrize("junk", [None, 7, 1.5, True, "x", [], {}, [None], [[]], {"a": {}}, "\0", [{"coding": [None]}]])
def test_junk_in_the_place_of_any_element_is_counted_never_raised(tmp_path: Path, junk: object) -> None:
    whole = observation(component=[observation()], referenceRange=[{"low": {"value": 1}}], meta={"profile": ["x"]},
                        interpretation=[{"coding": [{"code": "H"}]}], contained=[{}])  # fmt: skip
    people = {**PATIENT, "identifier": [{"system": "a", "value": "b"}]}
    for base in (whole, people):
        given = [{**base, name: junk, "id": f"{name}"} for name in base if name not in {"resourceType", "id"}]
        rows, rejected = record.read_rows([bundle(tmp_path, *given, {**base, "id": junk})], UTC)
        assert len(rows) + sum(counts(rejected).values()) > 0


def test_no_word_of_a_person_stands_in_rows_or_refusals(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    name = [{"family": TOKEN, "given": [TOKEN]}]
    people = {**PATIENT, "name": name, "address": [{"line": [TOKEN]}], "telecom": [{"value": TOKEN}],
              "contact": [{"name": name[0]}], "photo": [{"title": TOKEN}], "text": {"div": TOKEN}}  # fmt: skip
    subject = {"reference": "Patient/p1", "display": TOKEN}
    given = [people, observation(subject=subject, performer=[{"display": TOKEN}]),
             observation(subject={"display": TOKEN}), observation(status=TOKEN), observation(effectiveDateTime=TOKEN),
             {"resourceType": TOKEN, "id": TOKEN}, {**people, "gender": TOKEN, "birthDate": TOKEN}]  # fmt: skip
    rows, rejected = record.read_rows([bundle(tmp_path, *given)], UTC)
    text, more = notes.read_notes([bundle(tmp_path, *given)], UTC)
    said = rows.to_csv() + text.to_csv() + "".join(f"{one.why}{one.mend}" for one in [*rejected, *more]) + caplog.text
    assert TOKEN not in said
