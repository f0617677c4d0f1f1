"""Whom to test, where not everybody can be: tests ranked by the information they are expected to bring for their cost.

In:  Predictions with their advice, which tests are meant, a budget. Out: every possible test in the order in which it
is worth its cost, and which of them the budget pays for.

Each test is judged by itself, beside what its patient has: what two tests of one patient tell together is less than the
sum, so ask again when the first results are there.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import pandas as pd

from clinic_mm.errors import UsageError
from clinic_mm.predict.prediction import Prediction

COLUMNS: Final = (
    "case_key",
    "patient_key",
    "test",
    "gain",
    "flips",
    "base_rate",
    "shrink",
    "change",
    "cost",
    "gain_per_cost",
    "neighbours",
)


def candidates(predictions: Iterable[Prediction], tests: Sequence[str] = ()) -> pd.DataFrame:
    """Every absent test of every case that something can be said of, the best for its cost first; ties by key.

    Args:
        predictions: With advice.
        tests: Only these; all where none is named.
    """
    rows = [
        (
            p.case_key,
            p.patient_key,
            a.modality,
            a.gain,
            a.flips,
            a.usual_flips,
            a.shrink,
            a.change,
            a.cost,
            a.gain_per_cost,
            a.neighbours,
        )
        for p in predictions
        for a in p.advice
        if not a.silent and (not tests or a.modality in tests)
    ]
    found = pd.DataFrame(rows, columns=list(COLUMNS))
    return found.sort_values(["gain_per_cost", "case_key", "test"], ascending=[False, True, True], ignore_index=True)


def paid(cost: pd.Series, money: float) -> pd.Series:
    """Which tests a budget pays for, first come first served; what is too dear is passed over."""
    left, chosen = money + 1e-9, []
    for price in cost:
        chosen.append(price <= left)
        left -= price if chosen[-1] else 0.0
    return pd.Series(chosen, index=cost.index, dtype=bool)


def money_of(budget: str, whole: float) -> float:
    """A budget in units of cost, from `50%` of what all would cost, or from a number of units.

    Raises:
        UsageError: If it is neither, or negative, or more than 100 %.
    """
    text = budget.strip()
    share = text.endswith("%")
    try:
        value = float(text.removesuffix("%"))
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf") or (share and value > 100):
        raise UsageError(f"{budget!r} is no budget", "--budget", "Write 50%, or a number of units of cost such as 120")
    return whole * value / 100 if share else value
