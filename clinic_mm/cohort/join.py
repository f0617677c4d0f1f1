"""Join evidence to cases by patient and time, as frames: who has what, and why not.

In:  one row per case (patient, decision time), one row per finding, and the times of record and note rows.
Out: one row per case and finding, with its verdict: present, rejected (with a code) or failed. No row means absent.

Evidence after the decision time is refused, and so is undated evidence unless the cohort accepts it. Everything here
is a join of columns, so that a million cases need no Python object each.
"""

from collections.abc import Mapping
from typing import Final

import pandas as pd

from clinic_mm.cohort.spec import RESERVED_ROOT

AFTER: Final = "time.after_decision"
UNDATED: Final = "time.undated"
STATUSES: Final = ("present", "rejected", "failed")
NEEDED: Final = ("modality", "status", "code", "root", "acquired_at", "accept_undated")
COLUMNS: Final = ("case", "modality", "position", "status", "code", "acquired_at", "undated")


def join(cases: pd.DataFrame, evidence: pd.DataFrame, rows: Mapping[str, pd.DataFrame], *, timed: bool) -> pd.DataFrame:
    """Every finding of every case, with its verdict at the case's decision time.

    Args:
        cases: `patient_key`, `decision_time` (UTC); its index is the case.
        evidence: `patient_key`, `modality`, `status`, `code`, `root`, `acquired_at`, `accept_undated`; its index is
            the position of the finding.
        rows: For each modality that is kept as rows: `patient_key`, `time` (UTC, NaT where undated) of the rows that
            count as evidence.
        timed: False where the cases have no decision time; then nothing can be refused by time.

    Returns:
        `case`, `modality`, `position`, `status`, `code`, `acquired_at`, `undated` (accepted without a date), sorted
        by case, modality and time.
    """
    patients = pd.Index(cases["patient_key"].unique())  # numbers join and count faster than names
    at = pd.DataFrame(
        {
            "case": cases.index,
            "patient": patients.get_indexer(cases["patient_key"]),
            "decision_time": cases["decision_time"].array,
        }
    )
    found = evidence[list(NEEDED)].assign(patient=patients.get_indexer(evidence["patient_key"]))
    codes = sorted({"", AFTER, UNDATED, *map(str, found["code"].unique())})
    found = found.assign(
        modality=found["modality"].astype("category"),
        status=pd.Categorical(found["status"], categories=list(STATUSES)),
        code=pd.Categorical(found["code"], categories=codes),
    )
    found = found[found["patient"] >= 0].rename_axis("position").reset_index()
    in_rows = (found["root"] == RESERVED_ROOT) & (found["status"] == "present")
    parts = [_files(at.merge(found[~in_rows], on="patient"), timed=timed)]
    for modality, mine in found[in_rows].groupby("modality", sort=True, observed=True):
        if (times := rows.get(str(modality))) is not None:
            known = pd.DataFrame({"patient": patients.get_indexer(times["patient_key"]), "time": times["time"].array})
            parts.append(_rows(at, mine, known, timed=timed))
    joined = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
    order = ["case", "modality", "acquired_at", "position"]
    return joined.sort_values(order, ignore_index=True)[list(COLUMNS)]


def _files(pairs: pd.DataFrame, *, timed: bool) -> pd.DataFrame:
    pairs["undated"] = pairs["acquired_at"].isna() & (pairs["status"] == "present")
    if timed:
        _refuse(pairs, pairs["acquired_at"] > pairs["decision_time"], AFTER)
        _refuse(pairs, pairs["undated"] & ~pairs["accept_undated"], UNDATED)
    return pairs


def _rows(at: pd.DataFrame, mine: pd.DataFrame, times: pd.DataFrame, *, timed: bool) -> pd.DataFrame:
    """One finding per patient, present in a case where a row was known by its decision time.

    Undated rows that are still there were accepted at ingest.
    """
    pairs = at.merge(mine.drop(columns="acquired_at"), on="patient")
    dated = times.dropna(subset=["time"])
    if timed:
        pairs = _last_known(pairs, dated)
    else:
        last = dated.groupby("patient")["time"].max().rename("acquired_at")
        pairs = pairs.merge(last, left_on="patient", right_index=True, how="left")
    later = pairs["patient"].isin(dated["patient"])
    without_date = pairs["patient"].isin(times.loc[times["time"].isna(), "patient"])
    pairs["undated"] = pairs["acquired_at"].isna()
    _refuse(pairs, pairs["undated"] & ~without_date, AFTER)
    return pairs[later | without_date]  # demographics alone are no record


def _last_known(pairs: pd.DataFrame, dated: pd.DataFrame) -> pd.DataFrame:
    left = pairs.sort_values("decision_time", kind="stable")
    right = dated[["patient", "time"]].sort_values("time", kind="stable")
    matched = pd.merge_asof(left, right, left_on="decision_time", right_on="time", by="patient")
    return matched.rename(columns={"time": "acquired_at"})


def _refuse(pairs: pd.DataFrame, where: pd.Series, code: str) -> None:
    pairs.loc[where, "status"] = "rejected"
    pairs.loc[where, "code"] = code
    pairs.loc[where, "undated"] = False
