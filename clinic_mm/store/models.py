"""The tables of the store, the same in SQLite and PostgreSQL. The migrations make them; a test holds the two together.

    runs, shards      what was imported, by hash
    cases, answers    state, version, lock and rank of each case; the Predictions that people were shown
    acts              what people did to cases; rows are never changed or removed (triggers)
    shown, outcomes   who saw which answer; what turned out later
    audit             the hash chain over everything that was done (triggers; `store.chain`)
    users, sessions, invitations, glass, filters, meta

Nothing identifying stands in any of them: cases by their keys, people by opaque ids; only `users.name` is what a person
signs in with.
"""

from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator, TypeEngine

KEY: Final = 128
HASH: Final = 64
USER: Final = 32
TIME: Final = 32


class Moment(TypeDecorator[datetime]):
    """An aware time in UTC, to the microsecond. SQLite keeps it as text, of which only one form is read back."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """A type of its own where there is one."""
        return dialect.type_descriptor(String(TIME) if dialect.name == "sqlite" else DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:  # noqa: ANN401 - by dialect
        """To the database; a time without a zone is our mistake."""
        if value is None:
            return None
        assert value.tzinfo is not None, "times of the store are aware"
        return written(value) if dialect.name == "sqlite" else value.astimezone(UTC)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:  # noqa: ANN401 - by dialect
        """From the database; a text that we did not write is refused."""
        if value is None or not isinstance(value, str):
            return value.astimezone(UTC) if value is not None else None
        at = datetime.fromisoformat(value)
        if at.tzinfo is None or written(at) != value:
            message = "this time was not written by the store"
            raise ValueError(message)
        return at


def written(at: datetime) -> str:
    """A time as it is stored and hashed: ISO 8601 in UTC, always with microseconds, so that texts sort as times do."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


