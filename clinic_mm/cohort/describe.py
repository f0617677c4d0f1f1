"""Who has what: counts per availability pattern, what was refused and why, label balance, time span.

In:  an open cohort. Out: a frozen `Description`, as text or JSON, without a key or path in it.

Works on columns, block by block: a million cases are described without a Python object for each, in the memory of a few
thousand.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import AwareDatetime

from clinic_mm.cohort.blocks import batches, blocks
from clinic_mm.cohort.cases import DECISION, FINDING, WHY, CaseFrame, check_target
from clinic_mm.cohort.join import NEEDED, join
from clinic_mm.cohort.known import TIME_COLUMNS, known_times
from clinic_mm.cohort.manifest import EVIDENCE_FILE, REJECTED_FILE, ROW_FILES, Cohort
from clinic_mm.cohort.rows import UNKNOWN
from clinic_mm.modalities import table
from clinic_mm.task import DecisionTime
from clinic_mm.types import SCHEMA_VERSION, Failed, Frozen, Rejected

BLOCK: Final = 16_384
"""Cases counted at a time; no finding is read, so that they take less than those of a stream."""
JOINED: Final = ("patient_key", *(c for c in NEEDED if c != "accept_undated"))


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
    tally, ingested = _joined(cohort, frame, wanted), _ingested(cohort)
    due_first, due_last = _span(frame.rows[DECISION])
    return Description(
        name=cohort.info.name,
        simulated=cohort.info.simulated,
        patients=cohort.info.counts["patients"],
        cases=len(frame.rows),
        left_out=frame.left_out,
        findings_without_patient=ingested.without_patient,
        patterns=tally.pattern_counts(),
        modalities=tuple(tally.counts(name) for name in wanted),
        refused=(*ingested.refused(), *tally.refused()),
        labels=_balance(frame.rows, target),
        first_evidence=ingested.first,
        last_evidence=ingested.last,
        first_decision=due_first,
        last_decision=due_last,
    )


@dataclass(slots=True)
class _Tally:
    """What the cases have, counted block by block."""

    patterns: Counter[tuple[str, ...]] = field(default_factory=Counter)
    status: dict[str, Counter[str]] = field(default_factory=dict)
    late: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, joined: pd.DataFrame, cases: pd.Index, modalities: Sequence[str]) -> None:
        status = status_of_cases(joined, cases, modalities)
        for name in modalities:
            self.status.setdefault(name, Counter()).update(status[name].tolist())
        names = sorted(modalities)
        for key, n in (status[names] == "present").value_counts().items():
            there = key if isinstance(key, tuple) else (key,)
            self.patterns[tuple(name for name, is_there in zip(names, there, strict=True) if is_there)] += int(n)
        late = joined[joined["code"].isin(list(WHY)) & (joined["status"] == "rejected")]
        self.late.update(zip(late["modality"].astype("str"), late["code"].astype("str"), strict=True))

    def counts(self, name: str) -> ModalityCounts:
        n = self.status.get(name, Counter())
        return ModalityCounts(modality=name, **{s: int(n[s]) for s in ("present", "absent", "rejected", "failed")})

    def pattern_counts(self) -> tuple[PatternCount, ...]:
        counted = sorted(self.patterns.items(), key=lambda one: (-one[1], one[0]))
        return tuple(PatternCount(pattern=pattern, cases=n) for pattern, n in counted)

    def refused(self) -> list[RefusalCount]:
        """At the decision time."""
        return [
            RefusalCount(modality=modality, code=code, findings=n, why=WHY[code][0], mend=WHY[code][1])
            for (modality, code), n in sorted(self.late.items())
        ]


def _joined(cohort: Cohort, frame: CaseFrame, wanted: Sequence[str]) -> _Tally:
    tally = _Tally()
    rows = frame.rows.sort_values("patient_key", kind="stable", ignore_index=True)
    for block in blocks(cohort, rows[["patient_key", DECISION]], JOINED, BLOCK):
        usable = block.evidence[block.evidence["modality"].isin(wanted)]
        tally.add(join(block.rows, usable, block.times, timed=frame.timed), block.rows.index, wanted)
    return tally


@dataclass(slots=True)
class _Ingested:
    """What ingest found, whoever it is of."""

    without_patient: int = 0
    first: datetime | None = None
    last: datetime | None = None
    reasons: dict[tuple[str, str], Counter[tuple[str, str]]] = field(default_factory=dict)

    def see(self, times: pd.Series) -> None:
        first, last = _span(times)
        self.first = min(filter(None, (self.first, first)), default=None)
        self.last = max(filter(None, (self.last, last)), default=None)

    def refused(self) -> Iterator[RefusalCount]:
        for (modality, code), told in sorted(self.reasons.items()):
            ((why, mend), _), *others = told.most_common()
            why += f" (and {len(others)} other reason{'s' * (len(others) > 1)})" if others else ""
            yield RefusalCount(modality=modality, code=code, findings=told.total(), why=why, mend=mend)


def _ingested(cohort: Cohort) -> _Ingested:
    told = _Ingested()
    for piece in batches(cohort.path / EVIDENCE_FILE, ("modality", "status", "code", "acquired_at", "finding")):
        told.without_patient += pc.sum(pc.equal(piece["code"], UNKNOWN)).as_py() or 0
        told.see(piece["acquired_at"].to_pandas())
        bad = piece.filter(pc.is_in(piece["status"], value_set=pa.array(["rejected", "failed"])))
        for modality, code, finding in zip(*(bad[c].to_pylist() for c in ("modality", "code", "finding")), strict=True):
            told.reasons.setdefault((modality, code), Counter())[_why_and_mend(finding)] += 1
    for name, columns in TIME_COLUMNS.items():
        for piece in batches(cohort.path / ROW_FILES[name], columns):
            told.see(known_times(piece)["time"].to_pandas())
    return told


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


def status_of_cases(joined: pd.DataFrame, cases: pd.Index, modalities: Sequence[str]) -> pd.DataFrame:
    """Per case and modality: the best status there is."""
    rank = joined["status"].cat.codes  # 0 present, 1 rejected, 2 failed
    best = rank.groupby([joined["case"], joined["modality"]]).min().unstack("modality")
    wide = best.reindex(index=cases, columns=list(modalities)).fillna(3).astype(int)
    return wide.replace({0: "present", 1: "rejected", 2: "failed", 3: "absent"})


def _why_and_mend(finding: str) -> tuple[str, str]:
    one = FINDING.validate_json(finding)
    assert isinstance(one, Rejected | Failed)
    return one.why, one.mend if isinstance(one, Rejected) else ""


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
