"""The work list: one page of it, read off an index, with the reason why each case stands where it stands.

In:  a `WorklistQuery`. Out: a `WorklistPage`; counts by state.

A page is asked for by the key of the row before it, never by its number: a list that changes meanwhile shows no case
twice and skips none. Each state is a range of one index, and the ranges are merged; filters are answered from the index
alone.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, exists, func, or_, select, union_all
from sqlalchemy.orm import InstrumentedAttribute, Session

from clinic_mm.report.run import JOIN
from clinic_mm.store.casefile import lock_of
from clinic_mm.store.models import ActRow, CaseRow
from clinic_mm.store.ranking import EPOCH, NOT_READY, promoted, waiting_in_words
from clinic_mm.store.values import STATES, TO_READ, State, WorklistPage, WorklistQuery, WorklistRow

NO_ANSWER: Final = "none"
SEALED: Final = "Sealed until you give your opinion"
MILLISECOND: Final = timedelta(microseconds=1)


def worklist(session: Session, query: WorklistQuery, now: datetime) -> WorklistPage:
    """One page.

    Args:
        session: Of the store.
        query: Which cases, in which order, after which.
        now: Waiting is told until then.
    """
    kept = _filters(query, session.get_bind().dialect.name)
    keys = _keys(session, query, kept)
    page, more = keys[: query.limit], len(keys) > query.limit
    total = len(page) if query.after is None and not more else _total(session, query, kept)
    names = [key for _, key in page]
    found = {row.case_key: row for row in session.scalars(select(CaseRow).where(CaseRow.case_key.in_(names)))}
    own = _with_opinion(session, names, query.sealed_for)
    rows = tuple(_row(found[name], query.sealed_for, name in own, now) for name in names)
    return WorklistPage(rows=rows, total=total, next=page[-1] if more else None)


def counts(session: Session) -> dict[State, int]:
    """How many cases are in which state."""
    asked = select(CaseRow.state, func.count()).group_by(CaseRow.state)
    found = {str(state): int(n) for state, n in session.execute(asked)}
    return {state: found.get(state, 0) for state in STATES}


def _total(session: Session, query: WorklistQuery, kept: Sequence[ColumnElement[bool]]) -> int:
    """Rows of all pages."""
    return session.scalar(select(func.count()).select_from(CaseRow).where(*kept, _in_states(query))) or 0


def _keys(session: Session, query: WorklistQuery, kept: Sequence[ColumnElement[bool]]) -> list[tuple[float, str]]:
    """Order and key of the rows of a page, and of one more."""
    order, value = _order(query)
    ranges = [
        select(order.label("place"), CaseRow.case_key.label("name"))
        .where(CaseRow.state == state, *kept, *_after(order, query))
        .order_by(order, CaseRow.case_key)
        .limit(query.limit + 1)
        .subquery()
        for state in _states(query)
    ]
    merged = union_all(*(select(part.c.place, part.c.name) for part in ranges)).subquery()
    asked = select(merged.c.place, merged.c.name).order_by(merged.c.place, merged.c.name).limit(query.limit + 1)
    return [(value(place), str(name)) for place, name in session.execute(asked)]


def _order(query: WorklistQuery) -> tuple[InstrumentedAttribute[Any], Any]:
    """The column that orders, and how its value is told in a key."""
    if query.order == "urgency":
        return CaseRow.rank, float
    return CaseRow.ready_at, lambda at: float((at - EPOCH) // MILLISECOND) if at else NOT_READY


def _after(order: InstrumentedAttribute[Any], query: WorklistQuery) -> list[ColumnElement[bool]]:
    if query.after is None:
        return []
    place: Any = query.after[0]
    if query.order == "waiting":
        place = EPOCH + place * MILLISECOND
    # Both say the same; the first alone lets the index begin at the right row.
    return [order >= place, or_(order > place, and_(order == place, CaseRow.case_key > query.after[1]))]


def _states(query: WorklistQuery) -> Sequence[State]:
    states = query.states or STATES
    return states if query.order == "urgency" else [state for state in states if state not in ("new", "running")]


def _in_states(query: WorklistQuery) -> ColumnElement[bool]:
    return CaseRow.state.in_(_states(query))


def _filters(query: WorklistQuery, dialect: str) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if query.pattern is not None:
        found.append(CaseRow.pattern == JOIN.join(query.pattern))
    if query.assigned is not None:
        found.append(CaseRow.assigned == query.assigned)
    if text := query.text.strip():
        # Letters of ASCII count the same in both cases. LIKE of SQLite does so by itself, and a call of lower() for
        # every case is what takes the time; in PostgreSQL the rules of a language are what takes it.
        key = CaseRow.case_key
        holds = key.contains if dialect == "sqlite" else key.collate("C").icontains
        found.append(holds(text, autoescape=True))
    if query.answer is not None:
        found.append(~CaseRow.answered if query.answer == NO_ANSWER else CaseRow.decision == query.answer)
        if query.sealed_for:  # or the filter would tell what the row hides
            found.append(or_(CaseRow.state.not_in(TO_READ), _opinion_of(query.sealed_for)))
    return found


def _opinion_of(user: str) -> ColumnElement[bool]:
    own = (ActRow.case_key == CaseRow.case_key, ActRow.user_id == user, ActRow.kind == "opinion")
    return exists(select(ActRow.number).where(*own).correlate(CaseRow))


def _with_opinion(session: Session, names: list[str], user: str) -> frozenset[str]:
    if not user:
        return frozenset()
    own = (ActRow.user_id == user, ActRow.kind == "opinion", ActRow.case_key.in_(names))
    return frozenset(session.scalars(select(ActRow.case_key).where(*own)))


def _row(case: CaseRow, sealed_for: str, own: bool, now: datetime) -> WorklistRow:
    sealed = bool(sealed_for) and not own and case.state in TO_READ
    waits = max(timedelta(), now - case.ready_at) if case.ready_at and case.state in TO_READ else timedelta()
    lock = lock_of(case)
    told = [SEALED, case.missing] if sealed else [case.reason]
    return WorklistRow(
        case_key=case.case_key,
        state=case.state,
        version=case.version,
        pattern=tuple(case.pattern.split(JOIN)) if case.pattern else (),
        urgency=None if sealed else case.urgency,
        waits_h=waits / timedelta(hours=1),
        promoted=promoted(waits),
        reason="; ".join(part for part in (*told, waiting_in_words(waits)) if part),
        decision="" if sealed else case.decision,
        answered=case.answered and not sealed,
        sealed=sealed,
        assigned=case.assigned,
        lock=lock if lock and lock.until > now else None,
        newer=case.newer,
    )
