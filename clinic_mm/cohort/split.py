"""Split by patient, and by nothing else: all cases of one patient stand on one side.

In:  one patient key per case, and the cases' labels.
Out: arrays with one entry per case. The same seed gives the same split, in whatever order the cases come.

A fold without one of the classes is refused: its figures would be undefined or flattering.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from clinic_mm.errors import LeakError, TaskError

UNLABELLED = -1


def folds(patient_keys: Sequence[str], labels: Sequence[int | None], k: int, seed: int) -> npt.NDArray[np.int64]:
    """The fold of each case, stratified by the patients' labels.

    Args:
        patient_keys: One per case.
        labels: One per case; None where unknown.
        k: Number of folds.
        seed: Which of the possible splits.

    Returns:
        One number in 0..k-1 per case.

    Raises:
        TaskError: If there are fewer than two folds, or a fold would lack a class.
    """
    if k < 2:
        raise TaskError(f"{k} fold is no split", "folds", "Take at least 2")
    strata = _strata(patient_keys, labels)
    fold_of: dict[str, int] = {}
    generator = np.random.default_rng(seed)
    for patients in strata.values():
        for place, index in enumerate(generator.permutation(len(patients)), start=len(fold_of)):
            fold_of[patients[index]] = place % k  # dealt like cards, going on where the last class ended
    result = np.asarray([fold_of[key] for key in patient_keys], dtype=np.int64)
    _check_classes(result, labels, k)
    return result


def split_patients(
    patient_keys: Sequence[str], *, test_share: float, seed: int, labels: Sequence[int | None] | None = None
) -> npt.NDArray[np.bool_]:
    """True for each case of a test patient; `test_share` of the patients of every class, at least one of each.

    Raises:
        TaskError: If the share is not between 0 and 1, or one side would lack a class.
    """
    if not 0 < test_share < 1:
        raise TaskError(f"A test share of {test_share} leaves one side empty", "test_share", "Take one such as 0.25")
    known = labels if labels is not None else [None] * len(patient_keys)
    generator = np.random.default_rng(seed)
    test: set[str] = set()
    for patients in _strata(patient_keys, known).values():
        order = generator.permutation(len(patients))
        test.update(patients[index] for index in order[: max(1, round(test_share * len(patients)))])
    result = np.asarray([key in test for key in patient_keys], dtype=np.bool_)
    _check_classes(result.astype(np.int64), known, 2)
    return result


def check_disjoint(train_keys: Iterable[str], test_keys: Iterable[str]) -> None:
    """No patient stands on both sides.

    Raises:
        LeakError: If one does; with how many, never who.
    """
    if both := set(train_keys) & set(test_keys):
        mend = "Split by patient: clinic_mm.cohort.split.folds"
        raise LeakError(f"{len(both)} patients stand on both sides of a split", "split", mend)


def _strata(patient_keys: Sequence[str], labels: Sequence[int | None]) -> dict[int, list[str]]:
    """Patients, sorted, by their highest label: a patient with one positive case counts as positive."""
    highest: dict[str, int] = {}
    for key, label in zip(patient_keys, labels, strict=True):
        highest[key] = max(highest.get(key, UNLABELLED), UNLABELLED if label is None else label)
    return {
        label: sorted(key for key, mine in highest.items() if mine == label) for label in sorted(set(highest.values()))
    }


def _check_classes(parts: npt.NDArray[np.int64], labels: Sequence[int | None], k: int) -> None:
    classes = {label for label in labels if label is not None}
    seen = {(int(part), label) for part, label in zip(parts, labels, strict=True)}
    for label in sorted(classes):
        lacking = [part for part in range(k) if (part, label) not in seen]
        if lacking:
            mend = "Take fewer folds, or more patients of this class"
            raise TaskError(f"Class {label} has too few patients: a fold would lack it", "folds", mend)
    if not classes and len(set(parts.tolist())) < k:
        raise TaskError("There are fewer patients than folds", "folds", "Take fewer folds")
