"""A run over a folder: pseudonyms across formats, a record without names, refusals with their reasons, resumable."""

import json
from pathlib import Path

import pydicom
import pytest

from clinic_mm.cohort.ingest import ingest
from clinic_mm.cohort.public import public_key
from clinic_mm.deid.record import RECORD
from clinic_mm.deid.run import deidentify, write_refused
from clinic_mm.errors import InputError, UsageError
from tests.cli.terminal import run as command
from tests.cohort.hospital import day, patient, write_ct, write_eeg, write_fhir


def _source(root: Path) -> Path:
    write_ct(root / "Doe_Jane", "A", day(0))
    write_eeg(root / "Doe_Jane.edf", "A", day(1))
    write_fhir(root / "Doe.ndjson", [{**patient("A"), "name": [{"family": "Quibble"}]}, patient("B")])
    (root / "A").mkdir()
    (root / "A/Doe.txt").write_text("Quibble is well. Seen 2024-01-02.", encoding="utf-8")
    (root / "Doe.nii").write_bytes(b"\0" * 400)
    (root / "Doe.dcm").write_bytes(b"")
    return root


def _tree(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_one_patient_has_one_pseudonym_in_every_format(tmp_path: Path) -> None:
    key = public_key(tmp_path / "key")  # of a secret one, a pseudonym may hold any four digits
    told = deidentify(_source(tmp_path / "in"), tmp_path / "out", key=key, patient_from="folder")
    files = [name for name in _tree(tmp_path / "out") if name != RECORD]
    folders = {name.split("/")[0] for name in files}
    assert len(folders) == 2  # A's, and the FHIR file of two patients
    assert folders > {"several"}
    assert {Path(name).suffix for name in files} == {".dcm", ".edf", ".ndjson", ".txt"}
    assert told.record.patients == 2
    whole = b"".join(_tree(tmp_path / "out").values()) + "\n".join(files).encode()
    assert not [
        word for word in (b"Doe", b"Jane", b"Quibble", b"Secret", b"2024") if word in whole.replace(b"2024 ", b"")
    ]


def test_what_is_refused_is_counted_in_the_record_and_listed_elsewhere(tmp_path: Path) -> None:
    told = deidentify(_source(tmp_path / "in"), tmp_path / "out", key=tmp_path / "key")
    record = json.loads((tmp_path / "out" / RECORD).read_text())
    assert record["complete"]
    assert record["refused"] == {"deid.nifti": 1, "file.empty": 1}
    assert told.exit_code == 3
    with pytest.raises(UsageError):
        write_refused(told, tmp_path / "out/refused.csv", tmp_path / "out")
    write_refused(told, tmp_path / "refused.csv", tmp_path / "out")
    assert "Doe.nii" in (tmp_path / "refused.csv").read_text()


def test_twice_is_once_byte_for_byte(tmp_path: Path) -> None:
    deidentify(_source(tmp_path / "in"), tmp_path / "out", key=tmp_path / "key", patient_from="folder")
    told = deidentify(tmp_path / "out", tmp_path / "again", key=tmp_path / "key")
    once, twice = _tree(tmp_path / "out"), _tree(tmp_path / "again")
    once.pop(RECORD), twice.pop(RECORD)
    assert twice == once
    assert told.record.passed_on == len(once)


def test_a_run_that_was_stopped_is_run_again(tmp_path: Path) -> None:
    source = _source(tmp_path / "in")
    deidentify(source, tmp_path / "out", key=tmp_path / "key")
    whole = _tree(tmp_path / "out")
    next((tmp_path / "out").rglob("*.dcm")).unlink()
    deidentify(source, tmp_path / "out", key=tmp_path / "key")
    assert _tree(tmp_path / "out") == whole


def test_another_key_option_or_folder_is_refused(tmp_path: Path) -> None:
    source = _source(tmp_path / "in")
    deidentify(source, tmp_path / "out", key=tmp_path / "key")
    for key, options in ((tmp_path / "key2", ()), (tmp_path / "key", ("device",))):
        with pytest.raises(InputError, match="another key"):
            deidentify(source, tmp_path / "out", key=key, options=options)
    (tmp_path / "other").mkdir()
    (tmp_path / "other/thing").write_text("x")
    with pytest.raises(InputError, match="something else"):
        deidentify(source, tmp_path / "other", key=tmp_path / "key")
    with pytest.raises(InputError, match="lie in each other"):
        deidentify(source, source / "out", key=tmp_path / "key")


def test_the_output_is_ingested_as_the_source_is(tmp_path: Path) -> None:
    source = _source(tmp_path / "in")
    deidentify(source, tmp_path / "out", key=tmp_path / "key")
    old, new = (
        ingest(root, tmp_path / f"c{n}", key=tmp_path / "key") for n, root in enumerate((source, tmp_path / "out"))
    )
    found = []
    for cohort in (old, new):
        rows = cohort.evidence[cohort.evidence["modality"].isin(["ct", "eeg"])]
        rows = rows[rows["status"] == "present"].sort_values("modality")
        metas = [{**json.loads(finding)["meta"], "study": ""} for finding in rows["finding"]]  # a hash of its UID
        found.append(([(m, meta) for m, meta in zip(rows["modality"], metas, strict=True)], list(rows["acquired_at"])))
    (old_facts, old_times), (new_facts, new_times) = found
    assert [name for name, _ in old_facts] == ["ct", "eeg"]
    assert new_facts == old_facts
    assert old_times[1] - old_times[0] == new_times[1] - new_times[0]
    assert new_times[0] < old_times[0]


def test_the_command_says_what_it_did_and_names_nobody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = _source(tmp_path / "in")
    words = ("deidentify", source, "--out", tmp_path / "out", "--key", tmp_path / "key")
    said = command(capsys, *words)
    assert said.code == 3
    assert "deid.nifti" in said.out
    assert "Doe" not in said.out + said.err
    assert command(capsys, "deidentify").code == 2
    said = command(capsys, *words, "--json")
    assert isinstance(said.json, dict)
    assert said.json["written"]["dicom"] == 4


def test_a_hostile_file_is_refused_and_never_copied(tmp_path: Path) -> None:
    write_ct(tmp_path / "in", "A", day(0), slices=1)
    path = tmp_path / "in/0.dcm"
    changed = pydicom.dcmread(path)
    changed.Rows = 60000
    changed.save_as(path)
    told = deidentify(tmp_path / "in", tmp_path / "out", key=tmp_path / "key")
    assert list(_tree(tmp_path / "out")) == [RECORD]
    assert next(iter(told.record.refused)).startswith("dicom.")
