"""One case from paths: the same readers, every refusal kept, and it says what nobody checked."""

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from clinic_mm.cohort.load import load_evidence
from clinic_mm.cohort.one_case import case_from_paths
from clinic_mm.errors import InputError
from clinic_mm.signals import NoteText
from clinic_mm.types import Rejected
from tests.cohort.hospital import day, observation, patient, write_ct, write_eeg, write_fhir

UTC = ZoneInfo("UTC")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("case")
    write_ct(root / "ct/late", "A", day(5))
    write_ct(root / "ct/early", "A", day(0))
    write_eeg(root / "a.edf", "A", day(1))
    write_fhir(root / "a.ndjson", [patient("A"), observation("A", day(-1), 9.0, 1), observation("A", day(9), 5.0, 2)])
    write_fhir(root / "two.ndjson", [observation("A", day(0), 9.0, 1), observation("B", day(0), 9.0, 2)])
    (root / "note.txt").write_text("Short of breath since Monday.", encoding="utf-8")
    return root


def test_a_case_of_four_kinds(files: Path) -> None:
    asked = {
        "ct": [files / "ct"],
        "eeg": [files / "a.edf"],
        "record": [files / "a.ndjson"],
        "note": [files / "note.txt"],
    }
    case, roots = case_from_paths(asked, zone=UTC, decision_time=day(2))
    assert case.pattern == ("ct", "eeg", "note", "record")
    assert [f.status for f in case.evidence["ct"]] == ["present", "rejected"]
    assert [f.code for f in case.usable("note")[0].flags] == ["time.undated"]
    record = load_evidence(case.usable("record")[0], roots)
    assert 5.0 not in record.rows["value"].tolist()
    note = load_evidence(case.usable("note")[0], roots)
    assert isinstance(note, NoteText)
    again, _ = case_from_paths(asked, zone=UTC, decision_time=day(2))
    assert again == case


def test_without_a_decision_time_all_is_used_and_flagged_oldest_first(files: Path) -> None:
    case, _ = case_from_paths({"ct": [files / "ct"]}, zone=UTC)
    times = [e.acquired_at for e in case.usable("ct")]
    assert times == [day(0), day(5)]
    assert all("time.no_decision" in [flag.code for flag in e.flags] for e in case.usable("ct"))


def test_files_of_two_people_are_called_composite(files: Path, tmp_path: Path) -> None:
    write_eeg(tmp_path / "b.edf", "B", day(1))
    case, _ = case_from_paths({"ct": [files / "ct"], "eeg": [tmp_path / "b.edf"]}, zone=UTC)
    assert all("patient.mixed" in [flag.code for flag in e.flags] for m in case.pattern for e in case.usable(m))


def test_one_modality_of_two_people_is_refused(files: Path, tmp_path: Path) -> None:
    write_ct(tmp_path / "b", "B", day(1))
    case, _ = case_from_paths({"ct": [files / "ct/early", tmp_path / "b"]}, zone=UTC)
    assert {f.code for f in case.evidence["ct"] if isinstance(f, Rejected)} == {"case.several_patients"}
    assert case.pattern == ()


def test_one_of_several_pieces_says_so(files: Path) -> None:
    case, _ = case_from_paths({"ct": [files / "ct"]}, zone=UTC)
    assert [[f.code for f in e.flags if f.code.startswith("case.")] for e in case.usable("ct")] == [
        ["case.one_of_several"]
    ] * 2
    (files / "empty.txt").touch()
    case, _ = case_from_paths({"note": [files / "note.txt", files / "empty.txt"]}, zone=UTC)
    why = next(f.why for f in case.usable("note")[0].flags if f.code == "case.one_of_several")
    assert why == "2 pieces of evidence were given, 1 refused (The file is empty); the task takes one of the rest"


def test_the_reason_that_says_most_is_told_last(files: Path) -> None:
    (files / "ct/early/strange.dcm").write_bytes(bytes(128) + b"DICM" + b"\2\0\0\0")
    case, _ = case_from_paths({"xray": [files / "ct/early"]}, zone=UTC)
    codes = [f.code for f in case.evidence["xray"] if isinstance(f, Rejected)]
    assert (codes[-1], len(codes)) == ("case.other_kind", 2)


def test_a_link_that_is_typed_is_followed(files: Path, tmp_path: Path) -> None:
    (tmp_path / "link.txt").symlink_to(files / "note.txt")
    case, roots = case_from_paths({"note": [tmp_path / "link.txt"]}, zone=UTC)
    assert load_evidence(case.usable("note")[0], roots).text


@pytest.mark.parametrize(
    ("head", "named"), [(b"PK\x03\x04", "zip"), (b"%PDF-1.4", "PDF"), (b"\0\0\0\x18ftypheic", "photograph")]
)
def test_what_is_not_opened_is_named(files: Path, head: bytes, named: str) -> None:
    (files / "given").write_bytes(head + bytes(99))
    case, _ = case_from_paths({"ct": [files / "given"]}, zone=UTC)
    (refused,) = case.evidence["ct"]
    assert isinstance(refused, Rejected)
    assert (refused.code, named in refused.why) == ("file.unknown", True)


def test_nobody_is_sent_to_an_ingest_file_that_there_is_none_of(files: Path) -> None:
    (files / "labs.csv").write_text("who,sodium\n1,140\n")
    (files / "note.xyz").write_bytes(b"\x01\x02\x03")
    for name, file in (("record", "labs.csv"), ("note", "note.xyz")):
        case, _ = case_from_paths({name: [files / file]}, zone=UTC)
        mends = [f.mend for f in case.evidence[name] if isinstance(f, Rejected)]
        assert mends
        assert not any("[[source]]" in mend for mend in mends)


@pytest.mark.parametrize(
    ("name", "file", "code"),
    [
        ("xray", "ct/early", "case.other_kind"),
        ("record", "two.ndjson", "case.several_patients"),
        ("note", "note.xyz", "file.unknown"),
        ("ct", "note.txt", "case.nothing_found"),
        ("record", "note.txt", "case.nothing_found"),
        ("eeg", "samples.fdt", "case.side_file"),
        ("ct", "DICOMDIR", "case.side_file"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(files: Path, name: str, file: str, code: str) -> None:
    (files / "samples.fdt").write_bytes(bytes(64))
    (files / "DICOMDIR").write_bytes(bytes(64))
    (files / "note.xyz").write_bytes(b"\x01\x02\x03")
    case, _ = case_from_paths({name: [files / file]}, zone=UTC)
    assert case.pattern == ()
    assert code in [f.code for f in case.evidence[name] if isinstance(f, Rejected)]


def test_a_modality_of_a_task_may_have_its_own_name(files: Path) -> None:
    case, _ = case_from_paths({"labs": [files / "a.ndjson"]}, zone=UTC, kinds={"labs": "record"})
    assert case.pattern == ("record",)
    assert [one.named for one in case.usable("record", "labs")] == ["labs"]
    assert case.usable("record", "vitals") == (), "what is given for one modality is not taken for another"


def test_a_path_that_is_not_there_is_named(files: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        case_from_paths({"ct": [files / "nowhere"]}, zone=UTC)


def test_nothing_given_is_a_case_without_evidence(files: Path) -> None:
    case, _ = case_from_paths({"ct": []}, zone=UTC)
    assert [f.status for f in case.evidence["ct"]] == ["absent"]
