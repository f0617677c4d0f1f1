"""Learn what the numbers of a record are like, so that a result in another unit stands out.

In:  plain summaries of training records, the prep that says what they are of. Out: `predict.unit_shift.UnitShift`.

A number is looked at where all of training has it above 0: concentrations, counts, pressures. What else it could be in
follows from its LOINC code and `schemas/units.toml`; for a code that is not known there, from powers of ten and the
factors of glucose and creatinine.
"""

from dataclasses import replace
from typing import Final

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray as Array

from clinic_mm.predict.unit_shift import UnitShift
from clinic_mm.prep.base import Prep
from clinic_mm.prep.record import RecordPrep
from clinic_mm.signals import Signal
from clinic_mm.sources.record.units import taken_for

VALUES: Final = ("last", "min", "max")
"""Summaries that are a value of their own; a mean of two units lies between them."""
FEWEST_VALUES: Final = 20
LEAST_SPREAD: Final = 0.02
"""On the natural logarithm: 2 %, the imprecision of an analyser."""
TAIL: Final = 0.05
TAIL_SD: Final = 1.6449


def fit_unit_shift(
    prep: Prep[Signal], plain: Float[Array, "k p"], fold: Int[Array, " k"], n: int, rate: float
) -> UnitShift | None:
    """Learn from records; None where they hold no number that could be in another unit."""
    if not isinstance(prep, RecordPrep):
        return None
    blank = _alternatives(prep, plain, n, rate)
    if not len(blank.owner):
        return None
    gains = np.full(len(plain), -np.inf)
    for k in np.unique(fold):
        gains[fold == k] = _spread(blank, plain[fold != k]).gains(plain[fold == k]).max(axis=1)
    rank = min(int(np.ceil((len(gains) + 1) * (1 - rate))), len(gains))
    return replace(_spread(blank, plain), threshold=max(float(np.sort(gains)[rank - 1]), 0.0))


def _alternatives(prep: RecordPrep, plain: Float[Array, "k p"], n: int, rate: float) -> UnitShift:
    """Which summaries are looked at, and what else each could be in; not yet what they are like."""
    cells = [(f, prep.summaries[cell] if f.how == "number" else "") for f in prep.features for cell in prep.cells(f)]
    names: list[str] = []
    columns: list[int] = []
    found: list[tuple[int, str, float, float]] = []
    for column, (feature, summary) in enumerate(cells):
        there = plain[np.isfinite(plain[:, column]), column]
        if summary not in VALUES or len(there) < FEWEST_VALUES or not (there > 0).all():
            continue
        found += [(len(names), *other) for other in taken_for(feature.code, feature.detail)]
        names.append(f"{feature.name} {summary}")
        columns.append(column)
    zeros = np.zeros(len(names))
    owner, units, scale, offset = zip(*found, strict=True) if found else ((), (), (), ())
    return UnitShift(
        names=tuple(names),
        column=np.array(columns, np.int64),
        centre=zeros,
        below=zeros,
        above=zeros,
        owner=np.array(owner, np.int64),
        scale=np.array(scale, float),
        offset=np.array(offset, float),
        units=tuple(units),
        threshold=0.0,
        rate=rate,
        n=n,
    )


def _spread(blank: UnitShift, plain: Float[Array, "k p"]) -> UnitShift:
    """With middles and spreads of some records; what they lack altogether is taken as nothing unusual."""
    value = plain[:, blank.column].astype(np.float64)
    logs = np.log(np.where(value > 0, value, np.nan))
    logs[:, np.isnan(logs).all(axis=0)] = 0.0
    low, centre, high = np.nanquantile(logs, (TAIL, 0.5, 1 - TAIL), axis=0)
    below = np.maximum((centre - low) / TAIL_SD, LEAST_SPREAD)
    above = np.maximum((high - centre) / TAIL_SD, LEAST_SPREAD)
    return replace(blank, centre=centre, below=below, above=above)
