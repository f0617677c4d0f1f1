"""The cases of a run that no shard answers: waiting, being worked on, or without anything to answer from.

In:  a run, its ledger or its list of skipped cases. Out: cases that are new, running, or ready without an answer.

A case that could not be answered is ready all the same: a person has to look at it, with the reason why. What a case
already is in the store beyond that is never taken back.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import Final

from sqlalchemy import select

from clinic_mm.report.driven import is_driven
from clinic_mm.report.live import Live, changed_at, live_cases
from clinic_mm.report.run import Run
from clinic_mm.report.urgency import MOST
from clinic_mm.store.database import Database, Writing
from clinic_mm.store.models import CaseRow, Meta
from clinic_mm.store.ranking import NOT_READY, rank
from clinic_mm.store.states import moved
from clinic_mm.store.told import NOTHING_KNOWN
from clinic_mm.store.values import Imported, State

AT_ONCE: Final = 2000
WAITS: Final[dict[str, State]] = {"pending": "new", "claimed": "running"}
"""States of the ledger; `done` is said by the shards, every other one is ready without an answer."""


def with_states(db: Database, run: Run, now: datetime | None, done: Imported) -> Imported:
    """Take over how far cases are, if that changed since the last time.

    Raises:
        ArtifactError: If ledger or list are damaged.
    """
    key, stands = f"ledger:{run.info.run_id}"[:64], f"{changed_at(run.path)}{' driven' if is_driven(run.path) else ''}"
    with db.reading() as session:
        before = session.get(Meta, key)
        if before is not None and before.value == stands and stands != "0":
            return done
    counts = {"new": 0, "running": 0, "ready": 0}
    cases = _cases(run)
    while part := list(islice(cases, AT_ONCE)):
        with db.writing(now) as work:
            _taken(work, run, part, counts)
    with db.writing(now) as work:
        work.session.merge(Meta(key=key, value=stands))
        if counts["ready"]:
            work.link("import_unanswered", run=run.info.run_id, cases=counts["ready"])
    told = {"ready": done.ready + counts["ready"], "running": counts["running"], "waiting": counts["new"]}
    return done.model_copy(update=told)


def _cases(run: Run) -> Iterator[Live]:
    """Of the ledger; of the list of skipped cases where the run has none."""
    if changed_at(run.path):
        yield from (one for one in live_cases(run.path) if one.state != "done")
        return
    frame = run.skipped()
    for case_key, why in frame.groupby("case_key", sort=True):
        told = "; ".join(f"{row.modality} {row.status}: {row.why}".strip() for row in why.itertuples())
        yield Live(str(case_key), "skipped", None, "", told)


def _taken(work: Writing, run: Run, part: Iterable[Live], counts: dict[str, int]) -> None:
    """Take over the states of some cases; `counts` grows by state."""
    live = {one.case_key: one for one in part}
    there = {row.case_key: row for row in work.session.scalars(select(CaseRow).where(CaseRow.case_key.in_(live)))}
    for key, one in live.items():
        case, to = there.get(key), WAITS.get(one.state, "ready")
        if to != "ready":
            counts[to] += 1
        if case is None:
            case = CaseRow(case_key=key, run_id=run.info.run_id, state="new", rank=NOT_READY)
            work.session.add(case)
        if case.state not in ("new", "running") or (case.state == to):
            continue
        moved(case, to)
        if to == "ready":
            _unanswered(work, case, one)
            counts["ready"] += 1


def _unanswered(work: Writing, case: CaseRow, one: Live) -> None:
    case.pattern = one.pattern
    case.reason = case.missing = f"No answer: {one.reason}"[:MOST]
    case.urgency = NOTHING_KNOWN if one.urgency is None else one.urgency
    case.ready_at = work.now
    case.rank = rank(case.urgency, case.ready_at)
