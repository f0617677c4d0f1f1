"""Tables count cases and patients per pattern, pair what they compare, and refuse frames that would mislead."""

import numpy as np
import pandas as pd
import pytest

from clinic_mm.errors import InputError
from clinic_mm.evaluate.metrics import auroc, nll
from clinic_mm.evaluate.table import by_pattern, fusion_gain
from tests.evaluate.frames import answers


def _row(table: pd.DataFrame, **where: str) -> pd.Series:
    (found,) = [row for _, row in table.iterrows() if all(row[k] == v for k, v in where.items())]
    return found


def test_each_pattern_and_method_has_its_figures_beside_the_limit() -> None:
    frame = answers()
    table = by_pattern(frame, n=100, limits={"ct": 0.76, "all": 0.8})
    assert list(dict.fromkeys(table["pattern"])) == ["ct", "ct+eeg", "eeg+note", "ct+eeg+note", "all"]
    row = _row(table, pattern="ct+eeg", method="fusion")
    part = frame[(frame["pattern"] == "ct+eeg") & (frame["method"] == "fusion")]
    assert row["n_cases"] == len(part)
    assert row["n_patients"] == part["patient_key"].nunique()
    assert row["n_rarest"] == part["label"].sum()
    assert row["auroc"] == pytest.approx(auroc(part[["p_0", "p_1"]].to_numpy(), part["label"].to_numpy()))
    assert row["auroc_low"] < row["auroc"] < row["auroc_high"]
    assert row["coverage_low"] <= row["coverage"] <= row["coverage_high"]
    assert np.isnan(row["limit"])
    assert _row(table, pattern="ct", method="fusion")["limit"] == 0.76
    assert (
        _row(table, pattern="all", method="single:eeg")["n_cases"]
        < _row(table, pattern="all", method="fusion")["n_cases"]
    )


def test_the_order_of_rows_does_not_matter_and_repeats_add_no_patients() -> None:
    frame = answers(repeats=3)
    table = by_pattern(frame, n=50)
    ordered = frame.sort_values(["method", "case_key"])
    keys = ["pattern", "method"]
    pd.testing.assert_frame_equal(*(by_pattern(f, n=50).set_index(keys).sort_index() for f in (frame, ordered)))
    once = by_pattern(frame[frame["repeat"] == 0].drop(columns="repeat"), n=50)
    a, b = (_row(t, pattern="all", method="fusion") for t in (table, once))
    assert a["n_patients"] == b["n_patients"]
    assert a["auroc"] == pytest.approx(b["auroc"], abs=0.02)


def test_gain_is_against_the_best_modality_that_each_case_has() -> None:
    frame = answers(2000)
    gains = fusion_gain(frame, n=100)
    alone = _row(gains, pattern="ct", against="best single")
    assert (alone["chosen"], alone["gain"], alone["low"], alone["high"]) == ("ct", 0, 0, 0)
    whole = _row(gains, pattern="all", against="best single")
    assert whole["chosen"] == "ct > note > eeg"
    assert whole["n_cases"] == 2000
    assert whole["gain"] == pytest.approx(whole["ours"] - whole["theirs"])
    assert whole["low"] > 0
    assert _row(gains, pattern="ct+eeg+note", against="late_average")["gain"] > 0


def test_a_gain_is_positive_where_ours_is_better_whatever_the_metric() -> None:
    gains = fusion_gain(answers(2000), metric=nll, n=50)
    row = _row(gains, pattern="all", against="late_average")
    assert row["ours"] < row["theirs"]
    assert row["low"] < row["gain"] < row["high"]
    assert row["gain"] == pytest.approx(row["theirs"] - row["ours"])


def test_a_modality_that_answers_with_the_prior_is_not_taken_for_one_that_was_there() -> None:
    frame = answers()
    extra = frame[(frame["method"] == "fusion") & (frame["pattern"] == "ct")].assign(method="single:note")
    pd.testing.assert_frame_equal(fusion_gain(pd.concat([frame, extra]), n=20), fusion_gain(frame, n=20))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda f: f.drop(columns="label"), "lack columns: label"),
        (lambda f: f.assign(p_1=np.nan), "not finite"),
        (lambda f: pd.concat([f, f.iloc[:1]]), "once in each repeat"),
        (lambda f: f.assign(label=np.arange(len(f)) % 2), "two labels"),
    ],
)
def test_a_frame_that_would_mislead_is_refused(spoil: object, says: str) -> None:
    with pytest.raises(InputError, match=says):
        by_pattern(spoil(answers()), n=10)  # type: ignore[operator]


def test_an_unknown_method_is_answered_with_those_there_are() -> None:
    with pytest.raises(InputError, match="late_average"):
        fusion_gain(answers(), ours="ours")
