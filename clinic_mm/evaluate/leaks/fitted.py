"""Numbers that were fitted on all patients before they came here: standardised, centred, or scaled by their quartiles.

In:  numbers by column: of records, of omics. Out: leaks.

Whoever scales a table over all patients lets those that are tested later into what training sees. It shows: over just
these rows the mean is 0 and the spread is 1 to the digit, which scores against a reference population never are.

    standardised  |mean| <= t and |sd - 1| <= t, sd over n or n - 1;  t = 0.0005 / sqrt(n)
    centred       |mean| <= 5e-7 sd / sqrt(n)
    quartiles     median and (q3 - q1) - 1 within 1e-6 of 0

Scores against a reference population (sd of the mean 1 / sqrt(n), of the sd 1 / sqrt(2 n)) meet any of them by chance
in about one column of a million, whatever n. Not found: scaling between least and greatest, ranks, a table rounded to
few digits, a table scaled together with rows that are not here, and how its columns were chosen.
"""

from collections.abc import Iterable
from typing import Final

import numpy as np
import pandas as pd
from jaxtyping import Float
from numpy import ndarray as Array

from clinic_mm.evaluate.leaks.findings import Found, Leak, Looked
from clinic_mm.signals import OmicsSample

FEWEST: Final = 20
"""Rows of a column, and different values in it, below which nothing is said."""
CLOSE: Final = 5e-4
EXACT: Final = 1e-6
CENTRED: Final = 5e-7
MOST_NAMED: Final = 5
SHARE: Final = 0.5
"""Of the features of an assay: normalised together, all of them are; by chance, a few."""
MEND: Final = "Give the numbers as they were measured; training learns centre and spread from training patients alone"


def fitted_on_all(n: Array, mean: Array, variance: Array) -> Array:
    """Which columns are standardised or centred over just these rows.

    Args:
        n: Rows of each column [p].
        mean: Their means [p].
        variance: Their variances over n [p].
    """
    sd = np.sqrt(variance)
    other = np.sqrt(variance * n / np.maximum(n - 1, 1))
    root = np.sqrt(np.maximum(n, 1))
    spread = np.minimum(np.abs(sd - 1), np.abs(other - 1))
    standardised = (np.abs(mean) <= CLOSE / root) & (spread <= CLOSE / root)
    centred = np.abs(mean) <= CENTRED * sd / root
    found: Array = (n >= FEWEST) & (sd > 0) & (standardised | centred)
    return found


def fitted_records(rows: pd.DataFrame, asked: frozenset[str]) -> Found:
    """Columns of records.

    Args:
        rows: Columns patient_key, code, value, unit, of all patients of the cohort.
        asked: Patients of the task: a table may be scaled over all of the cohort, or over these.
    """
    numbers = rows[np.isfinite(rows["value"])]
    (every, of), (mine, _) = (_columns(some) for some in (numbers, numbers[numbers["patient_key"].isin(asked)]))
    codes = sorted({*every, *mine})
    named = ", ".join(codes[:MOST_NAMED]) + ", ..." * (len(codes) > MOST_NAMED)
    return _told("record", len(codes), of, f"columns of record ({named})")


def fitted_omics(name: str, samples: Iterable[tuple[OmicsSample, bool]]) -> Found:
    """Features of one assay, gone through once.

    Args:
        name: Of the modality.
        samples: All of the cohort, and whether each is of a patient of the task.
    """
    lists: dict[tuple[str, ...], Array] = {}
    for sample, asked in samples:
        x = np.asarray(sample.values, np.float64)
        there = np.isfinite(x)
        one = np.stack([there, np.where(there, x, 0.0), np.where(there, x, 0.0) ** 2])
        kept = lists.setdefault(sample.features, np.zeros((2, 3, len(x))))
        kept[: 1 + asked] += one
    counted = np.array([_features(kept) for kept in lists.values()]).reshape(-1, 2).sum(axis=0)
    of, n = (int(count) for count in counted)
    return _told(name, n if n >= max(SHARE * of, 1) else 0, of, f"features of {name}")


def _columns(numbers: pd.DataFrame) -> tuple[list[str], int]:
    """Codes of the columns that are fitted, and how many were looked at."""
    by = numbers.groupby(["code", "unit"], sort=False, observed=True)["value"]
    counts = by.agg(["size", "nunique"])
    enough = counts[counts.min(axis=1) >= FEWEST].index
    columns = [(str(code), by.get_group((code, unit)).to_numpy(np.float64)) for code, unit in enough]
    return [code for code, x in columns if _quartiles(x) or _one_is(x)], len(columns)


def _one_is(x: Float[Array, " n"]) -> bool:
    return bool(fitted_on_all(*(np.array([told]) for told in (len(x), x.mean(), x.var())))[0])


def _quartiles(x: Float[Array, " n"]) -> bool:
    low, median, high = np.quantile(x, (0.25, 0.5, 0.75))
    return bool(abs(median) <= EXACT and abs(high - low - 1) <= EXACT)


def _features(kept: Float[Array, "2 3 p"]) -> tuple[int, int]:
    """How many features vary, and how many of them are fitted: over all samples, or over those of the task."""
    n, total, squares = kept[:, 0], kept[:, 1], kept[:, 2]
    mean = total / np.maximum(n, 1)
    variance = np.maximum(squares / np.maximum(n, 1) - mean**2, 0.0)
    return int((variance[0] > 0).sum()), int(fitted_on_all(n, mean, variance).any(axis=0).sum())


def _told(name: str, n: int, of: int, which: str) -> Found:
    how = "mean 0 and spread 1 to the digit over these rows"
    looked = Looked(check=f"numbers of {name} scaled over all patients", of=of, found=n, how=how)
    if not n:
        return Found(looked=(looked,))
    verb = "was" if n == 1 else "were"
    what = f"{n} of {of} {which} {verb} scaled over all patients, those that are tested among them"
    leak = Leak(code="fitted.all_patients", severity="error", modality=name, what=what, mend=MEND, n=n)
    return Found((leak,), (looked,))
