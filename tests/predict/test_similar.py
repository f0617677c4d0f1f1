"""Similar training cases: held against a plain loop, never oneself, one case of a patient, the laws, and silence."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from numpy import ndarray as Array

from clinic_mm.predict.bank import Bank, codes_of
from clinic_mm.predict.conformal import Thresholds, single
from clinic_mm.predict.prediction import NOT_HASHED, Prediction, Similar, canonical_hash
from clinic_mm.predict.seen import patient_hash
from clinic_mm.predict.similar import COUNTED, ERRORS, FEWEST, NOTHING, SHARE, TOLD, similar
from tests.predict.test_advise import NAMES, THRESHOLDS, asking, bank_of
from tests.report.predictions import made_up

CLASSES = ("negative", "positive")
PATTERNS = tuple(product([False, True], repeat=3))
STRICT = Thresholds(NAMES, 0.9, {}, {}, single(0.6, 100), (0.9,))


def of(bank: Bank, predictions: Sequence[Prediction], thresholds: Thresholds = THRESHOLDS) -> list[Similar]:
    return similar(bank, thresholds, CLASSES, predictions)


def plainly(bank: Bank, found: Prediction) -> list[tuple[float, int]]:
    """Distance and row of every training case with at least this evidence, the nearest first, by loops."""
    members = [bank.names.index(name) for name in found.pattern]
    code = sum(1 << m for m in members)
    donors = [j for j in range(len(bank)) if all(bank.present[j, m] for m in members)]
    donors = [j for j in donors if bank.patients[j] != patient_hash(found.patient_key)]

    def centred(p: Iterable[float]) -> Array:
        log = np.log(np.clip(np.asarray(p, float), 1e-6, 1))
        return np.asarray(log - log.mean())

    def scale(vectors: list[Array]) -> float:
        return 2 * float(sum(np.var([v[c] for v in vectors]) for c in range(2)))

    whole = scale([centred(bank.answers[j, code]) for j in donors])
    ranked = []
    for j in donors:
        d = ((centred(found.probabilities) - centred(bank.answers[j, code])) ** 2).sum() / whole / 2
        for m in members:
            all_of_it = [centred(bank.answers[i, 1 << m]) for i in range(len(bank)) if bank.present[i, m]]
            off = centred(found.subsets[bank.names[m]]) - centred(bank.answers[j, 1 << m])
            d += (off**2).sum() / scale(all_of_it) / len(members) / 2
        ranked.append((float(np.sqrt(d)), j))
    return sorted(ranked)


@pytest.mark.parametrize("mask", [(True, False, False), (True, True, False), (True, True, True)])
def test_similar_cases_equal_a_plain_loop(mask: tuple[bool, ...]) -> None:
    bank, found = bank_of(250), asking("c", mask, 1)
    told, ranked = of(bank, [found], STRICT)[0], plainly(bank, found)
    code = int(codes_of(np.array([mask]))[0])
    answers = bank.answers[:, code]
    near = [j for _, j in ranked[: min(COUNTED, int(SHARE * len(ranked)))]]
    missed = [(d, j) for d, j in ranked if answers[j].argmax() != bank.labels[j]]
    assert told.n == len(near)
    assert told.outcomes["positive"] == sum(bank.labels[j] for j in near)
    assert told.wrong == sum(answers[j].argmax() != bank.labels[j] for j in near)
    assert told.reach == pytest.approx(ranked[told.n - 1][0], abs=0.006)
    assert told.among == {name: sum(bank.labels[j] == k for _, j in ranked) for k, name in enumerate(CLASSES)}
    for mine, plain in ((told.nearest, ranked[:TOLD]), (told.errors, missed[:ERRORS])):
        assert len(mine) == len(plain)
        for one, (distance, j) in zip(mine, plain, strict=True):
            assert one.distance == pytest.approx(distance, abs=0.006)
            assert one.outcome == CLASSES[bank.labels[j]]
            assert one.answered == pytest.approx(answers[j], abs=0.0051)
            assert one.pattern == tuple(sorted(np.array(NAMES)[bank.present[j]]))
            assert set(one.pattern) >= set(found.pattern)
            assert one.wrong == (answers[j].argmax() != bank.labels[j])
            assert one.ruled_out == (one.wrong and 1 - answers[j][bank.labels[j]] > 0.6)


def test_nobody_is_a_neighbour_of_oneself_and_of_a_patient_only_the_nearest_case_is_one() -> None:
    bank, found = bank_of(150), asking("c", (True, True, False), 1)
    ranked = plainly(bank, found)
    first, second = (bank.patients[j] for _, j in ranked[:2])
    me = patient_hash(found.patient_key)
    own = replace(bank, patients=tuple(me if p == first else p for p in bank.patients))
    told, mine = (of(one, [found])[0] for one in (bank, own))
    assert told.nearest[0].distance == pytest.approx(ranked[0][0], abs=0.006)
    assert mine.nearest[0].distance == pytest.approx(ranked[1][0], abs=0.006)
    assert sum(mine.among.values()) == sum(told.among.values()) - 1
    twins = replace(bank, patients=tuple(first if p == second else p for p in bank.patients))
    both = of(twins, [found])[0]
    assert [one.distance for one in both.nearest[:2]] == pytest.approx([ranked[0][0], ranked[2][0]], abs=0.006)
    assert both.n == int(SHARE * (len(ranked) - 1))
    all_mine = replace(bank, patients=(me,) * len(bank))
    assert "no training patients had" in of(all_mine, [found])[0].silent


def test_every_pattern_is_told_the_same_in_a_batch_of_one_and_in_any_order_of_modalities_and_cases() -> None:
    bank = bank_of(300)
    several = [asking(f"c{k}", mask, k) for k, mask in enumerate(PATTERNS)]
    many = of(bank, several)
    assert many[0] == Similar(silent=NOTHING)
    assert [of(bank, [one])[0] for one in several] == many
    turned = _turned(bank, (2, 0, 1))
    limits = replace(THRESHOLDS, names=turned.names)
    assert similar(turned, limits, CLASSES, several[::-1]) == many[::-1]
    order = np.random.default_rng(0).permutation(len(bank))
    patients = tuple(bank.patients[k] for k in order)
    mixed = replace(
        bank, patients=patients, labels=bank.labels[order], present=bank.present[order], answers=bank.answers[order]
    )
    assert of(mixed, several) == many
    for one in many[1:]:
        assert sum(one.outcomes.values()) == one.n
        assert one.n == min(COUNTED, int(SHARE * sum(one.among.values())))
        assert [near.distance for near in one.nearest] == sorted(near.distance for near in one.nearest)
        assert one.nearest[-1].distance <= one.reach
        assert len(one.errors) == ERRORS


def _turned(bank: Bank, order: tuple[int, ...]) -> Bank:
    """The same bank with its modalities in another order."""
    codes = np.arange(8)
    old = sum(((codes >> new) & 1) << column for new, column in enumerate(order))
    names = tuple(bank.names[column] for column in order)
    return replace(bank, names=names, present=bank.present[:, list(order)], answers=bank.answers[:, old])


def test_counts_follow_the_answer_and_not_the_base_rate() -> None:
    bank = bank_of(900, strength=(2.0, 2.0, 2.0))
    several = [asking(f"c{k}", (True, True, True), k) for k in range(30)]
    told = of(bank, several)
    share = np.array([one.outcomes["positive"] / one.n for one in told])
    said = np.array([one.probabilities[1] for one in several])
    assert np.abs(share - said).mean() < 0.1  # the answers are what Bayes says, so outcomes must follow them
    assert np.corrcoef(share, said)[0, 1] > 0.9


def having(bank: Bank, n: int) -> Bank:
    """The bank with as many complete cases."""
    few = bank.present.copy()
    few[np.flatnonzero(few.all(axis=1))[n:], 2] = False
    return replace(bank, present=few)


def test_of_few_patients_nothing_is_counted_and_of_very_few_nothing_told() -> None:
    bank, found = bank_of(250), asking("c", (True, True, True), 1)
    least = int(FEWEST / SHARE)
    [enough], [few], [hardly] = (of(having(bank, n), [found]) for n in (least, least - 1, FEWEST - 1))
    assert (enough.silent, enough.n) == ("", FEWEST)
    assert f"{least - 1} training patients had" in few.silent
    assert (few.n, few.outcomes, few.among) == (0, {}, {})
    assert (len(few.nearest), len(few.errors)) == (TOLD, ERRORS)
    assert hardly == Similar(silent=hardly.silent)


def test_no_key_of_a_training_patient_is_told_among_similar_cases() -> None:
    bank = bank_of(250)
    told = of(bank, [asking("c", (True, True, True), 1)])[0].model_dump_json()
    assert not any(patient[:8] in told for patient in bank.patients)


def test_answers_of_older_runs_keep_their_hash() -> None:
    found = made_up()
    assert found.similar is None
    older = {name: value for name, value in found.model_dump(mode="json").items() if name != "similar"}
    assert Prediction.model_validate(older).content_hash == found.content_hash
    assert found.content_hash == canonical_hash({name: older[name] for name in older if name not in NOT_HASHED})
    assert found.content_hash != found.model_copy(update={"similar": Similar(silent=NOTHING)}).content_hash
