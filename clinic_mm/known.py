"""What is known of a simulated cohort, by the keys that its cases have after ingest.

In:  the limit.json that `simulate` wrote, and the pseudonym key of the ingest. Out: `evaluate.distance.Known`.
The simulator shares nothing with what reads it; here, above both, its truth meets the cases.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

from clinic_mm.cohort.link import case_key, patient_key, read_key
from clinic_mm.errors import InputError
from clinic_mm.evaluate.distance import Known
from clinic_mm.jobs.evaluate import read_limits
from clinic_mm.simulate.truth import Truth, read_truth
from clinic_mm.times import parse_iso

MEND = "Name the limit.json of the folder that was ingested, and the pseudonym key (--key) that it was ingested with"


def known_of(limits: Sequence[Path], key: Path | None = None) -> Known:
    """Limits, and where the truth stands beside them the best possible answers.

    Args:
        limits: `limit.json` of cohorts that one world made with several seeds; the limits of the first are told.
        key: The pseudonym key file that they were ingested with.

    Raises:
        InputError: If a file is not what `simulate` wrote; from `best`, if the cases are of another cohort or key.
    """
    if not all((limit.parent / "truth.csv").is_file() for limit in limits):
        return Known(read_limits(limits[0]))
    secret = read_key(key)
    known = [_Keyed.of(read_truth(limit.parent), secret) for limit in limits]

    def best(keys: Sequence[str], pattern: str) -> Float[Array, "n 2"]:
        for one in known:
            if one.row.keys() >= set(keys):
                return one.truth.probabilities(np.array([one.row[k] for k in keys]), [pattern] * len(keys))
        raise InputError("The truth does not know the cases of this cohort", str(limits[0]), MEND)

    return Known(read_limits(limits[0]), best)


@dataclass(frozen=True, slots=True)
class _Keyed:
    """A truth, and which of its rows each case is."""

    truth: Truth
    row: Mapping[str, int]

    @classmethod
    def of(cls, truth: Truth, secret: bytes) -> Self:
        named = zip(truth.patient_ids, truth.decision_times, strict=True)
        return cls(truth, {case_key(patient_key(secret, who), parse_iso(at)): n for n, (who, at) in enumerate(named)})
