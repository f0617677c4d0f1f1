"""What a person does to a case: begin, first opinion, decide, comment, sign, amend, and give it back.

In:  a case key, a user id, the version of the case that he saw. Out: the case as it is then, or a ConflictError.

Each act is one transaction: the case, the act and its audit link, or nothing. Of two on one version, one wins.
"""

from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from typing import Final

from sqlalchemy import select

from clinic_mm.errors import InputError
from clinic_mm.predict.prediction import Prediction
from clinic_mm.store.casefile import answer_row, case_file, case_row, classes_of, has_opinion, is_sealed, parsed
from clinic_mm.store.checked import known_user, plain_text
from clinic_mm.store.database import Database, Writing
from clinic_mm.store.models import ActRow, CaseRow, ShownRow
from clinic_mm.store.refused import ConflictError, SealedError
from clinic_mm.store.states import check_free, check_may_act, locked, moved, unlocked
from clinic_mm.store.told import hidden_now, marked
from clinic_mm.store.values import CaseFile, Decided, State

OPEN: Final[tuple[State, ...]] = ("in_review",)
DONE: Final[tuple[State, ...]] = ("signed", "amended")


@dataclass(frozen=True, slots=True)
class Acts:
    """All that people do to cases."""

    db: Database

    def begin(self, case_key: str, user: str, now: datetime | None = None) -> CaseFile:
        """Begin to read a case, or go on: nobody else can meanwhile. The lock ends with `states.LOCK` of doing nothing.

        A signed case can be begun too, to be amended; it stays signed until it is.

        Raises:
            ConflictError: If somebody else reads it: who, since when.
            InputError: If there is no such case or user, or it is not ready.
        """
        with self.db.writing(now) as work:
            expire(work)
            case = case_row(work.session, case_key)
            known_user(work, user)
            check_free(case, user, work.now)
            if case.state in ("new", "running"):
                raise InputError("This case has no answer yet", case_key, "Wait until it is ready")
            fresh = case.lock_by != user
            locked(case, user, work.now)
            if case.state == "ready":
                moved(case, "in_review")
            if fresh:
                _hash_known(work, case)
                work.link("begin", user, case_key, version=case.version, state=case.state)
            return case_file(work.session, case_key)

    def release(self, case_key: str, user: str, now: datetime | None = None) -> CaseFile:
        """Give a case back; nothing happens where the user does not hold it.

        Raises:
            InputError: If there is no such case.
        """
        with self.db.writing(now) as work:
            case = case_row(work.session, case_key)
            if case.lock_by == user:
                unlocked(case)
                work.link("release", user, case_key, version=case.version, state=case.state)
            return case_file(work.session, case_key)

    def opinion(
        self, case_key: str, user: str, *, version: int, verdict: str, sure: float, now: datetime | None = None
    ) -> CaseFile:
        """Give the first opinion. It is never changed; whether it came before the answer was shown is kept with it.

        Args:
            case_key: Of the case.
            user: Who.
            version: Of the case that he saw.
            verdict: One of the task's classes.
            sure: How sure, 0 to 1.
            now: By the clock where it is not given.

        Raises:
            ConflictError: If somebody else reads it or did something since, or this reader gave his opinion before.
            InputError: If the verdict is no class, `sure` no share, or the case was not begun.
        """
        if not (isfinite(sure) and 0 <= sure <= 1):
            raise InputError("How sure is a number from 0 to 1", "sure")
        with self.db.writing(now) as work:
            case = self._case(work, case_key, user, version, OPEN)
            _one_of(verdict, classes_of(work.session, case))
            if has_opinion(work.session, case_key, user):
                raise ConflictError("You have given your first opinion, which is never changed", user, case.last_at)
            before = work.session.get(ShownRow, (case_key, user)) is None
            row = _act("opinion", work, case, user, verdict=verdict, sure=float(sure), before=before)
            return _done(work, case, row, "opinion", user)

    def decide(
        self,
        case_key: str,
        user: str,
        *,
        version: int,
        act: Decided,
        verdict: str,
        reason: str = "",
        now: datetime | None = None,
    ) -> CaseFile:
        """Accept the answer, override it with a reason, or give an own verdict where there is none to accept.

        Raises:
            ConflictError: If somebody else reads it, or did something since.
            InputError: If act, verdict and answer do not fit together, a reason lacks, or the case was not begun.
        """
        reason = plain_text(reason, "reason", needed=act == "override")
        with self.db.writing(now) as work:
            case = self._case(work, case_key, user, version, OPEN)
            _one_of(verdict, classes_of(work.session, case))
            _fits(work, case, user, act, verdict)
            case.decided = True
            row = _act("decision", work, case, user, act=act, verdict=verdict, words=reason)
            return _done(work, case, row, act, user)

    def comment(self, case_key: str, user: str, *, version: int, text: str, now: datetime | None = None) -> CaseFile:
        """Remark something, in any state, also while somebody else reads the case.

        Raises:
            ConflictError: If somebody did something since.
            InputError: If the text is empty or too long.
        """
        text = plain_text(text, "text", needed=True)
        with self.db.writing(now) as work:
            case = case_row(work.session, case_key)
            known_user(work, user)
            if case.version != version:
                raise ConflictError("The case has changed since you opened it", case.last_by, case.last_at)
            return _done(work, case, _act("comment", work, case, user, words=text), "comment", user)

    def sign(self, case_key: str, user: str, *, version: int, now: datetime | None = None) -> CaseFile:
        """Stand for the decision that was taken last; the case is given back.

        Raises:
            ConflictError: If somebody else reads it, or did something since.
            InputError: If nobody decided yet, or the case was not begun.
        """
        with self.db.writing(now) as work:
            case = self._case(work, case_key, user, version, OPEN)
            decision = _last(work, case, "decision")
            if decision is None:
                raise InputError("Nobody has decided this case", case_key, "Accept or override the answer first")
            moved(case, "signed")
            row = _act("signature", work, case, user, verdict=decision.verdict, refers=decision.number)
            unlocked(case)
            return _done(work, case, row, "sign", user)

    def amend(
        self, case_key: str, user: str, *, version: int, verdict: str, reason: str, now: datetime | None = None
    ) -> CaseFile:
        """Change a signed verdict, with a reason; what was signed before stays on record. The amendment is signed too.

        Raises:
            ConflictError: If somebody else reads it, or did something since.
            InputError: If the case is not signed, the verdict no class, or a reason lacks.
        """
        reason = plain_text(reason, "reason", needed=True)
        with self.db.writing(now) as work:
            case = self._case(work, case_key, user, version, DONE)
            _one_of(verdict, classes_of(work.session, case))
            moved(case, "amended")
            unlocked(case)
            change = _act("amendment", work, case, user, verdict=verdict, words=reason)
            _done(work, case, change, "amend", user)
            row = _act("signature", work, case, user, verdict=verdict, refers=change.number)
            return _done(work, case, row, "sign", user)

    def assign(self, case_key: str, to: str, by: str, now: datetime | None = None) -> CaseFile:
        """Give a case to a user, or to nobody ("").

        Raises:
            InputError: If there is no such case or user.
        """
        with self.db.writing(now) as work:
            case = case_row(work.session, case_key)
            for user in {by, to} - {""}:
                known_user(work, user)
            case.assigned = to
            work.link("assign", by, case_key, to=to, version=case.version, state=case.state)
            return case_file(work.session, case_key)

    def prediction(
        self, case_key: str, user: str, *, read_first: bool = True, now: datetime | None = None
    ) -> Prediction | None:
        """The answer, for a user who is about to be shown it: that he saw it is on record from then on.

        Args:
            case_key: Of the case.
            user: Who.
            read_first: Whether he must have given his opinion of an open case before.
            now: By the clock where it is not given.

        Returns:
            Marked as withheld where monitoring hides it; None where the case could not be answered: `CaseFile.reason`
            says why.

        Raises:
            SealedError: If he has to give his opinion first.
            InputError: If there is no such case.
            ArtifactError: If the stored answer is damaged.
        """
        with self.db.reading() as session:
            case = case_row(session, case_key)
            if read_first and is_sealed(session, case, user):
                raise SealedError("The answer is sealed", case_key, "Give your own opinion first")
            answer, hidden = answer_row(session, case), hidden_now(session)
            seen = session.get(ShownRow, (case_key, user)) is not None
        if answer is None:
            return None
        found = marked(parsed(answer), hidden)
        if not seen and not found.withheld:
            self._shown(case_key, user, now)
        return found

    def _shown(self, case_key: str, user: str, now: datetime | None) -> None:
        with self.db.writing(now) as work:
            if work.session.get(ShownRow, (case_key, user)) is None:
                known_user(work, user)
                work.session.add(ShownRow(case_key=case_key, user_id=user, at=work.now))
                case = case_row(work.session, case_key)
                work.link("shown", user, case_key, version=case.version, state=case.state)

    def _case(self, work: Writing, case_key: str, user: str, version: int, states: tuple[State, ...]) -> CaseRow:
        """A case that a user may act on."""
        case = case_row(work.session, case_key)
        known_user(work, user)
        check_may_act(case, user, version, states, work.now)
        return case


