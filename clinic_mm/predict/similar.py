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
from typing import Any, Final

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray as Array

from clinic_mm.predict.bank import MOST_MODALITIES, Bank
from clinic_mm.predict.conformal import Thresholds, stands
from clinic_mm.predict.deck import Asked, Deck, asked_of, centred, dealt, distances
from clinic_mm.predict.model import Model
from clinic_mm.predict.prediction import Prediction, Similar

COUNTED: Final = 40
"""Patients behind the counts: as many as a reader can still think of one by one."""
FEWEST: Final = 20
"""Patients with at least this evidence below which nothing is said."""
TOLD: Final = 5
"""Of those counted the nearest are told one by one."""
ERRORS: Final = 3
DIGITS: Final = 2
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
        for case, mine in zip(cases, _kin(deck, asked, cases, thresholds, classes), strict=True):
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
    far = np.take_along_axis(apart, near, axis=1)
    order = np.argsort(far, axis=1, kind="stable")
    near, there = np.take_along_axis(near, order, axis=1), np.isfinite(np.take_along_axis(far, order, axis=1))
    rows = [row[finite] for row, finite in zip(near, there, strict=True)]
    return [(row if most == 1 else row[_first(person[row])])[:k] for row in rows]


def _first(person: Int[Array, " k"]) -> Int[Array, " p"]:
    """Where each patient stands for the first time, in that order."""
    first: Array = np.sort(np.unique(person, return_index=True)[1])
    return first


@dataclass(frozen=True, slots=True)
class _Kin:
    """Training cases with at least one pattern, and how far they are from the cases that have it.

    Attributes:
        classes: Their names.
        apart: Squared distances; infinite for one's own cases.
        answered: Out of fold, by no more than the pattern.
        label: Class of each.
        wrong: Whose most probable class is another.
        ruled_out: Whose set is without the truth.
        person: Whose case each is.
        names: Modalities, in the order of the bits.
        codes: Of all that each had.
        most: Cases of one patient, at most.
    """

    classes: tuple[str, ...]
    apart: Float[Array, "n d"]
    answered: Float[Array, "d C"]
    label: Int[Array, " d"]
    wrong: Bool[Array, " d"]
    ruled_out: Bool[Array, " d"]
    person: Int[Array, " d"]
    names: tuple[str, ...]
    codes: Int[Array, " d"]
    most: int

    def told(self, row: int, places: Int[Array, " k"]) -> list[dict[str, Any]]:
        """Neighbours of one case."""
        return [
            {
                "distance": self.far(row, at),
                "outcome": self.classes[self.label[at]],
                "answered": tuple(np.round(self.answered[at], DIGITS).tolist()),
                "pattern": _names(self.names, int(self.codes[at])),
                "wrong": self.wrong[at],
                "ruled_out": self.ruled_out[at],
            }
            for at in places.tolist()
        ]

    def far(self, row: int, at: int) -> float:
        """Distance as it is told."""
        return round(float(np.sqrt(self.apart[row, at])), DIGITS)

    def counts(self, places: Array) -> dict[str, int]:
        """How many are of each class."""
        counts = np.bincount(self.label[places], minlength=len(self.classes))
        return dict(zip(self.classes, counts.tolist(), strict=True))

    def one(self, row: int, near: Int[Array, " k"], errors: Int[Array, " e"]) -> Similar:
        """What is told of one case."""
        if len(near) < FEWEST:
            return Similar(silent=_few(len(near)))
        told = {"nearest": self.told(row, near[:TOLD]), "errors": self.told(row, errors)}
        figures = {"n": len(near), "wrong": int(self.wrong[near].sum()), "reach": self.far(row, int(near[-1]))}
        among = self.counts(np.isfinite(self.apart[row]))
        return Similar.model_validate({**figures, **told, "outcomes": self.counts(near), "among": among})


def _kin(
    deck: Deck, asked: Asked, cases: Int[Array, " n"], thresholds: Thresholds, classes: tuple[str, ...]
) -> list[Similar]:
    """Of cases that share one pattern."""
    code = int(asked.codes[cases[0]])
    donors = np.flatnonzero(deck.codes & code == code)
    apart = distances(deck, asked, cases, donors, centred(deck.log[donors, code]))
    answered, label = deck.bank.answers[donors, code].astype(np.float64), deck.bank.labels[donors]
    score = thresholds.of(_names(deck.bank.names, code)).score
    kin = _Kin(
        classes,
        apart,
        answered,
        label,
        answered.argmax(axis=1) != label,
        ~stands(answered, score[None])[np.arange(len(donors)), label],
        deck.person[donors],
        deck.bank.names,
        deck.codes[donors],
        deck.most,
    )
    mistaken = np.flatnonzero(kin.wrong)
    near = nearest(apart, kin.person, COUNTED, deck.most)
    errors = nearest(apart[:, mistaken], kin.person[mistaken], ERRORS, deck.most)
    return [kin.one(row, near[row], mistaken[errors[row]]) for row in range(len(cases))]


def _few(n: int) -> str:
    had = f"{n or 'no'} training {'patient' if n == 1 else 'patients'} had"
    return f"No similar cases are told: {had} at least this evidence, {FEWEST} are asked for."


def _names(names: tuple[str, ...], code: int) -> tuple[str, ...]:
    return tuple(sorted(name for column, name in enumerate(names) if code >> column & 1))
