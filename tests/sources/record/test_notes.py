import base64
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pandas as pd
import pytest

from clinic_mm.errors import EvidenceError
from clinic_mm.signals import NOTE_COLUMNS
from clinic_mm.sources.fhir.html_text import html_text
from clinic_mm.sources.record import notes
from clinic_mm.types import Evidence


def document(text: str, date: str, kind: str = "text/plain", **changed: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    attachment = {"contentType": kind, "data": base64.b64encode(text.encode()).decode()}
    return {"resourceType": "DocumentReference", "id": date, "status": "current", "date": date,
            "type": {"text": "Progress note"}, "subject": {"reference": "Patient/p1"},
            "content": [{"attachment": attachment}]} | changed  # fmt: skip


def ndjson(path: Path, *resources: dict[str, Any]) -> Path:
    path.write_bytes(b"\n".join(orjson.dumps(one) for one in resources))
    return path


@pytest.mark.realdata
def test_all_notes_of_the_bulk_export_are_read(data: Path) -> None:
    rows, rejected = notes.read_notes([data / "fhir/synthea_bulk10/DocumentReference.000.ndjson.gz"], UTC)
    assert (len(rows), tuple(rows.columns), rejected) == (1215, NOTE_COLUMNS, [])
    assert rows["time"].notna().all()
    assert rows["text"].str.contains("# Chief Complaint").all()
    assert set(rows["kind"]) == {"History and physical note", "Emergency department note"}


def test_notes_are_joined_oldest_first_and_cut_to_what_was_written(tmp_path: Path) -> None:
    written = [document("third", "2021-03-01T00:00:00Z"), document("first", "2021-01-01T00:00:00Z"),
               document("second", "2021-02-01T00:00:00Z")]  # fmt: skip
    path = ndjson(tmp_path / "d.ndjson", *written)
    assert notes.load([path]).text == "first\n\nsecond\n\nthird"
    cut = notes.load([path], until=datetime(2021, 2, 2, tzinfo=UTC))
    assert (cut.text, cut.kind) == ("first\n\nsecond", "Progress note")


def test_what_is_not_plain_text_is_counted(tmp_path: Path) -> None:
    date = "2021-01-01T00:00:00Z"
    url = {"content": [{"attachment": {"contentType": "text/plain", "url": "http://x/1"}}]}
    bad = {"content": [{"attachment": {"contentType": "text/plain", "data": "????"}}]}
    given = [document("a", date), document("b", date, "application/pdf"), document("c", date, **url),
             document("d", date, **bad), document("e", date, id="e", status="entered-in-error"),
             document("f", date, content=3)]  # fmt: skip
    rows, rejected = notes.read_notes([ndjson(tmp_path / "d.ndjson", *given)], UTC)
    assert list(rows["text"]) == ["a"]
    assert [one.code for one in rejected] == [
        "fhir.bad_resource", "fhir.entered_in_error", "note.not_inline", "note.not_text", "note.undecodable",
    ]  # fmt: skip


def test_a_reports_plain_text_is_a_note(tmp_path: Path) -> None:
    form = {"contentType": "text/plain", "data": base64.b64encode(b"No focal lesion.").decode()}
    report = {"resourceType": "DiagnosticReport", "id": "r", "status": "final", "code": {"text": "CT head"},
              "subject": {"reference": "Patient/p1"}, "effectiveDateTime": "2021-01-01T10:00:00Z",
              "issued": "2021-01-01T12:00:00Z", "presentedForm": [form]}  # fmt: skip
    rows, _ = notes.read_notes([ndjson(tmp_path / "r.ndjson", report)], UTC)
    assert rows[["text", "kind"]].to_numpy().tolist() == [["No focal lesion.", "CT head"]]
    assert rows["time"][0] == pd.Timestamp("2021-01-01T12:00:00Z")


def test_text_files_are_found_undated_and_read(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Krampfanfälle seit März\n", encoding="utf-8")
    (tmp_path / "b.txt").write_bytes("Krampfanfälle".encode("latin-1"))
    (tmp_path / "c.txt").write_bytes(b"\0\1\2")
    (tmp_path / "d.txt").write_bytes(b" \n")
    found = [one.finding for one in notes.find_texts(tmp_path, "r", sorted(tmp_path.iterdir()), UTC)]
    assert [getattr(one, "code", "") for one in found] == ["", "", "note.not_text", "note.empty"]
    assert isinstance(found[1], Evidence)
    assert [flag.code for flag in found[1].flags] == ["note.not_utf8"]
    assert notes.load([tmp_path / "b.txt"]).text == "Krampfanfälle"
    assert notes.load([tmp_path / "a.txt", tmp_path / "b.txt"]).text == "Krampfanfälle seit März\n\nKrampfanfälle"


def test_the_cohorts_table_gives_one_patients_notes(tmp_path: Path) -> None:
    rows, _ = notes.read_notes([ndjson(tmp_path / "d.ndjson", document("x", "2021-01-01T00:00:00Z"))], UTC)
    rows.assign(patient_key="k1").drop(columns="patient_id").to_parquet(tmp_path / "note.parquet", index=False)
    assert notes.load([tmp_path / "note.parquet"], locator="k1").text == "x"
    with pytest.raises(EvidenceError) as caught:
        notes.load([tmp_path / "note.parquet"], locator="k1", until=datetime(2020, 1, 1, tzinfo=UTC))
    assert caught.value.code == "note.empty"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("<p>No <b>focal</b> lesion.</p><p>Size &lt; 5&nbsp;mm</p>", "No focal lesion.\nSize < 5 mm"),
        ("a<script>alert('x')</script>b<style>p{}</style>c", "a\nb\nc"),
        ("a<SCRIPT src='http://x/y.js'>never closed", "a"),
        ("a<!-- hidden <p> -->b", "ab"),
        ("pH < 7.2 and pCO2 > 60", "pH < 7.2 and pCO2 > 60"),
        ("<img src=x onerror=alert(1)>seen", "seen"),
        ("<p>cut off <b", "cut off"),
        ("&#xD800;&#x110000;ok", "\ufffd\ufffdok"),
        ("İ<script>x</script>y", "İ\ny"),
    ],
)
def test_the_words_of_html_are_read_and_nothing_else(source: str, text: str) -> None:
    assert html_text(source) == text


