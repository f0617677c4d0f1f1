"""One patient's rows from memory are the rows that the file has."""

from pathlib import Path

import pandas as pd
import pytest

from clinic_mm.signals import RECORD_COLUMNS, RECORD_NUMBERS
from clinic_mm.sources.record import row_index
from clinic_mm.sources.record.row_index import patient_rows
from clinic_mm.sources.record.rows import typed


def written(path: Path, keys: str, value: float = 1.0) -> Path:
    frame = pd.DataFrame(
        {name: ["x"] * len(keys) for name in RECORD_COLUMNS if name not in {"patient_id", *RECORD_NUMBERS, "time"}}
    )
    frame.insert(0, "patient_key", list(keys))
    frame["value"] = [value + i for i in range(len(keys))]
    frame["time"] = pd.Timestamp("2026-01-01", tz="UTC")
    frame["ref_low"] = frame["ref_high"] = float("nan")
    typed(frame).to_parquet(path)
    return path


@pytest.mark.parametrize(("keys", "most"), [("aabccc", 100), ("acabcc", 100), ("aabccc", 3)])
def test_rows_are_those_of_the_patient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: str, most: int) -> None:
    monkeypatch.setattr(row_index, "ROWS_HELD", most)
    path = written(tmp_path / "record.parquet", keys)
    whole = pd.read_parquet(path)
    for key in "abcz":
        mine = patient_rows(path, key)
        pd.testing.assert_frame_equal(
            mine.reset_index(drop=True), whole[whole["patient_key"] == key].reset_index(drop=True)
        )


def test_a_file_that_changes_is_read_anew(tmp_path: Path) -> None:
    path = written(tmp_path / "record.parquet", "aab")
    assert patient_rows(path, "a")["value"].tolist() == [1.0, 2.0]
    written(path, "aaab", 10.0)
    assert patient_rows(path, "a")["value"].tolist() == [10.0, 11.0, 12.0]
