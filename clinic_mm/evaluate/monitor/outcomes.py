"""Outcomes as they become known, and bets against "the answers are borne out".

In:  a table of case keys and labels; calibrated answers and prediction sets. Out: e-values of mean at most 1 for every
model whose errors stay within the policy's tolerance, whatever cases come.

Outcomes come late, and for some cases never. Answers are judged given the case, so which cases are known may depend on
what the model saw; it may not depend on the outcome itself. Where quick outcomes are of another kind than slow ones
(deaths before discharges), `wait_days` judges a case only when both would be known.
Source: likelihood ratios against the boundary of a composite hypothesis, Ramdas, Grünwald, Vovk & Shafer, arXiv
2210.01948.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int
from numpy import ndarray as Array
from scipy.special import expit, logit

from clinic_mm.errors import InputError
from clinic_mm.evaluate.metrics import claim
from clinic_mm.evaluate.monitor.policy import CalibrationPolicy, CoveragePolicy, OutcomePolicy
from clinic_mm.evaluate.monitor.scores import Stream

NEEDED: Final = ("case_key", "label")
CLOSE: Final = 1e-6
SIGMAS: Final = 2.0
"""How far a threshold may have missed its level by the chance of its calibration patients, in standard errors."""


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What became known.

    Attributes:
        label: Class of each case of the stream, -1 where it is not known or not judged yet.
        known: Rows of the table that are of a case of the stream.
        strangers: Rows that are of none.
        waiting: Known, but of cases that are too young to be judged.
        late: Known, but too late to be judged without favour.
        undated: Known, but of cases without a decision time, whose age nobody knows.
        hidden: Known, but of answers that were hidden when they came.
    """

    label: Int[Array, " n"]
    known: int
    strangers: int
    waiting: int = 0
    late: int = 0
    undated: int = 0
    hidden: int = 0

    def without(self, hidden: Bool[Array, " n"]) -> "Outcomes":
        """The same, but for answers that nobody was shown: what is hidden already must not hide the rest."""
        return replace(self, label=np.where(hidden, -1, self.label), hidden=int((hidden & (self.label >= 0)).sum()))


def read_outcomes(path: Path, stream: Stream, policy: OutcomePolicy) -> Outcomes:
    """Join a CSV with columns case_key, label and, if known, arrived_at to the cases of a stream.

    Args:
        path: CSV in UTF-8. A label is a class by name, or by number.
        stream: The cases.
        policy: How old a case must be.

    Raises:
        InputError: If it is no such table, names an unknown class, gives one case two outcomes, or has an arrived_at
            that is needed and is no ISO 8601 time.
    """
    table = _read(path)
    classes = {**{str(k): k for k in range(len(stream.classes))}, **{c: k for k, c in enumerate(stream.classes)}}
    label = table["label"].map(classes)
    if label.isna().any():
        mend = f"Labels are {', '.join(stream.classes)}, or their numbers from 0"
        raise InputError("An outcome is not a class of this model", f"{path} / {_line(label.isna())} / label", mend)
    table = table.assign(label=label.astype(int)).drop_duplicates(["case_key", "label"])
    if (again := table["case_key"].duplicated()).any():
        raise InputError(
            "A case has two outcomes that differ", f"{path} / {_line(again)}", "Keep the one that is right"
        )
    if policy.wait_days and "arrived_at" in table:
        table = table.assign(arrived_at=_arrived(table["arrived_at"].str.strip(), path))
    mine = table.set_index("case_key").reindex(stream.frame["case_key"])
    found = mine["label"].fillna(-1).astype(int).to_numpy()
    young, late, undated = _age(stream, mine, policy)
    known = found >= 0
    return Outcomes(
        label=np.where(young | late | undated, -1, found),
        known=int(known.sum()),
        strangers=len(table) - int(known.sum()),
        waiting=int((known & young).sum()),
        late=int((known & late).sum()),
        undated=int((known & undated).sum()),
    )


def _read(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, dtype="str", keep_default_na=False, encoding="utf-8-sig", skip_blank_lines=False)
    except (OSError, ValueError):
        raise InputError("The outcomes are not a table", str(path), "Give a CSV file in UTF-8") from None
    if lacking := [name for name in NEEDED if name not in table]:
        mend = "Columns are case_key, label and, if known, arrived_at"
        raise InputError(f"The outcomes have no column {lacking[0]!r}", str(path), mend)
    table = table.fillna("")
    table = table[table["label"].str.strip() != ""]
    return table.assign(case_key=table["case_key"].str.strip(), label=table["label"].str.strip())


