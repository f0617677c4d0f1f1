"""What is known of a simulated cohort, by the keys that its cases have after ingest.

In:  the limit.json that `simulate` wrote, and the pseudonym key of the ingest. Out: `evaluate.distance.Known`.
The simulator shares nothing with what reads it; here, above both, its truth meets the cases.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

from clinic_mm.cohort.link import case_key, patient_key, read_key
from clinic_mm.errors import InputError
from clinic_mm.evaluate.distance import Known
from clinic_mm.jobs.evaluate import read_limits
from clinic_mm.simulate.truth import read_truth
from clinic_mm.times import parse_iso

MEND = "Name the limit.json of the folder that was ingested, and the pseudonym key (--key) that it was ingested with"


def known_of(limit: Path, key: Path | None = None) -> Known:
    """Limits, and where the truth stands beside them the best possible answers.

    Raises:
        InputError: If a file is not what `simulate` wrote; from `best`, if the cases are of another cohort or key.
    """
    limits = read_limits(limit)
    if not (limit.parent / "truth.csv").is_file():
        return Known(limits)
    truth, secret = read_truth(limit.parent), read_key(key)
    named = zip(truth.patient_ids, truth.decision_times, strict=True)
    row = {case_key(patient_key(secret, who), parse_iso(when)): n for n, (who, when) in enumerate(named)}

    def best(keys: Sequence[str], pattern: str) -> Float[Array, "n 2"]:
        if not row.keys() >= set(keys):
            raise InputError("The truth does not know the cases of this cohort", str(limit), MEND)
        return truth.probabilities(np.array([row[k] for k in keys]), [pattern] * len(keys))

    return Known(limits, best)
