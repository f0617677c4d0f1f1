"""An OMOP CDM becomes facts with standard codes, one unit and the time they were known; what is wrong costs itself."""

from collections import Counter
from datetime import UTC
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from clinic_mm.errors import EvidenceError
from clinic_mm.signals import NOTE_COLUMNS, RECORD_COLUMNS
from clinic_mm.sources.tables.known import told_apart
from clinic_mm.sources.tables.omop import read_omop
from clinic_mm.types import Rejected
from tests.sources.tables.omop_made import write_cdm

HB = "loinc:718-7"


def read(folder: Path, zone: str = "UTC") -> tuple[pd.DataFrame, pd.DataFrame, list[Rejected]]:
    (tables,) = told_apart(sorted(folder.rglob("*.*"))).omop
    return read_omop(tables, ZoneInfo(zone))


def faults(folder: Path) -> Counter[str]:
    """How many rows of the record were left out, by fault."""
    told = [one for one in read(folder)[2] if one.modality == "record"]
    return Counter({one.code.removeprefix("omop."): int(one.why.split()[0]) for one in told})


def one(rows: pd.DataFrame, source_id: int) -> dict[str, object]:
    (row,) = rows[rows["source_id"] == str(source_id)].to_dict("records")
    return {str(name): value for name, value in row.items()}


def measured(number: int, **changed: object) -> tuple[object, ...]:
    """A further row of the measurement table."""
    row = {"id": number, "person": 1, "concept": 3000963, "day": "2020-01-03", "time": "", "sign": 0, "value": 10.0,
           "chosen": 0, "unit": 8713, "low": "", "high": "", "word": "g/dL", "source": "HB", "visit": 10}  # fmt: skip
    assert set(changed) <= set(row)
    return tuple((row | changed).values())


@pytest.fixture(scope="module")
def cdm(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, pd.DataFrame, list[Rejected]]:
    return read(write_cdm(tmp_path_factory.mktemp("cdm")))


@pytest.mark.parametrize("form", ["CSV", "parquet"])
def test_any_form_and_case_of_the_tables_reads_the_same(
    cdm: tuple[pd.DataFrame, pd.DataFrame, list[Rejected]], tmp_path: Path, form: str
) -> None:
    record, note, _ = read(write_cdm(tmp_path, form))
    assert (tuple(record.columns), tuple(note.columns)) == (RECORD_COLUMNS, NOTE_COLUMNS)
    pd.testing.assert_frame_equal(record, cdm[0])
    pd.testing.assert_frame_equal(note, cdm[1])


def test_tables_may_lie_in_parts(cdm: tuple[pd.DataFrame, pd.DataFrame, list[Rejected]], tmp_path: Path) -> None:
    path = write_cdm(tmp_path, "parquet") / "measurement.parquet"
    whole = pd.read_parquet(path)
    path.unlink()
    (tmp_path / "measurement").mkdir()
    whole.iloc[:2].to_parquet(tmp_path / "measurement" / "part-0.parquet")
    whole.iloc[2:].to_parquet(tmp_path / "measurement" / "part-1.parquet")
    pd.testing.assert_frame_equal(read(tmp_path)[0], cdm[0])


def test_a_result_has_the_vocabularys_code_one_unit_and_its_range(
    cdm: tuple[pd.DataFrame, pd.DataFrame, list[Rejected]],
) -> None:
    first, second = one(cdm[0], 100), one(cdm[0], 101)
    assert (first["code"], first["value"], first["unit"], first["ref_low"], first["ref_high"]) == (
        HB, 12.5, "g/dL", 13.5, 17.5)  # fmt: skip
    assert (second["value"], second["unit"]) == (11.8, "g/dL")  # 118 g/L
    assert (one(cdm[0], 102)["text"], one(cdm[0], 102)["ref_high"]) == ("<0.3", 5.0)
    assert one(cdm[0], 103)["text"] == "Positive"


def test_what_was_never_mapped_keeps_the_sites_word_and_what_the_vocabulary_lacks_its_concept(
    cdm: tuple[pd.DataFrame, pd.DataFrame, list[Rejected]], tmp_path: Path
) -> None:
    assert (one(cdm[0], 104)["code"], one(cdm[0], 104)["unit"]) == ("local:GLU-LOCAL", "mmol/L")
    assert one(cdm[0], 105)["code"] == "omop:3999999"
    bare, _, refused = read(write_cdm(tmp_path, without=("concept",)))
    assert (one(bare, 100)["code"], one(bare, 100)["unit"], one(bare, 103)["text"]) == (
        "omop:3000963", "g/dL", "omop:9191")  # fmt: skip
    assert "omop.unreadable" not in {one.code for one in refused}


def test_midnight_and_a_bare_date_are_the_end_of_the_day_at_the_site(tmp_path: Path) -> None:
    rows, _, _ = read(write_cdm(tmp_path), "Europe/Berlin")
    assert one(rows, 100)["time"] == pd.Timestamp("2020-01-01T08:30Z")
    assert one(rows, 101)["time"] == one(rows, 102)["time"] == pd.Timestamp("2020-01-02T22:59:59Z")


def test_the_diagnoses_of_a_stay_are_known_at_its_end_but_for_those_of_admission(
    cdm: tuple[pd.DataFrame, pd.DataFrame, list[Rejected]], tmp_path: Path
) -> None:
    assert one(cdm[0], 300)["time"] == pd.Timestamp("2020-01-05T11:00Z")
    assert one(cdm[0], 301)["time"] == pd.Timestamp("2020-01-01T08:00Z")
    lonely, _, _ = read(write_cdm(tmp_path, without=("visit_occurrence",)))
    assert one(lonely, 300)["time"] == pd.Timestamp("2020-01-01T08:00Z")


