"""Does fusion pay here? Asked of cases that no part of the answer has seen, before anything is shipped (METHODS §1.2).

In:  second-level out-of-fold probabilities and the baselines' out-of-fold probabilities.
Out: plain JSON for the artifact: gains with paired intervals by patient, and the verdict in words.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd
from jaxtyping import Float
from numpy import ndarray as Array
from pydantic import JsonValue

from clinic_mm.evaluate.metrics import nll
from clinic_mm.evaluate.table import ALL, fusion_gain
from clinic_mm.fusion.late import weighted_mean
from clinic_mm.predict.answers import OURS, tidy
from clinic_mm.prep.batch import PreparedCases

DRAWS: Final = 500
PAYS: Final = "Fusion pays"
AGAINST: Final = ("late_average", "concat")


def fusion_verdict(
    prepared: PreparedCases,
    opinions: Float[Array, "n M C"],
    prior: Float[Array, " C"],
    ours: Float[Array, "n C"],
    concat: Float[Array, "n C"],
) -> JsonValue:
    """Gains in AUROC and NLL over the best single modality, the late average and concat."""
    names = prepared.names
    by_method = {
        OURS: ours,
        **{f"single:{name}": np.where(prepared.present[:, [c]], opinions[:, c], prior) for c, name in enumerate(names)},
        "late_average": weighted_mean(opinions, prepared.present, prior),
        "concat": concat,
    }
    frame = tidy(by_method, prepared).dropna(axis="columns", how="all")
    gains = pd.concat(
        [
            fusion_gain(frame, OURS, against=AGAINST, n=DRAWS),
            fusion_gain(frame, OURS, against=AGAINST, metric=nll, n=DRAWS),
        ]
    )
    gains = gains[gains["pattern"] == ALL].drop(columns="pattern")
    rows: list[JsonValue] = [{str(k): v for k, v in row.items()} for row in gains.round(5).to_dict("records")]
    return {"rows": rows, "words": in_words(gains)}


def warning(facts: Mapping[str, JsonValue]) -> str:
    """What a person should be told before they use a model whose fusion is not shown to pay; empty where it is."""
    verdict = facts["verdict"]
    assert isinstance(verdict, dict)
    words = str(verdict["words"])
    return "" if words.startswith(PAYS) else f"Warning: {words}"


def in_words(gains: pd.DataFrame) -> str:
    """One sentence that a data scientist can act on."""
    auc = gains[(gains["metric"] == "auroc") & gains["against"].isin(["best single", "late_average"])]
    worse = auc[auc["high"] < 0]
    better = auc[auc["low"] > 0]
    if len(worse):
        return f"Fusion does not pay here: it is worse than {', '.join(worse['against'])}. Use that instead."
    if len(better) == len(auc):
        return f"{PAYS}: it is better than the best single modality and the late average."
    unsure = auc.loc[~auc.index.isin(better.index), "against"]
    return f"Not shown that fusion pays: no clear gain over {', '.join(unsure)}."
