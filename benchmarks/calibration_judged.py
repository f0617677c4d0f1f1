"""What all figures of calibration share: how the answers of one pattern are judged.

In:  probabilities, labels and presence of cases. Out: a frame, a verdict in words.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
from numpy import ndarray as Array

from clinic_mm.evaluate.metrics import METRICS

MOST_EXCESS, ENOUGH, ENOUGH_FOR_RAW = 0.03, 300, 4000
SEEDS: Final = 10
COMMAND: Final = "Made by `python -m benchmarks.calibration --part {} --page docs/trust.md`."


def judged(p: Array, y: Array, present: Array, names: Sequence[str]) -> pd.DataFrame:
    """ECE and its excess per pattern with enough cases, and over all."""
    masks, whose = np.unique(present, axis=0, return_inverse=True)
    scopes = [(" ".join(np.array(names)[mask]), whose.ravel() == k) for k, mask in enumerate(masks)]
    rows = [
        {
            "pattern": name,
            "n": int(mine.sum()),
            "ece": METRICS["ece"](p[mine], y[mine]),
            "excess": METRICS["excess_ece"](p[mine], y[mine]),
        }
        for name, mine in [*scopes, ("all", np.ones(len(y), bool))]
        if mine.sum() >= ENOUGH
    ]
    return pd.DataFrame(rows)


def verdict(kind: str, found: pd.DataFrame) -> str:
    """Whether every pattern of native or of masked cases is within what is asked, by means over repeats or seeds."""
    found = found.drop(index="all")
    out = found[found["excess"] > MOST_EXCESS]
    judged = (
        f"every pattern is within {MOST_EXCESS}"
        if out.empty
        else f"**{len(out)} of {len(found)} patterns are beyond {MOST_EXCESS}: {', '.join(out.index)}**"
    )
    return f"{kind.capitalize()} cases, patterns with {ENOUGH} or more: {judged} (mean {found['excess'].mean():.3f})."
