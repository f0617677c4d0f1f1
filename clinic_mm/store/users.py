"""Users of a site: local ones with a password, and those whom an identity provider vouches for.

In:  names, passwords, roles. Out: `User`s. Passwords are kept as argon2id (RFC 9106) alone, first-login tokens as
SHA-256.

A name is compared without case and in one Unicode form. After some wrong passwords a user has to wait, longer each
time.
"""

import hashlib
import secrets
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from sqlalchemy import delete, select

from clinic_mm.errors import InputError
from clinic_mm.store.database import Database, Writing
from clinic_mm.store.matching import password_digest
from clinic_mm.store.models import InvitationRow, SessionRow, UserRow
from clinic_mm.store.values import ROLES, Role, User

if TYPE_CHECKING:
    from argon2 import PasswordHasher

SHORTEST: Final = 12
LONGEST: Final = 1024
INVITATION: Final = timedelta(hours=1)
FREE_TRIES: Final = 5
LONGEST_WAIT: Final = timedelta(minutes=15)
UNKNOWN: Final = "$argon2id$v=19$m=65536,t=3,p=4$fXnTnQ5Mtv27Uuz2qgfeBQ$2bd2FVxfjRbi5LnpK2JSP8z8CDh3aLBDCwB2uxaDNaY"
"""Checked where there is no such user, so that the answer takes as long."""


def hasher() -> "PasswordHasher":
    """argon2id with the second choice of RFC 9106: 64 MiB, three passes, four lanes."""
    from argon2 import PasswordHasher

    return PasswordHasher()


@dataclass(frozen=True, slots=True)
class Users:
    """All users of a store."""

    db: Database
    hash: "PasswordHasher" = field(default_factory=hasher)

    def add(
        self, name: str, roles: Iterable[Role], *, password: str = "", subject: str = "", by: str = "",
        now: datetime | None = None,
    ) -> User:  # fmt: skip
        """Add a user.

        Args:
            name: What he signs in with.
            roles: What he may do.
            password: At least 12 characters; "" for who comes by an invitation or an identity provider.
            subject: Issuer and subject of OpenID Connect, as one text; "" for a local user.
            by: Who adds him, "" for the command line.
            now: By the clock where it is not given.

        Raises:
            InputError: If there is one of that name, a role is unknown, or the password too short.
        """
        folded, known = _folded(name), _roles(roles)
        kept = self.hash.hash(_password(password)) if password else ""
        with self.db.writing(now) as work:
            taken = select(UserRow.id).where(
                (UserRow.name == folded) | (UserRow.subject == subject) if subject else UserRow.name == folded
            )
            if work.session.scalars(taken).first():
                raise InputError("There is a user of that name", "name", "Choose another")
            row = UserRow(
                id=uuid4().hex, name=folded, subject=subject or None, password=kept, roles=" ".join(known),
                disabled=False, made_at=work.now, wrong=0, wrong_at=None,
            )  # fmt: skip
            work.session.add(row)
            work.link("user_added", by, user=row.id, roles=known, password=password_digest(kept))
            return user_from(row)

    def by_id(self, user: str) -> User | None:
        """A user by his opaque id."""
        with self.db.reading() as session:
            row = session.get(UserRow, user)
            return user_from(row) if row else None

    def by_name(self, name: str) -> User | None:
        """A user by what he signs in with."""
        with self.db.reading() as session:
            row = session.scalars(select(UserRow).where(UserRow.name == _folded(name))).first()
            return user_from(row) if row else None

    def by_subject(self, subject: str) -> User | None:
        """A user by issuer and subject of OpenID Connect."""
        with self.db.reading() as session:
            row = session.scalars(select(UserRow).where(UserRow.subject == subject)).first() if subject else None
            return user_from(row) if row else None

    def all(self) -> tuple[User, ...]:
        """Every user, by name."""
        with self.db.reading() as session:
            return tuple(user_from(row) for row in session.scalars(select(UserRow).order_by(UserRow.name)))

    def check(self, name: str, password: str, now: datetime | None = None) -> User | None:
        """The user, if the password is his and he may sign in now.

        None says no more than that, and takes as long: not whether there is such a user, whether he is disabled, or
        whether so many passwords were wrong that the right one counts only after a while.

        Raises:
            InputError: If this is no name at all.
        """
        at = now or self.db.clock()
        with self.db.reading() as session:
            row = session.scalars(select(UserRow).where(UserRow.name == _folded(name))).first()
        right = self._right(row.password if row and row.password else UNKNOWN, password)
        if row is None or (row.wrong_at is not None and at < row.wrong_at + _wait(row.wrong)):
            return None
        return self._counted(row, right and bool(row.password) and not row.disabled, password, at)

    def set_password(self, user: str, password: str, *, by: str, now: datetime | None = None) -> None:
        """Give a user a new password; he is signed out everywhere.

        Raises:
            InputError: If it is too short, or there is no such user.
        """
        kept = self.hash.hash(_password(password))
        with self.db.writing(now) as work:
            row = _row(work, user)
            row.password, row.wrong, row.wrong_at = kept, 0, None
            work.session.execute(delete(SessionRow).where(SessionRow.user_id == user))
            work.link("password_set", by, user=user, password=password_digest(kept))

    def set_roles(self, user: str, roles: Iterable[Role], *, by: str, now: datetime | None = None) -> User:
        """What a user may do from now on.

        Raises:
            InputError: If a role is unknown, or there is no such user.
        """
        known = _roles(roles)
        with self.db.writing(now) as work:
            row = _row(work, user)
            row.roles = " ".join(known)
            work.link("roles_set", by, user=user, roles=known)
            return user_from(row)

    def disable(self, user: str, *, by: str, now: datetime | None = None) -> User:
        """Let a user in no more: his sessions and invitations end, what he did stays.

        Raises:
            InputError: If there is no such user.
        """
        return self._enabled(user, by, now, enabled=False)

    def enable(self, user: str, *, by: str, now: datetime | None = None) -> User:
        """Let a user in again.

        Raises:
            InputError: If there is no such user.
        """
        return self._enabled(user, by, now, enabled=True)

    def invite(self, user: str, *, by: str = "", now: datetime | None = None) -> str:
        """A token for a first-login link: good once, for an hour; it ends those before it.

        Raises:
            InputError: If there is no such user.
        """
        token = secrets.token_urlsafe(32)
        with self.db.writing(now) as work:
            _row(work, user)
            work.session.execute(delete(InvitationRow).where(InvitationRow.user_id == user))
            work.session.add(InvitationRow(token_hash=hashed(token), user_id=user, until=work.now + INVITATION))
            work.link("invited", by, user=user)
        return token

    def first_login(self, token: str, now: datetime | None = None) -> User | None:
        """The user whom a first-login token is for, once; None where it is none of ours, used, or too old."""
        with self.db.writing(now) as work:
            found = work.session.get(InvitationRow, hashed(token))
            if found is None:
                return None
            row = _row(work, found.user_id)
            work.session.delete(found)
            if found.until <= work.now or row.disabled:
                return None
            work.link("first_login", row.id)
            return user_from(row)

    def _enabled(self, user: str, by: str, now: datetime | None, *, enabled: bool) -> User:
        with self.db.writing(now) as work:
            row = _row(work, user)
            row.disabled = not enabled
            for table in (SessionRow, InvitationRow):
                work.session.execute(delete(table).where(table.user_id == user))
            work.link("enabled" if enabled else "disabled", by, user=user)
            return user_from(row)

    def _right(self, kept: str, password: str) -> bool:
        from argon2.exceptions import InvalidHashError, VerificationError

        try:
            return self.hash.verify(kept, password[:LONGEST])
        except (VerificationError, InvalidHashError):
            return False

    def _counted(self, row: UserRow, right: bool, password: str, at: datetime) -> User | None:
        with self.db.writing(at) as work:
            now = _row(work, row.id)
            if not right:
                now.wrong, now.wrong_at = now.wrong + 1, at
                work.link("password_wrong", now.id)
                return None
            now.wrong, now.wrong_at = 0, None
            if self.hash.check_needs_rehash(now.password):
                now.password = self.hash.hash(password)
                work.link("password_rehashed", now.id, user=now.id, password=password_digest(now.password))
            return user_from(now)


