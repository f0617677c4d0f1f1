from datetime import UTC, datetime

import pytest

from clinic_mm.cohort.choose import in_order, why_taken
from clinic_mm.types import Evidence


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
