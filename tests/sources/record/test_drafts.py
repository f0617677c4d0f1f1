"""What software drafted is never read as a note, in whatever file it comes."""

import base64
from collections.abc import Sequence
from datetime import UTC
from pathlib import Path

import orjson
import pytest

from clinic_mm.cohort.ingest import ingest
from clinic_mm.errors import EvidenceError
from clinic_mm.sources.record.drafts import CODE, MARK, TAG_SYSTEM, is_draft
from clinic_mm.sources.record.notes import load, read_notes

WORDS = "There is mild fatigue."
DRAFT = f"{MARK}\n{WORDS}\n"


@pytest.mark.parametrize(
    "text",
    [DRAFT, f"Seen today.\n{DRAFT}", MARK.upper(), MARK.replace(" ", "\r\n  "), f"> {MARK}"],
    ids=["as written", "pasted below", "upper case", "wrapped", "quoted"],
)
def test_the_mark_is_known_wherever_it_stands(text: str) -> None:
    assert is_draft(text)


def test_what_a_person_writes_of_drafts_is_a_note() -> None:
    assert not is_draft("First draft of the letter. This is not evidence of disease; see clinic.")


def test_a_text_file_with_the_mark_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    path.write_text(DRAFT, encoding="utf-8")
    with pytest.raises(EvidenceError) as refused:
        load([path])
    assert refused.value.code == CODE
    path.write_text(WORDS, encoding="utf-8")
    assert load([path]).text == WORDS


def _document(text: str, tags: Sequence[dict[str, str]] = ()) -> dict[str, object]:
    data = base64.b64encode(text.encode()).decode()
    return {
        "resourceType": "DocumentReference",
        "id": f"d{len(text)}",
        "meta": {"tag": list(tags)},
        "status": "current",
        "subject": {"reference": "Patient/p1"},
        "date": "2020-01-01T10:00:00Z",
        "content": [{"attachment": {"contentType": "text/plain", "data": data}}],
    }


def test_a_fhir_document_is_refused_by_its_tag_and_by_its_text(tmp_path: Path) -> None:
    documents = [_document(WORDS + " Tagged.", [{"system": TAG_SYSTEM, "code": "x"}]), _document(DRAFT)]
    path = tmp_path / "notes.ndjson"
    path.write_bytes(b"\n".join(map(orjson.dumps, [*documents, _document(WORDS)])))
    frame, rejected = read_notes([path], UTC)
    assert frame["text"].tolist() == [WORDS]
    assert [(one.code, one.why.split()[0]) for one in rejected] == [(CODE, "2")]


def test_a_table_of_notes_keeps_what_people_wrote(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    (source / "notes.csv").write_text(f'who,text\na,"{WORDS}"\nb,"{DRAFT}"\n', encoding="utf-8")
    (source / "cohort.toml").write_text(
        'name = "x"\nundated = "accept"\n[[source]]\nname = "notes"\npath = "notes.csv"\n'
        'mapping = { layout = "notes", patient = "who", text = "text" }\n',
        encoding="utf-8",
    )
    cohort = ingest(source, tmp_path / "cohort", key=tmp_path / "k")
    assert cohort.rows("note", ["text"])["text"].tolist() == [WORDS]
    assert CODE in (cohort.path / "rejected.csv").read_text(encoding="utf-8")
