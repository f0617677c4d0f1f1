"""What further tests could change is said in one way, and not at all where the AI is hidden."""

from clinic_mm.predict.prediction import Advice, Prediction
from clinic_mm.report.advice_words import advice_in_words, advice_lines
from clinic_mm.report.card import as_text
from tests.report.predictions import made_up

EEG = Advice(
    modality="eeg",
    flips=0.12,
    shrink=0.4,
    gain=0.2,
    cost=5.0,
    usual_flips=0.09,
    usual_gain=0.1,
    neighbours=30,
    had=410,
    distance=0.2,
)


def _advised(**more: object) -> Prediction:
    return made_up(shares={"ct": 1.0}).model_copy(update={"advice": (EEG,), **more})


def test_a_test_is_told_in_patients_of_a_hundred_beside_its_base_rate() -> None:
    words = "would change the decision in 12 of 100 patients like this one (base rate 9 of 100)"
    assert advice_in_words(EEG).startswith(words)
    assert "narrow the prediction set by 0.4 classes" in advice_in_words(EEG)
    assert "30 nearest of 410" in as_text(_advised())
    assert "most probable class" in advice_lines(_advised(abstained="Too little evidence."))[0]


def test_why_nothing_is_said_is_said() -> None:
    assert advice_lines(_advised(advice=(), advice_silent="Nothing is said.")) == ["Nothing is said."]
    silent = EEG.model_copy(update={"silent": "Only 4 training cases had it: too few to say what it could change"})
    assert "only 4 training cases had it" in advice_lines(_advised(advice=(silent,)))[0]
    assert advice_lines(_advised(withheld="Coverage fell.")) == []
    complete = made_up(missing=()).model_copy(update={"advice_silent": "Nothing is said."})
    assert advice_lines(complete) == []
