"""Prediction sets by Mondrian conformal prediction: thresholds per availability pattern, at every level of a grid.

In:  calibrated probabilities and patterns. Out: for each case the classes that cannot be ruled out at a level.
Score: 1 - probability of the class. A class stands in the set where its score is at most the threshold of the case's
pattern, or, class-conditionally, of the pattern and the class. What is too rare for a threshold of its own borrows that
of its size, then that of all cases. A set is never empty: the most probable class always stands in it.

Thresholds that come from second-level out-of-fold scores promise *approximately*; with `guarantee = "split"` they come
from patients held out of all fitting, and promise exactly that a new patient's set holds the truth with the chance of
the level, as long as the pattern has a threshold of its own and patients keep coming as they came.

Nothing here fits: `training.thresholds` does. Thresholds are order statistics of the scores of unknown patients, cut to
three digits; no row, no label and no feature of anybody stands in them.

Source: Mondrian and label-conditional, Vovk, Gammerman & Shafer 2005, §4.5, doi:10.1007/b106715; the score, Sadinle,
Lei & Wasserman, doi:10.1080/01621459.2017.1395341; several cases of a patient, Lee, Barber & Willett, arXiv 2306.06342.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray as Array

from clinic_mm.errors import UsageError
from clinic_mm.fusion.pool import Pattern, pattern_of

LEVELS: Final = tuple(k / 100 for k in range(50, 100))
"""Levels that thresholds are kept at; one between two is answered by the next higher one."""
FEWEST: Final = 30
"""Calibration patients below which a pattern borrows."""
EDGE: Final = 1e-9

Guarantee = Literal["approximate", "split"]
Source = Literal["pattern", "size", "all"]


class Group(NamedTuple):
    """Thresholds of one group of calibration patients: of a pattern, a size, or all.

    Attributes:
        score: Largest score that stays in the set, at each level; one row for all classes, or one per class.
        n: Patients behind each row; those masked down to the pattern count as far as they weigh.
        own: Patients among them who had exactly this evidence.
    """

    score: Float[Array, "k L"]
    n: Float[Array, " k"]
    own: Float[Array, " k"]


class Shown(NamedTuple):
    """What sets of out-of-fold cases with exactly one pattern showed, by thresholds that did not see them.

    Attributes:
        n: Patients; one number, or one per class.
        hits: How many of their sets held the truth, at each level.
        size: Mean number of classes in a set, at each level.
    """

    n: Float[Array, " k"]
    hits: Float[Array, "k L"]
    size: Float[Array, " L"]


class Rule(NamedTuple):
    """What one pattern is judged by at the level that is asked.

    Attributes:
        score: Threshold of each class, or one for all.
        n: Fewest patients behind any of them.
        own: Fewest of those with exactly this evidence.
        source: The coarsest group that any of them was taken from.
    """

    score: Float[Array, " k"]
    n: int
    own: int
    source: Source


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Thresholds by pattern, by size, and for all.

    Attributes:
        names: Modalities, in the order of the columns of `present`.
        level: What is asked: the share of patients whose set holds the truth.
        pattern: Groups by pattern.
        size: Groups by the number of modalities.
        every: Of all calibration cases with all that they have.
        levels: The grid that scores are kept at.
        shown: By pattern what out-of-fold cases showed.
        guarantee: "split" if the calibration patients were held out of all fitting.
    """

    names: tuple[str, ...]
    level: float
    pattern: Mapping[Pattern, Group]
    size: Mapping[int, Group]
    every: Group
    levels: tuple[float, ...] = LEVELS
    shown: Mapping[Pattern, Shown] = field(default_factory=dict)
    guarantee: Guarantee = "approximate"

    @property
    def class_conditional(self) -> bool:
        """Whether every class has a threshold of its own."""
        return len(self.every.n) > 1

    @property
    def place(self) -> int:
        """Place of the level in the grid; of the next higher one, where it is not in it."""
        return int(np.searchsorted(np.asarray(self.levels), self.level - EDGE))

    def at(self, level: float) -> "Thresholds":
        """The same, asked at another level.

        Raises:
            UsageError: If the grid does not reach it.
        """
        if not self.levels[0] - EDGE <= level <= self.levels[-1] + EDGE:
            known = f"{self.levels[0]:g} to {self.levels[-1]:g}" if len(self.levels) > 1 else f"{self.levels[0]:g}"
            raise UsageError(f"This model has no thresholds at {level:g}", "--level", f"It has them at {known}")
        return replace(self, level=level)

    def of(self, pattern: Pattern) -> Rule:
        """What a pattern is judged by; each class borrows for itself."""
        groups = ((self.pattern.get(pattern), "pattern"), (self.size.get(len(pattern)), "size"), (self.every, "all"))
        known: list[tuple[Group, Source]] = [(group, source) for group, source in groups if group is not None]  # type: ignore[misc]
        taken = [_first(known, row) for row in range(len(self.every.n))]
        exact = self.shown.get(pattern) or self.pattern.get(pattern)
        return Rule(
            score=np.array([group.score[row, self.place] for row, (group, _) in enumerate(taken)]),
            n=int(min(group.n[row] for row, (group, _) in enumerate(taken)) + EDGE),
            own=0 if exact is None else int(_exactly(exact).min() + EDGE),
            source=max((source for _, source in taken), key=("pattern", "size", "all").index),
        )

    def sets(self, probabilities: Float[Array, "n C"], present: Bool[Array, "n M"]) -> Bool[Array, "n C"]:
        """Which classes stand in the set of each case."""
        patterns, whose = np.unique(present, axis=0, return_inverse=True)
        width = len(self.every.n)
        rules = np.array([self.of(self.pattern_of(row)).score for row in patterns]).reshape(len(patterns), width)
        return stands(probabilities, rules[whose.ravel()])

    def pattern_of(self, present: Bool[Array, " M"]) -> Pattern:
        """Sorted names of a subset."""
        return tuple(sorted(np.array(self.names)[present]))


