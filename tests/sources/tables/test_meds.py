"""MEDS events become facts: codes by rules, units from the code, known when they were known."""

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from clinic_mm.signals import RECORD_COLUMNS
from clinic_mm.sources.tables.known import told_apart
from clinic_mm.sources.tables.meds import read_meds
from clinic_mm.sources.tables.meds_codes import meaning
from clinic_mm.types import Rejected

NOON = datetime(2015, 3, 1, 12)
ADMITTED, DISCHARGED = datetime(2015, 2, 27, 9), datetime(2015, 3, 5, 15)


def write(path: Path, *events: tuple[object, ...], value: str = "numeric_value", said: bool = False) -> Path:
    """A shard of (subject, time, code, number, text)."""
    whole = [(*event, *(None,) * (5 - len(event))) for event in events]
    frame = pd.DataFrame(whole, columns=["subject_id", "time", "code", value, "text_value"])
    frame = frame.astype({"subject_id": "int64", value: "float32", "time": "datetime64[us]", "text_value": "str"})
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.drop(columns=[] if said else ["text_value"]).to_parquet(path, index=False)
    return path


def read(*files: Path, zone: str = "UTC") -> tuple[pd.DataFrame, dict[str, int]]:
    rows, refused = read_meds(files, ZoneInfo(zone))
    return rows, {one.code: int(one.why.split()[0]) for one in refused}


def only(folder: Path, *event: object, **more: object) -> dict[str, object]:
    rows, refused = read(write(folder / "m.parquet", (7, *event), **more))  # type: ignore[arg-type]
    assert not refused
    (row,) = rows.to_dict("records")
    return {str(name): cell for name, cell in row.items()}


@pytest.fixture(scope="module")
def mimic(data: Path) -> tuple[pd.DataFrame, list[Rejected], pd.DataFrame]:
    path = data / "tabular" / "mimic_iv_demo" / "meds_events.parquet"
    return *read_meds([path], UTC), pd.read_parquet(path)


@pytest.mark.realdata
def test_every_event_of_mimic_is_a_fact_or_counted(mimic: tuple[pd.DataFrame, list[Rejected], pd.DataFrame]) -> None:
    rows, refused, events = mimic
    assert tuple(rows.columns) == RECORD_COLUMNS
    assert rows["patient_id"].nunique() == events["subject_id"].nunique() == 75
    ends = events["code"].str.match(r"MEDS_DEATH|DRG//|MEDICATION//STOP|INFUSION_END|PROCEDURE//END")
    given = events[events["code"].str.startswith("MEDICATION//")]["code"].str.split("//").str[2]
    not_given = given.str.match(r"Not |Hold|Stopped|Removed$|Assessed|Infusion Recon|UNK$|Delayed ?$| in Other")
    not_given &= ~events["code"].str.match(r"MEDICATION//(?:START|STOP)//").loc[given.index]
    told = {one.code: int(one.why.split()[0]) for one in refused}
    assert told.pop("meds.shifted_dates") > 300_000  # kept: MIMIC lives between 2100 and 2200
    assert set(told) == {"meds.no_value", "meds.duplicate"}
    assert len(rows) + sum(told.values()) + ends.sum() + not_given.sum() == len(events)


@pytest.mark.realdata
def test_a_mimic_diagnosis_is_known_when_the_stay_ends(
    mimic: tuple[pd.DataFrame, list[Rejected], pd.DataFrame],
) -> None:
    rows, _, events = mimic
    found = rows[rows["category"] == "condition"]
    assert found["code"].str.match(r"icd(?:9|10)cm:[A-Z]?\d[\dA-Z]{1,3}(?:\.[\dA-Z]{1,4})?$").all()
    ends = events[events["code"].str.startswith("HOSPITAL_DISCHARGE")]
    discharged = set(zip(ends["subject_id"].astype("str"), ends["time"].dt.tz_localize("UTC"), strict=True))
    assert set(zip(found["patient_id"], found["time"], strict=True)) <= discharged


@pytest.mark.realdata
def test_a_number_of_mimic_is_as_the_laboratory_wrote_it(
    mimic: tuple[pd.DataFrame, list[Rejected], pd.DataFrame],
) -> None:
    """32 bits keep 3.9 as 3.9000000954; haemoglobin is in g/dL, heart rates count per minute, °F is Cel."""
    rows, _, events = mimic
    hb = rows[rows["code"] == "meds:LAB//51222"]
    assert set(hb["unit"]) == {"g/dL"}
    assert (hb["value"] == hb["value"].round(2)).all()
    temperature = rows[rows["code"] == "meds:LAB//223761"]
    fahrenheit = events[events["code"] == "LAB//223761//°F"]["value"].median()
    assert set(temperature["unit"]) == {"Cel"}
    assert temperature["value"].median() == pytest.approx((fahrenheit - 32) / 1.8, abs=0.1)


