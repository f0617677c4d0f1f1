"""Text metrics equal the loops of their papers, and intervals count patients."""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest

from clinic_mm.evaluate.text import (
    BLEU,
    FINDING_F1,
    GRADED_F1,
    ROUGE_L,
    TEXT_METRICS,
    TOKEN_F1,
    longest_common,
    text_table,
)

WORDS = ("no", "fever", "cough", "mild", "with", "the")


def _made(seed: int, n: int = 8) -> tuple[list[str], list[str]]:
    rng = np.random.default_rng(seed)
    drafts, notes = ([" ".join(rng.choice(WORDS, size=rng.integers(3, 12))) for _ in range(n)] for _ in range(2))
    return drafts, notes


def _plain_bleu(drafts: Sequence[str], notes: Sequence[str]) -> float:
    """Papineni et al. 2002, sections 2.1 to 2.3, as written."""
    total = 0.0
    for n in range(1, 5):
        hit = size = 0
        for draft, note in zip(drafts, notes, strict=True):
            said, meant = draft.split(), note.split()
            mine = Counter(tuple(said[i : i + n]) for i in range(len(said) - n + 1))
            theirs = Counter(tuple(meant[i : i + n]) for i in range(len(meant) - n + 1))
            hit += sum(min(count, theirs[gram]) for gram, count in mine.items())
            size += sum(mine.values())
        if not hit:
            return 0.0
        total += math.log(hit / size) / 4
    c, r = sum(len(d.split()) for d in drafts), sum(len(n.split()) for n in notes)
    return math.exp(total) * (1.0 if c > r else math.exp(1 - r / c))


def _plain_lcs(a: Sequence[str], b: Sequence[str]) -> int:
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            table[i + 1][j + 1] = table[i][j] + 1 if x == y else max(table[i][j + 1], table[i + 1][j])
    return table[-1][-1]


@pytest.mark.parametrize("seed", range(6))
def test_bleu_rouge_and_token_f1_are_those_of_their_papers(seed: int) -> None:
    drafts, notes = _made(seed)
    assert BLEU(drafts, notes) == pytest.approx(_plain_bleu(drafts, notes), abs=1e-12)
    rouge, token = [], []
    for draft, note in zip(drafts, notes, strict=True):
        a, b = draft.split(), note.split()
        assert longest_common(a, b) == _plain_lcs(a, b)
        p, r = _plain_lcs(a, b) / len(a), _plain_lcs(a, b) / len(b)
        rouge.append(2 * p * r / (p + r) if p + r else 0.0)
        same = sum((Counter(a) & Counter(b)).values())
        p, r = same / len(a), same / len(b)
        token.append(2 * p * r / (p + r) if p + r else 0.0)
    assert ROUGE_L(drafts, notes) == pytest.approx(np.mean(rouge))
    assert TOKEN_F1(drafts, notes) == pytest.approx(np.mean(token))


def test_the_words_of_papineni() -> None:
    """Example 2 of the paper: seven times `the` against a note that has it twice counts twice."""
    sums = BLEU.sums(["the the the the the the the"], ["the cat is on the mat"])
    assert sums[0, 0] / sums[0, 4] == 2 / 7
    assert BLEU(["the cat is on the mat"], ["The cat is on the mat."]) == 1.0


def test_findings_count_with_denial_and_grade() -> None:
    note = ["No fever. There is marked cough."]
    assert FINDING_F1(["Denies fever, severe cough."], note) == 0.5  # the denial reaches the cough
    assert FINDING_F1(["Denies fever. Mild cough."], note) == 1.0
    assert GRADED_F1(["Denies fever. Mild cough."], note) == 0.5
    assert math.isnan(FINDING_F1(["Well."], ["Fine."]))


def test_intervals_are_by_patient_paired_and_own_is_against_other_patients() -> None:
    notes = [f"There is {word}." for word in ("fever", "cough", "headache", "nausea") for _ in range(3)]
    patients = [f"p{i // 3}" for i in range(12)]
    drafts = {"right": notes, "same": ["There is fever."] * 12, "base": ["There is fever."] * 12}
    table = text_table(drafts, notes, patients, baseline="base", n=200).set_index(["method", "metric"])
    assert len(table) == 3 * len(TEXT_METRICS)
    assert table.loc[("right", "finding_f1"), "own"] == 1.0
    assert table.loc[("right", "finding_f1"), "gain"] == 0.75
    assert (table.loc["same", ["gain", "gain_low", "gain_high", "own", "own_low", "own_high"]] == 0).all(axis=None)
    assert (table["n_patients"] == 4).all()
    one = text_table({"base": notes[:3]}, notes[:3], patients[:3], baseline="base", n=20)
    assert (one["own"] == 0).all()