class Base(DeclarativeBase):
    """Of all tables; constraints have names, so that migrations can speak of them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_N_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: Moment(), str: Text(), int: Integer(), float: Float(53)}  # noqa: RUF012 - SQLAlchemy's own form


class Meta(Base):
    """Small facts of the store."""

    __tablename__ = "meta"
    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[str]


class RunRow(Base):
    """A screening run that was imported. `classes` and `modalities` are joined by "+"."""

    __tablename__ = "runs"
    run_id: Mapped[str] = mapped_column(String(KEY), primary_key=True)
    target: Mapped[str]
    classes: Mapped[str]
    modalities: Mapped[str]
    model_hash: Mapped[str] = mapped_column(String(HASH))
    simulated: Mapped[bool]
    imported_at: Mapped[datetime]


class ShardRow(Base):
    """A finished shard that was imported: size and time tell whether to look again, the hash whether it changed."""

    __tablename__ = "shards"
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.run_id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(KEY), primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger)
    mtime_ns: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(HASH))


class AnswerRow(Base):
    """A Prediction as its shard had it: `body` is its JSON, deflated; `sha256` of the JSON; `mac` of case and hash."""

    __tablename__ = "answers"
    id: Mapped[int] = mapped_column(primary_key=True)
    case_key: Mapped[str] = mapped_column(ForeignKey("cases.case_key"))
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.run_id"))
    sha256: Mapped[str] = mapped_column(String(HASH))
    mac: Mapped[str] = mapped_column(String(HASH))
    content_hash: Mapped[str] = mapped_column(String(HASH))
    body: Mapped[bytes] = mapped_column(LargeBinary)
    __table_args__ = (UniqueConstraint("case_key", "sha256"),)


class CaseRow(Base):
    """A case. `rank` orders the work list, the lowest first (`store.ranking`); `answer_id` is the answer that stands.

    That has no constraint: two tables that point at each other cannot both be filled first.
    """

    __tablename__ = "cases"
    case_key: Mapped[str] = mapped_column(String(KEY), primary_key=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.run_id"))
    state: Mapped[str] = mapped_column(String(16))
    version: Mapped[int] = mapped_column(default=0)
    answer_id: Mapped[int | None]
    answer_hash: Mapped[str] = mapped_column(String(HASH), default="")
    pattern: Mapped[str] = mapped_column(default="")
    decision: Mapped[str] = mapped_column(default="")
    answered: Mapped[bool] = mapped_column(default=False)
    missing: Mapped[str] = mapped_column(default="")
    urgency: Mapped[float | None]
    ready_at: Mapped[datetime | None]
    rank: Mapped[float]
    reason: Mapped[str] = mapped_column(default="")
    assigned: Mapped[str] = mapped_column(String(USER), default="")
    decided: Mapped[bool] = mapped_column(default=False)
    newer: Mapped[bool] = mapped_column(default=False)
    lock_by: Mapped[str] = mapped_column(String(USER), default="")
    lock_since: Mapped[datetime | None]
    lock_until: Mapped[datetime | None]
    last_by: Mapped[str] = mapped_column(String(USER), default="")
    last_at: Mapped[datetime | None]
    __table_args__ = (
        CheckConstraint("state IN ('new', 'running', 'ready', 'in_review', 'signed', 'amended')", name="state"),
        # Filters are answered from the index alone; only the rows of the page are fetched.
        Index("ix_cases_listed", "state", "rank", "case_key", "pattern", "decision", "answered", "assigned"),
        Index("ix_cases_waiting", "state", "ready_at", "case_key", "pattern", "decision", "answered", "assigned"),
        Index("ix_cases_lock_until", "lock_until"),
        # How long the list is, from an index as narrow as can be: PostgreSQL would read the table itself instead.
        Index("ix_cases_state", "state"),
    )


class ActRow(Base):
    """What a person did to a case; see the classes of `store.values` for what each kind fills."""

    __tablename__ = "acts"
    number: Mapped[int] = mapped_column(ForeignKey("audit.number"), primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(16))
    case_key: Mapped[str] = mapped_column(ForeignKey("cases.case_key"))
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    at: Mapped[datetime]
    version: Mapped[int]
    answer_hash: Mapped[str] = mapped_column(String(HASH))
    act: Mapped[str] = mapped_column(String(16), default="")
    verdict: Mapped[str] = mapped_column(default="")
    words: Mapped[str] = mapped_column(default="")
    sure: Mapped[float | None]
    before: Mapped[bool | None]
    refers: Mapped[int | None]
    __table_args__ = (
        CheckConstraint("kind IN ('opinion', 'decision', 'comment', 'signature', 'amendment')", name="kind"),
        Index("ix_acts_case", "case_key", "number"),
        Index("ix_acts_user", "user_id", "kind", "case_key"),
        Index(
            "uq_acts_first_opinion",
            "case_key",
            "user_id",
            unique=True,
            sqlite_where=text("kind = 'opinion'"),
            postgresql_where=text("kind = 'opinion'"),
        ),
    )


class ShownRow(Base):
    """That a user saw the answer of a case, when first."""

    __tablename__ = "shown"
    case_key: Mapped[str] = mapped_column(ForeignKey("cases.case_key"), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), primary_key=True)
    at: Mapped[datetime]


class OutcomeRow(Base):
    """What turned out to be so; of one source, the later one replaces the earlier."""

    __tablename__ = "outcomes"
    case_key: Mapped[str] = mapped_column(ForeignKey("cases.case_key"), primary_key=True)
    source: Mapped[str] = mapped_column(String(64), primary_key=True)
    verdict: Mapped[str]
    at: Mapped[datetime]


class AuditRow(Base):
    """A link of the chain; see `store.chain`."""

    __tablename__ = "audit"
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    actor: Mapped[str] = mapped_column(String(USER))
    act: Mapped[str] = mapped_column(String(32))
    case_key: Mapped[str] = mapped_column(String(KEY))
    details: Mapped[str]
    before: Mapped[str] = mapped_column(String(HASH))
    hash: Mapped[str] = mapped_column(String(HASH))
    mac: Mapped[str] = mapped_column(String(HASH))
    __table_args__ = (Index("ix_audit_case", "case_key", "number"), Index("ix_audit_actor", "actor", "number"))


class UserRow(Base):
    """A user. `name` is folded; `subject` is issuer and subject of OpenID Connect, "" for a local user."""

    __tablename__ = "users"
    id: Mapped[str] = mapped_column(String(USER), primary_key=True)
    name: Mapped[str] = mapped_column(String(256), unique=True)
    subject: Mapped[str | None] = mapped_column(String(512), unique=True)
    password: Mapped[str] = mapped_column(default="")
    roles: Mapped[str] = mapped_column(default="")
    disabled: Mapped[bool] = mapped_column(default=False)
    made_at: Mapped[datetime]
    wrong: Mapped[int] = mapped_column(default=0)
    wrong_at: Mapped[datetime | None]


class SessionRow(Base):
    """A signed-in browser; the token itself is with the browser alone."""

    __tablename__ = "sessions"
    token_hash: Mapped[str] = mapped_column(String(HASH), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    made_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    until: Mapped[datetime]


class InvitationRow(Base):
    """A first-login link: good once, and for a short time."""

    __tablename__ = "invitations"
    token_hash: Mapped[str] = mapped_column(String(HASH), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    until: Mapped[datetime]


class GlassRow(Base):
    """That a user broke the glass for a case: why, and until when it lets him in."""

    __tablename__ = "glass"
    number: Mapped[int] = mapped_column(ForeignKey("audit.number"), primary_key=True, autoincrement=False)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    case_key: Mapped[str] = mapped_column(String(KEY))
    reason: Mapped[str]
    at: Mapped[datetime]
    until: Mapped[datetime]
    __table_args__ = (Index("ix_glass_who", "user_id", "case_key", "until"),)


class FilterRow(Base):
    """A saved filter; `query` is a WorklistQuery as JSON."""

    __tablename__ = "filters"
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    query: Mapped[str]
