"""Curves of several methods over missing rates, from the tidy frame of a cross-validation.

In:  the frame of `training.crossval`, with columns dropped and rate. Out: frames for `figures.missing_curve`.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from clinic_mm.evaluate.bootstrap import DRAWS
from clinic_mm.evaluate.missingness import curve

WHOLE = "nothing"


def curves(frame: pd.DataFrame, dropped: str, methods: Sequence[str], *, n: int = DRAWS) -> pd.DataFrame:
    """AUROC over the rates at which something was dropped.

    Args:
        frame: Answers to the same cases at each rate; rate 0 is what was answered with nothing dropped.
        dropped: "parameters" or "modalities".
        methods: Which methods, in this order.
        n: Bootstrap draws.
    """
    part = frame[frame["dropped"].isin([WHOLE, dropped])]
    return pd.concat([_one(part[part["method"] == method], method, n) for method in methods], ignore_index=True)


def _one(part: pd.DataFrame, method: str, n: int) -> pd.DataFrame:
    part = part.sort_values(["rate", "repeat", "case_key"], kind="stable")
    columns = [c for c in part.columns if c.startswith("p_")]
    cases, repeats = part["case_key"].nunique(), part["repeat"].nunique()
    answers = {
        float(rate): part.loc[part["rate"] == rate, columns].to_numpy(dtype=np.float64).reshape(repeats, cases, -1)
        for rate in part["rate"].unique()
    }
    first = part.iloc[:cases]
    labels, patients = first["label"].to_numpy(dtype=np.int64), first["patient_key"].to_numpy()
    return curve(answers, labels, patients, method=method, n=n)
