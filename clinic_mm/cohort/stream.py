"""The cases of a cohort one after the other, and a table of them all: a million without a million objects.

In:  an open cohort, a task, what is wanted of it. Out: `CaseRecord`s as they are asked for, or one row per case with
what decides whether it is to be answered again.

Both come in one fixed order, by patient and decision time, and both are the cases of `task_cases`: what is not wanted
is left out by columns, before any object is made. Memory does not grow with the cohort but for the labels, and for
the table itself.
"""

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple, cast

import numpy as np
import pandas as pd

from clinic_mm.cohort.blocks import Block, blocks
from clinic_mm.cohort.cases import DECISION, FINDING, case_keys, check_once, each_case, label_values
from clinic_mm.cohort.input_hash import VERSION, input_hashes
from clinic_mm.cohort.join import join
from clinic_mm.cohort.manifest import EVIDENCE_COLUMNS, Cohort
from clinic_mm.cohort.task_cases import kinds_of, target_of
from clinic_mm.errors import TaskError
from clinic_mm.task import Task
from clinic_mm.types import CaseRecord, Evidence, serves

BLOCK: Final = 4_096
"""Cases joined at a time."""
INDEX_COLUMNS: Final = ("case_key", "patient_key", "input_hash", "day", "pattern")
UNNAMED: Final = '"named":""'
"""Stands in every finding that serves all modalities of its kind."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which cases of a cohort.

    Attributes:
        since: Decision time from which on, with a zone; None takes all.
        pattern: Exactly these modalities of the task have usable evidence; None takes all.
        limit: At most so many, in the fixed order.
        keys: Only cases of these keys; None takes all.
    """

    since: datetime | None = None
    pattern: Collection[str] | None = None
    limit: int | None = None
    keys: Collection[str] | None = None


ALL: Final = Wanted()


def stream_cases(cohort: Cohort, task: Task, wanted: Wanted = ALL) -> Iterator[CaseRecord]:
    """The cases of a task, each formed when it is asked for.

    Raises:
        TaskError: If column, time, labels or what is wanted do not fit; before the first case.
        InputError: If a table of the cohort is damaged.
    """
    asked = _asked(cohort, task, wanted)
    parts = _parts(cohort, task, asked, wanted)
    return (case for part in parts for case in part.cases(asked, task.classes))


def case_index(cohort: Cohort, task: Task, wanted: Wanted = ALL) -> pd.DataFrame:
    """One row per case, in the order of `stream_cases`, without forming any.

    Returns:
        INDEX_COLUMNS as text: `input_hash` as of the module of that name; `day` of the decision in UTC, such as
        2026-11-22, "" where there is none; `pattern` the modalities of the task with usable evidence, sorted, joined
        by +.

    Raises:
        TaskError, InputError: As `stream_cases`.
    """
    asked = _asked(cohort, task, wanted)
    found = [part.table(asked) for part in _parts(cohort, task, asked, wanted)]
    empty = pd.DataFrame({name: pd.Series([], dtype="str") for name in INDEX_COLUMNS})
    index = pd.concat([empty, *found], ignore_index=True)
    return index.astype({"day": "category", "pattern": "category"})


def index_hash(cohort: Cohort, task: Task) -> str:
    """One hash of everything that `case_index` rests on: while it is the same, no case was added, changed or gone."""
    names = [f"{name} {task.kind_of(name)}" for name in task.modalities]
    told = (VERSION.decode(), cohort.info.content_hash, task.decision_time.model_dump_json(), *names)
    return hashlib.sha256("\n".join(told).encode()).hexdigest()


class _Asked(NamedTuple):
    """A task put to a cohort: the wanted cases by columns, in order."""

    rows: pd.DataFrame
    timed: bool
    target: str | None
    covariates: list[str]
    kinds: tuple[str, ...]


class _Part(NamedTuple):
    """Wanted cases of one block, numbered as there; `joined` and `findings` are of all its cases."""

    rows: pd.DataFrame
    patterns: list[str]
    joined: pd.DataFrame
    findings: pd.Series
    due: pd.Series

    def cases(self, asked: _Asked, classes: Sequence[str]) -> Iterator[CaseRecord]:
        """Each is made when it is asked for."""
        target = asked.target
        labels = label_values(self.rows, target, classes) if target else [None] * len(self.rows)
        return each_case(self.rows, labels, self.joined, self.findings, asked.kinds, asked.covariates)

    def table(self, asked: _Asked) -> pd.DataFrame:
        """INDEX_COLUMNS."""
        hashes = input_hashes(self.due, self.joined, self.findings, asked.kinds)
        columns = {
            "case_key": case_keys(self.rows),
            "patient_key": self.rows["patient_key"],
            "input_hash": [hashes[place] for place in self.rows.index],
            "day": self.rows[DECISION].dt.strftime("%Y-%m-%d").fillna(""),
            "pattern": self.patterns,
        }
        return pd.DataFrame(columns, dtype="str")