def expire(work: Writing) -> None:
    """End the locks whose time is over; what nobody decided is ready again."""
    over = select(CaseRow).where(CaseRow.lock_until <= work.now).order_by(CaseRow.case_key)
    for case in work.session.scalars(over).all():
        held = case.lock_by
        unlocked(case)
        work.link("lock_over", held, case.case_key, version=case.version, state=case.state)


def _act(kind: str, work: Writing, case: CaseRow, user: str, **more: object) -> ActRow:
    """A new act, every column filled: its hash covers all of them."""
    blank = {"act": "", "verdict": "", "words": "", "sure": None, "before": None, "refers": None}
    plain = {"case_key": case.case_key, "user_id": user, "at": work.now, "answer_hash": case.answer_hash}
    return ActRow(kind=kind, version=case.version + 1, **plain, **{**blank, **more})


def _done(work: Writing, case: CaseRow, row: ActRow, act: str, user: str) -> CaseFile:
    """Keep the act, move the case to its next version, and prolong the lock of who holds it."""
    case.version = row.version
    case.last_by, case.last_at = user, work.now
    if case.lock_by == user:
        locked(case, user, work.now)
    work.keep(row, act, user, case.case_key, version=case.version, state=case.state, answer=case.answer_hash)
    return case_file(work.session, case.case_key)


