"""Advice: the equation held against plain loops and against the pool, the laws, and that nobody is given away."""

from itertools import product

import numpy as np
import pytest
from numpy import ndarray as Array

from clinic_mm.fusion.pool import LogPool, softmax, subsets
from clinic_mm.predict import advise as module
from clinic_mm.predict.advise import FEWEST, advise, expected
from clinic_mm.predict.bank import Bank, codes_of, information, make_bank
from clinic_mm.predict.budget import candidates, money_of, paid
from clinic_mm.predict.conformal import Thresholds, single
from clinic_mm.predict.deck import Asked, dealt
from clinic_mm.predict.prediction import Advice, Prediction
from clinic_mm.predict.seen import patient_hash
from tests.report.predictions import made_up

NAMES = ("b", "c", "a")  # not sorted, on purpose
PRIOR = np.array([0.6, 0.4])
POOL = LogPool(NAMES, PRIOR, np.zeros(3), np.zeros(3))  # the product of experts: what Bayes does with independent ones
COSTS = {"a": 1.0, "b": 2.0, "c": 0.5}
THRESHOLDS = Thresholds(NAMES, 0.9, {}, {}, single(0.7, 100), (0.9,))


def answers_of(opinions: Array, present: Array) -> Array:
    """Answers [n, 8, 2] of the pool to every subset."""
    out = np.full((len(present), 8, 2), np.nan)
    out[:, 0] = PRIOR
    for row, mine in enumerate(present):
        for mask in subsets(mine) if mine.any() else ():
            out[row, codes_of(mask[None])[0]] = softmax(POOL.logits(opinions[[row]], mask[None]))[0]
    return out


def drawn(n: int, seed: int = 0, strength: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> tuple[Array, ...]:
    """Labels, opinions and presence; an expert with strength 0 knows nothing."""
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < PRIOR[1]).astype(int)
    told = np.array(strength) * ((2 * y - 1)[:, None] * np.array(strength) / 2 + rng.normal(size=(n, 3)))
    positive = 1 / (1 + np.exp(-(told + np.log(PRIOR[1] / PRIOR[0]))))
    present = rng.random((n, 3)) < 0.7
    present[~present.any(axis=1), 0] = True
    return y, np.stack([1 - positive, positive], axis=-1), present


