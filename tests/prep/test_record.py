"""A record becomes features learnt from fit rows alone; units never mix; not listed is no, not measured is unknown."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from clinic_mm.prep.base import NothingKnownError, make_prep
from clinic_mm.prep.feature_table import Feature
from clinic_mm.prep.record import RecordPrep
from clinic_mm.signals import PatientRecord
from clinic_mm.task import ModalityTask
from tests.made import DECISION, facts

NAN = float("nan")
EARLY, LATE = DECISION - timedelta(hours=30), DECISION - timedelta(hours=6)


def _fitted(*records: PatientRecord, codes: tuple[str, ...] = ()) -> RecordPrep:
    prep = RecordPrep.plan("tiny", ModalityTask(kind="record", codes=codes, summaries=("trend", "range")))
    return prep.fit((record, DECISION) for record in records)


def _cells(prep: RecordPrep, record: PatientRecord, until: datetime | None = DECISION) -> dict[str, float]:
    return dict(zip(prep.plain_names, prep(record, until).plain.tolist(), strict=True))


def _lab(value: float, unit: str = "g/dL", code: str = "loinc:718-7", when: datetime = LATE) -> tuple:
    return ("observation", code, value, "", unit, when)


LAB = facts(_lab(12.0, when=EARLY), _lab(9.0))


def test_features_come_from_fit_rows_alone() -> None:
    prep = _fitted(*[LAB] * 6)
    new = facts(_lab(11.0), _lab(3.3, code="loinc:new"), ("condition", "snomed:1", NAN, "", "", LATE))
    assert {f.code for f in prep.features} == {"loinc:718-7"}
    assert prep.shape == (1, 7)
    np.testing.assert_array_equal(prep(new, DECISION).x, prep(facts(_lab(11.0)), DECISION).x)


def test_what_too_few_have_is_no_feature() -> None:
    rare = facts(_lab(12.0), _lab(1.0, code="rare"))
    assert [f.code for f in _fitted(*[LAB] * 20, *[rare] * 4).features] == ["loinc:718-7"]
    assert {f.code for f in _fitted(*[LAB] * 20, *[rare] * 5).features} == {"loinc:718-7", "rare"}


def test_the_task_may_name_the_codes() -> None:
    both = facts(_lab(12.0), _lab(1.0, code="other"))
    assert [f.code for f in _fitted(*[both] * 6, codes=("other",)).features] == ["other"]


def test_the_language_is_learnt_from_only_where_the_task_names_it() -> None:
    told = facts(_lab(12.0), ("demographic", "language", NAN, "es", "", None))
    assert [f.code for f in _fitted(*[told] * 6).features] == ["loinc:718-7"]
    assert [f.name for f in _fitted(*[told] * 6, codes=("language",)).features] == ["language es"]


def test_numbers_are_summarised_as_known_at_the_decision() -> None:
    cells = _cells(_fitted(*[LAB] * 6), LAB)
    last, mean, low, high, log_count, age_h, trend_per_day = cells.values()
    assert (last, mean, low, high) == (9.0, 10.5, 9.0, 12.0)
    assert log_count == pytest.approx(np.log1p(2))
    assert age_h == pytest.approx(6.0)
    assert trend_per_day == pytest.approx(-3.0)  # g/dL lost in 24 hours


def test_a_trend_is_the_slope_of_the_line_through_all_values() -> None:
    """Against numpy's own fit, at times as far from 1970 as they are."""
    rng = np.random.default_rng(1)
    hours, values = np.sort(rng.uniform(1, 200, 30))[::-1], rng.normal(10, 3, 30)
    labs = [_lab(v, when=DECISION - timedelta(hours=h)) for h, v in zip(hours, values, strict=True)]
    cells = _cells(_fitted(*[facts(*labs)] * 6), facts(*labs, _lab(99.0, when=None)))
    assert cells["loinc:718-7 g/dL trend /d"] == pytest.approx(np.polyfit(-hours / 24, values, 1)[0], rel=1e-5)


@pytest.mark.parametrize("minutes", [0, 59])
def test_values_of_one_moment_have_no_trend(minutes: int) -> None:
    both = facts(_lab(12.0, when=LATE), _lab(9.0, when=LATE + timedelta(minutes=minutes)))
    assert np.isnan(_cells(_fitted(*[both] * 6), both)["loinc:718-7 g/dL trend /d"])


