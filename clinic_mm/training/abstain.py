"""Fit the rules by which a model stays silent, and see on out-of-fold answers whether silence lowers the risk.

In:  second-level rows with out-of-fold calibrated probabilities, the deployed pool, what the task asks for.
Out: predict.abstain.Silence.

Nothing is tuned on cases that are reported on: every row here is answered by parts that did not see its patient.
"""

from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray as Array

from clinic_mm.fusion.pool import LogPool, Pattern
from clinic_mm.predict.abstain import Judged, Silence, Skill, dispute, support
from clinic_mm.task import AbstainTask
from clinic_mm.training.secondlevel import Table

FEWEST_TO_JUDGE: Final = 10
"""Patients on either side below which a rule's effect on the risk cannot be told, so that it stays off."""
FEWEST_OF_SIZE: Final = 100
"""Cases with as many modalities below which the strength of disputes is taken from cases of all sizes."""
DRAWS: Final = 500


def fit_silence(table: Table, probabilities: Float[Array, "r C"], pool: LogPool, asked: AbstainTask) -> Silence:
    """All rules of a model.

    Args:
        table: Second-level rows.
        probabilities: Calibrated, out of fold, of each row.
        pool: The deployed pool, whose weights say what an expert's word is worth.
        asked: What the task wants.
    """
    native = np.flatnonzero(table.rows.native)
    case = table.rows.case[native]
    answers, labels, patients = probabilities[native], table.labels[case], table.patients[case]
    brier = np.square(answers - np.eye(answers.shape[1])[labels]).sum(axis=1) / 2
    strength = dispute(support(pool, table.opinions[case], table.present[case]))
    size = table.present[case].sum(axis=1)
    bounds = _bounds(strength, size, asked.contradiction)
    loud = strength > np.array([bounds.get(s, np.inf) for s in size])
    least = float(np.quantile(answers.max(axis=1), 1.0 - asked.answers)) if asked.answers < 1 else 0.0
    judged = {"contradiction": _judged(loud, brier, patients)}
    if least > 0:
        judged["undecided"] = _judged(answers.max(axis=1) < least, brier, patients)
    return Silence(
        skill=_skills(table, probabilities),
        natives=_natives(table),
        fewest=asked.fewest,
        dispute=bounds,
        least=least,
        whole_set=asked.whole_set,
        judged=judged,
    )


def _bounds(strength: Float[Array, " n"], size: Int[Array, " n"], share: float) -> dict[int, float]:
    """Strength of dispute that `share` of the cases exceed, by number of modalities from two on."""
    several = size >= 2
    if share <= 0 or not several.any():
        return {}
    every = float(np.quantile(strength[several], 1 - share))
    found = {}
    for s in range(2, int(size.max()) + 1):
        mine = strength[size == s]
        found[s] = float(np.quantile(mine, 1 - share)) if len(mine) >= FEWEST_OF_SIZE else every
    return found


def _judged(silent: Bool[Array, " n"], risk: Float[Array, " n"], patients: Array) -> Judged:
    """Whether those who would get no answer are those whose answer would be worse, by bootstrap over patients."""
    who, whose = np.unique(patients, return_inverse=True)
    n = len(np.unique(whose[silent]))
    if n < FEWEST_TO_JUDGE or len(np.unique(whose[~silent])) < FEWEST_TO_JUDGE:
        return Judged(False, n, _mean(risk[silent]), _mean(risk[~silent]), None)
    drawn = np.random.default_rng(0).multinomial(len(who), np.full(len(who), 1 / len(who)), size=DRAWS)[:, whose]
    sides = [(drawn[:, rows] @ risk[rows]) / np.maximum(drawn[:, rows].sum(axis=1), 1) for rows in (silent, ~silent)]
    low = float(np.quantile(sides[0] - sides[1], 0.025))
    return Judged(low > 0, n, _mean(risk[silent]), _mean(risk[~silent]), low)


def _mean(risk: Float[Array, " n"]) -> float:
    return float(risk.mean()) if len(risk) else 0.0


def _skills(table: Table, probabilities: Float[Array, "r C"]) -> dict[Pattern, Skill]:
    """Gain over the prior in NLL of every subset, over all cases that hold it; each patient counts once."""
    rows = table.rows
    labels = table.labels[rows.case]
    at = np.arange(len(labels))
    gain = np.log(np.maximum(probabilities[at, labels], 1e-12)) - np.log(table.prior[labels])
    patterns, whose = np.unique(rows.present, axis=0, return_inverse=True)
    found = {}
    for k, mask in enumerate(patterns):
        mine = whose.ravel() == k
        if (skill := _skill(gain[mine], table.patients[rows.case[mine]])) is not None:
            found[tuple(sorted(np.array(table.names)[mask]))] = skill
    return found


def _skill(gain: Float[Array, " k"], patients: Array) -> Skill | None:
    """None of one patient, who has no spread to hold a gain against."""
    _, whose, count = np.unique(patients, return_inverse=True, return_counts=True)
    each = np.bincount(whose, gain) / count
    if len(each) < 2:
        return None
    return Skill(float(each.mean()), float(each.std(ddof=1) / np.sqrt(len(each))), len(each))


def _natives(table: Table) -> dict[Pattern, int]:
    patterns, whose = np.unique(table.present, axis=0, return_inverse=True)
    whose = whose.ravel()
    return {
        tuple(sorted(np.array(table.names)[mask])): len(np.unique(table.patients[whose == k]))
        for k, mask in enumerate(patterns)
        if mask.any()
    }
