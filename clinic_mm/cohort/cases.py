"""Form cases: one patient at one decision time, its label, and every finding known by then.

In:  the frames of a cohort. Out: `CaseRecord`s in the order of the labels.

A label that is neither a class number nor a named class is refused, never coerced. A labels row without the asked
decision time forms no case, since nothing says what was known by then.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from difflib import get_close_matches
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from pydantic import JsonValue, TypeAdapter

from clinic_mm.cohort.join import AFTER, UNDATED, join
from clinic_mm.cohort.link import case_key
from clinic_mm.cohort.spec import RESERVED_ROOT
from clinic_mm.errors import TaskError
from clinic_mm.task import DecisionTime
from clinic_mm.types import Absent, CaseRecord, Evidence, Finding, Flag, Rejected

DECISION: Final = "decision_time"
FINDING: Final[TypeAdapter[Finding]] = TypeAdapter(Finding)

NO_DECISION: Final = Flag(
    code="time.no_decision", why="The case has no decision time, so no evidence was refused by it"
)
ACCEPTED: Final = Flag(code=UNDATED, why="Nothing says when it was acquired; it was accepted so")
WHY: Final = {
    AFTER: ("Acquired after the decision time", "Leave it out, or ask at a later decision time"),
    UNDATED: ("Nothing says when it was acquired", 'Give it a time, or set undated = "accept" or timeless = true'),
}


class CaseFrame(NamedTuple):
    """Cases before they are joined: the labels rows that form one, and whether they have a decision time."""

    rows: pd.DataFrame
    timed: bool
    left_out: int


def case_frame(
    labels: pd.DataFrame | None, patients: Sequence[str], decision: DecisionTime | None, times: Sequence[str]
) -> CaseFrame:
    """The rows that form a case, each with `patient_key` and `decision_time`.

    Args:
        labels: The cohort's labels; None gives one case per patient, without a decision time.
        patients: All patient keys.
        decision: The column that says when, and an offset; None means `decision_time` where there is one.
        times: Label columns that are times.

    Raises:
        TaskError: If the column is not one of the labels' times.
    """
    if labels is None:
        rows = pd.DataFrame({"patient_key": pd.Series(patients, dtype="str")})
        return CaseFrame(_without_time(rows), timed=False, left_out=0)
    asked = decision or DecisionTime()
    if asked.column not in times:
        if asked.column != DECISION:
            known = ", ".join(times) or "none"
            mend = f"Times of these labels: {known}. Name further ones under [labels] times, then ingest again"
            raise TaskError(f"The labels have no time {asked.column!r}", "decision_time / column", mend)
        return CaseFrame(_without_time(labels), timed=False, left_out=0)
    moment = labels[asked.column] + timedelta(hours=asked.offset_h)
    rows = labels.assign(**{DECISION: moment}).dropna(subset=[DECISION])
    return CaseFrame(rows, timed=True, left_out=len(labels) - len(rows))


def label_values(labels: pd.DataFrame, target: str, classes: Sequence[str] | None) -> list[int | None]:
    """The class of each row, 0 to C-1, None where the label is missing.

    Raises:
        TaskError: If there is no such column, or a value is neither a class number nor a named class.
    """
    check_target(labels, target)
    column = labels[target]
    present = column.dropna()
    numbers: pd.Series
    if pd.api.types.is_numeric_dtype(present) or pd.api.types.is_bool_dtype(present):
        numbers = present.astype(float)
    else:
        place = {name: float(index) for index, name in enumerate(classes or ())}
        numbers = present.astype(str).str.strip().map(place)
    most = len(classes) if classes else float("inf")
    wrong = ~((numbers >= 0) & (numbers < most) & (numbers % 1 == 0))
    if wrong.any():
        named = f" of {', '.join(classes)}" if classes else ""
        what = f"{int(wrong.sum())} labels are neither a class number from 0 nor the name of a class{named}"
        mend = 'Name the values in the task, such as classes = ["no", "yes"], in the order 0, 1, …'
        raise TaskError(what, f"labels / {target}", mend)
    every = numbers.reindex(labels.index).tolist()
    return [None if math.isnan(value) else int(value) for value in every]


def check_target(labels: pd.DataFrame | None, target: str) -> None:
    """Refuse a target that is no column of the labels, with the nearest.

    Raises:
        TaskError: If there is no such column, or no labels.
    """
    columns = [] if labels is None else [str(c) for c in labels.columns if c != "patient_key"]
    if target in columns:
        return
    near = get_close_matches(target, columns, n=1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    mend = f"{hint}Columns: {', '.join(columns)}" if columns else "Name a labels file under [labels], and ingest again"
    raise TaskError(f"The labels have no column {target!r}", "target", mend)


def form_cases(
    frame: CaseFrame,
    labels: Sequence[int | None],
    evidence: pd.DataFrame,
    row_times: Mapping[str, pd.DataFrame],
    modalities: Sequence[str],
    covariates: Sequence[str],
) -> tuple[CaseRecord, ...]:
    """All cases with their findings, in the order of `frame.rows`.

    Raises:
        TaskError: If two rows are of the same patient and decision time.
    """
    rows = frame.rows
    check_once(rows)
    joined = join(rows, evidence[evidence["modality"].isin(modalities)], row_times, timed=frame.timed)
    return tuple(each_case(rows, labels, joined, evidence["finding"], modalities, covariates))


def check_once(rows: pd.DataFrame) -> None:
    """One patient is asked about once at a time.

    Raises:
        TaskError: If two rows are of the same patient and decision time.
    """
    if twice := int(rows.duplicated(["patient_key", DECISION]).sum()):
        mend = "Keep one labels row per patient and decision time; name their times under [labels]"
        raise TaskError(f"{twice} labels rows repeat a patient at the same decision time", "labels", mend)


def each_case(
    rows: pd.DataFrame,
    labels: Sequence[int | None],
    joined: pd.DataFrame,
    findings: pd.Series,
    modalities: Sequence[str],
    covariates: Sequence[str],
) -> Iterator[CaseRecord]:
    """Cases one after the other, in the order of `rows`; none is made before it is asked for.

    Args:
        rows: `patient_key`, `decision_time` and covariates; its index is the case.
        labels: Class of each row.
        joined: What `join` made of the rows, or of more rows than these.
        findings: JSON of each finding by position.
        modalities: Kinds of evidence, each in every case.
        covariates: Columns of `rows`; those that are not there are left out.
    """
    lines = _Lines(joined, findings)
    extra = [c for c in covariates if c in rows.columns]
    columns = [[_plain(v) for v in rows[c].tolist()] for c in extra]
    starts, ends = (np.searchsorted(joined["case"], rows.index, side).tolist() for side in ("left", "right"))
    moments = _moments(rows[DECISION])
    for place, patient in enumerate(rows["patient_key"].tolist()):
        found = lines.findings(starts[place], ends[place], moments[place])
        yield CaseRecord(
            case_key=case_key(patient, moments[place]),
            patient_key=patient,
            decision_time=moments[place],
            label=labels[place],
            evidence={m: tuple(found.get(m, ())) or (Absent(modality=m),) for m in modalities},
            covariates={name: column[place] for name, column in zip(extra, columns, strict=True)},
        )


def case_keys(rows: pd.DataFrame) -> list[str]:
    """The key of each case, see `link.case_key`."""
    return [case_key(p, at) for p, at in zip(rows["patient_key"].tolist(), _moments(rows[DECISION]), strict=True)]


class _Lines:
    """Findings with their verdicts, as plain lists: a frame is slow to ask for one cell."""

    def __init__(self, joined: pd.DataFrame, findings: pd.Series) -> None:
        self.finding = findings.loc[joined["position"]].tolist()
        self.modality, self.code = (joined[c].astype("str").tolist() for c in ("modality", "code"))
        self.undated = joined["undated"].tolist()
        self.acquired_at = _moments(joined["acquired_at"])

    def findings(self, start: int, end: int, moment: datetime | None) -> dict[str, list[Finding]]:
        """The findings of one case by modality, oldest first."""
        found: dict[str, list[Finding]] = {}
        for line in range(start, end):
            finding = _parsed(self.finding[line])
            verdict = _at(finding, self.code[line], self.acquired_at[line], moment, undated=self.undated[line])
            found.setdefault(self.modality[line], []).append(verdict)
        return found


@lru_cache(maxsize=4096)
def _parsed(finding: str) -> Finding:
    """A patient asked about at many times has the same findings every time."""
    return FINDING.validate_json(finding)


def _at(
    finding: Finding, code: str, acquired_at: datetime | None, moment: datetime | None, *, undated: bool
) -> Finding:
    """One finding as it stands at a decision time."""
    if code in WHY:
        why, mend = WHY[code]
        root, paths = (finding.root, finding.paths) if isinstance(finding, Evidence | Rejected) else ("", ())
        return Rejected(
            modality=finding.modality, code=code, why=why, mend=mend, root=root, paths=paths, acquired_at=acquired_at
        )
    if not isinstance(finding, Evidence):
        return finding
    flags = (*finding.flags, *((ACCEPTED,) if undated else ()), *(() if moment else (NO_DECISION,)))
    until = moment if finding.root == RESERVED_ROOT else finding.until
    return finding.model_copy(update={"acquired_at": acquired_at, "until": until, "flags": flags})


def _without_time(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(**{DECISION: pd.Series(pd.NaT, index=rows.index, dtype="datetime64[us, UTC]")})


def _moments(times: pd.Series) -> list[datetime | None]:
    """As Python has them, None where unknown."""
    return [None if moment is pd.NaT else moment for moment in times.array.to_pydatetime()]


def _plain(value: object) -> JsonValue:
    """A covariate as JSON has it; missing is None."""
    if isinstance(value, bool | int | str):
        return value
    return value if isinstance(value, float) and math.isfinite(value) else None
