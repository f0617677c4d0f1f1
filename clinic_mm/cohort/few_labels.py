"""A task with few labels of its own: keep the labels of some patients, and let the others stand without one.

In:  labels and patients of training cases, how many labels to keep. Out: which cases keep theirs.
What has no label is still there to be looked at: co-learning and representations learn from it, a classifier does not.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from jaxtyping import Bool, Int
from numpy import ndarray as Array

from clinic_mm.errors import TaskError

FEWEST_OF_A_CLASS: Final = 5
"""Labels, and patients, of each class that are kept: every inner fold needs some of each."""


def few_labels(patients: Sequence[str], labels: Int[Array, " n"], k: int, seed: int) -> Bool[Array, " n"]:
    """True for about `k` cases that keep their labels: whole patients, every class in its share.

    The same seed keeps nested sets: what keeps its label among 50 keeps it among 100.

    Args:
        patients: Patient of each case.
        labels: Class of each case, -1 where unknown; such a case has no label to keep.
        k: Labels to keep; all where there are no more.
        seed: Which patients.

    Raises:
        TaskError: If a class would keep fewer than 5 labels.
    """
    keys = np.asarray(patients)
    # A patient stands with the rarest class that it has: those are the labels that run out first.
    counts = np.bincount(labels[labels >= 0])
    keep = np.zeros(len(labels), dtype=bool)
    taken: set[str] = set()
    for c in np.argsort(counts, kind="stable"):
        of_class = [p for p in np.unique(keys[labels == c]).tolist() if p not in taken]
        enough = round(min(1.0, k / max(1, counts.sum())) * counts[c])
        if enough < FEWEST_OF_A_CLASS:
            mend = f"Keep at least {int(np.ceil(FEWEST_OF_A_CLASS * counts.sum() / max(1, counts[c])))} labels"
            raise TaskError(f"{k} labels leave a class with fewer than {FEWEST_OF_A_CLASS}", "labels", mend)
        order = np.random.default_rng([seed, int(c)]).permutation(len(of_class))
        chosen = _until(keys, labels, [of_class[i] for i in order], int(c), enough)
        taken.update(of_class)
        keep |= np.isin(keys, chosen) & (labels >= 0)
    return keep


def _until(keys: Array, labels: Array, patients: list[str], c: int, enough: int) -> list[str]:
    """Patients in order until they have enough cases of the class, and are not too few themselves."""
    chosen: list[str] = []
    n = 0
    for patient in patients:
        if n >= enough and len(chosen) >= FEWEST_OF_A_CLASS:
            break
        chosen.append(patient)
        n += int(((keys == patient) & (labels == c)).sum())
    return chosen
