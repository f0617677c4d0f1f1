"""Records that are copies of each other under two patients, judged by how unlikely it is to have the same by chance.

In:  facts of all patients in long form. Out: leaks.

Facts of one code are taken together: values, texts, units and the hours between them, whatever the calendar, so that a
copy with shifted dates is found. A series that hardly anybody else has proves as many bits as its values are rare among
all values of the code: -log2 of the share of the first, and half of that of each further one that differs from the last
(values of one person follow each other). Codes are counted as if they were independent, so a pair must exceed the bits
of choosing it by 20 and share most of its codes to be an error. Demographics do not count: many share them.
"""

from collections import Counter, defaultdict
from itertools import combinations
from math import log2
from typing import Final

import numpy as np
import pandas as pd
from numpy import ndarray as Array

from clinic_mm.evaluate.leaks.findings import Found, Leak, Looked, Pair
from clinic_mm.evaluate.leaks.notes import SURE_BITS

RARE: Final = 6
"""Patients that may share a series before it says nothing of a copy: bounds the pairs, whatever the data."""
ALIKE: Final = 0.6
"""Of the codes of the shorter record."""
FEWEST_CODES: Final = 2
MEND: Final = "Give both keys the same patient, or leave one out, and ingest again"
TOLD: Final = ("value", "text", "unit")
STEP: Final = np.uint64(0x9E3779B97F4A7C15)
"""Tells places in a series apart (the golden ratio in 64 bits)."""


def copied_records(rows: pd.DataFrame) -> Found:
    """Copies under two patients.

    Args:
        rows: Columns patient_key, category, code, value, text, unit, time.
    """
    series = series_of(rows[rows["category"] != "demographic"])
    n = series["patient_key"].nunique()
    need = log2(max(n, 2) * (max(n, 2) - 1) / 2) + SURE_BITS
    pairs = _pairs(series)
    codes = series.groupby("patient_key").size()
    sure = {
        pair: bits
        for pair, (bits, shared) in pairs.items()
        if bits >= need and shared >= FEWEST_CODES and shared >= ALIKE * min(codes[pair[0]], codes[pair[1]])
    }
    how = f"series per code; a copy from {need:.0f} bits and {ALIKE:.0%} of the codes on"
    looked = Looked(check="copies of record", of=n, found=len(sure), how=how)
    if not sure:
        return Found(looked=(looked,))
    least = min(sure.values())
    told = f"{len(sure)} pair{'s' * (len(sure) > 1)} of patients with the same facts"
    what = f"{told} (at least {least:.0f} bits, {need:.0f} would do)"
    leak = Leak(code="duplicate.same_record", severity="error", modality="record", what=what, mend=MEND, n=len(sure))
    return Found((leak,), (looked,), {"record": frozenset(sure)})


def series_of(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per patient and code: patient_key, code, series (a hash that does not know the calendar), bits."""
    at = rows.sort_values(["patient_key", "code", "time", "value"], kind="stable")
    first = at.groupby(["patient_key", "code"])["time"].transform("min")
    facts = at[list(TOLD)].assign(hours=(at["time"] - first).dt.total_seconds().fillna(-1.0))
    hashed = pd.util.hash_pandas_object(facts, index=False)
    place = at.groupby(["patient_key", "code"]).cumcount().to_numpy(dtype="uint64")
    mixed = pd.util.hash_array((hashed.to_numpy() + place * STEP).astype("uint64"))
    told = at[["patient_key", "code"]].assign(series=mixed, bits=_bits(at, place == 0))
    return told.groupby(["patient_key", "code"])[["series", "bits"]].sum().reset_index()


def _bits(at: pd.DataFrame, first: Array) -> Array:
    """What each fact adds: its rareness among all of its code; half of it behind another, nothing if it is the same."""
    value = pd.util.hash_pandas_object(at[list(TOLD)], index=False).to_numpy()
    told = pd.DataFrame({"code": at["code"].to_numpy(), "value": value})
    share = told.groupby(["code", "value"])["code"].transform("size") / told.groupby("code")["code"].transform("size")
    rare = -np.log2(share.to_numpy(dtype=np.float64))
    again = np.r_[False, value[1:] == value[:-1]]
    bits: Array = np.where(first, rare, np.where(again, 0.0, rare / 2))
    return bits


def _pairs(series: pd.DataFrame) -> dict[Pair, tuple[float, int]]:
    """Patients who share a rare series: bits and number of codes in common."""
    bits: defaultdict[Pair, float] = defaultdict(float)
    shared: Counter[Pair] = Counter()
    sizes = series.groupby(["code", "series"])["patient_key"].transform("size")
    for _, own in series[(sizes > 1) & (sizes <= RARE)].groupby(["code", "series"]):
        rare = float(own["bits"].iloc[0])
        for first, second in combinations(sorted(own["patient_key"]), 2):
            bits[first, second] += rare
            shared[first, second] += 1
    return {pair: (bits[pair], shared[pair]) for pair in bits}
