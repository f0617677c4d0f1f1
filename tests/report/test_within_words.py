"""Words for pairs and for what an expert rests on: said where they matter, silent where no answer is shown."""

from datetime import timedelta

import pytest

from clinic_mm.predict.prediction import Prediction
from clinic_mm.predict.within.told import FeatureShare, Within, WordShare
from clinic_mm.report.card import as_text
from clinic_mm.report.within_words import pair_lines
from tests.report.predictions import made_up


def told(interactions: dict[str, float]) -> Prediction:
    base = made_up()
    assert base.decision_time is not None
    lab = FeatureShare(
        code="loinc:718-7", value=9.1, unit="g/dL", time=base.decision_time - timedelta(hours=5), share=0.7
    )
    gone = FeatureShare(code="loinc:1988-5", text="not measured", share=-0.2)
    record = Within(modality="record", way="linear", opinion=0.1, baseline=-0.5, features=(lab, gone), rest=0.1)
    words = (WordShare(start=3, end=9, share=0.5), WordShare(start=12, end=20, share=-0.25))
    note = Within(modality="note", way="linear", opinion=0.0, baseline=-0.5, words=words, rest=0.25, text_hash="a" * 64)
    return base.model_copy(update={"interactions": interactions, "within": (record, note)})


@pytest.mark.parametrize(
    ("pair", "value", "said"),
    [
        ("ct+record", -0.5, "CT and Patient record tell partly the same: together 0.50 log-odds less than one by one"),
        ("ct+record", 0.5, "CT and Patient record strengthen each other: together 0.50 log-odds more than one by one"),
        ("ct+eeg", 0.4, "CT and EEG together: 0.40 log-odds further towards positive than one by one"),
    ],
)
def test_a_pair_is_told_in_plain_words(pair: str, value: float, said: str) -> None:
    assert pair_lines(told({pair: value})) == [said]


def test_pairs_that_hardly_matter_are_not_spoken_of() -> None:
    assert pair_lines(told({"ct+record": -0.2, "ct+eeg": 0.1})) == []
    assert pair_lines(made_up()) == []


def test_the_card_tells_features_with_the_patients_own_values_and_no_word_of_the_note() -> None:
    card = as_text(told({}))
    assert "Inside Patient record, by its expert alone (linear SHAP, exact; log-odds, +0.60 in all)" in card
    assert "+0.70  haemoglobin (loinc:718-7) 9.1 g/dL, 5 h before" in card
    assert "−0.20  loinc:1988-5 not measured" in card
    assert "+0.50  words towards positive" in card


@pytest.mark.parametrize("hidden", [{"abstained": "Too little evidence."}, {"withheld": "Monitoring hides it."}])
def test_where_no_answer_is_shown_no_reason_for_it_is(hidden: dict[str, str]) -> None:
    prediction = told({"ct+record": -0.5}).model_copy(update=hidden)
    assert pair_lines(prediction) == []
    assert "Inside" not in as_text(prediction)
