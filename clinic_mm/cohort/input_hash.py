"""What a case was answered from, as one hash: it changes where the answer could, and only there.

In:  the findings of cases as they stand at their decision times. Out: 32 hexadecimal digits for each case.

Part of it are the decision time, and of every finding of the kinds asked for: its content hash, its root's name and the
paths below it, when it was acquired, what ingest saw of it, and whether it may be used at that time. No part of it are
the label, the covariates, and where the roots lie on this machine.
"""

import hashlib
from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd

from clinic_mm.cohort.join import AFTER, UNDATED

VERSION: Final = b"case input 1"
DIGITS: Final = 32
"""128 bits: among a billion inputs, two share a hash with a chance of 1e-21."""
VERDICTS: Final = {AFTER: 1, UNDATED: 2}
"""What joining may add to a finding; 0 where it stands as ingest had it."""
LINE: Final = np.dtype([("finding", "V32"), ("at", "<i8"), ("verdict", "u1"), ("undated", "u1")])


def input_hashes(
    decision_times: pd.Series, joined: pd.DataFrame, findings: pd.Series, kinds: Sequence[str]
) -> list[str]:
    """The hash of each case.

    Args:
        decision_times: Of the cases, numbered from 0.
        joined: What `join` made of them.
        findings: All findings as JSON, by position.
        kinds: Of the evidence asked for: a case without any has another hash where other kinds were looked for.
    """
    lines = np.empty(len(joined), LINE)
    lines["finding"] = _digests(findings)[joined["position"].to_numpy()]
    lines["at"] = _microseconds(joined["acquired_at"])
    lines["verdict"] = joined["code"].astype("str").map(VERDICTS).fillna(0).to_numpy()
    lines["undated"] = joined["undated"].to_numpy()
    ends = np.searchsorted(joined["case"].to_numpy(), np.arange(len(decision_times)), side="right") * LINE.itemsize
    whole, due = memoryview(lines.tobytes()), memoryview(_microseconds(decision_times).astype("<i8").tobytes())
    head = VERSION + "\0".join(sorted(kinds)).encode()
    found, start = [], 0
    for case, end in enumerate(ends.tolist()):
        told = hashlib.sha256(head)
        told.update(due[8 * case : 8 * case + 8])
        told.update(whole[start:end])
        found.append(told.hexdigest()[:DIGITS])
        start = end
    return found


def _digests(findings: pd.Series) -> np.ndarray:
    return np.frombuffer(b"".join(hashlib.sha256(one.encode()).digest() for one in findings.tolist()), "V32")


def _microseconds(times: pd.Series) -> np.ndarray:
    """Since 1970 in UTC; the smallest number where unknown."""
    return times.to_numpy("datetime64[us]").view(np.int64)
