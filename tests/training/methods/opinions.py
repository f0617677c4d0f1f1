"""Lessons of opinions alone, whose best joining is known."""

from collections.abc import Sequence

import numpy as np
from numpy import ndarray as Array

from clinic_mm.fusion.heard import Heard
from clinic_mm.training.methods.base import Lesson
from tests import made


def lesson(tell: Sequence[float], n: int = 600, *, missing: float = 0.3, seed: int = 0) -> Lesson:
    """Calibrated, independent experts: the log-odds of expert m are N(± tell² / 2, tell²) given the class."""
    rng = np.random.default_rng(seed)
    y, d = np.arange(n) % 2, np.asarray(tell)
    odds = rng.normal(size=(n, len(d))) * d + np.outer(2 * y - 1, d**2 / 2)
    present = rng.random(odds.shape) >= missing
    present[~present.any(axis=1), 0] = True
    return of_opinions(1 / (1 + np.exp(-odds)), present, y, seed)


def of_opinions(positive: Array, present: Array, y: Array, seed: int = 0) -> Lesson:
    """A lesson from probabilities of the second class."""
    n, names = len(y), tuple(f"m{k}" for k in range(present.shape[1]))
    p = np.where(present, positive, 0.5)
    plain = {name: np.where(present[:, [k]], p[:, [k]], np.nan) for k, name in enumerate(names)}
    heard = Heard(names, plain, np.stack([1 - p, p], axis=2), present, np.full(present.shape, np.nan), {})
    patients = np.array([f"p{k}" for k in range(n)])
    return Lesson(heard, y, patients, np.array([0.5, 0.5]), np.arange(n), made.task(("record", "note")), seed)


def nll(logits: Array, y: Array) -> float:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return float((np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(y)), y]).mean())
