"""What a case says of its answer: pattern, decision, urgency, reason, rank; and nothing of an answer that is hidden.

In:  a Prediction; what monitoring hides, by pattern. Out: columns of the case, which the work list reads off an index.

Monitoring may begin, or cease, to hide the answers of a pattern after a run was imported (`evaluate.monitor`). Then
cases that nobody decided say so and stand where nothing is known of them; the Predictions themselves stay as they are.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_mm.predict.prediction import Prediction
from clinic_mm.report.run import JOIN
from clinic_mm.report.urgency import missing_of, reason_of, unknown_urgency, urgency_of
from clinic_mm.store.casefile import answer_row, parsed
from clinic_mm.store.database import Database, Writing
from clinic_mm.store.models import CaseRow, Meta
from clinic_mm.store.ranking import rank

NOTHING_KNOWN: Final = 1.0
"""Urgency where not even the prior is known."""
HIDDEN: Final = "hidden"
AT_ONCE: Final = 200


def tell(case: CaseRow, prediction: Prediction, hidden: Mapping[str, str]) -> None:
    """Let a case say what its answer is; `case.ready_at` stands already."""
    case.pattern = JOIN.join(prediction.pattern)
    shown = marked(prediction, hidden)
    case.answered = bool(shown.decision) and not shown.withheld
    case.decision = shown.decision if case.answered else ""
    case.urgency = urgency_of(shown, _unknown(shown))
    case.reason, case.missing = reason_of(shown), missing_of(shown)
    case.rank = rank(case.urgency, case.ready_at)


def marked(prediction: Prediction, hidden: Mapping[str, str]) -> Prediction:
    """The same answer, marked where monitoring hides it."""
    why = hidden.get(JOIN.join(prediction.pattern), "")
    return prediction.model_copy(update={"withheld": why}) if why and not prediction.withheld else prediction


def hidden_now(session: Session) -> dict[str, str]:
    """Why monitoring hides the answers of a pattern, by pattern."""
    found = session.get(Meta, HIDDEN)
    return dict(json.loads(found.value)) if found else {}


def hide_from_the_start(
    work: Writing, patterns: Iterable[tuple[str, ...]], hides: Callable[[tuple[str, ...]], str]
) -> None:
    """Before answers are kept: hide those of patterns that no case had so far, so that none is shown for a moment.

    What cases say that are there already is the business of `withhold`, which comes first.

    Args:
        work: The transaction that keeps the answers.
        patterns: Of the answers.
        hides: As `withhold` takes it.
    """
    before = hidden_now(work.session)
    new = {JOIN.join(pattern) for pattern in patterns} - before.keys()
    fresh = {pattern: why for pattern in sorted(new) if (why := _why(hides, pattern))}
    if fresh:
        work.session.merge(Meta(key=HIDDEN, value=json.dumps(before | fresh)))
        work.link("withhold", hidden=sorted(before | fresh), shown=[])


def withhold(db: Database, hides: Callable[[tuple[str, ...]], str]) -> int:
    """Hide the answers of some patterns from now on, and those of all others no more.

    Args:
        db: Of the store.
        hides: Why the answers of a pattern are hidden, "" where they are not (`MonitorState.withheld`).

    Returns:
        Cases that say something else now.
    """
    with db.writing() as work:
        before = hidden_now(work.session)
        patterns = work.session.scalars(select(CaseRow.pattern).distinct())
        now = {pattern: why for pattern in sorted(patterns) if (why := _why(hides, pattern))}
        changed = [pattern for pattern in sorted(before.keys() | now.keys()) if before.get(pattern) != now.get(pattern)]
        if not changed:
            return 0
        work.session.merge(Meta(key=HIDDEN, value=json.dumps(now)))
        work.link("withhold", hidden=sorted(now), shown=[pattern for pattern in changed if pattern not in now])
        keys = work.session.scalars(
            select(CaseRow.case_key).where(
                CaseRow.pattern.in_(changed), CaseRow.answer_id.is_not(None), ~CaseRow.decided
            )
        ).all()
    for start in range(0, len(keys), AT_ONCE):
        with db.writing() as work:
            _told_anew(work, keys[start : start + AT_ONCE])
    return len(keys)


def _told_anew(work: Writing, keys: Sequence[str]) -> None:
    hidden = hidden_now(work.session)
    for case in work.session.scalars(select(CaseRow).where(CaseRow.case_key.in_(keys))).all():
        answer = answer_row(work.session, case)
        if answer is not None and not case.decided:
            tell(case, parsed(answer), hidden)


def _why(hides: Callable[[tuple[str, ...]], str], pattern: str) -> str:
    return hides(tuple(pattern.split(JOIN))) if pattern else ""


def _unknown(prediction: Prediction) -> float:
    prior = prediction.subsets.get("")
    return unknown_urgency(np.asarray(prior)) if prior else NOTHING_KNOWN
