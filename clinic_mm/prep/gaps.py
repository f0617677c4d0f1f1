"""Prepared cases with less: some of the cases, some of their modalities hidden, some parameters of their records gone.

In:  PreparedCases. Out: PreparedCases that look as if the rest had never been acquired.
A record that loses all it knew is absent, as it would be at preparation. Nothing here draws: the caller says what goes.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Int
from numpy import ndarray as Array

from clinic_mm.prep.base import Prep
from clinic_mm.prep.batch import PreparedCases, Recipe
from clinic_mm.prep.record import RecordPrep
from clinic_mm.signals import Signal


def take(prepared: PreparedCases, cases: Int[Array, " k"]) -> PreparedCases:
    """Some cases, in the order given."""
    row = {name: place[cases] for name, place in prepared.row.items()}
    return PreparedCases(
        cases=tuple(prepared.cases[c] for c in cases),
        names=prepared.names,
        x={name: prepared.x[name][place[place >= 0]] for name, place in row.items()},
        row={name: _renumbered(place >= 0) for name, place in row.items()},
        plain={name: plain[cases] for name, plain in prepared.plain.items()},
        present=prepared.present[cases],
        time_h=prepared.time_h[cases],
        outcomes=tuple(prepared.outcomes[c] for c in cases),
    )


def hide(prepared: PreparedCases, kept: Bool[Array, "n M"]) -> PreparedCases:
    """The same cases with only the modalities of `kept` present."""
    present = prepared.present & kept
    x, row, plain = {}, {}, {}
    for column, name in enumerate(prepared.names):
        here = present[:, column]
        x[name] = prepared.x[name][prepared.row[name][here]]
        row[name] = _renumbered(here)
        plain[name] = np.where(here[:, None], prepared.plain[name], np.nan).astype(np.float32)
    time_h = np.where(present, prepared.time_h, np.nan)
    return PreparedCases(prepared.cases, prepared.names, x, row, plain, present, time_h, prepared.outcomes)


def parameters(prep: Prep[Signal]) -> tuple[str, ...]:
    """For each plain summary the code of the parameter that it tells of; empty where a kind has no parameters."""
    if not isinstance(prep, RecordPrep):
        return ()
    return tuple(f.code for f in prep.features for _ in prep.cells(f))


def lose_parameters(prepared: PreparedCases, recipe: Recipe, gone: Mapping[str, Bool[Array, "n p"]]) -> PreparedCases:
    """The same cases without some parameters.

    Args:
        prepared: Cases.
        recipe: How they were prepared.
        gone: For each record of the recipe, which of its plain summaries are gone in which case. A parameter goes with
            all its summaries, and so do its cells in `x`.
    """
    x, plain, kept = dict(prepared.x), dict(prepared.plain), prepared.present.copy()
    for column, name in enumerate(prepared.names):
        prep = recipe.preps[name]
        if name not in gone or not isinstance(prep, RecordPrep):
            continue
        width = [len(prep.cells(f)) for f in prep.features]
        first = np.cumsum([0, *width[:-1]])
        lost = gone[name][:, first]
        here = prepared.present[:, column]
        x[name] = np.where(lost[here][:, :, None], np.nan, prepared.x[name]).astype(np.float32)
        plain[name] = np.where(gone[name], np.nan, prepared.plain[name]).astype(np.float32)
        tells = np.repeat([f.how != "listed" for f in prep.features], width)
        kept[:, column] &= np.isfinite(plain[name][:, tells if tells.any() else ~tells]).any(axis=1)
    left = PreparedCases(
        prepared.cases, prepared.names, x, prepared.row, plain, prepared.present, prepared.time_h, prepared.outcomes
    )
    return hide(left, kept)


def _renumbered(here: Bool[Array, " n"]) -> Int[Array, " n"]:
    return np.where(here, np.cumsum(here) - 1, -1)
