"""How a reader and the model go together: agreement before and after he saw the answer, and what turned out later.

In:  a reader's first opinions and decisions, the answers, outcomes. Out: `Feedback`; outcomes put on record.

Only opinions that came before the answer was shown count, and only of the answer that stands: whoever has seen an
answer no longer says what he would have thought without it. A switch toward the model that turned out wrong is what is
called automation bias; one away from it that turned out right is why people read at all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from clinic_mm.errors import InputError
from clinic_mm.store.casefile import case_row, classes_of
from clinic_mm.store.checked import plain_text
from clinic_mm.store.database import Database
from clinic_mm.store.models import ActRow, CaseRow, OutcomeRow
from clinic_mm.store.values import Feedback, ReadCase


@dataclass(frozen=True, slots=True)
class FeedbackOf:
    """Feedback from a store."""

    db: Database

    def of(self, user: str) -> Feedback:
        """Of one reader, over all cases that he read first."""
        with self.db.reading() as session:
            return counted(_read_cases(session, user))

    def outcome(self, case_key: str, *, verdict: str, source: str, by: str = "", now: datetime | None = None) -> None:
        """Put on record what turned out to be so; of one source, the later one replaces the earlier.

        Args:
            case_key: Of the case.
            verdict: One of the task's classes.
            source: Who or what says so, in a word: pathology, follow-up.
            by: Opaque id of who tells it, "" for the command line.
            now: By the clock where it is not given.

        Raises:
            InputError: If there is no such case, the verdict is no class, or the source lacks.
        """
        source = plain_text(source, "source", needed=True)[:64]
        with self.db.writing(now) as work:
            case = case_row(work.session, case_key)
            if verdict not in classes_of(work.session, case):
                raise InputError("The outcome is none of the task's classes", "verdict", "Name one of them")
            row = OutcomeRow(case_key=case_key, source=source, verdict=verdict, at=work.now)
            work.session.merge(row)
            work.link("outcome", by, case_key, version=case.version, state=case.state)


def counted(cases: Sequence[ReadCase]) -> Feedback:
    """The figures of some cases; every share of nothing is None, by `Feedback` itself."""
    decided = [case for case in cases if case.after]
    known = [case for case in decided if case.outcome]
    return Feedback(
        opinions=len(cases),
        agreed_before=sum(case.before == case.model for case in cases),
        decided=len(decided),
        agreed_first=sum(case.before == case.model for case in decided),
        agreed_after=sum(case.after == case.model for case in decided),
        toward=sum(case.toward for case in decided),
        away=sum(case.away for case in decided),
        outcomes=len(known),
        right_before=sum(case.before == case.outcome for case in known),
        right_after=sum(case.after == case.outcome for case in known),
        right_model=sum(case.model == case.outcome for case in known),
        toward_wrong=sum(case.toward and case.after != case.outcome for case in known),
        away_right=sum(case.away and case.after == case.outcome for case in known),
        cases=tuple(cases),
    )


def _read_cases(session: Session, user: str) -> list[ReadCase]:
    """What a reader thought before, what the model said, what he decided, what turned out; the latest first."""
    opinions = (
        select(ActRow.case_key, ActRow.verdict, ActRow.sure, ActRow.at, CaseRow.decision)
        .join(CaseRow, CaseRow.case_key == ActRow.case_key)
        .where(ActRow.user_id == user, ActRow.kind == "opinion", ActRow.before.is_(True))
        .where(CaseRow.answered, CaseRow.answer_hash == ActRow.answer_hash)
        .order_by(ActRow.number.desc())
    )
    decisions = select(ActRow.case_key, ActRow.verdict).where(ActRow.user_id == user, ActRow.kind == "decision")
    after = _pairs(session, decisions.order_by(ActRow.number))
    mine = select(ActRow.case_key).where(ActRow.user_id == user, ActRow.kind == "opinion")
    told = select(OutcomeRow.case_key, OutcomeRow.verdict).where(OutcomeRow.case_key.in_(mine))
    outcomes = _pairs(session, told.order_by(OutcomeRow.at, OutcomeRow.source))
    return [
        ReadCase(
            case_key=key,
            at=at,
            before=verdict,
            sure=sure or 0.0,
            model=model,
            after=after.get(key, ""),
            outcome=outcomes.get(key, "") if key in after else "",
        )
        for key, verdict, sure, at, model in session.execute(opinions)
    ]


def _pairs(session: Session, asked: Select[str, str]) -> dict[str, str]:
    """Verdict by case; of several the last."""
    return {str(row[0]): str(row[1]) for row in session.execute(asked)}
