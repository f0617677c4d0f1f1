"""Copied notes and records are told from templates and chance, by how unlikely what they share is."""

import numpy as np
import pandas as pd
import pytest

from clinic_mm.evaluate.leaks.notes import Surprise, copied_notes, words_of
from clinic_mm.evaluate.leaks.records import copied_records

WORDS = [f"w{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(400)]


def prose(rng: np.random.Generator, n: int = 60) -> str:
    """Words that nobody else puts in this order."""
    return " ".join(rng.choice(WORDS, n))


def notes(texts: list[str], patients: list[str] | None = None) -> pd.DataFrame:
    who = patients or [f"p{i}" for i in range(len(texts))]
    return pd.DataFrame({"patient_key": who, "text": texts})


def test_a_copy_with_another_date_and_a_few_other_words_is_an_error() -> None:
    rng = np.random.default_rng(0)
    texts = [prose(rng) for _ in range(200)]
    words = texts[0].split()
    words[7], words[30] = "other", "again"
    found = copied_notes(notes([*texts, " ".join(words) + " on 2020-03-04"]))
    assert [(leak.code, leak.severity, leak.n) for leak in found.leaks] == [("duplicate.same_note", "error", 1)]
    assert found.pairs["note"] == {("p0", "p200")}


def test_a_copy_of_the_same_patient_is_none() -> None:
    rng = np.random.default_rng(0)
    texts = [prose(rng) for _ in range(50)]
    assert not copied_notes(notes([*texts, texts[0]], [*(f"p{i}" for i in range(50)), "p0"])).leaks


def test_a_template_is_no_copy_however_long() -> None:
    """Two choices in a hundred words: the same text twice by chance proves nothing."""
    rng = np.random.default_rng(1)
    frame = [prose(rng, 30) for _ in range(3)]
    texts = [
        f"{frame[0]} {rng.choice(['left', 'right'])} {frame[1]} {rng.choice(WORDS[:8])} {frame[2]}" for _ in range(300)
    ]
    leaks = copied_notes(notes(texts)).leaks
    assert {leak.severity for leak in leaks} == {"finding"}


def test_short_notes_are_never_errors() -> None:
    assert not copied_notes(notes(["Normal chest."] * 40)).leaks


def test_surprise_is_of_what_others_wrote() -> None:
    texts = [words_of(t) for t in ("the lungs are clear and the heart is normal", "xylophone quartz of vivid jade")]
    assert Surprise(texts).bits(1, 1) > 15
    varied = [words_of(f"the lungs are clear and the heart is {word}") for word in WORDS[:50]]
    assert Surprise(varied).bits(0, 1) < 5


def records(n: int = 80, codes: int = 6) -> pd.DataFrame:
    rng = np.random.default_rng(2)
    rows = [
        (
            f"p{i}",
            "observation",
            f"lab{c}",
            round(float(rng.normal(50, 10)), 1),
            "",
            "mg/L",
            f"2025-01-0{1 + t}T0{c}:00Z",
        )
        for i in range(n)
        for c in range(codes)
        for t in range(3)
    ]
    return frame_of([*rows, *((f"p{i}", "demographic", "sex", np.nan, "male", "", None) for i in range(n))])


def frame_of(rows: list[tuple[object, ...]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["patient_key", "category", "code", "value", "text", "unit", "time"])
    return frame.assign(time=pd.to_datetime(frame["time"], utc=True, format="ISO8601"))


def test_different_records_share_nothing_whatever_their_demographics() -> None:
    assert not copied_records(records()).leaks


@pytest.mark.parametrize("days", [0, 200])
def test_a_copied_record_is_found_whatever_its_calendar_and_with_some_of_it_changed(days: int) -> None:
    rows = records()
    again = rows[rows["patient_key"] == "p0"].assign(patient_key="p0-again")
    again["time"] += pd.Timedelta(days=days)
    again.loc[again["code"] == "lab5", "value"] += 1
    found = copied_records(pd.concat([rows, again], ignore_index=True))
    assert [leak.code for leak in found.leaks] == ["duplicate.same_record"]
    assert found.pairs["record"] == {("p0", "p0-again")}


def test_common_values_prove_nothing() -> None:
    rows = [(f"p{i}", "observation", c, float(i % 2), "", "", "2025-01-01") for i in range(60) for c in "abcdef"]
    assert not copied_records(frame_of(rows)).leaks
