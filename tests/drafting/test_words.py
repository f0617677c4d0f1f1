"""What may be written, and what a sentence says of findings."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clinic_mm.drafting.findings import Mention, mentions
from clinic_mm.drafting.words import GAP, Lexicon, fit_lexicon, tokens, words

PATIENTS = tuple("abcde")
SHARED = "Seen by Dr. Quillfeather with mild cough. CT shows no effusion. COVID-19 test on day 7. He was in Ystadt."


def _lexicon(k: int = 5, **more: str) -> Lexicon:
    notes = [SHARED + more.get(patient, "") for patient in PATIENTS]
    return fit_lexicon(notes, PATIENTS, k=k)


def test_a_word_is_written_from_the_k_th_patient_on() -> None:
    rare = dict.fromkeys(PATIENTS[:4], " It was zebrafever.")
    assert "zebrafever" not in _lexicon(5, **rare).forms
    assert "zebrafever" in _lexicon(4, **rare).forms


def test_one_patient_who_says_a_word_often_is_one_patient() -> None:
    assert "zebrafever" not in _lexicon(3, a=" It was zebrafever." * 9, b=" No zebrafever.").forms


def test_names_places_and_numbers_are_withheld_however_many_notes_have_them() -> None:
    lexicon = _lexicon()
    assert not {"quillfeather", "ystadt", "7", "dr"} & set(lexicon.forms)
    assert {"covid-19", "ct", "cough"} <= set(lexicon.forms)
    assert lexicon.covered("Seen by Dr. Quillfeather with mild cough.")[-5:] == (GAP, "with", "mild", "cough", ".")


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=60))
def test_nothing_withheld_comes_through(text: str) -> None:
    lexicon = _lexicon()
    written = lexicon.written(lexicon.covered(text))
    assert {word for word in words(written.replace(GAP, " ")) if word} <= set(lexicon.forms)
    assert not any(sign.isdigit() for sign in written.replace("COVID-19", ""))


@pytest.mark.parametrize("number", ["38.5", "#4711", "2020-01-02", "12/3", "O'2", "1.5mg", "٣٤"])
def test_a_number_is_one_token_and_never_written(number: str) -> None:
    assert number in tokens(f"Value {number} today")
    assert _lexicon().covered(f"Mild cough {number} test.") == ("mild", "cough", GAP, "test", ".")


def test_a_sentence_has_one_stop_and_is_written_as_people_write() -> None:
    lexicon = _lexicon()
    assert lexicon.written(lexicon.covered("ct shows no effusion..")) == "CT shows no effusion."


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Patient denies fever, cough or chest pain.", {("fever", True), ("cough", True), ("chest_pain", True)}),
        ("No fever but cough.", {("fever", True), ("cough", False)}),
        ("No fever. Cough.", {("fever", True), ("cough", False)}),
        ("Effusion was not seen.", {("effusion", True)}),
        ("Cardiomegaly, no effusion.", {("cardiomegaly", False), ("effusion", True)}),
        ("Septic shock.", {("shock", False)}),
        ("He is well.", set()),
    ],
)
def test_denials_reach_to_the_end_of_their_sentence_or_to_a_turn(text: str, said: set[tuple[str, bool]]) -> None:
    assert {(one.finding, one.denied) for one in mentions(text)} == said


def test_a_grade_stands_near_before_its_finding() -> None:
    assert mentions("There is marked breathlessness and slight bilateral oedema.") == {
        Mention("breathlessness", denied=False, grade="severe"),
        Mention("oedema", denied=False, grade="mild"),
    }
