"""A flat table of features: as of the decision, the same columns again for another cohort, and nothing overwritten."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from clinic_mm.cohort.ingest import ingest
from clinic_mm.cohort.manifest import Cohort
from clinic_mm.errors import InputError, TaskError, UsageError
from clinic_mm.jobs.features import WHO, write_features
from clinic_mm.task import parse_task
from tests.cli.terminal import run

SPEC = """
[[source]]
path = "events.parquet"
kind = "meds"
[labels]
path = "labels.csv"
patient = "subject_id"
"""
DAY = pd.Timestamp("2020-01-10T12:00")


def cohort_of(folder: Path, codes: tuple[str, ...], n: int = 12) -> Cohort:
    """Each patient has each code two days and one day before the decision, and once after it."""
    times = [DAY - pd.Timedelta(days=2), DAY - pd.Timedelta(days=1), DAY + pd.Timedelta(days=1)]
    events = [
        (k, at, f"LAB//{code}//g/dL", 10.0 * k + place)
        for k in range(n)
        for code in codes
        for place, at in enumerate(times)
    ]
    folder.mkdir(exist_ok=True)
    frame = pd.DataFrame(events, columns=["subject_id", "time", "code", "numeric_value"])
    frame.astype({"time": "datetime64[us]"}).to_parquet(folder / "events.parquet", index=False)
    labels = pd.DataFrame(
        {"subject_id": range(n), "decision_time": DAY.isoformat(), "label": [k % 2 for k in range(n)]}
    )
    labels.to_csv(folder / "labels.csv", index=False)
    (folder / "cohort.toml").write_text(SPEC, encoding="utf-8")
    return ingest(folder, folder / "cohort", key=folder / "key")


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    return cohort_of(tmp_path_factory.mktemp("features") / "a", ("HB", "CRP"))


def test_a_row_tells_of_a_case_what_was_known_at_its_decision(cohort: Cohort, tmp_path: Path) -> None:
    counts = write_features(cohort, tmp_path / "f.parquet")
    table = pd.read_parquet(tmp_path / "f.parquet")
    assert (counts.cases, counts.features, counts.empty) == (12, len(table.columns) - len(WHO), 0)
    assert tuple(table.columns[: len(WHO)]) == WHO
    assert table["decision_time"].eq(DAY.tz_localize("UTC")).all()
    assert table["label"].value_counts().to_dict() == {0: 6, 1: 6}
    last = table["meds:LAB//HB g/dL last"]
    assert sorted(last) == [10.0 * k + 1 for k in range(12)]  # the value of the day after is not known
    np.testing.assert_allclose(table["meds:LAB//HB g/dL trend /d"], 1.0, rtol=1e-6)
    np.testing.assert_allclose(table["meds:LAB//HB g/dL age h"], 24.0)


def test_a_table_made_like_another_has_its_columns(cohort: Cohort, tmp_path: Path) -> None:
    write_features(cohort, tmp_path / "train.parquet")
    other = cohort_of(tmp_path / "b", ("HB", "LACTATE"))
    write_features(other, tmp_path / "test.parquet", like=tmp_path / "train.parquet")
    train, test = (pd.read_parquet(tmp_path / f"{name}.parquet") for name in ("train", "test"))
    assert list(train.columns) == list(test.columns)
    assert test["meds:LAB//CRP g/dL last"].isna().all()
    assert test["meds:LAB//HB g/dL last"].notna().all()


def test_a_task_names_modalities_codes_and_the_target(cohort: Cohort, tmp_path: Path) -> None:
    task = parse_task({
        "target": "label", "modalities": ["hb", "all_labs"],
        "modality": {"hb": {"kind": "record", "codes": ["meds:LAB//HB"]}, "all_labs": {"kind": "record"}},
    })  # fmt: skip
    write_features(cohort, tmp_path / "f.parquet", task=task)
    columns = pd.read_parquet(tmp_path / "f.parquet").columns
    assert "hb: meds:LAB//HB g/dL last" in columns
    assert "hb: meds:LAB//CRP g/dL last" not in columns
    assert "all_labs: meds:LAB//CRP g/dL trend /d" in columns
    with pytest.raises(TaskError, match="no column 'died'"):
        write_features(cohort, tmp_path / "g.parquet", task=task.model_copy(update={"target": "died"}))


def test_only_an_earlier_table_is_replaced(cohort: Cohort, tmp_path: Path) -> None:
    mine = tmp_path / "mine.parquet"
    pd.DataFrame({"x": [1]}).to_parquet(mine)
    with pytest.raises(InputError, match="another file"):
        write_features(cohort, mine)
    with pytest.raises(InputError, match="not a table of features"):
        write_features(cohort, tmp_path / "f.parquet", like=mine)
    with pytest.raises(UsageError):
        write_features(cohort, tmp_path / "f.csv")
    write_features(cohort, tmp_path / "f.parquet")
    write_features(cohort, tmp_path / "f.parquet")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.parquet", "mine.parquet"]


def test_the_command_says_how_much_it_wrote(cohort: Cohort, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = run(capsys, "features", str(cohort.path), "--out", str(tmp_path / "f.parquet"), "--json")
    assert said.code == 0
    assert isinstance(said.json, dict)
    assert (said.json["cases"], said.json["empty"]) == (12, 0)
    assert run(capsys, "features", str(cohort.path), "--out", str(tmp_path / "f.txt")).code == 2
    assert run(capsys, "features", str(tmp_path), "--out", str(tmp_path / "g.parquet")).code == 3


@pytest.mark.realdata
def test_events_of_real_patients_become_a_table_with_each_column_once(data: Path, tmp_path: Path) -> None:
    cohort = ingest(data / "tabular" / "mimic_iv_demo", tmp_path / "cohort", key=tmp_path / "key" / "pseudonym.key")
    told = write_features(cohort, tmp_path / "features.parquet")
    table = pd.read_parquet(tmp_path / "features.parquet")
    assert table.columns.is_unique
    assert (len(table), table.shape[1] - 4) == (75, told.features)