@pytest.mark.parametrize(
    ("value", "low", "high", "told"),
    [
        (15.0, 13.0, 17.0, 0.0),
        (17.0, 13.0, 17.0, 0.0),
        (9.0, 13.0, 17.0, -1.0),
        (19.0, 13.0, 17.0, 0.5),
        (10.0, NAN, 5.0, 1.0),
        (4.0, NAN, 5.0, 0.0),
        (30.0, 60.0, NAN, -0.5),
        (9.0, NAN, NAN, NAN),
        (9.0, 5.0, 5.0, NAN),
        (9.0, NAN, 0.0, NAN),
    ],
)
def test_a_value_is_measured_against_its_own_range(value: float, low: float, high: float, told: float) -> None:
    normal = _ranged(facts(_lab(14.0)), 13.0, 17.0)
    cells = _cells(_fitted(*[normal] * 6), _ranged(facts(_lab(1.0, when=EARLY), _lab(value)), low, high))
    np.testing.assert_allclose(cells["loinc:718-7 g/dL to range"], told)


def _ranged(record: PatientRecord, low: float, high: float) -> PatientRecord:
    """The same record, its last fact with a reference range."""
    rows = record.rows.copy()
    rows.loc[rows.index[-1], ["ref_low", "ref_high"]] = low, high
    return PatientRecord(rows)


def test_ranges_that_hardly_any_training_case_has_are_no_summary() -> None:
    ranged = _ranged(facts(_lab(14.0)), 13.0, 17.0)
    assert "to range" not in _fitted(*[LAB] * 96, *[ranged] * 4).summaries
    assert "to range" in _fitted(*[LAB] * 95, *[ranged] * 5).summaries


def test_trend_and_range_are_there_where_the_task_asks_for_them() -> None:
    """They did not make answers better on the real records they were tried on, so they are no default."""
    plain = RecordPrep.plan("tiny", ModalityTask(kind="record")).fit([(LAB, DECISION)] * 6)
    assert plain.summaries == _fitted(*[LAB] * 6).summaries[:6]


def test_a_recipe_without_summaries_is_of_the_time_when_there_were_six() -> None:
    """An artifact trained before trend and range goes on as it was."""
    recipe = {name: value for name, value in _fitted(*[LAB] * 6).recipe.items() if name != "summaries"}
    old = make_prep("record", recipe)
    assert (old.shape, old.plain_names[-1]) == ((1, 6), "loinc:718-7 g/dL age h")
    np.testing.assert_array_equal(old(LAB, DECISION).x, _fitted(*[LAB] * 6)(LAB, DECISION).x[:, :6])


def test_many_cases_at_once_are_as_each_alone() -> None:
    rng = np.random.default_rng(3)
    records = [
        facts(
            ("demographic", "birth_date", NAN, f"{1940 + k}-05-01", "", None),
            ("demographic", "sex", NAN, ["female", "male"][k % 2], "", None),
            *(_lab(float(rng.normal()), when=DECISION - timedelta(hours=int(h))) for h in rng.integers(1, 90, k)),
            *([("condition", "snomed:1", NAN, "", "", LATE)] if k % 3 else []),
        )
        for k in range(12)
    ]
    prep = _fitted(*records)
    rows = pd.concat([record.rows for record in records], ignore_index=True)
    case = np.repeat(np.arange(12), [len(record.rows) for record in records])
    many = prep.table(rows, case, np.full(12, DECISION.timestamp()))
    for one, record in zip(many, records, strict=True):
        np.testing.assert_array_equal(one, prep(record, DECISION).x)


def test_without_a_decision_time_ages_count_from_the_newest_fact() -> None:
    assert _cells(_fitted(*[LAB] * 6), LAB, None)["loinc:718-7 g/dL age h"] == 0.0
    undated = facts(("observation", "loinc:718-7", 5.0, "", "g/dL", None))
    cells = _cells(_fitted(*[LAB] * 6), undated, None)
    assert cells["loinc:718-7 g/dL last"] == 5.0
    assert np.isnan(cells["loinc:718-7 g/dL age h"])


