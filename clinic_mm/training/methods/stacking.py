"""Fit a head on the experts' opinions (stacking), linear or boosted, familiar with every subset.

In:  a lesson, whose opinions are out of fold. Out: `predict.headed.Headed`.
Each case is learnt from as it is and with random subsets of what it has; copies stay with their patient in any split.

The trap: opinions of experts on the cases that they were fitted on. An expert that learns by heart then looks like an
oracle, the head believes it alone, and is wrong with certainty on the next patient.

Source: Wolpert 1992, doi:10.1016/S0893-6080(05)80023-1; Ting & Witten 1999, doi:10.1613/jair.594.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
from pydantic import JsonValue

from clinic_mm.colearning.dropout import drawn_subset
from clinic_mm.predict.headed import Headed, table
from clinic_mm.predict.heads import Head
from clinic_mm.training.heads import fit_ridge, fit_trees
from clinic_mm.training.methods.base import Lesson
from clinic_mm.training.methods.late import labelled

COPIES: Final = 2
"""Of each case, with a random subset of what it has, beside the case as it is."""


def linear(lesson: Lesson, settings: Mapping[str, JsonValue]) -> Headed:
    """Ridge-logistic regression on log-odds and presence flags."""
    del settings
    return _stacked(lesson, boosted=False)


def boosted(lesson: Lesson, settings: Mapping[str, JsonValue]) -> Headed:
    """Boosted trees on the same; all copies of a case count as much as the case."""
    del settings
    return _stacked(lesson, boosted=True)


def _stacked(lesson: Lesson, *, boosted: bool) -> Headed:
    heard, rows = lesson.heard, labelled(lesson)
    generator = np.random.default_rng(lesson.seed)
    own = heard.present[rows]
    case = np.tile(rows, 1 + COPIES)
    present = np.concatenate([own, *(drawn_subset(own, generator) for _ in range(COPIES))])
    x = table("opinions", heard, lesson.prior, case, present)
    y, groups, n_classes = lesson.labels[case], lesson.patients[case], len(lesson.prior)
    head: Head
    if boosted:
        weight = np.repeat([1.0, 1.0 / COPIES], [len(rows), COPIES * len(rows)])
        head = fit_trees(x, y, n_classes, seed=lesson.seed, groups=groups, weight=weight, copies=1 + COPIES)
    else:
        head = fit_ridge(x, y, n_classes, seed=lesson.seed, groups=groups)
    return Headed(heard.names, lesson.prior, "opinions", head)