def bank_of(n: int = 60, seed: int = 0, strength: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> Bank:
    y, opinions, present = drawn(n, seed, strength)
    answers = answers_of(opinions, present).astype(np.float32)
    patients = tuple(patient_hash(f"t{k}") for k in range(n))
    made = make_bank(NAMES, PRIOR, *_rows(present), _flat(answers, present), present, y, np.arange(n).astype(str))
    assert made is not None
    return Bank(NAMES, n, patients, y, present, answers, made.usual)


def _rows(present: Array) -> tuple[Array, Array]:
    masks = [subsets(row) for row in present]
    return np.repeat(np.arange(len(present)), [len(m) for m in masks]), np.concatenate(masks)


def _flat(answers: Array, present: Array) -> Array:
    case, mask = _rows(present)
    return answers[case, codes_of(mask)]


def asked_of(n: int, seed: int = 5) -> tuple[Asked, Array, Array]:
    _, opinions, present = drawn(n, seed)
    patients = tuple(f"q{k}" for k in range(n))
    return Asked(codes_of(present), answers_of(opinions, present), np.full(n, 2), patients), opinions, present


def plainly(bank: Bank, answers: Array, code: int, column: int, k: int) -> tuple[float, float]:
    """Chance of another decision and expected information, by loops over the docstring's equation."""
    members = [m for m in range(3) if code >> m & 1]
    donors = [j for j in range(len(bank)) if bank.present[j, column]]

    def centred(p: Array) -> Array:
        log = np.log(np.clip(np.asarray(p, float), 1e-6, 1))
        return np.asarray(log - log.mean())

    def scale(vectors: list[Array]) -> float:
        return 2 * float(sum(np.var([v[c] for v in vectors]) for c in range(2)))

    together = {j: bank.answers[j, int(codes_of(bank.present[[j]])[0]) & code] for j in donors}
    apart = []
    for j in donors:
        d = 0.0
        for m in members:
            others = [centred(bank.answers[i, 1 << m]) for i in range(len(bank)) if bank.present[i, m]]
            far = ((centred(answers[1 << m]) - centred(bank.answers[j, 1 << m])) ** 2).sum() / scale(others)
            d += (far if bank.present[j, m] else 1.0) / len(members)
        whole = ((centred(answers[code]) - centred(together[j])) ** 2).sum() / scale([*map(centred, together.values())])
        apart.append((d + whole) / 2)
    near = [donors[at] for at in np.argsort(apart)[:k]]
    flips, gain, total = 0.0, 0.0, 0.0
    for j in near:
        shared = int(codes_of(bank.present[[j]])[0]) & code
        likelihood = bank.answers[j, shared | 1 << column].astype(float) / bank.answers[j, shared].astype(float)
        after = answers[code] * likelihood
        after = after / after.sum()
        weight = answers[code][bank.labels[j]] / sum(bank.labels[i] == bank.labels[j] for i in near)
        total += weight
        flips += weight * (after.argmax() != answers[code].argmax())
        gain += weight * float((after * np.log(after / answers[code])).sum())
    return flips / total, gain / total


@pytest.mark.parametrize(("code", "column"), [(0b010, 0), (0b110, 0), (0b001, 2)])
def test_advice_equals_plain_loops_over_its_equation(code: int, column: int) -> None:
    bank, (asked, _, _) = bank_of(60), asked_of(40)
    cases = np.flatnonzero(asked.codes == code)[:3]
    told = expected(dealt(bank), asked, cases, column)
    assert told is not None
    assert len(cases)
    for row, case in enumerate(cases):
        now = asked.answers[case, code]
        flips = told[0].mean(told[0].after.argmax(axis=2) != now.argmax())[row]
        gain = told[1].mean(information(told[1].after, asked.now(cases)[:, None]))[row]
        assert flips == pytest.approx(plainly(bank, asked.answers[case], code, column, 30)[0], abs=1e-6)
        assert gain == pytest.approx(plainly(bank, asked.answers[case], code, column, 300)[1], abs=1e-6)


def test_what_a_neighbour_lends_is_its_opinion_put_into_the_pool() -> None:
    y, opinions, present = drawn(25, seed=3)
    present[:] = True
    bank = Bank(NAMES, 25, ("",) * 25, y, present, answers_of(opinions, present).astype(np.float32), {})
    asked, mine, there = asked_of(40)
    case = int(np.flatnonzero(asked.codes == 0b011)[0])
    told = expected(dealt(bank), asked, np.array([case]), 2)
    assert told is not None
    filled = np.repeat(mine[[case]], 25, axis=0)
    filled[:, 2] = opinions[:, 2]
    put_in = softmax(POOL.logits(filled, np.ones((25, 3), bool)))
    np.testing.assert_allclose(np.sort(told[0].after[0], axis=0), np.sort(put_in, axis=0), atol=1e-5)
    assert not there[case, 2]


def test_neighbours_stand_for_the_classes_as_the_answer_has_them() -> None:
    bank, (asked, _, _) = bank_of(200), asked_of(30)
    cases = np.flatnonzero(asked.codes == 0b010)
    for told in expected(dealt(bank), asked, cases, 0) or ():
        np.testing.assert_allclose(told.weight.sum(axis=1), 1)
        assert (told.weight >= 0).all()
        assert ((told.distance > 0) & (told.distance < 2)).all()


def test_nobody_is_a_neighbour_of_oneself() -> None:
    bank = bank_of(40)
    _, opinions, present = drawn(40)
    own = Asked(np.full(40, 0b010), answers_of(opinions, present | True), np.full(40, 2), bank.patients)
    strange = Asked(own.codes, own.answers, own.set_size, tuple(f"q{k}" for k in range(40)))
    me = np.flatnonzero(bank.present[:, 0] & bank.present[:, 1])[:1]
    mine, theirs = (expected(dealt(bank), asked, me, 0) for asked in (own, strange))
    assert mine is not None
    assert theirs is not None
    assert (mine[0].weight == 0).sum() >= (theirs[0].weight == 0).sum()
    assert mine[0].distance[0] > theirs[0].distance[0]  # the nearest one, at 0, was the patient


def test_every_pattern_and_the_empty_one_gets_finite_advice_that_does_not_see_the_batch() -> None:
    bank = bank_of(80)
    several = [asking(f"c{k}", mask, k) for k, mask in enumerate(product([False, True], repeat=3))]
    many = advise(bank, THRESHOLDS, COSTS, several)
    for prediction, mine in zip(several, many, strict=True):
        assert {one.modality for one in mine} == set(NAMES) - set(prediction.pattern)
        assert mine == advise(bank, THRESHOLDS, COSTS, [prediction])[0]
        assert [one.gain_per_cost for one in mine] == sorted((one.gain_per_cost for one in mine), reverse=True)
        for one in mine:
            assert not one.silent
            assert 0 <= one.flips <= 1
            assert one.gain >= 0
            assert abs(one.shrink) <= 1
    order = np.random.default_rng(0).permutation(80)
    shuffled = Bank(
        NAMES,
        80,
        tuple(bank.patients[k] for k in order),
        bank.labels[order],
        bank.present[order],
        bank.answers[order],
        bank.usual,
    )
    for ours, theirs in zip(many, advise(shuffled, THRESHOLDS, COSTS, several), strict=True):
        assert [one.modality for one in ours] == [one.modality for one in theirs]
        np.testing.assert_allclose([a.gain for a in ours], [a.gain for a in theirs], rtol=1e-9)


def test_a_test_that_hardly_anybody_had_is_not_spoken_of() -> None:
    bank = bank_of(60)
    bank.present[FEWEST - 1 :, 2] = False
    [advice] = list(advise(bank, THRESHOLDS, COSTS, [asking("c", (True, True, False), 1)])[0])
    assert "training cases had it" in advice.silent
    assert advice.flips == 0
    assert advice.had < FEWEST


def test_a_test_that_tells_something_comes_before_one_that_does_not() -> None:
    bank = bank_of(400, strength=(1.0, 2.0, 0.1))
    assert bank.usual["c"].gain > 5 * bank.usual["a"].gain
    equal = dict.fromkeys(NAMES, 1.0)
    for seed in range(5):
        mine = advise(bank, THRESHOLDS, equal, [asking("c", (True, False, False), seed)])[0]
        assert [one.modality for one in mine] == ["c", "a"]


def test_no_key_of_a_training_patient_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    bank = bank_of(60)
    told = "".join(a.model_dump_json() for a in advise(bank, THRESHOLDS, COSTS, [asking("c", (True,) * 2, 1)])[0])
    assert not any(patient in told or patient[:8] in told for patient in bank.patients)
    assert module.NEAREST == 30


def test_more_than_eight_modalities_keep_no_bank() -> None:
    names = tuple("abcdefghi")
    present = np.ones((2, 9), bool)
    empty = np.zeros(0, int), np.zeros((0, 9), bool), np.zeros((0, 2))
    assert make_bank(names, PRIOR, *empty, present, np.array([0, 1]), np.array(["p", "q"])) is None


def test_a_budget_is_spent_on_what_is_worth_most_for_its_cost() -> None:
    advice = [(0.4, 8.0), (0.3, 1.0), (0.05, 0.5), (0.2, 5.0)]
    predictions = [_advised(f"c{k}", gain, cost) for k, (gain, cost) in enumerate(advice)]
    rows = candidates(predictions)
    assert rows["case_key"].tolist() == ["c1", "c2", "c0", "c3"]
    assert paid(rows["cost"], money_of("50%", rows["cost"].sum())).tolist() == [True, True, False, True]
    assert money_of("120", 5.0) == 120
    assert candidates(predictions, ["eeg"]).empty


def _advised(key: str, gain: float, cost: float) -> Prediction:
    advice = Advice(modality="xray", gain=gain, cost=cost, usual_flips=0.1, usual_gain=0.1)
    return made_up(key).model_copy(update={"advice": (advice,)})


def asking(key: str, mask: tuple[bool, ...], seed: int) -> Prediction:
    opinions = drawn(1, seed + 50)[1]
    present = np.array([[*mask, *(False,) * (3 - len(mask))]])
    answers = answers_of(opinions, present)[0]
    found = subsets(present[0]) if present.any() else np.zeros((0, 3), bool)
    keyed = {"+".join(POOL.pattern(m)): tuple(map(float, answers[codes_of(m[None])[0]])) for m in found}
    pattern = POOL.pattern(present[0])
    told = {"": tuple(map(float, PRIOR)), **keyed}
    return made_up(key, {}).model_copy(
        update={"pattern": pattern, "subsets": told, "probabilities": told["+".join(pattern)]}
    )
