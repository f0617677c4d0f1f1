"""Answers beside their outcomes, block by block in time order, and for which answers outcomes are known at all.

In:  a Stream and Outcomes. Out: frames for the page; intervals are of one block, read without correction.
"""

from typing import Final

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from numpy import ndarray as Array

from clinic_mm.evaluate.metrics import FLOOR, claim, nll
from clinic_mm.evaluate.monitor.outcomes import Outcomes
from clinic_mm.evaluate.monitor.scores import Stream
from clinic_mm.predict.interval import clopper_pearson

FEWEST: Final = 50
MOST: Final = 12


def outcome_blocks(stream: Stream, outcomes: Outcomes) -> pd.DataFrame:
    """One line per block of judged cases: what was said and seen, NLL and its expectation, coverage."""
    judged = np.flatnonzero(outcomes.label >= 0)
    count = int(np.clip(len(judged) // FEWEST, 1, MOST))
    rows = [_block(stream, outcomes.label, at) for at in np.array_split(judged, count) if len(at)]
    return pd.DataFrame(rows)


def _block(stream: Stream, label: Int[Array, " n"], at: Int[Array, " k"]) -> dict[str, object]:
    p, y = stream.probabilities[at], label[at]
    said, top = claim(p)
    hit, held = y == top, stream.sets[at][np.arange(len(at)), y]
    low, high = clopper_pearson(float(hit.sum()), len(at))
    covered_low, covered_high = clopper_pearson(float(held.sum()), len(at))
    expected, error = expected_nll(p)
    return {
        "from": int(at[0]) + 1,
        "to": int(at[-1]) + 1,
        "n": len(at),
        "said": float(said.mean()),
        "seen": float(hit.mean()),
        "seen_low": low,
        "seen_high": high,
        "nll": nll(p, y),
        "nll_expected": expected,
        "nll_error": error,
        "coverage": float(held.mean()),
        "coverage_low": covered_low,
        "coverage_high": covered_high,
    }


def expected_nll(p: Float[Array, "n C"]) -> tuple[float, float]:
    """Mean NLL that calibrated answers would have, and the standard error of one block's mean around it."""
    loss = -np.log(np.maximum(p, FLOOR))
    mean = (p * loss).sum(axis=1)
    variance = (p * np.square(loss)).sum(axis=1) - np.square(mean)
    return float(mean.mean()), float(np.sqrt(np.maximum(variance, 0).sum()) / len(p))


def known_share(stream: Stream, outcomes: Outcomes) -> pd.DataFrame:
    """For which answers outcomes are known: by thirds of the probability. Very different shares are a warning."""
    said, _ = claim(stream.probabilities)
    edges = np.quantile(said, [1 / 3, 2 / 3])
    third = np.searchsorted(edges, said)
    known = outcomes.label >= 0
    names = ("lowest third", "middle third", "highest third")
    return pd.DataFrame(
        [
            {"answers": name, "cases": int((third == k).sum()), "judged": float(known[third == k].mean())}
            for k, name in enumerate(names)
            if (third == k).any()
        ]
    )
