"""The cases of a cohort as one table to look through: who has what, refused by which check, of which group and split.

In:  an open cohort; the run over it, for what became of its cases; the model's list of whom it was trained on.
Out: one row per case, all columns categories; the rows that fit; counts by group, small groups withheld.

Made block by block as `cohort.describe` counts, so that 100,000 cases need no Python object for each finding. No answer
of the model is in it, no name, no path, no text and no date: a case goes by its key.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import numpy as np
import orjson
import pandas as pd
from jaxtyping import Bool
from numpy import ndarray as Array

from clinic_mm.cohort.blocks import blocks
from clinic_mm.cohort.cases import DECISION, case_keys, label_values
from clinic_mm.cohort.describe import BLOCK, JOINED, status_of_cases
from clinic_mm.cohort.join import join
from clinic_mm.cohort.manifest import Cohort
from clinic_mm.evaluate.groups import Whose, groups_of
from clinic_mm.evaluate.withheld import REST, UNKNOWN, few_of, merged, told_counts
from clinic_mm.modalities import table
from clinic_mm.predict.interval import clopper_pearson
from clinic_mm.predict.sealed import MANIFEST
from clinic_mm.predict.seen import trained_on
from clinic_mm.report.run import JOIN, Run
from clinic_mm.task import DecisionTime

SEVERAL: Final = ("refused", "flags")
"""Columns that hold several values, joined; the others hold one."""
NOTHING: Final = ""
TRAINED: Final = "trained on"
UNSEEN: Final = "not trained on"
OUTSIDE: Final = "not in the run"
SILENT: Final = "without an answer"
ANSWERED: Final = "answered"
SKIPPED: Final = "skipped"
MODEL: Final = "model.json"


def case_index(
    cohort: Cohort,
    *,
    target: str = "",
    classes: Sequence[str] = (),
    decision: DecisionTime | None = None,
    kinds: Sequence[str] = (),
    patients_sha256: Sequence[str] | None = None,
) -> pd.DataFrame:
    """One row per case.

    Args:
        cohort: An open cohort.
        target: Label column; none is told where the cohort has no such column.
        classes: Names of the classes in the order 0, 1, …
        decision: When the answer is due.
        kinds: Kinds of evidence, all of the table where empty.
        patients_sha256: Whom the model was trained on; None where nobody knows.

    Returns:
        case_key, patient_key; as categories: label, split, sex, age, site, language, pattern (of the kinds, joined by
        `+`), refused (`kind code`, joined by `;`), and for each kind its best status.

    Raises:
        TaskError: If decision column or labels do not fit.
        InputError: If a table of the cohort cannot be read.
    """
    wanted = tuple(dict.fromkeys(kinds)) or tuple(table())
    frame = cohort.frame(decision)
    rows = frame.rows.sort_values("patient_key", kind="stable", ignore_index=True)
    keys = case_keys(rows)
    who = pd.DataFrame({"case_key": keys, "patient_key": rows["patient_key"]})
    found = pd.concat([who, _status(cohort, rows, wanted, timed=frame.timed)], axis=1)
    found["label"] = _labels(rows, target, classes)
    found["split"] = _split(rows["patient_key"], patients_sha256)
    groups = groups_of(cohort, list(_whose(rows, keys, cohort.covariates(rows, target))))
    for name in groups.columns:
        found[name] = groups[name].to_numpy()
    return _categories(found)


def with_run(index: pd.DataFrame, run: Run) -> pd.DataFrame:
    """The same rows with `state` (what the run made of a case) and `flags` (codes, joined by `;`); no answer."""
    told = run.worklist()[["case_key", "abstained", "flags"]].set_index("case_key")
    mine = told.reindex(index["case_key"])
    state = np.where(mine["abstained"].isna(), OUTSIDE, np.where(mine["abstained"] == "", ANSWERED, SILENT))
    state = np.where(index["case_key"].isin(set(run.skipped()["case_key"])) & (state == OUTSIDE), SKIPPED, state)
    flags = mine["flags"].fillna("").str.replace(JOIN, ";", regex=False).to_numpy()
    return index.assign(state=pd.Categorical(state), flags=pd.Categorical(flags))


def trained_by(run: Run) -> list[str] | None:
    """Whom the model of a run was trained on, as hashes; None where the folder that the run names is not that model."""
    folder = Path(run.info.model.path)
    try:
        manifest, made = (folder / MANIFEST).read_bytes(), (folder / MODEL).read_bytes()
        listed = orjson.loads(manifest)["files"][MODEL]
        if (sha256(manifest).hexdigest(), sha256(made).hexdigest()) != (run.info.model.hash, listed):
            return None
        return [str(one) for one in orjson.loads(made)["facts"]["patients_sha256"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def fits(index: pd.DataFrame, wanted: Mapping[str, Sequence[str]]) -> Bool[Array, " n"]:
    """Which rows fit: in every column that is asked about, one of the values asked for.

    Args:
        index: From `case_index`.
        wanted: Values by column; a column without values asks for nothing.
    """
    inside = np.ones(len(index), dtype=bool)
    for column, values in wanted.items():
        if not values:
            continue
        categories = index[column].cat.categories
        mine = [_is_among(str(name), column, frozenset(values)) for name in categories]
        inside &= np.array([*mine, False])[index[column].cat.codes.to_numpy()]  # code -1 takes the last
    return inside


def values_of(index: pd.DataFrame, column: str) -> list[str]:
    """What may be asked for in a column: known values of as many patients as may be counted out."""
    patients, told = index["patient_key"], []
    for value in sorted({one for name in index[column].cat.categories for one in _parts(str(name), column)}):
        if value != NOTHING and not few_to_tell(patients[fits(index, {column: [value]})]):
            told.append(value)
    return told


def few_to_tell(patients: pd.Series) -> bool:
    """Whether so few that they are not counted out; nobody is nobody."""
    n = patients.nunique()
    return n > 0 and told_counts([n])[0][0] != str(n)


def counted(index: pd.DataFrame, column: str, classes: Sequence[str] = ()) -> pd.DataFrame:
    """Patients by the values of a column, and the share of the last class where the groups are large enough.

    Args:
        index: Rows to count.
        column: By what; for a column of several values a case counts in each.
        classes: Of the labels; shares are told of two classes only.

    Returns:
        group, patients (text), labelled (patients, text), share, low, high (95 %, Clopper-Pearson over patients),
        withheld. Groups of few patients are put together; the largest first.
    """
    rows = _exploded(index, column)
    if not len(rows):
        return pd.DataFrame(columns=["group", "patients", "labelled", "share", "low", "high", "withheld"])
    rows = rows.assign(group=merged(rows["group"].to_numpy(dtype=str), rows["patient_key"].to_numpy()))
    made = []
    for group, mine in rows.groupby("group", sort=False):
        made.append({"group": group, "n": mine["patient_key"].nunique(), **_share(mine, classes)})
    table_ = pd.DataFrame(made).sort_values("n", ascending=False, kind="stable", ignore_index=True)
    patients, labelled = told_counts(table_["n"].tolist(), table_["n_labelled"].tolist())
    table_ = table_.assign(patients=patients, labelled=labelled)
    return table_[["group", "patients", "labelled", "share", "low", "high", "withheld"]]


def _status(cohort: Cohort, rows: pd.DataFrame, kinds: Sequence[str], *, timed: bool) -> pd.DataFrame:
    """Status of each kind, pattern and refusals of each case, in the order of the rows."""
    made = []
    for block in blocks(cohort, rows[["patient_key", DECISION]], JOINED, BLOCK):
        usable = block.evidence[block.evidence["modality"].isin(kinds)]
        joined = join(block.rows, usable, block.times, timed=timed)
        status = status_of_cases(joined, block.rows.index, kinds)
        status.columns = [str(name) for name in status.columns]
        status["pattern"] = _pattern(status, sorted(kinds))
        status["refused"] = _refused(joined, block.rows.index)
        made.append(status)
    empty = pd.DataFrame({name: pd.Series(dtype="str") for name in (*kinds, "pattern", "refused")})
    return pd.concat(made, ignore_index=True) if made else empty


def _pattern(status: pd.DataFrame, kinds: Sequence[str]) -> Array:
    """Each row's present kinds, joined; there are far fewer patterns than cases."""
    bits = sum((status[name] == "present").to_numpy() * 2**at for at, name in enumerate(kinds))
    codes, back = np.unique(bits, return_inverse=True)
    names = [JOIN.join(name for at, name in enumerate(kinds) if int(code) >> at & 1) for code in codes]
    return np.array(names, dtype=object)[back]


