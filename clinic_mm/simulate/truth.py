"""What the generator of a simulated cohort itself would answer: no model can be better but by luck.

In:  the folder that `simulate` wrote (limit.json, truth.csv, labels.csv). Out: P(y | v_S) of any case and subset.
Held against a model's answers to the same cases it measures the model, not the draw of the cases (METHODS §4).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int
from numpy import ndarray as Array
from pydantic import ValidationError

from clinic_mm.errors import InputError
from clinic_mm.simulate.latent import World
from clinic_mm.simulate.limit import Limit, log_odds


@dataclass(frozen=True, slots=True)
class Truth:
    """The hidden values of all cases.

    Attributes:
        world: What governed the draws.
        v: What was rendered of each modality, absent ones too.
        patient_ids: Source identifiers, one per case.
        decision_times: ISO 8601, in the order of the cases.
    """

    world: World
    v: Float[Array, "n M"]
    patient_ids: Sequence[str]
    decision_times: Sequence[str]

    def probabilities(self, row: Int[Array, " r"], patterns: Sequence[str]) -> Float[Array, "r 2"]:
        """P(y | v_S) of some cases, each of a subset (names joined by +)."""
        present = self._present(patterns)
        positive = 1 / (1 + np.exp(-log_odds(self.world, self.v[row], present)))
        return np.column_stack([1 - positive, positive])

    def _present(self, patterns: Sequence[str]) -> Bool[Array, "r M"]:
        known = {p: np.isin(self.world.modalities, p.split("+")) for p in set(patterns)}
        return np.array([known[p] for p in patterns])


def read_truth(folder: Path) -> Truth:
    """The truth of a simulated cohort.

    Raises:
        InputError: If the folder is not what `clinic-mm simulate` wrote.
    """
    try:
        limit = Limit.model_validate_json((folder / "limit.json").read_bytes())
        truth = pd.read_csv(folder / "truth.csv", dtype={"patient_id": str})
        labels = pd.read_csv(folder / "labels.csv", dtype=str)
        world = World(limit.modalities, limit.missing, limit.rate, limit.synergy)
        v = truth[[f"v_{name}" for name in world.modalities]].to_numpy(np.float64)
        times = labels["decision_time"].tolist()
    except (OSError, ValidationError, ValueError, KeyError):
        mend = "Name the folder that clinic-mm simulate wrote"
        raise InputError("This folder does not hold the truth of a simulated cohort", str(folder), mend) from None
    if labels["patient_id"].tolist() != truth["patient_id"].tolist():
        mend = "Simulate it again: labels.csv and truth.csv are not of one cohort"
        raise InputError("Labels and truth do not name the same cases", str(folder), mend)
    return Truth(world, v, truth["patient_id"].tolist(), times)
