"""What became of cases like this one, here: those of this store whose answer was near, and whose outcome is known.

In:  a case with an answer of two classes. Out: how many of the latest such cases turned out to be of the second class.

A plain count, not a model: it says how the calibrated probability did at this place. Outcomes are those on record
(pathology, follow-up, a label that the cohort had); of several of one case the latest counts. The case itself never
counts, so its own outcome is not told.
"""

from typing import Final, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_mm.store.casefile import case_row, classes_of
from clinic_mm.store.models import CaseRow, OutcomeRow

NEAR: Final = 0.1
"""Probability: cases within it, up and down, are like this one."""
LATEST: Final = 40
FEWEST: Final = 10
"""Of fewer cases nothing is said: 3 of 4 would be read as 75 %."""


class Alike(NamedTuple):
    """`positive` of the `n` latest cases with a near answer turned out to be of the second class, `name`."""

    n: int
    positive: int
    name: str


def alike(session: Session, case_key: str) -> Alike | None:
    """Count; None where the case has no answer of two classes, or too few outcomes are known."""
    case = case_row(session, case_key)
    classes = classes_of(session, case)
    if not case.answered or case.urgency is None or len(classes) != 2:
        return None
    near = (CaseRow.urgency >= case.urgency - NEAR, CaseRow.urgency <= case.urgency + NEAR, CaseRow.answered)
    asked = (
        select(OutcomeRow.case_key, OutcomeRow.verdict)
        .join(CaseRow, CaseRow.case_key == OutcomeRow.case_key)
        .where(*near, OutcomeRow.case_key != case_key)
        .order_by(OutcomeRow.at.desc(), CaseRow.ready_at.desc(), OutcomeRow.case_key, OutcomeRow.source.desc())
    )
    verdicts: dict[str, str] = {}
    for key, verdict in session.execute(asked):
        verdicts.setdefault(str(key), str(verdict))
        if len(verdicts) == LATEST:
            break
    if len(verdicts) < FEWEST:
        return None
    return Alike(len(verdicts), sum(verdict == classes[1] for verdict in verdicts.values()), classes[1])
