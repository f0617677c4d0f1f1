"""Training cases like the one at hand, what became of them, and the nearest ones that were answered wrongly.

In:  stored answers of cases to every subset of what they have, the bank, thresholds of prediction sets.
Out: one `Similar` per case, so that a page can say what became of such cases and runs no model.

Alike in what the experts said, not in how they look: near is who was answered alike, by all of the case's evidence
together and by each modality alone (`predict.deck`). Only training cases with at least the case's evidence count, each
answered out of fold by no more than that evidence: it is asked about them what is asked about the case. Of a patient
the nearest case alone counts, and one's own never do. Base rates of all such cases stand beside the counts.

Counts say what became of training cases, with the prevalence that the training cohort had; they are no second
probability. That the case itself was answered by the refitted model and its neighbours by parts that did not see them
is a difference that the distances carry with them. No key leaves the bank, and figures of a single training case are
rounded to two digits; still they are of single patients, as the bank is.

Source of cases as an explanation: Caruana et al. 1999, "Case-based explanation of non-case-based learning methods",
Proc. AMIA Symp. 212-215; of neighbours as a measure of trust: Papernot & McDaniel 2018, arXiv 1803.04765.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray as Array

from clinic_mm.predict.bank import MOST_MODALITIES, Bank
from clinic_mm.predict.conformal import Thresholds, stands
from clinic_mm.predict.deck import Asked, Deck, asked_of, centred, dealt, distances
from clinic_mm.predict.model import Model
from clinic_mm.predict.prediction import Prediction, Similar

COUNTED: Final = 40
"""Patients behind the counts: as many as a reader can still think of one by one."""
SHARE: Final = 0.25
"""Of all patients with at least this evidence, those that may be called the nearest: the nearest 39 of 39 are
everybody, and their outcomes the base rate."""
FEWEST: Final = 10
"""Patients below which nothing is counted, and of whom alone nobody is told."""
TOLD: Final = 5
"""Of those counted the nearest are told one by one."""
ERRORS: Final = 3
DIGITS: Final = 2
PATTERNS: Final = 32
"""Patterns whose training cases are kept at hand: all of five modalities."""
NO_BANK: Final = "No similar cases are told: this model has no bank of training answers (see docs/artifact.md)."
MANY: Final = f"No similar cases are told: the model has more than {MOST_MODALITIES} modalities."
NOTHING: Final = "No similar cases are told: no modality spoke."


def likened(model: Model, predictions: Sequence[Prediction]) -> list[Prediction]:
    """The same with similar training cases, or with the reason why there are none."""
    if model.bank is None:
        silent = Similar(silent=MANY if len(model.names) > MOST_MODALITIES else NO_BANK)
        return [one.model_copy(update={"similar": silent}) for one in predictions]
    found = similar(model.bank, model.thresholds, model.task.classes, predictions)
    return [one.model_copy(update={"similar": mine}) for one, mine in zip(predictions, found, strict=True)]


def similar(
    bank: Bank, thresholds: Thresholds, classes: tuple[str, ...], predictions: Sequence[Prediction]
) -> list[Similar]:
    """Similar training cases of each case.

    Args:
        bank: Training cases of the model that answered.
        thresholds: Of its prediction sets.
        classes: Their names, in the order of the answers.
        predictions: With the answer to every subset of what is present.
    """
    deck, asked = dealt(bank), asked_of(bank, predictions)
    found = [Similar(silent=NOTHING)] * len(predictions)
    for code in np.unique(asked.codes[asked.codes > 0]):
        cases = np.flatnonzero(asked.codes == code)
        for case, mine in zip(cases, _alike(deck, asked, cases, thresholds, classes), strict=True):
            found[case] = mine
    return found


def nearest(apart: Float[Array, "n d"], person: Int[Array, " d"], k: int, most: int) -> list[Int[Array, " k"]]:
    """Places of the k nearest patients by the nearest case of each, the nearest first; fewer where there are fewer.

    Args:
        apart: Squared distances; whoever is infinitely far is nobody's neighbour.
        person: Whose case each column is.
        k: Patients.
        most: Cases that one of them has, at most: among the `k * most` nearest cases there are k patients.
    """
    enough = k * most
    near = np.broadcast_to(np.arange(apart.shape[1]), apart.shape)
    if enough < apart.shape[1]:
        near = np.sort(np.argpartition(apart, enough - 1, axis=1)[:, :enough], axis=1)
    rows = np.arange(len(apart))[:, None]
    far = apart[rows, near]
    order = np.argsort(far, axis=1, kind="stable")
    near, there = near[rows, order], np.isfinite(far[rows, order])
    found = [row[finite] for row, finite in zip(near, there, strict=True)]
    return [(row if most == 1 else row[_first(person[row])])[:k] for row in found]


def _first(person: Int[Array, " k"]) -> Int[Array, " p"]:
    """Where each patient stands for the first time, in that order."""
    first: Array = np.sort(np.unique(person, return_index=True)[1])
    return first


@dataclass(frozen=True, slots=True)
class _Kin:
    """Training cases with at least one pattern.

    Attributes:
        donors: Their rows in the deck.
        together: Centred logarithms of their answers.
        answered: Out of fold, by no more than the pattern.
        label: Class of each.
        mistaken: Those whose most probable class is another.
        person: Whose case each is.
        patients: How many they are.
        had: All that each had.
    """

    donors: Int[Array, " d"]
    together: Float[Array, "d C"]
    answered: Float[Array, "d C"]
    label: Int[Array, " d"]
    mistaken: Int[Array, " w"]
    person: Int[Array, " d"]
    patients: int
    had: tuple[tuple[str, ...], ...]


@lru_cache(maxsize=PATTERNS)
def _kin(bank: Bank, code: int) -> _Kin:
    """Training cases of a bank with at least what a code says; kept, since unit after unit asks for them."""
    deck = dealt(bank)
    donors = np.flatnonzero(deck.codes & code == code)
    answered, label = bank.answers[donors, code].astype(np.float64), bank.labels[donors]
    mistaken = np.flatnonzero(answered.argmax(axis=1) != label)
    names = {had: _names(bank.names, had) for had in np.unique(deck.codes[donors]).tolist()}
    had = tuple(names[had] for had in deck.codes[donors].tolist())
    person = deck.person[donors]
    together = centred(deck.log[donors, code])
    return _Kin(donors, together, answered, label, mistaken, person, len(np.unique(person)), had)


def _alike(
    deck: Deck, asked: Asked, cases: Int[Array, " n"], thresholds: Thresholds, classes: tuple[str, ...]
) -> list[Similar]:
    """Of cases that share one pattern."""
    code = int(asked.codes[cases[0]])
    kin = _kin(deck.bank, code)
    apart = distances(deck, asked, cases, kin.donors, kin.together)
    near = nearest(apart, kin.person, COUNTED, deck.most)
    errors = nearest(apart[:, kin.mistaken], kin.person[kin.mistaken], ERRORS, deck.most)
    shown = [np.append(mine[:TOLD], kin.mistaken[wrong]) for mine, wrong in zip(near, errors, strict=True)]
    score = thresholds.of(_names(deck.bank.names, code)).score
    told = iter(_told(kin, apart, shown, score, classes))
    return [
        _similar(kin, apart[row], mine, [next(told) for _ in few], classes)
        for row, (mine, few) in enumerate(zip(near, shown, strict=True))
    ]


def _told(
    kin: _Kin,
    apart: Float[Array, "n d"],
    shown: Sequence[Int[Array, " k"]],
    score: Float[Array, " s"],
    classes: tuple[str, ...],
) -> list[dict[str, object]]:
    """Neighbours as they are told, those of one case after those of another."""
    row, at = np.repeat(np.arange(len(shown)), [len(one) for one in shown]), np.concatenate(shown)
    answered, label = kin.answered[at], kin.label[at]
    each = zip(
        np.round(np.sqrt(apart[row, at]), DIGITS).tolist(),
        label.tolist(),
        np.round(answered, DIGITS).tolist(),
        at.tolist(),
        (answered.argmax(axis=1) != label).tolist(),
        (~stands(answered, score[None])[np.arange(len(at)), label]).tolist(),
        strict=True,
    )
    return [
        {
            "distance": distance,
            "outcome": classes[label],
            "answered": tuple(answered),
            "pattern": kin.had[at],
            "wrong": wrong,
            "ruled_out": ruled_out,
        }
        for distance, label, answered, at, wrong, ruled_out in each
    ]


def _similar(
    kin: _Kin,
    apart: Float[Array, " d"],
    near: Int[Array, " k"],
    told: list[dict[str, object]],
    classes: tuple[str, ...],
) -> Similar:
    """What is told of one case: of few patients the nearest one by one, of very few nothing."""
    others = np.isfinite(apart)
    patients = kin.patients - int(not others.all())
    counted = near[: int(SHARE * patients)]
    if patients < FEWEST:
        return Similar(silent=_few(patients))
    one_by_one = {"nearest": told[:TOLD], "errors": told[TOLD:]}
    if len(counted) < FEWEST:
        return Similar.model_validate({"silent": _uncounted(patients), **one_by_one})
    wrong = kin.answered[counted].argmax(axis=1) != kin.label[counted]
    figures = {
        "n": len(counted),
        "outcomes": _counts(kin.label[counted], classes),
        "wrong": int(wrong.sum()),
        "reach": round(float(np.sqrt(apart[counted[-1]])), DIGITS),
        "among": _counts(kin.label[others], classes),
    }
    return Similar.model_validate({**figures, **one_by_one})


def _counts(label: Int[Array, " k"], classes: tuple[str, ...]) -> dict[str, int]:
    return dict(zip(classes, np.bincount(label, minlength=len(classes)).tolist(), strict=True))


def _uncounted(patients: int) -> str:
    least = int(np.ceil(FEWEST / SHARE))
    had = f"{patients} training patients had at least this evidence"
    return f"Similar cases are not counted: {had}, {least} are asked for."


def _few(n: int) -> str:
    had = f"{n or 'no'} training {'patient' if n == 1 else 'patients'} had"
    return f"No similar cases are told: {had} at least this evidence, {FEWEST} are asked for."


def _names(names: tuple[str, ...], code: int) -> tuple[str, ...]:
    return tuple(sorted(name for column, name in enumerate(names) if code >> column & 1))