@pytest.mark.realdata
def test_the_meds_events_and_the_native_tables_of_mimic_say_the_same(
    mimic: tuple[pd.DataFrame, list[Rejected], pd.DataFrame], data: Path
) -> None:
    """Dates are shifted differently in the two; codes, sexes and counts are not."""
    rows, _, _ = mimic
    folder = data / "tabular" / "mimic_iv_demo"
    native = pd.read_csv(folder / "diagnoses_icd.csv.gz", dtype="str")
    codes = "icd" + native["icd_version"] + "cm:" + native["icd_code"].str.replace(".", "")
    found = rows[rows["category"] == "condition"]
    here = native["subject_id"].isin(found["patient_id"])
    told = set(zip(native["subject_id"][here], codes[here], strict=True))
    # The table puts the dot of E codes one place early (E87.82 for E878.2), so dots are left out here.
    assert told == set(zip(found["patient_id"], found["code"].str.replace(".", ""), strict=True))
    patients = pd.read_csv(folder / "patients.csv.gz", dtype="str").set_index("subject_id")["gender"]
    sexes = rows[rows["code"] == "sex"].set_index("patient_id")["text"]
    assert (patients.map({"F": "female", "M": "male"}).loc[sexes.index] == sexes).all()


def test_a_code_says_what_it_is() -> None:
    lab = meaning("LAB//50912//mg/dL")
    assert (lab.category, lab.code, lab.unit, lab.clock) == ("observation", "meds:LAB//50912", "mg/dL", True)
    assert meaning("LAB//50912//UNK").unit == ""
    assert meaning("DIAGNOSIS//ICD//10//I10").code == "icd10cm:I10"
    assert meaning("DIAGNOSIS//ICD//10//J189").code == "icd10cm:J18.9"
    assert meaning("DIAGNOSIS//ICD//9//E8889").code == "icd9cm:E888.9"
    assert meaning("DIAGNOSIS//ICD//9//V707").code == "icd9cm:V70.7"
    assert meaning("PROCEDURE//ICD//9//3961").code == "icd9pcs:39.61"
    assert meaning("PROCEDURE//ICD//10//0BCH8ZZ").code == "icd10pcs:0BCH8ZZ"
    assert meaning("MEDICATION//START//Aspirin").code == meaning("MEDICATION//Aspirin//Administered").code
    assert meaning("MEDICATION//Aspirin//Not Given").category == "left out"
    assert meaning("MEDS_DEATH").category == "left out"
    assert meaning("RxNorm/161").code == "rxnorm:161"
    assert (meaning("Gender/F").text, meaning("GENDER//M").text) == ("female", "male")


def test_the_datasets_own_metadata_names_the_standard_code(tmp_path: Path) -> None:
    shard = write(tmp_path / "data" / "train" / "0.parquet", (7, NOON, "LAB//50912//mg/dL", 1.1))
    (tmp_path / "metadata").mkdir()
    codes = pd.DataFrame(
        {"code": ["LAB//50912//mg/dL"], "description": ["Creatinine"], "parent_codes": [["X/1", "LOINC/2160-0"]]}
    )
    codes.to_parquet(tmp_path / "metadata" / "codes.parquet")
    row = read(shard)[0].iloc[0]
    assert (row["code"], row["display"], row["value"], row["unit"]) == ("loinc:2160-0", "Creatinine", 1.1, "mg/dL")


@pytest.mark.parametrize("value", ["numeric_value", "value"])
def test_the_number_may_be_called_either_way(tmp_path: Path, value: str) -> None:
    assert only(tmp_path, NOON, "LAB//1//mg/L", 3.9, value=value)["value"] == 3.9


def test_words_are_kept_where_there_is_no_number(tmp_path: Path) -> None:
    row = only(tmp_path, NOON, "LAB//1//UNK", None, "turbid", said=True)
    assert np.isnan(float(str(row["value"])))
    assert row["text"] == "turbid"


def test_midnight_is_a_day_where_only_the_day_is_known(tmp_path: Path) -> None:
    day = datetime(2015, 3, 1)
    assert only(tmp_path, day, "Weight (Lbs)", 150.0)["time"] == pd.Timestamp("2015-03-01T23:59:59Z")
    assert only(tmp_path, day, "LAB//1//g", 1.0)["time"] == pd.Timestamp("2015-03-01T00:00:00Z")


def test_times_are_the_sites(tmp_path: Path) -> None:
    rows, _ = read(write(tmp_path / "m.parquet", (7, NOON, "LAB//1//g", 1.0)), zone="America/New_York")
    assert rows["time"].tolist() == [pd.Timestamp("2015-03-01T17:00:00Z")]


def test_what_is_coded_after_a_stay_is_known_at_its_end_and_no_earlier(tmp_path: Path) -> None:
    """An extraction that dates the diagnoses of a stay to its beginning would let a model read the future."""
    icd = "DIAGNOSIS//ICD//10//J189"
    later = datetime(2015, 6, 1, 9)
    rows, _ = read(write(
        tmp_path / "m.parquet", (7, ADMITTED, "HOSPITAL_ADMISSION//URGENT"), (7, ADMITTED, icd),
        (7, DISCHARGED, "HOSPITAL_DISCHARGE//HOME"), (7, later, icd), (8, ADMITTED, icd),
        (7, datetime(2015, 7, 1, 8), "HOSPITAL_ADMISSION//URGENT"),
    ))  # fmt: skip
    found = rows[rows["category"] == "condition"]
    assert list(zip(found["patient_id"], found["time"].dt.tz_localize(None), strict=True)) == [
        ("7", DISCHARGED), ("7", later), ("8", ADMITTED)]  # fmt: skip


