"""The first version of the store: all tables, and triggers that keep the audit and what people did as they are.

Revision ID: 0001
Revises: nothing
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite")
APPEND_ONLY = ("audit", "acts", "glass")


def upgrade() -> None:
    """Make everything."""
    _tables()
    for table in APPEND_ONLY:
        if op.get_bind().dialect.name == "postgresql":
            _guard_postgresql(table)
        else:
            _guard_sqlite(table)


def _guard_sqlite(table: str) -> None:
    for act in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER {table}_no_{act.lower()} BEFORE {act} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        )


def _guard_postgresql(table: str) -> None:
    op.execute(
        "CREATE OR REPLACE FUNCTION append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$"
    )
    op.execute(
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION append_only()"
    )


def _tables() -> None:
    op.create_table(
        "audit",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("actor", sa.String(length=32), nullable=False),
        sa.Column("act", sa.String(length=32), nullable=False),
        sa.Column("case_key", sa.String(length=128), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("before", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("mac", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_audit")),
    )
    op.create_index("ix_audit_actor", "audit", ["actor", "number"], unique=False)
    op.create_index("ix_audit_case", "audit", ["case_key", "number"], unique=False)
    op.create_table(
        "meta",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_meta")),
    )
    op.create_table(
        "runs",
        sa.Column("run_id", sa.String(length=128), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("classes", sa.Text(), nullable=False),
        sa.Column("modalities", sa.Text(), nullable=False),
        sa.Column("model_hash", sa.String(length=64), nullable=False),
        sa.Column("simulated", sa.Boolean(), nullable=False),
        sa.Column("imported_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_runs")),
    )
    op.create_table(
        "users",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=256), nullable=False),
        sa.Column("subject", sa.String(length=512), nullable=True),
        sa.Column("password", sa.Text(), nullable=False),
        sa.Column("roles", sa.Text(), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("made_at", TIME, nullable=False),
        sa.Column("wrong", sa.Integer(), nullable=False),
        sa.Column("wrong_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("name", name=op.f("uq_users_name")),
        sa.UniqueConstraint("subject", name=op.f("uq_users_subject")),
    )
    op.create_table(
        "cases",
        sa.Column("case_key", sa.String(length=128), nullable=False),
        sa.Column("run_id", sa.String(length=128), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("answer_id", sa.Integer(), nullable=True),
        sa.Column("answer_hash", sa.String(length=64), nullable=False),
        sa.Column("pattern", sa.Text(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("answered", sa.Boolean(), nullable=False),
        sa.Column("missing", sa.Text(), nullable=False),
        sa.Column("urgency", sa.Float(precision=53), nullable=True),
        sa.Column("ready_at", TIME, nullable=True),
        sa.Column("rank", sa.Float(precision=53), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("assigned", sa.String(length=32), nullable=False),
        sa.Column("decided", sa.Boolean(), nullable=False),
        sa.Column("newer", sa.Boolean(), nullable=False),
        sa.Column("lock_by", sa.String(length=32), nullable=False),
        sa.Column("lock_since", TIME, nullable=True),
        sa.Column("lock_until", TIME, nullable=True),
        sa.Column("last_by", sa.String(length=32), nullable=False),
        sa.Column("last_at", TIME, nullable=True),
        sa.CheckConstraint(
            "state IN ('new', 'running', 'ready', 'in_review', 'signed', 'amended')", name=op.f("ck_cases_state")
        ),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"], name=op.f("fk_cases_run_id")),
        sa.PrimaryKeyConstraint("case_key", name=op.f("pk_cases")),
    )
    op.create_index(
        "ix_cases_listed",
        "cases",
        ["state", "rank", "case_key", "pattern", "decision", "answered", "assigned"],
        unique=False,
    )
    op.create_index("ix_cases_lock_until", "cases", ["lock_until"], unique=False)
    op.create_index(
        "ix_cases_waiting",
        "cases",
        ["state", "ready_at", "case_key", "pattern", "decision", "answered", "assigned"],
        unique=False,
    )
    op.create_table(
        "filters",
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_filters_user_id")),
        sa.PrimaryKeyConstraint("user_id", "name", name=op.f("pk_filters")),
    )
    op.create_table(
        "glass",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("case_key", sa.String(length=128), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("until", TIME, nullable=False),
        sa.ForeignKeyConstraint(["number"], ["audit.number"], name=op.f("fk_glass_number")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_glass_user_id")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_glass")),
    )
    op.create_index("ix_glass_who", "glass", ["user_id", "case_key", "until"], unique=False)
    op.create_table(
        "invitations",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("until", TIME, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_invitations_user_id")),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_invitations")),
    )
    op.create_table(
        "sessions",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("made_at", TIME, nullable=False),
        sa.Column("seen_at", TIME, nullable=False),
        sa.Column("until", TIME, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_sessions_user_id")),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_sessions")),
    )
    op.create_index(op.f("ix_sessions_user_id"), "sessions", ["user_id"], unique=False)
    op.create_table(
        "shards",
        sa.Column("run_id", sa.String(length=128), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"], name=op.f("fk_shards_run_id")),
        sa.PrimaryKeyConstraint("run_id", "name", name=op.f("pk_shards")),
    )
    op.create_table(
        "acts",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("case_key", sa.String(length=128), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("answer_hash", sa.String(length=64), nullable=False),
        sa.Column("act", sa.String(length=16), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("sure", sa.Float(precision=53), nullable=True),
        sa.Column("before", sa.Boolean(), nullable=True),
        sa.Column("refers", sa.Integer(), nullable=True),
        sa.CheckConstraint(
            "kind IN ('opinion', 'decision', 'comment', 'signature', 'amendment')", name=op.f("ck_acts_kind")
        ),
        sa.ForeignKeyConstraint(["case_key"], ["cases.case_key"], name=op.f("fk_acts_case_key")),
        sa.ForeignKeyConstraint(["number"], ["audit.number"], name=op.f("fk_acts_number")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_acts_user_id")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_acts")),
    )
    op.create_index("ix_acts_case", "acts", ["case_key", "number"], unique=False)
    op.create_index("ix_acts_user", "acts", ["user_id", "kind", "case_key"], unique=False)
    op.create_index(
        "uq_acts_first_opinion",
        "acts",
        ["case_key", "user_id"],
        unique=True,
        sqlite_where=sa.text("kind = 'opinion'"),
        postgresql_where=sa.text("kind = 'opinion'"),
    )
    op.create_table(
        "answers",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("case_key", sa.String(length=128), nullable=False),
        sa.Column("run_id", sa.String(length=128), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("mac", sa.String(length=64), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["case_key"], ["cases.case_key"], name=op.f("fk_answers_case_key")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"], name=op.f("fk_answers_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_answers")),
        sa.UniqueConstraint("case_key", "sha256", name=op.f("uq_answers_case_key_sha256")),
    )
    op.create_table(
        "outcomes",
        sa.Column("case_key", sa.String(length=128), nullable=False),
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["case_key"], ["cases.case_key"], name=op.f("fk_outcomes_case_key")),
        sa.PrimaryKeyConstraint("case_key", "source", name=op.f("pk_outcomes")),
    )
    op.create_table(
        "shown",
        sa.Column("case_key", sa.String(length=128), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["case_key"], ["cases.case_key"], name=op.f("fk_shown_case_key")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_shown_user_id")),
        sa.PrimaryKeyConstraint("case_key", "user_id", name=op.f("pk_shown")),
    )
