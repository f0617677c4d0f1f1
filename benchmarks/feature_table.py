"""Facts into the feature table: facts per second, beside the same summaries written with pandas' groupby.

    python -m benchmarks.feature_table --page docs/performance.md

The MEDS events of the MIMIC-IV demo (shared data, read in place), as known at each patient's last event. The ways are
taken in turn, several times over, and the medians told: reading the events with all checks; the table of `RecordPrep`
for all patients at once and for each alone; and the plain way, `groupby` with its own aggregates and one least-squares
line per group. Both tables are compared cell by cell, within 32-bit precision. Learning which features there are is not
timed.
"""

import argparse
import os
import time
from collections.abc import Callable
from datetime import UTC
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
from numpy import ndarray as Array

from benchmarks.section import machine, write_section
from clinic_mm.prep.feature_table import TREND, TREND_H
from clinic_mm.prep.record import RecordPrep
from clinic_mm.signals import PatientRecord
from clinic_mm.sources.tables.meds import read_meds
from clinic_mm.task import ModalityTask

SHARED = Path(os.environ.get("CLINIC_MM_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
EVENTS = SHARED / "tabular" / "mimic_iv_demo" / "meds_events.parquet"


def main() -> None:
    """Measure and write the page."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--repeats", type=int, default=5)
    asked.add_argument("--page", type=Path, help="page to write")
    given = asked.parse_args()
    text = measured(given.repeats)
    if given.page:
        write_section(given.page, "The feature table", text)
    print(text)


def measured(repeats: int) -> str:
    """The section: what was measured, and that both ways agree."""
    facts, _ = read_meds([EVENTS], UTC)
    events = len(pd.read_parquet(EVENTS, columns=["code"]))
    records = [PatientRecord(rows.reset_index(drop=True)) for _, rows in facts.groupby("patient_id", sort=False)]
    prep = RecordPrep.plan("base", ModalityTask(kind="record", summaries=("trend",))).fit((r, None) for r in records)
    case = pd.factorize(facts["patient_id"])[0]
    due = np.array([record.rows["time"].max().timestamp() for record in records])
    ours, plain = prep.table(facts, case, due), by_groupby(facts, prep, due)
    np.testing.assert_allclose(ours, plain, rtol=2e-5, atol=2e-5)
    ways = {
        "MEDS events read and checked": (lambda: read_meds([EVENTS], UTC), events),
        "feature table, all patients at once": (lambda: prep.table(facts, case, due), len(facts)),
        "feature table, each patient alone": (lambda: [prep(one) for one in records], len(facts)),
        "the same table with groupby": (lambda: by_groupby(facts, prep, due), len(facts)),
    }
    took = in_turn({name: way for name, (way, _) in ways.items()}, repeats)
    lines = [f"| {name} | {took[name]:.2f} | {n / took[name]:,.0f} |" for name, (_, n) in ways.items()]
    ratio = took["the same table with groupby"] / took["feature table, all patients at once"]
    return "\n".join(
        [
            f"{events:,} MEDS events of {len(records)} real patients (MIMIC-IV demo), {len(facts):,} facts of them,",
            f"{len(prep.features)} features by {len(prep.summaries)} summaries, on {machine()}, one process, median of "
            f"{repeats}.",
            "",
            "| step | seconds | rows per second |",
            "|---|---|---|",
            *lines,
            "",
            f"All patients at once: {ratio:.1f} times faster than groupby; both tables agree in every cell.",
            "",
            "Command: `python -m benchmarks.feature_table --page docs/performance.md`",
        ]
    )


def in_turn(ways: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median seconds of each way; one round of all to warm up, then round by round, since others share the cores."""
    took: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(repeats + 1):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            if turn:
                took[name].append(time.perf_counter() - start)
    return {name: median(times) for name, times in took.items()}


def by_groupby(facts: pd.DataFrame, prep: RecordPrep, due_s: Array) -> Array:
    """The plain way: a few lines of pandas for each kind of feature."""
    patients = facts["patient_id"].unique()
    x = np.full((len(patients), len(prep.features), len(prep.summaries)), np.nan)
    due = pd.Series(due_s, index=patients)
    numbers = facts[np.isfinite(facts["value"])]
    numbers = numbers.assign(day=numbers["time"].astype("int64") / 86_400e6)
    groups = numbers.groupby(["patient_id", "code", "unit"], sort=False)
    made = groups["value"].agg(["last", "mean", "min", "max", "size"])
    made["size"] = np.log1p(made["size"])
    made["age"] = due.loc[made.index.get_level_values(0)].to_numpy() / 3600 - groups["day"].last() * 24
    if TREND in prep.summaries:
        made["trend"] = groups[["day", "value"]].apply(slope)
    for place, feature in enumerate(prep.features):
        mine = facts[facts["code"] == feature.code]
        match feature.how:
            case "number":
                cells = made.xs((feature.code, feature.detail), level=(1, 2)).reindex(patients)
                x[:, place, :] = cells.to_numpy()
            case "listed":
                x[:, place, 0] = np.isin(patients, mine["patient_id"])
            case "level":
                last = mine[mine["text"] != ""].groupby("patient_id")["text"].last().reindex(patients)
                x[:, place, 0] = last.eq(feature.detail).astype(float).where(last.notna())
            case "age":
                born = pd.to_datetime(mine.groupby("patient_id")["text"].last().reindex(patients), utc=True)
                x[:, place, 0] = (due_s - born.astype("int64").to_numpy() / 1e6) / (365.25 * 86_400)
    return x.astype(np.float32)


def slope(group: pd.DataFrame) -> float:
    """Per day, by numpy's own fit."""
    days = group["day"].to_numpy() - group["day"].to_numpy()[0]
    if np.ptp(days) < TREND_H / 24:
        return np.nan
    return float(np.polyfit(days, group["value"].to_numpy(), 1)[0])


if __name__ == "__main__":
    main()