def _refused(joined: pd.DataFrame, cases: pd.Index) -> Array:
    bad = joined[joined["status"] != "present"]
    code = bad["code"].astype(str).where(bad["code"].astype(str) != "", bad["status"].astype(str))
    told = pd.DataFrame({"case": bad["case"], "told": bad["modality"].astype(str) + " " + code}).drop_duplicates()
    by_case = told.sort_values(["case", "told"]).groupby("case")["told"].agg(";".join)
    return by_case.reindex(cases).fillna("").to_numpy()


def _labels(rows: pd.DataFrame, target: str, classes: Sequence[str]) -> list[str]:
    if not target or target not in rows.columns:
        return [NOTHING] * len(rows)
    values = label_values(rows, target, classes)
    return [NOTHING if v is None else classes[v] if v < len(classes) else str(v) for v in values]


def _split(patients: pd.Series, patients_sha256: Sequence[str] | None) -> Array:
    if patients_sha256 is None:
        return np.full(len(patients), NOTHING, dtype=object)
    trained = trained_on(set(patients), {"patients_sha256": list(patients_sha256)})
    return np.where(patients.isin(trained), TRAINED, UNSEEN)


def _whose(rows: pd.DataFrame, keys: Sequence[str], covariates: Sequence[str]) -> Iterator[Whose]:
    """What `groups_of` needs of each case."""
    moments: list[datetime | None] = [None if at is pd.NaT else at for at in rows[DECISION].array.to_pydatetime()]
    columns = [rows[name].astype(object).where(rows[name].notna(), None).tolist() for name in covariates]
    for at, (key, patient) in enumerate(zip(keys, rows["patient_key"].tolist(), strict=True)):
        told = {name: column[at] for name, column in zip(covariates, columns, strict=True)}
        yield SimpleNamespace(case_key=key, patient_key=patient, decision_time=moments[at], covariates=told)


