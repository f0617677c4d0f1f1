from datetime import UTC
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from clinic_mm.errors import InputError, TaskError
from clinic_mm.signals import NOTE_COLUMNS, RECORD_COLUMNS
from clinic_mm.sources.tables.mapped import ABOVE, BELOW, read_files_table, read_table
from clinic_mm.sources.tables.mapping import parse_mapping, read_mapping

ORIGIN = "2000-01-01T00:00:00Z"


def read(path: Path, **mapping: object) -> pd.DataFrame:
    return read_table(path, parse_mapping(mapping), ZoneInfo("Europe/Berlin"))


def csv(folder: Path, text: str, name: str = "t.csv") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


@pytest.mark.realdata
def test_hannover_values_count_from_admission(data: Path) -> None:
    path = data / "multimodal" / "chest_hannover" / "data.csv"
    labs = {f"{name}_val": {"unit": "mg/L", "time": {"offset_days": ["-admission_offset", f"{name}_offset"]}}
            for name in ("crp", "d-dimer")}  # fmt: skip
    time = {"origin": ORIGIN, "offset_days": ["-admission_offset"]}
    rows = read(path, layout="wide", patient="patient_id", time=time, columns=labs)
    table = pd.read_csv(path)
    day = {name: table[f"{name}_offset"] - table["admission_offset"] for name in ("crp", "d-dimer")}
    facts = [table.assign(day=day[name])[["patient_id", "day", f"{name}_val"]].dropna() for name in day]
    # The table repeats a value for each image of the day; a fact counts once.
    assert len(rows) == sum(len(one.drop_duplicates()) for one in facts) < sum(map(len, facts))
    assert set(rows["text"]) == {"", ABOVE, BELOW}
    assert rows.loc[rows["text"] != "", "value"].isna().all()
    first = table[(table["admission_offset"] == -4) & table["crp_val"].notna() & (table["crp_offset"] == 0)].iloc[0]
    at = rows[(rows["patient_id"] == first["patient_id"]) & (rows["value"] == first["crp_val"])]["time"]
    assert pd.Timestamp("2000-01-05", tz="UTC") in set(at)

    files = parse_mapping({"layout": "files", "patient": "patient_id", "path": "images/{image_id}.jpg",
                           "modality": "xray", "meta": ["projection"], "time": time})  # fmt: skip
    listed = read_files_table(path, files, UTC)
    assert list(listed.columns) == ["path", "modality", "patient_id", "time", "projection"]
    assert all((path.parent / one).is_file() for one in listed["path"])
    assert listed["time"].notna().all()


@pytest.mark.realdata
def test_psychiatric_eeg_is_wide_and_undated(data: Path) -> None:
    rows = read(data / "multimodal/psychiatric_eeg.csv", layout="wide", patient="id", columns="all",
                **{"except": ["label", "diagnosis", "IQ", "education"]})  # fmt: skip
    assert rows["time"].isna().all()
    assert rows.groupby("code").size().eq(712).all()
    assert rows["code"].nunique() == 8


@pytest.mark.realdata
def test_physionet_minus_one_means_not_recorded(data: Path) -> None:
    path = data / "tabular" / "physionet2012" / "set_a_long.parquet"
    rows = read(path, layout="long", patient="RecordID", code="parameter", value="value", missing=[-1],
                time={"origin": ORIGIN, "offset_min": ["minute"]},
                codes={"Gender": {"code": "sex", "category": "demographic",
                                  "values": {"0": "female", "1": "male"}}})  # fmt: skip
    table = pd.read_parquet(path)
    assert len(rows) == (table["value"] != -1).sum()
    assert rows["patient_id"].nunique() == 4000
    assert rows["time"].max() <= pd.Timestamp("2000-01-03", tz="UTC")
    assert set(rows.loc[rows["code"] == "sex", "text"]) == {"female", "male"}


def test_wide_rows_have_numbers_categories_and_site_times(tmp_path: Path) -> None:
    path = csv(tmp_path, "pid,at,crp,smoker\n007,2021-07-01T10:00,5.5,yes\n007,2021-07-02,,no\n,2021-07-03,1,\n")
    rows = read(path, layout="wide", patient="pid", time="at", columns={
        "crp": {"code": "loinc:1988-5", "unit": "mg/L"}, "smoker": {}})  # fmt: skip
    assert tuple(rows.columns) == RECORD_COLUMNS
    assert rows["patient_id"].tolist() == ["", "007", "007", "007"]
    mine = rows[rows["patient_id"] == "007"]
    assert mine["code"].tolist() == ["loinc:1988-5", "smoker", "smoker"]
    assert mine["text"].tolist() == ["", "yes", "no"]
    assert mine["time"].tolist() == [pd.Timestamp("2021-07-01T08:00Z")] * 2 + [pd.Timestamp("2021-07-02T21:59:59Z")]


def test_who_someone_is_has_no_time_however_many_visits(tmp_path: Path) -> None:
    path = csv(tmp_path, "pid,at,sex\na,2021-07-01,f\na,2021-07-02,f\n")
    rows = read(path, layout="wide", patient="pid", time="at",
                columns={"sex": {"category": "demographic", "values": {"f": "female"}}})  # fmt: skip
    assert rows[["text", "time"]].to_numpy().tolist() == [["female", pd.NaT]]


