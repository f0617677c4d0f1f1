"""Exact Shapley shares of the present modalities, from the calibrated answer of every subset (METHODS §2.5).

In:  v(S) for every subset S of what is present. Out: one share per modality; they sum to v(all) - v(none).
Source: Shapley 1953; for more than 8 modalities permutation sampling takes its place, and is labelled so.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from math import factorial
from typing import Final

import numpy as np
from numpy import ndarray as Array

Subset = frozenset[str]
EXACT_UP_TO: Final = 8
PERMUTATIONS: Final = 200


def shapley(value: Callable[[Subset], float], present: Sequence[str], seed: int = 0) -> tuple[dict[str, float], bool]:
    """Shares of the present modalities, and whether they are exact."""
    if len(present) > EXACT_UP_TO:
        return _sampled(value, present, seed), False
    n = len(present)
    shares = dict.fromkeys(present, 0.0)
    for name in present:
        others = [other for other in present if other != name]
        for size in range(n):
            weight = factorial(size) * factorial(n - size - 1) / factorial(n)
            for subset in combinations(others, size):
                without = frozenset(subset)
                shares[name] += weight * (value(without | {name}) - value(without))
    return shares, True


def _sampled(value: Callable[[Subset], float], present: Sequence[str], seed: int) -> dict[str, float]:
    generator = np.random.default_rng(seed)
    shares = dict.fromkeys(present, 0.0)
    for _ in range(PERMUTATIONS):
        seen: Subset = frozenset()
        for name in generator.permutation(np.array(present)):
            shares[str(name)] += (value(seen | {str(name)}) - value(seen)) / PERMUTATIONS
            seen |= {str(name)}
    return shares


def worth(probabilities: Mapping[str, Sequence[float]], toward: int) -> dict[Subset, float]:
    """v(S) from stored subset probabilities: log-odds (binary), else centred log-probability of class `toward`."""
    return {frozenset(filter(None, key.split("+"))): _worth(np.asarray(p), toward) for key, p in probabilities.items()}


def _worth(p: Array, toward: int) -> float:
    logs = np.log(np.clip(p, 1e-9, 1.0))
    return float(logs[1] - logs[0]) if len(p) == 2 else float(logs[toward] - logs.mean())
