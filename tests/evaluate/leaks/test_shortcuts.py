"""What trivial things score: planted ones are found, chance is not, and the fit never sees the test part."""

import numpy as np
import pytest

from clinic_mm.errors import TaskError
from clinic_mm.evaluate.leaks.scored import Asked, asked_of, best_alone, score
from clinic_mm.evaluate.leaks.shortcuts import FLAGGED_FROM
from clinic_mm.evaluate.leaks.words import audit_words, telling, word_aurocs, word_columns

N = 300


def asked(seed: int = 0) -> Asked:
    rng = np.random.default_rng(seed)
    return asked_of(rng.integers(0, 2, N), np.array([f"p{i // 2}" for i in range(N)]))


def test_a_word_and_a_bump_in_the_middle_are_found() -> None:
    ask = asked()
    word = ["AP" if y else "PA" for y in ask.labels]
    bump = [0.1 * i % 1 if y else 5.0 * (-1) ** i for i, y in enumerate(ask.labels)]
    assert score({"view": word}, ask).auroc.low > 0.99
    assert score({"hour": bump}, ask).auroc.low > 0.9


def test_missing_is_a_level_of_its_own() -> None:
    ask = asked()
    assert score({"iq": [None if y else 100.0 + i % 7 for i, y in enumerate(ask.labels)]}, ask).auroc.low > 0.99


@pytest.mark.parametrize("seed", range(3))
def test_chance_scores_one_half(seed: int) -> None:
    rng, ask = np.random.default_rng(seed), asked(seed)
    for values in (rng.normal(size=N).tolist(), rng.choice(list("abcd"), N).tolist()):
        found = score({"": values}, ask).auroc
        assert found.low < FLAGGED_FROM
        assert abs(found.estimate - 0.5) < 0.08
    assert best_alone(rng.normal(size=(N, 60)), ask).auroc.low < 0.5  # chosen among many, and still honest


def test_names_that_each_case_has_for_itself_say_nothing() -> None:
    ask = asked()
    found = score({"": [f"name {i}" for i in range(N)]}, ask).auroc
    assert found.estimate == 0.5


def test_what_stands_in_the_test_part_changes_nothing_of_the_fit() -> None:
    ask = asked()
    rng = np.random.default_rng(0)
    x = rng.normal(size=N)
    other = x.copy()
    held = ask.fold[0] == 1
    other[held] = 1e6 * rng.normal(size=held.sum())
    a, b = (score({"": v.tolist()}, ask).probs[0] for v in (x, other))
    # Cases of fold 0 were answered by a fit on all others, fold 1 among them; those of fold 1 by a fit without it.
    one = np.flatnonzero(held)[0]
    other = x.copy()
    other[np.flatnonzero(held)[1:]] = 1e6
    c = score({"": other.tolist()}, ask).probs[0]
    np.testing.assert_allclose(c[one], a[one])
    assert not np.allclose(a[ask.fold[0] == 0], b[ask.fold[0] == 0])


def test_word_auroc_is_that_of_its_presence_and_holds_its_interval() -> None:
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, N)
    ask = asked_of(y, np.arange(N))
    has = np.column_stack([rng.random(N) < 0.2 + 0.5 * y, rng.random(N) < 0.3])
    value, low, high = word_aurocs(has, ask)
    np.testing.assert_allclose(value[0], roc_auc_score(y, has[:, 0]))
    assert (low < value).all()
    assert (value < high).all()
    assert low[0] > 0.55
    assert low[1] < 0.5


def test_outcome_words_are_found_and_masking_them_takes_the_score_away() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, N)
    filler = [" ".join(rng.choice([f"word{c}" for c in "abcdefghij"], 8)) for _ in range(N)]
    texts = [f"{f} {'patient died' if label else 'patient stable'}" for f, label in zip(filler, y, strict=True)]
    shortcuts, (leak,), _ = audit_words(texts, asked_of(y, np.arange(N)), "death", ["no", "yes"])
    assert leak.severity == "finding"
    assert "“died”" in leak.what
    by = {one.name: one.auroc for one in shortcuts}
    assert by["all words of the notes"] > 0.99
    assert by["word “died”"] == 1.0
    assert next(one for one in shortcuts if one.name == "word “died”").why == "death"


def test_words_of_the_question_tell_it() -> None:
    told = telling("finding", ["other infection", "COVID-19"])
    assert told["covid"] == told["coronavirus"] == "names what is asked"
    assert "other" not in told


def test_words_of_one_patient_alone_are_no_columns() -> None:
    words = word_columns(["rare rare"] * 5 + ["common"] * 5, np.array(["a"] * 5 + list("bcdef")))
    assert words.names == ("common",)


@pytest.mark.parametrize("labels", [[1, 1, 1, 1], [0, 0, 0], [0, 0, 2, 2], [0, 0, 0, 1], []])
def test_one_class_alone_is_said_not_scored(labels: list[int]) -> None:
    with pytest.raises(TaskError):
        asked_of(np.array(labels, dtype=int), np.arange(len(labels)))