def test_birth_is_a_date_and_death_is_not_told(tmp_path: Path) -> None:
    born = datetime(1960, 5, 6)
    rows, _ = read(write(tmp_path / "m.parquet", (7, born, "MEDS_BIRTH"), (7, None, "GENDER//F"),
                         (7, NOON, "MEDS_DEATH"), (7, NOON, "LAB//1//g", 1.0)))  # fmt: skip
    assert rows[["code", "text"]].to_numpy().tolist() == [
        ["birth_date", "1960-05-06"], ["sex", "female"], ["meds:LAB//1", ""]]  # fmt: skip
    assert rows["time"].isna().tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("event", "fault"),
    [
        ((7, None, "LAB//1//g", 2.0), "undated"),
        ((7, NOON, "LAB//1//g", None), "no_value"),
        ((7, NOON, "LAB//1//g", float("inf")), "no_value"),
        ((7, NOON, "SOMETHING NEW", None), "unknown_code"),
        ((7, NOON, None, 2.0), "no_code"),
        ((7, datetime(1959, 1, 1), "LAB//1//g", 2.0), "before_birth"),
        ((7, datetime(2999, 1, 1), "LAB//1//g", 2.0), "future"),
        ((7, datetime(2016, 7, 1), "LAB//1//g", 2.0), "after_death"),
        ((7, NOON, "LAB//1//g", 1.0), "duplicate"),
        ((7, NOON, "SUBJECT_WEIGHT_AT_INFUSION//mg/dL", 1.0), "unit_mismatch"),
    ],
)
def test_an_event_that_cannot_stand_is_counted(tmp_path: Path, event: tuple[object, ...], fault: str) -> None:
    died = datetime(2016, 5, 6)
    good = [(7, datetime(1960, 5, 6), "MEDS_BIRTH"), (7, NOON, "LAB//1//g", 1.0), (7, died, "MEDS_DEATH")]
    rows, refused = read(write(tmp_path / "m.parquet", *good, event))
    assert refused == {f"meds.{fault}": 1}
    assert len(rows) == 2


def test_a_number_of_an_unknown_code_is_kept_under_its_own_name(tmp_path: Path) -> None:
    row = only(tmp_path, NOON, "SOMETHING NEW", 2.0)
    assert (row["category"], row["code"]) == ("observation", "meds:SOMETHING NEW")


def test_a_shard_that_cannot_be_read_costs_itself_alone(tmp_path: Path) -> None:
    good = write(tmp_path / "a.parquet", (7, NOON, "LAB//1//g", 1.0))
    bad = tmp_path / "b.parquet"
    bad.write_bytes(good.read_bytes()[:-40] + b"PAR1")
    rows, refused = read_meds([good, bad], UTC)
    assert (len(rows), [one.code for one in refused]) == (1, ["meds.unreadable"])


def test_text_that_is_no_utf8_costs_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "m.parquet", (7, NOON, "LAB//1//g", 1.0))
    pd.read_parquet(path).to_parquet(path, index=False, compression=None, use_dictionary=False)
    path.write_bytes(path.read_bytes().replace(b"LAB//1//g", b"LAB\xff/1//g"))
    rows, refused = read_meds([path], UTC)
    assert (len(rows), [one.code for one in refused]) == (0, ["meds.unreadable"])


def test_files_of_a_dataset_are_told_apart_by_their_columns(tmp_path: Path) -> None:
    shard = write(tmp_path / "data" / "0.parquet", (7, NOON, "LAB//1//g", 1.0))
    frames = {"metadata/subject_splits.parquet": {"subject_id": [7], "split": ["train"]},
              "metadata/codes.parquet": {"code": ["x"], "description": ["x"], "parent_codes": [["y"]]},
              "labels/death.parquet": {"subject_id": [7], "prediction_time": [NOON], "boolean_value": [True]},
              "other.parquet": {"subject_id": [7], "x": [1]}}  # fmt: skip
    for name, columns in frames.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        pd.DataFrame(columns).to_parquet(tmp_path / name)
    known = told_apart(sorted(tmp_path.rglob("*.parquet")))
    assert known.meds == [shard]
    assert [path.name for path in known.meds_labels] == ["death.parquet"]
    assert [path.name for path in known.side] == ["codes.parquet", "subject_splits.parquet"]
    assert [path.name for path in known.others] == ["other.parquet"]


def test_a_meds_table_in_csv_is_no_meds(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("subject_id,time,code\n1,2020-01-01,x\n", encoding="utf-8")
    assert told_apart([tmp_path / "m.csv"]).others == [tmp_path / "m.csv"]