def _asked(cohort: Cohort, task: Task, wanted: Wanted) -> _Asked:
    """Everything that can be wrong is found here, before the first case."""
    frame = cohort.frame(task.decision_time)
    _check(wanted, task, timed=frame.timed)
    check_once(frame.rows)
    if target := target_of(cohort, task):
        label_values(frame.rows, target, task.classes)
    rows = frame.rows.sort_values(["patient_key", DECISION], kind="stable", ignore_index=True)
    if wanted.since is not None:
        rows = rows[rows[DECISION] >= wanted.since]
    if wanted.keys is not None:
        keys = frozenset(wanted.keys)
        rows = rows[[key in keys for key in case_keys(rows)]]
    if wanted.limit is not None and wanted.pattern is None:
        rows = rows.iloc[: wanted.limit]
    return _Asked(rows, frame.timed, target, cohort.covariates(rows, target), kinds_of(task))


def _check(wanted: Wanted, task: Task, *, timed: bool) -> None:
    if wanted.since is not None and not timed:
        what, mend = "These cases have no decision time, so none is since a day", "Leave out --since"
        raise TaskError(what, "since", mend)
    if unknown := sorted(set(wanted.pattern or ()) - set(task.modalities)):
        mend = f"Modalities of the task: {', '.join(task.modalities)}"
        raise TaskError(f"The task has no modality {', '.join(unknown)}", "pattern", mend)


def _parts(cohort: Cohort, task: Task, asked: _Asked, wanted: Wanted) -> Iterator[_Part]:
    pattern = None if wanted.pattern is None else "+".join(sorted(set(wanted.pattern)))
    left = len(asked.rows) if wanted.limit is None else wanted.limit
    for block in blocks(cohort, asked.rows, EVIDENCE_COLUMNS, BLOCK):
        part = _part(block, task, asked)
        if pattern is not None:
            keep = [place for place, found in enumerate(part.patterns) if found == pattern][:left]
            part = part._replace(rows=part.rows.iloc[keep], patterns=[pattern] * len(keep))
        left -= len(part.rows)
        if len(part.rows):
            yield part
        if left <= 0:
            return


def _part(block: Block, task: Task, asked: _Asked) -> _Part:
    evidence = block.evidence[block.evidence["modality"].isin(asked.kinds)]
    joined = join(block.rows, evidence, block.times, timed=asked.timed)
    findings = block.evidence["finding"]
    patterns = _patterns(len(block.rows), joined, findings, task)
    return _Part(block.rows, patterns, joined, findings, block.rows[DECISION])


def _patterns(n: int, joined: pd.DataFrame, findings: pd.Series, task: Task) -> list[str]:
    """Of each case, which modalities of the task have usable evidence."""
    present = joined[joined["status"] == "present"]
    case, kind = present["case"].to_numpy(np.intp), present["modality"].astype("str").to_numpy()
    position = present["position"].to_numpy()
    meant = {p: FINDING.validate_json(findings[p]) for p in set(position[~_unnamed(findings)[position]].tolist())}
    names = sorted(task.modalities)
    bits = np.zeros(n, np.int64)
    for bit, name in enumerate(names):
        mine = kind == task.kind_of(name)
        if meant:
            other = [p for p, one in meant.items() if not serves(cast("Evidence", one), name)]
            mine &= ~np.isin(position, other)
        there = np.zeros(n, bool)
        there[case[mine]] = True
        bits |= there.astype(np.int64) << bit
    known = {b: "+".join(name for bit, name in enumerate(names) if b >> bit & 1) for b in np.unique(bits).tolist()}
    return [known[b] for b in bits.tolist()]


def _unnamed(findings: pd.Series) -> np.ndarray:
    """Whether a finding serves all modalities of its kind."""
    return findings.str.contains(UNNAMED, regex=False).to_numpy(bool)
