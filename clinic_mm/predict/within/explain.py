"""Explain the experts of a model, each inside its own modality: which explainer belongs to which kind of evidence.

In:  a model, prepared cases. Out: for each case a `Within` for every present modality that can be explained.

Images and signals are explained by a job of its own (`predict.saliency`): that takes longer than the answer.
"""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from jaxtyping import Int
from numpy import ndarray as Array

from clinic_mm.predict.model import Model
from clinic_mm.predict.within.asked import Asked, Why
from clinic_mm.predict.within.note import note_within
from clinic_mm.predict.within.record import record_within
from clinic_mm.predict.within.told import Within
from clinic_mm.prep.batch import PreparedCases

Explainer = Callable[[Asked], list[Within | None]]
EXPLAINERS: Final[Mapping[str, Explainer]] = {"record": record_within, "note": note_within}
"""By kind of the table of modalities."""


def explained(model: Model, prepared: PreparedCases, toward: Int[Array, " n"], why: Why) -> list[tuple[Within, ...]]:
    """What each case's experts rest on, in the order of the modalities.

    Args:
        model: As deployed.
        prepared: Cases.
        toward: Class that the shares of each case point to.
        why: How far to explain.
    """
    told: list[list[Within]] = [[] for _ in prepared.cases]
    for expert in model.experts:
        explain = EXPLAINERS.get(expert.kind)
        here = np.flatnonzero(prepared.present[:, prepared.names.index(expert.name)])
        if explain is None or not len(here):
            continue
        asked = Asked(
            name=expert.name,
            expert=expert,
            prep=model.recipe.preps[expert.name],
            cases=[prepared.cases[case] for case in here],
            x=prepared.x[expert.name][prepared.row[expert.name][here]],
            plain=prepared.plain[expert.name][here],
            toward=toward[here],
            why=why,
        )
        for case, one in zip(here, explain(asked), strict=True):
            if one is not None:
                told[case].append(one)
    return [tuple(some) for some in told]