def hashed(token: str) -> str:
    """What is kept of a token: it is random, so SHA-256 is enough."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _wait(wrong: int) -> timedelta:
    """After so many wrong passwords."""
    if wrong < FREE_TRIES:
        return timedelta()
    return min(LONGEST_WAIT, timedelta(seconds=2 ** min(wrong - FREE_TRIES + 2, 10)))


def user_from(row: UserRow) -> User:
    """A user, without his password."""
    roles = tuple(role for role in ROLES if role in row.roles.split())
    return User(id=row.id, name=row.name, roles=roles, disabled=row.disabled, has_password=bool(row.password))


def _row(work: Writing, user: str) -> UserRow:
    found = work.session.get(UserRow, user)
    if found is None:
        raise InputError("There is no such user", "user", "Look at the list of users")
    return found


def _folded(name: str) -> str:
    folded = unicodedata.normalize("NFKC", name).strip().casefold()
    if not folded or len(folded) > 256 or not folded.isprintable():
        raise InputError("This is no name to sign in with", "name", "Letters and signs, at most 256")
    return folded


def _roles(roles: Iterable[Role]) -> list[Role]:
    given = set(roles)
    if unknown := sorted(given - set(ROLES)):
        raise InputError(f"There is no role {unknown[0]!r}", "roles", f"One of: {', '.join(ROLES)}")
    return [role for role in ROLES if role in given]


def _password(password: str) -> str:
    if not SHORTEST <= len(password) <= LONGEST:
        raise InputError(f"A password has {SHORTEST} to {LONGEST} characters", "password", "Choose another")
    return password
