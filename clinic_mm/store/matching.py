"""What the tables say against what the audit says of it: acts, glass, cases, users, answers.

In:  the links of a chain, one by one; the tables. Out: what does not match, as (code, where, what).

The chain holds a hash of everything that a person did, the last state and version of each case, and the roles of each
user: a row that somebody changed, removed or added behind the store's back does not match it.
"""

import hashlib
import json
import zlib
from collections.abc import Iterator
from itertools import chain
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_mm.store.chain import digest
from clinic_mm.store.heads import Heads
from clinic_mm.store.models import ActRow, AnswerRow, AuditRow, CaseRow, GlassRow, UserRow

PAGE: Final = 500
Found = tuple[str, str, str]


class Spoken:
    """What the chain says, gathered while it is walked."""

    def __init__(self) -> None:
        self.digests: dict[int, str] = {}
        self.cases: dict[str, tuple[int, str]] = {}
        self.users: dict[str, dict[str, Any]] = {}

    def hear(self, row: AuditRow) -> None:
        """One link; one whose details are no JSON says nothing, and is found by its hash."""
        try:
            told = json.loads(row.details)
        except ValueError:
            return
        if not isinstance(told, dict):
            return
        if "digest" in told:
            self.digests[row.number] = str(told["digest"])
        if row.case_key and {"version", "state"} <= told.keys():
            self.cases[row.case_key] = (told["version"], told["state"])
        if user := told.get("user"):
            self._hear_of_user(str(user), row.act, told)

    def _hear_of_user(self, user: str, act: str, told: dict[str, Any]) -> None:
        known = self.users.setdefault(user, {"disabled": False, "roles": [], "password": ""})
        if act in ("enabled", "disabled"):
            known["disabled"] = act == "disabled"
        known.update({name: told[name] for name in ("roles", "password") if name in told})


def password_digest(kept: str) -> str:
    """Hash of what is kept of a password: the audit holds this."""
    return hashlib.sha256(kept.encode()).hexdigest() if kept else ""


def against_tables(session: Session, spoken: Spoken, heads: Heads) -> Iterator[Found]:
    """What does not match."""
    yield from _acts(session, spoken)
    yield from _cases(session, spoken)
    yield from _users(session, spoken)
    yield from _answers(session, heads)


def _acts(session: Session, spoken: Spoken) -> Iterator[Found]:
    told = dict(spoken.digests)
    acts: Iterator[ActRow | GlassRow] = iter(session.scalars(select(ActRow).execution_options(yield_per=PAGE)))
    for row in chain(acts, session.scalars(select(GlassRow).execution_options(yield_per=PAGE))):
        where, said = f"link {row.number}", told.pop(row.number, None)
        if said is None:
            yield "act.added", where, "Somebody is said to have done what the audit does not know"
        elif said != digest(row):
            yield "act.changed", where, "What a person did is not what was written"
        session.expunge(row)
    for number in sorted(told):
        yield "act.gone", f"link {number}", "What a person did is not there any more"


def _cases(session: Session, spoken: Spoken) -> Iterator[Found]:
    told = dict(spoken.cases)
    asked = select(CaseRow.case_key, CaseRow.version, CaseRow.state).execution_options(yield_per=PAGE)
    for case_key, version, state in session.execute(asked):
        said = told.pop(case_key, None)
        if said is None and (version or state not in ("new", "running", "ready")):
            yield "case.changed", f"case {case_key}", f"It is {state}, and the audit knows of nobody who did that"
        elif said is not None and said != (version, state):
            yield (
                "case.changed",
                f"case {case_key}",
                f"It is {state} at version {version}; by the audit {said[1]}, {said[0]}",
            )
    for case_key in sorted(told):
        yield "case.gone", f"case {case_key}", "The audit speaks of it, and it is not there any more"


def _users(session: Session, spoken: Spoken) -> Iterator[Found]:
    told = dict(spoken.users)
    for row in session.scalars(select(UserRow)):
        where, said = f"user {row.id}", told.pop(row.id, None)
        if said is None:
            yield "user.added", where, "The audit knows of nobody who added this user"
            continue
        is_now = {"disabled": row.disabled, "roles": row.roles.split(), "password": password_digest(row.password)}
        for name in [name for name in is_now if is_now[name] != said[name]]:
            yield "user.changed", where, f"{name.capitalize()} changed, and the audit knows of nobody who did that"
    for user in sorted(told):
        yield "user.gone", f"user {user}", "The audit speaks of this user, who is not there any more"


def _answers(session: Session, heads: Heads) -> Iterator[Found]:
    for row in session.scalars(select(AnswerRow).execution_options(yield_per=PAGE)):
        if not _genuine(row, heads):
            yield "answer.changed", f"case {row.case_key}", "A stored answer is not the one that was imported"
        session.expunge(row)


def _genuine(row: AnswerRow, heads: Heads) -> bool:
    try:
        body = zlib.decompress(row.body)
    except zlib.error:
        return False
    same = hashlib.sha256(body).hexdigest() == row.sha256
    return same and heads.genuine(f"answer:{row.case_key}:{row.sha256}", row.mac)