def _categories(found: pd.DataFrame) -> pd.DataFrame:
    keys = {"case_key", "patient_key"}
    return found.assign(**{str(name): found[name].astype(str).astype("category") for name in found if name not in keys})


def _parts(value: str, column: str) -> tuple[str, ...]:
    return tuple(value.split(";")) if column in SEVERAL else (value,)


def _is_among(value: str, column: str, wanted: frozenset[str]) -> bool:
    return not wanted.isdisjoint(_parts(value, column))


def _exploded(index: pd.DataFrame, column: str) -> pd.DataFrame:
    """Rows with `group`, once for each value of the column; a case without any counts in none of several."""
    rows = index[["patient_key", "label"]].assign(group=index[column].astype(str).to_numpy())
    if column not in SEVERAL:
        return rows
    rows = rows[rows["group"] != NOTHING]
    return rows.assign(group=rows["group"].str.split(";")).explode("group")


def _share(rows: pd.DataFrame, classes: Sequence[str]) -> dict[str, Any]:
    """The share of the last of two classes; a patient with several cases counts once, by their mean."""
    known = rows[rows["label"].astype(str) != NOTHING]
    nothing = {"share": np.nan, "low": np.nan, "high": np.nan}
    n = int(known["patient_key"].nunique())
    if len(classes) != 2 or not n:
        return {"n_labelled": n, **nothing, "withheld": ""}
    group, hits = str(rows["group"].iloc[0]), (known["label"].astype(str) == classes[-1]).astype(float)
    mean = hits.groupby(known["patient_key"].to_numpy()).mean()
    total = float(mean.sum())
    rarest = int(min((mean > 0).sum(), (mean < 1).sum()))
    why = "no one group" if group in (REST, UNKNOWN) else few_of(n, rarest)
    if why:
        return {"n_labelled": n, **nothing, "withheld": why}
    low, high = clopper_pearson(total, n)
    return {"n_labelled": n, "share": total / n, "low": low, "high": high, "withheld": ""}
