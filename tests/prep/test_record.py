"""A record becomes features learnt from fit rows alone; units never mix; not listed is no, not measured is unknown."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from clinic_mm.prep.base import NothingKnownError, make_prep
from clinic_mm.prep.record import Feature, RecordPrep
from clinic_mm.signals import PatientRecord
from clinic_mm.task import ModalityTask
from tests.made import DECISION, facts

NAN = float("nan")
EARLY, LATE = DECISION - timedelta(hours=30), DECISION - timedelta(hours=6)


def _fitted(*records: PatientRecord, codes: tuple[str, ...] = ()) -> RecordPrep:
    prep = RecordPrep.plan("tiny", ModalityTask(kind="record", codes=codes))
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
    assert prep.shape == (1, 6)
    np.testing.assert_array_equal(prep(new, DECISION).x, prep(facts(_lab(11.0)), DECISION).x)


def test_what_too_few_have_is_no_feature() -> None:
    rare = facts(_lab(12.0), _lab(1.0, code="rare"))
    assert [f.code for f in _fitted(*[LAB] * 20, *[rare] * 4).features] == ["loinc:718-7"]
    assert {f.code for f in _fitted(*[LAB] * 20, *[rare] * 5).features} == {"loinc:718-7", "rare"}


def test_the_task_may_name_the_codes() -> None:
    both = facts(_lab(12.0), _lab(1.0, code="other"))
    assert [f.code for f in _fitted(*[both] * 6, codes=("other",)).features] == ["other"]


def test_numbers_are_summarised_as_known_at_the_decision() -> None:
    cells = _cells(_fitted(*[LAB] * 6), LAB)
    last, mean, low, high, log_count, age_h = cells.values()
    assert (last, mean, low, high) == (9.0, 10.5, 9.0, 12.0)
    assert log_count == pytest.approx(np.log1p(2))
    assert age_h == pytest.approx(6.0)


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


@pytest.mark.parametrize(("born", "age"), [("1956-03-01", 70.0), ("1956-03-01T08:00:00Z", 70.0), ("nonsense", NAN)])
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
    assert len(made.plain) == len(prep.plain_names) == 8
    np.testing.assert_array_equal(made.plain, made.x[np.isfinite(made.x)])


def test_learning_is_the_same_in_any_order_of_patients() -> None:
    records = [facts(_lab(float(k)), ("condition", f"c:{k % 3}", NAN, "", "", LATE)) for k in range(30)]
    assert _fitted(*records).key == _fitted(*records[::-1]).key
    assert make_prep("record", _fitted(*records).recipe).key == _fitted(*records).key