def test_two_units_are_two_features_and_are_never_mixed() -> None:
    both = facts(_lab(12.0, "g/dL", when=EARLY), _lab(120.0, "g/L"))
    prep = _fitted(*[both] * 6)
    assert [f.detail for f in prep.features] == ["g/L", "g/dL"]
    cells = _cells(prep, both)
    assert (cells["loinc:718-7 g/dL mean"], cells["loinc:718-7 g/L mean"]) == (12.0, 120.0)
    other = _cells(prep, facts(_lab(7.0, "mmol/L"), _lab(120.0, "g/L")))
    assert np.isnan(other["loinc:718-7 g/dL last"])


def test_not_listed_is_no_and_not_measured_is_unknown() -> None:
    ill = facts(
        _lab(12.0), ("condition", "snomed:1", NAN, "", "", EARLY), ("demographic", "sex", NAN, "male", "", None)
    )
    prep = _fitted(*[ill] * 6)
    known = _cells(prep, ill)
    assert (known["snomed:1"], known["sex male"]) == (1.0, 1.0)
    other = _cells(prep, LAB)
    assert other["snomed:1"] == 0.0
    assert np.isnan(other["sex male"])


def test_a_level_is_the_last_one_known() -> None:
    moved = facts(("observation", "ward", NAN, "icu", "", EARLY), ("observation", "ward", NAN, "home", "", LATE))
    assert _cells(_fitted(*[moved] * 6), moved) == {"ward home": 1.0, "ward icu": 0.0}


def test_words_beside_a_number_do_not_cost_the_number() -> None:
    """Results beyond a detection limit are texts (`<0.01`), of many kinds; the laboratory value stays a feature."""
    said = [facts(_lab(1.0), ("observation", "loinc:718-7", NAN, f"<0.{k:02d}", "", EARLY)) for k in range(1, 31)]
    assert Feature("number", "loinc:718-7", "g/dL") in _fitted(*said).features


@pytest.mark.parametrize(
    ("born", "age"),
    [("1956-03-01", 70.0), ("1956-03-01T08:00:00Z", 70.0), ("1956", 69.66), ("1956-03", 69.96), ("nonsense", NAN)],
)
def test_age_is_in_years_at_the_decision(born: str, age: float) -> None:
    record = facts(("demographic", "birth_date", NAN, born, "", None), _lab(1.0))
    cells = _cells(_fitted(*[record] * 6), record)
    np.testing.assert_allclose(cells["birth_date"], age, atol=0.01)
    if np.isfinite(age):
        decade = _cells(_fitted(*[record] * 6), record, DECISION.replace(year=2036, tzinfo=UTC))
        assert decade["birth_date"] - cells["birth_date"] == pytest.approx(10.0, abs=0.01)


def test_a_record_that_holds_nothing_the_model_knows_is_absent_not_rejected() -> None:
    ill = facts(_lab(12.0), ("condition", "snomed:1", NAN, "", "", EARLY))
    prep = _fitted(*[ill] * 6)
    with pytest.raises(NothingKnownError):
        prep(facts(_lab(1.0, code="loinc:unheard")), DECISION)
    with pytest.raises(NothingKnownError):
        _fitted()(LAB, DECISION)  # nothing was learnt


def test_plain_numbers_are_the_cells_that_can_be_filled_and_nothing_else() -> None:
    record = facts(
        _lab(12.0), ("condition", "snomed:1", NAN, "", "", EARLY), ("demographic", "sex", NAN, "male", "", None)
    )
    prep = _fitted(*[record] * 6)
    made = prep(record, DECISION)
    assert len(made.plain) == len(prep.plain_names) == 9
    np.testing.assert_array_equal(made.plain[np.isfinite(made.plain)], made.x[np.isfinite(made.x)])
    assert [name for name, cell in zip(prep.plain_names, made.plain, strict=True) if np.isnan(cell)] == [
        "loinc:718-7 g/dL trend /d"  # one value is no line
    ]


def test_learning_is_the_same_in_any_order_of_patients() -> None:
    records = [facts(_lab(float(k)), ("condition", f"c:{k % 3}", NAN, "", "", LATE)) for k in range(30)]
    assert _fitted(*records).key == _fitted(*records[::-1]).key
    assert make_prep("record", _fitted(*records).recipe).key == _fitted(*records).key
