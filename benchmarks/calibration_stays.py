"""Calibration per pattern, and silence, on real stays of PhysioNet 2012: the whole of training, cross-validated.

In:  the folder of the data sets, a work folder, repeats. Out: a section of the page.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.calibration_judged import COMMAND, ENOUGH, judged, verdict
from benchmarks.icu_stays import answered
from clinic_mm.evaluate.risk_coverage import areas

REPEATS, FOLDS = 5, 5


def of_stays(data: Path, work: Path, repeats: int) -> str:
    """Repeated cross-validation of the whole of training on real stays."""
    return stays_text(answered(data, work, repeats=repeats, folds=FOLDS), repeats)


def stays_text(ours: pd.DataFrame, repeats: int) -> str:
    """Excess ECE per pattern over the repeats, native and masked, and the area under the risk-coverage curve."""
    names = sorted({name for pattern in ours["pattern"].unique() for name in pattern.split("+")})
    found = []
    for (dropped, repeat), part in ours.groupby(["dropped", "repeat"]):
        present = np.array([[name in pattern.split("+") for name in names] for pattern in part["pattern"]])
        p = part[["p_0", "p_1"]].to_numpy()
        kind = "native" if dropped == "nothing" else "masked"
        found.append(judged(p, part["label"].to_numpy(), present, names).assign(kind=kind, repeat=repeat))
    mean = (
        pd.concat(found)
        .groupby(["kind", "pattern"])
        .agg(n=("n", "mean"), ece=("ece", "mean"), excess=("excess", "mean"), worst=("excess", "max"))
    )
    lines = [
        f"| {kind} | {pattern} | {row['n']:.0f} | {row['ece']:.3f} | {row['excess']:+.3f} | {row['worst']:+.3f} |"
        for (kind, pattern), row in mean.sort_values("n", ascending=False).iterrows()
    ]
    native = ours[(ours["dropped"] == "nothing") & (ours["repeat"] == ours["repeat"].min())]
    area = areas(native[["p_0", "p_1"]].to_numpy(), native["label"].to_numpy(), native["patient_key"].to_numpy(), n=500)
    told = [
        f"{row['loss']}: AURC {row['aurc']:.4f} ({row['low']:.4f} to {row['high']:.4f}), random {row['random']:.4f}, "
        f"perfect {row['perfect']:.4f}"
        for _, row in area.iterrows()
    ]
    text = (
        f"{len(native):,} stays, {repeats} times {FOLDS}-fold cross-validation by patient; in each fold the "
        f"whole of training anew. Masked: each modality of a test stay taken away with probability 0.5. Patterns with "
        f"{ENOUGH} stays or more; mean and worst over repeats. " + COMMAND.format("stays")
    )
    verdicts = [f"- {verdict(kind, mean.loc[kind])}" for kind in ("native", "masked")]
    head = ["| rows | evidence | n | ECE | excess | worst repeat |", "|---|---|---|---|---|---|"]
    silence = f"Risk over coverage, surest first (first repeat, 95 % by patient): {'; '.join(told)}."
    return "\n".join([text, "", *verdicts, "", *head, *lines, "", silence])
