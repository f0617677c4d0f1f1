"""The answers that a comparison of methods rests on: of every method, on the test cases of every repeat.

In:  frames of answers, one row per kind, rate, case and pattern. Out: `Scored` rows in the order of their cases, so
that methods pair.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from jaxtyping import Float
from numpy import ndarray as Array

from clinic_mm.evaluate.bootstrap import Interval
from clinic_mm.evaluate.metrics import Metric
from clinic_mm.evaluate.missingness import drop_modalities
from clinic_mm.evaluate.repeats import Scored, repeated_interval
from clinic_mm.evaluate.table import ALL

SUBSET: Final = "subset"
PARAMETERS: Final = "parameters"
MODALITIES: Final = "modalities"


@dataclass(frozen=True, slots=True)
class Repeat:
    """One split.

    Attributes:
        cases: One row per test case: case_key, patient_key, label, own (its pattern).
        answers: One row per method, kind, rate, case and pattern: `case` is the row in `cases`.
        seed: Of what is dropped at test.
    """

    cases: pd.DataFrame
    answers: Mapping[str, pd.DataFrame]
    seed: int


@dataclass(frozen=True, slots=True)
class Compared:
    """All repeats; every method has answered all of them."""

    repeats: tuple[Repeat, ...]
    draws: int = 500
    level: float = 0.95

    @property
    def methods(self) -> tuple[str, ...]:
        """Methods that answered every repeat, in the order of the first."""
        first = self.repeats[0].answers
        return tuple(m for m in first if all(m in r.answers and len(r.answers[m]) for r in self.repeats))

    def interval(self, metric: Metric, terms: Sequence[Scored]) -> Interval:
        """With this comparison's draws and level."""
        return repeated_interval(metric, terms, n=self.draws, level=self.level)


def native(repeat: Repeat, method: str, pattern: str = ALL) -> Scored:
    """Answers to the cases with all that they have; of one pattern, or all."""
    found = subset_rows(repeat, method)
    own = repeat.cases["own"].to_numpy()[found["case"]]
    keep = (found["pattern"].to_numpy() == own) & ((own == pattern) | (pattern == ALL))
    return _scored(repeat, found[keep])


def masked(repeat: Repeat, method: str, pattern: str) -> Scored:
    """Answers to all cases that have a subset, with everything else taken away."""
    found = subset_rows(repeat, method)
    return _scored(repeat, found[found["pattern"] == pattern])


def masked_keys(repeat: Repeat, method: str, pattern: str) -> list[str]:
    """Keys of the cases that `masked` scores, in its order."""
    found = subset_rows(repeat, method)
    case = found.loc[found["pattern"] == pattern, "case"].sort_values(kind="stable")
    return [str(key) for key in repeat.cases["case_key"].iloc[case]]


def subsets_of(compared: Compared) -> list[str]:
    """All subsets that were asked for, fewest modalities first."""
    asked = {p for r in compared.repeats for p in subset_rows(r, compared.methods[0])["pattern"].unique()}
    return sorted(asked, key=by_size)


def dropped(repeat: Repeat, method: str, kind: str, rate: float) -> Scored:
    """Answers with parameters gone, noise, or (looked up among the subsets) modalities gone."""
    if rate == 0:
        return native(repeat, method)
    if kind == MODALITIES:
        found = subset_rows(repeat, method)
        left = _left(repeat, rate)
        return _scored(repeat, found[found["pattern"].to_numpy() == left[found["case"].to_numpy()]])
    return disturbed_at(repeat, method, kind, rate)


def disturbed_at(repeat: Repeat, method: str, kind: str, rate: float) -> Scored:
    """Answers to the cases with something gone or disturbed."""
    every = repeat.answers[method]
    some = repeat.cases["own"].to_numpy() != ""
    part = every[(every["kind"] == kind) & np.isclose(every["rate"], rate)]
    return _scored(repeat, part[some[part["case"]]])


def _left(repeat: Repeat, rate: float) -> Array:
    """For each case the pattern that is left when its modalities vanish at a rate."""
    names = sorted({name for own in repeat.cases["own"] for name in own.split("+") if name})
    present = np.array([[name in own.split("+") for name in names] for own in repeat.cases["own"]])
    kept = drop_modalities(present, rate, repeat.seed)
    return np.array(["+".join(np.array(names)[row]) for row in kept], dtype=object)


def subset_rows(repeat: Repeat, method: str) -> pd.DataFrame:
    """Answers to every subset of every case."""
    every = repeat.answers[method]
    found: pd.DataFrame = every[every["kind"].to_numpy() == SUBSET]
    return found


def _scored(repeat: Repeat, rows: pd.DataFrame) -> Scored:
    """Rows in the order of their cases, so that methods pair."""
    rows = rows.sort_values("case", kind="stable")
    cases = repeat.cases.iloc[rows["case"]]
    probs: Float[Array, "n C"] = rows[columns_of(rows, "p_")].to_numpy(np.float64)
    return Scored(probs, cases["label"].to_numpy(np.int64), cases["patient_key"].to_numpy())


def columns_of(frame: pd.DataFrame, prefix: str) -> list[str]:
    """One column per class, in their order."""
    return [c for c in frame.columns if c.startswith(prefix)]


def by_size(pattern: str) -> tuple[int, str]:
    """Key to sort patterns by: fewest modalities first."""
    return pattern.count("+"), pattern
