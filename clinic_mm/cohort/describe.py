"""Who has what: counts per availability pattern, what was refused and why, label balance, time span.

In:  an open cohort. Out: a frozen `Description`, as text or JSON, without a key or path in it.

Works on columns only, so that a million cases are described without a Python object for each.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

import pandas as pd
from pydantic import AwareDatetime

from clinic_mm.cohort.cases import DECISION, FINDING, WHY, check_target
from clinic_mm.cohort.join import join
from clinic_mm.cohort.manifest import REJECTED_FILE, Cohort
from clinic_mm.modalities import table
from clinic_mm.task import DecisionTime
from clinic_mm.types import SCHEMA_VERSION, Failed, Frozen, Rejected


class ModalityCounts(Frozen):
    """Cases by what stands in one modality: any usable evidence; else rejected; else failed; else absent."""

    modality: str
    present: int
    absent: int
    rejected: int
    failed: int


class PatternCount(Frozen):
    """How many cases have usable evidence of exactly these modalities."""

    pattern: tuple[str, ...]
    cases: int


class RefusalCount(Frozen):
    """How many findings were refused with one code, and one of the reasons given."""

    modality: str
    code: str
    findings: int
    why: str
    mend: str = ""


class Description(Frozen):
    """A cohort in counts.

    Attributes:
        left_out: Labels rows without the asked decision time, which form no case.
        findings_without_patient: Findings that no patient could be named for.
        refused: At ingest (per finding) and at the decision time (per case and finding).
        labels: Count per label value; "" where missing.
        first_evidence, last_evidence: Time span of dated findings.
        first_decision, last_decision: Time span of the decision times.
    """

    schema_version: str = SCHEMA_VERSION
    name: str
    simulated: bool
    patients: int
    cases: int
    left_out: int
    findings_without_patient: int
    patterns: tuple[PatternCount, ...]
    modalities: tuple[ModalityCounts, ...]
    refused: tuple[RefusalCount, ...]
    labels: dict[str, int]
    first_evidence: AwareDatetime | None
    last_evidence: AwareDatetime | None
    first_decision: AwareDatetime | None
    last_decision: AwareDatetime | None


def describe(
    cohort: Cohort,
    target: str | None = None,
    decision: DecisionTime | None = None,
    modalities: Sequence[str] | None = None,
) -> Description:
    """Count who has what at the decision time.

    Args:
        cohort: An open cohort.
        target: Label column for the balance, none counted where None.
        decision: As in `Cohort.cases`.
        modalities: Kinds counted, all of the table where None.

    Raises:
        TaskError: If the decision column is not one of the labels' times, or they have no column `target`.
    """
    wanted = tuple(modalities or table())
    frame = cohort.frame(decision)
    if target is not None:
        check_target(cohort.labels, target)
    evidence = cohort.evidence
    usable = evidence[evidence["modality"].isin(wanted)]
    joined = join(frame.rows, usable, cohort.row_times, timed=frame.timed)
    status = _status(joined, frame.rows.index, wanted)
    first, last = _span(pd.concat([evidence["acquired_at"], *(t["time"] for t in cohort.row_times.values())]))
    due_first, due_last = _span(frame.rows[DECISION])
    return Description(
        name=cohort.info.name,
        simulated=cohort.info.simulated,
        patients=cohort.info.counts["patients"],
        cases=len(frame.rows),
        left_out=frame.left_out,
        findings_without_patient=int((evidence["code"] == "patient.unknown").sum()),
        patterns=_patterns(status),
        modalities=tuple(_counts(status[name], name) for name in wanted),
        refused=(*_refused_at_ingest(evidence), *_refused_by_time(joined)),
        labels=_balance(frame.rows, target),
        first_evidence=first,
        last_evidence=last,
        first_decision=due_first,
        last_decision=due_last,
    )


def as_text(told: Description) -> str:
    """The description for a terminal, without markup."""
    head = f"{told.name}{' (simulated)' if told.simulated else ''}: {told.patients} patients, {told.cases} cases"
    lines = [head]
    if told.left_out:
        lines.append(f"{told.left_out} labels rows have no decision time and form no case")
    if told.findings_without_patient:
        lines.append(f"{told.findings_without_patient} findings name no patient")
    lines += [f"evidence {_day(told.first_evidence)} to {_day(told.last_evidence)}"]
    lines += [f"decisions {_day(told.first_decision)} to {_day(told.last_decision)}"] if told.first_decision else []
    lines += ["", f"{'modality':<12}{'present':>9}{'absent':>9}{'rejected':>9}{'failed':>9}"]
    lines += [f"{m.modality:<12}{m.present:>9}{m.absent:>9}{m.rejected:>9}{m.failed:>9}" for m in told.modalities]
    lines += ["", "cases by what is present"] if told.patterns else []
    lines += [f"{p.cases:>9}  {' + '.join(p.pattern) or 'nothing'}" for p in told.patterns]
    if told.labels:
        lines += ["", "labels", *(f"{n:>9}  {value or '(missing)'}" for value, n in told.labels.items())]
    if told.refused:
        lines += ["", f"refused (each with its path: {REJECTED_FILE} in the cohort folder)"]
        lines += [f"{r.findings:>9}  {r.modality} {r.code}: {r.why}. {r.mend}".rstrip() for r in told.refused]
    return "\n".join(lines)


def _status(joined: pd.DataFrame, cases: pd.Index, modalities: Sequence[str]) -> pd.DataFrame:
    """Per case and modality: the best status there is."""
    rank = joined["status"].cat.codes  # 0 present, 1 rejected, 2 failed
    best = rank.groupby([joined["case"], joined["modality"]]).min().unstack("modality")
    wide = best.reindex(index=cases, columns=list(modalities)).fillna(3).astype(int)
    return wide.replace({0: "present", 1: "rejected", 2: "failed", 3: "absent"})


def _counts(column: pd.Series, name: str) -> ModalityCounts:
    n = column.value_counts()
    return ModalityCounts(modality=name, **{s: int(n.get(s, 0)) for s in ("present", "absent", "rejected", "failed")})


def _patterns(status: pd.DataFrame) -> tuple[PatternCount, ...]:
    names = sorted(status.columns)
    counted = (status[names] == "present").value_counts().reset_index()
    found = [
        PatternCount(pattern=tuple(n for n, there in zip(names, key, strict=True) if there), cases=int(n_cases))
        for *key, n_cases in counted.itertuples(index=False, name=None)
    ]
    return tuple(sorted(found, key=lambda p: (-p.cases, p.pattern)))


def _refused_at_ingest(evidence: pd.DataFrame) -> list[RefusalCount]:
    bad = evidence[evidence["status"].isin(["rejected", "failed"])]
    found = []
    for (modality, code), group in bad.groupby(["modality", "code"], sort=True):
        ((why, mend), _), *others = Counter(_why_and_mend(one) for one in group["finding"]).most_common()
        why += f" (and {len(others)} other reason{'s' * (len(others) > 1)})" if others else ""
        found.append(RefusalCount(modality=str(modality), code=str(code), findings=len(group), why=why, mend=mend))
    return found


def _why_and_mend(finding: str) -> tuple[str, str]:
    one = FINDING.validate_json(finding)
    assert isinstance(one, Rejected | Failed)
    return one.why, one.mend if isinstance(one, Rejected) else ""


def _refused_by_time(joined: pd.DataFrame) -> list[RefusalCount]:
    late = joined[joined["code"].isin(list(WHY)) & (joined["status"] == "rejected")]
    counted = late.groupby(["modality", "code"], sort=True).size().reset_index()
    return [
        RefusalCount(modality=str(m), code=str(c), findings=int(n), why=WHY[str(c)][0], mend=WHY[str(c)][1])
        for m, c, n in counted.itertuples(index=False, name=None)
    ]


def _balance(rows: pd.DataFrame, target: str | None) -> dict[str, int]:
    if target is None or target not in rows.columns:
        return {}
    missing = int(rows[target].isna().sum())
    counted = {
        f"{value:g}" if isinstance(value, float) else str(value): int(n)
        for value, n in rows[target].value_counts().sort_index().items()
    }
    return counted | ({"": missing} if missing else {})


def _span(times: pd.Series) -> tuple[datetime | None, datetime | None]:
    known = times.dropna()
    return (known.min().to_pydatetime(), known.max().to_pydatetime()) if len(known) else (None, None)


def _day(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d}" if moment else "unknown"
