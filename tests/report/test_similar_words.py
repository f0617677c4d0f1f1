"""What is said of similar cases: counts with their base, training named as such, and nothing where none is shown."""

import pytest

from clinic_mm.predict.prediction import Similar
from clinic_mm.report.similar_words import OLDER, error_rows, nearest_rows, similar_lines
from tests.report.predictions import made_up
from tests.report.silent import HIDDEN, REASON
from tests.report.similar_cases import near, with_similar


def test_counts_stand_beside_their_base_and_say_that_they_are_of_training() -> None:
    first, second = similar_lines(with_similar(made_up()))
    assert first.startswith(
        "In training: of the 40 patients most alike in what the experts said, not in how they look, 31"
    )
    assert first.endswith("; of all 212 training cases with at least this evidence, 69 were positive.")
    assert second == "The model, which had not seen them, was wrong in 7 of the 40."


def test_each_case_is_told_with_what_it_had_more_and_whether_the_answer_was_wrong() -> None:
    found = with_similar(made_up())
    assert [row.evidence for row in nearest_rows(found)] == ["the same", "the same and Body sound"]
    assert [row.answered for row in nearest_rows(found)] == ["positive 0.79", "positive 0.43: wrong"]
    assert [*error_rows(found)[0]] == [
        "0.47",
        "negative",
        "positive 0.89: wrong, and its set ruled the truth out",
        "the same",
    ]


def test_strangers_are_not_called_near() -> None:
    found = with_similar(made_up(), nearest=(near(1.31, "positive", 0.79),))
    assert "None of them is near" in similar_lines(found)[-1]


def test_silence_has_its_reason() -> None:
    assert similar_lines(made_up()) == [OLDER]
    said = "No similar cases are told: no modality spoke."
    assert similar_lines(made_up().model_copy(update={"similar": Similar(silent=said)})) == [said]


@pytest.mark.parametrize("why", [REASON, HIDDEN])
def test_where_no_answer_is_shown_nothing_is_said(why: dict[str, str]) -> None:
    found = with_similar(made_up()).model_copy(update=why)
    assert (similar_lines(found), nearest_rows(found), error_rows(found)) == ([], [], [])
