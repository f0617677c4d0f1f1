"""Priors: dated studies of the same kind from before, never a series of the same study, never from after."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from runpy import run_path
from typing import Any

import pytest

from clinic_mm.bundle import folder
from clinic_mm.types import CaseRecord, Evidence

NOW = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


@pytest.fixture
def beside(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.syspath_prepend(str(folder("dashboards")))
    return run_path(str(Path(folder("dashboards")) / "components" / "beside.py"))


def ct(hours_before: float | None, study: str = "", name: str = "x") -> Evidence:
    at = None if hours_before is None else NOW - timedelta(hours=hours_before)
    return Evidence(
        modality="ct", root="r", paths=(f"{name}.dcm",), content_hash=name, acquired_at=at, meta={"study": study}
    )


def test_priors_are_of_other_studies_from_before_the_latest_first(beside: dict[str, Any]) -> None:
    shown = ct(5, "now", "shown")
    sibling, old, older = ct(5.2, "now", "kernel"), ct(30, "old", "old"), ct(900, "older", "older")
    case = CaseRecord(
        case_key="c",
        patient_key="p",
        decision_time=NOW,
        evidence={"ct": (older, sibling, ct(1, "later", "later"), ct(None, "", "undated"), old, shown)},
    )
    assert beside["prior_studies"](case, "ct", shown) == [old, older]
    assert beside["prior_studies"](case, "ct", older) == []
    assert beside["prior_studies"](case, "ct", ct(None)) == []


def test_where_no_study_is_named_what_was_taken_within_an_hour_is_one_examination(beside: dict[str, Any]) -> None:
    shown, lateral, before = ct(5, name="s"), ct(5.5, name="l"), ct(7, name="b")
    case = CaseRecord(case_key="c", patient_key="p", decision_time=NOW, evidence={"ct": (before, lateral, shown)})
    assert beside["prior_studies"](case, "ct", shown) == [before]


def test_hours_are_before_the_decision_and_unknown_where_one_of_the_two_is(beside: dict[str, Any]) -> None:
    assert beside["taken_h"](ct(30), NOW) == 30
    assert beside["taken_h"](ct(None), NOW) is None
    assert beside["taken_h"](ct(30), None) is None
