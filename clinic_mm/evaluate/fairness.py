"""Figures by sex, age band, site and language: each with its interval, and how far it lies from everybody else's.

In:  answers of one method to cases, and the groups of the cases. Out: one row per attribute, group and figure.

Intervals are of one bootstrap over patients in which a group and the rest are scored on the same draws, so that the
difference has an interval of its own. Equalised odds (Hardt, Price & Srebro 2016, arXiv 1610.02413): the larger of the
two distances in sensitivity and specificity; such a maximum is above zero by chance, so the mean over groups drawn at
random stands beside it. Calibration within groups (Pleiss et al. 2017, arXiv 1709.02012): mean probability − observed.

A group below 30 patients, or with fewer than 10 of a class, gets no figure but the reason; groups below 10 are put
together without their names. Nothing here judges what is fair.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Float64, Int
from numpy import ndarray as Array

from clinic_mm.bundle import policy
from clinic_mm.evaluate.bootstrap import draw_counts, percentile
from clinic_mm.evaluate.metrics import auroc, brier
from clinic_mm.evaluate.withheld import REST as REST
from clinic_mm.evaluate.withheld import UNKNOWN as UNKNOWN
from clinic_mm.evaluate.withheld import few_of, merged, told_counts

DRAWS: Final = 500
PERMUTED: Final = 100
LEVEL: Final = 0.95
Counts = Float64[Array, "R n"]
Figure = Callable[[Array, Counts], Float64[Array, " R"]]
"""(rows, counts of all rows) → one value per draw."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What one method said, one row per case.

    Attributes:
        probs: Probabilities.
        labels: Classes.
        patients: Patient of each row.
        prior: Base rate in training: a second threshold, where the most probable class is seldom the rarer one.
        covered: Whether the prediction set holds the class; NaN where there are no sets.
    """

    probs: Float[Array, "n C"]
    labels: Int[Array, " n"]
    patients: Array
    prior: Float[Array, " C"]
    covered: Float[Array, " n"]


def fairness(answers: Answers, groups: pd.DataFrame, *, n: int = DRAWS, seed: int = 0) -> pd.DataFrame:
    """Every figure of every group.

    Args:
        answers: Of one method.
        groups: One column per attribute, in the order of the rows; "" where not known.
        n: Bootstrap draws.
        seed: Of draws and permutations.

    Returns:
        attribute, group, n_patients, n_rarest (both "< 10" where few, rounded down where another group of the attribute
        is), figure, value, low, high, difference (from all others), difference_low, difference_high, by_chance (mean
        odds gap of groups drawn at random), withheld (why there is no figure).
    """
    figures = _figures(answers)
    _, index = np.unique(np.asarray(answers.patients), return_inverse=True)
    counts = np.concatenate(list(draw_counts(index, int(index.max()) + 1, n=n, seed=seed))) if len(index) else None
    most = int(policy("fairness")["small"]["most_levels"])
    rows: list[dict[str, Any]] = []
    for attribute in groups.columns:
        levels = merged(groups[attribute].to_numpy(dtype=str), answers.patients, most=most)
        sizes = {level: _size(answers, levels == level) for level in np.unique(levels)}
        if set(sizes) <= {UNKNOWN} or counts is None:
            continue
        shown = _shown(sizes)
        for level in sorted(sizes):
            inside = levels == level
            head = {"attribute": attribute, "group": level, **shown[level]}
            if why := _withheld(inside, level, sizes[level]):
                rows.append({**head, "figure": "", "withheld": why})
                continue
            rows += [{**head, **row, "withheld": ""} for row in _scored(figures, inside, counts)]
            rows += [{**head, **row, "withheld": ""} for row in _gaps(answers, figures, inside, counts, index, seed)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


COLUMNS: Final = (
    *("attribute", "group", "n_patients", "n_rarest", "figure", "value", "low", "high"),
    *("difference", "difference_low", "difference_high", "by_chance", "withheld"),
)


def _size(answers: Answers, inside: Bool[Array, " n"]) -> tuple[int, int]:
    """Patients, and patients of the rarest class."""
    of_class = [
        len(set(answers.patients[inside & (answers.labels == c)].tolist())) for c in range(answers.probs.shape[1])
    ]
    return len(set(answers.patients[inside].tolist())), min(of_class)


def _shown(sizes: Mapping[str, tuple[int, int]]) -> dict[str, dict[str, str]]:
    """Counts as they may be told."""
    patients, rarest = told_counts(*(list(column) for column in zip(*sizes.values(), strict=True)))
    return {level: {"n_patients": n, "n_rarest": few} for level, n, few in zip(sizes, patients, rarest, strict=True)}


def _withheld(inside: Bool[Array, " n"], level: str, size: tuple[int, int]) -> str:
    if level in (UNKNOWN, REST):
        return "no one group"
    if why := few_of(*size):
        return why
    return "everybody: nobody to compare with" if inside.all() else ""


def _scored(figures: Mapping[str, Figure], inside: Bool[Array, " n"], counts: Counts) -> Iterator[dict[str, Any]]:
    one = np.ones((1, len(inside)))
    for name, figure in figures.items():
        mine, theirs = figure(inside, counts), figure(~inside, counts)
        value, other = float(figure(inside, one)[0]), float(figure(~inside, one)[0])
        low, high = percentile(mine, LEVEL)
        apart_low, apart_high = percentile(mine - theirs, LEVEL)
        yield {
            "figure": name,
            "value": value,
            "low": low,
            "high": high,
            "difference": value - other,
            "difference_low": apart_low,
            "difference_high": apart_high,
            "by_chance": np.nan,
        }


def _gaps(
    answers: Answers,
    figures: Mapping[str, Figure],
    inside: Bool[Array, " n"],
    counts: Counts,
    index: Int[Array, " n"],
    seed: int,
) -> Iterator[dict[str, Any]]:
    """The equalised odds gap at each threshold, beside what a group of this size drawn at random shows."""
    rng = np.random.default_rng(seed)
    n_patients = int(index.max()) + 1
    size = len(set(index[inside].tolist()))
    one = np.ones((1, len(inside)))
    drawn = [np.isin(index, rng.permutation(n_patients)[:size]) for _ in range(PERMUTED)]
    for name, pair in ODDS.items():
        chance = [float(_odds(figures, pair, group, one)[0]) for group in drawn]
        low, high = percentile(_odds(figures, pair, inside, counts), LEVEL)
        gap = float(_odds(figures, pair, inside, one)[0])
        ends = {"difference": gap, "difference_low": low, "difference_high": high}
        nothing = {"value": np.nan, "low": np.nan, "high": np.nan}
        yield {"figure": name, **nothing, **ends, "by_chance": float(np.nanmean(chance))}


ODDS: Final[Mapping[str, tuple[str, str]]] = {
    "equalised odds gap": ("sensitivity", "specificity"),
    "equalised odds gap above the base rate": ("sensitivity above the base rate", "specificity above the base rate"),
}


def _odds(
    figures: Mapping[str, Figure], pair: tuple[str, str], inside: Bool[Array, " n"], counts: Counts
) -> Float64[Array, " R"]:
    apart = [np.abs(figures[name](inside, counts) - figures[name](~inside, counts)) for name in pair]
    gap: Float64[Array, " R"] = np.maximum(*apart)
    return gap


def _figures(answers: Answers) -> dict[str, Figure]:
    """Every figure as a function of rows and resample counts."""
    probs, y = answers.probs, answers.labels
    top = probs.argmax(axis=1)
    above = (probs / answers.prior).argmax(axis=1)  # of two classes: whether the second exceeds its base rate

    def of_metric(rows: Array, counts: Counts) -> Float64[Array, " R"]:
        return auroc.resampled(probs[rows], y[rows], counts[:, rows])

    def of_brier(rows: Array, counts: Counts) -> Float64[Array, " R"]:
        return brier.resampled(probs[rows], y[rows], counts[:, rows])

    positive = np.ones(len(y), dtype=int) if probs.shape[1] == 2 else top
    claimed = probs[np.arange(len(y)), positive] - (y == positive)
    made: dict[str, Figure] = {
        "AUROC": of_metric,
        "Brier": of_brier,
        "mean probability − observed": _mean(claimed),
        "sensitivity": _rate(top, y, probs.shape[1], of_class=True),
        "specificity": _rate(top, y, probs.shape[1], of_class=False),
        "sensitivity above the base rate": _rate(above, y, probs.shape[1], of_class=True),
        "specificity above the base rate": _rate(above, y, probs.shape[1], of_class=False),
    }
    return made | ({"coverage of the sets": _mean(answers.covered)} if np.isfinite(answers.covered).all() else {})


def _mean(values: Float[Array, " n"]) -> Figure:
    def figure(rows: Array, counts: Counts) -> Float64[Array, " R"]:
        chosen = counts[:, rows]
        total = chosen.sum(axis=1)
        mean: Float64[Array, " R"] = np.divide(
            chosen @ values[rows], total, out=np.full(len(counts), np.nan), where=total > 0
        )
        return mean

    return figure


def _rate(said: Int[Array, " n"], y: Int[Array, " n"], n_classes: int, *, of_class: bool) -> Figure:
    """Sensitivity (of the second class if there are two, else the mean over classes), or specificity likewise."""
    classes = [1] if n_classes == 2 else list(range(n_classes))

    def figure(rows: Array, counts: Counts) -> Float64[Array, " R"]:
        rates = []
        for c in classes:
            here = rows & ((y == c) == of_class)
            hit = (said == c) if of_class else (said != c)
            rates.append(_mean(hit.astype(float))(here, counts))
        mean: Float64[Array, " R"] = np.mean(rates, axis=0)
        return mean

    return figure