def test_a_value_comes_in_the_unit_of_its_code_with_its_range(tmp_path: Path) -> None:
    path = csv(tmp_path, "pid,c,v,u,lo,hi\na,HB,118,g/L,135,175\na,HB,12,g/dl,,17.5\na,HB,7,widgets,,\n")
    rows = read(path, layout="long", patient="pid", code="c", value="v", unit="u", ref_low="lo", ref_high="hi",
                codes={"HB": {"code": "loinc:718-7"}})  # fmt: skip
    nan = float("nan")
    assert rows["unit"].tolist() == ["g/dL", "g/dL", "widgets"]
    expected = [[11.8, 13.5, 17.5], [12, nan, 17.5], [7, nan, nan]]
    np.testing.assert_array_equal(rows[["value", "ref_low", "ref_high"]].to_numpy(), expected)


def test_an_hour_that_the_clocks_repeat_counts_as_its_second_pass(tmp_path: Path) -> None:
    """Never earlier than it was: also where the column is of moments instead of texts."""
    pd.DataFrame(
        {"p": ["a", "a"], "v": [1, 2], "t": pd.to_datetime(["2021-10-31T02:30", "2021-03-28T02:30"])}
    ).to_parquet(tmp_path / "t.parquet")
    rows = read(tmp_path / "t.parquet", layout="wide", patient="p", time="t", columns={"v": {}})
    assert rows["time"].tolist() == [pd.Timestamp("2021-03-28T01:00Z"), pd.Timestamp("2021-10-31T01:30Z")]


def test_clock_texts_and_missing_offsets(tmp_path: Path) -> None:
    path = csv(tmp_path, "pid,t,v\na,07:30,1\na,47:05,2\na,,3\n")
    rows = read(path, layout="long", patient="pid", code="pid", value="v", time={"origin": ORIGIN, "offset_h": ["t"]})
    assert rows["time"].isna().tolist() == [True, False, False]
    assert rows["time"].dropna().tolist() == [pd.Timestamp("2000-01-01T07:30Z"), pd.Timestamp("2000-01-02T23:05Z")]


def test_notes_of_a_table(tmp_path: Path) -> None:
    path = csv(tmp_path, 'pid,day,note\na,2021-01-01,"Fever, cough"\na,2021-01-02,\n')
    rows = read(path, layout="notes", patient="pid", text="note", time="day")
    assert tuple(rows.columns) == NOTE_COLUMNS
    assert rows["text"].tolist() == ["Fever, cough"]


def test_a_wrong_column_is_answered_with_the_nearest(tmp_path: Path) -> None:
    path = csv(tmp_path, "patient_id,creatinine\na,1\n")
    with pytest.raises(TaskError, match="Did you mean 'creatinine'"):
        read(path, layout="wide", patient="patient_id", columns={"creatinin": {}})
    with pytest.raises(TaskError, match="Did you mean 'patient_id'"):
        read(path, layout="wide", patient="patientid", columns="all")


@pytest.mark.parametrize(
    "mapping",
    [
        {"layout": "tall", "patient": "a"},
        {"layout": "wide", "patient": "a"},
        {"layout": "long", "patient": "a", "code": "c"},
        {"layout": "files", "patient": "a", "path": "{x}"},
        {"layout": "wide", "patient": "a", "columns": {"b": {}}, "except": ["c"]},
        {"layout": "wide", "patient": "a", "columns": "all", "surprise": 1},
        {"layout": "wide", "patient": "a", "columns": "all", "time": {"column": "t", "offset_h": ["u"]}},
    ],
)
def test_a_mapping_that_does_not_fit_together_is_refused(mapping: dict[str, object]) -> None:
    with pytest.raises(TaskError):
        parse_mapping(mapping)


def test_offsets_without_an_origin_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="origin"):
        read(csv(tmp_path, "p,t,v\na,1,2\n"), layout="wide", patient="p", columns={"v": {}}, time={"offset_h": ["t"]})


def test_a_file_outside_the_tables_folder_is_refused(tmp_path: Path) -> None:
    files = parse_mapping({"layout": "files", "patient": "p", "path": "{f}", "modality": "xray"})
    with pytest.raises(InputError):
        read_files_table(csv(tmp_path, "p,f\na,../b.png\n"), files, UTC)


def test_a_mapping_file_is_toml(tmp_path: Path) -> None:
    time = 'time = { origin = 2000-01-01T00:00:00Z, offset_days = ["-d"] }'
    text = f'layout = "wide"\npatient = "p"\n{time}\ncolumns.v.unit = "mg"\n'
    mapping = read_mapping(csv(tmp_path, text, "m.toml"))
    rows = read_table(csv(tmp_path, "p,d,v\na,-2,1\n"), mapping, UTC)
    assert rows["time"].tolist() == [pd.Timestamp("2000-01-03", tz="UTC")]
    with pytest.raises(TaskError):
        read_mapping(csv(tmp_path, "layout = ", "bad.toml"))


def test_a_table_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_bytes(b"PAR1 but no table")
    with pytest.raises(InputError):
        read(tmp_path / "t.parquet", layout="wide", patient="p", columns="all")
    (tmp_path / "t.csv").write_bytes(b"")
    with pytest.raises(InputError):
        read(tmp_path / "t.csv", layout="wide", patient="p", columns="all")
