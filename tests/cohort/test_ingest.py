"""A folder in, a cohort out: joined, nothing copied, nothing guessed, nothing stopped by a bad file."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from clinic_mm.cohort import gather
from clinic_mm.cohort.describe import as_text, describe
from clinic_mm.cohort.ingest import ingest
from clinic_mm.cohort.link import patient_key
from clinic_mm.cohort.load import load_evidence
from clinic_mm.cohort.manifest import REJECTED_FILE, Cohort, open_cohort, read_rejected
from clinic_mm.errors import EvidenceError, InputError, TaskError
from clinic_mm.signals import CtVolume, EegRecording, PatientRecord
from clinic_mm.sources.found import Found
from clinic_mm.types import CaseRecord, Evidence, Rejected
from tests.cohort.hospital import day, write_ct, write_hospital

KEY = b"k" * 32


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("key") / "pseudonym.key"
    path.write_bytes(KEY)
    path.chmod(0o600)
    return path


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_hospital(tmp_path_factory.mktemp("hospital"))


@pytest.fixture(scope="module")
def cohort(hospital: Path, key: Path, tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    return ingest(hospital, tmp_path_factory.mktemp("out") / "cohort", key=key)


@pytest.fixture(scope="module")
def cases(cohort: Cohort) -> dict[str, CaseRecord]:
    keys = {patient_key(KEY, name): name for name in "ABC"}
    return {keys[case.patient_key]: case for case in cohort.cases("label")}


def test_evidence_of_all_kinds_meets_in_one_case(cases: dict[str, CaseRecord]) -> None:
    assert cases["A"].pattern == ("ct", "eeg", "record")
    assert (cases["A"].label, cases["B"].label, cases["C"].label) == (1, 0, None)
    assert cases["A"].covariates == {"sex": "f"}


def test_what_came_later_is_refused_with_the_reason(cases: dict[str, CaseRecord]) -> None:
    codes = {f.code for f in (*cases["B"].evidence["ct"], *cases["B"].evidence["record"]) if isinstance(f, Rejected)}
    assert codes == {"ct.missing_slices", "time.after_decision"}
    assert cases["B"].pattern == ()


def test_who_one_is_is_no_record(cases: dict[str, CaseRecord]) -> None:
    assert [f.status for f in cases["C"].evidence["record"]] == ["absent"]


def test_each_piece_loads_and_a_record_is_cut_at_the_decision(cohort: Cohort, cases: dict[str, CaseRecord]) -> None:
    signals = {m: load_evidence(cases["A"].usable(m)[0], cohort.roots) for m in cases["A"].pattern}
    assert isinstance(signals["ct"], CtVolume)
    assert signals["ct"].hu.shape == (16, 16, 4)
    assert isinstance(signals["eeg"], EegRecording)
    assert isinstance(signals["record"], PatientRecord)
    values = signals["record"].rows["value"].dropna().tolist()
    assert 9.5 in values
    assert 5.5 not in values


def test_what_could_not_be_used_is_listed(cohort: Cohort) -> None:
    listed = read_rejected(cohort.path / REJECTED_FILE).set_index("path")["code"].to_dict()
    assert listed["files/odd.bin"] == "file.unknown"
    assert listed["files/empty.dcm"] == "file.empty"
    assert (cohort.path / REJECTED_FILE).read_text(encoding="utf-8").startswith("# Identifying")


def test_no_pixel_id_or_name_is_copied(cohort: Cohort, hospital: Path) -> None:
    assert sum(p.stat().st_size for p in cohort.path.iterdir()) < 60_000
    for file in cohort.path.iterdir():
        content = file.read_bytes()
        assert b"Secret" not in content
        assert KEY not in content
    assert "patient_id" not in cohort.rows("record").columns


def test_ingest_twice_is_ingest_once(hospital: Path, key: Path, cohort: Cohort, tmp_path: Path) -> None:
    again = ingest(hospital, tmp_path / "again", key=key)
    assert again.info.content_hash == cohort.info.content_hash
    once_more = ingest(hospital, tmp_path / "again", key=key)
    assert once_more.info.files == again.info.files


def test_a_cohort_inside_its_source_is_no_evidence(hospital: Path, key: Path, cohort: Cohort, tmp_path: Path) -> None:
    root = tmp_path / "site"
    write_ct(root / "a", "A", day(0))
    for _ in range(2):
        found = ingest(root, root / "cohort", key=key)
        assert found.info.counts["present"] == 1
        assert found.info.counts["rejected"] == 0


def test_without_an_ingest_file_files_say_whose_they_are(key: Path, tmp_path: Path) -> None:
    write_ct(tmp_path / "in/x", "A", day(0))
    write_ct(tmp_path / "in/y", "", day(0))
    found = ingest(tmp_path / "in", tmp_path / "out", key=key)
    assert found.patients == (patient_key(KEY, "A"),)
    told = describe(found)
    assert told.findings_without_patient == 1
    assert "name no patient" in as_text(told)
    (case,) = found.cases()
    assert [flag.code for flag in case.usable("ct")[0].flags] == ["time.no_decision"]


@pytest.mark.parametrize(("policy", "expected"), [("folder", "one"), ("stem", "two")])
def test_folder_or_file_name_can_say_whose_it_is(policy: str, expected: str, key: Path, tmp_path: Path) -> None:
    (tmp_path / "in/one").mkdir(parents=True)
    (tmp_path / "in/one/two_note.txt").write_text("Short of breath.", encoding="utf-8")
    spec = f'undated = "accept"\n[[source]]\nname = "n"\npath = "in"\npatient = "{policy}"\n'
    (tmp_path / "cohort.toml").write_text(spec, encoding="utf-8")
    found = ingest(tmp_path / "cohort.toml", tmp_path / "out", key=key)
    assert found.patients == (patient_key(KEY, expected),)
    assert found.cases()[0].pattern == ("note",)


def _tables(root: Path, undated: str, *, timeless: bool = False) -> Path:
    (root / "labs.csv").write_text("pid,crp,age\n007,5.5,50\n008,,60\n", encoding="utf-8")
    (root / "labels.csv").write_text("patient_id,decision_time,y\n007,2024-01-01,1\n008,2024-01-01,0\n", "utf-8")
    spec = f"""
        undated = "{undated}"
        [[source]]
        name = "labs"
        path = "labs.csv"
        timeless = {str(timeless).lower()}
        [source.mapping]
        layout = "wide"
        patient = "pid"
        columns.crp = {{ unit = "mg/L" }}
        columns.age = {{ category = "demographic" }}
        [labels]
        path = "labels.csv"
    """
    (root / "cohort.toml").write_text(spec, encoding="utf-8")
    return root / "cohort.toml"


@pytest.mark.parametrize(
    ("undated", "timeless", "status"),
    [("refuse", False, "rejected"), ("accept", False, "present"), ("refuse", True, "present")],
)
def test_undated_facts_need_a_policy(undated: str, timeless: bool, status: str, key: Path, tmp_path: Path) -> None:
    found = ingest(_tables(tmp_path, undated, timeless=timeless), tmp_path / "out", key=key)
    first, second = found.cases("y")
    assert [f.status for f in first.evidence["record"]] == [status]
    assert [f.status for f in second.evidence["record"]] == ["absent"]
    usable = first.usable("record")
    assert all("time.undated" in [flag.code for flag in e.flags] for e in usable)
    for evidence in usable:
        record = load_evidence(evidence, found.roots)
        assert isinstance(record, PatientRecord)
        assert set(record.rows["value"]) == {50.0, 5.5}


def test_a_table_of_files_says_whose_and_when(key: Path, tmp_path: Path) -> None:
    for name in ("x", "y", "z"):
        write_ct(tmp_path / f"ct/{name}", "WRONG", day(0))
    (tmp_path / "list.csv").write_text("file,pid,at\nx,A,2024-02-01\ny,B,2024-02-02\ngone,B,2024-02-02\n", "utf-8")
    spec = """
        [[source]]
        name = "ct"
        path = "."
        patient = "table"
        mapping = { layout = "files", patient = "pid", time = "at", path = "ct/{file}", modality = "ct" }
    """
    (tmp_path / "cohort.toml").write_text(spec, encoding="utf-8")
    found = ingest(tmp_path / "cohort.toml", tmp_path / "out", key=key)
    assert set(found.patients) == {patient_key(KEY, "A"), patient_key(KEY, "B")}
    rejected = read_rejected(found.path / REJECTED_FILE)
    assert sorted(rejected["code"]) == ["file.gone", "patient.unknown"]
    at = {c.patient_key: c.usable("ct")[0].acquired_at for c in found.cases()}
    assert f"{at[patient_key(KEY, 'A')]:%Y-%m-%d}" == "2024-02-01"


def test_a_reader_that_breaks_costs_one_file(
    hospital: Path, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = gather.resolve

    def resolve(dotted: str) -> object:
        if not dotted.endswith("find_recordings"):
            return real(dotted)

        def broken(root: Path, root_name: str, files: Sequence[Path], zone: ZoneInfo) -> Iterator[Found]:
            for path in files:
                if path.name == "bad.edf":
                    message = "Secret Name is in this text"
                    raise RuntimeError(message)
                yield from real(dotted)(root, root_name, [path], zone)

        return broken

    monkeypatch.setattr(gather, "resolve", resolve)
    (hospital.parent / "files/bad.edf").write_bytes((hospital.parent / "files/a.edf").read_bytes())
    try:
        found = ingest(hospital, tmp_path / "out", key=key)
    finally:
        (hospital.parent / "files/bad.edf").unlink()
    assert found.info.counts["failed"] == 1
    listed = read_rejected(found.path / REJECTED_FILE)
    assert "RuntimeError" in listed.loc[listed["code"] == "failed", "why"].item()
    assert not listed["why"].str.contains("Secret").any()
    assert sum("eeg" in case.pattern for case in found.cases("label")) == 1


def test_the_description_counts_cases_once(cohort: Cohort) -> None:
    told = describe(cohort, "label")
    assert (told.patients, told.cases) == (3, 3)
    assert sum(p.cases for p in told.patterns) == 3
    assert {p.pattern: p.cases for p in told.patterns}[("ct", "eeg", "record")] == 1
    for counts in told.modalities:
        assert counts.present + counts.absent + counts.rejected + counts.failed == 3
    assert told.labels == {"0": 1, "1": 1, "": 1}
    reasons = {(r.modality, r.code): r.findings for r in told.refused}
    assert reasons[("ct", "time.after_decision")] == 1
    assert type(told).model_validate_json(told.model_dump_json()) == told
    assert "ct.missing_slices" in as_text(told)


def test_a_damaged_cohort_is_noticed(hospital: Path, key: Path, tmp_path: Path) -> None:
    found = ingest(hospital, tmp_path / "out", key=key)
    assert found.damaged() == ()
    (found.path / "note.parquet").write_bytes(b"x")
    assert found.damaged() == ("note.parquet",)
    with pytest.raises(InputError, match="not a cohort"):
        open_cohort(tmp_path)


def test_a_folder_with_other_things_is_left_alone(hospital: Path, key: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work", encoding="utf-8")
    with pytest.raises(InputError, match="something else"):
        ingest(hospital, tmp_path, key=key)


@pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "link"])
def test_no_path_leads_out_of_its_root(path: str, tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "secret").write_text("x", encoding="utf-8")
    (tmp_path / "root/link").symlink_to(tmp_path / "secret")
    evidence = Evidence(modality="note", root="r", paths=(path,))
    with pytest.raises(EvidenceError, match="leads out"):
        load_evidence(evidence, {"r": tmp_path / "root"})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("source = 3", "source"),
        ('site_timezone = "Mars"', "time zone"),
        ('[[source]]\nname = "cohort"', "reserved"),
        ('[[source]]\nname = "a"\n[[source]]\nname = "a"', "name"),
        ('[[source]]\npath = "nowhere"', "no such folder"),
        ('[[source]]\npatient = "table"', "mapping"),
        ('[labels]\npath = "none.csv"', "no such labels"),
        ('schema_version = "2.0"', "version"),
        ("not toml", "not TOML"),
    ],
)
def test_a_wrong_ingest_file_is_answered(text: str, said: str, key: Path, tmp_path: Path) -> None:
    (tmp_path / "cohort.toml").write_text(text, encoding="utf-8")
    with pytest.raises(TaskError, match=said) as caught:
        ingest(tmp_path, tmp_path / "out", key=key)
    assert caught.value.mend


def test_labels_may_count_from_an_origin(key: Path, tmp_path: Path) -> None:
    write_ct(tmp_path / "in", "A", day(0))
    (tmp_path / "l.csv").write_text("patient_id,day,y\nA,3,1\n,4,1\nB,,0\n", encoding="utf-8")
    spec = '[labels]\npath = "../l.csv"\norigin = 2024-01-01T00:00:00Z\noffset = "day"\noffset_unit = "d"\n'
    (tmp_path / "in/cohort.toml").write_text(spec, encoding="utf-8")
    found = ingest(tmp_path / "in", tmp_path / "out", key=key)
    (case,) = found.cases("y")
    assert case.decision_time == pd.Timestamp("2024-01-04T00:00:00Z")
    assert describe(found).left_out == 1
    assert read_rejected(found.path / REJECTED_FILE)["code"].tolist() == ["labels.no_patient"]


def test_a_folder_without_a_file_is_no_cohort(tmp_path: Path, key: Path) -> None:
    (tmp_path / "files").mkdir()
    with pytest.raises(InputError, match="no file of evidence"):
        ingest(tmp_path / "files", tmp_path / "cohort", key=key)
    assert not (tmp_path / "cohort").exists()


def test_a_target_that_is_no_column_is_answered_with_the_nearest(cohort: Cohort) -> None:
    with pytest.raises(TaskError, match="Did you mean 'label'"):
        describe(cohort, target="labell")
