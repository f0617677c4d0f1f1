"""What each absent test could change, from the nearest training patients who had it (METHODS §2.6).

In:  stored answers of cases to every subset of what they have, the bank, thresholds of prediction sets, costs.
Out: one `Advice` per absent modality: the chance that the decision changes, how far answer and prediction set would
move, the information to be gained, and beside it what the test usually does.

Hot deck: a neighbour lends what the test did to its own out-of-fold answer, beside what both have:

    log p'(c) = log p_i(c) + log a_j,S+m(c) - log a_j,S(c) + constant        S: what case i and neighbour j share

That is what putting the neighbour's opinion into a log-linear pool does; it holds for every way of joining, and needs
no summary of any patient. Neighbours are weighted so that their classes stand as the case's own calibrated answer has
them: before it is made, a test speaks for neither class. `predict.deck` has the distances.

No model runs here and nothing is fitted. Neighbours are counted, never named: no key of a training patient leaves the
bank. Source of the hot deck: Andridge & Little, doi:10.1111/j.1751-5823.2010.00103.x.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray as Array

from clinic_mm.fusion.pool import softmax
from clinic_mm.modalities import modality
from clinic_mm.predict.bank import MOST_MODALITIES, Bank, information
from clinic_mm.predict.conformal import Thresholds, stands
from clinic_mm.predict.deck import FLOOR, Asked, Deck, asked_of, centred, dealt, distances
from clinic_mm.predict.model import Model
from clinic_mm.predict.prediction import Advice, Prediction
from clinic_mm.predict.set_of import prediction_set

NEAREST: Final = 30
"""Neighbours behind what is said of a test (METHODS §2.6)."""
WIDE: Final = 300
"""Neighbours behind the information, by which patients and tests are ranked: 30 are too few to rank by. Chosen on seeds
other than those reported, as the share in `predict.deck`."""
FEWEST: Final = 10
"""Training cases with a test below which nothing is said of it."""
NO_BANK: Final = "Nothing is said of further tests: this model has no bank of training answers (see docs/artifact.md)."
MANY: Final = f"Nothing is said of further tests: the model has more than {MOST_MODALITIES} modalities."


@dataclass(frozen=True, slots=True)
class Expected:
    """What one test would do to n cases with the same evidence, by k neighbours each.

    Attributes:
        after: The answer with the test, for each neighbour.
        weight: Of each neighbour; sums to 1 in each case.
        distance: Mean distance of the neighbours; 1 is that of two training cases drawn at random.
    """

    after: Float[Array, "n k C"]
    weight: Float[Array, "n k"]
    distance: Float[Array, " n"]

    def mean(self, value: Float[Array, "n k"]) -> Float[Array, " n"]:
        """Expectation over the neighbours."""
        expected: Array = (self.weight * value).sum(axis=1)
        return expected


def expected(deck: Deck, asked: Asked, cases: Int[Array, " n"], column: int) -> tuple[Expected, Expected] | None:
    """What the test in a column would do to cases that share one pattern, by the nearest 30 and by the nearest 300.

    None where too few training cases had the test.
    """
    donors = np.flatnonzero(deck.bank.present[:, column])
    if len(donors) < FEWEST:
        return None
    code = int(asked.codes[cases[0]])
    shared = deck.codes[donors] & code
    before = deck.log[donors, shared]
    effect = deck.log[donors, shared | (1 << column)] - before
    apart = distances(deck, asked, cases, donors, centred(before))
    near = _nearest(apart) if code else _spread(len(cases), len(donors))
    labels = deck.bank.labels[donors]

    def of(near: Int[Array, "n k"]) -> Expected:
        far = np.take_along_axis(apart, near, axis=1)
        weight = _weights(asked.now(cases), labels[near], np.isfinite(far))
        after = softmax(np.log(np.clip(asked.now(cases), FLOOR, 1.0))[:, None] + effect[near])
        distance = (weight * np.sqrt(np.where(np.isfinite(far), far, 0.0))).sum(axis=1)
        return Expected(after, weight, distance)

    return of(near[:, :NEAREST] if code else near), of(near)


def _nearest(apart: Float[Array, "n d"]) -> Int[Array, "n k"]:
    """The nearest donors; the first ones of a row are nearer than the others."""
    few = apart.shape[1]
    places = [k - 1 for k in (NEAREST, WIDE) if k < few]
    if not places:
        return np.tile(np.arange(few), (len(apart), 1))
    near: Array = np.argpartition(apart, places, axis=1)[:, :WIDE]
    return near


def _spread(n_cases: int, n_donors: int) -> Int[Array, "n k"]:
    """Where nothing is known of a case all donors are equally near: some from all over the bank."""
    some = np.unique(np.linspace(0, n_donors - 1, WIDE).astype(np.int64))
    return np.tile(some, (n_cases, 1))


def _weights(answer: Float[Array, "n C"], labels: Int[Array, "n k"], usable: Bool[Array, "n k"]) -> Float[Array, "n k"]:
    """Weights by which the neighbours' classes stand as the case's own answer has them."""
    weight = np.zeros(labels.shape)
    for c in range(answer.shape[1]):
        mine = (labels == c) & usable
        weight += mine * answer[:, [c]] / np.maximum(mine.sum(axis=1, keepdims=True), 1)
    total: Array = weight / np.maximum(weight.sum(axis=1, keepdims=True), FLOOR)
    return total


def advise(
    bank: Bank, thresholds: Thresholds, costs: Mapping[str, float], predictions: Sequence[Prediction]
) -> list[tuple[Advice, ...]]:
    """Advice for each case, the test that tells most for its cost first.

    Args:
        bank: Training cases of the model that answered.
        thresholds: Of its prediction sets.
        costs: Of each modality.
        predictions: With the answer to every subset of what is present.
    """
    deck, asked = dealt(bank), asked_of(bank, predictions)
    asked = replace(asked, set_size=np.array([_set_size(thresholds, one) for one in predictions], dtype=int))
    found: list[list[Advice]] = [[] for _ in predictions]
    for code in np.unique(asked.codes):
        cases = np.flatnonzero(asked.codes == code)
        for column, name in enumerate(bank.names):
            if code >> column & 1:
                continue
            present = np.array([bool((code | 1 << column) >> k & 1) for k in range(len(bank.names))])
            score = thresholds.of(thresholds.pattern_of(present)).score
            usual = bank.usual[name]
            known = Advice(modality=name, cost=costs[name], usual_flips=usual.flips, usual_gain=usual.gain)
            for case, advice in zip(cases, _advices(known, deck, asked, cases, column, score), strict=True):
                found[case].append(advice)
    return [tuple(sorted(mine, key=_order)) for mine in found]


def _set_size(thresholds: Thresholds, asking: Prediction) -> int:
    """Classes in its set; by the unweighted thresholds where it was weighted, as the set with the test is by them."""
    told = asking.prediction_set
    if told.shift == "weighted":
        told = prediction_set(thresholds, asking.classes, np.array(asking.probabilities), asking.pattern)
    return len(told.classes)


def _advices(
    known: Advice, deck: Deck, asked: Asked, cases: Int[Array, " n"], column: int, score: Float[Array, " k"]
) -> list[Advice]:
    """What one test would do to cases that share one pattern; `score` is the threshold of the enlarged pattern."""
    told, had = expected(deck, asked, cases, column), int(deck.bank.present[:, column].sum())
    if told is None:
        why = f"Only {had} training cases had it: too few to say what it could change"
        return [known.model_copy(update={"silent": why, "had": had})] * len(cases)
    near, wide = told
    before = asked.now(cases)
    gain = wide.mean(information(wide.after, before[:, None]))
    figures = {**figures_of(near, before, asked.set_size[cases], score), "gain": gain}
    counts = {"neighbours": near.weight.shape[1], "had": had}
    return [
        known.model_copy(update={**counts, **{name: float(value[row]) for name, value in figures.items()}})
        for row in range(len(cases))
    ]


def figures_of(
    told: Expected, before: Float[Array, "n C"], set_size: Int[Array, " n"], score: Float[Array, " k"]
) -> dict[str, Float[Array, " n"]]:
    """What is said of a test, in expectation: fields of `Advice`."""
    top = before.argmax(axis=1)
    named = np.ones_like(top) if before.shape[1] == 2 else top
    moved = np.take_along_axis(told.after - before[:, None], named[:, None, None], axis=2)[:, :, 0]
    inside = stands(told.after.reshape(-1, before.shape[1]), score[None]).sum(axis=1).reshape(told.weight.shape)
    return {
        "flips": told.mean(told.after.argmax(axis=2) != top[:, None]),
        "shrink": set_size - told.mean(inside),
        "change": told.mean(np.abs(moved)),
        "distance": told.distance,
    }


def _order(advice: Advice) -> tuple[bool, float, str]:
    return bool(advice.silent), -advice.gain_per_cost, advice.modality


def advised(model: Model, predictions: Sequence[Prediction]) -> list[Prediction]:
    """The same with advice, or with the reason why there is none."""
    if model.bank is None:
        why = MANY if len(model.names) > MOST_MODALITIES else NO_BANK
        return [one.model_copy(update={"advice_silent": why}) for one in predictions]
    costs = {name: modality(model.task.kind_of(name)).cost for name in model.names}
    found = advise(model.bank, model.thresholds, costs, predictions)
    return [one.model_copy(update={"advice": mine}) for one, mine in zip(predictions, found, strict=True)]
