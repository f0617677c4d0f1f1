"""A bank made ready, and how far cases are from training cases: by what experts said of both, never by how they look.

In:  the bank of an artifact, stored answers of cases to every subset of what they have. Out: `Deck`, `Asked`, squared
distances between them.

Distances are between answers, to all that is shared and to each shared modality alone; what a training case lacks
counts as far as two training patients drawn at random. A patient's own training cases are infinitely far: nobody is a
neighbour of oneself. No model runs here and nothing is fitted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray as Array
from scipy.spatial.distance import cdist

from clinic_mm.predict.bank import Bank, codes_of
from clinic_mm.predict.prediction import Prediction
from clinic_mm.predict.seen import patient_hash

TOGETHER: Final = 0.5
"""Share of the answer to everything shared in the distance; the rest is the mean over modalities."""
FLOOR: Final = 1e-6
SQUARED: Final = "sqeuclidean"


@dataclass(frozen=True, slots=True)
class Deck:
    """A bank made ready for many cases.

    Attributes:
        bank: What it is of.
        codes: Of what each training case has.
        log: Logarithms of its answers.
        alone: Centred logarithms of the answers to each modality alone, in units of the distance between two training
            cases drawn at random; 0 where absent.
        scale: Of these units.
        patients: Whose cases they are.
        person: The same as numbers, patient by patient.
        most: Training cases of one patient, at most.
    """

    bank: Bank
    codes: Int[Array, " N"]
    log: Float[Array, "N k C"]
    alone: Float[Array, "N M C"]
    scale: Float[Array, " M"]
    patients: frozenset[str]
    person: Int[Array, " N"]
    most: int


@dataclass(frozen=True, slots=True)
class Asked:
    """Cases that ask about training cases.

    Attributes:
        codes: Of what each has.
        answers: By subset, as in the bank.
        set_size: Classes in each prediction set.
        patients: Hashed pseudonyms.
    """

    codes: Int[Array, " n"]
    answers: Float[Array, "n k C"]
    set_size: Int[Array, " n"]
    patients: tuple[str, ...]

    def now(self, cases: Int[Array, " c"]) -> Float[Array, "c C"]:
        """Answers of some cases to all that they have."""
        answer: Array = self.answers[cases, self.codes[cases]]
        return answer


@lru_cache(maxsize=1)
def dealt(bank: Bank) -> Deck:
    """Make a bank ready; the one at hand is kept, since unit after unit asks for it. Its arrays must not change."""
    log = np.log(np.clip(bank.answers.astype(np.float64), FLOOR, 1.0))
    columns = range(len(bank.names))
    alone = np.stack([centred(log[:, 1 << column]) for column in columns], axis=1)
    scale = np.array([_apart(alone[bank.present[:, column], column]) for column in columns])
    alone = np.where(bank.present[:, :, None], alone / scale[:, None], 0.0)
    _, person, count = np.unique(np.array(bank.patients, dtype=str), return_inverse=True, return_counts=True)
    most = int(count.max(initial=1))
    return Deck(bank, codes_of(bank.present), log, alone, scale, frozenset(bank.patients), person, most)


def centred(log: Float[Array, "... C"]) -> Float[Array, "... C"]:
    """Logarithms of answers without what a softmax takes away."""
    u: Array = log - log.mean(axis=-1, keepdims=True)
    return u


def _apart(u: Float[Array, "n C"]) -> float:
    """Root mean square distance of two rows drawn at random; 1 where all are equal."""
    return float(np.sqrt(2 * u.var(axis=0).sum())) or 1.0 if len(u) else 1.0


def distances(
    deck: Deck, asked: Asked, cases: Int[Array, " n"], donors: Int[Array, " d"], together: Float[Array, "d C"]
) -> Float[Array, "n d"]:
    """Squared distances of cases with one pattern to donors; infinite for the patient's own training cases.

    Args:
        deck: Training cases.
        asked: What the cases were answered.
        cases: Rows of it that share one pattern.
        donors: Rows of the deck.
        together: Centred logarithms of the donors' answers to all that they share with the pattern.
    """
    code = int(asked.codes[cases[0]])
    columns = [column for column in range(len(deck.bank.names)) if code >> column & 1]
    total = np.zeros((len(cases), len(donors)))
    for column in columns:
        mine = centred(np.log(np.clip(asked.answers[cases, 1 << column], FLOOR, 1.0))) / deck.scale[column]
        total += np.where(deck.bank.present[donors, column], cdist(mine, deck.alone[donors, column], SQUARED), 1.0)
    if columns:
        mine = centred(np.log(np.clip(asked.answers[cases, code], FLOOR, 1.0)))
        scale = _apart(together)
        total = (1 - TOGETHER) * total / len(columns) + TOGETHER * cdist(mine / scale, together / scale, SQUARED)
    if not deck.patients.isdisjoint(asked.patients):
        total[_same(deck.bank, asked, cases, donors)] = np.inf
    return total


def _same(bank: Bank, asked: Asked, cases: Int[Array, " n"], donors: Int[Array, " d"]) -> Bool[Array, "n d"]:
    """Which donors are training cases of the patient who asks: nobody is a neighbour of oneself."""
    mine = np.array([asked.patients[case] for case in cases])
    same: Array = mine[:, None] == np.array(bank.patients)[donors]
    return same


def asked_of(bank: Bank, predictions: Sequence[Prediction]) -> Asked:
    """Stored answers in the order of a bank."""
    bit = {name: 1 << column for column, name in enumerate(bank.names)}
    code = {key: sum(bit[name] for name in key.split("+") if name) for p in predictions for key in p.subsets}
    answers = np.full((len(predictions), *bank.answers.shape[1:]), np.nan)
    for row, prediction in enumerate(predictions):
        answers[row, [code[key] for key in prediction.subsets]] = list(prediction.subsets.values())
    return Asked(
        np.array([sum(bit[name] for name in p.pattern) for p in predictions], dtype=np.int64),
        answers,
        np.array([len(p.prediction_set.classes) for p in predictions], dtype=np.int64),
        tuple(patient_hash(p.patient_key) for p in predictions),
    )
