"""Learn which training cases are near for the sake of notes: what the evidence foretells of the findings they name.

In:  plain summaries by modality, what each note says of findings. Out: a map from summaries to a few coordinates per
modality, the coordinates of the training cases by maps that did not see them, how many neighbours should vote.

The coordinates are ridge predictions (Hoerl & Kennard 1970, doi 10.1080/00401706.1970.10488634) of the principal
components of the findings. A component that the evidence does not foretell out of fold weighs nothing, so that a cohort
whose evidence tells nothing of its notes gets drafts of what notes mostly say, and not of chance neighbours.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float, Float32, Int
from numpy import ndarray as Array

from clinic_mm.cohort.split import folds
from clinic_mm.drafting.bank import Bank, Foretell, similarities
from clinic_mm.drafting.choose import says
from clinic_mm.drafting.findings import Mention, mentions

COMPONENTS: Final = 4
FOLDS: Final = 5
PENALTIES: Final = tuple(10.0**power for power in range(7))
SCORE: Final = {"": 2.0, "mild": 1.0, "moderate": 2.0, "severe": 3.0}
DENIED: Final = -1.0
NEIGHBOURS: Final = (5, 10, 20, 50, 100, 200, 500)
"""Numbers of voting cases that are tried, beside all."""
TRIED_CASES: Final = 500
"""Training cases by which the number is chosen, each without the cases of its own patient."""
PRIOR_VOTES: Final = 2.0


@dataclass(frozen=True, slots=True)
class Near:
    """Maps of each modality, coordinates of the training cases out of fold, and what was foretold.

    `foretold`: by modality, the share of the variance of each component that is foretold out of fold.
    """

    foretell: dict[str, Foretell]
    u: dict[str, Float32[Array, "n r"]]
    foretold: dict[str, list[float]]


def finding_scores(notes: Sequence[str], patients: Array, k: int) -> Float[Array, "n f"]:
    """What each note says of each finding that at least k patients' notes name.

    0 where it is not named, −1 where it is denied, else by grade.
    """
    said = [mentions(note) for note in notes]
    owners: dict[str, set[str]] = {}
    for patient, some in zip(patients.tolist(), said, strict=True):
        for one in some:
            owners.setdefault(one.finding, set()).add(patient)
    column = {name: place for place, name in enumerate(sorted(f for f, who in owners.items() if len(who) >= k))}
    scores = np.zeros((len(notes), len(column)))
    for row, some in enumerate(said):
        for one in some:
            if one.finding in column:
                scores[row, column[one.finding]] = _score(one)
    return scores


def _score(one: Mention) -> float:
    return DENIED if one.denied else SCORE[one.grade]


def fit_near(plain: Mapping[str, Float[Array, "n p"]], scores: Float[Array, "n f"], patients: Array, seed: int) -> Near:
    """Fit the maps.

    Args:
        plain: Plain summaries by modality, rows of NaN where absent.
        scores: What each note says of findings.
        patients: Whose each case is.
        seed: Of the folds.
    """
    fold = folds(patients.tolist(), [None] * len(patients), FOLDS, seed)
    target = _components(scores)
    foretell, u, foretold = {}, {}, {}
    for name, summaries in plain.items():
        foretell[name], u[name], foretold[name] = _one(summaries, target, fold)
    # One scale for all, so that what is foretold well counts more: mean squared distance 2 of two cases at random.
    spread = np.mean([np.nanvar(some, axis=0).sum() for some in u.values()])
    scale = np.float32(1 / np.sqrt(spread)) if spread > 0 else np.float32(1)
    scaled = {name: Foretell(one.centre, one.spread, one.weight * scale) for name, one in foretell.items()}
    return Near(scaled, {name: some * scale for name, some in u.items()}, foretold)


def _components(scores: Float[Array, "n f"]) -> Float[Array, "n r"]:
    """Principal components of the standardised scores, each of unit variance; at least one column."""
    spread = scores.std(axis=0)
    z = (scores - scores.mean(axis=0))[:, spread > 0] / spread[spread > 0]
    if not z.size:
        return np.zeros((len(scores), 1))
    left, values, _ = np.linalg.svd(z, full_matrices=False)
    count = min(COMPONENTS, int((values > 1e-9).sum()))
    components: Float[Array, "n r"] = left[:, :count] * np.sqrt(len(z))
    return components


def _one(
    plain: Float[Array, "n p"], target: Float[Array, "n r"], fold: Int[Array, " n"]
) -> tuple[Foretell, Float32[Array, "n r"], list[float]]:
    """Map, coordinates out of fold and shares foretold of one modality."""
    known = np.isfinite(plain).any(axis=1)
    centre, spread = _standard(plain[known])
    z = Foretell(centre, spread, np.zeros((plain.shape[1], 0), np.float32)).standardised(plain[known]).astype(float)
    t, parts = target[known], fold[known]
    foreseen = np.zeros((len(PENALTIES), *t.shape))
    for part in np.unique(parts):
        inside = parts != part
        foreseen[:, ~inside] = z[~inside] @ _ridge(z[inside], t[inside])
    error = ((foreseen - t) ** 2).sum(axis=1)
    best = error.argmin(axis=0)
    share = 1 - error.min(axis=0) / np.maximum((t**2).sum(axis=0), 1e-12)
    columns = np.arange(t.shape[1])
    weight = _ridge(z, t)[best, :, columns].T * (share > 0)
    u = np.full(target.shape, np.nan, np.float32)
    u[known] = foreseen[best, :, columns].T * (share > 0)
    return Foretell(centre, spread, weight.astype(np.float32)), u, [round(max(0.0, float(s)), 4) for s in share]


def _standard(plain: Float[Array, "n p"]) -> tuple[Float32[Array, " p"], Float32[Array, " p"]]:
    """Centre and spread of each summary over the rows that know it; 0 and 1 where there is nothing to tell."""
    known = np.isfinite(plain)
    count = np.maximum(known.sum(axis=0), 1)
    values = np.where(known, plain, 0.0).astype(np.float64)
    centre = values.sum(axis=0) / count
    spread = np.sqrt((np.where(known, values - centre, 0.0) ** 2).sum(axis=0) / count)
    return centre.astype(np.float32), np.where(spread > 1e-6, spread, 1.0).astype(np.float32)


def _ridge(z: Float[Array, "n p"], t: Float[Array, "n r"]) -> Float[Array, "a p r"]:
    """Ridge weights for every penalty: V diag(s / (s² + a)) Uᵀ t."""
    left, s, right = np.linalg.svd(z, full_matrices=False)
    along = left.T @ t
    return np.stack([right.T @ ((s / (s**2 + penalty))[:, None] * along) for penalty in PENALTIES])


def best_neighbours(bank: Bank) -> int:
    """How many of the nearest cases foresee what a note says, by log loss on cases whose patients do not vote.

    The largest number whose loss is within one standard error of the best (Breiman et al. 1984): where the nearest do
    not foresee more than all, all vote.
    """
    rows = np.unique(np.linspace(0, len(bank) - 1, min(TRIED_CASES, len(bank))).astype(int))
    near = similarities(bank, {name: u[rows] for name, u in bank.u.items()})
    patients = np.array(bank.patients)
    others = patients[rows][:, None] != patients[None]
    near[~others] = 0.0
    told = _told(bank)
    rank = np.argsort(np.argsort(-near, axis=1, kind="stable"), axis=1)
    prior = (others @ told + 0.5) / (others.sum(axis=1, keepdims=True) + 1)  # the own patient says nothing of itself
    losses = {}
    for count in (*(count for count in NEIGHBOURS if count < len(bank)), len(bank)):
        votes = np.where(rank < count, near, 0.0)
        rate = (votes @ told + PRIOR_VOTES * prior) / (votes.sum(axis=1, keepdims=True) + PRIOR_VOTES)
        losses[count] = -np.where(told[rows], np.log(rate), np.log1p(-rate)).mean(axis=1)
    best = min(losses, key=lambda count: losses[count].mean())
    worse = {count: loss - losses[best] for count, loss in losses.items()}
    return max(n for n, loss in worse.items() if loss.mean() <= loss.std(ddof=1) / np.sqrt(len(rows)))


def _told(bank: Bank) -> Float[Array, "n g"]:
    """Which things that can be said each note says."""
    number: dict[Hashable, int] = {}
    meant = [number.setdefault(says(sentence), len(number)) for sentence in bank.sentences]
    told = np.zeros((len(bank), max(1, len(number))))
    for row, said in enumerate(bank.said):
        told[row, [meant[s] for s in said]] = 1.0
    return told
