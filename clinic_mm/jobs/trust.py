"""Files of an evaluation that say how far answers can be trusted: calibration per pattern, and what silence is worth.

In:  Predictions of labelled cases. Out, beside the other files of the evaluation:

    calibration.csv            ECE and its excess per pattern, native and masked cases apart, with intervals by patient
    reliability.csv            the bins behind the diagrams
    reliability_by_pattern.png one diagram per pattern
    risk_coverage.csv .png     risk of the surest answers over the share of cases answered
    aurc.csv                   the area under that curve beside a random and a perfect order, with intervals
    silence.csv                what each reason for giving no answer does to the risk
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Int
from numpy import ndarray as Array

from clinic_mm.evaluate.reliability import MASKED, Said, calibration_table, reliability_bins, reliability_diagrams
from clinic_mm.evaluate.risk_coverage import areas, draw, risk_coverage, silence_table
from clinic_mm.predict.prediction import Prediction


def write_trust(predictions: Sequence[Prediction], labels: Int[Array, " n"], out: Path, *, simulated: bool) -> None:
    """Write the files.

    Args:
        predictions: Of all cases.
        labels: Class numbers, below 0 where unknown.
        out: Evaluation folder.
        simulated: Said on every figure.
    """
    scored = [(p, int(y)) for p, y in zip(predictions, labels, strict=True) if y >= 0 and p.pattern]
    native, masked = native_of(scored), masked_of(scored)
    parts = [native, *([masked] if any(masked.scopes()) else [])]
    table = pd.concat([calibration_table(part) for part in parts], ignore_index=True)
    bins = pd.concat([reliability_bins(part) for part in parts], ignore_index=True)
    area, curves = areas(native.probs, native.labels, native.patients), risk_coverage(native.probs, native.labels)
    codes = [[reason.code for reason in p.abstentions] for p, _ in scored]
    silence = silence_table(native.probs, native.labels, native.patients, codes)
    for name, frame in (
        ("calibration", table),
        ("reliability", bins),
        ("aurc", area),
        ("risk_coverage", curves),
        ("silence", silence),
    ):
        frame.to_csv(out / f"{name}.csv", index=False)
    reliability_diagrams(bins, table, out / "reliability_by_pattern.png", simulated=simulated)
    draw(curves, area, out / "risk_coverage.png", simulated=simulated)


def native_of(scored: Sequence[tuple[Prediction, int]]) -> Said:
    """Each case with all that it has."""
    return Said(
        "native",
        np.array([p.probabilities for p, _ in scored]),
        np.array([y for _, y in scored]),
        np.array([p.patient_key for p, _ in scored]),
        np.array(["+".join(p.pattern) for p, _ in scored]),
    )


def masked_of(scored: Sequence[tuple[Prediction, int]]) -> Said:
    """Each case as if it had less: every smaller subset that was stored, but for the empty one."""
    rows = [
        (answer, y, p.patient_key, subset)
        for p, y in scored
        for subset, answer in p.subsets.items()
        if subset and subset != "+".join(p.pattern)
    ]
    probs, labels, patients, patterns = zip(*rows, strict=True) if rows else ((), (), (), ())
    return Said(MASKED, np.array(probs), np.array(labels), np.array(patients), np.array(patterns))
