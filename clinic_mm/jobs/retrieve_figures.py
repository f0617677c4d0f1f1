"""How well cases of patients that a model was not trained on find each other, beside the chance of a random order.

In:  a model whose modalities share a space, a cohort, what to look from and what to look in. Out: a frame of figures.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import permutations
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from numpy import ndarray as Array

from clinic_mm.cohort.manifest import open_cohort
from clinic_mm.cohort.task_cases import task_cases
from clinic_mm.errors import InputError, UsageError
from clinic_mm.evaluate.retrieval import Found, Ranked, ranked, scores, together
from clinic_mm.jobs.space import ALONE, Names, Placed, Space, Use, open_space, place
from clinic_mm.predict.seen import unseen

MOST_QUERIES: Final = 5_000
"""Drawn from more; the gallery is whole."""
QUERIES_AT_ONCE: Final = 256
SAME_PATIENT: Final = "same patient"
Judge = Callable[[slice], tuple[Bool[Array, "b g"], Bool[Array, "b g"]]]
"""Of a block of queries: what of the gallery is right, and what may be ranked."""


def retrieval_figures(
    model_folder: Path,
    cohort_folder: Path,
    *,
    looked_from: Names = (),
    looked_in: Names = (),
    use: Use = ALONE,
) -> pd.DataFrame:
    """How well cases of unseen patients find each other, beside the chance of a random order.

    Args:
        model_folder: The artifact.
        cohort_folder: Patients that the model was trained on are left out.
        looked_from: Modalities that speak for the query.
        looked_in: Modalities that speak for the gallery. Each single modality to each other where neither is named.
        use: Workers, cache, progress.

    Returns:
        Columns from, to, n_gallery, right (the same patient, or for queries of one class: the same class), n_queries,
        figure, value, low, high (95 % by patient), chance. Where a class is asked, the own patient is not ranked.

    Raises:
        UsageError: For a model without a shared space, an unknown modality, or one of the two named alone.
        LeakError: If the model was trained on every patient.
        InputError: If no two cases have what is asked.
    """
    if bool(looked_from) != bool(looked_in):
        raise UsageError("One side is named alone", "retrieve", "Give both --from and --to, or neither for all pairs")
    space = open_space(model_folder, (*looked_from, *looked_in))
    cohort = open_cohort(cohort_folder)
    cases = unseen(task_cases(cohort, space.model.task), space.model.facts)
    pairs = [(looked_from, looked_in)] if looked_from else [((a,), (b,)) for a, b in permutations(space.model.names, 2)]
    placed = place(space, cohort, cases, {side for pair in pairs for side in pair}, use)
    rows = [row for pair in pairs for row in _figures(space, placed, *pair)]
    if not rows:
        raise InputError("No two unseen cases have what is asked", "retrieve", "See clinic-mm describe: who has what")
    return pd.DataFrame(rows)


def _figures(space: Space, placed: Placed, looked_from: Names, looked_in: Names) -> Iterator[dict[str, object]]:
    asked, there = (np.flatnonzero(placed.has[side]) for side in (looked_from, looked_in))
    asked = np.sort(np.random.default_rng(0).permutation(asked)[:MOST_QUERIES])
    queries, gallery = placed.at[looked_from][asked], placed.at[looked_in][there]
    patients, labels = placed.patients, placed.labels
    told = {"from": "+".join(looked_from), "to": "+".join(looked_in), "n_gallery": len(there)}

    def own(block: slice) -> Bool[Array, "b g"]:
        same: Array = patients[asked[block]][:, None] == patients[there]
        return same

    if not set(looked_from) & set(looked_in):  # else the query would find itself
        found = _ranked(queries, gallery, lambda block: (own(block), np.ones_like(own(block))))
        yield from _told({**told, "right": SAME_PATIENT}, len(found.query), scores(found, patients[asked]))
    for number, name in enumerate(space.model.task.classes):

        def same_class(block: slice, number: int = number) -> tuple[Bool[Array, "b g"], Bool[Array, "b g"]]:
            mine = labels[asked[block]] == number
            return mine[:, None] & (labels[there] == number), (labels[there] >= 0) & ~own(block)

        found = _ranked(queries, gallery, same_class)
        yield from _told({**told, "right": name}, len(found.query), scores(found, patients[asked]))


def _ranked(queries: Float[Array, "q d"], gallery: Float[Array, "g d"], judge: Judge) -> Ranked:
    """Some queries at a time: what is right and what may be ranked is a table of queries by gallery."""
    starts = range(0, max(len(queries), 1), QUERIES_AT_ONCE)
    blocks = [slice(start, start + QUERIES_AT_ONCE) for start in starts]
    return together([ranked(queries[b], gallery, *judge(b), seed=b.start) for b in blocks], starts)


def _told(told: dict[str, object], n_queries: int, figures: Sequence[Found]) -> Iterator[dict[str, object]]:
    for one in figures:
        figure = {"figure": one.name, "value": one.value, "low": one.low, "high": one.high, "chance": one.chance}
        yield {**told, "n_queries": n_queries, **figure}
