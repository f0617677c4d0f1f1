"""One case as pages see it: its state, who reads it, and what people did, in the order they did it.

In:  a session, a case key. Out: `CaseFile`; the stored Prediction.

Until a reader has given his own opinion, what others thought of an open case is left out (`seen_by`).
"""

import zlib
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_mm.errors import ArtifactError, InputError
from clinic_mm.predict.prediction import Prediction
from clinic_mm.report.run import JOIN
from clinic_mm.store.models import ActRow, AnswerRow, CaseRow, RunRow
from clinic_mm.store.values import TO_READ, Amendment, CaseFile, Comment, Decision, Lock, Opinion, Signature


def case_row(session: Session, case_key: str) -> CaseRow:
    """The row of a case.

    Raises:
        InputError: If the store has no such case.
    """
    found = session.get(CaseRow, case_key)
    if found is None:
        raise InputError("The store has no such case", "case_key", "Open it from the work list")
    return found


def classes_of(session: Session, case: CaseRow) -> tuple[str, ...]:
    """Classes of the task that a case is read for."""
    return tuple(session.scalars(select(RunRow.classes).where(RunRow.run_id == case.run_id)).one().split(JOIN))


def has_opinion(session: Session, case_key: str, user: str) -> bool:
    """Whether a reader has given his first opinion."""
    asked = select(ActRow.number).where(ActRow.case_key == case_key, ActRow.user_id == user, ActRow.kind == "opinion")
    return session.scalars(asked).first() is not None


def is_sealed(session: Session, case: CaseRow, user: str) -> bool:
    """Whether a reader is not to see the answer yet: the case is open, and he gave no opinion."""
    return case.state in TO_READ and not has_opinion(session, case.case_key, user)


def case_file(session: Session, case_key: str, seen_by: str = "") -> CaseFile:
    """All that is known of a case.

    Args:
        session: Of the store.
        case_key: Of the case.
        seen_by: A reader who is to see nothing of the answer before he gave his own opinion; "" for everything.

    Raises:
        InputError: If the store has no such case.
    """
    case = case_row(session, case_key)
    sealed = bool(seen_by) and is_sealed(session, case, seen_by)
    acts = session.scalars(select(ActRow).where(ActRow.case_key == case_key).order_by(ActRow.number)).all()
    told = [act for act in acts if not sealed or act.user_id == seen_by]
    return CaseFile(
        case_key=case.case_key,
        run_id=case.run_id,
        state=case.state,
        version=case.version,
        pattern=tuple(case.pattern.split(JOIN)) if case.pattern else (),
        answered=case.answered and not sealed,
        answer_hash=case.answer_hash,
        urgency=None if sealed else case.urgency,
        reason=case.missing if sealed else case.reason,
        ready_at=case.ready_at,
        assigned=case.assigned,
        lock=lock_of(case),
        newer=case.newer,
        sealed=sealed,
        **_by_kind(told),
    )


def lock_of(case: CaseRow) -> Lock | None:
    """Who reads a case."""
    if not case.lock_by or case.lock_since is None or case.lock_until is None:
        return None
    return Lock(by=case.lock_by, since=case.lock_since, until=case.lock_until)


def answer_row(session: Session, case: CaseRow) -> AnswerRow | None:
    """The answer that stands, None where there is none."""
    return session.get(AnswerRow, case.answer_id) if case.answer_id is not None else None


def parsed(answer: AnswerRow) -> Prediction:
    """The Prediction of an answer.

    Raises:
        ArtifactError: If it is damaged.
    """
    try:
        return Prediction.model_validate_json(zlib.decompress(answer.body))
    except (ValidationError, zlib.error) as error:
        mend = "Put your last backup in its place, or import the run into a new store"
        raise ArtifactError("A stored answer is damaged", f"case {answer.case_key}", mend) from error


def _by_kind(acts: Sequence[ActRow]) -> dict[str, Any]:
    def of(kind: str) -> list[tuple[dict[str, Any], ActRow]]:
        return [(_plain(act), act) for act in acts if act.kind == kind]

    return {
        "opinions": tuple(
            Opinion(**told, verdict=act.verdict, sure=act.sure or 0.0, before=bool(act.before))
            for told, act in of("opinion")
        ),
        "decisions": tuple(
            Decision(**told, act=act.act, verdict=act.verdict, reason=act.words) for told, act in of("decision")
        ),
        "comments": tuple(Comment(**told, text=act.words) for told, act in of("comment")),
        "signatures": tuple(Signature(**told, decision=act.refers or 0) for told, act in of("signature")),
        "amendments": tuple(Amendment(**told, verdict=act.verdict, reason=act.words) for told, act in of("amendment")),
    }


def _plain(act: ActRow) -> dict[str, Any]:
    return {
        "number": act.number,
        "by": act.user_id,
        "at": act.at,
        "version": act.version,
        "answer_hash": act.answer_hash,
    }
