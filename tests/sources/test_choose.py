from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from clinic_mm.cohort.one_case import case_from_paths
from clinic_mm.prep.base import plan_prep
from clinic_mm.prep.batch import Recipe, prepare_case
from clinic_mm.sources.choose import in_order, why_taken
from clinic_mm.sources.ct.volume import load
from clinic_mm.task import ModalityTask
from clinic_mm.types import Evidence
from tests.sources.made import body, write_series


def ct(name: str, day: int, study: str = "", points: float | None = None) -> Evidence:
    meta = {} if points is None else {"study": study, "points": points, "points_why": ["+3 a slice every 1 mm"]}
    return Evidence(modality="ct", root="r", paths=(name,), acquired_at=datetime(2024, 1, day, tzinfo=UTC), meta=meta)


def names(usable: list[Evidence], select: str) -> str:
    return "".join(one.paths[0] for one in in_order(usable, select))


def test_without_points_time_alone_decides() -> None:
    usable = [ct("a", 1), ct("b", 2), ct("c", 3)]
    assert names(usable, "latest") == "cba"
    assert names(usable, "first") == "abc"


@pytest.mark.parametrize(("select", "expected"), [("latest", "dcba"), ("first", "badc")])
def test_the_task_chooses_the_study_and_points_the_series(select: str, expected: str) -> None:
    usable = [ct("a", 1, "s", 3), ct("b", 1, "s", 8), ct("c", 5, "t", 1), ct("d", 6, "t", 4)]
    assert names(usable, select) == expected


def test_equal_points_go_by_time() -> None:
    usable = [ct("a", 1, "s", 3), ct("b", 2, "s", 3)]
    assert names(usable, "latest") == "ba"
    assert names(usable, "first") == "ab"


def test_series_of_no_known_study_do_not_compete() -> None:
    usable = [ct("a", 1, "", 9), ct("b", 2, "", 1)]
    assert names(usable, "latest") == "ba"
    assert why_taken(usable[1], usable) == ()


def test_a_choice_is_told_with_its_reasons() -> None:
    usable = [ct("a", 1, "s", 8), ct("b", 2, "s", 3), ct("c", 3, "t", 9)]
    (flag,) = why_taken(usable[0], usable)
    assert flag.code == "ct.one_of_series"
    assert "One of 2 series" in flag.why
    assert "8 points (+3 a slice every 1 mm); others had 3" in flag.why
    assert why_taken(usable[2], usable) == ()


def test_the_thin_original_series_of_a_folder_is_prepared_and_the_reason_goes_with_it(tmp_path: Path) -> None:
    thin = {
        "ImagePositionPatient": lambda k: [-10.0, -20.0, 1.5 * k],
        "SliceThickness": 1.5,
        "SeriesInstanceUID": "1.1",
    }
    write_series(tmp_path / "thin", body(12), **thin)
    later = {"SeriesInstanceUID": "1.2", "AcquisitionDate": "20240102", "AcquisitionTime": "235900"}
    write_series(tmp_path / "thick", body(6), **later)
    case, roots = case_from_paths({"ct": [tmp_path]}, zone=ZoneInfo("UTC"))
    assert [one.paths[0].split("/")[0] for one in case.usable("ct")] == ["thin", "thick"]  # thick is the latest
    prep = plan_prep("ct", "tiny", ModalityTask(kind="ct"))
    outcome = prepare_case(case, roots=roots, recipe=Recipe({"ct": prep}))["ct"]
    assert outcome.prepared is not None
    np.testing.assert_array_equal(outcome.prepared.x, prep(load(sorted((tmp_path / "thin").iterdir()))).x)
    (why,) = (flag.why for flag in outcome.flags if flag.code == "ct.one_of_series")
    assert "One of 2 series" in why
    assert "+3 a slice every 1.5 mm" in why
