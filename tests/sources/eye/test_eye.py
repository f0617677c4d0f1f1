"""Gaze is read as its columns say, and what is wrong with samples or units is said by its code."""

from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from clinic_mm.cohort.gather import gather
from clinic_mm.cohort.spec import SourceSpec
from clinic_mm.errors import EvidenceError, TaskError
from clinic_mm.sources.eye.recording import find_gaze, load
from clinic_mm.types import Evidence

ZONE = ZoneInfo("UTC")


def frame(seconds: float = 20.0, rate: float = 60.0) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    n = round(seconds * rate)
    x, y = rng.uniform(-8, 8, (2, n // 18 + 1)).repeat(18, axis=1)[:, :n]
    pupil = 4 + 0.05 * rng.standard_normal(n)
    return pd.DataFrame({"time_ms": np.arange(n) * 1000 / rate, "x_deg": x, "y_deg": y, "pupil_mm": pupil, "valid": 1})


def written(table: pd.DataFrame, path: Path) -> Path:
    table.to_parquet(path) if path.suffix == ".parquet" else table.to_csv(path, index=False)
    return path


def refused(table: pd.DataFrame, tmp_path: Path, locator: str = "") -> str:
    with pytest.raises(EvidenceError) as error:
        load([written(table, tmp_path / "a.csv")], locator=locator)
    assert error.value.mend
    return error.value.code


def codes(table: pd.DataFrame, tmp_path: Path) -> list[str]:
    return [flag.code for flag in load([written(table, tmp_path / "a.csv")]).flags]


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_a_table_says_by_its_columns_what_it_is(name: str, tmp_path: Path) -> None:
    table = frame()
    table.loc[100:110, "valid"] = 0
    gaze = load([written(table, tmp_path / name)])
    assert gaze.sfreq_hz == pytest.approx(60)
    assert (gaze.unit, gaze.pupil_unit, gaze.deg_per_unit, gaze.flags) == ("deg", "mm", (1.0, 1.0), ())
    lost = np.isnan(gaze.x)
    assert np.flatnonzero(lost).tolist() == list(range(100, 111))
    assert np.isnan(gaze.pupil[lost]).all()
    np.testing.assert_allclose(gaze.x[~lost], table["x_deg"][~lost], atol=1e-5)


def test_pixels_become_degrees_by_the_declared_screen(tmp_path: Path) -> None:
    table = frame()
    table["gx"], table["gy"] = 960 + 40 * table["x_deg"], 540 + 40 * table["y_deg"]
    table = table.rename(columns={"time_ms": "T", "valid": "ok"})[["T", "gx", "gy", "ok"]]
    table["ok"] = np.where(table["ok"] == 1, "Seen", "lost")
    path = written(table, tmp_path / "a.csv")
    said: dict[str, Any] = {"time": "T", "time_unit": "ms", "x": "gx", "y": "gy", "unit": "px", "valid": "ok"}
    said |= {"valid_is": ["seen"], "screen": [1920, 1080], "screen_mm": [531, 299], "distance_mm": 650}
    (found,) = find_gaze(tmp_path, "r", [path], ZONE, **said)
    assert isinstance(found.finding, Evidence), found.finding
    gaze = load([path], locator=found.finding.locator)
    assert gaze.screen == (1920, 1080)
    assert gaze.deg_per_unit is not None
    assert gaze.deg_per_unit[0] == pytest.approx(np.degrees(np.arctan(531 / 1920 / 650)), rel=1e-4)
    for wrong in ({"unit": "inch"}, {"screen": [0, 5]}, {"distance_mm": None}, {"pupl": "p"}):
        with pytest.raises(TaskError):
            list(find_gaze(tmp_path, "r", [path], ZONE, **(said | wrong)))


def test_without_a_screen_pixels_stay_pixels_and_that_is_said(tmp_path: Path) -> None:
    table = frame().rename(columns={"x_deg": "x_px", "y_deg": "y_px"})
    gaze = load([written(table, tmp_path / "a.csv")])
    assert gaze.deg_per_unit is None
    assert [flag.code for flag in gaze.flags] == ["eye.no_degrees"]


def test_times_are_checked(tmp_path: Path) -> None:
    good = frame()
    back = good.copy()
    back.loc[300:, "time_ms"] -= 500
    assert refused(back, tmp_path) == "eye.times"
    assert refused(good.assign(time_ms=good["time_ms"] // 100 * 100), tmp_path) == "eye.duplicate_times"
    assert refused(good.assign(time_ms=good["time_ms"] / 1000), tmp_path) == "eye.rate"
    assert refused(good.assign(time_ms=good["time_ms"].where(good.index != 7)), tmp_path) == "eye.times"
    assert refused(good.head(120), tmp_path) == "eye.too_short"
    assert refused(good.drop(index=range(200, 1100)), tmp_path) == "eye.gaps"
    twice = pd.concat([good.head(500), good.iloc[499:500], good.tail(700)])
    assert codes(twice, tmp_path) == ["eye.duplicate_times"]
    assert codes(good.drop(index=range(200, 260)), tmp_path) == ["eye.gaps"]
    assert codes(good.assign(time_ms=good["time_ms"].round()), tmp_path) == []
    skipping = good.drop(index=range(0, 1200, 3))
    assert codes(skipping, tmp_path) == ["eye.uneven"]


def test_losses_and_units_are_checked(tmp_path: Path) -> None:
    good = frame()
    assert codes(good.assign(valid=(good.index % 3 > 0).astype(int)), tmp_path) == ["eye.not_seen"]
    assert refused(good.assign(valid=0), tmp_path) == "eye.not_seen"
    assert refused(good.assign(x_deg=good["x_deg"] * 100), tmp_path) == "eye.unit"
    assert refused(good.rename(columns={"x_deg": "x_norm", "y_deg": "y_norm"}), tmp_path) == "eye.unit"
    norm = good.assign(x_norm=good["x_deg"] / 10, y_norm=0.5).drop(columns=["x_deg", "y_deg"])
    assert codes(norm, tmp_path) == ["eye.off_screen", "eye.no_degrees"]
    gaze = load([written(good.assign(pupil_mm=good["pupil_mm"] * 1000), tmp_path / "a.csv")])
    assert [flag.code for flag in gaze.flags] == ["eye.pupil_unit"]
    assert np.isnan(gaze.pupil).all()
    assert codes(good.assign(pupil_mm=np.nan), tmp_path) == ["eye.no_pupil"]
    assert refused(good.assign(x_deg=good["x_deg"].astype(str) + "°"), tmp_path) == "table.not_numbers"
    assert refused(good.drop(columns="y_deg"), tmp_path) == "eye.columns"
    assert refused(good.assign(x_px=1, y_px=1), tmp_path) == "eye.columns"


def test_a_list_beside_the_tables_says_whose_they_are(tmp_path: Path) -> None:
    written(frame(), tmp_path / "a.csv")
    written(frame().drop(columns="x_deg"), tmp_path / "b.csv")
    (tmp_path / "list.csv").write_text("file,who,at\na.csv,P1,2024-01-02T03:04:05Z\nb.csv,P2,2024-01-02T03:04:05Z\n")
    mapping: dict[str, object] = {
        "layout": "files",
        "patient": "who",
        "path": "{file}",
        "modality": "eye",
        "time": "at",
    }
    source = SourceSpec(path=str(tmp_path), kind="eye", patient="table", mapping=mapping)
    _, gathered = gather(source, tmp_path, ZONE, frozenset())
    said = {o.patient_id: o.finding for o in gathered.found}
    assert isinstance(said["P1"], Evidence)
    assert said["P1"].acquired_at is not None
    assert getattr(said["P2"], "code", "") == "eye.columns"


def test_a_gaze_table_in_a_source_of_any_kind_still_needs_a_declaration(tmp_path: Path) -> None:
    written(frame(), tmp_path / "a.csv")
    _, gathered = gather(SourceSpec(path=str(tmp_path)), tmp_path, ZONE, frozenset())
    assert [getattr(o.finding, "code", "") for o in gathered.found] == ["table.no_mapping"]