def _last(work: Writing, case: CaseRow, kind: str) -> ActRow | None:
    asked = select(ActRow).where(ActRow.case_key == case.case_key, ActRow.kind == kind)
    return work.session.scalars(asked.order_by(ActRow.number.desc()).limit(1)).first()


def _hash_known(work: Writing, case: CaseRow) -> None:
    """Compute the content hash that acts are bound to; importing leaves it until somebody reads the case."""
    answer = answer_row(work.session, case)
    if answer is not None and not answer.content_hash:
        answer.content_hash = parsed(answer).content_hash
    case.answer_hash = answer.content_hash if answer else ""


def _fits(work: Writing, case: CaseRow, user: str, act: Decided, verdict: str) -> None:
    """Whether an act and its verdict fit the answer.

    Raises:
        InputError: If they do not.
    """
    if act == "own":
        if case.answered and work.session.get(ShownRow, (case.case_key, user)) is not None:
            raise InputError("You were shown an answer", case.case_key, "Accept or override it")
    elif act not in ("accept", "override"):
        raise InputError("There is no such act", "act", "accept, override or own")
    elif not case.answered:
        raise InputError("The model gives no answer here", case.case_key, "Give your own verdict: own")
    elif (act == "accept") != (verdict == case.decision):
        raise InputError(
            "Accepting keeps the model's verdict, overriding gives another", case.case_key, "Choose the other act"
        )


def _one_of(verdict: str, classes: tuple[str, ...]) -> None:
    if verdict not in classes:
        raise InputError("The verdict is none of the task's classes", "verdict", f"One of: {', '.join(classes)}")