@pytest.mark.parametrize("part", ["<script>", "<", "<!--", "<p", "&", "</", "<a href='", "\n ", "<script", "&#"])
def test_html_takes_time_in_proportion_to_its_length(part: str) -> None:
    began = time.process_time()
    html_text(part * (notes.MAX_NOTE_BYTES // len(part)))
    assert time.process_time() - began < 5


def test_of_a_document_in_two_forms_the_plain_one_is_read(tmp_path: Path) -> None:
    def form(kind: str, text: bytes, **more: object) -> dict[str, Any]:
        return {"attachment": {"contentType": kind, "data": base64.b64encode(text).decode(), **more}}

    given = document("", "2021-01-01T00:00:00Z", content=[form("text/html", b"<p>b"), form("text/plain", b"a")])
    html = document("", "2021-01-02T00:00:00Z", content=[form("text/html; charset=iso-8859-1", b"<p>M\xe4rz")])
    short = document("", "2021-01-03T00:00:00Z", content=[form("text/plain", b"whole", size=9)])
    wrong = document("", "2021-01-04T00:00:00Z", content=[form("text/plain", b"whole", hash="AAAA")])
    rows, rejected = notes.read_notes([ndjson(tmp_path / "d.ndjson", given, html, short, wrong)], UTC)
    assert list(rows["text"]) == ["a", "März"]
    assert [(one.code, one.why[0]) for one in rejected] == [("note.damaged", "2")]
