from clinic_mm.predict.prediction import MissingEvidence
from clinic_mm.report.card import as_text
from tests.report.predictions import flagged, made_up, rejected


def test_the_card_answers_first_and_says_what_it_rests_on_and_what_is_missing() -> None:
    text = as_text(made_up(missing=(rejected(), MissingEvidence(modality="note", status="absent")), flags=(flagged(),)))
    assert text.splitlines()[1].startswith(
        "Probability of positive (disease): 0.66. 90 % prediction set: positive. Approximate, from n = 120"
    )
    order = [text.index(word) for word in ("Probability", "Rests on", "CT", "Missing", "blank", "none given", "thick")]
    assert order == sorted(order)
    assert made_up().model_hash in text
    assert "Not a medical device" in text


def test_an_abstention_prints_no_probability() -> None:
    text = as_text(made_up(abstained="too few training cases had this pattern"))
    assert "No answer for disease: too few training cases had this pattern." in text
    assert "0.66" not in text


def test_words_from_files_cannot_move_the_cursor() -> None:
    assert "\x1b" not in as_text(made_up(missing=(rejected(why="blank\x1b[2J\r"),)))


def test_simulated_is_called_simulated_on_the_first_line() -> None:
    assert as_text(made_up(), simulated=True).startswith("SIMULATED")