def _exactly(kept: "Group | Shown") -> Float[Array, " k"]:
    """Patients with exactly one pattern; a pattern that borrows has no group of its own, and is only shown."""
    return kept.n if isinstance(kept, Shown) else kept.own


def _first(groups: list[tuple[Group, Source]], row: int) -> tuple[Group, Source]:
    """The finest group with enough patients; the last one answers in any case."""
    return next(((group, source) for group, source in groups[:-1] if group.n[row] >= FEWEST - EDGE), groups[-1])


def stands(probabilities: Float[Array, "n C"], score: Float[Array, "n k"]) -> Bool[Array, "n C"]:
    """Which classes stand in sets by given thresholds: those not above them, and the most probable one."""
    inside: Array = (1.0 - probabilities) <= score + 1e-12
    inside[np.arange(len(inside)), probabilities.argmax(axis=1)] = True
    return inside


def conformal_quantile(
    scores: Float[Array, " n"],
    weight: Float[Array, " n"],
    level: Float[Array, "*q"] | float,
    beyond: Float[Array, "*q"] | float = 1.0,
) -> Float[Array, "*q"]:
    """The threshold that a new case's score exceeds with a chance of at most 1 - level.

    The least score s with sum of weights of scores up to s >= level * (sum of all weights + beyond); 1, which is no
    threshold, where there is none.

    Args:
        scores: Of the true classes of calibration cases, in [0, 1].
        weight: Of each: 1 / number of a patient's cases, so that patients count alike; times a likelihood ratio under
            covariate shift.
        level: One, or many.
        beyond: Weight of the new case itself, at an infinite score.

    Source: unit weights, Vovk et al. 2005; patients, Lee, Barber & Willett, arXiv 2306.06342, eq. for HCP; likelihood
    ratios, Tibshirani, Foygel Barber, Candes & Ramdas 2019, arXiv 1904.06019, lemma 3.
    """
    order = np.argsort(scores)
    passed = np.cumsum(weight[order])
    whole = passed[-1] if len(passed) else 0.0
    # 100 * 0.55 is 55.00000000000001 in floats, and would ask for the 56th.
    needed = np.asarray(level) * (whole + np.asarray(beyond)) - EDGE * max(1.0, whole)
    padded = np.append(scores[order], 1.0)
    found: Array = padded[np.searchsorted(passed, needed)]
    return found


def per_patient(patients: Array) -> Float[Array, " n"]:
    """Weights by which all cases of a patient together count as one."""
    _, whose, count = np.unique(patients, return_inverse=True, return_counts=True)
    weight: Array = 1.0 / count[whose]
    return weight


def single(score: float, n: int) -> Group:
    """A group with one threshold for all classes and one level."""
    return Group(np.array([[score]]), np.array([float(n)]), np.array([float(n)]))


def thresholds_told(thresholds: Thresholds) -> dict[str, Any]:
    """As JSON."""
    return {
        "level": thresholds.level,
        "levels": list(thresholds.levels),
        "guarantee": thresholds.guarantee,
        "thresholds": {"+".join(p): _told(group) for p, group in thresholds.pattern.items()},
        "by_size": {str(size): _told(group) for size, group in thresholds.size.items()},
        "every": _told(thresholds.every),
        "shown": {"+".join(p): _told(shown) for p, shown in thresholds.shown.items()},
    }


def thresholds_from(told: Mapping[str, Any], names: tuple[str, ...]) -> Thresholds:
    """Back from JSON; one level and one number per group where an older version wrote it."""
    levels = tuple(told.get("levels", [told["level"]]))
    return Thresholds(
        names,
        told["level"],
        {pattern_of(p): _group(group) for p, group in told["thresholds"].items()},
        {int(size): _group(group) for size, group in told["by_size"].items()},
        _group(told["every"]),
        levels,
        {
            pattern_of(p): Shown(*(np.array(shown[name]) for name in Shown._fields))
            for p, shown in told.get("shown", {}).items()
        },
        told.get("guarantee", "approximate"),
    )


def _told(rows: Group | Shown) -> dict[str, Any]:
    return {name: np.round(values, 9).tolist() for name, values in rows._asdict().items()}


def _group(told: Mapping[str, Any] | list[float]) -> Group:
    if isinstance(told, list):
        return single(told[0], int(told[1]))
    return Group(*(np.array(told[name], dtype=np.float64) for name in Group._fields))
