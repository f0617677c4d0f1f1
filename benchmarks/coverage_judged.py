"""What all figures of coverage share: the simulated cohorts behind them, and how one pattern is judged.

In:  a seed and a way of being missing; rows with hit, size and pattern. Out: a fitted second level; a verdict.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import pandas as pd
from numpy import ndarray as Array

from benchmarks.latent_cohort import Cases, SecondLevel, cohort_of
from clinic_mm.evaluate.metrics import coverage
from clinic_mm.predict.conformal import Thresholds

LEVEL: Final = 0.9
SEEDS: Final = 20
ENOUGH, SOME, FEWEST_UPPER = 100, 30, 0.85
COMMAND: Final = "Made by `python -m benchmarks.coverage --part {} --page docs/trust.md`."


def cohorts(seeds: int) -> Iterator[tuple[SecondLevel, Cases, int]]:
    """Those of all seeds, evidence missing completely at random."""
    for seed in range(seeds):
        yield *cohort_of("MCAR", seed), seed


def sets_seen(thresholds: Thresholds, p: Array, present: Array, y: Array) -> pd.DataFrame:
    """One row per answer: its pattern, whether its set holds the truth, how large it is."""
    sets = thresholds.sets(p, present)
    return pd.DataFrame(
        {
            "pattern": ["+".join(thresholds.pattern_of(row)) for row in present],
            "hit": sets[np.arange(len(y)), y],
            "size": sets.sum(axis=1),
            "y": y,
        }
    )


def judged(rows: pd.DataFrame) -> pd.DataFrame:
    """Coverage of each pattern with its interval, widened over the patterns, and whether it is what was promised."""
    patterns = rows["pattern"].nunique()
    out = []
    for pattern, part in rows.groupby("pattern"):
        sets = np.column_stack([part["hit"], ~part["hit"].astype(bool)]).astype(bool)
        patients = part["patient"].to_numpy() if "patient" in part else None
        found = coverage(sets, np.zeros(len(part), dtype=int), patients, comparisons=patterns)
        holds, upper = found.allows(LEVEL), found.high >= FEWEST_UPPER
        fine = holds if found.n >= ENOUGH else upper
        out.append((pattern, found.n, found.estimate, found.low, found.high, part["size"].mean(), holds, upper, fine))
    names = ["pattern", "n", "coverage", "low", "high", "size", "holds", "upper", "fine"]
    return pd.DataFrame(out, columns=names)


def verdict(row: pd.Series) -> str:
    """What one line of `judged` says of the promise."""
    if row["n"] >= ENOUGH:
        return "kept" if row["holds"] else "**not kept**"
    if row["n"] >= SOME:
        return "not refuted" if row["upper"] else "**not kept**"
    return "too few to judge"


def cells(found: pd.DataFrame, row: object, columns: Sequence[str]) -> str:
    """Mean ± spread of some columns of one row."""
    return " | ".join(f"{found.loc[row, (c, 'mean')]:.3f} ± {found.loc[row, (c, 'std')]:.3f}" for c in columns)