def test_persons_have_as_much_of_a_birth_date_as_is_known_and_nobody_dies(
    cdm: tuple[pd.DataFrame, pd.DataFrame, list[Rejected]],
) -> None:
    who = cdm[0][cdm[0]["category"] == "demographic"]
    assert set(zip(who["patient_id"], who["code"], who["text"], strict=True)) == {
        ("1", "sex", "male"), ("1", "birth_date", "1950-02-03"),
        ("2", "sex", "female"), ("2", "birth_date", "1980"), ("3", "birth_date", "1990-05-06")}  # fmt: skip
    assert "2020-06-01" not in cdm[0].to_csv()


def test_notes_have_their_kind_and_need_a_time(cdm: tuple[pd.DataFrame, pd.DataFrame, list[Rejected]]) -> None:
    assert cdm[1][["patient_id", "kind", "text"]].to_numpy().tolist() == [
        ["1", "Admission note", "Cough since Monday."]
    ]
    assert [(one.code, one.modality) for one in cdm[2]] == [("omop.undated", "note")]


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        (measured(900, person=77), "no_person"),
        (measured(900, day="2020-13-45"), "undated"),
        (measured(900, day="2999-01-01"), "future"),
        (measured(900, day="1949-12-01"), "before_birth"),
        (measured(900, day="2020-07-03"), "after_death"),
        (measured(900, value=""), "no_value"),
        (measured(900, value="high"), "bad_number"),
        (measured(900, concept=0, source=""), "no_code"),
        (measured(900, unit=0, word="kg"), "unit_mismatch"),
        (measured(900, day="2020-01-01", time="2020-01-01 09:30:00", value=12.5, low=13.5, high=17.5), "duplicate"),
        (measured(100), "ambiguous"),
    ],
)
def test_a_bad_row_is_counted_by_its_fault_and_costs_itself_alone(
    cdm: tuple[pd.DataFrame, pd.DataFrame, list[Rejected]], tmp_path: Path, row: tuple[object, ...], fault: str
) -> None:
    write_cdm(tmp_path, measurement=[row])
    record, _, _ = read(tmp_path)
    assert faults(tmp_path) == Counter({fault: 2 if fault == "ambiguous" else 1})
    expected = cdm[0][cdm[0]["source_id"] != "100"] if fault == "ambiguous" else cdm[0]
    pd.testing.assert_frame_equal(record, expected.reset_index(drop=True))


def test_a_row_that_stands_there_twice_counts_once(tmp_path: Path) -> None:
    again = measured(700)
    write_cdm(tmp_path, measurement=[again, again])
    assert faults(tmp_path)["duplicate"] == 1
    assert len(read(tmp_path)[0].query("source_id == '700'")) == 1


def test_dates_that_were_shifted_on_purpose_are_no_future(tmp_path: Path) -> None:
    """De-identified sets live centuries later, each patient as a whole; a slip of the pen is one row of many."""
    write_cdm(tmp_path, measurement=[measured(900, person=3, day="2150-01-01"), measured(901, day="2150-01-01")])
    record, _, _ = read(tmp_path)
    assert faults(tmp_path) == Counter(future=1, shifted_dates=1)
    assert "900" in set(record["source_id"])


def test_a_table_that_cannot_be_read_costs_itself_alone(tmp_path: Path) -> None:
    write_cdm(tmp_path)
    (tmp_path / "condition_occurrence.csv").write_bytes(b"PAR1 but no table")
    record, _, refused = read(tmp_path)
    assert ("omop.unreadable", str(tmp_path / "condition_occurrence.csv")) in {(r.code, r.paths[0]) for r in refused}
    assert set(record["category"]) >= {"observation", "medication", "procedure", "encounter"}


def test_a_table_that_lacks_columns_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    write_cdm(tmp_path)
    for name in ("visit_occurrence", "measurement"):
        path = tmp_path / f"{name}.csv"
        path.write_text(path.read_text(encoding="utf-8").replace("visit_occurrence_id", "vid"), encoding="utf-8")
    assert one(read(tmp_path)[0], 300)["time"] == pd.Timestamp("2020-01-01T08:00Z")  # no stay is known


def test_another_version_of_the_cdm_is_refused_by_name(tmp_path: Path) -> None:
    write_cdm(tmp_path)
    (tmp_path / "cdm_source.csv").write_text("cdm_source_name,cdm_version\nx,CDM v6.0\n", encoding="utf-8")
    with pytest.raises(EvidenceError) as caught:
        read(tmp_path)
    assert caught.value.code == "omop.version"


def test_tables_without_a_person_table_are_no_cdm(tmp_path: Path) -> None:
    known = told_apart(sorted(write_cdm(tmp_path, without=("person",)).iterdir()))
    assert (known.omop, len(known.others)) == ([], 11)


def test_of_two_hospitals_each_has_its_own_persons(tmp_path: Path) -> None:
    write_cdm(tmp_path / "a")
    write_cdm(tmp_path / "b", without=("note",))
    known = told_apart(sorted(tmp_path.rglob("*.csv")))
    assert [tables[0].name for tables in known.omop] == ["person.csv", "person.csv"]
    assert [len(read_omop(tables, UTC)[1]) for tables in known.omop] == [1, 0]