def _line(wrong: "pd.Series[bool]") -> str:
    """Where the first wrong row stands in the file; never what stands there, which may name a patient."""
    return f"line {int(wrong.index.to_numpy()[wrong.to_numpy(dtype=bool)][0]) + 2}"


def _arrived(text: "pd.Series[str]", path: Path) -> "pd.Series[pd.Timestamp]":
    """Times in any spelling of ISO 8601, UTC where no offset stands; NaT where there is none."""
    arrived = pd.to_datetime(text.where(text != ""), utc=True, format="ISO8601", errors="coerce")
    if (wrong := arrived.isna() & (text != "")).any():
        mend = "Write it as 2026-03-01T08:30:00+01:00, or leave it empty"
        raise InputError("The arrival of an outcome is no ISO 8601 time", f"{path} / {_line(wrong)} / arrived_at", mend)
    return arrived


def _age(stream: Stream, mine: pd.DataFrame, policy: OutcomePolicy) -> tuple[Bool[Array, " n"], ...]:
    """Which cases are too young to be judged, whose outcome came later than that age, and whose age nobody knows."""
    times = stream.frame["time"]
    never = np.zeros(len(stream), dtype=bool)
    if policy.wait_days == 0:
        return never, never, never
    wait, undated = pd.Timedelta(days=policy.wait_days), times.isna().to_numpy()
    if "arrived_at" not in mine:
        return (times > times.max() - wait).to_numpy(), never, undated
    arrived = mine["arrived_at"].reset_index(drop=True)
    now = max(times.max(), arrived.max()) if arrived.notna().any() else times.max()
    return (times > now - wait).to_numpy(), (arrived > times + wait).to_numpy(), undated


def calibration_bets(
    probabilities: Float[Array, "n C"], label: Int[Array, " n"], policy: CalibrationPolicy
) -> Float[Array, "n a"]:
    """What is won against "no probability is off by more than the tolerance, no confidence by more than the slope".

    Each class (the second, if there are two) is bet to be more, and less, common than said; the claim, to be right
    less, and more, often than its confidence. Each is a likelihood ratio against the nearest model that is borne, and
    so of mean at most 1 under every one that is borne.
    """
    tolerance, slope = policy.tolerance, policy.slope_tolerance
    columns = []
    for c in [1] if probabilities.shape[1] == 2 else range(probabilities.shape[1]):
        odds = _logit(probabilities[:, c])
        for sign in (1.0, -1.0):
            columns += [
                _ratio(label == c, odds + sign * tolerance, odds + sign * (tolerance + bet)) for bet in policy.bets
            ]
    confidence, top = claim(probabilities)
    odds, hit = _logit(confidence), label == top
    side, sure = np.sign(odds), np.abs(odds)
    over, under = sure / slope - tolerance, sure * slope + tolerance
    columns.append(_ratio(hit, side * over, side * np.minimum(sure / policy.slope_bet, over)))
    columns.append(_ratio(hit, side * under, side * np.maximum(sure * policy.slope_bet, under)))
    return np.where((label >= 0)[:, None], np.column_stack(columns), np.nan)


def coverage_bets(
    missed: Bool[Array, " n"], level: float, set_n: Float[Array, " n"], policy: CoveragePolicy
) -> Float[Array, "n a"]:
    """What is won against "sets miss no more than promised, but for the tolerance and the chance of calibration"."""
    miss = 1 - level
    chance = SIGMAS * np.sqrt(level * miss / np.maximum(set_n, 1.0))
    borne = np.minimum(miss + policy.tolerance + chance, 1 - CLOSE)
    return np.column_stack([_ratio(missed, logit(borne), _logit(borne + bet)) for bet in policy.bets])


def _logit(p: Float[Array, " n"]) -> Float[Array, " n"]:
    odds: Array = logit(np.clip(p, CLOSE, 1 - CLOSE))
    return odds


def _ratio(hit: Bool[Array, " n"], null: Float[Array, " n"], alternative: Float[Array, " n"]) -> Float[Array, " n"]:
    """Likelihood ratio of one coin, from log-odds."""
    sign = np.where(hit, 1.0, -1.0)
    return np.asarray(expit(sign * alternative) / expit(sign * null))
