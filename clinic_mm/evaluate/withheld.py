"""Which counts may be told, and which levels are put together: one rule for everything that is shown by group.

In:  counts of patients, levels of patients. Out: the counts as text, the levels with few patients under one name.

Figures are in `schemas/fairness.toml`, [small]. It keeps few people off a page; whoever may ask many questions of the
same patients can still subtract answers from each other, so that pages with such counts are for few.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
from numpy import ndarray as Array

from clinic_mm.bundle import policy

UNKNOWN: Final = "not known"
REST: Final = "small groups together"


def least() -> int:
    """Patients below which a group is never counted out."""
    return int(policy("fairness")["small"]["suppressed_below"])


def told_counts(counts: Sequence[int], *others: Sequence[int]) -> tuple[list[str], ...]:
    """Counts as they may be told: few are never counted out, neither directly nor as what the others leave.

    Args:
        counts: Patients of each group; groups of nobody hide nothing.
        others: Further counts within the same groups, such as patients of a class.

    Returns:
        One list for `counts`, and one for each of `others`.
    """
    few = least()
    hidden = any(0 < n < few for n in counts)

    def told(n: int) -> str:
        if n < few:
            return f"< {few}"
        return f"≥ {n // few * few}" if hidden else str(n)

    return tuple([told(int(n)) for n in one] for one in (counts, *others))


def merged(levels: Array, patients: Array, *, most: int | None = None) -> Array:
    """Levels with too few patients, and beyond the most frequent ones, as one; what is not known as another.

    Args:
        levels: Of each row, "" where not known.
        patients: Of each row.
        most: Levels that keep their name, all where None.
    """
    named = np.where(levels == "", UNKNOWN, levels).astype(object)
    sizes = pd.DataFrame({"level": named, "patient": patients}).groupby("level")["patient"].nunique()
    ranked = sizes.drop(UNKNOWN, errors="ignore").sort_values(ascending=False, kind="stable")
    few = set(ranked.index[ranked < least()]) | set(ranked.index[most:] if most is not None else ())
    return np.array([REST if level in few else level for level in named], dtype=object)


def few_of(n_patients: int, n_rarest: int | None = None) -> str:
    """Why a group gets no figure; "" where it gets one.

    Args:
        n_patients: Of the group.
        n_rarest: Patients of its rarest class; None where the figure is not one of classes.
    """
    rule = policy("fairness")["small"]
    if n_patients < rule["fewest_patients"]:
        return f"fewer than {rule['fewest_patients']} patients"
    if n_rarest is not None and n_rarest < rule["fewest_of_class"]:
        return f"fewer than {rule['fewest_of_class']} patients of a class"
    return ""
