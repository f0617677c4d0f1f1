"""The prediction set of one answer, with all that must stand beside it.

In:  calibrated probabilities of one case, its pattern, the thresholds. Out: a `PredictionSet`.
"""

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

from clinic_mm.fusion.pool import Pattern
from clinic_mm.predict.conformal import Rule, Shown, Thresholds, stands
from clinic_mm.predict.interval import clopper_pearson
from clinic_mm.predict.prediction import PredictionSet, ShownCoverage


def prediction_set(
    thresholds: Thresholds,
    classes: tuple[str, ...],
    probabilities: Float[Array, " C"],
    pattern: Pattern,
    weighted: Rule | None = None,
) -> PredictionSet:
    """The classes that stand in the set, and what the set rests on; without evidence all classes stand in it.

    Args:
        thresholds: Of the model.
        classes: Their names.
        probabilities: Calibrated.
        pattern: Which modalities spoke.
        weighted: What the case is judged by instead, where sets are weighted to a new cohort.
    """
    rule, shown = weighted or thresholds.of(pattern), thresholds.shown.get(pattern)
    inside = stands(probabilities[None], rule.score[None])[0] if pattern else np.ones(len(classes), bool)
    own = rule.source == "pattern"
    return PredictionSet(
        level=thresholds.level,
        classes=tuple(c for c, kept in zip(classes, inside, strict=True) if kept),
        n=rule.n,
        n_exact=rule.own,
        guarantee=thresholds.guarantee if own and weighted is None else "approximate",
        borrowed="" if rule.source == "pattern" else rule.source,
        class_conditional=thresholds.class_conditional,
        shift="none" if weighted is None else "weighted",
        coverage=None if shown is None else _coverage(shown, thresholds.place),
        coverage_by_class=_by_class(shown, thresholds.place, classes) if thresholds.class_conditional else {},
    )


def _by_class(shown: Shown | None, place: int, classes: tuple[str, ...]) -> dict[str, ShownCoverage]:
    if shown is None:
        return {}
    return {name: _coverage(shown, place, k) for k, name in enumerate(classes) if shown.n[k] > 0}


def _coverage(shown: Shown, place: int, row: int | None = None) -> ShownCoverage:
    """Of one class, or of all patients."""
    n, hits = (shown.n.sum(), shown.hits[:, place].sum()) if row is None else (shown.n[row], shown.hits[row, place])
    low, high = clopper_pearson(float(hits), float(n))
    size = float(shown.size[place])
    return ShownCoverage(estimate=float(hits / n), low=low, high=high, n=round(float(n)), mean_size=size)
