"""Form cases: one patient at one decision time, its label, and every finding known by then.

In:  the frames of a cohort. Out: `CaseRecord`s in the order of the labels.

A label that is neither a class number nor a named class is refused, never coerced. A labels row without the asked
decision time forms no case, since nothing says what was known by then.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Final, NamedTuple

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
    known_rows = dict(zip(present.index, numbers.astype(int).tolist(), strict=True))
    return [known_rows.get(index) for index in labels.index]


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
    if twice := int(rows.duplicated(["patient_key", DECISION]).sum()):
        mend = "Keep one labels row per patient and decision time; name their times under [labels]"
        raise TaskError(f"{twice} labels rows repeat a patient at the same decision time", "labels", mend)
    joined = join(rows, evidence[evidence["modality"].isin(modalities)], row_times, timed=frame.timed)
    parsed = {p: FINDING.validate_json(str(evidence.at[p, "finding"])) for p in joined["position"].unique()}
    moments = {case: _moment(value) for case, value in rows[DECISION].items()}
    found: dict[object, dict[str, list[Finding]]] = {}
    for case, modality, position, _, code, acquired_at, undated in joined.itertuples(index=False, name=None):
        verdict = _at(parsed[position], code, _moment(acquired_at), moments[case], undated=undated)
        found.setdefault(case, {}).setdefault(modality, []).append(verdict)
    extra = [c for c in covariates if c in rows.columns]
    columns = [[_plain(v) for v in rows[c].tolist()] for c in extra]
    return tuple(
        CaseRecord(
            case_key=case_key(patient, moments[case]),
            patient_key=patient,
            decision_time=moments[case],
            label=label,
            evidence={m: tuple(found.get(case, {}).get(m, ())) or (Absent(modality=m),) for m in modalities},
            covariates=dict(zip(extra, values, strict=True)),
        )
        for case, patient, label, values in zip(
            rows.index,
            rows["patient_key"],
            labels,
            zip(*columns, strict=True) if columns else [()] * len(rows),
            strict=True,
        )
    )


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


def _moment(value: object) -> datetime | None:
    return value.to_pydatetime() if isinstance(value, pd.Timestamp) else None


def _plain(value: object) -> JsonValue:
    """A covariate as JSON has it; missing is None."""
    if isinstance(value, bool | int | str):
        return value
    return value if isinstance(value, float) and math.isfinite(value) else None
