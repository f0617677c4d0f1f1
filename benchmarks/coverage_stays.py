"""Coverage on real stays of PhysioNet 2012: the whole of training, cross-validated by patient.

In:  the folder of the data sets, a work folder. Out: a section of the page.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.coverage_judged import COMMAND, LEVEL, judged, verdict
from benchmarks.icu_stays import answered


def of_stays(data: Path, work: Path) -> str:
    """Five-fold cross-validation of the whole of training on real stays."""
    ours = answered(data, work, repeats=1, folds=5)
    sets, label = ours[["set_0", "set_1"]].to_numpy() > 0, ours["label"].to_numpy()
    rows = pd.DataFrame(
        {
            "case": ours["case_key"],
            "pattern": ours["pattern"],
            "hit": sets[np.arange(len(ours)), label],
            "size": sets.sum(axis=1),
            "patient": ours["patient_key"],
            "y": label,
            "native": ours["dropped"] == "nothing",
        }
    )
    own = rows[rows["native"]].set_index("case")["pattern"]
    return _stays_text(rows[rows["native"]], rows[~rows["native"] & (rows["pattern"] != rows["case"].map(own))])


def _stays_text(native: pd.DataFrame, masked: pd.DataFrame) -> str:
    by = native.groupby("y")["hit"].mean()
    text = (
        f"{len(native):,} stays, 5-fold cross-validation by patient; in each fold the whole of training anew. Target "
        f"{LEVEL:.0%}; intervals 95 %, Bonferroni over the patterns. Who survived is covered in {by[0]:.3f}, who died "
        f"in {by[1]:.3f}: the level is kept on the whole, not within classes. Masked: each modality of a test stay "
        f"taken away with probability 0.5. " + COMMAND.format("stays")
    )
    head = ["| evidence | stays | coverage | set size | promise |", "|---|---|---|---|---|"]
    return "\n".join(
        [text, "", "As they came:", "", *head, *_lines(native), "", "Masked down:", "", *head, *_lines(masked)]
    )


def _lines(rows: pd.DataFrame) -> list[str]:
    return [
        f"| {row['pattern'].replace('+', ' ')} | {row['n']} | {row['coverage']:.3f} "
        f"({row['low']:.3f} to {row['high']:.3f}) | {row['size']:.2f} | {verdict(row)} |"
        for _, row in judged(rows).sort_values("n", ascending=False).iterrows()
    ]
